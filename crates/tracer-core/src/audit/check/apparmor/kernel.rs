//! Rules about the kernel: capabilities, mounts, other processes, namespaces, buses.

use super::{
    super::super::{
        Severity,
        apparmor_policy::{Glob, Parts, Profile, Rule},
        rules,
    },
    Asked,
};

pub(super) fn check(profile: &Profile, as_default: bool, asked: &mut Asked<'_, '_>) {
    everything(profile, as_default, asked);
    capabilities(profile, as_default, asked);
    for (rule, parts) in profile.of_keyword("mount") {
        mount(profile, rule, parts, asked);
    }
    for (rule, parts) in profile.of_keyword("remount") {
        if is_any(profile, parts.words.first(), asked) {
            asked
                .add(
                    &rules::APPARMOR_MOUNT,
                    rule,
                    "what is mounted read-only can be made writable".to_owned(),
                )
                .severity(Severity::Medium);
        }
    }
    for (rule, parts) in profile.of_keyword("pivot_root") {
        if is_any(profile, parts.words.first(), asked) {
            asked
                .add(
                    &rules::APPARMOR_MOUNT,
                    rule,
                    "any directory can become the root, and each path then names another file"
                        .to_owned(),
                )
                .severity(Severity::Medium);
        }
    }
    ptrace(profile, asked);
    namespaces(profile, asked);
    dbus(profile, asked);
}

fn everything(profile: &Profile, as_default: bool, asked: &mut Asked<'_, '_>) {
    for (rule, _) in profile.of_keyword("all") {
        asked.add(
            &rules::APPARMOR_ALLOWS_EVERYTHING,
            rule,
            "`all,` allows everything".to_owned(),
        );
    }
    for (rule, parts) in profile.of_keyword("network") {
        if parts.words.is_empty() && parts.conditions.is_empty() {
            asked
                .add(
                    &rules::APPARMOR_ALLOWS_EVERYTHING,
                    rule,
                    "`network,` allows every socket".to_owned(),
                )
                .severity(if as_default {
                    Severity::Low
                } else {
                    Severity::Medium
                });
        }
    }
}

/// Capabilities that end what a profile is for, and what each gives.
const CAPABILITIES: [(&str, Severity, &str); 9] = [
    ("sys_module", Severity::High, "loads code into the kernel"),
    (
        "sys_rawio",
        Severity::High,
        "reads and writes ports and physical memory",
    ),
    (
        "mac_admin",
        Severity::High,
        "replaces AppArmor's profiles, its own too",
    ),
    (
        "mac_override",
        Severity::High,
        "passes by the policy of security modules",
    ),
    (
        "sys_admin",
        Severity::High,
        "mounts, changes namespaces and a hundred other things of root",
    ),
    (
        "bpf",
        Severity::Medium,
        "loads programs into the kernel that see other processes",
    ),
    (
        "dac_read_search",
        Severity::Medium,
        "opens any file of a file system by its handle, whatever the path (open_by_handle_at)",
    ),
    (
        "sys_ptrace",
        Severity::Medium,
        "reads and controls processes of other users",
    ),
    ("sys_boot", Severity::Medium, "restarts the host"),
];

fn capabilities(profile: &Profile, as_default: bool, asked: &mut Asked<'_, '_>) {
    let denied: Vec<&str> = profile
        .rules
        .iter()
        .filter(|rule| rule.qualifiers.denies)
        .filter_map(|rule| rule.parts("capability"))
        .flat_map(|parts| &parts.words)
        .map(String::as_str)
        .collect();
    let open: Vec<_> = CAPABILITIES
        .iter()
        .filter(|(name, ..)| !denied.contains(name))
        .collect();
    for (rule, parts) in profile.of_keyword("capability") {
        if parts.words.is_empty() || parts.words.iter().any(|word| word == "all") {
            let evidence = open.iter().map(|(name, _, gain)| format!("{name} {gain}"));
            asked
                .add(
                    &rules::APPARMOR_ALLOWS_EVERYTHING,
                    rule,
                    "`capability,` allows every capability".to_owned(),
                )
                .severity(if as_default || open.is_empty() {
                    Severity::Medium
                } else {
                    Severity::High
                })
                .evidence(evidence);
            continue;
        }
        for (name, severity, gain) in &open {
            if parts.words.iter().any(|word| word == name) {
                asked
                    .add(
                        &rules::APPARMOR_CAPABILITY,
                        rule,
                        format!("a process with {name} {gain}"),
                    )
                    .severity(*severity);
            }
        }
    }
}

/// Whether a path is not given, or any path fits.
fn is_any(profile: &Profile, path: Option<&String>, asked: &Asked<'_, '_>) -> bool {
    let Some(path) = path else {
        return true;
    };
    let globs = asked.policy.paths(path, &profile.name);
    let fits = |path: &[u8]| globs.iter().any(|glob: &Glob| glob.matches(path));
    fits(b"/etc/q/") && fits(b"/q/w/")
}

/// File systems that show the kernel.
const KERNEL_FILE_SYSTEMS: [&str; 9] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "securityfs",
    "debugfs",
    "tracefs",
    "devtmpfs",
    "bpf",
];

/// Options that only say how mounts spread.
fn is_propagation(option: &str) -> bool {
    let name = option.trim_start_matches("make-").trim_start_matches('r');
    matches!(name, "private" | "slave" | "shared" | "unbindable")
}

fn mount(profile: &Profile, rule: &Rule, parts: &Parts, asked: &mut Asked<'_, '_>) {
    let types: Vec<&str> = parts
        .condition("fstype")
        .chain(parts.condition("vfstype"))
        .collect();
    let options: Vec<&str> = parts
        .condition("options")
        .chain(parts.condition("option"))
        .collect();
    let source_is_any = is_any(profile, parts.words.first(), asked);
    let target_is_any = is_any(profile, parts.target.as_ref(), asked);
    if parts.conditions.is_empty() && source_is_any && target_is_any {
        asked.add(
            &rules::APPARMOR_ALLOWS_EVERYTHING,
            rule,
            format!("`{},` allows every mount", rule.text),
        );
        return;
    }
    if options.iter().any(|option| is_propagation(option)) {
        return;
    }
    let has = |names: &[&str]| options.iter().any(|option| names.contains(option));
    let is_bind = has(&["bind", "rbind", "B", "R", "move", "M"]);
    if is_bind || (options.is_empty() && types.is_empty()) {
        let (message, severity) = match (source_is_any, target_is_any) {
            (true, _) => (
                "any directory can be mounted at another path, where other rules count for it",
                Severity::High,
            ),
            (false, true) => (
                "files can be mounted over any others, such as programs and settings of root's",
                Severity::High,
            ),
            (false, false) => return,
        };
        asked
            .add(&rules::APPARMOR_MOUNT, rule, message.to_owned())
            .severity(severity);
        return;
    }
    if has(&["remount"]) {
        if target_is_any {
            asked
                .add(
                    &rules::APPARMOR_MOUNT,
                    rule,
                    "what is mounted read-only can be made writable".to_owned(),
                )
                .severity(Severity::Medium);
        }
        return;
    }
    let shown = types.iter().find(|name| KERNEL_FILE_SYSTEMS.contains(name));
    let message = match shown {
        Some(shown) if target_is_any => {
            format!("{shown} can be mounted anywhere, where no rule for /proc or /sys counts")
        }
        None if types.is_empty() && target_is_any => {
            "any file system can be mounted anywhere".to_owned()
        }
        _ => return,
    };
    asked.add(&rules::APPARMOR_MOUNT, rule, message);
}

/// Whether a rule is about processes that are unconfined.
fn reaches_unconfined(profile: &Profile, parts: &Parts, asked: &Asked<'_, '_>) -> bool {
    let Some(peer) = parts.peer_label() else {
        return true;
    };
    let labels = asked.policy.labels(peer, &profile.name);
    labels.iter().any(|glob| glob.matches(b"unconfined"))
}

fn ptrace(profile: &Profile, asked: &mut Asked<'_, '_>) {
    for (rule, parts) in profile.of_keyword("ptrace") {
        if !reaches_unconfined(profile, parts, asked) {
            continue;
        }
        if parts.has_access(&["trace", "w", "rw", "write"]) {
            let whom = match parts.peer_label() {
                Some(_) => "unconfined processes",
                None => "every process",
            };
            asked.add(
                &rules::APPARMOR_PTRACE,
                rule,
                format!("{whom} can be controlled, and do what the profile denies"),
            );
        } else if parts.has_access(&["read", "r"]) {
            asked
                .add(
                    &rules::APPARMOR_PTRACE,
                    rule,
                    "the memory and environment of unconfined processes can be read".to_owned(),
                )
                .severity(Severity::Low);
        }
    }
}

fn namespaces(profile: &Profile, asked: &mut Asked<'_, '_>) {
    for (rule, _) in profile.of_keyword("userns") {
        asked.add(
            &rules::APPARMOR_USERNS,
            rule,
            "a process can have every capability, in a user namespace of its own".to_owned(),
        );
    }
    for (rule, parts) in profile.of_keyword("io_uring") {
        if parts.has_access(&["override_creds"]) {
            asked.add(
                &rules::APPARMOR_IO_URING,
                rule,
                "a ring can be used with another process's credentials".to_owned(),
            );
        }
    }
}

fn dbus(profile: &Profile, asked: &mut Asked<'_, '_>) {
    for (rule, parts) in profile.of_keyword("dbus") {
        let is_open = ["path", "interface", "member", "name", "peer"]
            .iter()
            .all(|name| parts.condition(name).next().is_none());
        if !is_open || !parts.has_access(&["send", "w", "rw", "write"]) {
            continue;
        }
        let bus = parts.condition("bus").next();
        let message = match bus {
            Some("system") => {
                "every service of the system bus can be called; for root, systemd starts programs"
            }
            Some("session") => {
                "every service of the session bus can be called; systemd starts programs outside of the profile"
            }
            _ => {
                "every service of every bus can be called; systemd starts programs outside of the profile"
            }
        };
        asked.add(&rules::APPARMOR_DBUS, rule, message.to_owned());
    }
}

//! AppArmorProfile of the Security Profiles Operator.
//!
//! The operator makes AppArmor text of its lists (internal/pkg/daemon/apparmorprofile/crd2armor):
//!
//! | list | rule |
//! | --- | --- |
//! | `allowedExecutables` | `ixr` (`ix` up to 0.10) |
//! | `allowedLibraries` | `mr` |
//! | `readOnlyPaths` | `r`, and `deny wlk` |
//! | `writeOnlyPaths` | `wlk` (`wl` up to 0.10), and `deny r` |
//! | `readWritePaths` | `rwlk` (`rwl` up to 0.10) |
//!
//! A `deny` wins over every other rule, so a path may be in one of the first two of the last three only
//! when no other rule allows what that denies. It adds `abstractions/base`, which allows signals from
//! those that are unconfined and among its own, and denies mounting and most writing to `/proc` and
//! `/sys`.

use std::collections::{BTreeMap, BTreeSet};

use super::{ObjectName, head, operator::GROUP, operator::Operator};
use crate::{
    profile::{
        Omission, Remedy, Rendering, TargetError,
        apparmor::{AppArmorProfile, Division, FileRule, Pattern, Permissions},
        omissions::object_fits,
        yaml::Map,
    },
    recording::{ObservationKind, Peer, SignalDirection},
};
use syscalls::capability::Capability;

/// The profile as an object of the operator's, which loads it on every node under the object's name.
///
/// # Errors
/// When it is too large for an object.
pub fn apparmor_profile(
    name: &ObjectName,
    workload: &str,
    profile: &AppArmorProfile,
    operator: Operator,
) -> Result<Rendering, TargetError> {
    let mut omissions = BTreeSet::new();
    let files = Files::of(profile, operator, &mut omissions);
    let network = network(profile, operator, &mut omissions);
    let capabilities = capabilities(profile, &mut omissions);
    others(profile, &mut omissions);
    let omissions: Vec<_> = omissions.into_iter().collect();
    let mode = match (operator, profile.complain()) {
        (Operator::V1, true) => Map::new().with("mode", "Complain"),
        (Operator::V1, false) => Map::new().with("mode", "Enforce"),
        (Operator::V0_10, true) => Map::new().with("complainMode", true),
        (Operator::V0_10, false) => Map::new(),
    };
    let rules = Map::new()
        .with_map(
            "executable",
            Map::new()
                .with_texts("allowedExecutables", list(files.executables))
                .with_texts("allowedLibraries", list(files.libraries)),
        )
        .with_map(
            "filesystem",
            Map::new()
                .with_texts("readOnlyPaths", list(files.read))
                .with_texts("writeOnlyPaths", list(files.write))
                .with_texts("readWritePaths", list(files.both)),
        )
        .with_map("network", network)
        .with_map(
            "capability",
            Map::new().with_texts("allowedCapabilities", capabilities),
        );
    let version = operator.others();
    let text = head(workload, &omissions)
        .with("apiVersion", format!("{GROUP}/{version}"))
        .with("kind", "AppArmorProfile")
        .with("metadata", Map::new().with("name", name.as_str()))
        .with("spec", mode.with("abstract", rules))
        .to_text();
    object_fits("the AppArmorProfile", &text, Remedy::FewerPaths)?;
    Ok(Rendering { text, omissions })
}

fn list(paths: BTreeSet<String>) -> Vec<String> {
    paths.into_iter().collect()
}

/// The operator's lists.
#[derive(Default)]
struct Files {
    executables: BTreeSet<String>,
    libraries: BTreeSet<String>,
    read: BTreeSet<String>,
    write: BTreeSet<String>,
    both: BTreeSet<String>,
}

/// A rule's pattern, what the operator takes it for, and what it allows.
type Taken<'a> = (&'a Pattern, Pattern, Permissions);

/// The rules by what may overlap with another: a glob with any, a path with itself and with globs only.
struct Neighbours<'a> {
    all: &'a [Taken<'a>],
    globs: Vec<&'a Taken<'a>>,
    paths: BTreeMap<&'a Pattern, Vec<&'a Taken<'a>>>,
}

impl<'a> Neighbours<'a> {
    fn of(all: &'a [Taken<'a>]) -> Self {
        let mut neighbours = Self {
            all,
            globs: Vec::new(),
            paths: BTreeMap::new(),
        };
        for one in all {
            if one.1.is_glob() {
                neighbours.globs.push(one);
            } else {
                neighbours.paths.entry(&one.1).or_default().push(one);
            }
        }
        neighbours
    }

    /// Whether another rule than that of a pattern allows something of what `made` stands for.
    fn have(&self, what: Permissions, pattern: &Pattern, made: &Pattern) -> bool {
        let is_one = |(other, taken, permissions): &Taken<'_>| {
            *other != pattern && permissions.has_any(what) && taken.overlaps(made)
        };
        if made.is_glob() {
            return self.all.iter().any(is_one);
        }
        let same = self.paths.get(made).into_iter().flatten();
        self.globs.iter().chain(same).any(|it| is_one(it))
    }
}

const READS: Permissions = Permissions::READ;

fn writes() -> Permissions {
    Permissions::WRITE | Permissions::APPEND | Permissions::LINK
}

impl Files {
    fn of(
        profile: &AppArmorProfile,
        operator: Operator,
        omissions: &mut BTreeSet<Omission>,
    ) -> Self {
        let spaces = operator == Operator::V1;
        // As the operator takes them: what one of them denies is decided by what it stands for there.
        let all: Vec<_> = profile
            .files()
            .map(|(pattern, rule)| {
                let made = pattern.for_operator(spaces);
                (pattern, made, rule.permissions | rule.owner)
            })
            .collect();
        let neighbours = Neighbours::of(&all);
        let mut files = Self::default();
        for ((pattern, made, _), (_, rule)) in all.iter().zip(profile.files()) {
            files.add((pattern, made), rule, &neighbours, operator, omissions);
        }
        let owners = profile
            .files()
            .filter(|(_, rule)| !rule.owner.is_empty())
            .count();
        if owners > 0 {
            omissions.insert(Omission::new(
                format!("that {owners} rules are for a file's owner alone"),
                "they are for every user",
            ));
        }
        for (new, old, _) in profile.links() {
            omissions.insert(Omission::new(
                format!(
                    "that {} may be a link to {} alone",
                    new.for_operator(spaces).operator_text(),
                    old.for_operator(spaces).operator_text()
                ),
                "it may be one to any file",
            ));
        }
        files
    }

    fn add(
        &mut self,
        (pattern, made): (&Pattern, &Pattern),
        rule: &FileRule,
        neighbours: &Neighbours<'_>,
        operator: Operator,
        omissions: &mut BTreeSet<Omission>,
    ) {
        let needed = rule.permissions | rule.owner;
        let path = made.operator_text();
        if made != pattern {
            for original in rule.paths.keys() {
                omissions.insert(Omission::new(
                    format!("the path {original}"),
                    format!("{path}: the operator refuses a profile with other characters"),
                ));
            }
        }
        denied_by_operator(pattern, needed, &path, omissions);
        let overlaps = |what: Permissions| neighbours.have(what, pattern, made);
        let executes = needed.has_any(Permissions::EXECUTE);
        let maps = needed.has_any(Permissions::MAP);
        let reads = needed.has_any(READS);
        let locks = needed.has_any(Permissions::LOCK);
        if executes {
            self.executables.insert(path.clone());
        }
        if maps {
            self.libraries.insert(path.clone());
        }
        if locks && operator == Operator::V0_10 {
            omissions.insert(Omission::new(format!("locking {path}"), "it is denied"));
        }
        let locks = locks && operator == Operator::V1;
        if needed.has_any(writes()) || locks {
            let readable = reads || executes || maps || overlaps(READS);
            if !needed.has_any(writes()) {
                omissions.insert(Omission::new(
                    format!("that {path} may be locked and not written"),
                    "it may be written",
                ));
            }
            if readable {
                if !reads && !executes && !maps {
                    omissions.insert(Omission::new(
                        format!("that {path} may be written and not read"),
                        "it may be read: other rules read what it stands for, and write-only paths deny that",
                    ));
                }
                self.both.insert(path);
            } else {
                self.write.insert(path);
            }
        } else if reads && !(maps || (executes && operator == Operator::V1)) {
            if overlaps(writes() | Permissions::LOCK) {
                omissions.insert(Omission::new(
                    format!("that {path} may be read and not written"),
                    "it may be written: other rules write what it stands for, and read-only paths deny that",
                ));
                self.both.insert(path);
            } else {
                self.read.insert(path);
            }
        }
    }
}

/// What the operator denies in every profile.
fn denied_by_operator(
    pattern: &Pattern,
    needed: Permissions,
    path: &str,
    omissions: &mut BTreeSet<Omission>,
) {
    let (first, second, third) = (pattern.name_at(0), pattern.name_at(1), pattern.name_at(2));
    let writes = needed.has_any(writes());
    let changes = writes || needed.has_any(Permissions::LOCK | Permissions::EXECUTE);
    let is_process = second.is_empty() || second.bytes().all(|byte| byte.is_ascii_digit());
    let denied = match first {
        "sys" => {
            let hidden = (second == "kernel" && third == "security")
                || (second == "firmware" && third == "efi");
            hidden || (changes && !(second == "fs" && third == "cgroup"))
        }
        "proc" => {
            let secret = matches!(second, "sysrq-trigger" | "mem" | "kmem" | "kcore");
            let shm = second == "sys" && third == "kernel" && pattern.name_at(3).starts_with("shm");
            secret || (writes && !is_process && !shm && pattern.depth() > 1)
        }
        _ => false,
    };
    if denied {
        omissions.insert(Omission::new(
            format!("{needed} on {path}"),
            "the operator denies it in every profile; load apparmor.profile on the nodes instead",
        ));
    }
}

fn network(
    profile: &AppArmorProfile,
    operator: Operator,
    omissions: &mut BTreeSet<Omission>,
) -> Map {
    const STREAM: u16 = 1;
    const DGRAM: u16 = 2;
    const RAW: u16 = 3;
    const UNIX: u16 = 1;
    const INET: [u16; 2] = [2, 10];
    let open = profile.unseen().any(|it| it == ObservationKind::Sockets);
    if open {
        omissions.insert(Omission::new(
            "sockets, which were not observed",
            "TCP, UDP and raw ones are allowed, and no others",
        ));
    }
    let (mut tcp, mut udp, mut raw) = (open, open, open);
    for ((family, kind), _) in profile.networks() {
        match kind {
            STREAM if INET.contains(&family) => tcp = true,
            DGRAM if INET.contains(&family) => udp = true,
            // The base abstraction has them.
            _ if family == UNIX => {}
            RAW if operator == Operator::V1 => {
                raw = true;
                omissions.insert(Omission::new(
                    format!(
                        "which raw sockets: {}",
                        AppArmorProfile::socket_name(family, kind)
                    ),
                    "raw sockets of every family are allowed",
                ));
            }
            _ => {
                omissions.insert(Omission::new(
                    format!("sockets: {}", AppArmorProfile::socket_name(family, kind)),
                    "they are denied; load apparmor.profile on the nodes if the workload needs them",
                ));
            }
        }
    }
    if operator == Operator::V0_10
        && (tcp || udp)
        && profile.networks().any(|((it, _), _)| it == 10)
    {
        omissions.insert(Omission::new(
            "IPv6",
            "an operator up to 0.10 allows IPv4 only",
        ));
    }
    let protocols = Map::new().with("allowTcp", tcp).with("allowUdp", udp);
    Map::new()
        .with("allowRaw", raw)
        .with("allowedProtocols", protocols)
}

fn capabilities(profile: &AppArmorProfile, omissions: &mut BTreeSet<Omission>) -> Vec<String> {
    let all = profile
        .unseen()
        .any(|it| it == ObservationKind::Capabilities);
    let needed: Vec<_> = if all {
        omissions.insert(Omission::new(
            "capabilities, which were not observed",
            "all are allowed: the container's own list still holds",
        ));
        Capability::all().collect()
    } else {
        profile.capabilities().map(|(one, _)| one).collect()
    };
    let names = needed.into_iter().filter_map(Capability::name);
    names.map(str::to_ascii_lowercase).collect()
}

/// Kinds of rules that the operator's form does not have.
fn others(profile: &AppArmorProfile, omissions: &mut BTreeSet<Omission>) {
    for (direction, peer, rule) in profile.signals() {
        if direction == SignalDirection::Send && peer == Peer::Outside {
            let signals: Vec<_> = rule.signals.iter().map(u8::to_string).collect();
            omissions.insert(Omission::new(
                format!(
                    "sending signals {} out of the container",
                    signals.join(", ")
                ),
                "it is denied",
            ));
        }
    }
    if profile.traces().next().is_some() {
        omissions.insert(Omission::new(
            "what needs a debugger's rights (ptrace)",
            "it is denied, except reading what the base abstraction allows",
        ));
    }
    if let Division::Divided(_) = profile.division() {
        omissions.insert(Omission::new(
            "child profiles",
            "all programs run under the one profile",
        ));
    }
    for (text, _) in profile.mounts() {
        omissions.insert(Omission::new(text, "the operator denies mounting"));
    }
    for lost in profile.lost() {
        omissions.insert(Omission::new(lost.what.clone(), lost.reason));
    }
}

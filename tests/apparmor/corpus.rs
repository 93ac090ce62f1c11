//! Every AppArmor profile of the machine, audited: each rule is understood, and each finding that is high has its
//! reason here.
//!
//! `TRACER_APPARMOR_CORPUS` names more directories, with colons between them, such as packages of Debian that were
//! unpacked: each is a root with `etc/apparmor.d` or `usr/share/apparmor/extra-profiles` in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use syscalls::Abi;
use tracer_core::{
    audit::{self, Context, Finding, Included, Input, Severity, apparmor_policy::Policy},
    profile::seccomp::read::KernelVersion,
};
use tracer_tests::{Outcome, needs};

use super::{
    parser::PARSER,
    resolved::{ROOT, includes},
};

/// Profiles with high findings, the rules, and why the findings are true.
const JUSTIFIED: [(&str, &[&str], &str); 52] = [
    (
        "abstractions/base",
        &[WRITE_EXEC],
        "~/.Private holds what ecryptfs encrypts, programs too",
    ),
    (
        "abstractions/ubuntu-helpers",
        &[EVERYTHING, "apparmor-undefined-variable"],
        "sanitized_helper is for programs that nobody confined: it writes everywhere; variables are those of the profiles that include it",
    ),
    (
        "abstractions/evince",
        &[EVERYTHING],
        "includes ubuntu-helpers",
    ),
    (
        "abstractions/ubuntu-browsers.d/chromium-browser",
        &[EVERYTHING],
        "includes ubuntu-helpers",
    ),
    (
        "abstractions/ubuntu-browsers.d/plugins-common",
        &[EVERYTHING],
        "includes ubuntu-helpers",
    ),
    (
        "usr.bin.evince",
        &[EVERYTHING, WRITE_EXEC, HOST_FILES],
        "includes ubuntu-helpers; saves documents anywhere, and executes helpers in directories of programs",
    ),
    ("usr.bin.pidgin", &[EVERYTHING], "includes ubuntu-helpers"),
    ("usr.bin.totem", &[EVERYTHING], "includes ubuntu-helpers"),
    (
        "usr.lib.telepathy",
        &[EVERYTHING],
        "includes ubuntu-helpers",
    ),
    (
        "usr.bin.totem-previewers",
        &[WRITE_EXEC],
        "writes pictures anywhere, and executes helpers by pattern",
    ),
    (
        "usr.bin.tcpdump",
        &[WRITE_EXEC, HOST_FILES],
        "writes captures anywhere, and executes compressors by pattern",
    ),
    (
        "usr.bin.wireshark",
        &[WRITE_EXEC, HOST_FILES],
        "writes captures anywhere, and executes helpers by pattern",
    ),
    (
        "usr.lib.firefox.firefox",
        &[WRITE_EXEC],
        "its plugins are in the user's home, where it writes",
    ),
    (
        "usr.lib.libreoffice.program.soffice.bin",
        &[WRITE_EXEC],
        "writes below its own directory of programs",
    ),
    ("apache2.d/phpsysinfo", &[DEVICE], "reads /proc/kcore"),
    (
        "etc.cron.daily.logrotate",
        &[UNCONFINED],
        "initctl and runlevel run with ux",
    ),
    (
        "libvirt/TEMPLATE.lxc",
        &[EVERYTHING],
        "a container of libvirt has file, and capability,",
    ),
    (
        "nvidia_modprobe",
        &[CAPABILITY],
        "loads a module of the kernel",
    ),
    ("sbin.dhclient", &[UNCONFINED], "its script runs with Uxr"),
    (
        "sbin.dhcpcd",
        &[CAPABILITY, UNCONFINED],
        "has sys_admin, and scripts run with Ux",
    ),
    (
        "sbin.klogd",
        &[CAPABILITY],
        "has sys_admin, for syslog(2) of old kernels",
    ),
    (
        "sbin.resmgrd",
        &[DEVICE],
        "manages devices: /dev/mem is one",
    ),
    (
        "usr.bin.man",
        &[EVERYTHING],
        "has /** mrixwlk, and says why",
    ),
    ("usr.bin.mlmmj-make-ml.sh", &[CAPABILITY], "has sys_admin"),
    (
        "usr.bin.passwd",
        &[HOST_FILES],
        "changes /etc/shadow: its task",
    ),
    (
        "usr.sbin.useradd",
        &[HOST_FILES],
        "changes the users: its task",
    ),
    (
        "usr.sbin.userdel",
        &[HOST_FILES],
        "changes the users: its task",
    ),
    ("usr.bin.surf", &[UNCONFINED], "curl runs with Ux"),
    (
        "usr.lib.libvirt.virt-aa-helper",
        &[UNCONFINED, HOST_FILES],
        "writes profiles, and runs apparmor_parser with Ux: its task",
    ),
    (
        "usr.sbin.libvirtd",
        &[
            EVERYTHING,
            CAPABILITY,
            "apparmor-deny-bypass",
            "apparmor-ptrace",
            UNCONFINED,
        ],
        "\"very lenient\", as it says: guests are confined, not the daemon",
    ),
    (
        "usr.lib.snapd.snap-confine.real",
        &[
            CAPABILITY,
            "apparmor-engine-socket",
            HOST_FILES,
            "apparmor-mount",
            "apparmor-proc-sys",
            "apparmor-ptrace",
            WRITE_EXEC,
        ],
        "prepares sandboxes as root: mounts, cgroups, udev rules",
    ),
    (
        "usr.sbin.cupsd",
        &[EVERYTHING, "apparmor-ptrace", WRITE_EXEC],
        "its third-party filters have file, and capability,; interfaces are scripts that it writes",
    ),
    (
        "usr.sbin.nscd",
        &[WRITE_EXEC],
        "its own cache is mapped by a rule with x",
    ),
    ("usr.sbin.smbd", &[CAPABILITY], "has sys_admin, for quotas"),
    (
        "usr.sbin.sshd",
        &[EVERYTHING, HOST_FILES, "apparmor-ptrace", UNCONFINED],
        "gives users their unconfined shells: its task",
    ),
    ("usr.sbin.sssd", &[CAPABILITY], "has sys_admin"),
    (
        "abstractions/lightdm",
        &[DEVICE, WRITE_EXEC],
        "a guest session may read and execute what is in /dev, /tmp and /var",
    ),
    (
        "lightdm-guest-session",
        &[CAPABILITY, DEVICE, WRITE_EXEC],
        "includes abstractions/lightdm, and Chromium's sandbox has sys_admin",
    ),
    (
        "abstractions/lightdm_chromium-browser",
        &[CAPABILITY, DEVICE],
        "Chromium's sandbox has sys_admin; includes abstractions/lightdm",
    ),
    (
        "lxc/container-base",
        &[EVERYTHING, DENY_BYPASS, MOUNT],
        "a container is its own root: `capability,`, and bind mounts of what it denies",
    ),
    (
        "lxc/start-container",
        &[EVERYTHING, CHANGE_PROFILE, MOUNT, PTRACE],
        "starts containers: it mounts, and changes to their profiles",
    ),
    (
        "lxc-containers",
        LXC,
        "includes container-base and start-container",
    ),
    ("lxc/lxc-default", LXC, "includes container-base"),
    ("lxc/lxc-default-cgns", LXC, "includes container-base"),
    (
        "lxc/lxc-default-with-mounting",
        LXC,
        "includes container-base",
    ),
    (
        "lxc/lxc-default-with-nesting",
        LXC,
        "includes container-base and start-container",
    ),
    ("usr.bin.lxc-start", LXC, "includes start-container"),
    (
        "abstractions/passt",
        &[CAPABILITY, MOUNT],
        "makes its own sandbox: mounts and sys_admin",
    ),
    (
        "abstractions/pasta",
        &[CAPABILITY, MOUNT, UNCONFINED],
        "includes passt; runs the user's commands with Ux: its task",
    ),
    (
        "usr.bin.passt",
        &[CAPABILITY, MOUNT, UNCONFINED],
        "includes passt and pasta",
    ),
    (
        "usr.sbin.apache2",
        &[EVERYTHING, DEVICE, WRITE_EXEC],
        "has /** mrwlkix, and says that sites are confined by hats; one of them reads /proc/kcore",
    ),
    (
        "usr.sbin.haveged",
        &[CAPABILITY],
        "has sys_admin, to feed the kernel's random numbers",
    ),
];

const CAPABILITY: &str = "apparmor-capability";
const CHANGE_PROFILE: &str = "apparmor-change-profile";
const DENY_BYPASS: &str = "apparmor-deny-bypass";
const DEVICE: &str = "apparmor-raw-device";
const EVERYTHING: &str = "apparmor-allows-everything";
const HOST_FILES: &str = "apparmor-host-files";
/// What the profiles of LXC's containers and of its own program are open for.
const LXC: &[&str] = &[EVERYTHING, DENY_BYPASS, CHANGE_PROFILE, MOUNT, PTRACE];
const MOUNT: &str = "apparmor-mount";
const PTRACE: &str = "apparmor-ptrace";
const UNCONFINED: &str = "apparmor-unconfined-exec";
const WRITE_EXEC: &str = "apparmor-write-exec";

/// The files below a directory.
fn files(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, into);
        } else if path.is_file() && !path.ends_with("README") {
            into.push(path);
        }
    }
}

/// The roots that have profiles.
fn roots() -> Vec<PathBuf> {
    let more = env::var("TRACER_APPARMOR_CORPUS").unwrap_or_default();
    let more = more.split(':').filter(|root| !root.is_empty());
    [PathBuf::from("/")]
        .into_iter()
        .chain(more.map(PathBuf::from))
        .collect()
}

#[test]
fn every_shipped_profile_is_understood() -> Outcome {
    needs!(PARSER);
    let roots = roots();
    let mut all = Vec::new();
    for root in &roots {
        for place in ["etc/apparmor.d", "usr/share/apparmor/extra-profiles"] {
            files(&root.join(place), &mut all);
        }
    }
    let lookup = |name: &str| {
        let found = roots
            .iter()
            .map(|root| includes(&root.join("etc/apparmor.d"), name));
        let mut found = found.filter(|it| !matches!(it, Included::Missing));
        found.next().unwrap_or(Included::Missing)
    };
    let context = Context {
        includes: &lookup,
        ..Context::new(Abi::X86_64, KernelVersion::new(6, 1))
    };
    let (mut profiles, mut rules) = (0, 0);
    let mut counts: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
    let mut unjustified = BTreeSet::new();
    let mut longest = Duration::ZERO;
    for path in &all {
        let Ok(input) = Input::new(path.display().to_string(), fs::read(path)?) else {
            continue;
        };
        // Descriptions of features and files of comments are no profiles.
        let Ok(policy) = Policy::from_input(&input, &lookup) else {
            continue;
        };
        profiles += policy.names().count();
        rules += policy.rule_count();
        let begin = Instant::now();
        let report = audit::run(&[input], &context);
        longest = longest.max(begin.elapsed());
        for finding in &report.findings {
            *counts.entry((finding.severity, finding.id)).or_default() += 1;
            ensure!(finding.id != "apparmor-not-understood", "{finding:?}");
            if finding.severity >= Severity::High && !is_justified(path, finding) {
                let name = path.file_name().context("a name")?.display();
                unjustified.insert(format!("{name}: {}: {}", finding.id, finding.message));
            }
        }
    }
    println!(
        "{} files, {profiles} profiles, {rules} rules with included ones, {longest:?} for the longest",
        all.len()
    );
    for ((severity, id), count) in &counts {
        println!("{severity} {id}: {count}");
    }
    ensure!(unjustified.is_empty(), "{unjustified:#?}");
    ensure!(profiles > 0, "{ROOT} has no profile");
    Ok(())
}

fn is_justified(path: &Path, finding: &Finding) -> bool {
    // Drafts are shipped in complain mode, and say so: the finding repeats it (README.Debian of apparmor-profiles).
    if finding.id == "apparmor-complain" {
        return true;
    }
    let path = path.display().to_string();
    JUSTIFIED
        .iter()
        .any(|(file, ids, _)| path.ends_with(file) && ids.contains(&finding.id))
}

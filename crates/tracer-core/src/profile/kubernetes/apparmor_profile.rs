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
        AppArmorOmission, FileOmission, Limit, Remedy, Rendering, TargetError,
        apparmor::{AppArmorProfile, Division, FileRule, Pattern, Permissions},
        omissions::by_words,
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
    let omissions = by_words(omissions);
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
    Limit::ObjectBytes {
        kind: "AppArmorProfile",
    }
    .check(text.len(), Remedy::FewerPaths)?;
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
        omissions: &mut BTreeSet<AppArmorOmission>,
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
            omissions.insert(FileOmission::Owner { rules: owners }.into());
        }
        for (new, old, _) in profile.links() {
            omissions.insert(
                FileOmission::LinkTarget {
                    link: new.for_operator(spaces).operator_text(),
                    target: old.for_operator(spaces).operator_text(),
                }
                .into(),
            );
        }
        files
    }

    fn add(
        &mut self,
        (pattern, made): (&Pattern, &Pattern),
        rule: &FileRule,
        neighbours: &Neighbours<'_>,
        operator: Operator,
        omissions: &mut BTreeSet<AppArmorOmission>,
    ) {
        let needed = rule.permissions | rule.owner;
        let path = made.operator_text();
        if made != pattern {
            for original in rule.paths.keys() {
                omissions.insert(
                    FileOmission::Path {
                        path: original.clone(),
                        pattern: path.clone(),
                    }
                    .into(),
                );
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
            omissions.insert(FileOmission::Lock { path: path.clone() }.into());
        }
        let locks = locks && operator == Operator::V1;
        if needed.has_any(writes()) || locks {
            let readable = reads || executes || maps || overlaps(READS);
            if !needed.has_any(writes()) {
                omissions.insert(FileOmission::LockOnly { path: path.clone() }.into());
            }
            if readable {
                if !reads && !executes && !maps {
                    omissions.insert(FileOmission::WriteOnly { path: path.clone() }.into());
                }
                self.both.insert(path);
            } else {
                self.write.insert(path);
            }
        } else if reads && !(maps || (executes && operator == Operator::V1)) {
            if overlaps(writes() | Permissions::LOCK) {
                omissions.insert(FileOmission::ReadOnly { path: path.clone() }.into());
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
    omissions: &mut BTreeSet<AppArmorOmission>,
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
        omissions.insert(
            FileOmission::Denied {
                permissions: needed,
                path: path.to_owned(),
            }
            .into(),
        );
    }
}

fn network(
    profile: &AppArmorProfile,
    operator: Operator,
    omissions: &mut BTreeSet<AppArmorOmission>,
) -> Map {
    const STREAM: u16 = 1;
    const DGRAM: u16 = 2;
    const RAW: u16 = 3;
    const UNIX: u16 = 1;
    const INET: [u16; 2] = [2, 10];
    let open = profile.unseen().any(|it| it == ObservationKind::Sockets);
    if open {
        omissions.insert(AppArmorOmission::UnobservedSockets);
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
                omissions.insert(AppArmorOmission::RawSockets { family, kind });
            }
            _ => {
                omissions.insert(AppArmorOmission::Sockets { family, kind });
            }
        }
    }
    if operator == Operator::V0_10
        && (tcp || udp)
        && profile.networks().any(|((it, _), _)| it == 10)
    {
        omissions.insert(AppArmorOmission::Ipv6);
    }
    let protocols = Map::new().with("allowTcp", tcp).with("allowUdp", udp);
    Map::new()
        .with("allowRaw", raw)
        .with("allowedProtocols", protocols)
}

fn capabilities(
    profile: &AppArmorProfile,
    omissions: &mut BTreeSet<AppArmorOmission>,
) -> Vec<String> {
    let all = profile
        .unseen()
        .any(|it| it == ObservationKind::Capabilities);
    let needed: Vec<_> = if all {
        omissions.insert(AppArmorOmission::UnobservedCapabilities);
        Capability::all().collect()
    } else {
        profile.capabilities().map(|(one, _)| one).collect()
    };
    let names = needed.into_iter().filter_map(Capability::name);
    names.map(str::to_ascii_lowercase).collect()
}

/// Kinds of rules that the operator's form does not have.
fn others(profile: &AppArmorProfile, omissions: &mut BTreeSet<AppArmorOmission>) {
    for (direction, peer, rule) in profile.signals() {
        if direction == SignalDirection::Send && peer == Peer::Outside {
            omissions.insert(AppArmorOmission::Signals {
                signals: rule.signals.iter().copied().collect(),
            });
        }
    }
    if profile.traces().next().is_some() {
        omissions.insert(AppArmorOmission::Ptrace);
    }
    if let Division::Divided(_) = profile.division() {
        omissions.insert(AppArmorOmission::ChildrenOfOperator);
    }
    for (text, _) in profile.mounts() {
        let rule = text.to_owned();
        omissions.insert(AppArmorOmission::Mount { rule });
    }
    let lost = profile.lost().cloned();
    omissions.extend(lost.map(AppArmorOmission::Lost));
}

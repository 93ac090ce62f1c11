//! The model of an AppArmor profile, and how it follows from recordings.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    files::{FileRule, Gathered},
    generalise::Policy,
    ipc::IpcRule,
    links::{self, LinkRule},
    mounts::{self, MountRule},
    network::{self, NetworkRule},
    pattern::Pattern,
    permissions::Permissions,
};
use crate::{
    capability::Capability,
    profile::seccomp::ExecPolicy,
    recording::{
        Call, CapabilityUse, Executable, FileAccess, FilePath, FileUse, MountUse, Peer, Phase,
        Recording, Seen, SignalDirection, SocketUse, TraceDirection, Witness,
    },
};

/// Kinds of observation, as `providers` of a recording name them.
pub mod kind {
    /// Files.
    pub const FILES: &str = "files";
    /// Capabilities.
    pub const CAPABILITIES: &str = "capabilities";
    /// Sockets.
    pub const SOCKETS: &str = "sockets";
    /// Signals.
    pub const SIGNALS: &str = "signals";
    /// What needs a debugger's rights.
    pub const TRACES: &str = "traces";
    /// Changes of the mount tree.
    pub const MOUNTS: &str = "mounts";
}

/// What a profile is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Its name; `None`: the workload's.
    pub name: Option<String>,
    /// Whether it only reports what it would deny.
    pub complain: bool,
    /// How far paths are generalised.
    pub generalise: Policy,
    /// Which programs count that were put into a running container.
    pub exec: ExecPolicy,
    /// Whether to add what staging hardly ever shows.
    pub essential: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: None,
            complain: false,
            generalise: Policy::default(),
            exec: ExecPolicy::default(),
            essential: true,
        }
    }
}

/// A capability that is allowed, or was only probed for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapabilityRule {
    /// Who used it.
    pub executables: BTreeSet<Executable>,
    /// In which calls, where that is known.
    pub calls: BTreeSet<Call>,
    /// Whether it was only ever used in a user namespace of the workload's own. AppArmor asks for it
    /// there too; the container's own capabilities need not have it.
    pub only_own_namespace: bool,
}

/// Something that was seen and that no rule can say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// What, in the recording's words.
    pub what: String,
    /// Why.
    pub reason: &'static str,
}

/// What is allowed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppArmorProfile {
    pub(super) name: String,
    pub(super) workload: String,
    pub(super) complain: bool,
    pub(super) essential: bool,
    pub(super) policy: Policy,
    pub(super) files: BTreeMap<Pattern, FileRule>,
    pub(super) links: BTreeMap<(Pattern, Pattern), LinkRule>,
    pub(super) capabilities: BTreeMap<Capability, CapabilityRule>,
    pub(super) probes: BTreeMap<Capability, CapabilityRule>,
    pub(super) networks: BTreeMap<(u16, u16), NetworkRule>,
    pub(super) signals: BTreeMap<(SignalDirection, Peer), IpcRule>,
    pub(super) traces: BTreeMap<(TraceDirection, Peer), IpcRule>,
    pub(super) mounts: BTreeMap<String, MountRule>,
    pub(super) left_out: BTreeMap<FilePath, BTreeSet<Executable>>,
    pub(super) lost: BTreeSet<Lost>,
    pub(super) unseen: BTreeSet<&'static str>,
}

/// Longest path that AppArmor asks about (`aa_g_path_max`, security/apparmor/lsm.c).
const PATH_MAX: usize = 8192;

impl AppArmorProfile {
    /// The profile under which all of `recordings` could run again; `None` when there is none, or when
    /// files were observed in none of them: a profile that was made without would allow no file.
    ///
    /// Only what was observed decides, not who first did it, when or how often.
    pub fn from_recordings(recordings: &[Recording], options: &Options) -> Option<Self> {
        let workload = recordings.first()?.workload.name.clone();
        let observed = |kind: &str| {
            let has = |recording: &Recording| recording.providers.iter().any(|it| it.kind == kind);
            recordings.iter().all(has)
        };
        if !observed(kind::FILES) {
            return None;
        }
        let kinds = [
            kind::CAPABILITIES,
            kind::SOCKETS,
            kind::SIGNALS,
            kind::TRACES,
            kind::MOUNTS,
        ];
        let mut making = Making {
            exec: options.exec,
            gathered: Gathered::default(),
            pairs: BTreeMap::new(),
            runs: BTreeSet::new(),
            base: 0,
            profile: Self {
                name: options.name.clone().unwrap_or_else(|| workload.clone()),
                workload,
                complain: options.complain,
                essential: options.essential,
                policy: options.generalise,
                files: BTreeMap::new(),
                links: BTreeMap::new(),
                capabilities: BTreeMap::new(),
                probes: BTreeMap::new(),
                networks: BTreeMap::new(),
                signals: BTreeMap::new(),
                traces: BTreeMap::new(),
                mounts: BTreeMap::new(),
                left_out: BTreeMap::new(),
                lost: BTreeSet::new(),
                unseen: kinds.into_iter().filter(|kind| !observed(kind)).collect(),
            },
        };
        for recording in recordings {
            making.add(recording);
        }
        Some(making.finish())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it only reports.
    pub fn complain(&self) -> bool {
        self.complain
    }

    /// Whether the essential layer is in it.
    pub fn essential(&self) -> bool {
        self.essential
    }

    /// How far paths were generalised.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Rules for files, in the order of output.
    pub fn files(&self) -> impl Iterator<Item = (&Pattern, &FileRule)> {
        self.files.iter()
    }

    /// Rules for hard links: the new name, the old one, and what is behind it.
    pub fn links(&self) -> impl Iterator<Item = (&Pattern, &Pattern, &LinkRule)> {
        self.links.iter().map(|((new, old), rule)| (new, old, rule))
    }

    /// Capabilities that are allowed.
    pub fn capabilities(&self) -> impl Iterator<Item = (Capability, &CapabilityRule)> {
        self.capabilities.iter().map(|(one, rule)| (*one, rule))
    }

    /// Capabilities that the kernel only probed for: it went on without, so they are not allowed.
    pub fn probes(&self) -> impl Iterator<Item = (Capability, &CapabilityRule)> {
        self.probes.iter().map(|(one, rule)| (*one, rule))
    }

    /// Families and types of sockets, by number.
    pub fn networks(&self) -> impl Iterator<Item = ((u16, u16), &NetworkRule)> {
        self.networks.iter().map(|(key, rule)| (*key, rule))
    }

    /// Signals that were seen.
    pub fn signals(&self) -> impl Iterator<Item = (SignalDirection, Peer, &IpcRule)> {
        self.signals
            .iter()
            .map(|((direction, peer), rule)| (*direction, *peer, rule))
    }

    /// Uses of a debugger's rights that were seen.
    pub fn traces(&self) -> impl Iterator<Item = (TraceDirection, Peer, &IpcRule)> {
        self.traces
            .iter()
            .map(|((direction, peer), rule)| (*direction, *peer, rule))
    }

    /// Changes of the mount tree, as the rules' text.
    pub fn mounts(&self) -> impl Iterator<Item = (&str, &MountRule)> {
        self.mounts.iter().map(|(text, rule)| (text.as_str(), rule))
    }

    /// Files that only programs used that do not count.
    pub fn left_out(&self) -> impl Iterator<Item = (&FilePath, &BTreeSet<Executable>)> {
        self.left_out.iter()
    }

    /// What was seen and that no rule can say.
    pub fn lost(&self) -> impl Iterator<Item = &Lost> {
        self.lost.iter()
    }

    /// Kinds that were not observed; see [`kind`].
    pub fn unseen(&self) -> impl Iterator<Item = &'static str> {
        self.unseen.iter().copied()
    }

    /// Whether it allows an access to a path, to the file's owner or to anyone.
    pub fn allows(&self, path: &FilePath, needed: Permissions, as_owner: bool) -> bool {
        let matching = self
            .files
            .iter()
            .filter(|(pattern, _)| pattern.matches(path));
        let allowed = matching.fold(Permissions::NONE, |all, (_, rule)| {
            let owner = if as_owner {
                rule.owner
            } else {
                Permissions::NONE
            };
            all | rule.permissions | owner
        });
        allowed.contains(needed)
    }
}

/// A profile while it is made.
struct Making {
    exec: ExecPolicy,
    gathered: Gathered,
    /// Links by their new and old names.
    pairs: BTreeMap<(FilePath, FilePath), BTreeSet<Executable>>,
    runs: BTreeSet<u32>,
    /// What to add to a recording's numbers of instances.
    base: u32,
    profile: AppArmorProfile,
}

impl Making {
    fn add(&mut self, recording: &Recording) {
        let ran: BTreeSet<_> = recording
            .syscalls
            .iter()
            .flat_map(|syscall| &syscall.evidence)
            .filter(|who| self.exec.counts(who.phase))
            .map(|who| who.executable.clone())
            .collect();
        for seen in &recording.files {
            self.file(seen, &ran);
        }
        for executable in &ran {
            if let Executable::Path(path) = executable
                && is_lasting(path)
            {
                self.gathered.ran(path, executable);
            }
        }
        for seen in &recording.capabilities {
            self.capability(seen);
        }
        for seen in &recording.sockets {
            self.socket(seen);
        }
        for seen in &recording.signals {
            let who = self.who(&seen.evidence);
            if !who.is_empty() {
                let key = (seen.what.direction, seen.what.peer);
                let rule = self.profile.signals.entry(key).or_default();
                rule.signals.insert(seen.what.signal);
                rule.executables.extend(who);
            }
        }
        for seen in &recording.traces {
            let who = self.who(&seen.evidence);
            if !who.is_empty() {
                let key = (seen.what.direction, seen.what.peer);
                self.profile
                    .traces
                    .entry(key)
                    .or_default()
                    .executables
                    .extend(who);
            }
        }
        for seen in &recording.mounts {
            self.mount(seen);
        }
        let count = u32::try_from(recording.runs()).unwrap_or(u32::MAX);
        self.base = self.base.saturating_add(count);
    }

    /// Those of the witnesses that count.
    fn who(&self, evidence: &[Witness]) -> BTreeSet<Executable> {
        let counting = evidence.iter().filter(|who| self.exec.counts(who.phase));
        counting.map(|who| who.executable.clone()).collect()
    }

    fn lose(&mut self, what: String, reason: &'static str) {
        self.profile.lost.insert(Lost { what, reason });
    }

    fn file(&mut self, seen: &Seen<FileUse>, ran: &BTreeSet<Executable>) {
        let file = &seen.what;
        let counting: Vec<_> = seen
            .evidence
            .iter()
            .filter(|who| self.exec.counts(who.phase) || starts_the_workload(file, who, ran))
            .collect();
        if counting.is_empty() {
            let later = seen
                .evidence
                .iter()
                .filter(|who| matches!(who.phase, Phase::Exec | Phase::Terminal));
            for who in later {
                let left_out = self.profile.left_out.entry(file.path.clone()).or_default();
                left_out.insert(who.executable.clone());
            }
            return;
        }
        if let Some(reason) = unsayable(file) {
            return self.lose(
                format!("{} {}", access_in_words(file.access), file.path),
                reason,
            );
        }
        let runs: BTreeSet<_> = counting
            .iter()
            .flat_map(|who| &who.instances)
            .map(|run| self.base.saturating_add(*run))
            .collect();
        let executables: BTreeSet<_> = counting.iter().map(|who| who.executable.clone()).collect();
        // A program that the runtime starts is read and mapped under the profile, and executed before.
        let is_start = counting.iter().all(|who| !self.exec.counts(who.phase));
        let mut needed = Permissions::needed_by(file.access);
        if is_start {
            needed = needed.without(Permissions::EXECUTE);
        }
        if file.access == FileAccess::Link {
            if let Some(old) = &file.target {
                let pair = self
                    .pairs
                    .entry((file.path.clone(), old.clone()))
                    .or_default();
                pair.extend(executables.iter().cloned());
                self.gathered.mention(old, runs.iter().copied());
            } else {
                self.lose(
                    format!("linking {}", file.path),
                    "what it gave a name to is not known",
                );
            }
        }
        self.runs.extend(runs.iter().copied());
        self.gathered
            .add(file, needed, runs.into_iter(), executables.into_iter());
    }

    fn capability(&mut self, seen: &Seen<CapabilityUse>) {
        let who = self.who(&seen.evidence);
        if who.is_empty() {
            return;
        }
        let CapabilityUse {
            capability,
            audited,
            own_namespace,
        } = seen.what;
        if capability.name().is_none() {
            return self.lose(capability.to_string(), "the parser has no name for it");
        }
        let rules = if audited == Some(false) {
            &mut self.profile.probes
        } else {
            &mut self.profile.capabilities
        };
        let rule = rules.entry(capability).or_insert_with(|| CapabilityRule {
            only_own_namespace: true,
            ..CapabilityRule::default()
        });
        rule.executables.extend(who);
        let counting = seen
            .evidence
            .iter()
            .filter(|who| self.exec.counts(who.phase));
        rule.calls.extend(counting.filter_map(|who| who.call));
        rule.only_own_namespace &= own_namespace;
    }

    fn socket(&mut self, seen: &Seen<SocketUse>) {
        let who = self.who(&seen.evidence);
        if who.is_empty() {
            return;
        }
        let socket = &seen.what;
        if network::family(socket.family).is_none() {
            return self.lose(
                format!("socket of family {}", socket.family),
                "the parser has no name for the family",
            );
        }
        if network::kind(socket.kind).is_none() {
            return self.lose(
                format!(
                    "socket of family {} and type {}",
                    socket.family, socket.kind
                ),
                "the parser has no name for the type",
            );
        }
        let rule = self
            .profile
            .networks
            .entry((socket.family, socket.kind))
            .or_default();
        rule.operations.insert(socket.operation);
        rule.addresses.extend(socket.address.clone());
        rule.more |= socket.more;
        rule.executables.extend(who);
    }

    fn mount(&mut self, seen: &Seen<MountUse>) {
        let who = self.who(&seen.evidence);
        if who.is_empty() {
            return;
        }
        match mounts::text(&seen.what) {
            Ok(text) => self
                .profile
                .mounts
                .entry(text)
                .or_default()
                .executables
                .extend(who),
            Err(reason) => self.lose(format!("mount at {}", seen.what.target), reason),
        }
    }

    fn finish(mut self) -> AppArmorProfile {
        let general = self.gathered.generalise(&self.runs, self.profile.policy);
        self.profile.files = self.gathered.rules(&general);
        for ((new, old), executables) in self.pairs {
            let pattern = |path| general.get(path).map(|it| it.pattern.clone());
            if let (Some(new_pattern), Some(old_pattern)) = (pattern(&new), pattern(&old)) {
                let rule = self
                    .profile
                    .links
                    .entry((new_pattern, old_pattern))
                    .or_default();
                rule.paths.insert((new, old));
                rule.executables.extend(executables);
            }
        }
        links::decide_subset(&mut self.profile.links, &self.profile.files);
        let refused: Vec<_> = self
            .profile
            .files
            .keys()
            .filter(|it| it.token().is_none())
            .cloned()
            .collect();
        for pattern in refused {
            let paths = self.profile.files.remove(&pattern).map(|rule| rule.paths);
            for path in paths.into_iter().flatten().map(|(path, _)| path) {
                self.profile.lost.insert(Lost {
                    what: path.to_string(),
                    reason: "spelled out, it is longer than what the parser reads as one word",
                });
            }
        }
        self.profile
    }
}

/// Whether an access belongs to the start of the workload: the kernel reads and maps what it executes,
/// and its interpreter, on the thread that is still the runtime's.
fn starts_the_workload(file: &FileUse, who: &Witness, ran: &BTreeSet<Executable>) -> bool {
    let starts = matches!(
        file.access,
        FileAccess::Execute | FileAccess::MapExecutable | FileAccess::Read
    );
    let in_exec = who.call.is_some_and(|call| {
        let name = call.abi.syscall_name(call.nr);
        matches!(name, Some("execve" | "execveat"))
    });
    match who.phase {
        _ if !starts || !in_exec => false,
        Phase::Window => true,
        // Hooks run in this phase too; what runs later does not.
        Phase::Setup => {
            let path = file.path.to_string();
            let runs = |path: &str| ran.contains(&Executable::Path(path.to_owned()));
            runs(&path) || path.strip_prefix("/usr").is_some_and(runs)
        }
        _ => false,
    }
}

/// Whether an executable's path means the same file the next time.
fn is_lasting(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("/proc/") && !path.starts_with("/dev/fd/")
}

/// Why no rule can be made for a file; `None` when one can.
fn unsayable(file: &FileUse) -> Option<&'static str> {
    let bad = |path: &FilePath| {
        let bytes = path.as_bytes();
        let mut names = bytes
            .strip_suffix(b"/")
            .unwrap_or(bytes)
            .split(|byte| *byte == b'/')
            .skip(1);
        if bytes.is_empty() {
            Some("it has no path")
        } else if bytes.contains(&0) || (bytes.len() > 1 && names.any(<[u8]>::is_empty)) {
            Some("no path of the kernel's looks like this")
        } else if bytes.len() >= PATH_MAX {
            Some("AppArmor denies paths of 8192 bytes and more, whatever a profile says")
        } else if !bytes.starts_with(b"/") && !file.detached {
            Some("it has a name and no path (memory, a pipe): AppArmor does not ask about it")
        } else {
            None
        }
    };
    if file.truncated {
        return Some("the path was too long to be kept whole");
    }
    if file.more && !file.path.is_directory() {
        return Some("it is not known in which directory");
    }
    bad(&file.path).or_else(|| file.target.as_ref().and_then(bad))
}

/// What was done, for a reviewer.
const fn access_in_words(access: FileAccess) -> &'static str {
    match access {
        FileAccess::Read => "reading",
        FileAccess::Write => "writing",
        FileAccess::Append => "appending",
        FileAccess::Create => "making",
        FileAccess::MakeDirectory => "making the directory",
        FileAccess::Symlink => "making the symbolic link",
        FileAccess::Link => "linking",
        FileAccess::Remove => "removing",
        FileAccess::RemoveDirectory => "removing the directory",
        FileAccess::RenameFrom => "renaming",
        FileAccess::RenameTo => "renaming to",
        FileAccess::ChangeMode => "changing the mode",
        FileAccess::ChangeOwner => "changing the owner",
        FileAccess::Truncate => "truncating",
        FileAccess::Lock => "locking",
        FileAccess::Execute => "executing",
        FileAccess::MapExecutable => "mapping",
        FileAccess::Connect => "connecting to",
    }
}

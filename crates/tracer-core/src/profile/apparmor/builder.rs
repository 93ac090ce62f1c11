//! How a profile follows from recordings.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    capabilities::{self, CapabilityEvidence},
    children::{self, Division},
    excluded::{self, Excluded},
    files::{Gathered, Use},
    generalise::{self, Given},
    ipc, links,
    lost::{Lost, LostReason},
    model::{AppArmorProfile, Options},
    mounts, network,
    permissions::Permissions,
    ptrace, startup,
    unsupported::{describe_access, unsupported_reason},
};
use crate::{
    profile::seccomp::ExecPolicy,
    recording::{
        AccessEvidence, CapabilityUse, Executable, FileAccess, FilePath, FileUse, MountUse,
        ObservationKind, ObservedAccess, Recording, SignalUse, SocketUse,
    },
};
use syscalls::capability::Capability;

/// `CAP_SETUID`.
const SETUID: Capability = Capability::from_number(7);

impl AppArmorProfile {
    /// The profile under which all of `recordings` could run again; `None` when there is none, or when
    /// files were not observed in one of them: a profile that was made without would allow no file.
    ///
    /// Only what was observed decides, not who first did it, when or how often.
    ///
    /// ```
    /// use tracer_core::profile::apparmor::{AppArmorProfile, Options};
    /// # let recording = tracer_core::profile::apparmor::fixture::web();
    ///
    /// let profile = AppArmorProfile::from_recordings(&[recording], &Options::default()).unwrap();
    /// let text = profile.to_text();
    /// assert!(text.contains("/etc/nginx/nginx.conf r,"), "{text}");
    /// assert!(text.contains("capability net_bind_service,"), "{text}");
    /// ```
    pub fn from_recordings(recordings: &[Recording], options: &Options) -> Option<Self> {
        let workload = recordings.first()?.workload.name.clone();
        let observed = |kind: ObservationKind| {
            let has = |recording: &Recording| recording.providers.iter().any(|it| it.kind == kind);
            recordings.iter().all(has)
        };
        if !observed(ObservationKind::Files) {
            return None;
        }
        let kinds = [
            ObservationKind::Capabilities,
            ObservationKind::Sockets,
            ObservationKind::Signals,
            ObservationKind::Traces,
            ObservationKind::Mounts,
        ];
        let may_have_traced = recordings
            .iter()
            .any(|recording| ptrace::may_use_ptrace(recording, options.exec));
        let mut making = Builder {
            exec: options.exec,
            gathered: Gathered::default(),
            pairs: BTreeMap::new(),
            runs: BTreeSet::new(),
            base: 0,
            given: Given::default(),
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
                exec_capabilities: BTreeMap::new(),
                networks: BTreeMap::new(),
                signals: BTreeMap::new(),
                traces: BTreeMap::new(),
                mounts: BTreeMap::new(),
                excluded: BTreeMap::new(),
                lost: BTreeSet::new(),
                division: Division::Undivided,
                ptrace_not_monitored: !observed(ObservationKind::Traces) && !may_have_traced,
                unseen: kinds
                    .into_iter()
                    .filter(|kind| !observed(*kind))
                    .filter(|kind| *kind != ObservationKind::Traces || may_have_traced)
                    .collect(),
            },
        };
        for recording in recordings {
            making.add(recording);
        }
        let mut profile = making.finish();
        if options.children {
            profile.division = children::divide(recordings, options.exec, &profile);
        }
        Some(profile)
    }
}

/// A profile while it is made.
struct Builder {
    exec: ExecPolicy,
    gathered: Gathered,
    /// Links by their new and old names, and whether these are directories of more.
    pairs: BTreeMap<(FilePath, FilePath, bool), BTreeSet<Executable>>,
    runs: BTreeSet<u32>,
    /// What to add to a recording's numbers of instances.
    base: u32,
    /// What explains names.
    given: Given,
    profile: AppArmorProfile,
}

impl Builder {
    fn add(&mut self, recording: &Recording) {
        let ran: BTreeSet<_> = recording
            .syscalls
            .iter()
            .flat_map(|syscall| &syscall.evidence)
            .filter(|who| self.exec.counts(who.phase))
            .map(|who| who.executable.clone())
            .collect();
        for argument in recording.commands().flatten() {
            self.given.argument(argument.as_bytes());
        }
        for executable in &ran {
            if let Executable::Path(path) = executable {
                self.given.program(path);
            }
        }
        // Today's recordings say of each file that was opened with `O_CREAT` whether it was there.
        let silent = |file: &FileUse| {
            file.access == FileAccess::Create && !file.more && file.provenance.is_none()
        };
        if recording.files.iter().any(|seen| silent(&seen.what)) {
            self.given.forget_makers();
        }
        let mut providers = recording.providers.iter();
        let tells_owner =
            !providers.any(|it| it.kind == ObservationKind::Files && it.provider.is_syscall_exit());
        for seen in &recording.files {
            // AppArmor is not asked.
            if seen.what.access != FileAccess::CheckWritable {
                self.file(seen, &ran, tells_owner);
            }
        }
        // Of these the kernel told by which path it executed them; the name that was asked for may lead
        // through links, and the kernel never asks about that.
        let told: BTreeSet<_> = recording
            .files
            .iter()
            .filter(|seen| {
                let access = seen.what.access;
                matches!(access, FileAccess::Execute | FileAccess::MapExecutable)
            })
            .flat_map(|seen| &seen.evidence)
            .filter(|who| startup::is_in_exec(who))
            .map(|who| &who.executable)
            .collect();
        for executable in &ran {
            if let Executable::Path(path) = executable
                && startup::is_lasting(path)
                && !told.contains(executable)
            {
                self.gathered.ran(path, executable);
            }
        }
        for seen in &recording.capabilities {
            self.capability(recording, seen);
        }
        for seen in &recording.sockets {
            self.socket(seen);
        }
        for seen in &recording.signals {
            self.signal(seen);
        }
        for seen in &recording.traces {
            let who = self.who(&seen.evidence);
            let key = (seen.what.direction, seen.what.peer);
            if who.is_empty() {
                self.leave_out(Excluded::Trace(key.0, key.1), &seen.evidence);
            } else {
                let rule = self.profile.traces.entry(key).or_default();
                rule.executables.extend(who);
            }
        }
        for seen in &recording.mounts {
            self.mount(seen);
        }
        let count = u32::try_from(recording.runs()).unwrap_or(u32::MAX);
        self.base = self.base.saturating_add(count);
    }

    /// Those of the witnesses that count.
    fn who(&self, evidence: &[AccessEvidence]) -> BTreeSet<Executable> {
        let counting = evidence.iter().filter(|who| self.exec.counts(who.phase));
        counting.map(|who| who.executable.clone()).collect()
    }

    /// Notes what somebody's programs did and nobody's who counts.
    fn leave_out(&mut self, what: Excluded, evidence: &[AccessEvidence]) {
        let who: BTreeSet<_> = evidence
            .iter()
            .filter(excluded::came_later)
            .map(|who| who.executable.clone())
            .collect();
        if !who.is_empty() {
            self.profile.excluded.entry(what).or_default().extend(who);
        }
    }

    fn lose(&mut self, what: String, reason: LostReason) {
        self.profile.lost.insert(Lost { what, reason });
    }

    fn file(
        &mut self,
        seen: &ObservedAccess<FileUse>,
        ran: &BTreeSet<Executable>,
        tells_owner: bool,
    ) {
        let file = &seen.what;
        let counting: Vec<_> = seen
            .evidence
            .iter()
            .filter(|who| {
                self.exec.counts(who.phase) || startup::is_workload_startup(file, who, ran)
            })
            .collect();
        if counting.is_empty() {
            self.leave_out(
                Excluded::File(file.path.clone(), file.access),
                &seen.evidence,
            );
            return;
        }
        if let Some(reason) = unsupported_reason(file) {
            return self.lose(
                format!("{} {}", describe_access(file.access), file.path),
                reason,
            );
        }
        if file.more && matches!(file.access, FileAccess::Execute | FileAccess::MapExecutable) {
            return self.lose(
                format!(
                    "{} more files in {}",
                    describe_access(file.access),
                    file.path
                ),
                LostReason::ExecutableDirectory,
            );
        }
        let runs: BTreeSet<_> = counting
            .iter()
            .flat_map(|who| &who.instances)
            .map(|run| self.base.saturating_add(*run))
            .collect();
        let opened = matches!(
            file.access,
            // What was renamed may be open, and is asked about by its new name then.
            FileAccess::Read | FileAccess::Write | FileAccess::Append | FileAccess::RenameTo
        );
        // A program that the runtime starts is read and mapped under the profile, and executed before.
        let is_start = counting.iter().all(|who| !self.exec.counts(who.phase));
        let mut needed = Permissions::needed_by(file.access);
        if is_start {
            needed = needed.without(Permissions::EXECUTE);
        }
        let mut by = BTreeMap::<_, Use>::new();
        for who in &counting {
            let its = by.entry(who.executable.clone()).or_default();
            its.needed = needed;
            if opened && !startup::is_in_exec(who) {
                its.open = needed;
            }
        }
        if file.access == FileAccess::Link {
            if let Some(old) = &file.target {
                let pair = (file.path.clone(), old.clone(), file.more);
                let who = self.pairs.entry(pair).or_default();
                who.extend(by.keys().cloned());
                if !file.more {
                    self.gathered.mention(old, runs.iter().copied());
                }
            } else {
                self.lose(
                    format!("linking {}", file.path),
                    LostReason::UnknownLinkTarget,
                );
            }
        }
        self.runs.extend(runs.iter().copied());
        self.gathered
            .add(file, needed, tells_owner, runs.into_iter(), by);
    }

    fn capability(&mut self, recording: &Recording, seen: &ObservedAccess<CapabilityUse>) {
        let counting: Vec<_> = seen
            .evidence
            .iter()
            .filter(|who| self.exec.counts(who.phase))
            .collect();
        let capability = seen.what.capability;
        if counting.is_empty() {
            return self.leave_out(Excluded::Capability(capability), &seen.evidence);
        }
        if capability.name().is_none() {
            return self.lose(capability.to_string(), LostReason::UnnamedCapability);
        }
        for who in counting {
            let (rules, certain) =
                match capabilities::capability_evidence(recording, seen.what, who) {
                    _ if seen.what.by_exec => (&mut self.profile.exec_capabilities, true),
                    CapabilityEvidence::Probe => (&mut self.profile.probes, true),
                    // What is close to root is not given on suspicion: the review says what to try.
                    CapabilityEvidence::Use { certain: false } if capability.is_nearly_root() => {
                        (&mut self.profile.probes, false)
                    }
                    CapabilityEvidence::Use { certain } => {
                        (&mut self.profile.capabilities, certain)
                    }
                };
            let rule = rules.entry(capability).or_default();
            rule.executables.insert(who.executable.clone());
            rule.calls.extend(who.call);
            rule.certain |= certain;
            rule.container_need = rule
                .container_need
                .max(capabilities::container_need(recording, seen.what, who));
        }
    }

    fn socket(&mut self, seen: &ObservedAccess<SocketUse>) {
        let who = self.who(&seen.evidence);
        let socket = &seen.what;
        if who.is_empty() {
            let what = Excluded::Socket(socket.family, socket.kind);
            return self.leave_out(what, &seen.evidence);
        }
        if network::family(socket.family).is_none() {
            return self.lose(
                format!("socket of family {}", socket.family),
                LostReason::UnnamedFamily,
            );
        }
        if network::kind(socket.kind).is_none() {
            return self.lose(
                format!(
                    "socket of family {} and type {}",
                    socket.family, socket.kind
                ),
                LostReason::UnnamedSocketType,
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

    fn signal(&mut self, seen: &ObservedAccess<SignalUse>) {
        let who = self.who(&seen.evidence);
        let SignalUse {
            direction,
            signal,
            peer,
        } = seen.what;
        if who.is_empty() {
            let what = Excluded::Signal(direction, peer, signal);
            return self.leave_out(what, &seen.evidence);
        }
        if ipc::signal(signal).is_none() {
            return self.lose(format!("signal {signal}"), LostReason::UnnamedSignal);
        }
        let rule = self.profile.signals.entry((direction, peer)).or_default();
        rule.signals.insert(signal);
        rule.executables.extend(who);
    }

    fn mount(&mut self, seen: &ObservedAccess<MountUse>) {
        let who = self.who(&seen.evidence);
        let text = mounts::text(&seen.what);
        if who.is_empty() {
            // What no rule can say is in no rule.
            let text = text.unwrap_or_else(|_| format!("mount at {}", seen.what.target));
            return self.leave_out(Excluded::Mount(text), &seen.evidence);
        }
        match text {
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
        let given = std::mem::take(&mut self.given);
        let general = self
            .gathered
            .generalise(&self.runs, self.profile.policy, given);
        // A file that one user opened may be used by another after the change: the kernel asks again, and
        // then as whom the task runs (an nginx worker that writes the log that its master opened; seen
        // on 6.1).
        let changes_user = self.profile.capabilities.contains_key(&SETUID);
        for what in self.gathered.withhold_writes() {
            self.profile.lost.insert(Lost {
                what,
                reason: LostReason::WritableDirectory,
            });
        }
        self.profile.files = self.gathered.rules(&general, changes_user);
        for ((new, old, more), executables) in self.pairs {
            let pattern = |path| {
                if more {
                    Some(generalise::others_in(path, &general))
                } else {
                    general.get(path).map(|it| it.pattern.clone())
                }
            };
            if let (Some(new_pattern), Some(old_pattern)) = (pattern(&new), pattern(&old)) {
                let rule = self
                    .profile
                    .links
                    .entry((new_pattern, old_pattern))
                    .or_default();
                rule.paths.insert((new, old));
                rule.more |= more;
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
                    reason: LostReason::PatternTooLong,
                });
            }
        }
        let excluded = std::mem::take(&mut self.profile.excluded);
        self.profile.excluded = excluded
            .into_iter()
            .filter(|(what, _)| !what.is_allowed(&self.profile))
            .collect();
        self.profile
    }
}

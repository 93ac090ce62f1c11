//! The model of a seccomp profile, and how it follows from recordings.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ErrnoPolicy, Error, FallbackPolicy, HeadroomPolicy, Options, Rule, Translation,
    abis::{filtered_as, native_abis},
    arguments, error, fallback, headroom,
    oci::OciSeccomp,
    translation,
};
use crate::{
    profile::Layer,
    recording::{Blocked, Evidence, Executable, Phase, Recording, Syscall, SyscallId},
};
#[cfg(test)]
use syscalls::condition::Conditions;
use syscalls::{
    Abi, arguments::Mode, errno, essential, fallbacks::Fallback, headroom::Headroom, runtime_init,
    translate::Counterpart,
};

/// The calls of i386 that stand for many others, whose arguments they have in memory.
pub(crate) const MULTIPLEXERS: [&str; 2] = ["ipc", "socketcall"];

/// A call that was attempted, and stopped by a filter that was in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockedAttempt {
    /// The executables that attempted it.
    pub executables: BTreeSet<Executable>,
    /// What they saw of it.
    pub saw: BTreeSet<Blocked>,
}

/// A call that was observed and that a profile cannot name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownSyscall {
    /// The executables that were seen to make it.
    pub executables: BTreeSet<Executable>,
}

/// Which system calls are allowed, why, and what the others return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompProfile {
    architectures: BTreeSet<Abi>,
    rules: BTreeMap<&'static str, Rule>,
    fallbacks: BTreeMap<&'static str, Vec<Fallback>>,
    headroom: BTreeMap<&'static str, Vec<Headroom>>,
    replaced_clone3: Option<Rule>,
    refused: BTreeSet<&'static str>,
    absent: BTreeSet<&'static str>,
    blocked: BTreeMap<&'static str, BlockedAttempt>,
    excluded: BTreeMap<&'static str, BTreeSet<Executable>>,
    unnamed: BTreeMap<SyscallId, UnknownSyscall>,
    runtime_init: runtime_init::RuntimeSelection,
    runtime_init_syscalls: BTreeMap<&'static str, Vec<&'static runtime_init::Row>>,
    errno: ErrnoPolicy,
    complain: bool,
    translation: Option<Translation>,
    for_gvisor: bool,
}

impl SeccompProfile {
    /// The profile under which all of `recordings` could run again.
    ///
    /// Only what was observed decides, not who first did it, when or how often.
    ///
    /// # Errors
    ///
    /// When there is no recording, when the ABI of its machine is not known, or when the profile is to log and
    /// the kernel cannot.
    ///
    /// ```
    /// use tracer_core::profile::seccomp::{Options, SeccompProfile, oci::{Action, OciSeccomp}};
    /// # use syscalls::Abi;
    /// # use tracer_core::{profile::seccomp::fixture, recording::Phase};
    /// # let recording = fixture::recording(&[(Abi::X86_64, 0, Phase::Run, fixture::path("/bin/web"))]);
    ///
    /// // The workload called read.
    /// let profile = SeccompProfile::from_recordings(&[recording], &Options::default()).unwrap();
    /// assert!(profile.rule("read").is_some());
    /// assert!(profile.rule("mount").is_none());
    /// assert_eq!(OciSeccomp::from(&profile).default_action, Action::Errno);
    /// ```
    pub fn from_recordings(recordings: &[Recording], options: &Options) -> Result<Self, Error> {
        let recorded = native_abis(recordings)?;
        if options.complain {
            error::can_log(recordings)?;
        }
        let natives = options.arch.map_or(recorded.clone(), |arch| [arch].into());
        let translation = options.arch.map(|arch| Translation::new(arch, recorded));
        let for_gvisor = recordings.iter().all(Recording::is_of_gvisor);
        // gVisor puts the filter on the guest's first process before that runs (runsc/boot/loader.go).
        let runtime_init = match &options.runtime_init {
            runtime_init::RuntimeSelection::All if for_gvisor => {
                runtime_init::RuntimeSelection::None
            }
            chosen => chosen.clone(),
        };
        let mut profile = Self {
            architectures: natives.clone(),
            rules: BTreeMap::new(),
            fallbacks: BTreeMap::new(),
            headroom: BTreeMap::new(),
            replaced_clone3: None,
            refused: BTreeSet::new(),
            absent: BTreeSet::new(),
            blocked: BTreeMap::new(),
            excluded: BTreeMap::new(),
            unnamed: BTreeMap::new(),
            runtime_init_syscalls: translation::runtime_init_syscalls(&runtime_init, &natives),
            runtime_init,
            for_gvisor,
            errno: options.errno,
            complain: options.complain,
            translation,
        };
        for syscall in recordings.iter().flat_map(|recording| &recording.syscalls) {
            profile.add_observed(syscall, options);
        }
        if options.arguments != Mode::Off
            && options.errno == ErrnoPolicy::Probed
            && options.fallbacks == FallbackPolicy::Fallbacks
        {
            let counts = |phase| options.exec.counts(phase);
            profile.replaced_clone3 =
                arguments::prefer_clone(&mut profile.rules, recordings, counts);
        }
        profile.add_runtime_init(&natives, options);
        profile.add_unobserved(options);
        profile
            .excluded
            .retain(|name, _| profile.rules.get(name).is_none_or(|it| it.only().is_some()));
        profile.add_denied();
        Ok(profile)
    }

    fn add_runtime_init(&mut self, natives: &BTreeSet<Abi>, options: &Options) {
        // The runtime is a native program, whatever the workload is.
        for name in self
            .runtime_init_syscalls
            .keys()
            .copied()
            .collect::<Vec<_>>()
        {
            for abi in natives {
                if abi.is_32_bit() {
                    // What runtimes give to it was seen with 64-bit calls only.
                    self.rules
                        .entry(name)
                        .or_default()
                        .allow(Layer::RuntimeInit);
                } else {
                    self.add_layer(*abi, name, Layer::RuntimeInit, options);
                }
            }
        }
    }

    /// Adds what the workload needs, or may do, and was not observed to.
    fn add_unobserved(&mut self, options: &Options) {
        if options.essential {
            for abi in self.architectures.clone() {
                for name in essential::names(abi) {
                    self.add_layer(abi, name, Layer::Essential, options);
                }
            }
        }
        let start = self.translation.iter().flat_map(|it| {
            let to = it.to();
            it.start().map(move |(name, _)| (to, name))
        });
        for (abi, name) in start.collect::<Vec<_>>() {
            self.add_layer(abi, name, Layer::Essential, options);
        }
        if options.fallbacks == FallbackPolicy::Fallbacks {
            let observed = self.replaced_clone3.is_some();
            for added in fallback::added(&self.rules, &self.architectures, observed) {
                self.add_variant(added);
            }
        }
        if options.headroom == HeadroomPolicy::Safe {
            for added in headroom::added(&self.rules, &self.architectures) {
                self.add_headroom(added);
            }
        }
    }

    /// Says what the calls return that are not allowed.
    fn add_denied(&mut self) {
        if self.errno == ErrnoPolicy::Probed {
            self.refused = self
                .architectures
                .iter()
                .flat_map(|abi| errno::long_established_syscalls(*abi))
                .filter(|name| !self.rules.contains_key(name))
                .collect();
            self.absent = self
                .architectures
                .iter()
                .flat_map(|abi| errno::probed_syscalls(*abi))
                .filter(|name| !self.rules.contains_key(name))
                .filter(|name| !errno::is_newer_than_libseccomp_2_5_4(name))
                .collect();
        } else if self.architectures.contains(&Abi::I386) {
            // An entry that says what the default says is left out by runtimes, and then a rule for
            // `socket` lets `socketcall` through as well; see [`super::oci`].
            self.absent = MULTIPLEXERS
                .into_iter()
                .filter(|name| !self.rules.contains_key(name))
                .collect();
        }
    }

    fn add_observed(&mut self, syscall: &Syscall, options: &Options) {
        let abroad = self.translation.as_ref();
        let abroad = abroad.filter(|it| !it.is_native(syscall.abi));
        if abroad.is_none() {
            self.architectures.insert(filtered_as(syscall.call()));
        }
        // The table's name, not the recording's: the number is what was observed, and a name from
        // a file is not to be trusted with a grant.
        let Some(name) = syscall.abi.syscall_name(syscall.nr) else {
            let executables = syscall.evidence.iter().map(|who| who.executable.clone());
            let unnamed = self.unnamed.entry(syscall.call()).or_default();
            unnamed.executables.extend(executables);
            return;
        };
        let (abi, by) = match abroad {
            None => (syscall.abi, Ok(vec![Counterpart::itself(name)])),
            Some(abroad) => (abroad.to(), abroad.of(syscall.abi, name)),
        };
        // What nothing does there has only its own name to be told by.
        let shown = match &by {
            Ok(by) => by.iter().map(|it| it.call).collect(),
            Err(_) => vec![name],
        };
        let is_abroad = abroad.is_some();
        for who in &syscall.evidence {
            let mut layer = None;
            for name in &shown {
                layer = self.layer_for(name, who, options);
            }
            let Some(layer) = layer else {
                continue;
            };
            for by in by.iter().flatten() {
                let rule = self.rules.entry(by.call).or_default();
                match by.only {
                    Some(only) => rule.allow_only(layer, only.conditions, only.when),
                    // With which arguments it was stopped is not recorded.
                    None if who.blocked.is_some() => {
                        arguments::allow_blocked(rule, layer, syscall);
                    }
                    None if by.same_arguments => {
                        arguments::allow_observed(rule, layer, syscall, who.phase, options);
                    }
                    None => arguments::allow_moved(rule, layer, syscall),
                }
                rule.seen(abi, who);
            }
            if is_abroad && let Some(translation) = &mut self.translation {
                translation.add(syscall.abi, name, by.as_deref().map_err(|why| *why), who);
            }
        }
    }

    /// The layer that evidence wants a call in; notes what was stopped, and what does not count.
    fn layer_for(
        &mut self,
        name: &'static str,
        who: &Evidence,
        options: &Options,
    ) -> Option<Layer> {
        let counts = options.exec.counts(who.phase);
        if let Some(blocked) = who.blocked
            && counts
        {
            let stopped = self.blocked.entry(name).or_default();
            stopped.executables.insert(who.executable.clone());
            stopped.saw.insert(blocked);
        }
        if who.blocked.is_some() && !options.allow_blocked {
            // It ran without it: what one filter forbade, the next does not grant.
            return None;
        }
        if counts {
            return Some(Layer::Observed);
        }
        match who.phase {
            Phase::RuntimeInit if options.runtime_init != runtime_init::RuntimeSelection::None => {
                Some(Layer::RuntimeInit)
            }
            Phase::Exec | Phase::Terminal => {
                let excluded = self.excluded.entry(name).or_default();
                excluded.insert(who.executable.clone());
                None
            }
            // Made before the filter is loaded: nothing needs it.
            _ => None,
        }
    }

    /// The profile in the OCI runtime-spec's form, as text; see [`super::oci`].
    ///
    /// # Errors
    ///
    /// None in practice: every value has a form in JSON.
    pub fn to_oci_json(&self) -> serde_json::Result<String> {
        OciSeccomp::from(self).to_json()
    }

    fn add_layer(&mut self, abi: Abi, name: &'static str, layer: Layer, options: &Options) {
        let rule = self.rules.entry(name).or_default();
        arguments::allow_known(rule, layer, (abi, name), options);
    }

    fn add_variant(&mut self, added: Fallback) {
        let rule = self.rules.entry(added.call).or_default();
        match added.only {
            None => rule.allow(Layer::Fallback),
            Some(only) => rule.allow_only(Layer::Fallback, only.conditions, only.when),
        }
        let reasons = self.fallbacks.entry(added.call).or_default();
        if !reasons.contains(&added) {
            reasons.push(added);
        }
    }

    fn add_headroom(&mut self, added: Headroom) {
        // What one filter forbade, the next does not grant.
        if self.blocked.contains_key(added.call) {
            return;
        }
        let rule = self.rules.entry(added.call).or_default();
        match added.only {
            None => rule.allow(Layer::Headroom),
            Some(only) => rule.allow_only(Layer::Headroom, only.conditions, only.when),
        }
        let reasons = self.headroom.entry(added.call).or_default();
        if !reasons.contains(&added) {
            reasons.push(added);
        }
    }

    #[cfg(test)]
    pub(super) fn allow_only(
        &mut self,
        name: &'static str,
        layer: Layer,
        conditions: Conditions,
        when: &'static str,
    ) {
        let rule = self.rules.entry(name).or_default();
        rule.allow_only(layer, conditions, when);
    }

    /// The ABIs it is for, in the order of output: those of the machines recorded on, and those of
    /// observed calls, named or not. A call of any other ABI kills its caller.
    pub fn architectures(&self) -> impl Iterator<Item = Abi> {
        self.architectures.iter().copied()
    }

    /// Every allowed call by name.
    ///
    /// A name holds for all architectures: the OCI form cannot tell them apart.
    pub fn rules(&self) -> impl Iterator<Item = (&'static str, &Rule)> {
        self.rules.iter().map(|(name, rule)| (*name, rule))
    }

    /// The rule of a call, if it is allowed.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.get(name)
    }

    /// The allowed calls that output shows in `layer`: those of no earlier one.
    pub fn names_in(&self, layer: Layer) -> impl Iterator<Item = &'static str> {
        self.rules()
            .filter(move |(_, rule)| rule.layer() == Some(layer))
            .map(|(name, _)| name)
    }

    /// The calls of the layer `fallback`, each with what it stands in for; of those that make one
    /// allowed for any arguments and those that do not, the former.
    pub fn fallbacks(
        &self,
    ) -> impl Iterator<Item = (&'static str, impl Iterator<Item = &Fallback>)> {
        self.fallbacks.iter().map(|(name, reasons)| {
            let any = reasons.iter().any(|added| added.only.is_none());
            let shown = reasons.iter().filter(move |it| it.only.is_none() || !any);
            (*name, shown)
        })
    }

    /// The calls of the layer `headroom`, each with why it is added.
    pub fn headroom(&self) -> impl Iterator<Item = (&'static str, &[Headroom])> {
        let reasons = self.headroom.iter();
        reasons.map(|(name, reasons)| (*name, reasons.as_slice()))
    }

    /// Whether a format that cannot express conditions on arguments may allow a call. Only headroom is left
    /// out there: allowed for any arguments it would no longer be harmless.
    pub fn is_allowed_without_conditions(&self, name: &str) -> bool {
        self.rule(name).is_some_and(|rule| {
            rule.only().is_none()
                || rule.layer() != Some(Layer::Headroom)
                || self
                    .headroom
                    .get(name)
                    .is_some_and(|reasons| reasons.iter().any(|it| it.harmless_with_any))
        })
    }

    /// Who called clone3, when clone is allowed in its place.
    pub fn replaced_clone3(&self) -> Option<&Rule> {
        self.replaced_clone3.as_ref()
    }

    /// The container runtimes that the layer `runtime_init` is for.
    pub fn runtime_init(&self) -> &runtime_init::RuntimeSelection {
        &self.runtime_init
    }

    /// Whether it is for a guest of gVisor, and of no other runtime.
    pub fn is_for_gvisor(&self) -> bool {
        self.for_gvisor
    }

    /// What the chosen runtimes call before they start the workload, each with those that need it.
    pub fn runtime_init_syscalls(
        &self,
    ) -> &BTreeMap<&'static str, Vec<&'static runtime_init::Row>> {
        &self.runtime_init_syscalls
    }

    /// What became of the calls, when the profile is for a machine that was not recorded on.
    pub fn translation(&self) -> Option<&Translation> {
        let translation = self.translation.as_ref();
        translation.filter(|it| it.from().next().is_some())
    }

    /// The calls that return EPERM by a rule of their own; all others that are not allowed return
    /// [`default_errno`](Self::default_errno).
    pub fn refused(&self) -> impl Iterator<Item = &'static str> {
        self.refused.iter().copied()
    }

    /// The calls that return ENOSYS by a rule of their own, for runtimes that do not know
    /// [`default_errno`](Self::default_errno) (Docker before 22.06): those that callers probe for. With
    /// [`ErrnoPolicy::Eperm`], i386's multiplexers.
    pub fn absent(&self) -> impl Iterator<Item = &'static str> {
        self.absent.iter().copied()
    }

    /// Whether it only logs what it would deny: nothing returns an error.
    pub const fn complain(&self) -> bool {
        self.complain
    }

    /// What a call without a rule returns; with [`complain`](Self::complain), what it would return.
    pub fn default_errno(&self) -> u32 {
        match self.errno {
            ErrnoPolicy::Probed => errno::ENOSYS,
            ErrnoPolicy::Eperm => errno::EPERM,
        }
    }

    /// The calls that the workload attempted while it was recorded, and that a filter already in place
    /// stopped.
    pub fn blocked(&self) -> impl Iterator<Item = (&'static str, &BlockedAttempt)> {
        self.blocked.iter().map(|(name, stopped)| (*name, stopped))
    }

    /// The calls that only programs made that do not count: which were put into the running container
    /// by somebody.
    pub fn excluded(&self) -> impl Iterator<Item = (&'static str, &BTreeSet<Executable>)> {
        self.excluded.iter().map(|(name, who)| (*name, who))
    }

    /// The observed calls that no name stands for, so that the profile cannot allow them.
    pub fn unnamed(&self) -> impl Iterator<Item = (SyscallId, &UnknownSyscall)> {
        self.unnamed.iter().map(|(call, unnamed)| (*call, unnamed))
    }
}

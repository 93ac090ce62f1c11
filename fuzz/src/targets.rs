//! What is fed, and what must hold of whatever it reads.

use std::{fmt, str::FromStr};

use crate::audits;

use syscalls::{Abi, runtime_init::RuntimeSelection};
use tracer_core::{
    diff, explain,
    profile::seccomp::{
        Options, SeccompProfile,
        evaluate::{Decider, Filter, Host, Libseccomp, OciRuntime, Register, Verdict},
        oci::OciSeccomp,
        read::{Document, KernelVersion, Target as Machine},
    },
    recording::{Phase, Recording, SyscallId, json, merge},
    verify::{self, Enforced, VerifyInput},
};

/// A reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Profiles in all forms, and the evaluator.
    Profile,
    /// Recordings, and all that is made of them.
    Recording,
    /// Profiles, manifests and AppArmor text, and what an audit says of them.
    Audit,
}

impl Target {
    pub(crate) const ALL: [Self; 3] = [Self::Profile, Self::Recording, Self::Audit];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Recording => "recording",
            Self::Audit => "audit",
        }
    }

    /// Whether the input was read. Panics when something does not hold.
    pub(crate) fn run(self, input: &[u8]) -> bool {
        match self {
            Self::Profile => std::str::from_utf8(input).is_ok_and(profile),
            Self::Recording => recording(input),
            Self::Audit => audits::audit(input),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|target| target.as_str() == text);
        named.ok_or_else(|| format!("{text} is none of profile, recording and audit"))
    }
}

fn profile(text: &str) -> bool {
    let plain = OciSeccomp::from_json(text);
    let document = Document::from_json(text);
    if let Ok(plain) = &plain {
        evaluate(plain);
    }
    if let Ok(document) = &document {
        let again = document.to_json().map(|json| Document::from_json(&json));
        assert!(
            matches!(again, Ok(Ok(again)) if again == *document),
            "not read back: {document:?}"
        );
        for machine in machines() {
            match document.resolve(&machine) {
                Ok(resolved) => evaluate(&resolved),
                Err(error) => drop(error.to_string()),
            }
        }
    }
    // The plain form is one of them.
    assert!(plain.is_err() || document.is_ok(), "{document:?}");
    document.is_ok()
}

fn machines() -> impl Iterator<Item = Machine> {
    [
        (Abi::X86_64, vec![], 6),
        (Abi::Aarch64, vec!["CAP_SYS_ADMIN".to_owned()], 4),
    ]
    .into_iter()
    .map(|(native, capabilities, version)| Machine {
        native,
        capabilities: capabilities.into_iter().collect(),
        kernel_version: KernelVersion::new(version, 1),
    })
}

fn hosts() -> impl Iterator<Item = Host> {
    [
        (OciRuntime::Runc, Libseccomp::V2_5_4),
        (OciRuntime::Crun, Libseccomp::Debian12),
        (OciRuntime::Runc, Libseccomp::Newest),
    ]
    .into_iter()
    .map(|(runtime, libseccomp)| Host {
        native: Abi::X86_64,
        runtime,
        libseccomp,
    })
}

/// Whatever a profile says, each call has an outcome that points at what decided.
fn evaluate(profile: &OciSeccomp) {
    let again = profile.to_json().map(|json| OciSeccomp::from_json(&json));
    assert!(
        matches!(again, Ok(Ok(again)) if again == *profile),
        "not read back: {profile:?}"
    );
    let values: Vec<u64> = profile
        .syscalls
        .iter()
        .flat_map(|entry| &entry.args)
        .flat_map(|condition| [condition.value, condition.value_two])
        .chain([0, u64::MAX])
        .take(8)
        .collect();
    let names = profile.syscalls.iter().flat_map(|entry| &entry.names);
    let calls: Vec<SyscallId> = names
        .take(16)
        .flat_map(|name| Abi::ALL.map(|abi| Some((abi, abi.syscall_number(name)?))))
        .flatten()
        .chain(Abi::ALL.map(|abi| (abi, 102)))
        .chain([(Abi::X86_64, u32::MAX), (Abi::X86_64, 999), (Abi::X32, 0)])
        .map(|(abi, nr)| SyscallId { abi, nr })
        .collect();
    for host in hosts() {
        let filter = match Filter::new(profile, host) {
            Ok(filter) => filter,
            Err(refusal) => {
                drop(refusal.to_string());
                continue;
            }
        };
        if let Err(error) = filter.program() {
            drop(error.to_string());
        }
        let same = diff::profiles(&filter, &filter);
        assert!(same.changes.is_empty(), "differs from itself: {same:?}");
        for call in &calls {
            for value in &values {
                let outcome = filter.evaluate(*call, [*value; 6]);
                let known = filter.possible_verdicts(*call, &[Register::whole(*value); 6]);
                assert!(
                    known.verdicts.keys().eq([&outcome.verdict]),
                    "{call:?} {value:#x}: {outcome:?}, but {known:?}"
                );
                let entries = outcome.contested.iter().copied();
                let decider = match outcome.decider {
                    Decider::Entry(entry) => Some(entry),
                    Decider::Default | Decider::Architecture | Decider::Stub => None,
                };
                for entry in entries.chain(decider) {
                    assert!(entry < profile.syscalls.len(), "{call:?}: {outcome:?}");
                }
            }
        }
    }
}

fn recording(input: &[u8]) -> bool {
    let Ok(recording) = json::parse(input) else {
        return false;
    };
    is_read_back(&recording);
    let twice = merge::merge([recording.clone(), recording.clone()]);
    if let Some(twice) = &twice {
        is_read_back(twice);
    }
    let recordings = [recording];
    let Ok(profile) = SeccompProfile::from_recordings(&recordings, &Options::default()) else {
        return true;
    };
    tracer_report::review(&recordings, &profile);
    is_judged(&recordings[0], &OciSeccomp::from(&profile));
    runs_again(&recordings[0], &OciSeccomp::from(&profile));
    true
}

/// All that is said of a recording can be said of this one.
fn is_judged(recording: &Recording, profile: &OciSeccomp) {
    let same = diff::recordings(recording, recording);
    assert!(same.changes.is_empty(), "differs from itself: {same:?}");
    let profiles = hosts().map(|host| Enforced {
        profile: profile.clone(),
        host,
    });
    let said = verify::verify(&VerifyInput {
        profiles: profiles.collect(),
        recordings: vec![("input".to_owned(), recording)],
        runtime_init: RuntimeSelection::All,
        no_new_privileges: None,
        terminal: true,
    });
    tracer_report::verification(&said, "input");
    for name in ["openat", "clone3", "ptrace"] {
        if let Ok(explanation) = explain::explain(recording, &Options::default(), name) {
            tracer_report::explanation(&explanation);
        }
    }
    let settings = explain::Settings::default();
    let files = recording
        .files
        .first()
        .map(|seen| seen.what.path.to_string());
    let others = ["/", "CAP_SYS_ADMIN", "AF_UNIX", "SIGKILL"].map(str::to_owned);
    for name in files.into_iter().chain(others) {
        let subject = explain::Subject::parse(&name);
        let explained = subject.map(|it| explain::access(recording, &settings, &it));
        if let Some(Ok(explanation)) = explained {
            tracer_report::access_explanation(&explanation);
        }
    }
}

fn is_read_back(recording: &Recording) {
    let text = json::to_json(recording);
    let again = json::parse(text.as_bytes());
    assert!(
        matches!(&again, Ok(again) if again == recording),
        "not read back: {again:?}"
    );
}

/// What ran while it was recorded is allowed by the profile that is made of it.
fn runs_again(recording: &Recording, profile: &OciSeccomp) {
    for host in hosts() {
        let filter = match Filter::new(profile, host) {
            Ok(filter) => filter,
            Err(refusal) => panic_with(&format!("{host:?} refuses our own: {refusal}")),
        };
        for syscall in &recording.syscalls {
            let known = syscall.abi.syscall_name(syscall.nr);
            if !known.is_some_and(|name| host.libseccomp.knows(name)) {
                continue;
            }
            // What was given to a call that its profile restricts is another thing than its first.
            if syscall.arguments.is_some() {
                continue;
            }
            let ran = syscall
                .evidence
                .iter()
                .filter(|who| who.blocked.is_none() && who.phase == Phase::Run);
            for who in ran {
                let args = who.first.as_ref().map_or([0; 6], |first| first.args);
                let outcome = filter.evaluate(syscall.call(), args);
                assert_eq!(
                    outcome.verdict,
                    Verdict::Allow,
                    "{host:?} {syscall:?}: {outcome:?}"
                );
            }
        }
    }
}

#[expect(clippy::panic, reason = "what does not hold is found by its panic")]
fn panic_with(why: &str) -> ! {
    panic!("{why}")
}

//! The sentences that versions of tracer wrote into recordings of schema v1.
//!
//! They are a part of that format and must not follow the wording of reports.

use super::Sentence;
use crate::recording::{
    BlindSpot, ConfigType, LossKind, Losses, Mechanism, Note, NoteCode, Reason, ReasonCode,
    RecordingEnd, Unresolved, Warning, estimate::Refusal,
};

const MECHANISMS: [(&str, Mechanism); 6] = [
    ("BPF LSM hooks", Mechanism::BpfLsm),
    ("BTF tracepoint", Mechanism::Tracepoint),
    ("BTF tracepoint sys_exit", Mechanism::SysExit),
    (
        "BTF tracepoints sys_enter and sys_exit",
        Mechanism::SysEnterAndExit,
    ),
    (
        "ends of the kernel's security functions (fexit)",
        Mechanism::Fexit,
    ),
    (
        "registers at BTF tracepoint sys_enter",
        Mechanism::SysEnterRegisters,
    ),
];

const BLIND_SPOTS: [(&str, BlindSpot); 15] = [
    ("what io_uring does", BlindSpot::IoUring),
    (
        "that a call was 32-bit, when a 64-bit program forges the registers of a 64-bit one",
        BlindSpot::ForgedAbi,
    ),
    (
        "those of calls that a filter in place stopped",
        BlindSpot::BlockedCallArguments,
    ),
    ("what pointers lead to", BlindSpot::PointedToMemory),
    (
        "whom a file belongs to, of calls that name it by a path and do not open it",
        BlindSpot::OwnerOfUnopenedFile,
    ),
    ("what a link was made of", BlindSpot::LinkSource),
    (
        "what was mapped before it was made executable, by mprotect",
        BlindSpot::MappedBeforeMprotect,
    ),
    (
        "message queues, and the terminals that TIOCGPTPEER opens",
        BlindSpot::MessageQueuesAndPeerTerminals,
    ),
    (
        "exactly which file a path named when another thread changed the path, or a directory of it, meanwhile",
        BlindSpot::PathRace,
    ),
    ("calls by i386's socketcall", BlindSpot::Socketcall),
    ("pivot_root", BlindSpot::PivotRoot),
    (
        "move_mount and the other calls of the newer interface",
        BlindSpot::NewMountInterface,
    ),
    (
        "what a link led to that was changed since",
        BlindSpot::ChangedLink,
    ),
    (
        "whether the kernel only probed for a capability",
        BlindSpot::CapabilityProbe,
    ),
    (
        "signal 0, which only asks whether a process is there",
        BlindSpot::SignalZero,
    ),
];

const WARNINGS: [(&str, &str, Warning); 5] = [
    (
        "privileged",
        "the container is privileged: its engine ignores a seccomp profile; take privileged away first",
        Warning::Privileged { inferred: false },
    ),
    (
        "privileged",
        "the container is privileged (all capabilities, no filter, nothing masked): its engine ignores a seccomp profile; take privileged away first",
        Warning::Privileged { inferred: true },
    ),
    (
        "root-user",
        "the container runs as root: give it a user of its own (runAsNonRoot, --user)",
        Warning::RootUser {},
    ),
    (
        "seccomp-unconfined",
        "the container runs without a seccomp filter",
        Warning::SeccompUnconfined {},
    ),
    (
        "filter-allows-all",
        "the container runs under a seccomp filter that stops nothing",
        Warning::FilterAllowsAll {},
    ),
];

const UNRESOLVED: [(&str, Unresolved); 3] = [
    (
        "no runtime's files know this container: it was gone, or not begun, when tracer looked",
        Unresolved::UnknownToRuntimes {},
    ),
    (
        "its bundle's config.json was not found",
        Unresolved::NoConfig {},
    ),
    ("config.json is no object", Unresolved::InvalidConfig {}),
];

const CONFIG_TYPES: [(&str, ConfigType); 8] = [
    ("text", ConfigType::Text),
    ("true or false", ConfigType::Boolean),
    ("an id", ConfigType::Id),
    ("a list", ConfigType::List),
    ("a list of text", ConfigType::ListOfText),
    ("an object", ConfigType::Object),
    ("an object of text", ConfigType::ObjectOfText),
    ("a filter with a defaultAction", ConfigType::SeccompFilter),
];

const REASONS: [(&str, Reason); 8] = [
    (
        "the workload was running before the recording began: what it did at its start was not seen; record it from its start",
        Reason::StartNotObserved {},
    ),
    (
        "the recording ended while the workload was running: what it does later, at its end for one, was not seen",
        Reason::StillRunning {
            after: RecordingEnd::Attached,
        },
    ),
    (
        "the recording was ended while processes of the workload were running; what they did later was not seen",
        Reason::StillRunning {
            after: RecordingEnd::Followed,
        },
    ),
    (
        "the command ended and left processes running; what they did later was not seen; record with --follow to wait for them",
        Reason::StillRunning {
            after: RecordingEnd::CommandEnded,
        },
    ),
    (
        "the workload used io_uring or tried to: what it does there is done without system calls, was not seen, and is not bound by seccomp either",
        Reason::IoUring {},
    ),
    (
        "a seccomp filter was in place before tracer watched what it stops: calls that it stopped then were not seen; record the workload from its start, or without the filter",
        Reason::FilterInPlace {
            loaded_by: Vec::new(),
        },
    ),
    (
        "a process of the workload went to another cgroup, where it was not seen any more; record that cgroup, or run the command without what moves it (sudo, systemd-run, a container runtime)",
        Reason::LeftCgroup {},
    ),
    (
        "processes were put into the container, and none was seen to start a program there: all they did is filed under the runtime (phase `setup`) and is not in the profile",
        Reason::NotStarted {},
    ),
];

pub(super) fn mechanism(text: String) -> Mechanism {
    known(&MECHANISMS, &text).unwrap_or(Mechanism::Other(text))
}

pub(super) fn blind_spot(text: String) -> BlindSpot {
    let hook = || {
        let (hook, error) = text
            .strip_prefix("what goes through the hook ")?
            .split_once(": ")?;
        Some(BlindSpot::UnusableHook {
            hook: hook.to_owned(),
            error: error.to_owned(),
        })
    };
    known(&BLIND_SPOTS, &text)
        .or_else(hook)
        .unwrap_or(BlindSpot::Other(text))
}

fn known<T: Clone>(table: &[(&str, T)], text: &str) -> Option<T> {
    let row = table.iter().find(|(known, _)| *known == text)?;
    Some(row.1.clone())
}

pub(super) fn warning(Sentence { code, text }: Sentence<String>) -> Warning {
    if let Some((.., warning)) = WARNINGS
        .iter()
        .find(|(its_code, its_text, _)| *its_code == code && *its_text == text)
    {
        return warning.clone();
    }
    let action = || {
        let quoted = text
            .strip_prefix("a seccomp filter was in place (default action ")?
            .strip_suffix("): what it stops the program did not get to do")?;
        unquote(quoted)
    };
    match action().filter(|_| code == "filter-in-place") {
        Some(default_action) => Warning::FilterInPlace { default_action },
        None => Warning::Other { about: code, text },
    }
}

pub(super) fn unresolved(text: String) -> Unresolved {
    let config_field = || {
        let (field, expected) = text.split_once(" of config.json is not ")?;
        Some(Unresolved::InvalidConfigField {
            field: field.to_owned(),
            expected: known(&CONFIG_TYPES, expected)?,
        })
    };
    known(&UNRESOLVED, &text)
        .or_else(config_field)
        .or_else(|| of_pod(&text))
        .unwrap_or(Unresolved::Other { text })
}

fn of_pod(text: &str) -> Option<Unresolved> {
    let mismatch = || {
        let (cgroup, files) = text
            .strip_prefix("the cgroup is of pod ")?
            .split_once(", the container's files say ")?;
        Some(Unresolved::PodMismatch {
            cgroup: unquote(cgroup)?,
            files: unquote(files)?,
        })
    };
    let no_name = || {
        let uid = text
            .strip_prefix("the name of pod ")?
            .strip_suffix(" was not found")?;
        Some(Unresolved::NoPodName { uid: unquote(uid)? })
    };
    let owner = || {
        let (pod, owner) = text
            .strip_prefix("the labels of pod ")?
            .split_once(" are not known: that it belongs to ")?;
        let (kind, owner) = owner
            .strip_suffix(" is a guess from its name")?
            .split_once(' ')?;
        Some(Unresolved::GuessedOwner {
            pod: unquote(pod)?,
            kind: kind.to_owned(),
            owner: unquote(owner)?,
        })
    };
    mismatch().or_else(no_name).or_else(owner)
}

/// What stands between quotation marks; `None` when anything in it was escaped, which these names
/// never need.
fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains(['"', '\\'])).then(|| inner.to_owned())
}

pub(super) fn reason(old: Sentence<ReasonCode>, losses: &Losses) -> Reason {
    let Sentence { code, text } = old;
    let cut_short = || {
        let error =
            text.strip_prefix("an error ended the recording, and what came later was not seen: ")?;
        Some(Reason::CutShort {
            error: error.to_owned(),
        })
    };
    let counted = || {
        let mut reasons = losses.reasons().into_iter();
        reasons.find(|it| of_losses(it).is_some_and(|known| known == text))
    };
    known(&REASONS, &text)
        .or_else(cut_short)
        .or_else(counted)
        .filter(|reason| reason.code() == code)
        .unwrap_or(Reason::Other { about: code, text })
}

/// The sentence of a reason that follows from what was lost.
fn of_losses(reason: &Reason) -> Option<String> {
    Some(match reason {
        Reason::ObservationsLost { lost, count } => match lost {
            LossKind::Calls => format!(
                "{count} calls found the kernel side's tables full; record again with a larger --max-rows"
            ),
            LossKind::Cgroups => format!(
                "{count} child cgroups could not be followed from their start; record again, with a larger --max-cgroups when there are many"
            ),
            LossKind::Threads => format!(
                "what a filter stopped was not seen of {count} threads; record again with a larger --max-cgroups"
            ),
            LossKind::Accesses => format!(
                "{count} accesses to files and the like found the kernel side's tables full, or their paths could not be read; record again with a larger --max-accesses"
            ),
            LossKind::ProgramRuns
            | LossKind::Phases
            | LossKind::Values
            | LossKind::Executables
            | LossKind::Paths
            | LossKind::Messages
            | LossKind::Events => return None,
        },
        Reason::PhasesMixed { count } => format!(
            "the kernel side's tables were full {count} times when a runtime, or a program that was put in later, was at work: what it did is filed as the workload's, and the profile may allow more than that needs; record again with a larger --max-rows"
        ),
        Reason::ProgramSkipped { count } => format!(
            "the kernel skipped {count} runs of tracer's programs; another tracing tool may be interfering, record again without it"
        ),
        _ => return None,
    })
}

/// `following` are the notes that follow from the recording, which say what a v1 file said in words.
pub(super) fn note(old: Sentence<NoteCode>, following: &[Note]) -> Note {
    let Sentence { code, text } = old;
    let same = following.iter().find(|note| note.code() == code).cloned();
    same.unwrap_or(Note::Other { about: code, text })
}

pub(super) fn refusal(text: String, instances: u64) -> Refusal {
    let Some(why) = text.strip_prefix("how many calls are unseen is not estimated: ") else {
        return Refusal::Other(text);
    };
    let too_few =
        format!("that takes 5 instances (replicas, restarts, further recordings), not {instances}");
    match why {
        "none was seen" => Refusal::NoCalls,
        "on different architectures the same program makes different calls" => {
            Refusal::SeveralArchitectures
        }
        "more than half of the calls were seen in one instance only, so that too little was seen for an estimate" => {
            Refusal::TooManyRareCalls
        }
        _ if why == too_few => Refusal::TooFewInstances {
            instances,
            needed: 5,
        },
        _ => Refusal::Other(text),
    }
}

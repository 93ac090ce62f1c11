//! How sure a recording is.

use tracer_core::recording::{
    FilterLoader, LossKind, Losses, Note, Reason, Recording, RecordingEnd, estimate::Refusal,
    plain_text::plain,
};

/// A reason against completeness, without a stop: what happened, to what, and what to do.
pub fn reason(reason: &Reason) -> String {
    let text = match reason {
        Reason::StartNotObserved {} => {
            "start-up was not observed; use --wait, then restart the workload"
        }
        Reason::GuestStartNotObserved {} => {
            "the guest ran before gVisor was told to report it; record it from its start: tracer record --gvisor -- runsc run ..., or tracer gvisor config for containerd"
        }
        Reason::StillRunning { after } => still_running(*after),
        Reason::IoUring {} => {
            "the workload used io_uring or tried to; io_uring operations are not system calls, so they were not recorded and seccomp does not restrict them"
        }
        Reason::FilterInPlace { loaded_by } => filter_in_place(loaded_by),
        Reason::NotStarted {} => {
            "no process in the container started a program while recorded; its calls count as the runtime's (phase `setup`) and are not in the profile"
        }
        Reason::LeftCgroup {} => {
            "a process of the workload moved to another cgroup and was no longer recorded; record that cgroup, or run the command without what moves it (sudo, systemd-run, a container runtime)"
        }
        Reason::ObservationsLost { lost, count } => return observations_lost(*lost, *count),
        Reason::ProgramSkipped { count } => {
            return format!(
                "the kernel skipped {} of tracer's programs; another tracing tool may be interfering, record again without it",
                counted(*count, "run", "runs")
            );
        }
        Reason::PhasesMixed { count } => {
            return format!(
                "the kernel tables were full {} while the runtime, or a process started later, was active; its calls count as the workload's, so the profile may allow too much; record again with a larger --max-rows",
                counted(*count, "time", "times")
            );
        }
        Reason::UnnamedInstances { count } => {
            return format!(
                "{} of the same pods could not be identified and may belong to this workload; recorded separately",
                counted(*count, "container", "containers")
            );
        }
        Reason::SelinuxRefused { domain } => {
            return format!(
                "SELinux refused accesses of the domain {domain}, and what would have followed was not observed; record in a permissive domain (tracer selinux domain)"
            );
        }
        Reason::SelinuxNotPermissive { domain } => {
            return format!(
                "the SELinux domain {domain} is not permissive, so it is denied what it should be recorded for; load the one that tracer selinux domain prints"
            );
        }
        Reason::SelinuxCacheKept {} => {
            "tracer could not empty SELinux' cache of decisions, so accesses that were reported before were not reported again; run tracer in a domain that may set booleans"
        }
        Reason::SelinuxDontaudit { domain } => {
            return format!(
                "the SELinux policy has dontaudit rules for {domain}, which hide accesses; run semodule -DB before recording, and semodule -B afterwards"
            );
        }
        Reason::OtherSelinuxDomain { domain } => {
            return format!(
                "the workload also ran in the SELinux domain {domain}, which was not the one to be recorded"
            );
        }
        Reason::SelinuxDomainNotLoaded { domain } => {
            return format!(
                "the SELinux policy has no domain {domain}; load the one that tracer selinux domain prints"
            );
        }
        Reason::CutShort { error } => {
            return format!("an error ended the recording early: {error}");
        }
        Reason::RecorderKilled { checkpoint } => {
            return format!(
                "tracer was killed while it recorded: what the workload did after the last checkpoint, at {checkpoint}, is missing; record again"
            );
        }
        Reason::Other { text, .. } => text,
    };
    text.to_owned()
}

/// Who loaded the filter, and what to do about it.
fn filter_in_place(loaded_by: &[FilterLoader]) -> &'static str {
    match loaded_by {
        [FilterLoader::Workload, ..] => {
            "the workload loaded a seccomp filter of its own before tracer watched for blocked calls; earlier blocked calls were not recorded; record it from its start, without --accesses none"
        }
        [FilterLoader::Runtime] => {
            "the container runtime's seccomp filter was active before tracer watched for blocked calls; earlier blocked calls were not recorded; use --wait, then restart the container, or run it with seccomp=unconfined while recording"
        }
        _ => {
            "a seccomp filter was active before tracer watched for blocked calls; earlier blocked calls were not recorded; record the workload from its start, or without the filter (a service manager's is SystemCallFilter)"
        }
    }
}

/// Whose filter blocked calls while recording, and what follows, without a stop.
pub fn blocking_filter(recording: &Recording) -> &'static str {
    match recording.filter_loaders().as_slice() {
        [FilterLoader::Workload] => {
            "A filter that the workload loaded itself, or one that was active before, blocked these calls. The workload ran without them, so they are not allowed; if it was another's, record without it to see what the workload does with them"
        }
        [FilterLoader::Runtime] => {
            "The container runtime's filter blocked these calls while recording. The workload ran without them, so they are not allowed; record with seccomp=unconfined to see what it does with them"
        }
        [] => {
            "A seccomp filter that was active before the recording blocked these calls. The workload ran without them, so they are not allowed; record without the filter to see what it does with them"
        }
        _ => {
            "The container runtime's filter, or one that the workload loaded itself, blocked these calls while recording. The workload ran without them, so they are not allowed"
        }
    }
}

const fn still_running(after: RecordingEnd) -> &'static str {
    match after {
        RecordingEnd::Attached => "still running when recording stopped; shutdown was not observed",
        RecordingEnd::Followed => {
            "processes of the workload were still running when recording stopped; later calls were not recorded"
        }
        RecordingEnd::CommandEnded => {
            "the command ended and left processes running; later calls were not recorded; use --follow to wait for them"
        }
    }
}

fn observations_lost(lost: LossKind, count: u64) -> String {
    match lost {
        LossKind::Calls => format!(
            "{} did not fit into the kernel tables; record again with a larger --max-rows",
            counted(count, "system call", "system calls")
        ),
        LossKind::Messages => format!(
            "{} of gVisor's runtime monitoring were lost, and each may have been a system call; record again when the host has less to do",
            counted(count, "message", "messages")
        ),
        LossKind::Cgroups => format!(
            "{} could not be followed from the start; record again, with a larger --max-cgroups if there are many",
            counted(count, "child cgroup", "child cgroups")
        ),
        LossKind::Threads => format!(
            "blocked calls of {} were not recorded; record again with a larger --max-cgroups",
            counted(count, "thread", "threads")
        ),
        LossKind::Accesses => format!(
            "{} to files and the like did not fit into the kernel tables, or the path could not be read; record again with a larger --max-accesses",
            counted(count, "access", "accesses")
        ),
        LossKind::Paths => format!(
            "the files of {} could not be looked up in time, so links in their names are not followed; record again when the workload's file systems answer",
            counted(count, "access", "accesses")
        ),
        LossKind::Values => format!(
            "the arguments of {} did not fit into the kernel tables, so the profile allows any; record again, with fewer workloads at once",
            counted(count, "call", "calls")
        ),
        // No recorder gives these as a reason; a file may.
        LossKind::ProgramRuns | LossKind::Phases | LossKind::Executables | LossKind::Events => {
            loss(lost, count)
        }
    }
}

/// A note, without a stop: what it is, and what follows.
pub fn note(note: &Note) -> String {
    let several = |count: u64, what: &str, values: &[String], so: &str| {
        // What a workload or an image is called, others chose.
        let mut named: Vec<_> = values.iter().map(|value| plain(value)).collect();
        let more = count.saturating_sub(values.len() as u64);
        if more > 0 {
            named.push(format!("and {more} more"));
        }
        format!("{count} {what}: {}; {so}", named.join(", "))
    };
    match note {
        Note::SeveralMachines { count, values } => several(
            *count,
            "architectures were recorded on",
            values,
            "the profile allows on each what was observed on any of them",
        ),
        Note::SeveralKernels { count, values } => several(
            *count,
            "kernels were recorded on",
            values,
            "a libc may make other calls on another kernel",
        ),
        Note::SeveralImages { count, values } => several(
            *count,
            "images were recorded",
            values,
            "the profile allows each of them what was observed of any",
        ),
        Note::SeveralCommands { count, values } => several(
            *count,
            "commands were recorded",
            values,
            "the profile allows each of them what was observed of any",
        ),
        Note::InstancesFolded {
            listed,
            instances,
            uncounted,
        } => format!(
            "{listed} of {}{instances} instances are listed individually; for the others, the recording keeps what was observed and by which executables",
            if *uncounted { "more than " } else { "" },
        ),
        Note::Other { text, .. } => text.clone(),
    }
}

/// Why the number of unseen calls is not estimated, without a stop.
pub fn refusal(refusal: &Refusal) -> String {
    let why = match refusal {
        Refusal::SeveralArchitectures => {
            "on different architectures the same program makes different calls".to_owned()
        }
        Refusal::NoCalls => "no call was recorded".to_owned(),
        Refusal::TooFewInstances { instances, needed } => format!(
            "needs {needed} instances (replicas, restarts, further recordings), has {instances}"
        ),
        Refusal::TooManyRareCalls => {
            "more than half of the calls appeared in only one instance".to_owned()
        }
        Refusal::Other(text) => return text.clone(),
    };
    format!("no estimate of unseen calls: {why}")
}

/// What was lost, with its number: `2 system calls did not fit …`.
pub fn loss(lost: LossKind, count: u64) -> String {
    let (one, many, what) = match lost {
        LossKind::Calls => (
            "system call",
            "system calls",
            "did not fit into the kernel tables",
        ),
        LossKind::Accesses => (
            "access",
            "accesses",
            "to files, capabilities, sockets and the like did not fit, or the path could not be read",
        ),
        LossKind::Paths => (
            "access",
            "accesses",
            "to files that could not be looked up in time; kept under the name that was given",
        ),
        LossKind::Messages => (
            "message",
            "messages",
            "of gVisor's runtime monitoring dropped or unreadable",
        ),
        LossKind::Cgroups => ("child cgroup", "child cgroups", "could not be followed"),
        LossKind::ProgramRuns => ("run", "runs", "of tracer's kernel programs skipped"),
        LossKind::Threads => ("thread", "threads", "not watched for blocked calls"),
        LossKind::Phases => (
            "process",
            "processes",
            "of the runtime, or started later, counted as the workload",
        ),
        LossKind::Values => (
            "call",
            "calls",
            "with arguments that did not fit; kept with any arguments",
        ),
        LossKind::Executables => (
            "process",
            "processes",
            "with an unknown executable; what they did is kept",
        ),
        LossKind::Events => (
            "event",
            "events",
            "with first-seen details lost; the calls themselves are kept",
        ),
    };
    format!("{} {what}", counted(count, one, many))
}

/// All that was lost, in a few words: `2 calls lost, 1 cgroup lost`, or `nothing lost`.
pub fn losses(losses: &Losses) -> String {
    let parts: Vec<_> = losses
        .iter()
        .map(|(lost, count)| loss_in_brief(lost, count))
        .collect();
    if parts.is_empty() {
        return "nothing lost".to_owned();
    }
    parts.join(", ")
}

fn loss_in_brief(lost: LossKind, count: u64) -> String {
    let (one, many, what) = match lost {
        LossKind::Calls => ("call", "calls", "lost"),
        LossKind::Accesses => ("access", "accesses", "lost"),
        LossKind::Paths => ("file", "files", "not looked up"),
        LossKind::Messages => ("message", "messages", "lost"),
        LossKind::Cgroups => ("cgroup", "cgroups", "lost"),
        LossKind::ProgramRuns => ("program run", "program runs", "skipped"),
        LossKind::Threads => ("thread", "threads", "without blocked calls"),
        LossKind::Phases => ("process", "processes", "in the wrong phase"),
        LossKind::Values => ("call", "calls", "without arguments"),
        LossKind::Executables => ("process", "processes", "without executable"),
        LossKind::Events => ("event", "events", "without first-seen details"),
    };
    format!("{} {what}", counted(count, one, many))
}

/// `1 call`, `2 calls`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_name_some_of_many() {
        let values = (1..=8).map(|number| format!("6.{number}\n")).collect();
        let text = note(&Note::SeveralKernels { count: 11, values });
        assert_eq!(
            text,
            "11 kernels were recorded on: 6.1\\n, 6.2\\n, 6.3\\n, 6.4\\n, 6.5\\n, 6.6\\n, 6.7\\n, 6.8\\n, and 3 more; a libc may make other calls on another kernel"
        );
    }

    #[test]
    fn every_loss_is_named() {
        assert_eq!(losses(&Losses::default()), "nothing lost");
        let all = Losses {
            events: 1,
            executables: 2,
            calls: 3,
            cgroups: 4,
            program_runs: 5,
            threads: 6,
            phases: 7,
            values: 8,
            accesses: 9,
            paths: 10,
            messages: 11,
        };
        let text = losses(&all);
        for count in 1..=11 {
            let parts = text.split(", ");
            let named = parts.filter(|part| part.starts_with(&format!("{count} ")));
            assert_eq!(named.count(), 1, "{text}");
        }
        let call = Losses {
            calls: 1,
            ..Losses::default()
        };
        assert_eq!(losses(&call), "1 call lost");
        let accesses = Losses {
            accesses: 2,
            ..Losses::default()
        };
        assert_eq!(losses(&accesses), "2 accesses lost");
    }
}

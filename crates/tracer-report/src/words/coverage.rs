//! How sure a recording is.

use tracer_core::recording::{LossKind, Losses, Note, Reason, RecordingEnd, estimate::Refusal};

/// A reason against completeness, without a stop: what happened, to what, and what to do.
pub fn reason(reason: &Reason) -> String {
    let text = match reason {
        Reason::StartNotObserved {} => {
            "the workload was running before the recording began: what it did at its start was not seen; record it from its start"
        }
        Reason::StillRunning { after } => still_running(*after),
        Reason::IoUring {} => {
            "the workload used io_uring or tried to: what it does there is done without system calls, was not seen, and is not bound by seccomp either"
        }
        Reason::FilterInPlace {} => {
            "a seccomp filter was in place before tracer watched what it stops: calls that it stopped then were not seen; record the workload from its start, or without the filter"
        }
        Reason::NotStarted {} => {
            "processes were put into the container, and none was seen to start a program there: all they did is filed under the runtime (phase `setup`) and is not in the profile"
        }
        Reason::LeftCgroup {} => {
            "a process of the workload went to another cgroup, where it was not seen any more; record that cgroup, or run the command without what moves it (sudo, systemd-run, a container runtime)"
        }
        Reason::ObservationsLost { lost, count } => return observations_lost(*lost, *count),
        Reason::ProgramSkipped { count } => {
            return format!(
                "the kernel skipped {count} runs of tracer's programs; another tracing tool may be interfering, record again without it"
            );
        }
        Reason::PhasesMixed { count } => {
            return format!(
                "the kernel side's tables were full {count} times when a runtime, or a program that was put in later, was at work: what it did is filed as the workload's, and the profile may allow more than that needs; record again with a larger --max-rows"
            );
        }
        Reason::CutShort { error } => {
            return format!(
                "an error ended the recording, and what came later was not seen: {error}"
            );
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

const fn still_running(after: RecordingEnd) -> &'static str {
    match after {
        RecordingEnd::Attached => {
            "the recording ended while the workload was running: what it does later, at its end for one, was not seen"
        }
        RecordingEnd::Followed => {
            "the recording was ended while processes of the workload were running; what they did later was not seen"
        }
        RecordingEnd::CommandEnded => {
            "the command ended and left processes running; what they did later was not seen; record with --follow to wait for them"
        }
    }
}

fn observations_lost(lost: LossKind, count: u64) -> String {
    match lost {
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
        // No recorder gives these as a reason; a file may.
        LossKind::ProgramRuns
        | LossKind::Phases
        | LossKind::Values
        | LossKind::Executables
        | LossKind::Events => format!("{count} {}", loss(lost)),
    }
}

/// A note, without a stop: what it is, and what follows.
pub fn note(note: &Note) -> String {
    let several = |count: u64, what: &str, values: &[String], so: &str| {
        // What a workload or an image is called, others chose.
        let mut named: Vec<_> = values
            .iter()
            .map(|value| value.escape_debug().to_string())
            .collect();
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
            "the profile allows each what was seen on any of them",
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
            "the profile allows each what was seen of any of them",
        ),
        Note::SeveralCommands { count, values } => several(
            *count,
            "commands were recorded",
            values,
            "the profile allows each what was seen of any of them",
        ),
        Note::InstancesFolded {
            listed,
            instances,
            uncounted,
        } => format!(
            "{listed} of {}{instances} instances are listed; of the others it is kept what was observed, and by which executables",
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
        Refusal::NoCalls => "none was seen".to_owned(),
        Refusal::TooFewInstances { instances, needed } => format!(
            "that takes {needed} instances (replicas, restarts, further recordings), not {instances}"
        ),
        Refusal::TooManyRareCalls => {
            "more than half of the calls were seen in one instance only, so that too little was seen for an estimate".to_owned()
        }
        Refusal::Other(text) => return text.clone(),
    };
    format!("how many calls are unseen is not estimated: {why}")
}

/// What was lost, after its number: `2 calls found no room …`.
pub const fn loss(lost: LossKind) -> &'static str {
    match lost {
        LossKind::Calls => "calls found no room in the kernel's tables",
        LossKind::Accesses => {
            "accesses to files, capabilities, sockets and the like found no room, or their path could not be read"
        }
        LossKind::Cgroups => "child cgroups were not followed",
        LossKind::ProgramRuns => "runs of a kernel program were skipped",
        LossKind::Threads => "threads under a filter were not watched for what it stops",
        LossKind::Phases => {
            "times a runtime's process, or one that was put in later, was taken for the workload"
        }
        LossKind::Values => {
            "calls whose arguments found no room, or could not be read; they are kept, with any arguments"
        }
        LossKind::Executables => {
            "times a task or process could not be filed under its executable; what it did is kept"
        }
        LossKind::Events => "first sightings were lost; the calls themselves are kept",
    }
}

/// All that was lost, in a few words: `2 calls lost, 1 cgroups lost`, or `nothing lost`.
pub fn losses(losses: &Losses) -> String {
    let parts: Vec<_> = losses
        .iter()
        .map(|(lost, count)| format!("{count} {}", loss_in_brief(lost)))
        .collect();
    if parts.is_empty() {
        return "nothing lost".to_owned();
    }
    parts.join(", ")
}

const fn loss_in_brief(lost: LossKind) -> &'static str {
    match lost {
        LossKind::Calls => "calls lost",
        LossKind::Accesses => "accesses lost",
        LossKind::Cgroups => "cgroups lost",
        LossKind::ProgramRuns => "program runs skipped",
        LossKind::Threads => "threads without blocked calls",
        LossKind::Phases => "times in the wrong phase",
        LossKind::Values => "calls without their arguments",
        LossKind::Executables => "times without executable",
        LossKind::Events => "without first-seen evidence",
    }
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
        };
        let text = losses(&all);
        for count in 1..=9 {
            assert_eq!(text.matches(&format!("{count} ")).count(), 1, "{text}");
        }
        let accesses = Losses {
            accesses: 2,
            ..Losses::default()
        };
        assert_eq!(losses(&accesses), "2 accesses lost");
    }
}

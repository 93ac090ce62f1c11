//! `tracer record --cgroup`, `--container`, `--pod`, `--all`.

use super::{
    Exit, Failure, environment, name, output,
    progress_line::ProgressLine,
    record::{Args, failed, record_failure},
    recover,
    saving::Keeper,
    stderr::{plain, say},
};
use crate::store::OutputDirectory;
use tracer_core::recording::Recording;
use tracer_recorder::{
    confine::profile::Calls,
    container::Selector,
    record::{
        attach::{Attachment, Ended, Naming, RecordTarget, Request},
        signals::Signals,
    },
};

pub(super) async fn record(args: &Args, signals: &mut Signals) -> Result<Exit, Failure> {
    let options = args.profile.settings()?;
    let wanted = targets(&args.cgroup, &args.container, &args.pod, args.all)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let request = Request {
        wanted,
        wait: args.wait,
        duration: args.duration,
        until_stable: args.until_stable,
        cri_socket: args.cri_socket.clone(),
        naming: Naming {
            given: args.name.clone(),
            clean: name::from_path,
        },
        settings: args.settings(),
    };
    if args.wait && !environment::can_run_containers() {
        say!(
            "note: no container engine is running on this host, so no container can start yet; tracer doctor lists the engines that it looks for"
        );
    }
    let mut live = ProgressLine::new(args.quiet, true);
    // Nothing is recorded yet that would have to wait for it. Which names this run will use is not known.
    if args.output.is_dir() {
        let output = OutputDirectory::open(&args.output).map_err(failed)?;
        recover::before_recording(&output, |_| true, args.quiet);
    }
    let attachment = Attachment::begin(request, &mut live)
        .await
        .map_err(record_failure)?;
    // What cannot be written is said now and not after an hour.
    let output = OutputDirectory::open(&args.output).map_err(failed)?;
    for name in attachment.names() {
        output.check(&name).map_err(failed)?;
    }
    let mut keeper = Keeper::new(output, options, args.previous, needed_calls(args));
    // When it fails, a checkpoint may be all there is: it stays.
    let (recordings, ended) = attachment
        .run(signals, &mut keeper, &mut live)
        .await
        .map_err(record_failure)?;
    live.clear();
    if matches!(ended, Ended::Removed) && !args.quiet {
        report_end(&recordings);
    }
    let failure = match ended {
        Ended::Failed(error) => Some(record_failure(error)),
        Ended::Asked | Ended::Removed => None,
    };
    if recordings.is_empty() && failure.is_none() {
        say!("nothing recorded: {}", never_started(args));
    }
    let (recordings, empty): (Vec<_>, Vec<_>) = recordings.into_iter().partition(is_something);
    empty.iter().for_each(output::nothing);
    let otherwise = if recordings.is_empty() {
        Exit::Nothing
    } else {
        Exit::Fine
    };
    let saved = keeper.finish(recordings, signals, args.quiet);
    let exit = saved.verdict(args.require_complete, otherwise);
    match (failure, saved.failure) {
        (Some(failure), Some(other)) => {
            say!("{:#}", other.error);
            Err(failure)
        }
        (Some(failure), None) | (None, Some(failure)) => Err(failure),
        (None, None) => Ok(exit),
    }
}

/// Says that everything that was recorded is gone.
fn report_end(recordings: &[Recording]) {
    say!(
        "{}; recording finished",
        match recordings {
            [one] => format!("{} exited", plain(&one.workload.name)),
            _ => "everything that was recorded has exited".to_owned(),
        }
    );
}

/// Whether there is something to write: what a program did, or what was lost of it.
pub(super) fn is_something(recording: &Recording) -> bool {
    recording.has_program() || recording.coverage.losses.iter().next().is_some()
}

/// The calls that the recorder itself needs. Only a cgroup is recorded without a question to a runtime.
fn needed_calls(args: &Args) -> Calls {
    if args.all || !args.container.is_empty() || !args.pod.is_empty() {
        Calls::RecordAndAsk
    } else {
        Calls::Record
    }
}

/// What was asked for and never ran.
fn never_started(args: &Args) -> String {
    let named: Vec<_> = [("container", &args.container), ("pod", &args.pod)]
        .into_iter()
        .flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind} {name}")))
        .collect();
    match named.as_slice() {
        [] => "no container ran".to_owned(),
        named => format!("{} never started", plain(&named.join(", "))),
    }
}

/// What was asked for.
pub(super) fn targets(
    cgroups: &[String],
    containers: &[String],
    pods: &[String],
    all: bool,
) -> anyhow::Result<Vec<RecordTarget>> {
    let mut wanted: Vec<_> = cgroups.iter().cloned().map(RecordTarget::Cgroup).collect();
    for text in containers {
        wanted.push(RecordTarget::Containers(Selector::container(text)?));
    }
    for text in pods {
        wanted.push(RecordTarget::Containers(Selector::pod(text)?));
    }
    if all {
        wanted.push(RecordTarget::Containers(Selector::All));
    }
    Ok(wanted)
}

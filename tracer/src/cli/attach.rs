//! `tracer record --cgroup`, `--container`, `--pod`, `--all`.

use std::path::PathBuf;

use super::{
    Exit, Failure, environment, name, output,
    previous::PreviousArgs,
    progress_line::{ProgressLine, View},
    record::{Args, failed, record_failure},
    recover,
    saving::{Keeper, Observer},
    stderr::{plain, say},
};
use crate::store::OutputDirectory;
use tracer_core::{formats::Settings, recording::Recording};
use tracer_recorder::{
    confine::profile::Calls,
    container::Selector,
    record::{
        attach::{Attachment, Ended, Naming, RecordTarget, Request},
        signals::Signals,
    },
};

/// What is recorded, and what becomes of it.
pub(super) struct Plan<R> {
    pub(super) request: R,
    pub(super) saving: Saving,
}

/// What becomes of a recording.
pub(super) struct Saving {
    /// The directory of all workloads' directories.
    pub(super) output: PathBuf,
    pub(super) settings: Settings,
    pub(super) previous: PreviousArgs,
    pub(super) quiet: bool,
    pub(super) require_complete: bool,
    /// Sees what is recorded as it grows.
    pub(super) observer: Option<Box<dyn Observer>>,
}

pub(super) async fn record(args: &Args, signals: &mut Signals) -> Result<Exit, Failure> {
    let plan = Plan {
        saving: args.saving()?,
        request: Request {
            wanted: targets(&args.cgroup, &args.container, &args.pod, args.all)
                .map_err(|error| Failure::new(Exit::Usage, error))?,
            wait: args.wait,
            duration: args.duration,
            until_stable: args.until_stable,
            cri_socket: args.cri_socket.clone(),
            naming: Naming {
                given: args.name.clone(),
                clean: name::from_path,
            },
            settings: args.settings(),
        },
    };
    let mut live = ProgressLine::new(args.quiet, true);
    run(plan, signals, &mut live).await
}

/// Records cgroups and containers as planned, and keeps the recordings.
pub(super) async fn run(
    plan: Plan<Request>,
    signals: &mut Signals,
    live: &mut dyn View,
) -> Result<Exit, Failure> {
    let Plan { request, saving } = plan;
    if request.wait && !environment::can_run_containers() {
        say!(
            "note: no container engine is running on this host, so no container can start yet; tracer doctor lists the engines that it looks for"
        );
    }
    // Nothing is recorded yet that would have to wait for it. Which names this run will use is not known.
    if saving.output.is_dir() {
        let output = OutputDirectory::open(&saving.output).map_err(failed)?;
        recover::before_recording(&output, |_| true, saving.quiet);
    }
    let never_started = never_started(&request.wanted);
    let calls = needed_calls(&request.wanted);
    let attachment = Attachment::begin(request, live)
        .await
        .map_err(record_failure)?;
    // What cannot be written is said now and not after an hour.
    let output = OutputDirectory::open(&saving.output).map_err(failed)?;
    for name in attachment.names() {
        output.check(&name).map_err(failed)?;
    }
    let mut keeper =
        Keeper::new(output, saving.settings, saving.previous, calls).observed_by(saving.observer);
    // When it fails, a checkpoint may be all there is: it stays.
    let (recordings, ended) = attachment
        .run(signals, &mut keeper, live)
        .await
        .map_err(record_failure)?;
    live.clear();
    if matches!(ended, Ended::Removed) && !saving.quiet {
        report_end(&recordings);
    }
    let failure = match ended {
        Ended::Failed(error) => Some(record_failure(error)),
        Ended::Asked | Ended::Removed => None,
    };
    if recordings.is_empty() && failure.is_none() {
        say!("nothing recorded: {never_started}");
    }
    let (recordings, empty): (Vec<_>, Vec<_>) = recordings.into_iter().partition(is_something);
    empty.iter().for_each(output::nothing);
    let otherwise = if recordings.is_empty() {
        Exit::Nothing
    } else {
        Exit::Fine
    };
    let saved = keeper.finish(recordings, signals, saving.quiet);
    let exit = saved.verdict(saving.require_complete, otherwise);
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
fn needed_calls(wanted: &[RecordTarget]) -> Calls {
    let asks = wanted
        .iter()
        .any(|it| matches!(it, RecordTarget::Containers(_)));
    if asks {
        Calls::RecordAndAsk
    } else {
        Calls::Record
    }
}

/// What was asked for and never ran.
fn never_started(wanted: &[RecordTarget]) -> String {
    let named: Vec<_> = wanted
        .iter()
        .filter_map(|it| match it {
            RecordTarget::Containers(Selector::Container(name)) => {
                Some(format!("container {name}"))
            }
            RecordTarget::Containers(Selector::Pod { namespace, name }) => {
                Some(format!("pod {namespace}/{name}"))
            }
            RecordTarget::Containers(Selector::All) | RecordTarget::Cgroup(_) => None,
        })
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

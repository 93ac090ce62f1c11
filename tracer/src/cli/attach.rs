//! `tracer record --cgroup`, `--container`, `--pod`, `--all`.

use super::{
    Exit, Failure, name, output,
    progress_line::ProgressLine,
    record::{Args, failed, record_failure, verdict},
    stderr::{plain, say},
};
use crate::store::OutputDirectory;
use tracer_core::recording::Recording;
use tracer_recorder::{
    container::Selector,
    record::{
        attach::{Attachment, Ended, Naming, RecordTarget, Request},
        signals::{ReceivedSignal, Signals},
    },
};

pub(super) async fn record(args: &Args, signals: &mut Signals) -> Result<Exit, Failure> {
    let options = args.profile.settings()?;
    let wanted = wanted(args).map_err(|error| Failure::new(Exit::Usage, error))?;
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
    let mut live = ProgressLine::new(args.quiet, true);
    let attachment = Attachment::begin(request, &mut live)
        .await
        .map_err(record_failure)?;
    // What cannot be written is said now and not after an hour.
    let output = OutputDirectory::open(&args.output).map_err(failed)?;
    for name in attachment.names() {
        output.check(&name).map_err(failed)?;
    }
    let (recordings, ended) = attachment
        .run(signals, &mut live)
        .await
        .map_err(record_failure)?;
    live.clear();
    if matches!(ended, Ended::Removed) && !args.quiet {
        say!(
            "{}; recording finished",
            match recordings.as_slice() {
                [one] => format!("{} exited", plain(&one.workload.name)),
                _ => "everything that was recorded has exited".to_owned(),
            }
        );
    }
    let mut failure = match ended {
        Ended::Failed(error) => Some(record_failure(error)),
        Ended::Asked | Ended::Removed => None,
    };
    if recordings.is_empty() && failure.is_none() {
        say!("nothing recorded: {}", never_started(args));
    }
    let (recordings, empty): (Vec<_>, Vec<_>) =
        recordings.into_iter().partition(Recording::has_program);
    empty.iter().for_each(output::nothing);
    let mut exit = if recordings.is_empty() {
        Exit::Nothing
    } else {
        Exit::Fine
    };
    for recording in &recordings {
        let directory = args.output.join(&recording.workload.name);
        let mut ends = || signals.pending().is_some_and(ReceivedSignal::asks_to_end);
        let written = args
            .previous
            .apply(&directory, recording.clone())
            .and_then(|to_write| output::write(&output, &to_write, &options, &mut ends))
            .map_err(failed);
        match (written, &failure) {
            (Ok(()), _) => output::summary(&directory, recording, args.quiet),
            // The others can still be written.
            (Err(error), None) => failure = Some(error),
            (Err(error), Some(_)) => say!("{:#}", error.error),
        }
        exit = verdict(recording, args.require_complete, exit);
    }
    // Nothing is not complete.
    if recordings.is_empty() && args.require_complete {
        exit = Exit::No;
    }
    failure.map_or(Ok(exit), Err)
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

fn wanted(args: &Args) -> anyhow::Result<Vec<RecordTarget>> {
    let mut wanted: Vec<_> = args
        .cgroup
        .iter()
        .cloned()
        .map(RecordTarget::Cgroup)
        .collect();
    for text in &args.container {
        wanted.push(RecordTarget::Containers(Selector::container(text)?));
    }
    for text in &args.pod {
        wanted.push(RecordTarget::Containers(Selector::pod(text)?));
    }
    if args.all {
        wanted.push(RecordTarget::Containers(Selector::All));
    }
    Ok(wanted)
}

//! `tracer record --cgroup`, `--container`, `--pod`.

use anyhow::anyhow;

use super::{
    Exit, Failure,
    live::Live,
    name, output,
    record::{Args, failed, record_failure, verdict},
    say::say,
};
use crate::{
    container::Selector,
    record::{
        attach::{self, Ended, Found, Target, Wanted},
        signals::Signals,
    },
    recording::store,
};

pub(super) async fn record(args: &Args, signals: &mut Signals) -> Result<Exit, Failure> {
    let options = args.profile.options()?;
    let wanted = wanted(args).map_err(|error| Failure::new(Exit::Usage, error))?;
    let (_hierarchy, found) = attach::find(&wanted).await.map_err(record_failure)?;
    let targets = name_workloads(args, found)?;
    for target in &targets {
        store::prepare(&args.output.join(&target.name)).map_err(failed)?;
        for warning in target.container.iter().flat_map(|c| &c.warnings) {
            say!("{}: {warning}", target.name);
        }
        for problem in target.container.iter().flat_map(|c| &c.unresolved) {
            say!("{}: {}", target.name, problem.escape_debug());
        }
    }

    let mut live = Live::new(args.quiet, true);
    let request = attach::Request {
        targets,
        duration: args.duration,
        settings: args.settings(),
    };
    let (recordings, ended) = attach::run(request, signals, &mut live)
        .await
        .map_err(record_failure)?;
    live.clear();
    if ended == Ended::Removed {
        say!("what was recorded is gone, so the recording ended");
    }
    let mut exit = Exit::Fine;
    for recording in &recordings {
        let folder = args.output.join(&recording.workload.name);
        output::write(&folder, recording, &options).map_err(failed)?;
        output::summary(&folder, recording, args.quiet);
        exit = verdict(recording, args.require_complete, exit);
    }
    Ok(exit)
}

fn wanted(args: &Args) -> anyhow::Result<Vec<Wanted>> {
    let mut wanted: Vec<_> = args.cgroup.iter().cloned().map(Wanted::Cgroup).collect();
    for text in &args.container {
        wanted.push(Wanted::Containers(Selector::container(text)?));
    }
    for text in &args.pod {
        wanted.push(Wanted::Containers(Selector::pod(text)?));
    }
    Ok(wanted)
}

/// Gives each cgroup the name of its workload: the one that was asked for, the container's, or the
/// cgroup's.
fn name_workloads(args: &Args, found: Vec<Found>) -> Result<Vec<Target>, Failure> {
    let targets: Vec<_> = found
        .into_iter()
        .map(|(cgroup, container)| {
            let own = match &container {
                Some(container) => container.workload.folder(|text| name::of(text.as_ref())),
                None => name::of(cgroup.path.as_os_str()),
            };
            Target {
                name: args.name.clone().unwrap_or(own),
                cgroup,
                container,
            }
        })
        .collect();
    let kinds: std::collections::BTreeSet<_> = targets
        .iter()
        .filter_map(|target| target.container.as_ref())
        .map(|container| format!("{:?}", container.workload))
        .collect();
    if args.name.is_some() && kinds.len() > 1 {
        return Err(Failure::new(
            Exit::Usage,
            anyhow!(
                "--name names one workload, and {} different ones were found; leave it out, or select one",
                kinds.len()
            ),
        ));
    }
    Ok(targets)
}

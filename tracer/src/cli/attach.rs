//! `tracer record --cgroup`.

use super::{
    Exit, Failure,
    live::Live,
    name, output,
    record::{Args, failed, record_failure, verdict},
    say::say,
};
use crate::{
    record::{
        attach::{self, Ended},
        signals::Signals,
    },
    recording::store,
};

pub(super) async fn record(
    args: &Args,
    cgroup: &str,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let (_hierarchy, cgroup) = attach::find(cgroup).map_err(record_failure)?;
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| name::of(cgroup.path.as_os_str()));
    let folder = args.output.join(&name);
    store::prepare(&folder).map_err(failed)?;

    let mut live = Live::new(args.quiet, true);
    let request = attach::Request {
        name,
        cgroup,
        duration: args.duration,
        settings: args.settings(),
    };
    let path = request.cgroup.path.display().to_string();
    let (recording, ended) = attach::run(request, signals, &mut live)
        .await
        .map_err(record_failure)?;
    live.clear();
    if ended == Ended::Removed {
        say!("the cgroup {path} was removed, so the recording ended");
    }
    output::write(&folder, &recording).map_err(failed)?;
    output::summary(&folder, &recording, args.quiet);
    Ok(verdict(&recording, args.require_complete, Exit::Fine))
}

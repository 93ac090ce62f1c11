//! `tracer record --gvisor`: record what runs in gVisor, which reports its guests itself.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::PathBuf,
};

use super::{
    Exit, Failure, name, output,
    progress_line::{ProgressLine, View as _},
    record::{Args, failed},
    recover,
    saving::Keeper,
    stderr::say,
};
use crate::store::OutputDirectory;
use tracer_recorder::{
    confine::profile::{Access, Calls},
    gvisor::{
        GvisorError, default_socket,
        record::{self, Guest, Request, Target},
    },
    record::{RecordError, SnapshotSink as _, signals::Signals},
};

/// The options of gVisor.
#[derive(Debug, clap::Args)]
pub(super) struct GvisorArgs {
    /// Record guests of gVisor: CMD is runsc's own command line (run, create, do)
    #[arg(long, conflicts_with_all = ["pod", "cgroup", "user", "follow", "wait", "cri_socket", "accesses"])]
    gvisor: bool,

    /// runsc that started the guests [default: CMD's, else from PATH]
    #[arg(long, value_name = "PATH", requires = "gvisor")]
    runsc: Option<PathBuf>,

    /// Socket that guests report to, for --all [default: /run/tracer/gvisor.sock]
    #[arg(long, value_name = "PATH", requires_all = ["gvisor", "all"])]
    gvisor_socket: Option<PathBuf>,
}

impl GvisorArgs {
    /// Whether a guest of gVisor is to be recorded.
    pub(super) const fn is_given(&self) -> bool {
        self.gvisor
    }
}

/// What is to be recorded.
fn target(args: &Args, command: Vec<OsString>) -> Result<Target, Failure> {
    let usage = |text: &'static str| Failure::new(Exit::Usage, anyhow::anyhow!(text));
    match (command.is_empty(), args.container.as_slice(), args.all) {
        (false, [], false) => Ok(Target::Command(command)),
        (true, [container], false) => Ok(Target::Running(container.clone())),
        (true, [], true) => {
            let given = args.gvisor.gvisor_socket.clone();
            Ok(Target::Listen(given.unwrap_or_else(default_socket)))
        }
        _ => Err(usage(
            "--gvisor records one thing: a command of runsc, one --container, or --all",
        )),
    }
}

pub(super) async fn record(
    args: Args,
    command: Vec<OsString>,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let options = args.profile.settings()?;
    if options.seccomp.complain {
        let error = anyhow::anyhow!(
            "--complain makes no profile for gVisor: runsc refuses a profile with SCMP_ACT_LOG; record without it"
        );
        return Err(Failure::new(Exit::Usage, error));
    }
    let target = target(&args, command)?;
    let has_command = matches!(target, Target::Command(_));
    let output = OutputDirectory::open(&args.output).map_err(failed)?;
    if let Some(name) = &args.name {
        output.check(name).map_err(failed)?;
    }
    recover::before_recording(&output, |it| args.name.as_deref() == Some(it), args.quiet);
    let mut live = ProgressLine::new(
        args.quiet,
        args.is_live() || !has_command || !io::stdout().is_terminal(),
    );
    let request = Request {
        target,
        runsc: args.gvisor.runsc.clone(),
        duration: args.duration,
        until_stable: args.until_stable,
    };
    let given = args.name.clone();
    let named = |guest: &Guest<'_>| given.clone().unwrap_or_else(|| workload(guest));
    let recorded = record::run(request, &named, signals, &mut live)
        .await
        .map_err(failure)?;
    live.clear();
    let otherwise = recorded.status.map_or(Exit::Fine, Exit::from_status);
    let (recordings, empty): (Vec<_>, Vec<_>) = recorded
        .recordings
        .into_iter()
        .partition(|it| it.has_program() || !it.coverage.losses.is_none());
    empty.iter().for_each(output::nothing);
    if recordings.is_empty() {
        say!(
            "nothing recorded: {}",
            if recorded.was_connected {
                "no guest started"
            } else {
                "no sandbox of gVisor reported to tracer"
            }
        );
        return Ok(Exit::Nothing);
    }
    let mut keeper = Keeper::new(output, options, args.previous, Calls::Record);
    // The sandbox is left: from here on tracer only writes.
    keeper.begin(Access::Write);
    let saved = keeper.finish(recordings, signals, args.quiet);
    let exit = saved.verdict(args.require_complete, otherwise);
    saved.failure.map_or(Ok(exit), Err)
}

/// The name of a guest's workload: the container's, else its id, else, where runsc made the id up, its command.
fn workload(guest: &Guest<'_>) -> String {
    // `runsc do` calls its containers runsc-NUMBER (runsc/cmd/do.go).
    let is_made = |id: &str| {
        let number = id.strip_prefix("runsc-");
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match guest.name {
        Some(name) => name::from_path(name.as_ref()),
        None if is_made(guest.id) && !guest.command.is_empty() => {
            let command: Vec<_> = guest.command.iter().map(OsString::from).collect();
            name::from_command(&command)
        }
        None => name::from_path(guest.id.as_ref()),
    }
}

fn failure(error: GvisorError) -> Failure {
    match error {
        GvisorError::Record(error) => super::record::record_failure(error),
        error @ (GvisorError::NoStart { .. } | GvisorError::HasConfig) => {
            Failure::new(Exit::Usage, error)
        }
        error @ (GvisorError::NoRunsc(_) | GvisorError::Refused { .. }) => failed(anyhow::anyhow!(
            "{error}; give the runsc that started the guest with --runsc"
        )),
        error => failed(error),
    }
}

/// The command that records what was refused, when it is gVisor's.
pub(super) fn next_step(error: &RecordError) -> Option<&'static str> {
    use tracer_recorder::container::Sandbox;

    match error {
        RecordError::Sandboxed(it) if it.sandbox == Sandbox::GVisor => {
            Some("gVisor reports its guests itself: tracer record --gvisor --container ID")
        }
        RecordError::SandboxRuntime {
            sandbox: Sandbox::GVisor,
            ..
        } => Some("gVisor reports its guests itself: tracer record --gvisor -- runsc run ..."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_named_by_what_a_person_chose() {
        let of = |id, name, command: &[&str]| {
            let command: Vec<_> = command.iter().map(|it| (*it).to_owned()).collect();
            workload(&Guest {
                id,
                name,
                command: &command,
            })
        };
        assert_eq!(of("web", None, &["/usr/bin/nginx"]), "web");
        assert_eq!(of("0123", Some("cart"), &["/usr/bin/nginx"]), "cart");
        assert_eq!(of("runsc-541749", None, &["/usr/bin/nginx"]), "nginx");
        assert_eq!(of("runsc-web", None, &["/usr/bin/nginx"]), "runsc-web");
    }
}

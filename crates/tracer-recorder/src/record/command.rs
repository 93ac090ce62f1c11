//! `record -- CMD`: from the command's first call to its end, or to the end of all it started.

use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
    process::{Child, ExitStatus},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, getpgid, getpgrp},
};
use procfs::process::Process;
use rustix::process::{self, PidfdFlags};
use tokio::{
    io::unix::AsyncFd,
    time::{self, Instant},
};
use tracer_abi::EXE_LAUNCHER;

use super::{
    FinishedWorkload, InstanceInfo, ProgressListener, RecordError, RunAs, Session,
    convert::text,
    discovery::describe_quiet,
    program,
    signals::{ReceivedSignal, Signals},
    spawn,
};
use crate::{
    bpf::{CgroupKind, Settings},
    cgroup::{Cgroup, CgroupError, Hierarchy, OwnCgroup},
};
use tracer_core::{
    profile::seccomp::evaluate::Instruction,
    recording::{Executable, Reason, Recording, RecordingEnd, Source, Workload},
};

/// How long a command may take to end after `--duration` or `--until-stable` asked it to.
const GRACE: Duration = Duration::from_secs(10);

/// How often the marks are read back while the command runs.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// What to run, and until when.
#[derive(Clone, Debug)]
pub struct Request {
    /// The workload's name.
    pub name: String,
    /// The command and its arguments: any bytes, as the kernel takes them.
    pub command: Vec<OsString>,
    /// Who runs it; `None` for who runs tracer.
    pub user: Option<RunAs>,
    /// Go on until the cgroup is empty, not only until the command ends.
    pub follow: bool,
    /// When to end the command.
    pub duration: Option<Duration>,
    /// To end it, too, when it made no new call for that long.
    pub until_stable: Option<Duration>,
    /// A filter that the command is to run under, as the kernel takes it.
    pub filter: Option<Vec<Instruction>>,
    /// For the kernel side.
    pub settings: Settings,
}

/// Runs the command, records it, and returns the recording with the command's exit status.
///
/// # Errors
/// [`RecordError`]: the command did not run, or what it did cannot be told.
pub async fn run(
    request: Request,
    signals: &mut Signals,
    watcher: &mut dyn ProgressListener,
) -> Result<(Recording, ExitStatus), RecordError> {
    let program = request.command.first().cloned().unwrap_or_default();
    let path = program::find(&program)?;
    let mut session = Session::start(&request.settings, Path::new("/"))?;
    let own = own_cgroup()?;
    if under_a_filter() || request.filter.is_some() {
        // The command inherits it, or gets one before its first call.
        session.watch_exits()?;
    }
    let subject = InstanceInfo {
        source: Source::Command,
        start_observed: true,
        container: None,
    };
    let number = session.watch(own.cgroup(), subject, EXE_LAUNCHER, CgroupKind::Plain)?;
    session.want(number, None);
    if let Some(arrived) = signals.pending().filter(|arrived| arrived.asks_to_end()) {
        return Err(RecordError::Interrupted(arrived.signal));
    }
    let mut child = spawn::spawn(
        &path,
        &request.command,
        spawn::SpawnOptions {
            user: request.user.as_ref(),
            inherited: signals.inherited,
            filter: request.filter.as_deref(),
        },
        &own,
    )?;
    watcher.began(&format!("`{}`", text(program.as_bytes()).escape_debug()));
    let followed = follow(&mut session, &mut child, &own, &request, signals, watcher).await;
    // What was in the ring when it ended.
    session.drain()?;
    session.report_denials(watcher);
    let mut reasons = Vec::new();
    let status = match followed {
        Ok(status) => status,
        Err(error) => {
            watcher.note(&format!("the recording is not complete: {error}"));
            reasons.push(error.cut_short());
            // Neither the command's work is lost nor what was seen of it.
            child
                .wait()
                .map_err(RecordError::process("wait for the command"))?
        }
    };
    reasons.extend(still_running(own.cgroup(), request.follow));
    let command = request
        .command
        .iter()
        .map(|argument| text(argument.as_bytes()))
        .collect();
    let recordings = session.finish(vec![FinishedWorkload {
        workload: Workload {
            name: request.name,
            command,
        },
        instances: vec![0],
        reasons,
    }])?;
    // One ending, one recording.
    let mut recording = recordings.into_iter().next().ok_or(RecordError::Process {
        action: "end the recording",
        cause: io::Error::other("it is not there"),
    })?;
    if request.filter.is_some() {
        exclude_filter_load(&mut recording);
    }
    Ok((recording, status))
}

/// Loading the filter is tracer's own call, made in the command's cgroup since writing to the door may be
/// denied after it.
fn exclude_filter_load(recording: &mut Recording) {
    recording.syscalls.retain_mut(|syscall| {
        if syscall.abi.syscall_name(syscall.nr) == Some("seccomp") {
            syscall
                .evidence
                .retain(|it| it.executable != Executable::Launcher);
        }
        !syscall.evidence.is_empty()
    });
}

/// Whether tracer itself runs under a seccomp filter (`Seccomp: 2` in /proc/self/status).
fn under_a_filter() -> bool {
    Process::myself()
        .and_then(|myself| myself.status())
        .is_ok_and(|status| status.seccomp == Some(2))
}

/// A cgroup for the command, in a mount of our own where the mounted hierarchy is read-only, as in
/// most containers.
fn own_cgroup() -> Result<OwnCgroup, RecordError> {
    let hierarchy = Hierarchy::open()?;
    Ok(match OwnCgroup::create(&hierarchy) {
        Err(CgroupError::Create { cause, .. })
            if cause.kind() == io::ErrorKind::ReadOnlyFilesystem =>
        {
            OwnCgroup::create(&Hierarchy::private()?)?
        }
        created => created?,
    })
}

/// Until the command has ended and, when asked to, its cgroup is empty.
async fn follow(
    session: &mut Session,
    child: &mut Child,
    own: &OwnCgroup,
    request: &Request,
    signals: &mut Signals,
    watcher: &mut dyn ProgressListener,
) -> Result<ExitStatus, RecordError> {
    let pid = Pid::from_raw(child.id().cast_signed());
    let exited = pidfd(pid).map_err(RecordError::process("watch the command"))?;
    let mut deadline = Deadline::new(request.duration);
    let mut checkpoint = time::interval(CHECKPOINT);
    let mut status = None;
    loop {
        tokio::select! {
            waited = session.wait() => waited?,
            _ = checkpoint.tick() => session.reconcile()?,
            ended = exited.readable(), if status.is_none() => {
                // Ready for good: nothing to clear.
                let _ = ended.map_err(RecordError::process("watch the command"))?;
                status = Some(child.wait().map_err(RecordError::process("wait for the command"))?);
            }
            arrived = signals.next() => {
                let arrived = arrived.map_err(RecordError::process("read signals"))?;
                if status.is_none() {
                    forward_signal(arrived, pid);
                } else if arrived.asks_to_end() {
                    // Only --follow waits on: this ends it.
                    break;
                }
            }
            () = deadline.reached() => deadline.act(pid, status.is_none(), own.cgroup()),
        }
        session.drain()?;
        session.report_denials(watcher);
        session.tell(watcher)?;
        let waits = request.follow && own.cgroup().is_populated().unwrap_or(false);
        if status.is_some() && !waits {
            break;
        }
        if let Some(span) = request.until_stable
            && !deadline.asked
            && session.is_stable(span)?
        {
            watcher.ends(&describe_quiet(span));
            deadline.act(pid, status.is_none(), own.cgroup());
        }
    }
    // `break` comes only after the command ended.
    status.map_or_else(
        || {
            child
                .wait()
                .map_err(RecordError::process("wait for the command"))
        },
        Ok,
    )
}

/// Passes a signal on, unless the command got it as well: the terminal sends to the whole process
/// group in the foreground.
fn forward_signal(arrived: ReceivedSignal, pid: Pid) {
    let same_group = getpgid(Some(pid)).is_ok_and(|group| group == getpgrp());
    if !(arrived.from_terminal && same_group) {
        // The command may be gone; its end is seen next.
        let _ = kill(pid, arrived.signal);
    }
}

/// `--duration` and `--until-stable`: first a request, then, when it is not met, force.
struct Deadline {
    at: Option<Instant>,
    asked: bool,
}

impl Deadline {
    fn new(duration: Option<Duration>) -> Self {
        Self {
            at: duration.and_then(|duration| Instant::now().checked_add(duration)),
            asked: false,
        }
    }

    async fn reached(&self) {
        match self.at {
            Some(at) => time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    fn act(&mut self, command: Pid, runs: bool, cgroup: &Cgroup) {
        let everyone = || {
            cgroup
                .processes()
                .unwrap_or_default()
                .into_iter()
                .map(Pid::from_raw)
                .collect::<Vec<_>>()
        };
        if self.asked {
            for pid in everyone() {
                let _ = kill(pid, Signal::SIGKILL);
            }
            self.at = None;
            return;
        }
        let asked = if runs { vec![command] } else { everyone() };
        for pid in asked {
            let _ = kill(pid, Signal::SIGTERM);
        }
        self.asked = true;
        self.at = Some(Instant::now() + GRACE);
    }
}

/// Becomes readable when the process ends (pidfd_open(2), Linux 5.3).
fn pidfd(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    let pid = process::Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::InvalidInput)?;
    let fd = process::pidfd_open(pid, PidfdFlags::empty())?;
    // SAFETY: `OwnedFd` owns its descriptor, and it is neither replaced nor closed while the
    // `AsyncFd` owns it.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

fn still_running(cgroup: &Cgroup, followed: bool) -> Option<Reason> {
    let left = cgroup.processes().unwrap_or_default().len();
    (left > 0).then_some(Reason::StillRunning {
        after: if followed {
            RecordingEnd::Followed
        } else {
            RecordingEnd::CommandEnded
        },
    })
}

//! `record -- CMD`: from the command's first call to its end, or to the end of all it started.

use std::{
    ffi::OsString,
    io,
    ops::ControlFlow,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, process::ExitStatusExt as _},
    },
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
use tokio::{io::unix::AsyncFd, time::Instant};
use tracer_abi::EXE_LAUNCHER;

use super::{
    FinishedWorkload, InstanceInfo, ProgressListener, RecordError, RunAs, Session, SnapshotSink,
    WorkloadPart,
    convert::text,
    daemon_client, program,
    recording_loop::{self, Recorded},
    signals::{ReceivedSignal, Signals, Terminal},
    spawn,
};
use crate::{
    bpf::{CgroupKind, Settings},
    cgroup::{Cgroup, CgroupError, Hierarchy, OwnCgroup},
    container::of_program,
};
use tracer_core::{
    profile::seccomp::evaluate::Instruction,
    recording::{
        CommandFailure, Executable, Reason, Recording, RecordingEnd, Source, Workload,
        plain_text::plain,
    },
};

/// How long a command may take to end after `--duration` or `--until-stable` asked it to.
const GRACE: Duration = Duration::from_secs(10);

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

impl Request {
    /// The command as a workload, whose only instance is the first one.
    fn workload(&self, reasons: Vec<Reason>) -> FinishedWorkload {
        let command = self.command.iter();
        FinishedWorkload {
            workload: Workload {
                name: self.name.clone(),
                command: command.map(|argument| text(argument.as_bytes())).collect(),
            },
            instances: vec![0],
            reasons,
            part: WorkloadPart::default(),
        }
    }
}

/// Runs the command, records it, and returns the recording with the command's exit status. `sink` keeps what is
/// recorded so far.
///
/// # Errors
/// [`RecordError`]: the command did not run, or what it did cannot be told.
pub async fn run(
    request: Request,
    signals: &mut Signals,
    sink: &mut dyn SnapshotSink,
    listener: &mut dyn ProgressListener,
) -> Result<(Recording, ExitStatus), RecordError> {
    let program = request.command.first().cloned().unwrap_or_default();
    let path = program::find(&program)?;
    if let Some(sandbox) = of_program(&path) {
        return Err(RecordError::SandboxRuntime { program, sandbox });
    }
    if let Some(hint) = daemon_client::hint(&request.command) {
        listener.note(&hint);
    }
    let mut session = Session::start(&request.settings, Path::new("/"))?;
    let own = own_cgroup()?;
    watch_own(&mut session, &own, request.filter.is_some())?;
    if let Some(arrived) = signals.pending().filter(|arrived| arrived.asks_to_end()) {
        return Err(RecordError::Interrupted(arrived.signal));
    }
    let context = session.selinux.context();
    let mut child = spawn::spawn(
        &path,
        &request.command,
        spawn::SpawnOptions {
            user: request.user.as_ref(),
            inherited: signals.inherited,
            filter: request.filter.as_deref(),
            context: context.as_deref(),
        },
        &own,
    )?;
    listener.began(&format!("`{}`", plain(&text(program.as_bytes()))));
    let run = CommandRun {
        session: &mut session,
        child: &mut child,
        own: &own,
        request: &request,
        deadline: Deadline::new(request.duration),
        status: None,
        terminal: signals.terminal(),
    };
    let followed = follow(run, signals, sink, listener).await;
    // What was in the ring when it ended. An error of it must not leave the command behind either.
    let drained = session.drain();
    let followed = followed.and_then(|status| drained.map(|()| status));
    session.report_denials(listener);
    let mut reasons = Vec::new();
    let status = match followed {
        Ok(status) => status,
        Err(error) => {
            listener.note(&format!("the recording is not complete: {error}"));
            reasons.push(error.cut_short());
            // Neither the command's work is lost nor what was seen of it.
            child
                .wait()
                .map_err(RecordError::process("wait for the command"))?
        }
    };
    reasons.extend(still_running(own.cgroup(), request.follow));
    let mut recording = finish(session, request, reasons)?;
    for instance in &mut recording.instances {
        instance.failed = failure(status);
    }
    Ok((recording, status))
}

/// How a command failed; not when it was told to end, by a signal or with the status that shells give for one.
fn failure(status: ExitStatus) -> Option<CommandFailure> {
    const ASKS: [Signal; 4] = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGKILL,
        Signal::SIGTERM,
    ];
    let asks = |number: i32| ASKS.iter().any(|it| *it as i32 == number);
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) if asks(code - 128) => None,
        (Some(code), _) => Some(CommandFailure::ExitStatus(code)),
        (None, Some(signal)) if asks(signal) => None,
        (None, signal) => signal.map(CommandFailure::Signal),
    }
}

/// Records the command's cgroup, from before the command is in it.
fn watch_own(session: &mut Session, own: &OwnCgroup, has_filter: bool) -> Result<(), RecordError> {
    if under_a_filter() || has_filter {
        // The command inherits it, or gets one before its first call.
        session.watch_exits()?;
    }
    let info = InstanceInfo {
        source: Source::Command,
        start_observed: true,
        container: None,
    };
    let number = session.watch(own.cgroup(), info, EXE_LAUNCHER, CgroupKind::Plain)?;
    session.want(number, None);
    Ok(())
}

/// The recording of the command.
fn finish(
    session: Session,
    request: Request,
    reasons: Vec<Reason>,
) -> Result<Recording, RecordError> {
    let recordings = session.finish(vec![request.workload(reasons)])?;
    // One workload, one recording.
    let mut recording = recordings.into_iter().next().ok_or(RecordError::Process {
        action: "end the recording",
        cause: io::Error::other("it is not there"),
    })?;
    if request.filter.is_some() {
        exclude_filter_load(&mut recording);
    }
    Ok(recording)
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

/// A command that is recorded until it has ended and, when asked to, its cgroup is empty.
struct CommandRun<'a> {
    session: &'a mut Session,
    child: &'a mut Child,
    own: &'a OwnCgroup,
    request: &'a Request,
    deadline: Deadline,
    status: Option<ExitStatus>,
    terminal: Terminal,
}

impl CommandRun<'_> {
    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn wait(&mut self) -> Result<ExitStatus, RecordError> {
        self.child
            .wait()
            .map_err(RecordError::process("wait for the command"))
    }

    /// The command gets what its terminal's end would send it.
    fn act_on_hang_up(&mut self) {
        if self.status.is_none() && self.terminal.is_gone() {
            let pid = self.pid();
            self.deadline.hang_up(pid);
        }
    }
}

impl Recorded for CommandRun<'_> {
    type End = ();

    fn session(&mut self) -> &mut Session {
        self.session
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline.at
    }

    fn until_stable(&self) -> Option<Duration> {
        self.request.until_stable.filter(|_| !self.deadline.asked)
    }

    fn on_exit(&mut self) -> Result<(), RecordError> {
        self.status = Some(self.wait()?);
        Ok(())
    }

    fn on_signal(&mut self, signal: ReceivedSignal) -> ControlFlow<()> {
        if self.status.is_none() {
            forward_signal(signal, self.pid());
            self.act_on_hang_up();
        } else if signal.asks_to_end() {
            // Only --follow waits on: this ends it.
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn on_checkpoint(&mut self) -> Result<(), RecordError> {
        self.act_on_hang_up();
        Ok(())
    }

    fn workloads(&mut self) -> Vec<FinishedWorkload> {
        vec![self.request.workload(Vec::new())]
    }

    fn on_time(&mut self) -> ControlFlow<()> {
        let (pid, runs) = (self.pid(), self.status.is_none());
        self.deadline.act(pid, runs, self.own.cgroup());
        ControlFlow::Continue(())
    }

    fn on_drained(&mut self, listener: &mut dyn ProgressListener) -> Result<(), RecordError> {
        self.session.report_denials(listener);
        Ok(())
    }

    fn is_over(&mut self) -> ControlFlow<()> {
        let waits = self.request.follow && self.own.cgroup().is_populated().unwrap_or(false);
        if self.status.is_some() && !waits {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Records the command until it is over.
async fn follow(
    mut run: CommandRun<'_>,
    signals: &mut Signals,
    sink: &mut dyn SnapshotSink,
    listener: &mut dyn ProgressListener,
) -> Result<ExitStatus, RecordError> {
    let exit = pidfd(run.pid()).map_err(RecordError::process("watch the command"))?;
    recording_loop::run(&mut run, Some(&exit), signals, sink, listener).await?;
    // It is over only when the command has ended.
    match run.status {
        Some(status) => Ok(status),
        None => run.wait(),
    }
}

/// Passes a signal on, unless the command got it as well: the terminal sends to the whole process
/// group in the foreground.
pub(crate) fn forward_signal(arrived: ReceivedSignal, pid: Pid) {
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
    hung_up: bool,
}

impl Deadline {
    fn new(duration: Option<Duration>) -> Self {
        Self {
            at: duration.and_then(|duration| Instant::now().checked_add(duration)),
            asked: false,
            hung_up: false,
        }
    }

    /// The terminal was closed. The command may not have been told; one that goes on all the same is asked to end
    /// later, since nobody is there to do so.
    fn hang_up(&mut self, command: Pid) {
        if !self.hung_up {
            let _ = kill(command, Signal::SIGHUP);
            self.hung_up = true;
            if !self.asked {
                let soon = Instant::now() + GRACE;
                self.at = Some(self.at.map_or(soon, |at| at.min(soon)));
            }
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

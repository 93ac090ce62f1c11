//! A recording of gVisor's guests, from start to end.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::{self, Instant, MissedTickBehavior};
use tracer_core::recording::{Reason, Recording, RecordingEnd};

pub use super::assemble::Guest;
use super::{
    GvisorError,
    assemble::{self, Ending},
    bundle::Bundle,
    facts::{Facts, FactsSettings},
    runsc::{RunningSandbox, RunscCommand, find_running, is_any_called_sandbox, points_of},
    session::{WithoutListener, init_config},
    sink::Sink,
    trusted::Runsc,
};
use crate::record::{
    Progress, ProgressListener, RecordError,
    signals::{ReceivedSignal, Signals},
};

/// How often the command, the connections and the clock are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How long a command may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// How long a sandbox may take to end its session.
const SESSION_END: Duration = Duration::from_secs(5);

/// What is recorded.
#[derive(Clone, Debug)]
pub enum Target {
    /// The sandbox that a command line of runsc starts.
    Command(Vec<OsString>),
    /// The container that runs and has an id that begins so.
    Running(String),
    /// Whatever reports to this socket.
    Listen(PathBuf),
}

/// What to record, and until when.
#[derive(Clone, Debug)]
pub struct Request {
    /// What.
    pub target: Target,
    /// runsc's program; `None` for the one that is run, or the one in `PATH` for a container that runs.
    pub runsc: Option<PathBuf>,
    /// When to end.
    pub duration: Option<Duration>,
    /// To end, too, when nothing was new for that long.
    pub until_stable: Option<Duration>,
}

/// What came of it.
#[derive(Debug)]
pub struct Recorded {
    /// A recording for each workload.
    pub recordings: Vec<Recording>,
    /// How the command ended; `None` when none was run.
    pub status: Option<ExitStatus>,
    /// Whether anything ever reported.
    pub was_connected: bool,
}

/// A recording that goes on.
#[derive(Debug)]
struct Run {
    sink: Sink,
    child: Option<Child>,
    status: Option<ExitStatus>,
    attached: Option<RunningSandbox>,
    /// Whether profiles in bundles are in force.
    applies_seccomp: bool,
    /// Whether it ends only when it is told to.
    is_endless: bool,
    deadline: Option<Instant>,
    until_stable: Option<Duration>,
    was_asked: bool,
    was_told_to_end: bool,
}

/// Records. `name` gives each guest the name of its workload; guests of one name are instances of one.
///
/// # Errors
/// [`GvisorError`] when it could not begin, or the command not be waited for.
pub async fn run(
    request: Request,
    name: &dyn Fn(&Guest<'_>) -> String,
    signals: &mut Signals,
    listener: &mut dyn ProgressListener,
) -> Result<Recorded, GvisorError> {
    let mut run = Run::begin(&request, signals, listener)?;
    let ended = run.follow(signals, listener).await;
    if let Err(error) = &ended {
        listener.note(&format!("the recording is not complete: {error}"));
    }
    run.detach(listener).await;
    run.sink.stop();
    if run.sink.refused() > 0 {
        listener.note(&format!(
            "{} connections to tracer's socket were refused: only root and the user who runs tracer may report",
            run.sink.refused()
        ));
    }
    let foreign = run.sink.with(|facts| facts.foreign());
    if foreign > 0 {
        listener.note(&format!(
            "{foreign} messages of a sandbox named a container that another sandbox had reported first: they are not recorded, and are counted as lost"
        ));
    }
    let reasons = ended.err().map(|error| Reason::CutShort {
        error: error.to_string(),
    });
    let end = match (&request.target, run.was_told_to_end) {
        (Target::Command(_), true) => RecordingEnd::Followed,
        (Target::Command(_), false) => RecordingEnd::CommandEnded,
        _ => RecordingEnd::Attached,
    };
    let ending = Ending {
        end,
        reasons: reasons.into_iter().collect(),
        applies_seccomp: run.applies_seccomp,
        name,
    };
    let recordings = run.sink.with(|facts| assemble::recordings(facts, &ending));
    Ok(Recorded {
        recordings,
        status: run.status,
        was_connected: run.sink.connections().1 > 0,
    })
}

impl Run {
    fn begin(
        request: &Request,
        signals: &Signals,
        listener: &mut dyn ProgressListener,
    ) -> Result<Self, GvisorError> {
        let mut run = match &request.target {
            Target::Command(command) => Self::of_command(command, request, signals, listener)?,
            Target::Running(id) => Self::of_running(id, request, listener)?,
            Target::Listen(socket) => Self::listening(socket, request, listener)?,
        };
        let end = |duration| Instant::now().checked_add(duration);
        run.deadline = request.duration.and_then(end);
        run.until_stable = request.until_stable;
        Ok(run)
    }

    fn new(sink: Sink) -> Self {
        Self {
            sink,
            child: None,
            status: None,
            attached: None,
            applies_seccomp: false,
            is_endless: false,
            deadline: None,
            until_stable: None,
            was_asked: false,
            was_told_to_end: false,
        }
    }

    fn of_command(
        command: &[OsString],
        request: &Request,
        signals: &Signals,
        listener: &mut dyn ProgressListener,
    ) -> Result<Self, GvisorError> {
        let program = command.first().cloned().unwrap_or_default();
        let path = crate::record::find_program(&program)?;
        let points = points_of(request.runsc.as_ref().unwrap_or(&path));
        // Read first with a name that is not known yet: what it cannot be, is said before anything is made.
        let parsed = RunscCommand::parse(command, Path::new("init.json"))?;
        let bundle = match &parsed.bundle {
            Some(directory) => Bundle::read(directory),
            None => Some(Bundle::of_this_machine()),
        };
        let settings = FactsSettings::new(points, Box::new(move |_| bundle.clone()));
        let sink = Sink::private(Facts::new(settings))?;
        let config = write_config(&sink)?;
        let parsed = RunscCommand::parse(command, &config)?;
        let inherited = signals.inherited;
        let mut child = Command::new(&path);
        child.arg0(&program).args(parsed.words.iter().skip(1));
        // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor
        // takes locks.
        unsafe { child.pre_exec(move || inherited.restore()) };
        let child = child
            .spawn()
            .map_err(RecordError::process("start the command"))?;
        listener.began(&format!(
            "the guest of `{} {}`",
            program.to_string_lossy().escape_debug(),
            parsed.subcommand
        ));
        let mut run = Self::new(sink);
        run.child = Some(child);
        run.applies_seccomp = parsed.applies_seccomp;
        Ok(run)
    }

    fn of_running(
        id: &str,
        request: &Request,
        listener: &mut dyn ProgressListener,
    ) -> Result<Self, GvisorError> {
        let sandbox = one_running(id, request.runsc.as_deref())?;
        let own = sandbox.bundle.as_deref().and_then(Bundle::read);
        let find = move |id: &str| own.clone().or_else(|| Bundle::of_containerd(id));
        let mut settings = FactsSettings::new(points_of(&sandbox.program), Box::new(find));
        settings.from_start = false;
        settings.wanted = Some(sandbox.container.clone());
        let sink = Sink::private(Facts::new(settings))?;
        let config = write_config(&sink)?;
        sandbox.start_session(&config)?;
        // It made the connection, and was answered.
        match sandbox.processes() {
            Ok(processes) => sink.with(|facts| {
                for (process, path) in &processes {
                    facts.know(0, &sandbox.container, *process, path);
                }
            }),
            Err(error) => listener.note(&format!(
                "the programs of processes that run already are not known: {error}"
            )),
        }
        listener.began(&format!(
            "the guest {} of gVisor, which runs already",
            sandbox.container.escape_debug()
        ));
        let mut run = Self::new(sink);
        run.applies_seccomp = sandbox.applies_seccomp;
        run.attached = Some(sandbox);
        Ok(run)
    }

    fn listening(
        socket: &Path,
        request: &Request,
        listener: &mut dyn ProgressListener,
    ) -> Result<Self, GvisorError> {
        let points = request.runsc.as_deref().map(points_of).unwrap_or_default();
        let settings = FactsSettings::new(points, Box::new(Bundle::of_containerd));
        let sink = Sink::at(socket, Facts::new(settings))?;
        listener.began(&format!(
            "all guests of gVisor that report to {}",
            socket.display()
        ));
        let mut run = Self::new(sink);
        run.is_endless = true;
        Ok(run)
    }

    /// Goes on until all is over, or it is told to end.
    async fn follow(
        &mut self,
        signals: &mut Signals,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        let mut tick = time::interval(LOOK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                arrived = signals.next() => {
                    let arrived = arrived.map_err(RecordError::process("read signals"))?;
                    self.on_signal(arrived);
                }
                _ = tick.tick() => self.on_tick(signals, listener)?,
            }
            if self.was_told_to_end || self.is_over() {
                return Ok(());
            }
        }
    }

    fn on_signal(&mut self, arrived: ReceivedSignal) {
        match &self.child {
            Some(child) if self.status.is_none() => {
                crate::record::forward_signal(arrived, pid(child));
            }
            _ => self.was_told_to_end |= arrived.asks_to_end(),
        }
    }

    fn on_tick(
        &mut self,
        signals: &Signals,
        listener: &mut dyn ProgressListener,
    ) -> Result<(), RecordError> {
        if let Some(child) = &mut self.child
            && self.status.is_none()
        {
            self.status = child
                .try_wait()
                .map_err(RecordError::process("wait for the command"))?;
        }
        let is_stable = self.until_stable.is_some_and(|span| self.is_stable(span));
        let is_late = self.deadline.is_some_and(|at| at <= Instant::now());
        let is_alone = !self.was_asked && signals.terminal().is_gone();
        if is_late || (is_stable && !self.was_asked) || is_alone {
            self.ask_to_end();
        }
        listener.progress(&self.progress());
        Ok(())
    }

    /// A command is asked to end, and later made to; anything else is only recorded no more.
    fn ask_to_end(&mut self) {
        match &self.child {
            Some(child) if self.status.is_none() => {
                let signal = if self.was_asked {
                    Signal::SIGKILL
                } else {
                    Signal::SIGTERM
                };
                // It may be gone by now.
                let _ = kill(pid(child), signal);
                self.was_asked = true;
                self.deadline = Some(Instant::now() + GRACE);
            }
            _ => self.was_told_to_end = true,
        }
    }

    fn is_stable(&self, span: Duration) -> bool {
        let last = self.sink.with(|facts| facts.last_new());
        last.is_some_and(|last| last.elapsed() >= span)
    }

    /// Whether nothing more can come.
    fn is_over(&self) -> bool {
        let (open, accepted) = self.sink.connections();
        let ended = self.child.is_none() || self.status.is_some();
        // A session that never began is none to wait for, unless it may begin yet.
        ended && open == 0 && !self.is_endless && (accepted > 0 || self.child.is_some())
    }

    fn progress(&self) -> Progress {
        self.sink.with(|facts| {
            let since_last_new = facts.last_new().map(|last| last.elapsed());
            let (mut distinct, mut calls) = (0, 0);
            for (container, ..) in facts.containers() {
                distinct = distinct.max(container.observations.len());
                calls += container.calls;
            }
            Progress {
                distinct,
                calls,
                new_in_last_minute: facts.new_in_last_minute(),
                since_last_new,
                losses: facts.losses(),
                unseen: String::new(),
            }
        })
    }

    /// Tells a sandbox that goes on to report no more, and takes in what it still says.
    async fn detach(&self, listener: &mut dyn ProgressListener) {
        let Some(sandbox) = &self.attached else {
            return;
        };
        if self.sink.connections().0 == 0 {
            return;
        }
        if let Err(error) = sandbox.end_session() {
            listener.note(&format!("the sandbox may go on reporting: {error}"));
        }
        let until = Instant::now() + SESSION_END;
        while self.sink.connections().0 > 0 && Instant::now() < until {
            time::sleep(LOOK).await;
        }
    }
}

/// The container that runs, and that is meant.
fn one_running(id: &str, runsc: Option<&Path>) -> Result<RunningSandbox, GvisorError> {
    let proc = Path::new("/proc");
    if !is_any_called_sandbox(proc) {
        return Err(GvisorError::NoSandbox(id.to_owned()));
    }
    let runsc = Runsc::find(runsc, std::env::var_os("PATH").as_deref())?;
    let all = find_running(proc, id, &runsc);
    let (mut found, given) = (all.sandboxes, id.to_owned());
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(match all.refused {
            Some(why) => GvisorError::Refused { given, why },
            None => GvisorError::NoSandbox(given),
        }),
        (Some(sandbox), true) => Ok(sandbox),
        (Some(last), false) => {
            found.push(last);
            let ids: Vec<_> = found
                .iter()
                .map(|it| format!("{:?}", it.container))
                .collect();
            Err(GvisorError::Ambiguous {
                given: id.to_owned(),
                ids: ids.join(", "),
            })
        }
    }
}

/// Writes the file for `--pod-init-config` beside the socket.
fn write_config(sink: &Sink) -> Result<PathBuf, GvisorError> {
    let path = sink.path().with_file_name("init.json");
    let config = sink.with(|facts| {
        let settings = facts.settings();
        init_config(
            sink.path(),
            &settings.points,
            settings.native,
            WithoutListener::Fails,
        )
    });
    fs::write(&path, config.to_string()).map_err(|cause: io::Error| GvisorError::Write {
        path: path.clone(),
        cause,
    })?;
    Ok(path)
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

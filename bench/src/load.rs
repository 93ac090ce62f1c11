//! The process that makes the calls. It is started once a round and serves every condition of it,
//! so that no two conditions differ in where its code and its stack happen to lie.

use std::{
    ffi::OsString,
    fs::{self, File},
    hint::black_box,
    io::{BufRead, BufReader, Write},
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::cgroups;

/// What the load process does again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The shortest call there is.
    Getppid,
    /// A call that does a little: one byte from /dev/zero.
    ReadZero,
    /// A short call whose arguments are recorded: `fcntl(F_GETFD)`.
    Fcntl,
    /// A file is opened, and closed again: `/etc/passwd`.
    Open,
    /// The shortest call, after other work has taken the processor's caches. Only the call is timed.
    Cold,
    /// Fork, exec, exit and all they take: `find … -exec true {} ;`.
    Find,
    /// A call that Docker's default profile has argument rules for: `personality(0xffffffff)`, which
    /// changes nothing.
    Personality,
}

impl Work {
    /// What recording is measured by.
    pub(crate) const ALL: [Self; 6] = [
        Self::Getppid,
        Self::ReadZero,
        Self::Fcntl,
        Self::Open,
        Self::Cold,
        Self::Find,
    ];

    /// What profiles are measured by.
    pub(crate) const PROFILE: [Self; 4] =
        [Self::Getppid, Self::ReadZero, Self::Personality, Self::Find];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Getppid => "getppid",
            Self::ReadZero => "read",
            Self::Fcntl => "fcntl",
            Self::Open => "open",
            Self::Cold => "cold",
            Self::Find => "find",
            Self::Personality => "personality",
        }
    }

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Getppid => "getppid",
            Self::ReadZero => "read of one byte from /dev/zero",
            Self::Fcntl => "fcntl(F_GETFD), whose command is recorded",
            Self::Open => "open and close of /etc/passwd, two calls",
            Self::Cold => "getppid after work that takes the caches",
            Self::Find => "find TREE -exec true {} ; (a process for each file)",
            Self::Personality => "personality",
        }
    }

    /// Whether one call is timed, and not work that makes many.
    pub(crate) const fn is_one_call(self) -> bool {
        !matches!(self, Self::Find)
    }

    /// Number and arguments of the call, as far as a filter may look at them.
    pub(crate) fn call(self) -> Option<(u32, [u64; 6])> {
        let (nr, first) = match self {
            Self::Getppid | Self::Cold => (libc::SYS_getppid, 0),
            Self::ReadZero => (libc::SYS_read, 0),
            Self::Fcntl => (libc::SYS_fcntl, 0),
            Self::Personality => (libc::SYS_personality, QUERY.into()),
            Self::Open | Self::Find => return None,
        };
        Some((u32::try_from(nr).ok()?, [first, 0, 0, 0, 0, 0]))
    }

    fn parse(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter().chain(Self::PROFILE);
        all.find(|work| work.name() == name)
    }
}

/// Files that [`Work::Find`] visits where recording is measured, each with one process.
pub(crate) const FILES: u64 = 100;

/// Asks personality(2) and sets none.
const QUERY: u32 = 0xffff_ffff;

/// A directory of files for [`Work::Find`].
pub(crate) fn plant(tree: &Path, files: u64) -> Result<()> {
    fs::create_dir_all(tree).context("cannot make a directory for find")?;
    for file in 0..files {
        fs::write(tree.join(file.to_string()), "").context("cannot write a file")?;
    }
    Ok(())
}

/// What makes a load process of the bench.
pub(crate) fn arguments(cpu: usize, tree: &Path) -> [OsString; 5] {
    [
        "load".into(),
        "--cpu".into(),
        cpu.to_string().into(),
        "--tree".into(),
        tree.into(),
    ]
}

/// A load process, ended when dropped.
pub(crate) struct Load {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    calls: u64,
    /// Whether the child is a runtime, in whose container the load is.
    contained: bool,
}

impl Load {
    /// Starts a load process in a cgroup, on one CPU.
    pub(crate) fn start(cgroup: &Path, cpu: usize, tree: &Path) -> Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.args(arguments(cpu, tree));
        // SAFETY: prctl is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let load = Self::spawn(&mut command, false)?;
        cgroups::add(cgroup, load.pid())?;
        Ok(load)
    }

    /// Starts one in a container, by the command that runs it.
    pub(crate) fn contained(command: &mut Command) -> Result<Self> {
        Self::spawn(command, true)
    }

    fn spawn(command: &mut Command, contained: bool) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a load process")?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the load process has no pipes");
        };
        Ok(Self {
            child,
            requests: Some(requests),
            answers: BufReader::new(answers),
            calls: 0,
            contained,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// System calls that it has made so far, at the least.
    pub(crate) const fn calls(&self) -> u64 {
        self.calls
    }

    /// Nanoseconds that `times` rounds of `work` took.
    pub(crate) fn run(&mut self, work: Work, times: u64) -> Result<u64> {
        let requests = self.requests.as_mut().context("the load process ended")?;
        writeln!(requests, "{} {times}", work.name()).context("cannot reach the load process")?;
        self.calls += times;
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .context("cannot read from the load process")?;
        answer
            .trim()
            .parse()
            .with_context(|| format!("the load process ended or said {answer:?}"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It ends when nothing more is asked of it; a runtime that is killed would leave its container.
        self.requests = None;
        if !self.contained {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Keeps the calling thread, and what it starts, on one CPU.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .with_context(|| format!("cannot stay on CPU {cpu}"))
}

/// Where the scheduler keeps the priority of our session against other sessions (sched(7), "The
/// autogroup feature"); absent where the feature is off.
const AUTOGROUP: &str = "/proc/self/autogroup";

/// The highest priority for us and what we start, so that other work on the machine disturbs
/// little. Without it the figures are only less steady.
pub(crate) struct Precedence(());

impl Precedence {
    pub(crate) fn take() -> Self {
        // SAFETY: plain numbers.
        let raised = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) } == 0;
        let raised_session = !Path::new(AUTOGROUP).exists() || fs::write(AUTOGROUP, "-20").is_ok();
        if !raised || !raised_session {
            eprintln!("cannot raise our priority: other work will show more in the figures");
        }
        Self(())
    }
}

impl Drop for Precedence {
    fn drop(&mut self) {
        // Our shell may share the session.
        let _ = fs::write(AUTOGROUP, "0");
    }
}

/// Starts a command on one CPU.
pub(crate) fn start_on(command: &mut Command, cpu: usize) -> Result<Child> {
    // SAFETY: sched_setaffinity is async-signal-safe, and the set lies on the stack.
    unsafe {
        command.pre_exec(move || {
            let mut set = CpuSet::new();
            set.set(cpu)?;
            sched_setaffinity(Pid::from_raw(0), &set)?;
            Ok(())
        });
    }
    Ok(command.spawn()?)
}

/// The CPUs for user space and for the load: the first and the last that we may use.
pub(crate) fn cpus() -> Result<(usize, usize)> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).context("cannot read the CPU affinity")?;
    let mut allowed = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    let first = allowed.next().context("no CPU to run on")?;
    Ok((first, allowed.next_back().unwrap_or(first)))
}

/// The load process itself: one line in, one line out.
pub(crate) fn serve(cpu: usize, tree: &Path) -> Result<()> {
    pin(cpu)?;
    let mut server = Server {
        zero: File::open("/dev/zero").context("cannot open /dev/zero")?,
        tree,
        memory: vec![1; COLD_BYTES],
    };
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line.context("cannot read a request")?;
        let (work, times) = line
            .split_once(' ')
            .and_then(|(work, times)| Some((Work::parse(work)?, times.parse::<u64>().ok()?)))
            .with_context(|| format!("not a request: {line:?}"))?;
        let took = server.time(work, times)?.as_nanos();
        writeln!(out, "{took}")
            .and_then(|()| out.flush())
            .context("cannot answer")?;
    }
    Ok(())
}

/// Memory that [`Work::Cold`] walks through: more than a core has of its own.
const COLD_BYTES: usize = 2 << 20;

struct Server<'a> {
    zero: File,
    tree: &'a Path,
    memory: Vec<u8>,
}

impl Server<'_> {
    fn time(&mut self, work: Work, times: u64) -> Result<Duration> {
        let start = Instant::now();
        match work {
            Work::Getppid => (0..times).for_each(|_| getppid()),
            Work::ReadZero => (0..times).for_each(|_| read_byte(&self.zero)),
            Work::Fcntl => (0..times).for_each(|_| get_flags(&self.zero)),
            Work::Open => (0..times).for_each(|_| open_and_close()),
            Work::Find => {
                for _ in 0..times {
                    find(self.tree)?;
                }
            }
            Work::Personality => (0..times).for_each(|_| personality()),
            Work::Cold => return Ok((0..times).map(|_| self.cold()).sum()),
        }
        Ok(start.elapsed())
    }

    fn cold(&mut self) -> Duration {
        for line in self.memory.iter_mut().step_by(64) {
            *line = black_box(line.wrapping_add(1));
        }
        let start = Instant::now();
        getppid();
        start.elapsed()
    }
}

#[inline(always)]
fn getppid() {
    // SAFETY: a call without arguments.
    black_box(unsafe { libc::getppid() });
}

#[inline(always)]
fn personality() {
    // SAFETY: asks, and changes nothing.
    black_box(unsafe { libc::personality(QUERY.into()) });
}

#[inline(always)]
fn read_byte(file: &File) {
    let mut byte = 0_u8;
    // SAFETY: one byte is what the buffer holds.
    black_box(unsafe { libc::read(file.as_raw_fd(), (&raw mut byte).cast(), 1) });
}

#[inline(always)]
fn get_flags(file: &File) {
    // SAFETY: integers only.
    black_box(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) });
}

#[inline(always)]
fn open_and_close() {
    // SAFETY: a string that ends in a NUL, and the descriptor that was returned for it.
    unsafe {
        let file = libc::open(c"/etc/passwd".as_ptr(), libc::O_RDONLY);
        black_box(libc::close(file));
    }
}

fn find(tree: &Path) -> Result<()> {
    let status = Command::new("find")
        .arg(tree)
        .args(["-type", "f", "-exec", "true", "{}", ";"])
        .status()
        .context("cannot start find (package findutils)")?;
    ensure!(status.success(), "find: {status}");
    Ok(())
}

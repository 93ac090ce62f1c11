//! The process between the recorder and a worker: it touches no file, so it can always answer.

use std::{
    collections::HashMap,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{ForkResult, Pid, chdir, fork, setsid},
};

use super::{wire, worker};

/// How long a file system may take for the answers to one question.
const DEADLINE: Duration = Duration::from_secs(1);

/// An answer that takes longer is slow.
const SLOW: Duration = Duration::from_millis(50);

/// How long the slow answers for one instance may take together: after that its questions are not asked any
/// more, so that it does not keep others from theirs.
const PATIENCE: Duration = Duration::from_secs(2);

/// Workers that may wait in the kernel for ever.
const MOST_ABANDONED: usize = 32;

/// Answers questions until the recorder is gone, and ends the process.
pub(super) fn serve(recorder: UnixStream) -> ! {
    let _ = prepare(&recorder);
    let mut supervisor = Supervisor {
        recorder,
        worker: None,
        abandoned: Vec::new(),
        slow: HashMap::new(),
    };
    // The recorder is gone, or does not understand what it is told.
    let _ = supervisor.run();
    supervisor.end_worker();
    exit()
}

fn exit() -> ! {
    // SAFETY: ends the process without running what the recorder has set up for its own end.
    unsafe { libc::_exit(0) }
}

/// Leaves all that was the recorder's: the terminal, the working directory and every descriptor but `kept`.
/// The signals that the recorder reads stay blocked: it is the recorder that ends.
fn prepare(kept: &UnixStream) -> io::Result<()> {
    prctl::set_pdeathsig(Some(Signal::SIGKILL))?;
    let _ = prctl::set_name(c"tracer-files");
    // A fork of the supervisor leads no group, and a second one changes nothing.
    let _ = setsid();
    chdir("/")?;
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    for descriptor in 0..3 {
        // SAFETY: both descriptors are open, or the call fails.
        unsafe { libc::dup2(null.as_raw_fd(), descriptor) };
    }
    drop(null);
    close_others(kept.as_fd());
    Ok(())
}

/// Closes every descriptor from 3 on but one.
fn close_others(kept: BorrowedFd<'_>) {
    let kept = kept.as_raw_fd().cast_unsigned();
    let close = |first: u32, last: u32| {
        if first <= last {
            // SAFETY: nothing that owns one of these is used, or dropped, in this process any more.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    };
    close(3, kept.saturating_sub(1));
    close(kept + 1, u32::MAX);
}

struct Supervisor {
    recorder: UnixStream,
    worker: Option<Worker>,
    /// Workers that were killed and have not ended.
    abandoned: Vec<Pid>,
    /// How long slow answers took, by instance.
    slow: HashMap<u64, Duration>,
}

struct Worker {
    pid: Pid,
    socket: UnixStream,
}

impl Supervisor {
    fn run(&mut self) -> io::Result<()> {
        loop {
            let question = wire::read_frame(&self.recorder)?;
            let (number, group) = wire::head(&question)?;
            let answer = self.ask(group, &question)?;
            let answer = answer.unwrap_or_else(|| wire::answers(number, None));
            wire::write_frame(&self.recorder, &answer)?;
        }
    }

    /// The worker's answers; `None` when there are none in time.
    fn ask(&mut self, group: u64, question: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let so_far = self.slow.get(&group).copied().unwrap_or_default();
        if so_far >= PATIENCE {
            return Ok(None);
        }
        let Some(worker) = self.worker() else {
            return Ok(None);
        };
        let waited = waited_for_cpu(worker.pid);
        let began = Instant::now();
        let answer = if wire::write_frame(&worker.socket, question).is_ok() {
            self.wait_for_answer(began)?
        } else {
            None
        };
        // What a busy machine takes is not the file system's.
        let starved = self
            .worker
            .as_ref()
            .map_or(Duration::ZERO, |worker| waited_for_cpu(worker.pid))
            .saturating_sub(waited);
        let took = began.elapsed().saturating_sub(starved);
        if took >= SLOW {
            self.slow.insert(group, so_far + took);
        }
        if answer.is_none() {
            self.end_worker();
        }
        Ok(answer)
    }

    /// # Errors
    /// When the recorder is gone.
    fn wait_for_answer(&self, began: Instant) -> io::Result<Option<Vec<u8>>> {
        let Some(worker) = &self.worker else {
            return Ok(None);
        };
        loop {
            let left = DEADLINE.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            let mut fds = [
                PollFd::new(worker.socket.as_fd(), PollFlags::POLLIN),
                // Only whether it is gone.
                PollFd::new(self.recorder.as_fd(), PollFlags::empty()),
            ];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [of_worker, of_recorder] = fds;
            if of_worker.any() == Some(true) {
                // Written whole; a worker that was ended by something else has none.
                return Ok(wire::read_frame(&worker.socket).ok());
            }
            if of_recorder.any() == Some(true) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }

    /// A worker that waits for a question; `None` when too many were left behind.
    fn worker(&mut self) -> Option<&Worker> {
        if self.worker.is_none() {
            self.abandoned.retain(|pid| !has_ended(*pid));
            if self.abandoned.len() >= MOST_ABANDONED {
                return None;
            }
            self.worker = start().ok();
        }
        self.worker.as_ref()
    }

    /// Kills the worker. One that waits in the kernel ends when that does.
    fn end_worker(&mut self) {
        if let Some(Worker { pid, .. }) = self.worker.take() {
            let _ = kill(pid, Signal::SIGKILL);
            if !has_ended(pid) {
                self.abandoned.push(pid);
            }
        }
    }
}

/// How long a worker and this process were ready to run without a processor so far: the second number in
/// `/proc/PID/schedstat` (Documentation/scheduler/sched-stats.rst), in nanoseconds. 0 where the kernel does not say.
fn waited_for_cpu(worker: Pid) -> Duration {
    let of = |path: String| -> Option<u64> {
        let text = std::fs::read_to_string(path).ok()?;
        text.split_whitespace().nth(1)?.parse().ok()
    };
    let worker = of(format!("/proc/{worker}/schedstat")).unwrap_or(0);
    let own = of("/proc/self/schedstat".to_owned()).unwrap_or(0);
    Duration::from_nanos(worker.saturating_add(own))
}

fn has_ended(pid: Pid) -> bool {
    !matches!(
        waitpid(pid, Some(WaitPidFlag::WNOHANG)),
        Ok(WaitStatus::StillAlive)
    )
}

fn start() -> io::Result<Worker> {
    let (ours, theirs) = UnixStream::pair()?;
    // SAFETY: this process has one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Worker {
            pid: child,
            socket: ours,
        }),
        ForkResult::Child => {
            if prepare(&theirs).is_ok() {
                worker::serve(&theirs);
            }
            exit()
        }
    }
}

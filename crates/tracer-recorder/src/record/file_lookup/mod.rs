//! Looks up the files that a workload named, in another process: a file system of the workload's may never
//! answer, and no thread that records waits for it.
//!
//! A [`Question`] is an access whose names lead to files. [`FileLookup`] sends it to a [`supervisor`], which
//! hands it to a [`worker`]. The worker takes the access in as the recorder will, and keeps each answer of the
//! file system; the recorder then takes the access in with these answers ([`replay`]). A worker that does not
//! answer in time is killed and left behind, and the access is taken in with the names as they were given.
//!
//! Both processes are forks that were made before any program was loaded: the recorder needs no right to start
//! or end processes while it records, and they hold nothing of the kernel side.

mod replay;
mod supervisor;
mod waiting;
mod wire;
mod worker;

use std::{
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork},
};
use tokio::io::unix::AsyncFd;

pub(super) use self::{
    replay::{Answer, Replay},
    waiting::Question,
};
use self::{waiting::Waiting, wire::Frames};

/// Questions that are on their way at once: enough that neither side waits for the other.
const WINDOW: usize = 32;

/// Answers after which the recorder takes them in, and does not wait for more.
const BATCH: usize = 256;

/// How long the end of a recording waits for what was not answered yet.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// A question and what came of it: `None` when the file system did not answer in time.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) question: Question,
    pub(super) answers: Option<Vec<Answer>>,
}

/// The recorder's end.
#[derive(Debug)]
pub(super) struct FileLookup {
    supervisor: Pid,
    stream: UnixStream,
    /// The same socket, for tokio; made at the first use, which is within its runtime.
    readable: Option<AsyncFd<OwnedFd>>,
    /// Bytes that the socket had no room for.
    unsent: Vec<u8>,
    received: Frames,
    waiting: Waiting,
    answered: Vec<Answered>,
    /// Whether the supervisor is gone: nothing is answered any more.
    is_broken: bool,
}

impl FileLookup {
    /// Starts the processes. Call it before other threads are made.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn start() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        // SAFETY: the child makes no use of what other threads may have locked: there are none yet.
        match unsafe { fork() }? {
            ForkResult::Child => supervisor::serve(theirs),
            ForkResult::Parent { child } => {
                ours.set_nonblocking(true)?;
                Ok(Self {
                    supervisor: child,
                    stream: ours,
                    readable: None,
                    unsent: Vec::new(),
                    received: Frames::default(),
                    waiting: Waiting::default(),
                    answered: Vec::new(),
                    is_broken: false,
                })
            }
        }
    }

    /// Hands a question over. When too many of its instance wait, it comes back without answers.
    pub(super) fn ask(&mut self, question: Question) {
        match self.waiting.add(question) {
            Ok(()) => self.pump(),
            Err(question) => self.answered.push(Answered {
                question: *question,
                answers: None,
            }),
        }
    }

    /// Forgets what was asked for an instance that nobody wants.
    pub(super) fn forget(&mut self, instance: u32) {
        self.waiting.forget(instance);
        self.answered
            .retain(|it| it.question.row.instance != instance);
    }

    /// Whether a question of an instance has no answer yet.
    pub(super) fn has(&self, instance: u32) -> bool {
        self.waiting.has(instance)
            || self
                .answered
                .iter()
                .any(|it| it.question.row.instance == instance)
    }

    /// What was answered since it was last asked.
    pub(super) fn take_answered(&mut self) -> Vec<Answered> {
        self.pump();
        std::mem::take(&mut self.answered)
    }

    /// Waits until many answers have come. Safe to drop while it waits.
    pub(super) async fn ready(&mut self) {
        if self.readable.is_none() {
            let socket = self.stream.as_fd().try_clone_to_owned();
            // SAFETY: `OwnedFd` owns its descriptor, and it is neither replaced nor closed while the
            // `AsyncFd` owns it.
            let polled = socket.and_then(|socket| Ok(unsafe { AsyncFd::register(socket) }?));
            match polled {
                Ok(polled) => self.readable = Some(polled),
                // Without it answers are taken in at each look.
                Err(error) => log::debug!("answers are not waited for: {error}"),
            }
        }
        while !self.is_broken && self.answered.len() < BATCH {
            let Some(readable) = &self.readable else {
                break;
            };
            match readable.readable().await {
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => break,
            }
            self.pump();
        }
        if self.answered.len() < BATCH {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for what was not answered yet, but not for long; what then has no answer comes back without.
    pub(super) fn finish(&mut self) -> Vec<Answered> {
        let end = Instant::now() + LAST_WAIT;
        loop {
            self.pump();
            // After each look: the last answer may have come with this one, and none comes after it.
            if self.waiting.is_empty() || self.is_broken {
                break;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            // A signal only makes it look again.
            let _ = poll(&mut fds, timeout);
        }
        self.give_up();
        std::mem::take(&mut self.answered)
    }

    /// Sends and receives what the socket takes and has.
    fn pump(&mut self) {
        loop {
            if !self.is_broken
                && let Err(error) = self.send().and_then(|()| self.receive())
            {
                log::warn!("the process that looks up files has ended: {error}");
                self.is_broken = true;
            }
            if self.is_broken {
                return self.give_up();
            }
            if !self.unsent.is_empty() || !self.waiting.can_send(WINDOW) {
                return;
            }
        }
    }

    fn give_up(&mut self) {
        let questions = self.waiting.take_all();
        self.answered.extend(questions.map(|question| Answered {
            question,
            answers: None,
        }));
    }

    fn send(&mut self) -> io::Result<()> {
        while self.unsent.is_empty()
            && let Some((number, question)) = self.waiting.next(WINDOW)
        {
            wire::write_question(&mut self.unsent, number, question);
            self.flush()?;
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => self.received.add(bytes.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        while let Some(frame) = self.received.next() {
            let (number, answers) = wire::read_answers(&frame)?;
            if let Some(question) = self.waiting.answered(number) {
                self.answered.push(Answered { question, answers });
            }
        }
        Ok(())
    }
}

impl Drop for FileLookup {
    fn drop(&mut self) {
        // It waits for no file system itself, so it ends at once, and its worker with it.
        let _ = kill(self.supervisor, Signal::SIGKILL);
        let _ = waitpid(self.supervisor, None);
    }
}

#[cfg(test)]
mod tests;

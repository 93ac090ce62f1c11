//! The terminal: a thread that draws, reads keys, and shows what tracer and the command print meanwhile. It gives
//! back everything as it was.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor, execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen},
    },
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::fcntl_dupfd_cloexec,
    stdio,
    termios::{self, OptionalActions, Termios},
};

use super::{draw, keys::keys, state::Shared};
use crate::cli::{
    progress_line::View,
    stderr::{plain, say},
};
use tracer_recorder::record::{Progress, ProgressListener};

/// How often the screen is drawn without a key: ages change, and so does its size.
const DRAW_INTERVAL: Duration = Duration::from_millis(250);

/// How often it is looked whether the recording is over.
const LOOK: Duration = Duration::from_millis(50);

/// A line of what is printed is cut here.
const MAX_LINE: usize = 1000;

/// Lines that are kept of one read: more than a screen shows.
const MAX_LINES: usize = 200;

/// Whether another process has the terminal: one that draws, or asks for its keys, would be stopped.
pub(super) fn is_background() -> bool {
    let owner = termios::tcgetpgrp(io::stdout());
    owner.is_ok_and(|owner| owner != rustix::process::getpgrp())
}

/// The screen, as long as it is shown.
pub(super) struct Screen {
    state: Shared,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes over the terminal. `has_command` says whether a command is recorded, which would print to it.
    ///
    /// # Errors
    /// When there is no controlling terminal, or it cannot be set up.
    pub(super) fn open(state: Shared, has_command: bool) -> io::Result<Self> {
        let painter = Painter::new(state.clone(), has_command)?;
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::Builder::new()
            .name("tracer-screen".to_owned())
            .spawn(move || painter.run(&over))?;
        Ok(Self {
            state,
            is_over,
            thread: Some(thread),
        })
    }
}

impl View for Screen {
    fn clear(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // What it was to give back, it gives back when it panics too.
            let _ = thread.join();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

impl ProgressListener for Screen {
    fn began(&mut self, what: &str) {
        let mut state = self.state.lock();
        if !state.what.is_empty() {
            state.what.push_str(", ");
        }
        state.what.push_str(&plain(what));
    }

    fn waits(&mut self) {
        say!("waiting for it to start; recording begins with its first system call");
    }

    fn note(&mut self, text: &str) {
        say!("{text}");
    }

    fn ends(&mut self, why: &str) {
        say!("{why}");
    }

    fn progress(&mut self, progress: &Progress) {
        self.state.lock().progress.clone_from(progress);
    }
}

/// Draws, on a thread of its own.
struct Painter {
    state: Shared,
    terminal: Terminal<CrosstermBackend<File>>,
    keyboard: File,
    /// Gives back what was changed.
    printed: Printed,
    /// When the screen was drawn last; `None`: it is to be drawn now.
    drawn: Option<Instant>,
    _raw: Raw,
}

impl Painter {
    fn new(state: Shared, has_command: bool) -> io::Result<Self> {
        let open = || File::options().read(true).write(true).open("/dev/tty");
        let keyboard = open()?;
        let raw = Raw::begin(open()?)?;
        let terminal = Terminal::new(CrosstermBackend::new(open()?))?;
        let printed = Printed::begin(has_command)?;
        Ok(Self {
            state,
            terminal,
            keyboard,
            printed,
            drawn: None,
            _raw: raw,
        })
    }

    fn run(mut self, is_over: &AtomicBool) {
        // Without a terminal, as after it was closed, SIGHUP ends the recording; what is printed is read until then.
        let mut has_terminal = true;
        while !is_over.load(Ordering::Acquire) {
            has_terminal &= self.wait(has_terminal);
            for line in self.printed.read() {
                self.state.lock().say(line);
            }
            let is_due = self
                .drawn
                .is_none_or(|drawn| drawn.elapsed() >= DRAW_INTERVAL);
            if has_terminal && is_due {
                if std::mem::take(&mut self.state.lock().shows.redraws) {
                    let _ = self.terminal.clear();
                }
                let state = &self.state;
                let done = self.terminal.draw(|frame| draw::draw(frame, &state.lock()));
                has_terminal = done.is_ok();
                self.drawn = Some(Instant::now());
            }
        }
        for line in self.printed.read() {
            self.state.lock().say(line);
        }
        // Said again below, where it stays.
        let messages = std::mem::take(&mut self.state.lock().messages);
        drop(self);
        let mut errors = io::stderr().lock();
        for line in messages {
            let _ = writeln!(errors, "{line}");
        }
    }

    /// Waits for a key, for something that is printed, or for a moment, and does what a key means. Whether there still
    /// is a terminal.
    fn wait(&mut self, has_terminal: bool) -> bool {
        let for_keys = match has_terminal {
            true => PollFlags::IN,
            false => PollFlags::empty(),
        };
        let mut ready = [
            PollFd::new(&self.printed.reader, PollFlags::IN),
            PollFd::new(&self.keyboard, for_keys),
        ];
        let moment = Timespec::try_from(LOOK).ok();
        let has_keys = match poll(&mut ready, moment.as_ref()) {
            Ok(_) => ready[1].revents(),
            Err(_) => return has_terminal,
        };
        if !has_terminal || has_keys.is_empty() {
            return has_terminal;
        }
        let mut bytes = [0; 64];
        match self.keyboard.read(&mut bytes) {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                let mut state = self.state.lock();
                for key in keys(bytes.get(..length).unwrap_or_default()) {
                    if state.press(key) {
                        end_recording();
                    }
                }
                self.drawn = None;
                true
            }
        }
    }
}

/// Ends the recording as a signal does. A command is asked to end.
fn end_recording() {
    let _ = kill(Pid::this(), Signal::SIGTERM);
}

/// A terminal that sends keys as they are typed, shows another screen and no cursor, until this is dropped.
struct Raw {
    terminal: File,
    before: Termios,
}

impl Raw {
    fn begin(mut terminal: File) -> io::Result<Self> {
        let before = termios::tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        enter(&mut terminal)?;
        Ok(Self { terminal, before })
    }
}

fn enter(terminal: &mut impl io::Write) -> io::Result<()> {
    execute!(terminal, EnterAlternateScreen, cursor::Hide)
}

fn leave(terminal: &mut impl io::Write) -> io::Result<()> {
    execute!(terminal, cursor::Show, LeaveAlternateScreen)
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = leave(&mut self.terminal);
        let _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// What is printed to standard error, and by a command to standard output, while the screen is shown. When this is
/// dropped they are what they were.
struct Printed {
    reader: File,
    errors: OwnedFd,
    /// Standard input and output, which the command would have.
    streams: Option<(OwnedFd, OwnedFd)>,
    /// A line that has no end yet.
    rest: Vec<u8>,
}

impl Printed {
    fn begin(has_command: bool) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let reader = File::from(OwnedFd::from(reader));
        fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
        // Away from the numbers of the standard streams.
        let keep = |stream: std::os::fd::BorrowedFd<'_>| fcntl_dupfd_cloexec(stream, 3);
        let errors = keep(io::stderr().as_fd())?;
        let streams = match has_command {
            true => {
                let kept = (keep(io::stdin().as_fd())?, keep(io::stdout().as_fd())?);
                stdio::dup2_stdin(File::open("/dev/null")?)?;
                stdio::dup2_stdout(&writer)?;
                Some(kept)
            }
            false => None,
        };
        stdio::dup2_stderr(&writer)?;
        Ok(Self {
            reader,
            errors,
            streams,
            rest: Vec::new(),
        })
    }

    /// The lines that were printed since the last time, escaped.
    fn read(&mut self) -> Vec<String> {
        let mut buffer = [0; 8192];
        // What prints without end does not keep the screen from being drawn.
        for _ in 0..64 {
            match self.reader.read(&mut buffer) {
                Ok(length) if length > 0 => {
                    self.rest
                        .extend_from_slice(buffer.get(..length).unwrap_or_default());
                }
                _ => break,
            }
        }
        let end = self.rest.iter().rposition(|byte| *byte == b'\n');
        let whole: Vec<u8> = self.rest.drain(..end.map_or(0, |end| end + 1)).collect();
        let last = whole.split_inclusive(|byte| *byte == b'\n').rev();
        let mut lines: Vec<_> = last.take(MAX_LINES).map(shown).collect();
        lines.reverse();
        if self.rest.len() > MAX_LINE {
            lines.push(shown(&std::mem::take(&mut self.rest)));
        }
        lines
    }
}

/// A line without its end, escaped and cut.
fn shown(line: &[u8]) -> String {
    let line = line.get(..line.len().min(MAX_LINE)).unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    plain(text.trim_end_matches(['\n', '\r']))
}

impl Drop for Printed {
    fn drop(&mut self) {
        let _ = stdio::dup2_stderr(&self.errors);
        if let Some((input, output)) = &self.streams {
            let _ = stdio::dup2_stdin(input);
            let _ = stdio::dup2_stdout(output);
        }
    }
}

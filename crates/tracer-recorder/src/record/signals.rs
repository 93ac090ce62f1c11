//! Signals to tracer, and the signal state that the command inherits.

use std::{
    fs::File,
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use nix::sys::{
    signal::{SigHandler, SigSet, Signal},
    signalfd::{SfdFlags, SignalFd, siginfo},
};
use tokio::io::unix::AsyncFd;

/// What ends a recording, or is passed on to the command.
const HANDLED: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// The signals that were ignored when tracer started, as bits. Rust's runtime ignores SIGPIPE
/// before `main`, and gives a child the default; the command must get what tracer got. And a signal
/// that `nohup` or a shell's `&` had ignored must stay ignored: a blocked signal never is.
static IGNORED: AtomicU64 = AtomicU64::new(0);

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_RUNTIME: extern "C" fn() = {
    extern "C" fn look() {
        let mut ignored = 0;
        for signal in HANDLED
            .into_iter()
            .chain([Signal::SIGPIPE, Signal::SIGXFSZ])
        {
            // SAFETY: asks for the disposition and changes nothing; the struct is plain data.
            let is_ignored = unsafe {
                let mut action = std::mem::zeroed::<libc::sigaction>();
                libc::sigaction(signal as i32, std::ptr::null(), &raw mut action) == 0
                    && action.sa_sigaction == libc::SIG_IGN
            };
            if is_ignored {
                ignored |= bit(signal);
            }
        }
        IGNORED.store(ignored, Ordering::Relaxed);
    }
    look
};

const fn bit(signal: Signal) -> u64 {
    1 << (signal as u32)
}

/// Makes a write beyond RLIMIT_FSIZE an error (EFBIG), where the signal would end tracer without a word. The command
/// gets back what tracer was started with.
///
/// # Errors
/// When the kernel refuses.
pub fn ignore_file_size_signal() -> io::Result<()> {
    // SAFETY: sets a disposition without a handler.
    unsafe { nix::sys::signal::signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
    Ok(())
}

fn was_ignored(signal: Signal) -> bool {
    IGNORED.load(Ordering::Relaxed) & bit(signal) != 0
}

/// The signal state that tracer was started with.
#[derive(Clone, Copy, Debug)]
pub struct InheritedSignals {
    mask: SigSet,
    sigpipe_ignored: bool,
}

impl InheritedSignals {
    /// Gives this state to the calling process: for use between fork and exec, so nothing but
    /// system calls.
    pub(crate) fn restore(&self) -> io::Result<()> {
        self.mask.thread_set_mask()?;
        if !was_ignored(Signal::SIGXFSZ) {
            // SAFETY: sets a disposition without a handler.
            unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_DFL) };
        }
        if self.sigpipe_ignored {
            // SAFETY: sets a disposition without a handler.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        }
        Ok(())
    }
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedSignal {
    /// Which.
    pub signal: Signal,
    /// The terminal sent it, to the command as well: it must not be passed on a second time.
    pub from_terminal: bool,
}

impl ReceivedSignal {
    /// Whether it asks tracer to end; the others are only passed on.
    pub fn asks_to_end(self) -> bool {
        matches!(
            self.signal,
            Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP | Signal::SIGQUIT
        )
    }
}

/// The signals that are sent to tracer, as a stream. They are blocked from here on and read from a
/// descriptor, which tells who sent them.
pub struct Signals {
    fd: AsyncFd<SignalFd>,
    /// For the command.
    pub inherited: InheritedSignals,
    terminal: Terminal,
}

impl Signals {
    /// Begins to catch them. Call it in a tokio runtime, before other threads are made.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn catch() -> io::Result<Self> {
        Self::of(|signal| !was_ignored(signal))
    }

    /// The same for a recorder that runs no command: SIGINT ends it although a shell's `&` had it ignored,
    /// since there is no other program that it could be meant for.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn catch_without_command() -> io::Result<Self> {
        // A blocked signal is queued even where it is ignored (kernel/signal.c, sig_ignored).
        Self::of(|signal| signal == Signal::SIGINT || !was_ignored(signal))
    }

    fn of(is_caught: impl Fn(Signal) -> bool) -> io::Result<Self> {
        let handled: SigSet = HANDLED
            .into_iter()
            .filter(|signal| is_caught(*signal))
            .collect();
        let mask = handled.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
        let fd = SignalFd::with_flags(&handled, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        // SAFETY: `SignalFd` owns its descriptor, and it is neither replaced nor closed while the
        // `AsyncFd` owns it.
        let fd = unsafe { AsyncFd::register(fd) }?;
        Ok(Self {
            fd,
            terminal: Terminal {
                is_used: has_terminal() && !was_ignored(Signal::SIGHUP),
            },
            inherited: InheritedSignals {
                mask,
                sigpipe_ignored: was_ignored(Signal::SIGPIPE),
            },
        })
    }

    /// The terminal that tracer was started on.
    pub fn terminal(&self) -> Terminal {
        self.terminal
    }

    /// One that has come already, if there is any.
    pub fn pending(&mut self) -> Option<ReceivedSignal> {
        self.fd
            .get_mut()
            .read_signal()
            .ok()
            .flatten()
            .and_then(arrived)
    }

    /// The next one. Safe to drop while it waits.
    ///
    /// # Errors
    /// When the descriptor cannot be read.
    pub async fn next(&mut self) -> io::Result<ReceivedSignal> {
        loop {
            let mut guard = self.fd.readable_mut().await?;
            match guard.get_inner_mut().read_signal()? {
                Some(info) => {
                    if let Some(arrived) = arrived(info) {
                        return Ok(arrived);
                    }
                }
                None => guard.clear_ready(),
            }
        }
    }
}

/// The terminal that tracer was started on, if any.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Whether there was one, with somebody who wants tracer to end with it.
    is_used: bool,
}

impl Terminal {
    /// Whether it was closed. Not everybody on it gets a SIGHUP: the kernel sends it to the leader of the session, and
    /// to the foreground when the leader ends (drivers/tty/tty_jobctrl.c, tty_signal_session_leader,
    /// disassociate_ctty).
    pub fn is_gone(self) -> bool {
        self.is_used && !has_terminal()
    }
}

/// Whether there is a controlling terminal: without one, and after a hangup, opening it fails with ENXIO
/// (drivers/tty/tty_io.c, tty_open_current_tty). Other errors, such as EMFILE, say nothing of it.
fn has_terminal() -> bool {
    is_terminal_there(File::open("/dev/tty").map(drop))
}

fn is_terminal_there(opened: io::Result<()>) -> bool {
    opened.map_or_else(|error| error.raw_os_error() != Some(libc::ENXIO), |()| true)
}

fn arrived(info: siginfo) -> Option<ReceivedSignal> {
    let number = i32::try_from(info.ssi_signo).ok()?;
    Some(ReceivedSignal {
        signal: Signal::try_from(number).ok()?,
        from_terminal: info.ssi_code == libc::SI_KERNEL,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enxio_means_that_the_terminal_is_gone() {
        let failed = |errno| Err(io::Error::from_raw_os_error(errno));
        assert!(is_terminal_there(Ok(())));
        assert!(is_terminal_there(failed(libc::EMFILE)));
        assert!(is_terminal_there(failed(libc::EACCES)));
        assert!(!is_terminal_there(failed(libc::ENXIO)));
    }
}

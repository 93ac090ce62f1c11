//! Signals to tracer, and the signal state that the command inherits.

use std::{io, sync::OnceLock};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};
use tokio::io::unix::AsyncFd;

/// What ends a recording, or is passed on to the command.
const HANDLED: [Signal; 6] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// Whether SIGPIPE was ignored when tracer started. Rust's runtime ignores it before `main`, and
/// gives a child the default; the command must get what tracer got.
static SIGPIPE_IGNORED: OnceLock<bool> = OnceLock::new();

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_RUNTIME: extern "C" fn() = {
    extern "C" fn look() {
        // SAFETY: asks for the disposition and changes nothing; the struct is plain data.
        let ignored = unsafe {
            let mut action = std::mem::zeroed::<libc::sigaction>();
            libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut action) == 0
                && action.sa_sigaction == libc::SIG_IGN
        };
        let _ = SIGPIPE_IGNORED.set(ignored);
    }
    look
};

/// The signal state that tracer was started with.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    mask: SigSet,
    sigpipe_ignored: bool,
}

impl Inherited {
    /// Gives this state to the calling process: for use between fork and exec, so nothing but
    /// system calls.
    pub(super) fn restore(&self) -> io::Result<()> {
        self.mask.thread_set_mask()?;
        if self.sigpipe_ignored {
            // SAFETY: sets a disposition without a handler.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        }
        Ok(())
    }
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which.
    pub signal: Signal,
    /// The terminal sent it, to the command as well: it must not be passed on a second time.
    pub from_terminal: bool,
}

/// The signals that are sent to tracer, as a stream. They are blocked from here on and read from a
/// descriptor, which tells who sent them.
pub struct Signals {
    fd: AsyncFd<SignalFd>,
    /// For the command.
    pub inherited: Inherited,
}

impl Signals {
    /// Begins to catch them. Call it in a tokio runtime, before other threads are made.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn catch() -> io::Result<Self> {
        let handled: SigSet = HANDLED.into_iter().collect();
        let mask = handled.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
        let fd = SignalFd::with_flags(&handled, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        // SAFETY: `SignalFd` owns its descriptor, and it is neither replaced nor closed while the
        // `AsyncFd` owns it.
        let fd = unsafe { AsyncFd::register(fd) }?;
        Ok(Self {
            fd,
            inherited: Inherited {
                mask,
                sigpipe_ignored: SIGPIPE_IGNORED.get().copied().unwrap_or(false),
            },
        })
    }

    /// The next one. Safe to drop while it waits.
    ///
    /// # Errors
    /// When the descriptor cannot be read.
    pub async fn next(&mut self) -> io::Result<Arrived> {
        loop {
            let mut guard = self.fd.readable_mut().await?;
            match guard.get_inner_mut().read_signal()? {
                Some(info) => {
                    let signal = i32::try_from(info.ssi_signo)
                        .ok()
                        .and_then(|number| Signal::try_from(number).ok());
                    if let Some(signal) = signal {
                        return Ok(Arrived {
                            signal,
                            from_terminal: info.ssi_code == libc::SI_KERNEL,
                        });
                    }
                }
                None => guard.clear_ready(),
            }
        }
    }
}

//! A process that was started before tracer gave up the right to start programs, and does one thing: give a profile to
//! apparmor_parser.
//!
//! It is no child of tracer's, so that nobody takes it for the command; it ends when its socket is closed.

use std::{
    fs::OpenOptions,
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::{
        fd::{AsRawFd as _, FromRawFd as _},
        unix::net::UnixStream,
    },
    process,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use nix::{
    sys::wait::waitpid,
    unistd::{ForkResult, fork, setsid},
};

use super::{Checked, MAX_BYTES, run};

/// How often it is asked whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// Where its socket is once it is alone.
const SOCKET: i32 = 3;

static BROKER: OnceLock<Mutex<UnixStream>> = OnceLock::new();

/// Starts it. Call it before there are other threads.
pub(super) fn start() {
    match fork_twice() {
        Ok(socket) => {
            let _ = BROKER.set(Mutex::new(socket));
        }
        Err(error) => log::info!("apparmor_parser will not be run: {error}"),
    }
}

fn fork_twice() -> io::Result<UnixStream> {
    let (ours, its) = UnixStream::pair()?;
    // Both before tracer gives up the right to set it.
    ours.set_read_timeout(Some(LOOK))?;
    its.set_nonblocking(false)?;
    // SAFETY: there is no other thread, so the child may do all that a process may.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            drop(its);
            waitpid(child, None)?;
            Ok(ours)
        }
        ForkResult::Child => {
            drop(ours);
            // SAFETY: as above.
            match unsafe { fork() } {
                Ok(ForkResult::Child) if leave_all_but(&its).is_ok() => {
                    // SAFETY: it was duplicated to this number, and nobody else has it.
                    let socket = unsafe { UnixStream::from_raw_fd(SOCKET) };
                    std::mem::forget(its);
                    let _ = serve(socket);
                    process::exit(0)
                }
                _ => process::exit(0),
            }
        }
    }
}

/// Leaves the terminal and every descriptor of tracer's.
fn leave_all_but(socket: &UnixStream) -> io::Result<()> {
    setsid()?;
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    for (from, to) in [
        (&null.as_raw_fd(), 0),
        (&null.as_raw_fd(), 1),
        (&null.as_raw_fd(), 2),
    ] {
        // SAFETY: a system call without pointers.
        if unsafe { libc::dup2(*from, to) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: as above. Which numbers the others have does not matter from here on.
    unsafe {
        if socket.as_raw_fd() != SOCKET && libc::dup2(socket.as_raw_fd(), SOCKET) < 0 {
            return Err(io::Error::last_os_error());
        }
        libc::fcntl(SOCKET, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::syscall(libc::SYS_close_range, SOCKET + 1, libc::c_uint::MAX, 0);
    }
    std::mem::forget(null);
    Ok(())
}

/// Answers until tracer is gone.
fn serve(mut socket: UnixStream) -> io::Result<()> {
    loop {
        let text = read(&mut socket)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let watched = socket.try_clone()?;
        let (kind, words) = match run(&text, &mut || is_closed(&watched)) {
            Ok(Checked::Taken) => (0, String::new()),
            Ok(Checked::NoParser) => (1, String::new()),
            Ok(Checked::Skipped(why)) => (2, why),
            Err(error) => (3, format!("{error:#}")),
        };
        write(&mut socket, kind, words.as_bytes())?;
    }
}

/// Whether the other end is gone.
fn is_closed(socket: &UnixStream) -> bool {
    let mut byte = 0_u8;
    // SAFETY: the kernel writes one byte at most.
    let peeked = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            (&raw mut byte).cast(),
            1,
            libc::MSG_PEEK | libc::MSG_DONTWAIT,
        )
    };
    peeked == 0
}

fn write(socket: &mut UnixStream, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    socket.write_all(&[kind])?;
    socket.write_all(&len.to_ne_bytes())?;
    socket.write_all(bytes)
}

/// Reads what [`write`] wrote, without its kind.
fn read(socket: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 5];
    socket.read_exact(&mut head)?;
    let [_, len @ ..] = head;
    let len = usize::try_from(u32::from_ne_bytes(len)).unwrap_or(usize::MAX);
    if len > MAX_BYTES {
        return Err(io::Error::other("it is too long"));
    }
    let mut bytes = vec![0; len];
    socket.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Has a profile checked; `None` when there is no such process.
pub(super) fn check(text: &str, ends: &mut dyn FnMut() -> bool) -> Option<anyhow::Result<Checked>> {
    let broker = BROKER.get()?;
    let mut socket = broker.lock().unwrap_or_else(PoisonError::into_inner);
    if text.len() > MAX_BYTES {
        return Some(Ok(super::too_long(text)));
    }
    let skipped = |why: String| Some(Ok(Checked::Skipped(why)));
    if let Err(error) = write(&mut socket, 0, text.as_bytes()) {
        return skipped(format!(
            "the process that runs apparmor_parser is gone: {error}"
        ));
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return skipped("the process that runs apparmor_parser ended".to_owned()),
            Ok(count) => answer.extend(buffer.iter().take(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ends() {
                    // It sees that, and ends the parser.
                    let _ = socket.shutdown(Shutdown::Both);
                    return skipped("a signal ended the check".to_owned());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return skipped(error.to_string()),
        }
        if let Some((kind, words)) = whole(&answer) {
            return Some(match kind {
                0 => Ok(Checked::Taken),
                1 => Ok(Checked::NoParser),
                2 => Ok(Checked::Skipped(words)),
                _ => Err(anyhow::anyhow!(words)),
            });
        }
    }
}

/// The kind and the words of an answer, when all of it is there.
fn whole(answer: &[u8]) -> Option<(u8, String)> {
    let (head, words) = answer.split_at_checked(5)?;
    let [kind, len @ ..] = <[u8; 5]>::try_from(head).ok()?;
    let len = usize::try_from(u32::from_ne_bytes(len)).ok()?;
    let words = words.get(..len)?;
    Some((kind, String::from_utf8_lossy(words).into_owned()))
}

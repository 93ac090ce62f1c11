//! Where sandboxes send their messages: a socket of our own and a thread that reads it, so that no sandbox
//! waits for anything but the reading.

use std::{
    fs, io,
    os::{
        fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, accept4, bind, connect,
        getsockopt, listen, send, socket, sockopt,
    },
};
use thiserror::Error;

use super::{
    facts::{Facts, SandboxNumber},
    wire,
};

/// Longest packet that is read. The largest ones have the arguments of a program, and those are limited by
/// the sandbox's send buffer (net.core.wmem_default, 208 KiB).
const MAX_PACKET: usize = 1 << 20;

/// Most sandboxes that are connected at one time.
const MAX_SANDBOXES: usize = 256;

/// Most packets of one sandbox that are read before the others get their turn.
const BATCH: usize = 512;

/// Why a socket for gVisor could not be made.
#[derive(Debug, Error)]
#[error("cannot listen for gVisor at {path:?}: {cause}")]
pub struct SinkError {
    /// The socket.
    path: PathBuf,
    /// Why.
    cause: io::Error,
}

/// What is shared with the thread.
#[derive(Debug)]
struct State {
    facts: Facts,
    /// Sandboxes that are connected.
    open: usize,
    /// Sandboxes that ever were.
    accepted: SandboxNumber,
    /// Connections that were turned away.
    refused: u64,
}

/// A socket that gVisor reports to.
#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    /// A directory that was made for it.
    directory: Option<PathBuf>,
    state: Arc<Mutex<State>>,
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Listens in a directory of its own, which no other user can enter.
    pub(super) fn private(facts: Facts) -> Result<Self, SinkError> {
        let name = format!("tracer-gvisor.{}", std::process::id());
        let parents = [PathBuf::from("/run"), std::env::temp_dir()];
        let mut last = None;
        for parent in parents {
            let directory = parent.join(&name);
            match fs::DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => {
                    let mut sink = Self::at(&directory.join("sink"), facts)?;
                    sink.directory = Some(directory);
                    return Ok(sink);
                }
                Err(cause) => {
                    last = Some(SinkError {
                        path: directory,
                        cause,
                    });
                }
            }
        }
        Err(last.unwrap_or_else(|| SinkError {
            path: name.into(),
            cause: io::ErrorKind::NotFound.into(),
        }))
    }

    /// Listens at `path`, which only its owner may connect to. What a recording that was killed left there is
    /// removed.
    pub(super) fn at(path: &Path, facts: Facts) -> Result<Self, SinkError> {
        Self::listen_at(path, facts).map_err(|cause| SinkError {
            path: path.to_owned(),
            cause,
        })
    }

    fn listen_at(path: &Path, facts: Facts) -> io::Result<Self> {
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            fs::DirBuilder::new()
                .mode(0o700)
                .recursive(true)
                .create(parent)?;
        }
        let address = UnixAddr::new(path)?;
        remove_stale(path, &address)?;
        let listener = seqpacket()?;
        bind(listener.as_raw_fd(), &address)?;
        // Before anyone can be accepted.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listen(&listener, Backlog::new(64)?)?;
        let (stopped, stop) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let state = Arc::new(Mutex::new(State {
            facts,
            open: 0,
            accepted: 0,
            refused: 0,
        }));
        let reader = Reader {
            listener,
            stopped,
            state: Arc::clone(&state),
            connections: Vec::new(),
            buffer: vec![0; MAX_PACKET],
        };
        let thread = thread::Builder::new()
            .name("tracer-gvisor".to_owned())
            .spawn(move || reader.run())?;
        Ok(Self {
            path: path.to_owned(),
            directory: None,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The socket.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what is known.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Facts) -> T) -> T {
        look(&mut self.state().facts)
    }

    /// How many sandboxes are connected, and how many ever were.
    pub(super) fn connections(&self) -> (usize, SandboxNumber) {
        let state = self.state();
        (state.open, state.accepted)
    }

    /// How many connections were turned away: of another user, without a handshake, or too many.
    pub(super) fn refused(&self) -> u64 {
        self.state().refused
    }

    /// Reads what has come so far, and ends.
    pub(super) fn stop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, what it knew is still there.
            let _ = thread.join();
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_file(&self.path);
        if let Some(directory) = &self.directory {
            // With the file for runsc, which is beside the socket.
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// Each packet is a message, in the order in which they were sent (unix(7), `SOCK_SEQPACKET`).
fn seqpacket() -> nix::Result<OwnedFd> {
    socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        None,
    )
}

/// Removes a socket that nobody listens at.
fn remove_stale(path: &Path, address: &UnixAddr) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;

    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // A connection to one that is none is refused too, and it is not ours to remove.
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file that is not a socket",
            ));
        }
        _ => {}
    }
    let probe = seqpacket()?;
    match connect(probe.as_raw_fd(), address) {
        Err(Errno::ECONNREFUSED) => fs::remove_file(path),
        // A socket of another kind is not ours to remove.
        Err(error) if error != Errno::EAGAIN => Err(error.into()),
        _ => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another recording listens there",
        )),
    }
}

/// A sandbox's connection.
struct Connection {
    number: SandboxNumber,
    fd: OwnedFd,
    has_greeted: bool,
}

/// What became of a connection when it was read.
#[derive(PartialEq, Eq)]
enum Read {
    /// There is no more for now.
    Waits,
    /// It is over.
    Ended,
}

/// The thread that reads.
struct Reader {
    listener: OwnedFd,
    /// Readable once nobody wants it to go on.
    stopped: OwnedFd,
    state: Arc<Mutex<State>>,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
}

impl Reader {
    fn run(mut self) {
        loop {
            let Some((stops, arrives, readable)) = self.wait() else {
                continue;
            };
            if arrives {
                self.accept();
            }
            // A new one may have written already.
            let all = stops || arrives;
            self.read(|place| all || readable.get(place).copied().unwrap_or(false));
            if stops {
                break;
            }
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.open = 0;
    }

    /// Waits until something comes: whether to stop, whether there is a new connection, and which can be read.
    fn wait(&self) -> Option<(bool, bool, Vec<bool>)> {
        let own = [self.stopped.as_fd(), self.listener.as_fd()];
        let all: Vec<BorrowedFd<'_>> = own
            .into_iter()
            .chain(self.connections.iter().map(|it| it.fd.as_fd()))
            .collect();
        let mut polled: Vec<_> = all
            .into_iter()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        poll(&mut polled, PollTimeout::NONE).ok()?;
        let mut ready = polled.iter().map(|it| it.any().unwrap_or(true));
        let (stops, arrives) = (ready.next()?, ready.next()?);
        Some((stops, arrives, ready.collect()))
    }

    fn accept(&mut self) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        while let Ok(fd) = accept4(self.listener.as_raw_fd(), flags) {
            // SAFETY: the kernel just made it, and nobody else has it.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if self.connections.len() >= MAX_SANDBOXES || !is_trusted(&fd) {
                state.refused += 1;
                continue;
            }
            let number = state.accepted;
            state.accepted += 1;
            state.open += 1;
            self.connections.push(Connection {
                number,
                fd,
                has_greeted: false,
            });
        }
    }

    /// Reads the connections that `is_ready` names by their place.
    fn read(&mut self, is_ready: impl Fn(usize) -> bool) {
        let mut place = 0;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = &mut self.buffer;
        self.connections.retain_mut(|connection| {
            let ready = is_ready(place);
            place += 1;
            let goes_on = !ready || read_one(connection, buffer, &mut state) == Read::Waits;
            if !goes_on {
                state.open = state.open.saturating_sub(1);
                state.facts.disconnected(connection.number);
            }
            goes_on
        });
    }
}

fn read_one(connection: &mut Connection, buffer: &mut [u8], state: &mut State) -> Read {
    for _ in 0..BATCH {
        // MSG_TRUNC returns the packet's own length, also when it is longer than the buffer (recv(2)).
        let flags = MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
        let length = match nix::sys::socket::recv(connection.fd.as_raw_fd(), buffer, flags) {
            Ok(0) => return Read::Ended,
            Ok(length) => length,
            Err(Errno::EAGAIN | Errno::EINTR) => return Read::Waits,
            Err(_) => return Read::Ended,
        };
        let packet = buffer.get(..length);
        if !connection.has_greeted {
            let greets = packet.is_some_and(|packet| wire::check_handshake(packet).is_ok());
            let answers = || {
                let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
                send(connection.fd.as_raw_fd(), &wire::HANDSHAKE, flags).is_ok()
            };
            if !greets || !answers() {
                state.refused += 1;
                return Read::Ended;
            }
            connection.has_greeted = true;
            state.facts.connected(connection.number);
            continue;
        }
        match packet {
            Some(packet) => state.facts.take(connection.number, packet),
            None => state.facts.lost(connection.number),
        }
    }
    Read::Waits
}

/// Whether the other side is root, or who runs tracer: nobody else runs a sandbox that is to be recorded.
fn is_trusted(connection: &OwnedFd) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    getsockopt(connection, sockopt::PeerCredentials)
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == own)
}

#[cfg(test)]
mod tests;

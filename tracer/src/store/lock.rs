//! A lock on an output directory, so that two runs do not replace the same workload at once.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use rustix::{fs::FlockOperation, io::Errno};

use super::walk;

/// How long another run is waited for. It holds the lock while it writes a few files.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before the lock is tried again. `flock` itself knows no time limit.
const PAUSE: Duration = Duration::from_millis(5);

/// Locks a directory. The lock ends with the descriptor, also when the process is killed.
///
/// It is on the directory itself, so nothing is left behind.
pub(super) fn hold(directory: impl AsFd, patience: Duration) -> io::Result<OwnedFd> {
    // A lock belongs to the open file (flock(2)): a descriptor that two threads share would lock out neither.
    let own = walk::open_directory(directory, ".")?;
    let begin = Instant::now();
    loop {
        match try_lock(&own) {
            Ok(false) => {}
            // An error: a file system without such locks (NFS locks no directory). The files matter more
            // than two runs at once.
            Ok(true) | Err(_) => return Ok(own),
        }
        if begin.elapsed() >= patience {
            let seconds = patience.as_secs();
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!(
                    "another program has locked it for {seconds} seconds; try again when that program has ended"
                ),
            ));
        }
        thread::sleep(PAUSE);
    }
}

/// Takes a lock; false when somebody else has it.
pub(super) fn try_lock(fd: impl AsFd) -> io::Result<bool> {
    match rustix::fs::flock(fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

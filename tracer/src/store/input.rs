//! Reading a file that a user named, whatever it is, without waiting for ever.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
};

/// How long a pipe may have no writer before its first byte.
const NO_WRITER: Duration = Duration::from_secs(5);

/// How long the writer of a pipe may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// Reads a file up to one byte more than `limit`, so that a caller can tell that it is too large.
///
/// `-` is standard input. A pipe, as in `<(command)`, is read to its end. When nobody writes to it, that is an error.
///
/// # Errors
/// When it cannot be opened or read, or is a pipe that stays silent.
pub fn read_up_to(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let stdin = io::stdin().lock();
        stdin
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    // Opening a pipe waits for a writer, unless it is opened without blocking (fifo(7)).
    let nonblocking = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking.cast_signed())
        .open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    if metadata.file_type().is_fifo() || metadata.file_type().is_char_device() {
        let pipe = Pipe {
            file,
            since: Instant::now(),
            has_writer: false,
        };
        pipe.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    } else {
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The reading end of a pipe, or a terminal, opened without blocking.
struct Pipe {
    file: File,
    /// When something was read last.
    since: Instant,
    has_writer: bool,
}

impl Pipe {
    /// Waits until there is something to read, but not for ever.
    fn wait(&self, patience: Duration, what: &str) -> io::Result<()> {
        let left = patience.saturating_sub(self.since.elapsed());
        if left.is_zero() {
            let seconds = patience.as_secs();
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{what} within {seconds} seconds"),
            ));
        }
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        poll(
            &mut [PollFd::new(&self.file, PollFlags::IN)],
            Some(&timeout),
        )?;
        Ok(())
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(buffer) {
                // Without a writer there is nothing to read either; poll tells the end of a pipe that had one
                // (POLLHUP, fs/pipe.c, pipe_poll).
                Ok(0) if !self.has_writer && !self.is_at_end()? => {
                    self.wait(NO_WRITER, "it is a pipe and no program writes to it")?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.has_writer = true;
                    self.wait(SILENCE, "nothing more was written to it")?;
                }
                Ok(count) => {
                    self.has_writer = true;
                    self.since = Instant::now();
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Pipe {
    fn is_at_end(&self) -> io::Result<bool> {
        if !self.file.metadata()?.file_type().is_fifo() {
            return Ok(true);
        }
        let mut state = [PollFd::new(&self.file, PollFlags::IN)];
        poll(
            &mut state,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            }),
        )?;
        Ok(state.iter().any(|it| it.revents().contains(PollFlags::HUP)))
    }
}

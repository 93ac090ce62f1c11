//! The kernel's log (Documentation/ABI/testing/dev-kmsg of Linux): one record a read.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::{fd::AsFd as _, unix::fs::OpenOptionsExt as _},
    time::Duration,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::AuditMessage;

/// The longest record (`PRINTK_MESSAGE_MAX`, kernel/printk/internal.h), and more.
const RECORD: usize = 16 << 10;

/// Most records that are read at once.
const AT_ONCE: usize = 4096;

/// The log, from now on.
#[derive(Debug)]
pub(super) struct KernelLog {
    file: File,
}

impl KernelLog {
    pub(super) fn open() -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file })
    }

    pub(super) fn read(&mut self, limit: Duration) -> io::Result<Vec<AuditMessage>> {
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        let mut files = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut files, limit) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut told = Vec::new();
        let mut record = vec![0; RECORD];
        while told.len() < AT_ONCE {
            match self.file.read(&mut record) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(record.get(..length).unwrap_or_default());
                    // Behind the text come lines about the device.
                    let line = text.lines().next().unwrap_or_default();
                    told.push(AuditMessage::Line(line.to_owned()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Records were overwritten before they were read; how many is not told.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {
                    told.push(AuditMessage::Lost(1));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(told)
    }
}

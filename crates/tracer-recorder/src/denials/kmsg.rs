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
        // Counts what is passed over too: a flood of it must not keep the caller from its signals.
        for _ in 0..AT_ONCE {
            match self.file.read(&mut record) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(record.get(..length).unwrap_or_default());
                    // Behind the text come lines about the device.
                    let line = text.lines().next().unwrap_or_default();
                    let message = message(line).map(str::to_owned);
                    told.extend(message.map(AuditMessage::Line));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Records were overwritten before they were read; the kernel does not say how many.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {
                    told.push(AuditMessage::Overflow("the kernel's log overflowed"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(told)
    }
}

/// The audit system's text in a record: `PRIORITY,SEQUENCE,TIME,FLAGS;TEXT`. What a process wrote to the device is
/// passed over: it never has the kernel's facility, 0 (kernel/printk/printk.c, `devkmsg_write`).
fn message(record: &str) -> Option<&str> {
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    // The second one is printk's rate limit (lib/ratelimit.c).
    let is_audit = text.starts_with("audit: ") || text.starts_with("kauditd_printk_skb: ");
    (priority >> 3 == 0 && is_audit).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::learn::LogLine;

    const DENIAL: &str = r#"audit: type=1326 audit(1700000000.123:45): pid=7 comm="sh" exe="/bin/sh" arch=c000003e syscall=83 code=0x50001"#;

    #[test]
    fn records_of_the_kernel_are_read() {
        let record = format!("5,812,99,-;{DENIAL}");
        let text = message(&record).unwrap();
        assert!(matches!(LogLine::read(text), LogLine::Denial(_)));
        let lost = message("4,813,99,-;audit: audit_lost=7 audit_rate_limit=0").unwrap();
        assert_eq!(LogLine::read(lost), LogLine::LostSinceBoot(7));
        let suppressed = message("4,814,99,-;kauditd_printk_skb: 3 callbacks suppressed").unwrap();
        assert_eq!(LogLine::read(suppressed), LogLine::Lost(3));
    }

    #[test]
    fn text_that_a_process_wrote_is_passed_over() {
        // Facilities 1 (what the kernel gives to user space), 3 and 23; text before, and no prefix.
        for record in [
            format!("12,812,99,-;{DENIAL}"),
            format!("29,812,99,-;{DENIAL}"),
            format!("189,812,99,-;{DENIAL}"),
            format!("6,812,99,-;process 'x {DENIAL}' started"),
            "12,812,99,-;audit: audit_lost=7 audit_rate_limit=0".to_owned(),
            "6,812,99,-;x audit: audit_lost=7 audit_rate_limit=0".to_owned(),
            DENIAL.to_owned(),
            String::new(),
        ] {
            assert_eq!(message(&record), None, "{record}");
        }
    }
}

//! Denials as the kernel tells of them: the audit system's records, live.
//!
//! [`AuditLog`] reads the multicast group of the audit socket, which every record goes to whether auditd runs or not
//! (kernel/audit.c, `kauditd_send_multicast_skb`), or the kernel's log where that may not be joined.
//! [`Attributor`] tells whose process a record names, while it is there.

mod attribute;
mod kmsg;
mod netlink;

use std::{io, time::Duration};

use thiserror::Error;

pub use attribute::Attributor;
use kmsg::KernelLog;
use netlink::AuditSocket;

/// Why denials cannot be read.
#[derive(Debug, Error)]
#[error(
    "cannot read the kernel's audit records: the audit socket: {socket}; /dev/kmsg: {kmsg}; run as root, in the host's pid namespace"
)]
pub struct DenialError {
    socket: io::Error,
    kmsg: io::Error,
}

/// Something that a source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditMessage {
    /// A record, as a line of a log.
    Line(String),
    /// A buffer overflowed: at least one record was lost. Says which buffer.
    Overflow(&'static str),
}

/// The kernel's audit records, from now on.
#[derive(Debug)]
pub struct AuditLog {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Socket(AuditSocket),
    Log(KernelLog),
}

impl AuditLog {
    /// Begins to read: the audit socket, else the kernel's log.
    ///
    /// # Errors
    /// When neither can be read.
    pub fn open() -> Result<Self, DenialError> {
        let socket = match AuditSocket::open() {
            Ok(socket) => {
                return Ok(Self {
                    source: Source::Socket(socket),
                });
            }
            Err(error) => error,
        };
        match KernelLog::open() {
            Ok(log) => {
                // kernel/audit.c, `kauditd_hold_skb`: records are printed when there is no auditd.
                match netlink::auditd_runs() {
                    Some(false) => {}
                    Some(true) => log::warn!(
                        "auditd runs: the kernel gives it the audit records and does not print them to its log; read auditd's log instead"
                    ),
                    None => log::warn!(
                        "it is not known whether auditd runs; while it does, the kernel does not print audit records to its log"
                    ),
                }
                Ok(Self {
                    source: Source::Log(log),
                })
            }
            Err(kmsg) => Err(DenialError { socket, kmsg }),
        }
    }

    /// What is read, for a person.
    pub const fn name(&self) -> &'static str {
        match self.source {
            Source::Socket(_) => "the audit socket",
            Source::Log(_) => "the kernel's log (/dev/kmsg), which is rate-limited",
        }
    }

    /// What came since the last time; waits for at most `limit`.
    ///
    /// # Errors
    /// When the source cannot be read any more.
    pub fn read(&mut self, limit: Duration) -> io::Result<Vec<AuditMessage>> {
        match &mut self.source {
            Source::Socket(socket) => socket.read(limit),
            Source::Log(log) => log.read(limit),
        }
    }

    /// Records that the kernel lost since the last time; `None` when nobody counts them.
    pub fn lost(&mut self) -> Option<u64> {
        match &mut self.source {
            Source::Socket(socket) => socket.lost(),
            Source::Log(_) => None,
        }
    }
}

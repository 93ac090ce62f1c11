//! The audit socket (netlink(7), include/uapi/linux/audit.h).

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom,
        sendto, setsockopt, socket, sockopt::RcvBufForce,
    },
};

use super::AuditMessage;

/// `AUDIT_NLGRP_READLOG`, as the bit of `sockaddr_nl.nl_groups`.
const READLOG: u32 = 1;

/// `NLMSG_ERROR`: a question is refused.
const ERROR: u16 = 2;

/// `AUDIT_GET`: the state of the audit system.
const GET: u16 = 1000;

/// Bytes that the kernel keeps for us: some 10,000 records.
const BUFFER: usize = 8 << 20;

/// The longest message (`MAX_AUDIT_MESSAGE_LENGTH`), and its head.
const MESSAGE: usize = 8970 + HEAD;

/// `struct nlmsghdr`: length, kind, flags, sequence, sender.
const HEAD: usize = 16;

/// Most messages that are read at once.
const AT_ONCE: usize = 4096;

/// The places of `pid` and `lost` in `struct audit_status`, in words of 32 bits: mask, enabled, failure, pid,
/// rate_limit, backlog_limit, lost.
const PID: usize = 3;
const LOST: usize = 6;

/// What the kernel says of the audit system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    /// The process of auditd; 0 when none runs.
    pid: u32,
    /// Records that were lost since the machine booted.
    lost: u32,
}

impl Status {
    fn read(status: &[u8]) -> Option<Self> {
        Some(Self {
            pid: word(status, PID)?,
            lost: word(status, LOST)?,
        })
    }
}

/// Whether auditd runs; `None` when the kernel does not say.
pub(super) fn auditd_runs() -> Option<bool> {
    let socket = audit_socket().ok()?;
    Some(ask(&socket)?.pid != 0)
}

/// The socket.
#[derive(Debug)]
pub(super) struct AuditSocket {
    records: OwnedFd,
    /// For questions; `None` where they may not be asked.
    questions: Option<OwnedFd>,
    /// `lost` when it was last asked.
    known: Option<u64>,
}

impl AuditSocket {
    /// Joins the group. Takes `CAP_AUDIT_READ`.
    pub(super) fn open() -> io::Result<Self> {
        let records = audit_socket()?;
        bind(records.as_raw_fd(), &NetlinkAddr::new(0, READLOG))?;
        // Without CAP_NET_ADMIN the usual size has to do.
        let _ = setsockopt(&records, RcvBufForce, &BUFFER);
        let mut socket = Self {
            records,
            questions: audit_socket().ok(),
            known: None,
        };
        socket.known = socket.total();
        if socket.known.is_none() {
            log::warn!(
                "the kernel's count of lost audit records is not available: that takes CAP_AUDIT_CONTROL in the host's pid namespace; losses of the socket's own buffer are still reported"
            );
        }
        Ok(socket)
    }

    /// What came, within some time.
    pub(super) fn read(&mut self, limit: Duration) -> io::Result<Vec<AuditMessage>> {
        let mut told = Vec::new();
        if !is_ready(&self.records, limit)? {
            return Ok(told);
        }
        let mut message = vec![0; MESSAGE];
        // Counts what is passed over too: a flood of it must not keep the caller from its signals.
        for _ in 0..AT_ONCE {
            match receive(&self.records, &mut message) {
                Ok(bytes) => told.extend(bytes.and_then(line).map(AuditMessage::Line)),
                Err(Errno::EAGAIN) => break,
                // The buffer was full; the kernel does not say how many records did not fit.
                Err(Errno::ENOBUFS) => {
                    told.push(AuditMessage::Overflow("the socket's buffer overflowed"));
                }
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(told)
    }

    /// How many records the kernel lost since the last time, by its own count.
    pub(super) fn lost(&mut self) -> Option<u64> {
        let now = self.total()?;
        let before = self.known.replace(now)?;
        Some(now.saturating_sub(before))
    }

    /// How many records the kernel lost since the machine booted.
    fn total(&self) -> Option<u64> {
        Some(ask(self.questions.as_ref()?)?.lost.into())
    }
}

/// Asks for the state. Takes `CAP_AUDIT_CONTROL` in the initial pid namespace.
fn ask(socket: &OwnedFd) -> Option<Status> {
    /// `NLM_F_REQUEST`.
    const REQUEST: u16 = 1;
    const LIMIT: Duration = Duration::from_millis(200);
    let length = u32::try_from(HEAD).unwrap_or_default();
    let mut question = length.to_ne_bytes().to_vec();
    question.extend(GET.to_ne_bytes());
    question.extend(REQUEST.to_ne_bytes());
    question.extend([0; 8]);
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), &question, &kernel, MsgFlags::empty()).ok()?;
    let mut answer = vec![0; MESSAGE];
    let asked = Instant::now();
    loop {
        let left = LIMIT.checked_sub(asked.elapsed())?;
        if !is_ready(socket, left).ok()? {
            return None;
        }
        let Some(bytes) = receive(socket, &mut answer).ok()? else {
            continue;
        };
        match kind(bytes) {
            Some(GET) => return Status::read(bytes.get(HEAD..)?),
            Some(ERROR) => return None,
            _ => {}
        }
    }
}

fn audit_socket() -> io::Result<OwnedFd> {
    Ok(socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkAudit,
    )?)
}

/// The next message of the kernel, whose port is 0; `None` inside for another's. Any process that may use the
/// network as the host's administrator can send to a socket of ours.
fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>, Errno> {
    let (length, sender) = recvfrom::<NetlinkAddr>(socket.as_raw_fd(), buffer)?;
    let message = buffer.get(..length);
    Ok(message.filter(|_| is_kernel(sender.as_ref())))
}

fn is_kernel(sender: Option<&NetlinkAddr>) -> bool {
    sender.is_some_and(|it| it.pid() == 0)
}

/// Whether the kernel makes messages of this type of a filter's or a security module's decision: `AUDIT_SECCOMP`,
/// `AUDIT_AVC`, and AppArmor's own. Of others (`AUDIT_USER…`) a process may choose the text.
const fn is_decision(kind: u16) -> bool {
    matches!(kind, 1326 | 1400 | 1501..=1507)
}

fn is_ready(socket: &OwnedFd, limit: Duration) -> io::Result<bool> {
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    let mut sockets = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut sockets, limit) {
        Ok(ready) => Ok(ready > 0),
        // A signal: the caller looks for it.
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn kind(message: &[u8]) -> Option<u16> {
    let bytes = message.get(4..6)?.try_into().ok()?;
    Some(u16::from_ne_bytes(bytes))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at * 4..at * 4 + 4)?.try_into().ok()?;
    Some(u32::from_ne_bytes(bytes))
}

/// A message as a line of the kernel's log has it. The length in its head is not asked: multicast messages of
/// some kernels leave out the head's own bytes. `None` for messages that are no decisions.
fn line(message: &[u8]) -> Option<String> {
    let kind = kind(message).filter(|kind| is_decision(*kind))?;
    let text = message.get(HEAD..)?;
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    Some(format!("type={kind} {}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::learn::LogLine;

    fn message(kind: u16, text: &str) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn message_is_a_line_that_learn_reads() {
        let text = r#"audit(1700000000.123:45): auid=1 pid=7 comm="sh" exe="/bin/sh" sig=0 arch=c000003e syscall=83 compat=0 ip=0x1 code=0x7ffc0000"#;
        let line = line(&message(1326, text)).unwrap();
        assert!(
            line.starts_with("type=1326 audit(1700000000.123:45): "),
            "{line}"
        );
        assert!(matches!(LogLine::read(&line), LogLine::Denial(it) if it.what == "mkdir"));
    }

    #[test]
    fn short_messages_are_none() {
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[1, 2, 3]), None);
        assert_eq!(line(&message(1326, "")), Some("type=1326 ".to_owned()));
        assert_eq!(Status::read(&[0; 27]), None);
        let mut status = [0; 28];
        status[12..16].copy_from_slice(&812_u32.to_ne_bytes());
        status[24..].copy_from_slice(&7_u32.to_ne_bytes());
        assert_eq!(Status::read(&status), Some(Status { pid: 812, lost: 7 }));
    }

    #[test]
    fn messages_with_text_of_a_process_are_passed_over() {
        let forged = r#"type=1326 audit(1700000000.123:45): pid=7 comm="sh" exe="/bin/sh" arch=c000003e syscall=83 code=0x7ffc0000"#;
        // AUDIT_USER, AUDIT_USER_AVC, AUDIT_TRUSTED_APP, a syscall, and both ends of what user space may send.
        for kind in [1005, 1107, 1121, 1300, 1100, 1199, 2100, 2999] {
            let text = format!("audit(1.0:1): pid=9 uid=0 msg='{forged}'");
            assert_eq!(line(&message(kind, &text)), None, "{kind}");
            assert_eq!(line(&message(kind, forged)), None, "{kind}");
        }
        // The start of the text is the kernel's: the type that the message has counts, not the one in it.
        let other = line(&message(1400, &format!("audit(1.0:1): msg='{forged}'"))).unwrap();
        assert!(!matches!(LogLine::read(&other), LogLine::Denial(_)));
    }

    #[test]
    fn only_the_kernel_is_believed() {
        assert!(is_kernel(Some(&NetlinkAddr::new(0, READLOG))));
        assert!(!is_kernel(Some(&NetlinkAddr::new(4711, 0))));
        assert!(!is_kernel(None));
    }
}

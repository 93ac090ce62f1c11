//! What the kernel says that it denied.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    poll::{PollFd, PollFlags, poll},
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendto, socket,
    },
};

/// How long the log may be silent before a line that is due, in milliseconds.
const PATIENCE: u16 = 30_000;

/// The kernel's log, from now on.
pub struct KernelLog {
    lines: File,
    audit: OwnedFd,
}

impl KernelLog {
    /// Begins behind what is in it.
    ///
    /// # Errors
    /// When it cannot be read, or the kernel has no audit.
    pub fn from_now() -> Result<Self> {
        // Else ten lines in five seconds (`printk_ratelimit`).
        fs::write("/proc/sys/kernel/printk_ratelimit", "0").context("the kernel's log")?;
        let mut log = Self {
            lines: OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open("/dev/kmsg")
                .context("opening the kernel's log")?,
            audit: socket(
                AddressFamily::Netlink,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::NetlinkAudit,
            )
            .context("a socket to the kernel's audit")?,
        };
        log.read(true)?;
        Ok(log)
    }

    /// What was written since it was last asked.
    ///
    /// # Errors
    /// When the log lost lines, or does not come to its end.
    pub fn lines(&mut self) -> Result<Vec<String>> {
        self.read(false)
    }

    /// What was denied since it was last asked, under a profile of AppArmor's or one within it.
    ///
    /// # Errors
    /// When the log lost lines, or does not come to its end.
    pub fn denied(&mut self, profile: &str) -> Result<Vec<String>> {
        let wanted = [
            format!("profile=\"{profile}\""),
            format!("profile=\"{profile}//"),
        ];
        let mut denied = self.read(false)?;
        denied.retain(|line| {
            line.contains("apparmor=\"DENIED\"")
                && wanted.iter().any(|wanted| line.contains(wanted))
        });
        Ok(denied)
    }

    /// Everything up to now. Lines that were overwritten before they were read are an error, unless nobody
    /// asked for them.
    fn read(&mut self, skips: bool) -> Result<Vec<String>> {
        let mark = self.mark()?;
        let mut lines = Vec::new();
        let mut line = vec![0; 8192];
        loop {
            match self.lines.read(&mut line) {
                Ok(len) => {
                    let text = String::from_utf8_lossy(&line[..len]);
                    ensure!(
                        skips
                            || !text.contains("audit_lost")
                                && !text.contains("callbacks suppressed"),
                        "the kernel's log is not complete: {text}"
                    );
                    if text.contains(&mark) {
                        return Ok(lines);
                    }
                    lines.push(text.lines().next().unwrap_or_default().to_owned());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut more = [PollFd::new(self.lines.as_fd(), PollFlags::POLLIN)];
                    let ready =
                        poll(&mut more, PATIENCE).context("waiting for the kernel's log")?;
                    ensure!(ready > 0, "the kernel's log has no mark");
                }
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) && skips => {}
                Err(error) => bail!("reading the kernel's log: {error}"),
            }
        }
    }

    /// Has a line written behind all that were to be written so far: a thread of its own does that
    /// (kernel/audit.c, `kauditd_thread`), in the order of its queue, and not when something is denied.
    fn mark(&self) -> Result<String> {
        /// `AUDIT_USER_AVC`: the one that is taken while auditing is off.
        const KIND: u16 = 1107;
        /// Other tests have theirs written too.
        static MARKS: AtomicU32 = AtomicU32::new(0);
        let number = MARKS.fetch_add(1, Ordering::Relaxed);
        let text = format!("mark {number} of {}", std::process::id());
        // With an end: the kernel puts one in the place of the last byte.
        let len = 16 + u32::try_from(text.len())? + 1;
        // `struct nlmsghdr`: length, kind, flags, number, sender.
        let mut message = len.to_ne_bytes().to_vec();
        message.extend(KIND.to_ne_bytes());
        message.extend(1_u16.to_ne_bytes());
        message.extend(number.to_ne_bytes());
        message.extend(0_u32.to_ne_bytes());
        message.extend(text.as_bytes());
        message.push(0);
        sendto(
            self.audit.as_raw_fd(),
            &message,
            &NetlinkAddr::new(0, 0),
            MsgFlags::empty(),
        )
        .context("asking for a mark in the kernel's log")?;
        Ok(format!("msg='{text}'"))
    }
}

//! A terminal for a program that wants one.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::{
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
    pty::{Winsize, openpty},
};

use crate::{process::Running, wait};

/// A program on a terminal of its own, and the other end of that terminal.
pub struct OnTerminal {
    /// The program.
    pub running: Running,
    keyboard: File,
    screen: String,
    /// What a terminal of this size shows of it.
    shown: vt100::Parser,
}

impl OnTerminal {
    /// Starts `command` as the leader of a session whose controlling terminal is a new one.
    ///
    /// # Errors
    /// When there is no terminal to be had, or the command cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        // Wide enough for whatever is drawn to fit.
        let size = Winsize {
            ws_row: 24,
            ws_col: 200,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).context("opening a terminal")?;
        for fd in [&pair.master, &pair.slave] {
            // The program would keep its own terminal open.
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        let end = |fd: &OwnedFd| -> Result<Stdio> { Ok(fd.try_clone()?.into()) };
        command
            .stdin(end(&pair.slave)?)
            .stdout(end(&pair.slave)?)
            .stderr(end(&pair.slave)?);
        // SAFETY: setsid and ioctl are async-signal-safe, and nothing else happens in there.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let running = Running::spawn_unredirected(command)?;
        // `command` keeps its ends open: the screen never ends, so that reading must not wait.
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self {
            running,
            keyboard: File::from(pair.master),
            screen: String::new(),
            shown: vt100::Parser::new(size.ws_row, size.ws_col, 0),
        })
    }

    /// Types.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn type_(&mut self, keys: &str) -> Result<()> {
        Ok(self.keyboard.write_all(keys.as_bytes())?)
    }

    /// Everything that was written on the screen so far.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub fn screen(&mut self) -> Result<&str> {
        let mut buffer = [0; 4096];
        loop {
            match self.keyboard.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    self.screen += &String::from_utf8_lossy(&buffer[..n]);
                    self.shown.process(&buffer[..n]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // All other ends are closed (drivers/tty/pty.c): as good as an end of file.
                Err(error) if error.raw_os_error() == Some(libc::EIO) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(&self.screen)
    }

    /// What the terminal shows now, line by line, as a person sees it.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub fn shown(&mut self) -> Result<String> {
        self.screen()?;
        let shown = self.shown.screen().contents();
        // A program may fill its lines with spaces, or not.
        let lines: Vec<_> = shown.lines().map(str::trim_end).collect();
        Ok(lines.join("\n"))
    }

    /// Whether a program draws on the terminal's other screen, which leaves no trace.
    pub fn is_on_other_screen(&self) -> bool {
        self.shown.screen().alternate_screen()
    }

    /// Waits until the terminal shows what `is_shown` looks for.
    ///
    /// # Errors
    /// When the program ends, or too much time goes by, before that.
    pub fn until_shown(&mut self, what: &str, is_shown: impl Fn(&str) -> bool) -> Result<String> {
        let outcome = wait::until(what, || {
            let ended = self.running.ended()?;
            let shown = self.shown()?;
            if is_shown(&shown) {
                return Ok(Some(shown));
            }
            ensure!(ended.is_none(), "the program ended with {ended:?}");
            Ok(None)
        });
        outcome.with_context(|| self.shown.screen().contents())
    }

    /// Gives the terminal another size.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn resize(&mut self, rows: u16, columns: u16) -> Result<()> {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: the terminal is open, and the kernel reads one struct.
        let done =
            unsafe { libc::ioctl(self.keyboard.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        ensure!(done == 0, "resizing: {}", std::io::Error::last_os_error());
        self.shown.screen_mut().set_size(rows, columns);
        Ok(())
    }

    /// Waits until the screen shows `text`.
    ///
    /// # Errors
    /// When the program ends, or too much time goes by, before that.
    pub fn until(&mut self, text: &str) -> Result<()> {
        let what = format!("{text:?} on the terminal");
        let outcome = wait::until(&what, || {
            let ended = self.running.ended()?;
            if self.screen()?.contains(text) {
                return Ok(Some(()));
            }
            ensure!(ended.is_none(), "the program ended with {ended:?}");
            Ok(None)
        });
        outcome.with_context(|| self.screen.clone())
    }

    /// Closes the terminal, as a window is closed.
    pub fn hang_up(self) -> Running {
        self.running
    }
}

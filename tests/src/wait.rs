//! Waiting for an event, never for a time.

use std::{
    env, fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How long anything may take that takes a moment on an idle machine. The virtual machine of `cargo xtask
/// vm` is emulated: there the verifier alone takes half a minute.
pub fn patience() -> Duration {
    Duration::from_secs(if env::var_os("TRACER_VM").is_some() {
        240
    } else {
        90
    })
}

/// Asks `poll` until it has an answer.
///
/// # Errors
/// What `poll` fails with, or a sentence that names `what` after [`patience`].
pub fn until<T>(what: &str, poll: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    within(patience(), what, poll)
}

/// The process id in a file. A runtime writes it after the start, when a server may have done its work.
///
/// # Errors
/// When none appears.
pub fn pid_in(file: &Path) -> Result<u32> {
    until(&format!("a process id in {}", file.display()), || {
        let text = fs::read_to_string(file).unwrap_or_default();
        Ok(text.trim().parse().ok())
    })
}

/// [`until`] with a patience of its own.
///
/// # Errors
/// As [`until`].
pub fn within<T>(
    patience: Duration,
    what: &str,
    mut poll: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = poll()? {
            return Ok(answer);
        }
        if begin.elapsed() > patience {
            bail!("waited {patience:?} for {what}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

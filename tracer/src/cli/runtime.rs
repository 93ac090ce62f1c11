//! What runs the asynchronous parts of a command.

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};

/// A runtime of one thread: what is recorded gets the other processors.
///
/// # Errors
/// When the kernel gives no descriptor for it.
pub(super) fn one_thread() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")
}

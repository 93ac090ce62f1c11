//! `cargo xtask setup`: finds or installs what the build lacks.
//!
//! Silent where nothing is lacking, one line for each thing that it does.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::cmd::{self, say};
use crate::linker;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// What the build works with.
pub(crate) struct Tools {
    pub(crate) toolchain: Toolchain,
    /// Our bpf-linker.
    pub(crate) linker: PathBuf,
}

pub(crate) fn ensure(workspace: &Workspace) -> Result<Tools> {
    let toolchain = Toolchain::active(workspace)?;
    c_compiler()?;
    sources(workspace, &toolchain)?;
    let linker = linker::ensure(workspace, &toolchain)?;
    Ok(Tools { toolchain, linker })
}

/// Rust links with it.
fn c_compiler() -> Result<()> {
    if cmd::find("cc").is_none() {
        bail!("there is no C compiler (`cc`): apt-get install build-essential");
    }
    Ok(())
}

/// `core` is built for the kernel from its sources: no toolchain brings it built.
fn sources(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    if toolchain.has_sources() {
        return Ok(());
    }
    say(format_args!(
        "installs rust-src, the sources of Rust's core library"
    ));
    rustup(workspace, &["component", "add", "rust-src"])?;
    if !toolchain.has_sources() {
        bail!(
            "rust-src is installed, but not in {}: cargo and rustup use different toolchains",
            toolchain.sysroot.display()
        );
    }
    Ok(())
}

/// Installs the standard library for a target, where it is missing.
pub(crate) fn target(workspace: &Workspace, toolchain: &Toolchain, triple: &str) -> Result<()> {
    if toolchain.has_target(triple) {
        return Ok(());
    }
    say(format_args!(
        "installs Rust's standard library for {triple}"
    ));
    rustup(workspace, &["target", "add", triple])
}

/// rustup works on the toolchain of the cargo that started us: `RUSTUP_TOOLCHAIN` names it.
fn rustup(workspace: &Workspace, args: &[&str]) -> Result<()> {
    cmd::run(workspace.program("rustup").args(args)).with_context(|| {
        format!(
            "the toolchain lacks something: see that rustup (https://rustup.rs) is on PATH and can \
             download, then run `rustup {}`",
            args.join(" ")
        )
    })
}

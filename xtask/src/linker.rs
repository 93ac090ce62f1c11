//! bpf-linker, built against the very LLVM that rustc emits its bitcode with.
//!
//! Another LLVM, an older one above all, may refuse that bitcode or mistranslate it. rustup ships
//! rustc's LLVM as a shared library, so neither a distribution's LLVM nor a nightly is needed. One
//! on `PATH` was built against who knows what, and is left alone.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::cmd::{self, say};
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// Knows LLVM 21 to 23.
const VERSION: &str = "0.13.0";

/// Finds our bpf-linker for this toolchain, or builds it.
pub(crate) fn ensure(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let tools = workspace.target.join("tools");
    let home = tools.join(format!("bpf-linker-{VERSION}-llvm{}", toolchain.llvm));
    let linker = home.join("bin/bpf-linker");
    if works(&linker) {
        return Ok(linker);
    }
    fs::create_dir_all(&tools).with_context(|| format!("cannot make {}", tools.display()))?;
    // Held until this returns; the kernel lets go of it however this process ends.
    let _lock = lock(&tools.join(".lock"))?;
    if works(&linker) {
        return Ok(linker);
    }
    say(format_args!(
        "builds bpf-linker {VERSION} against rustc's LLVM {} into {} (about a minute)",
        toolchain.llvm,
        workspace.short(&home)
    ));
    let partial = tools.join(".bpf-linker");
    remove(&partial)?;
    install(workspace, toolchain, &partial).with_context(|| {
        format!(
            "bpf-linker {VERSION} was not built for LLVM {}: cargo's messages above say why; it \
             needs the crate registry, a C compiler, and an LLVM that this version knows",
            toolchain.llvm
        )
    })?;
    remove(&home)?;
    fs::rename(partial.join("root"), &home)
        .with_context(|| format!("cannot make {}", home.display()))?;
    remove(&partial)?;
    Ok(linker)
}

/// Whether it starts: a toolchain that was updated or removed takes its LLVM with it.
fn works(linker: &Path) -> bool {
    let mut command = Command::new(linker);
    crate::workspace::without_cargo(&mut command)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn install(workspace: &Workspace, toolchain: &Toolchain, directory: &Path) -> Result<()> {
    // llvm-sys takes this layout for an installed LLVM; a shared library is all that it links.
    let prefix = directory.join("llvm");
    let library = toolchain.libllvm()?;
    fs::create_dir_all(prefix.join("lib"))
        .and_then(|()| symlink(&library, prefix.join("lib/libLLVM.so")))
        .with_context(|| format!("cannot prepare {}", prefix.display()))?;
    let libraries = library.parent().context("a library lies in a directory")?;
    // Separated by 0x1f, so that a directory's name may hold spaces and commas.
    let flags = [
        "-Xlinker",
        "-rpath",
        "-Xlinker",
        &libraries.to_string_lossy(),
    ]
    .map(|argument| format!("-Clink-arg={argument}"))
    .join("\x1f");
    let root = directory.join("root");
    cmd::run(
        workspace
            .cargo()
            .args(["install", "bpf-linker", "--locked", "--version"])
            .arg(format!("={VERSION}"))
            .args(["--no-default-features", "--no-track", "--features"])
            .arg(format!("llvm-{}", toolchain.llvm_major()))
            // Named, so that the flags are not for build scripts, which find LLVM by themselves.
            .args(["--target", &toolchain.host])
            .arg("--root")
            .arg(&root)
            // Else cargo advises to add this temporary directory to PATH.
            .env("PATH", path_with(root.join("bin"))?)
            .env("CARGO_TARGET_DIR", directory.join("build"))
            // Its release profile asks for debug information, which costs time and serves nobody.
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("LLVM_PREFIX", &prefix)
            .env("CARGO_ENCODED_RUSTFLAGS", flags),
    )
}

fn path_with(directory: PathBuf) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::env::split_paths(&path).chain([directory]))
        .context("the target directory's path holds a `:`")
}

/// Waits for another xtask that installs into the same directory.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        say(format_args!(
            "waits for another cargo xtask to finish its set-up"
        ));
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

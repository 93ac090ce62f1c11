//! Where things are, and the environment that the programs we start get.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cmd;

/// The workspace and its target directory, both absolute.
pub(crate) struct Workspace {
    /// The directory of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target directory: `CARGO_TARGET_DIR` and cargo's configuration are respected.
    pub(crate) target: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        // What cargo says now goes before what it said when this was compiled: a checkout may move.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .with_context(|| format!("{} is not in a workspace", manifest.display()))?
            .to_path_buf();
        // Asked where the user stands, so that a relative CARGO_TARGET_DIR means what it meant to
        // the cargo that built this program.
        let metadata = cmd::read(
            without_cargo(&mut Command::new(cargo()))
                .args([
                    "metadata",
                    "--no-deps",
                    "--format-version=1",
                    "--manifest-path",
                ])
                .arg(root.join("Cargo.toml")),
        )?;
        let metadata: serde_json::Value =
            serde_json::from_str(&metadata).context("`cargo metadata` did not print JSON")?;
        let target = metadata["target_directory"]
            .as_str()
            .context("`cargo metadata` does not say where the target directory is")?
            .into();
        Ok(Self { root, target })
    }

    /// The cargo that started us, at the workspace's root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(cargo());
        without_cargo(&mut command)
            .current_dir(&self.root)
            // Would move `target/release/tracer` into a directory of the triple's name.
            .env_remove("CARGO_BUILD_TARGET");
        // A relative one meant something else where the user stands.
        if self.target != self.root.join("target") {
            command.env("CARGO_TARGET_DIR", &self.target);
        }
        command
    }

    /// A program of the active toolchain (rustc, rustup), at the workspace's root, where
    /// `rust-toolchain.toml` holds.
    pub(crate) fn program(&self, name: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(name);
        without_cargo(&mut command).current_dir(&self.root);
        command
    }

    /// The release binary of that name.
    pub(crate) fn release(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// A path as short as it can be said from the workspace's root.
    pub(crate) fn short<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

fn cargo() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Takes away what `cargo run` put into the environment for this program: nothing that we start is
/// a part of the package `xtask`, and libraries are looked for where they would be without it.
pub(crate) fn without_cargo(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    if let Some(paths) = env::var_os("LD_LIBRARY_PATH") {
        let kept: Vec<PathBuf> = env::split_paths(&paths)
            .filter(|path| !is_cargos(path))
            .collect();
        match env::join_paths(&kept) {
            Ok(joined) if !joined.is_empty() => command.env("LD_LIBRARY_PATH", joined),
            _ => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    command
}

/// Also takes away what rustup's proxies put there: for programs that are none of ours, such as the
/// command that is recorded.
pub(crate) fn without_toolchain(command: &mut Command) -> &mut Command {
    without_cargo(command)
        .env_remove("CARGO")
        .env_remove("RUST_RECURSION_COUNT");
    // "env" says that the user set it; else rustup worked it out from this directory.
    if env::var_os("RUSTUP_TOOLCHAIN_SOURCE").is_some_and(|source| source != "env") {
        command.env_remove("RUSTUP_TOOLCHAIN");
    }
    command.env_remove("RUSTUP_TOOLCHAIN_SOURCE")
}

/// `cargo run` looks for libraries beside the program it built and in the sysroot of rustc.
fn is_cargos(path: &Path) -> bool {
    let built = env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_path_buf));
    built.is_some_and(|built| path.starts_with(built))
        || path.join("rustlib").is_dir()
        || path
            .ancestors()
            .any(|directory| directory.ends_with("lib/rustlib"))
}

//! The active Rust toolchain: where it lies, for which machine, with which LLVM.

use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::cmd;
use crate::workspace::Workspace;

/// What rustc says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// Its directory.
    pub(crate) sysroot: PathBuf,
    /// The triple of the machine it runs on.
    pub(crate) host: String,
    /// The version of the LLVM it was built with, such as `22.1.2`.
    pub(crate) llvm: String,
    /// The commit that its compiler was built from.
    pub(crate) commit: String,
}

impl Toolchain {
    pub(crate) fn active(workspace: &Workspace) -> Result<Self> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let version = cmd::read(workspace.program(&rustc).arg("-vV"))?;
        let sysroot = cmd::read(workspace.program(&rustc).args(["--print", "sysroot"]))?;
        Self::parse(&version, sysroot.trim_end().into())
    }

    fn parse(version: &str, sysroot: PathBuf) -> Result<Self> {
        let field = |name: &str| {
            let value = version
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            Ok::<_, anyhow::Error>(
                value
                    .with_context(|| format!("`rustc -vV` does not name its {name}"))?
                    .to_owned(),
            )
        };
        Ok(Self {
            sysroot,
            host: field("host")?,
            llvm: field("LLVM version")?,
            commit: field("commit-hash")?,
        })
    }

    /// The major version of its LLVM, as bpf-linker's features name it.
    pub(crate) fn llvm_major(&self) -> &str {
        self.llvm.split('.').next().unwrap_or(&self.llvm)
    }

    /// The architecture of this machine, as Rust names it.
    pub(crate) fn architecture(&self) -> &str {
        self.host.split('-').next().unwrap_or(&self.host)
    }

    /// The objcopy that comes with rustc: `strip` in a profile is done by it.
    pub(crate) fn objcopy(&self) -> PathBuf {
        let tools = self.sysroot.join("lib/rustlib").join(&self.host);
        tools.join("bin/rust-objcopy")
    }

    /// The LLVM library that rustc itself is linked with.
    pub(crate) fn libllvm(&self) -> Result<PathBuf> {
        let directory = self.sysroot.join("lib");
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // Beside the library lies a linker script of almost the same name.
            if name.starts_with("libLLVM") && name.contains(".so") && is_elf(&path) {
                return Ok(path);
            }
        }
        bail!(
            "rustc's own LLVM is not in {}, and bpf-linker must be built against it: use a \
             toolchain that rustup installed (https://rustup.rs)",
            directory.display()
        )
    }

    /// Whether the sources of `core` are there, for `-Z build-std`.
    pub(crate) fn has_sources(&self) -> bool {
        self.sysroot
            .join("lib/rustlib/src/rust/library/core/src/lib.rs")
            .is_file()
    }

    /// Whether the standard library for that target is there.
    pub(crate) fn has_target(&self, triple: &str) -> bool {
        self.sysroot
            .join("lib/rustlib")
            .join(triple)
            .join("lib")
            .is_dir()
    }
}

fn is_elf(path: &std::path::Path) -> bool {
    let mut magic = [0; 4];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut magic))
        .is_ok()
        && magic == *b"\x7fELF"
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n\
        commit-hash: 59807616e1fa\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";

    #[test]
    fn parses_rustc_version() {
        let toolchain = Toolchain::parse(VERSION, "/sysroot".into()).unwrap();
        assert_eq!(toolchain.llvm, "22.1.2");
        assert_eq!(toolchain.llvm_major(), "22");
        assert_eq!(toolchain.commit, "59807616e1fa");
        assert_eq!(toolchain.architecture(), "x86_64");
    }

    #[test]
    fn missing_field_is_named() {
        let error = Toolchain::parse("rustc 1.95.0\nhost: x\n", "/".into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`rustc -vV` does not name its LLVM version"
        );
    }
}

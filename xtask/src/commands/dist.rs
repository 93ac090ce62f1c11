//! `cargo xtask dist`: one static binary with the kernel object inside.
//!
//! Its path is the only line on stdout: `cp "$(cargo xtask dist)" …`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::commands::build::{self, Object};
use crate::commands::setup::{self, Tools};
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;
use crate::{cmd, files, reproducible};

/// A machine that static binaries are released for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Architecture {
    #[value(name = "x86_64")]
    X86_64,
    Aarch64,
}

impl Architecture {
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// Its name in Rust's triples and in `uname -m`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    /// `e_machine` in the ELF header (`EM_X86_64` and `EM_AARCH64` in `elf.h`).
    fn elf_machine(self) -> u64 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }

    /// That of this machine.
    pub(crate) fn native(toolchain: &Toolchain) -> Result<Self> {
        let name = toolchain.architecture();
        let known = Self::ALL.into_iter().find(|it| it.name() == name);
        known.with_context(|| format!("tracer is not released for {name}"))
    }
}

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    println!("{}", native(workspace, &tools)?.display());
    Ok(())
}

/// Builds the static binary for this machine and returns its path.
pub(crate) fn native(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    let object = build::kernel_object(workspace, tools, Object::Tracer)?;
    let architecture = Architecture::native(&tools.toolchain)?;
    let built = build(workspace, tools, &object, architecture)?;
    cmd::run(Command::new(&built).arg("--version"))?;
    let product = workspace.target.join("dist/tracer");
    files::copy_if_changed(&built, &product)?;
    Ok(product)
}

/// Builds the static binary for a machine, the same bytes from the same commit.
pub(crate) fn build(
    workspace: &Workspace,
    tools: &Tools,
    object: &Path,
    architecture: Architecture,
) -> Result<PathBuf> {
    let triple = architecture.triple();
    setup::target(workspace, &tools.toolchain, triple)?;
    // rustc brings this linker and musl's start files: no cross compiler is needed, and the machine's
    // own linker leaves no trace.
    let linker = format!(
        "CARGO_TARGET_{}_LINKER",
        triple.replace('-', "_").to_uppercase()
    );
    cmd::run(
        workspace
            .cargo()
            .args(["build", "--release", "--locked", "-p", "tracer"])
            .args(["--target", triple])
            .env(linker, "rust-lld")
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                reproducible::flags(workspace, &tools.toolchain).join(reproducible::SEPARATOR),
            )
            .env("TRACER_EBPF_OBJECT", object),
    )?;
    let built = workspace.target.join(triple).join("release/tracer");
    verify(&built, architecture)?;
    // A third of the file is symbols, which only a debugger reads.
    let stripped = built.with_extension("stripped");
    cmd::run(
        Command::new(tools.toolchain.objcopy())
            .arg("--strip-all")
            .args([&built, &stripped]),
    )?;
    Ok(stripped)
}

/// A binary that needs a loader would not start in a container or on a node with another libc.
fn verify(binary: &Path, architecture: Architecture) -> Result<()> {
    let bytes = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    if needs_loader(&bytes).context("not a 64-bit little-endian ELF file")? {
        bail!("{} is not static", binary.display());
    }
    if machine(&bytes) != Some(architecture.elf_machine()) {
        bail!(
            "{} is not a program for {}",
            binary.display(),
            architecture.name()
        );
    }
    Ok(())
}

/// The number of some bytes of an ELF file.
fn number(elf: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = elf.get(at..at.checked_add(size)?)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    )
}

/// `e_machine` of an ELF file.
fn machine(elf: &[u8]) -> Option<u64> {
    number(elf, 18, 2)
}

/// Whether an ELF file names a program interpreter (`PT_INTERP`). The fields' places are those of
/// `Elf64_Ehdr` and `Elf64_Phdr` in `elf.h`.
fn needs_loader(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u64 = 3;
    let is_elf64_le = elf.starts_with(b"\x7fELF\x02\x01");
    if !is_elf64_le {
        return None;
    }
    let (table, size, count) = (
        number(elf, 32, 8)?,
        number(elf, 54, 2)?,
        number(elf, 56, 2)?,
    );
    for index in 0..count {
        let header = table.checked_add(index * size)?;
        if number(elf, usize::try_from(header).ok()?, 4)? == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dynamic_program_needs_its_loader() {
        let shell = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(needs_loader(&shell), Some(true));
    }

    #[test]
    fn elf_without_an_interpreter_needs_no_loader() {
        let mut elf = [0; 64 + 56];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (elf[32], elf[54], elf[56]) = (64, 56, 1);
        elf[64] = 1; // PT_LOAD
        assert_eq!(needs_loader(&elf), Some(false));
        elf[64] = 3; // PT_INTERP
        assert_eq!(needs_loader(&elf), Some(true));
    }

    #[test]
    fn non_elf_file_is_not_called_static() {
        for bytes in [
            &b""[..],
            b"#!/bin/sh",
            b"\x7fELF\x02\x01",
            b"\x7fELF\x01\x01",
        ] {
            assert_eq!(needs_loader(bytes), None);
        }
    }
}

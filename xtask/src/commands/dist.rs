//! `cargo xtask dist`: one static binary with the kernel object inside.
//!
//! Its path is the only line on stdout: `cp "$(cargo xtask dist)" …`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::commands::build::{self, Object};
use crate::commands::setup::{self, Tools};
use crate::workspace::Workspace;
use crate::{cmd, files};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    println!("{}", build(workspace, &tools)?.display());
    Ok(())
}

/// Builds the static binary and returns its path.
pub(crate) fn build(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    let triple = tools.toolchain.musl();
    setup::target(workspace, &tools.toolchain, &triple)?;
    let object = build::kernel_object(workspace, tools, Object::Tracer)?;
    cmd::run(
        workspace
            .cargo()
            .args(["build", "--release", "-p", "tracer", "--target", &triple])
            .env("TRACER_EBPF_OBJECT", object),
    )?;
    let built = workspace.target.join(&triple).join("release/tracer");
    verify(&built)?;
    let product = workspace.target.join("dist/tracer");
    files::copy_if_changed(&built, &product)?;
    Ok(product)
}

/// A binary that needs a loader would not start in a container or on a node with another libc.
fn verify(binary: &Path) -> Result<()> {
    let bytes = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    match needs_loader(&bytes) {
        Some(false) => cmd::run(Command::new(binary).arg("--version")),
        Some(true) => bail!(
            "{} is not static: see that RUSTFLAGS does not turn crt-static off",
            binary.display()
        ),
        None => bail!(
            "{} is not a 64-bit little-endian ELF file",
            binary.display()
        ),
    }
}

/// Whether an ELF file names a program interpreter (`PT_INTERP`). The fields' places are those of
/// `Elf64_Ehdr` and `Elf64_Phdr` in `elf.h`.
fn needs_loader(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, size: usize| {
        let bytes = elf.get(at..at.checked_add(size)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        )
    };
    let is_elf64_le = elf.starts_with(b"\x7fELF\x02\x01");
    if !is_elf64_le {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let header = table.checked_add(index * size)?;
        if number(usize::try_from(header).ok()?, 4)? == PT_INTERP {
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

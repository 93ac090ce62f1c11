//! What makes two builds of one commit give the same bytes, whoever builds and wherever.
//!
//! Panic messages and BTF name source files. So the flags here give every directory of the builder a
//! fixed name. That also keeps the builder's own paths out of the binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cmd;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// The variable by which builders agree on the time (reproducible-builds.org).
pub(crate) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The separator between flags in `CARGO_ENCODED_RUSTFLAGS`.
pub(crate) const SEPARATOR: &str = "\u{1f}";

/// The flags for rustc that replace the builder's directories. rustc applies the last one that fits.
pub(crate) fn flags(workspace: &Workspace, toolchain: &Toolchain) -> Vec<String> {
    let home = cargo_home();
    // A registry's directory is named after its host, so a mirror has another name.
    let registries = home
        .iter()
        .filter_map(|home| fs::read_dir(home.join("registry/src")).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    let sources = toolchain.sysroot.join("lib/rustlib/src/rust");
    let mut places: Vec<(PathBuf, String)> = vec![
        (workspace.root.clone(), "/tracer".into()),
        (workspace.target.clone(), "/tracer/target".into()),
        (
            sources,
            // The name that the precompiled standard library has for the same files.
            format!("/rustc/{}", toolchain.commit),
        ),
    ];
    places.extend(registries.map(|registry| (registry, "/registry".into())));
    places.iter().map(|(from, to)| remap(from, to)).collect()
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| {
            let home = std::env::home_dir()?;
            Some(home.join(".cargo"))
        })
}

/// The time that every file of a release has: `SOURCE_DATE_EPOCH`, else that of the commit.
pub(crate) fn source_date_epoch(workspace: &Workspace) -> Result<u64> {
    let text = match std::env::var(SOURCE_DATE_EPOCH) {
        Ok(text) => text,
        Err(_) => cmd::read(
            Command::new("git")
                .args(["log", "-1", "--format=%ct"])
                .current_dir(&workspace.root),
        )
        .context("the time of the commit is unknown: set SOURCE_DATE_EPOCH")?,
    };
    let text = text.trim();
    text.parse()
        .with_context(|| format!("{SOURCE_DATE_EPOCH} must be seconds since 1970, not {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_directory_inside_the_workspace_comes_after_it() {
        let workspace = Workspace {
            root: "/home/me/tracer".into(),
            target: "/home/me/tracer/target".into(),
        };
        let toolchain = Toolchain {
            sysroot: "/home/me/rust".into(),
            host: "x86_64-unknown-linux-gnu".into(),
            llvm: "22.1.2".into(),
            commit: "5980".into(),
        };
        let flags = flags(&workspace, &toolchain);
        let at = |flag: &str| flags.iter().position(|it| it == flag).unwrap();
        assert!(
            at("--remap-path-prefix=/home/me/tracer=/tracer")
                < at("--remap-path-prefix=/home/me/tracer/target=/tracer/target")
        );
        at("--remap-path-prefix=/home/me/rust/lib/rustlib/src/rust=/rustc/5980");
    }
}

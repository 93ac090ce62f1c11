//! Newer OCI runtimes than this machine's own, from Debian, fetched and not installed.
//!
//! They want a newer libc than the machine may have, so each lies in a directory with all the libraries
//! of its release, and is told to look nowhere else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cmd::{self, say};
use crate::debian::{Apt, unpack};
use crate::workspace::Workspace;

/// What makes them runnable here.
pub(crate) const PACKAGES: [&str; 1] = ["patchelf"];

/// The suites: one that stands still, and the one that has what comes next.
const SUITES: [&str; 2] = ["trixie", "sid"];

/// The runtimes, by the names of their packages and programs.
const NAMES: [&str; 2] = ["runc", "crun"];

/// Where the libraries and the loader are in a package of theirs.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// A runtime that runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runtime {
    /// `runc` or `crun`.
    pub(crate) name: String,
    /// Its own word for it, without what Debian adds: `1.1.15`, `1.21`.
    pub(crate) version: String,
    pub(crate) path: PathBuf,
}

impl Runtime {
    /// Asks the program at `path` what it is.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let text = cmd::read(Command::new(path).arg("--version"))?;
        let (name, version) = identity(&text).with_context(|| {
            let first = text.lines().next().unwrap_or_default();
            format!("{} is no OCI runtime; it says {first:?}", path.display())
        })?;
        Ok(Self {
            name: name.to_owned(),
            version: version.to_owned(),
            path: path.to_path_buf(),
        })
    }
}

/// Name and version in `runc version 1.1.15+ds1`, the first line of what both print.
fn identity(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.lines().next()?.split_once(" version ")?;
    let version = rest
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()?;
    (!version.is_empty()).then_some((name, version))
}

/// All that are there, after what is missing was fetched if `fetch` says so. What cannot be had is
/// said, and left out.
pub(crate) fn all(workspace: &Workspace, fetch: bool) -> Result<Vec<Runtime>> {
    let home = workspace.target.join("runtimes");
    let mut found = Vec::new();
    for suite in SUITES {
        let directory = home.join(suite);
        let missing: Vec<_> = NAMES
            .into_iter()
            .filter(|name| open(&directory.join(name), name).is_err())
            .collect();
        if fetch && !missing.is_empty() {
            let work = home.join(format!(".{suite}.{}", std::process::id()));
            if let Err(error) = fetch_from(suite, &missing, &work, &directory) {
                say(format_args!(
                    "goes without {} of {suite}: {error:#}",
                    missing.join(" and ")
                ));
            }
            // Gone already when it was never made.
            let _ = fs::remove_dir_all(&work);
        }
        let opened = NAMES.map(|name| open(&directory.join(name), name));
        found.extend(opened.into_iter().flatten());
    }
    Ok(found)
}

fn open(root: &Path, name: &str) -> Result<Runtime> {
    let path = program(root, name).with_context(|| format!("{} is not there", root.display()))?;
    Runtime::at(&path)
}

/// runc is for the administrator, crun is for everybody.
fn program(root: &Path, name: &str) -> Option<PathBuf> {
    ["usr/sbin", "usr/bin"]
        .into_iter()
        .map(|directory| root.join(directory).join(name))
        .find(|path| path.is_file())
}

/// Puts each of `names` into a directory of that name in `into`; an error of one is no other's.
fn fetch_from(suite: &str, names: &[&str], work: &Path, into: &Path) -> Result<()> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "only the runtimes for x86-64 were ever tried"
    );
    ensure!(
        cmd::find("patchelf").is_some(),
        "patchelf is missing: apt-get install patchelf"
    );
    let apt = Apt::new(&work.join("apt"), suite)?;
    say(format_args!(
        "fetches {} of {suite} from {}",
        names.join(" and "),
        apt.mirror
    ));
    apt.update()?;
    fs::create_dir_all(into).with_context(|| format!("cannot make {}", into.display()))?;
    for name in names {
        let fetched = fetch_one(&apt, name, &work.join(name), &into.join(name));
        if let Err(error) = fetched {
            say(format_args!("goes without {name} of {suite}: {error:#}"));
        }
    }
    Ok(())
}

fn fetch_one(apt: &Apt, name: &str, partial: &Path, home: &Path) -> Result<()> {
    apt.clean()?;
    unpack(&apt.download_with_dependencies(name)?, partial)?;
    let path = program(partial, name).with_context(|| format!("its package has no {name}"))?;
    let libraries = home.join(LIBRARIES);
    cmd::run(
        Command::new("patchelf")
            .arg("--force-rpath")
            .arg("--set-rpath")
            .arg(&libraries)
            .arg("--set-interpreter")
            .arg(libraries.join("ld-linux-x86-64.so.2"))
            .arg(path),
    )?;
    // What is there does not run, or there would be no need of another: the target directory was moved.
    let _ = fs::remove_dir_all(home);
    // Another run may have made it meanwhile; then this one is not needed.
    let _ = fs::rename(partial, home);
    open(home, name).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_runtime_versions() {
        for (text, expected) in [
            (
                "runc version 1.1.15+ds1\ncommit: 1.1.15+ds1-2\nspec: 1.0.2-dev\n",
                Some(("runc", "1.1.15")),
            ),
            ("crun version 1.21\ncommit: x\n", Some(("crun", "1.21"))),
            ("runc version 1.4.0-rc.1\n", Some(("runc", "1.4.0"))),
            ("crun version UNKNOWN\n", None),
            ("usage: true\n", None),
            ("", None),
        ] {
            assert_eq!(identity(text), expected, "{text}");
        }
    }
}

//! gVisor's runtime from Debian, fetched and not installed. It is one static program, so it runs
//! anywhere as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cmd::{self, say};
use crate::debian::{Apt, unpack};
use crate::workspace::Workspace;

/// The suites whose versions differ: 20221219 has the platform ptrace only, 20240729 systrap too.
const SUITES: [&str; 2] = ["bookworm", "trixie"];

/// A runsc that runs here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runsc {
    /// Its own word for it: `0.0~20240729.0`.
    pub(crate) version: String,
    pub(crate) path: PathBuf,
}

/// All that are there, after what is missing was fetched if `fetch` says so. What cannot be had is
/// reported, and left out.
pub(crate) fn all(workspace: &Workspace, fetch: bool) -> Vec<Runsc> {
    let home = workspace.target.join("runtimes");
    let mut found = Vec::new();
    for suite in SUITES {
        let root = home.join(suite).join("runsc");
        if fetch
            && open(&root).is_err()
            && let Err(error) = fetch_from(suite, &home, &root)
        {
            say(format_args!("goes without runsc of {suite}: {error:#}"));
        }
        found.extend(open(&root));
    }
    found
}

fn open(root: &Path) -> Result<Runsc> {
    let path = root.join("usr/bin/runsc");
    ensure!(path.is_file(), "{} is not there", path.display());
    let text = cmd::read(Command::new(&path).arg("--version"))?;
    let version = version(&text).with_context(|| format!("{} is no runsc", path.display()))?;
    Ok(Runsc {
        version: version.to_owned(),
        path,
    })
}

/// The version in `runsc version 0.0~20240729.0`, its first line.
fn version(text: &str) -> Option<&str> {
    let version = text.lines().next()?.strip_prefix("runsc version ")?.trim();
    (!version.is_empty()).then_some(version)
}

fn fetch_from(suite: &str, home: &Path, root: &Path) -> Result<()> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "only runsc for x86-64 was ever tried"
    );
    let work = home.join(format!(".{suite}.runsc.{}", std::process::id()));
    let fetched = fetch_into(suite, &work, root);
    // Gone already when it was never made.
    let _ = fs::remove_dir_all(&work);
    fetched
}

fn fetch_into(suite: &str, work: &Path, root: &Path) -> Result<()> {
    let apt = Apt::new(&work.join("apt"), suite)?;
    say(format_args!("fetches runsc of {suite} from {}", apt.mirror));
    apt.update()?;
    let partial = work.join("runsc");
    unpack(&apt.download("runsc")?, &partial)?;
    open(&partial)?;
    if let Some(parent) = root.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    // What is there does not run.
    let _ = fs::remove_dir_all(root);
    // Another run may have made it meanwhile; then this one is not needed.
    let _ = fs::rename(&partial, root);
    open(root).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_versions_of_runsc() {
        assert_eq!(
            version("runsc version 0.0~20240729.0\nspec: 1.1.0-rc.1\n"),
            Some("0.0~20240729.0")
        );
        assert_eq!(version("runc version 1.1.15\n"), None);
        assert_eq!(version(""), None);
    }
}

//! Packages of any release of Debian, fetched as apt fetches everything: from the machine's own
//! mirror, through its proxies, and with the archive's signature checked. Nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cmd;

/// Whose keys sign Debian's archive; Ubuntu has them in its package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt of its own: one suite, one mirror, and nothing that the machine's apt would notice.
pub(crate) struct Apt {
    /// Where the packages come from.
    pub(crate) mirror: String,
    directory: PathBuf,
}

impl Apt {
    /// Makes one that keeps all it has in `directory`.
    pub(crate) fn new(directory: &Path, suite: &str) -> Result<Self> {
        if !Path::new(KEYRING).exists() {
            bail!("{KEYRING} is missing: apt-get install debian-archive-keyring");
        }
        let mirror = mirror(&sources())?;
        let source = format!("deb [arch=amd64 signed-by={KEYRING}] {mirror} {suite} main\n");
        ["state/lists/partial", "cache/archives/partial"]
            .iter()
            .try_for_each(|name| fs::create_dir_all(directory.join(name)))
            .and_then(|()| fs::write(directory.join("sources.list"), source))
            // A machine on which nothing is installed.
            .and_then(|()| fs::write(directory.join("status"), ""))
            .with_context(|| format!("cannot prepare {}", directory.display()))?;
        Ok(Self {
            mirror,
            directory: directory.to_path_buf(),
        })
    }

    /// Learns what the suite has now.
    pub(crate) fn update(&self) -> Result<()> {
        cmd::run(self.command("apt-get").args(["--quiet=2", "update"]))
    }

    /// Fetches a package and nothing that it depends on. Returns its file.
    pub(crate) fn download(&self, package: &str) -> Result<Vec<PathBuf>> {
        cmd::run(
            self.command("apt-get")
                .args(["--quiet=2", "download", package])
                .current_dir(&self.directory),
        )?;
        files(&self.directory)
    }

    /// Fetches a package with all that it depends on. Returns their files.
    pub(crate) fn download_with_dependencies(&self, package: &str) -> Result<Vec<PathBuf>> {
        cmd::run(
            self.command("apt-get")
                .args(["--quiet=2", "install", "--download-only", "--yes"])
                .args(["--no-install-recommends", package]),
        )?;
        files(&self.directory.join("cache/archives"))
    }

    /// Forgets the packages that were fetched.
    pub(crate) fn clean(&self) -> Result<()> {
        cmd::run(self.command("apt-get").args(["--quiet=2", "clean"]))
    }

    /// Removes all of it.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.directory).context("cannot remove apt's directory")
    }

    /// One of its programs, set to this suite.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let option = |name: &str, value: &Path| format!("{name}={}", value.display());
        for option in [
            option("Dir::State", &self.directory.join("state")),
            option("Dir::State::status", &self.directory.join("status")),
            option("Dir::Cache", &self.directory.join("cache")),
            option("Dir::Etc::sourcelist", &self.directory.join("sources.list")),
            option("Dir::Etc::sourceparts", Path::new("/dev/null")),
            "APT::Architecture=amd64".into(),
            // Nobody else is in its directory, and it is nothing to the machine's dpkg.
            "Debug::NoLocking=true".into(),
            // Its own user may not be let into the target directory.
            "APT::Sandbox::User=root".into(),
            "Acquire::Languages=none".into(),
            "Acquire::http::Timeout=20".into(),
            "Acquire::https::Timeout=20".into(),
        ] {
            command.args(["-o", &option]);
        }
        command.stdin(Stdio::null());
        command
    }
}

/// Unpacks packages into one directory, as far as files go: none of their scripts is run.
pub(crate) fn unpack(packages: &[PathBuf], into: &Path) -> Result<()> {
    packages.iter().try_for_each(|package| {
        cmd::run(Command::new("dpkg").arg("--extract").args([package, into]))
    })
}

/// The packages in a directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "deb"))
        .collect();
    files.sort();
    if files.is_empty() {
        bail!("apt fetched nothing to {}", directory.display());
    }
    Ok(files)
}

/// All that apt is told about where packages come from.
fn sources() -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    let parts = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten();
    files.extend(parts.flatten().map(|entry| entry.path()));
    files.sort();
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect()
}

/// The first address of Debian's archive in either format of sources(5).
fn mirror(sources: &str) -> Result<String> {
    sources
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.starts_with("http") && word.ends_with("/debian"))
        .map(str::to_owned)
        .context("no mirror of Debian's archive is in apt's sources")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_mirror_in_both_formats() {
        let old = "# deb http://old.example/debian x main\n\
            deb https://other.example/apt x main\n\
            deb [arch=amd64] http://a.example/debian/ bookworm main\n";
        assert_eq!(mirror(old).unwrap(), "http://a.example/debian");
        let new = "Types: deb\nURIs: https://b.example/mirrors/debian\nSuites: trixie\n";
        assert_eq!(mirror(new).unwrap(), "https://b.example/mirrors/debian");
        let ubuntu =
            "deb http://c.example/ubuntu noble main\ndeb http://d.example/debian-security x main\n";
        assert!(mirror(ubuntu).is_err());
    }
}

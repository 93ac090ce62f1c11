//! tar and gzip that depend on nothing but what goes in.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

/// A tar archive whose files belong to root and have one time.
pub(crate) struct Tar {
    builder: tar::Builder<Vec<u8>>,
    directories: BTreeSet<String>,
    epoch: u32,
    /// What stands before each name, such as `./` in Debian's packages.
    prefix: &'static str,
}

impl Tar {
    pub(crate) fn new(epoch: u32, prefix: &'static str) -> Self {
        Self {
            builder: tar::Builder::new(Vec::new()),
            directories: BTreeSet::new(),
            epoch,
            prefix,
        }
    }

    /// Adds a file, and the directories above it that are not there yet.
    pub(crate) fn file(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent, 0o755)?;
        }
        let name = format!("{}{path}", self.prefix);
        self.append(EntryType::Regular, &name, bytes, mode)
    }

    /// Adds a directory, and those above it that are not there yet.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) -> Result<()> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent, 0o755)?;
        }
        if self.directories.insert(path.to_owned()) {
            let name = format!("{}{path}/", self.prefix);
            self.append(EntryType::Directory, &name, &[], mode)?;
        }
        Ok(())
    }

    fn append(&mut self, kind: EntryType, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(self.epoch.into());
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(u64::try_from(bytes.len())?);
        let root = ["root", "root"];
        header.set_username(root[0])?;
        header.set_groupname(root[1])?;
        // The crate's own way to set a path takes away a leading `./`, which dpkg's tools expect.
        let field = &mut header.as_old_mut().name;
        let place = field
            .get_mut(..name.len())
            .with_context(|| format!("the name is too long for tar: {name}"))?;
        place.copy_from_slice(name.as_bytes());
        header.set_cksum();
        self.builder
            .append(&header, bytes)
            .with_context(|| format!("cannot archive {name}"))
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        self.builder.into_inner().context("cannot end the archive")
    }
}

/// Compresses with gzip: no name and no time in its header, as `gzip -9n` does.
pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(3) // Unix, as `gzip` writes there
        .write(Vec::new(), Compression::best());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .context("cannot compress")
}

/// The SHA-256 sum in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let sum = hmac_sha256::Hash::hash(bytes);
    sum.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The file name of a path that ends in one.
pub(crate) fn file_name(path: &str) -> &str {
    Path::new(path)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_has_one_owner_and_one_time() {
        let mut tar = Tar::new(1_000_000_000, "./");
        tar.file("usr/bin/tracer", b"program", 0o755).unwrap();
        tar.file("usr/bin/other", b"", 0o644).unwrap();
        let bytes = tar.finish().unwrap();
        let mut names = Vec::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 1_000_000_000);
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.username().unwrap(), Some("root"));
            names.push(String::from_utf8(entry.path_bytes().into_owned()).unwrap());
        }
        assert_eq!(
            names,
            [
                "./usr/",
                "./usr/bin/",
                "./usr/bin/tracer",
                "./usr/bin/other"
            ]
        );
    }

    #[test]
    fn name_that_tar_cannot_hold_is_an_error() {
        let long = "a".repeat(101);
        assert!(Tar::new(0, "").file(&long, b"", 0o644).is_err());
    }

    #[test]
    fn gzip_header_holds_no_time() {
        let bytes = gzip(b"text").unwrap();
        // RFC 1952, 2.3: MTIME is at 4..8, flags at 3.
        assert_eq!(bytes[3..8], [0; 5]);
    }

    #[test]
    fn sum_is_that_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}

//! What a release is made from, read once.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use crate::crates::Crates;

/// A machine that tracer is released for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// Its name for Rust, RPM and `uname -m`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Its name for Debian, and for Go and so for images.
    #[must_use]
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}

/// The program for one machine.
#[derive(Debug)]
pub struct Binary {
    /// The machine.
    pub architecture: Architecture,
    /// The static ELF file.
    pub program: Vec<u8>,
    /// The crates that are linked into it.
    pub(crate) crates: Crates,
}

/// A text file by its name.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// What a release is made from.
#[derive(Debug)]
pub struct Input {
    /// One for each machine.
    pub binaries: Vec<Binary>,
    /// The time of every file in a release.
    pub(crate) time: Timestamp,
    pub(crate) man_pages: Vec<Text>,
    /// For bash, fish and zsh.
    pub(crate) completions: Vec<Text>,
    /// README.md, CHANGELOG.md and the licences.
    pub(crate) top: Vec<Text>,
    /// What README.md links to in `docs`.
    pub(crate) documents: Vec<Text>,
}

impl Input {
    /// Reads the directory that `cargo xtask release` has filled, and the checkout's own documents.
    ///
    /// # Errors
    /// When a file is missing or malformed.
    pub fn read(directory: &Path, source: &Path) -> Result<Self> {
        let epoch = text(&directory.join("source-date-epoch"))?;
        let seconds = epoch.trim().parse();
        let seconds = seconds.with_context(|| format!("not a time in seconds: {epoch:?}"))?;
        let mut binaries = Vec::new();
        for architecture in Architecture::ALL {
            let place = directory.join(architecture.name());
            if place.is_dir() {
                binaries.push(binary(architecture, &place)?);
            }
        }
        ensure!(!binaries.is_empty(), "no binary in {}", directory.display());
        let top = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];
        let top = top.into_iter().map(|name| {
            let bytes = bytes(&source.join(name))?;
            let name = name.to_owned();
            Ok(Text { name, bytes })
        });
        Ok(Self {
            binaries,
            time: Timestamp::from_second(seconds).context("the time is out of range")?,
            man_pages: texts(&directory.join("man"))?,
            completions: texts(&directory.join("completions"))?,
            top: top.collect::<Result<_>>()?,
            documents: texts(&source.join("docs"))?,
        })
    }

    /// The time in seconds since 1970.
    pub(crate) fn epoch(&self) -> Result<u32> {
        u32::try_from(self.time.as_second()).context("the time is before 1970 or after 2106")
    }
}

fn binary(architecture: Architecture, place: &Path) -> Result<Binary> {
    let program = bytes(&place.join("tracer"))?;
    ensure!(
        program.starts_with(b"\x7fELF"),
        "{} is not an ELF file",
        place.join("tracer").display()
    );
    let metadata = text(&place.join("metadata.json"))?;
    let trees = [
        text(&place.join("crates.txt"))?,
        text(&place.join("kernel-crates.txt"))?,
    ];
    let rustc = text(&place.join("rustc.txt"))?;
    let crates = Crates::parse(&metadata, &trees, &rustc)
        .with_context(|| format!("cannot read the crates in {}", place.display()))?;
    Ok(Binary {
        architecture,
        program,
        crates,
    })
}

/// The files of a directory, sorted by name; directories in it are left out.
fn texts(directory: &Path) -> Result<Vec<Text>> {
    let failed = || format!("cannot read {}", directory.display());
    let mut texts = Vec::new();
    for entry in fs::read_dir(directory).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        if entry.file_type().with_context(failed)?.is_file() {
            texts.push(Text {
                name: entry.file_name().to_string_lossy().into_owned(),
                bytes: bytes(&entry.path())?,
            });
        }
    }
    ensure!(!texts.is_empty(), "no file in {}", directory.display());
    texts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(texts)
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

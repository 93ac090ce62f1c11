//! Where a package puts its files: the same list for Debian and RPM, but for a few directories that
//! the two name differently.

use anyhow::Result;

use crate::archive::gzip;
use crate::input::{Binary, Input};

/// The systemd units, with their names: one records until it is stopped and writes profiles, the other is an agent.
pub(crate) const UNITS: [(&str, &str); 2] = [
    (
        "tracer-record.service",
        include_str!("../files/tracer-record.service"),
    ),
    (
        "tracer-agent.service",
        include_str!("../files/tracer-agent.service"),
    ),
];

/// What a file is for, which RPM keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Program,
    Document,
    Other,
}

/// A file as it is installed.
#[derive(Debug)]
pub(crate) struct Installed {
    /// Without the leading slash.
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) role: Role,
}

impl Installed {
    pub(crate) fn mode(&self) -> u16 {
        if self.role == Role::Program {
            0o755
        } else {
            0o644
        }
    }
}

/// The directories that distributions name differently.
pub(crate) struct Directories {
    /// For zsh's completions.
    pub(crate) zsh: &'static str,
    /// For fish's completions.
    pub(crate) fish: &'static str,
    /// For systemd's units.
    pub(crate) units: &'static str,
}

/// The files that every package has: program, man pages, completions, units and documents.
pub(crate) fn files(
    input: &Input,
    binary: &Binary,
    directories: &Directories,
) -> Result<Vec<Installed>> {
    let file = |path: String, bytes: Vec<u8>, role| Installed { path, bytes, role };
    let mut files = vec![file(
        "usr/bin/tracer".into(),
        binary.program.clone(),
        Role::Program,
    )];
    for (name, unit) in UNITS {
        let path = format!("{}/{name}", directories.units);
        files.push(file(path, unit.into(), Role::Other));
    }
    for page in &input.man_pages {
        let path = format!("usr/share/man/man1/{}.gz", page.name);
        files.push(file(path, gzip(&page.bytes)?, Role::Document));
    }
    for script in &input.completions {
        let path = match script.name.as_str() {
            "tracer.fish" => format!("{}/tracer.fish", directories.fish),
            "_tracer" => format!("{}/_tracer", directories.zsh),
            _ => "usr/share/bash-completion/completions/tracer".into(),
        };
        files.push(file(path, script.bytes.clone(), Role::Other));
    }
    for text in input.top.iter().filter(|text| text.name == "README.md") {
        let path = format!("usr/share/doc/tracer/{}", text.name);
        files.push(file(path, text.bytes.clone(), Role::Document));
    }
    for document in &input.documents {
        let path = format!("usr/share/doc/tracer/docs/{}", document.name);
        files.push(file(path, document.bytes.clone(), Role::Document));
    }
    Ok(files)
}

//! The package for Debian and Ubuntu: deb(5), and the Debian Policy Manual.

use anyhow::{Context, Result};
use jiff::fmt::rfc2822;

use crate::archive::{Tar, gzip};
use crate::input::{Binary, Input};
use crate::layout::{self, Directories, Installed, Role};
use crate::{DESCRIPTION, MAINTAINER, SUMMARY, VERSION, notices};

const DIRECTORIES: Directories = Directories {
    zsh: "usr/share/zsh/vendor-completions",
    fish: "usr/share/fish/vendor_completions.d",
    units: "usr/lib/systemd/system",
};

/// The copyright file of Debian's machine-readable format, version 1.0.
const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: tracer

Files: *
Copyright: 2026 the tracer authors
License: Expat or Apache-2.0
Comment: The program is linked with crates of other authors. Their licences are in
 /usr/share/doc/tracer/THIRD-PARTY-LICENSES.txt.gz.

License: Apache-2.0
 On Debian systems, the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.

License: Expat
";

/// Makes the package.
pub(crate) fn make(input: &Input, binary: &Binary, notices: &str) -> Result<Vec<u8>> {
    let files = files(input, binary, notices)?;
    let mut data = Tar::new(input.epoch()?, "./");
    for file in &files {
        data.file(&file.path, &file.bytes, file.mode().into())?;
    }
    let mut control = Tar::new(input.epoch()?, "./");
    control.file("control", fields(binary, &files).as_bytes(), 0o644)?;
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.gz", gzip(&control.finish()?)?),
        ("data.tar.gz", gzip(&data.finish()?)?),
    ];
    let mut archive = ar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = ar::Header::new(name.into(), u64::try_from(bytes.len())?);
        header.set_mtime(input.epoch()?.into());
        header.set_mode(0o100_644);
        archive
            .append(&header, bytes.as_slice())
            .with_context(|| format!("cannot archive {name}"))?;
    }
    archive.into_inner().context("cannot end the archive")
}

/// What the package installs, sorted by path.
fn files(input: &Input, binary: &Binary, notices: &str) -> Result<Vec<Installed>> {
    let mut files = layout::files(input, binary, &DIRECTORIES)?;
    let mut document = |name: &str, bytes| {
        files.push(Installed {
            path: format!("usr/share/doc/tracer/{name}"),
            bytes,
            role: Role::Document,
        });
    };
    document("copyright", copyright(input)?);
    document("changelog.Debian.gz", gzip(changelog(input)?.as_bytes())?);
    document(&format!("{}.gz", notices::NAME), gzip(notices.as_bytes())?);
    for text in input.top.iter().filter(|text| text.name == "CHANGELOG.md") {
        document("changelog.gz", gzip(&text.bytes)?);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn copyright(input: &Input) -> Result<Vec<u8>> {
    let licence = input.top.iter().find(|text| text.name == "LICENSE-MIT");
    let licence = licence.context("LICENSE-MIT is missing")?;
    let licence = std::str::from_utf8(&licence.bytes).context("LICENSE-MIT is not UTF-8")?;
    let mut text = COPYRIGHT.to_owned();
    // The permission follows the title and the copyright line.
    for line in licence.lines().skip(4) {
        let line = if line.is_empty() { "." } else { line };
        text.push_str(&format!(" {line}\n"));
    }
    Ok(text.into_bytes())
}

fn changelog(input: &Input) -> Result<String> {
    let time = input.time.to_zoned(jiff::tz::TimeZone::UTC);
    let date = rfc2822::to_string(&time).context("the time cannot be written")?;
    Ok(format!(
        "tracer ({VERSION}-1) unstable; urgency=medium\n\n  * Release {VERSION}: see changelog.gz.\n\n \
         -- {MAINTAINER}  {date}\n"
    ))
}

/// The control file.
fn fields(binary: &Binary, files: &[Installed]) -> String {
    // In KiB, each file rounded up (Policy, 5.6.20).
    let size: usize = files
        .iter()
        .map(|file| file.bytes.len().div_ceil(1024))
        .sum();
    format!(
        "Package: tracer\n\
         Version: {VERSION}-1\n\
         Architecture: {}\n\
         Maintainer: {MAINTAINER}\n\
         Installed-Size: {size}\n\
         Section: admin\n\
         Priority: optional\n\
         Suggests: apparmor, runc | crun\n\
         Description: {SUMMARY}\n{}",
        binary.architecture.debian(),
        wrap(DESCRIPTION)
    )
}

/// Breaks a paragraph into lines as a control file wants them: each begins with a space.
fn wrap(text: &str) -> String {
    const WIDTH: usize = 76;
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if line.len() + word.len() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line.clear();
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_is_one_paragraph_of_indented_lines() {
        let text = wrap(DESCRIPTION);
        assert!(
            text.lines()
                .all(|line| line.starts_with(' ') && line.len() <= 80)
        );
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words.join(" "), DESCRIPTION);
    }
}

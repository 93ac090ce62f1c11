//! The archive for everywhere else: program, man pages, completions, unit, documents and licences.

use anyhow::Result;

use crate::archive::{Tar, gzip};
use crate::input::{Binary, Input, Text};
use crate::layout::UNITS;
use crate::notices;

/// Makes `STEM.tar.gz`, with everything in a directory `STEM`.
pub(crate) fn make(input: &Input, binary: &Binary, notices: &str, stem: &str) -> Result<Vec<u8>> {
    let mut tar = Tar::new(input.epoch()?, "");
    tar.file(&format!("{stem}/tracer"), &binary.program, 0o755)?;
    tar.file(
        &format!("{stem}/{}", notices::NAME),
        notices.as_bytes(),
        0o644,
    )?;
    for (name, unit) in UNITS {
        tar.file(&format!("{stem}/systemd/{name}"), unit.as_bytes(), 0o644)?;
    }
    let directories: [(&str, &[Text]); 4] = [
        ("", &input.top),
        ("man/", &input.man_pages),
        ("completions/", &input.completions),
        ("docs/", &input.documents),
    ];
    for (directory, texts) in directories {
        for text in texts {
            let path = format!("{stem}/{directory}{}", text.name);
            tar.file(&path, &text.bytes, 0o644)?;
        }
    }
    gzip(&tar.finish()?)
}

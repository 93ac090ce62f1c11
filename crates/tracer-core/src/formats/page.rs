//! The page about formats in `docs`.

use std::fmt::Write as _;

use super::{FORMATS, OutputFormat, default_selections, registry::list};

/// The page, in Markdown.
pub fn page() -> String {
    let mut text = String::from(
        "# Output formats\n\nGenerated from the list in `crates/tracer-core/src/formats/mod.rs`. `tracer generate --format NAME` writes a format, and `--format help` lists them. Paths are below the workload's directory.\n\n",
    );
    let defaults: Vec<_> = default_selections()
        .into_iter()
        .map(|it| format!("`{}`", it.name()))
        .collect();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "`tracer record`, and `tracer generate` without `--format`, write {}, as far as the recording has data for them. A new recording replaces an earlier one in the directory: default files that were not written again are removed, and so is every other file that cannot be made from the new recording.\n",
        list(&defaults)
    );
    text +=
        "| `--format` | files | what it is | group | default | written when | cannot express |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- |\n";
    for format in FORMATS {
        text += &row(*format);
    }
    text += "\nWhat a file omits of a particular profile is listed at its top, and reported when it is written.\n";
    text
}

fn row(format: &dyn OutputFormat) -> String {
    let files: Vec<_> = format.files().iter().map(|it| format!("`{it}`")).collect();
    let needs: Vec<_> = format.needs().iter().map(|it| it.condition()).collect();
    let or_dash = |text: String| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text
        }
    };
    format!(
        "| `{}` | {} | {} | {} | {} | {} | {} |\n",
        format.name(),
        files.join(", "),
        format.help(),
        or_dash(
            format
                .group()
                .map_or_else(String::new, |it| format!("`{}`", it.name()))
        ),
        if format.by_default() { "yes" } else { "no" },
        or_dash(list(&needs)),
        or_dash(format.cannot_express().to_owned()),
    )
}

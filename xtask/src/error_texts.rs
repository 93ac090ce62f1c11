//! What the libraries' errors say. They name no flag of the binary: the command line adds its own.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::cmd::say;
use crate::workspace::Workspace;

/// Checks the errors of every crate in `crates/`.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    say(format_args!(
        "checks that errors of the libraries name no flag"
    ));
    let mut faults = Vec::new();
    of_directory(&workspace.root.join("crates"), &mut faults)?;
    faults.sort();
    if faults.is_empty() {
        return Ok(());
    }
    bail!(
        "errors of the libraries name flags:\n{}\nsay what is wrong there, and add the flag in tracer/src/cli/advice.rs",
        faults.join("\n")
    );
}

fn of_directory(directory: &Path, faults: &mut Vec<String>) -> Result<()> {
    let failed = || format!("cannot read {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let path = entry.path();
        if entry.file_type().with_context(failed)?.is_dir() {
            of_directory(&path, faults)?;
        } else if path.extension().is_some_and(|it| it == "rs") {
            faults.extend(of_file(&path)?);
        }
    }
    Ok(())
}

fn of_file(path: &Path) -> Result<Vec<String>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let fault = |error: &str| format!("  {}: {error}", path.display());
    Ok(with_flags(&text).map(fault).collect())
}

/// The texts of `#[error(…)]` that name a flag.
fn with_flags(source: &str) -> impl Iterator<Item = &str> {
    let errors = source.split("#[error(").skip(1);
    errors
        .filter_map(|rest| rest.split(")]").next())
        .filter(|error| names_a_flag(error))
}

/// Whether a text has two dashes with a letter behind them, at the start of a word.
fn names_a_flag(text: &str) -> bool {
    text.match_indices("--").any(|(at, dashes)| {
        let before = text.get(..at).and_then(|it| it.chars().next_back());
        let after = text
            .get(at + dashes.len()..)
            .and_then(|it| it.chars().next());
        !before.is_some_and(|it| it == '-' || it.is_alphanumeric())
            && after.is_some_and(|it| it.is_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_in_an_error_is_found() {
        let source = r#"
            // A comment may name --wait.
            #[error("no room; give a larger --max-rows")]
            A,
            #[error(
                "a range 1--2, and -- alone, are none"
            )]
            B,
            #[error("{0}; `--name` names one")]
            C(String),
        "#;
        let found: Vec<_> = with_flags(source).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("--max-rows") && found[1].contains("--name"));
    }
}

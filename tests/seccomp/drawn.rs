//! Pages of docs that tests draw from what they ran.

use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use tracer_tests::programs::workspace;

/// Compares a page with what was drawn, or writes it with `TRACER_UPDATE=1`. Lines that `is_open` is true of may
/// differ: this machine does not say what is in them.
pub(crate) fn compare(name: &str, text: &str, is_open: impl Fn(&str) -> bool) -> Result<()> {
    let path = workspace().join("docs").join(name);
    if env::var_os("TRACER_UPDATE").is_some() {
        return fs::write(&path, text).with_context(|| format!("writing {}", path.display()));
    }
    let found = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let advice = "run: TRACER_UPDATE=1 cargo test -p tracer-tests --test seccomp";
    ensure!(
        found.lines().count() == text.lines().count(),
        "docs/{name} has other lines; {advice}"
    );
    for (found, drawn) in found.lines().zip(text.lines()) {
        ensure!(
            found == drawn || is_open(drawn),
            "docs/{name} has\n{found}\nand not\n{drawn}\n{advice}"
        );
    }
    Ok(())
}

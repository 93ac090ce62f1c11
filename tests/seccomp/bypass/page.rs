//! The page of docs with all ways, and what each program did.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use syscalls::bypass;

use super::{Performed, cases::Case, denied_to};

impl Performed {
    /// As the table has it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Closed => "closed by the fix",
            Self::Kept => "no filter closes it; the finding says what does",
            Self::Unknown => "open: libseccomp 2.5.4 cannot deny it",
        }
    }
}

/// The table of all ways, with what each program did.
pub(super) fn page(rows: &[(Case, Performed)]) -> Result<String> {
    let mut text = "# Ways around denied calls

Each line is a way that `tracer audit` names. A test performs it: the program runs under a filter that denies all the \
calls on the left, and reaches the end; then it runs under the fix that the finding proposes. The programs are in the \
words of [bypass.c](../tests/programs/bypass.c). `TRACER_UPDATE=1 cargo test -p tracer-tests --test seccomp` regenerates \
this page.

| denied | a program can still | by | program | result |
| --- | --- | --- | --- | --- |
"
    .to_owned();
    let mut edges = 0;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (case, performed) in rows {
        let end = bypass::ends().find(|end| end.name == case.end);
        let end = end.context("no such end")?;
        let denied: Vec<_> = denied_to(end, case).map(|call| call.name).collect();
        edges += denied.len();
        *counts.entry(performed.words()).or_default() += 1;
        text += &format!(
            "| {} | {} | {} | `{}` | {} |\n",
            denied.join(", "),
            end.words,
            case.words(),
            case.program,
            performed.words()
        );
    }
    text += &format!(
        "\n{edges} pairs of a denied call and a way around it, {} programs.\n\n| result | ways |\n| --- | --- |\n",
        rows.len()
    );
    for (words, count) in counts {
        text += &format!("| result: {words} | {count} |\n");
    }
    Ok(text)
}

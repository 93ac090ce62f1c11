//! What AppArmor's own parser says of a profile.

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

/// Where it is when it is not on the `PATH`, as on Debian for everyone but root.
const PLACES: [&str; 3] = [
    "apparmor_parser",
    "/usr/sbin/apparmor_parser",
    "/sbin/apparmor_parser",
];

/// Whether a profile was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// The parser takes it.
    Taken,
    /// The parser is not installed.
    NoParser,
}

/// Gives a profile to apparmor_parser, which loads nothing and keeps nothing.
///
/// # Errors
/// When the parser refuses it, in its words, or cannot be run.
pub(super) fn apparmor(text: &str) -> anyhow::Result<Checked> {
    for place in PLACES {
        let spawned = Command::new(place)
            .args(["--skip-kernel-load", "--skip-cache"])
            // Of long paths it takes most of the time (9.6 s of 10 for 40 levels of 60 bytes), and
            // changes nothing of what is accepted.
            .args(["--optimize", "no-expr-simplify"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut parser = match spawned {
            Ok(parser) => parser,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot run {place}")),
        };
        if let Some(mut input) = parser.stdin.take() {
            match input.write_all(text.as_bytes()) {
                // It has seen enough to refuse.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                written => written.with_context(|| format!("cannot write to {place}"))?,
            }
        }
        let output = parser
            .wait_with_output()
            .with_context(|| format!("cannot wait for {place}"))?;
        if output.status.success() {
            return Ok(Checked::Taken);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("apparmor_parser refuses it: {}", words.trim());
    }
    Ok(Checked::NoParser)
}

#[cfg(test)]
mod tests {
    use std::{env, fs::OpenOptions};

    use super::*;

    /// Says where everybody sees it that a test is skipped, as the tests of `tests/` do.
    fn skipped(test: &str) {
        assert!(
            env::var_os("TRACER_REQUIRE_ALL").is_none(),
            "{test}: apparmor_parser was promised to be there"
        );
        // The test harness keeps what a passing test prints by `eprintln!` to itself.
        writeln!(io::stderr(), "SKIPPED {test}: needs apparmor_parser").unwrap();
        if let Some(log) = env::var_os("TRACER_SKIP_LOG") {
            let log = OpenOptions::new().create(true).append(true).open(log);
            writeln!(log.unwrap(), "{test}: needs apparmor_parser").unwrap();
        }
    }

    #[test]
    fn refusal_quotes_the_parser() {
        match apparmor("profile x { nonsense }") {
            Ok(Checked::NoParser) => {
                skipped("cli::check::tests::refusal_quotes_the_parser");
            }
            Ok(Checked::Taken) => panic!("nonsense was taken"),
            Err(error) => assert!(error.to_string().contains("line 1"), "{error}"),
        }
    }
}

//! What `cargo test` prints, added up over all its test programs.

use std::collections::BTreeMap;
use std::fmt;

/// How one test ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    /// With the reason.
    Skipped(String),
}

/// The sum of libtest's result lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    /// Each test that did not run, and why.
    skipped: BTreeMap<String, String>,
    /// A test program started and has not told its result yet.
    running: bool,
}

impl Tally {
    /// Takes one line of libtest's output into account.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.running = false;
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
        } else if is_start(line) {
            self.program_died();
            self.running = true;
        } else if let Some((name, reason)) = ignored(line) {
            self.skipped.insert(name.to_owned(), reason.to_owned());
        }
    }

    /// All output was seen.
    pub(crate) fn end(&mut self) {
        self.program_died();
    }

    /// A program that started and told no result was killed by a signal or exited on its own.
    fn program_died(&mut self) {
        self.failed += usize::from(self.running);
        self.running = false;
    }

    /// Takes the tests into account that found at run time that they could not run: lines of the
    /// form `name: reason`. libtest counted each as passed.
    pub(crate) fn skips(&mut self, log: &str) {
        for line in log.lines().filter(|line| !line.is_empty()) {
            // Test names hold `::`, reasons begin after `: `.
            let (name, reason) = line.split_once(": ").unwrap_or((line, ""));
            if self
                .skipped
                .insert(name.to_owned(), reason.to_owned())
                .is_none()
            {
                self.passed = self.passed.saturating_sub(1);
            }
        }
    }

    /// Takes a test into account that is none of libtest's.
    pub(crate) fn add(&mut self, name: &str, verdict: Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed => self.failed += 1,
            Verdict::Skipped(reason) => {
                self.skipped.insert(name.to_owned(), reason);
            }
        }
    }

    /// The tests that did not run, and why, by name.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = (&str, &str)> {
        self.skipped
            .iter()
            .map(|(name, reason)| (name.as_str(), reason.as_str()))
    }

    pub(crate) fn passed(&self) -> usize {
        self.passed
    }

    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// Whether any test ran to a result of its own.
    pub(crate) fn ran_none(&self) -> bool {
        self.passed + self.failed == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
            ..
        } = self;
        write!(
            f,
            "{passed} passed, {failed} failed, {} skipped",
            skipped.len()
        )
    }
}

/// The number before a word: `2 passed; 1 failed`.
fn count(counts: &str, word: &str) -> usize {
    let mut words = counts
        .split([' ', ';', '.'])
        .filter(|word| !word.is_empty());
    let mut last = 0;
    words
        .find_map(|next| {
            let found = (next == word).then_some(last);
            last = next.parse().unwrap_or(0);
            found
        })
        .unwrap_or(0)
}

/// `running 3 tests`: a test program begins.
fn is_start(line: &str) -> bool {
    let mut words = line.split(' ');
    words.next() == Some("running")
        && words
            .next()
            .is_some_and(|count| count.parse::<usize>().is_ok())
        && matches!(words.next(), Some("test" | "tests"))
        && words.next().is_none()
}

/// `test name ... ignored, reason`.
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let reason = result.strip_prefix("ignored")?;
    Some((name, reason.strip_prefix(", ").unwrap_or("ignored")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str, log: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.line(line));
        tally.end();
        tally.skips(log);
        tally
    }

    const TWO_PROGRAMS: &str = "\n\
        running 3 tests\n\
        test a::one ... ok\n\
        test a::two ... ignored, takes an hour\n\
        test a::three ... FAILED\n\
        \n\
        test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
        \n\
        running 1 test\n\
        test b::one ... ok\n\
        test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 12 filtered out; finished in 1.20s\n";

    #[test]
    fn adds_up_test_programs() {
        assert_eq!(
            tally(TWO_PROGRAMS, "").to_string(),
            "2 passed, 1 failed, 1 skipped"
        );
    }

    #[test]
    fn skipped_test_does_not_count_as_passed() {
        let log = "b::one: needs crun: apt-get install crun\nb::one: needs root\n\n";
        let tally = tally(TWO_PROGRAMS, log);
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 2 skipped");
        let skipped: Vec<_> = tally.skipped().collect();
        assert_eq!(
            skipped,
            [("a::two", "takes an hour"), ("b::one", "needs root")]
        );
    }

    #[test]
    fn other_kinds_of_tests_are_counted() {
        let mut tally = tally(TWO_PROGRAMS, "");
        tally.add("c::one", Verdict::Passed);
        tally.add("c::two", Verdict::Failed);
        tally.add("c::three", Verdict::Skipped("no network".into()));
        assert_eq!(tally.to_string(), "3 passed, 2 failed, 2 skipped");
    }

    #[test]
    fn program_without_a_result_counts_as_failed() {
        let died = "running 2 tests\ntest one ... ok\nrunning 1 test\ntest two ... ok\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\nrunning 4 tests\n";
        assert_eq!(tally(died, "").to_string(), "1 passed, 2 failed, 0 skipped");
    }

    #[test]
    fn none_run_differs_from_all_skipped() {
        assert!(tally("", "").ran_none());
        let none = "running 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored\n";
        assert!(tally(none, "").ran_none());
        assert!(!tally(TWO_PROGRAMS, "").ran_none());
    }

    #[test]
    fn printed_text_is_not_taken_for_a_start() {
        assert_eq!(tally("running late\nrunning 5 miles\n", "").failed(), 0);
    }
}

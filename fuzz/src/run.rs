//! The loop.

use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use crate::{
    corpus::Corpus,
    coverage::Seen,
    mutate::{Random, mutate},
    targets::Target,
};

/// No input of this size may take longer.
const TOO_LONG: Duration = Duration::from_secs(5);

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Time(Duration),
    /// After so many inputs: the same each time.
    #[cfg_attr(not(test), expect(dead_code, reason = "what tests use"))]
    Executions(u64),
}

/// An input that was not stood.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) input: Vec<u8>,
    pub(crate) why: String,
    pub(crate) execution: u64,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) executions: u64,
    /// Inputs that were read without an error.
    pub(crate) read: u64,
    /// The corpus and what was added to it.
    pub(crate) kept: usize,
    pub(crate) branches: usize,
    pub(crate) failure: Option<Failure>,
}

impl Ended {
    pub(crate) fn summary(&self, target: Target) -> String {
        format!(
            "{target}: {} inputs, {} of them well formed; {} kept, {} branches",
            self.executions, self.read, self.kept, self.branches
        )
    }
}

/// Runs the corpus, then changes of it.
pub(crate) fn run(target: Target, corpus: Corpus, seed: u64, limit: Limit) -> Ended {
    let began = Instant::now();
    let mut random = Random::new(seed);
    let mut seen = Seen::default();
    let mut pool = corpus.0;
    let mut ended = Ended {
        executions: 0,
        read: 0,
        kept: 0,
        branches: 0,
        failure: None,
    };
    let mut given = pool.clone().into_iter();
    loop {
        let from_corpus = given.next();
        let is_over = match limit {
            Limit::Time(time) => began.elapsed() >= time,
            Limit::Executions(count) => ended.executions >= count,
        };
        if is_over && from_corpus.is_none() {
            break;
        }
        let is_new = from_corpus.is_none();
        let input = from_corpus.unwrap_or_else(|| {
            let one = random.pick(&pool).cloned().unwrap_or_default();
            let other = random.pick(&pool).cloned().unwrap_or_default();
            mutate(&one, &other, &mut random)
        });
        ended.executions += 1;
        match execute(target, &input) {
            Ok(read) => ended.read += u64::from(read),
            Err(why) => {
                ended.failure = Some(Failure {
                    input,
                    why,
                    execution: ended.executions,
                });
                break;
            }
        }
        if seen.take() && is_new {
            pool.push(input);
        }
    }
    ended.kept = pool.len();
    ended.branches = seen.branches();
    ended
}

/// Whether the input was read, or why it was not stood.
fn execute(target: Target, input: &[u8]) -> Result<bool, String> {
    let began = Instant::now();
    let read = panic::catch_unwind(AssertUnwindSafe(|| target.run(input))).map_err(what)?;
    let took = began.elapsed();
    if took > TOO_LONG {
        return Err(format!("{} bytes took {took:?}", input.len()));
    }
    Ok(read)
}

fn what(panic: Box<dyn Any + Send>) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic").to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// An audit asks the evaluator some thousand times.
    const fn executions(target: Target) -> u64 {
        match target {
            Target::Audit => 1000,
            Target::Profile | Target::Recording => 6000,
        }
    }

    #[test]
    fn corpus_and_its_mutations_pass_every_target() {
        for target in Target::ALL {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
            let corpus = Corpus::read(&directory, target).unwrap();
            let executions = executions(target);
            let ended = run(target, corpus, 1, Limit::Executions(executions));
            println!("{}", ended.summary(target));
            let failure = ended.failure.map(|failure| {
                format!(
                    "{}\n{}",
                    failure.why,
                    String::from_utf8_lossy(&failure.input)
                )
            });
            assert_eq!(failure, None);
            assert_eq!(ended.executions, executions);
            // Some changes leave it well formed: else only the parser of JSON would be tried.
            assert!(ended.read > executions / 40, "{target}: {}", ended.read);
        }
    }
}

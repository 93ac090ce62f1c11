//! `REVIEW.md`. Its words are tracer-report's: whoever renders gives the writer.

use super::{Error, Models, Output, OutputFormat};

/// The file.
pub const FILE: &str = "REVIEW.md";

/// What a reviewer reads.
pub(super) struct Review;

impl OutputFormat for Review {
    fn name(&self) -> &'static str {
        "review"
    }

    fn help(&self) -> &'static str {
        "every rule with its reason and its evidence, for a person"
    }

    fn files(&self) -> &'static [&'static str] {
        &[FILE]
    }

    fn by_default(&self) -> bool {
        true
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        Ok(Output::file(FILE, (models.review)(models)))
    }
}

//! What an agent says while it records. That a container is recorded is no news: metrics count it.

use crate::cli::stderr::say;
use tracer_recorder::record::{Progress, ProgressListener};

pub(super) struct AgentListener;

impl ProgressListener for AgentListener {
    fn began(&mut self, what: &str) {
        log::info!("recording {what}");
    }

    fn note(&mut self, text: &str) {
        say!("{text}");
    }

    fn ends(&mut self, why: &str) {
        say!("{why}");
    }

    fn progress(&mut self, _: &Progress) {}
}

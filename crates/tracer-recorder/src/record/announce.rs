//! What is reported of the containers that are recorded.

use std::collections::HashSet;

use super::ProgressListener;
use crate::container::Container;
use tracer_core::recording::{Source, plain_text::plain};
use tracer_report::words;

/// Most sentences that are remembered. Beyond them one may be told again.
const MAX_TOLD: usize = 10_000;

/// What was told already: eight replicas have the same warnings, which are told once.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    told: HashSet<String>,
}

impl Announcer {
    /// Says that a container is recorded, and what its reader has to know. Names that are missing are
    /// not told yet: a runtime may know them in a moment.
    pub(super) fn began(
        &mut self,
        container: Option<&Container>,
        path: &str,
        listener: &mut dyn ProgressListener,
    ) {
        let Some(container) = container else {
            listener.began(&format!("cgroup {}", plain(path)));
            return;
        };
        let name = brief(container.name.as_deref().unwrap_or(&container.id));
        let workload = brief(&container.workload.to_string());
        listener.began(&if workload == name {
            format!("container {name}")
        } else {
            format!("container {name} ({workload})")
        });
        for warning in &container.warnings {
            self.note(container, &words::warning(warning), listener);
        }
        let problems = container.unresolved.iter();
        for problem in problems.filter(|problem| !problem.is_about_names()) {
            self.note(container, &words::unresolved(problem), listener);
        }
    }

    /// Says which names of a container are missing for good.
    pub(super) fn unnamed(&mut self, container: &Container, listener: &mut dyn ProgressListener) {
        let problems = container.unresolved.iter();
        for problem in problems.filter(|problem| problem.is_about_names()) {
            self.note(container, &words::unresolved(problem), listener);
        }
    }

    fn note(&mut self, container: &Container, sentence: &str, listener: &mut dyn ProgressListener) {
        let workload = brief(&container.workload.to_string());
        let sentence = format!("{workload}: {}", brief(sentence));
        if self.told.len() >= MAX_TOLD {
            self.told.clear();
        }
        if !self.told.contains(&sentence) {
            listener.note(&sentence);
            self.told.insert(sentence);
        }
    }
}

/// Text that anyone may have chosen, for a line on a terminal.
pub(super) fn brief(text: &str) -> String {
    /// Longer than any name in Kubernetes, and than a sentence around it.
    const MAX: usize = 500;
    let mut brief = plain(&text.chars().take(MAX).collect::<String>());
    if text.chars().nth(MAX).is_some() {
        brief.push('…');
    }
    brief
}

/// The source of an instance that is a container.
pub(super) const fn source(container: Option<&Container>) -> Source {
    match container {
        Some(_) => Source::Container,
        None => Source::Cgroup,
    }
}

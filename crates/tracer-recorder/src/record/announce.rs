//! What a user is told of the containers that are recorded.

use super::ProgressListener;
use crate::container::Container;
use tracer_core::recording::{Source, plain_text::plain};
use tracer_report::words;

/// Says that a container is recorded, and what its reader has to know.
pub(super) fn announce(
    container: Option<&Container>,
    path: &str,
    listener: &mut dyn ProgressListener,
) {
    let Some(container) = container else {
        listener.began(&format!("cgroup {}", path.escape_debug()));
        return;
    };
    let name = brief(container.name.as_deref().unwrap_or(&container.id));
    let workload = brief(&container.workload.to_string());
    if workload == name {
        listener.began(&format!("container {name}"));
    } else {
        listener.began(&format!("container {name} ({workload})"));
    }
    for warning in &container.warnings {
        listener.warning(&name, &brief(&words::warning(warning)));
    }
    for problem in &container.unresolved {
        listener.warning(&name, &brief(&words::unresolved(problem)));
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

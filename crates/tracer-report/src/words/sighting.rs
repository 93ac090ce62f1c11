//! Who did something, and when.

use tracer_core::recording::{
    EvidenceSummary, FirstAccess, FirstSeen, Phase,
    plain_text::{blocked, executable, plain},
};

/// Phases, in their order.
pub(crate) fn phases<'a>(all: impl IntoIterator<Item = &'a Phase>) -> String {
    let names: Vec<_> = all.into_iter().map(|phase| phase.as_str()).collect();
    names.join(", ")
}

/// `run, by /usr/sbin/nginx: 2 of 3 instances, first after 1.2 s`.
pub(crate) fn sighting<First: When>(it: &EvidenceSummary<First>, instances: usize) -> String {
    let mut text = format!("{}, by {}", it.phase.as_str(), executable(&it.executable));
    let mut more = Vec::new();
    if let Some(saw) = it.blocked {
        more.push(format!("stopped by a filter with {}", blocked(saw)));
    }
    if instances > 1 {
        more.push(format!("in {} of {instances} instances", it.instances));
    }
    if let Some(seen) = &it.first {
        more.push(first(seen));
    }
    if !more.is_empty() {
        text.push_str(": ");
        text.push_str(&more.join(", "));
    }
    text
}

/// The first time of something, as it is told.
pub(crate) trait When {
    /// Nanoseconds since the recording began, the process, and its thread's command name.
    fn when(&self) -> (u64, u32, &str);
}

impl When for FirstSeen {
    fn when(&self) -> (u64, u32, &str) {
        (self.after_ns, self.pid, &self.comm)
    }
}

impl When for FirstAccess {
    fn when(&self) -> (u64, u32, &str) {
        (self.after_ns, self.pid, &self.comm)
    }
}

/// `first after 1.200 s by nginx (pid 4711)`.
fn first(seen: &impl When) -> String {
    let (after_ns, pid, comm) = seen.when();
    format!(
        "first after {}.{:03} s by {} (pid {pid})",
        after_ns / 1_000_000_000,
        after_ns / 1_000_000 % 1_000,
        plain(comm)
    )
}

//! Which kinds of observations are kept of a workload.

use std::collections::BTreeSet;

use crate::recording::{ObservationKind, Recording};

/// Leaves out of a recording what is of another kind than these. System calls stay, and their arguments. The
/// providers of the other kinds go too: what is not listed was not observed, as far as a reader is concerned.
pub fn keep_kinds(recording: &mut Recording, kinds: &BTreeSet<ObservationKind>) {
    let is_kept = |kind: ObservationKind| {
        kinds.contains(&kind)
            || matches!(kind, ObservationKind::Syscalls | ObservationKind::Arguments)
    };
    let drops = |kind| !is_kept(kind);
    if drops(ObservationKind::Files) {
        recording.files.clear();
    }
    if drops(ObservationKind::Capabilities) {
        recording.capabilities.clear();
    }
    if drops(ObservationKind::Sockets) {
        recording.sockets.clear();
    }
    if drops(ObservationKind::Signals) {
        recording.signals.clear();
    }
    if drops(ObservationKind::Traces) {
        recording.traces.clear();
    }
    if drops(ObservationKind::Mounts) {
        recording.mounts.clear();
    }
    recording
        .providers
        .retain(|provider| is_kept(provider.kind));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::apparmor::fixture;

    #[test]
    fn what_is_left_out_is_listed_by_no_provider() {
        let whole = fixture::web();
        assert!(!whole.files.is_empty() && !whole.capabilities.is_empty());
        let mut calls = whole.clone();
        keep_kinds(&mut calls, &BTreeSet::new());
        assert!(calls.files.is_empty() && calls.capabilities.is_empty());
        assert_eq!(calls.syscalls, whole.syscalls);
        assert!(calls.providers.iter().all(|it| matches!(
            it.kind,
            ObservationKind::Syscalls | ObservationKind::Arguments
        )));
        let mut files = whole.clone();
        keep_kinds(&mut files, &BTreeSet::from([ObservationKind::Files]));
        assert_eq!(files.files, whole.files);
        assert!(files.sockets.is_empty());
    }
}

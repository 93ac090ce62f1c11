//! What calls are for: the groups that a reader thinks in.
//!
//! Each call is in exactly one. The groups are those of the manual's pages and of systemd's sets (`systemd-analyze
//! syscall-filter`), joined until few enough are left for a picture. Not to be confused with
//! [`super::equivalents`], which are about what leads to the same end.

mod io;
mod processes;
mod system;

/// Calls that are for one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Category {
    /// In a few words, as a title.
    pub title: &'static str,
    /// The calls, of any ABI, by name.
    pub calls: &'static [&'static str],
}

/// All of them, in the order of output.
pub const CATEGORIES: &[Category] = &[
    io::FILES_AND_DIRECTORIES,
    io::READING_AND_WRITING,
    io::WAITING_FOR_EVENTS,
    io::ASYNCHRONOUS_I_O,
    processes::MEMORY,
    processes::PROCESSES_AND_THREADS,
    processes::SIGNALS,
    processes::TIME_AND_TIMERS,
    system::NETWORK,
    system::PIPES_QUEUES_AND_SHARED_MEMORY,
    processes::USERS_AND_PRIVILEGES,
    processes::SCHEDULING_AND_LIMITS,
    system::MOUNTS_AND_NAMESPACES,
    processes::OTHER_PROCESSES,
    system::KERNEL_AND_MACHINE,
    system::NEVER_OR_NO_LONGER_USED,
];

/// What a call is for.
///
/// ```
/// use syscalls::category::category;
///
/// assert_eq!(
///     category("openat").map(std::ptr::from_ref),
///     category("openat2").map(std::ptr::from_ref),
/// );
/// assert!(category("no_such_call").is_none());
/// ```
pub fn category(name: &str) -> Option<&'static Category> {
    CATEGORIES
        .iter()
        .find(|category| category.calls.binary_search(&name).is_ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Abi;

    #[test]
    fn every_call_has_one_purpose() {
        let names = Abi::ALL
            .into_iter()
            .flat_map(|abi| abi.syscalls().map(|(_, name)| name));
        let known: BTreeSet<_> = names.collect();
        let listed: Vec<_> = CATEGORIES.iter().flat_map(|it| it.calls).copied().collect();
        let set: BTreeSet<_> = listed.iter().copied().collect();
        assert_eq!(set.len(), listed.len());
        let missing: Vec<_> = known.difference(&set).collect();
        let unknown: Vec<_> = set.difference(&known).collect();
        assert!(
            missing.is_empty() && unknown.is_empty(),
            "{missing:?} {unknown:?}"
        );
        for category in CATEGORIES {
            assert!(category.calls.is_sorted(), "{}", category.title);
        }
        assert_eq!(
            category("openat").map(|it| it.title),
            Some("Files and directories")
        );
        assert_eq!(category("nothing"), None);
    }
}

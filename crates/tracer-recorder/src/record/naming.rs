//! How workloads are called.

use std::{ffi::OsStr, path::Path};

use crate::container::{Container, WorkloadKey};

/// How workloads are called.
#[derive(Clone, Debug)]
pub struct Naming {
    /// The name that was given, for all.
    pub given: Option<String>,
    /// Makes a safe name of any text.
    pub clean: fn(&OsStr) -> String,
}

impl Naming {
    /// `first` is the workload that gets the name that was given.
    pub(super) fn of_container(
        &self,
        container: &Container,
        first: Option<&WorkloadKey>,
    ) -> String {
        let given = self.given.clone();
        let is_first = first.is_none_or(|first| *first == container.workload);
        given.filter(|_| is_first).unwrap_or_else(|| {
            container
                .workload
                .directory(|text| (self.clean)(text.as_ref()))
        })
    }

    pub(super) fn of_cgroup(&self, path: &Path) -> String {
        self.given
            .clone()
            .unwrap_or_else(|| (self.clean)(path.as_os_str()))
    }

    /// A container of which only the path is known: the whole path, as two containers may well have
    /// the same last part.
    pub(super) fn of_unknown(&self, path: &Path) -> String {
        WorkloadKey::Cgroup(path.display().to_string())
            .directory(|text| (self.clean)(text.as_ref()))
    }
}

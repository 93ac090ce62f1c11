//! What a log added, and what of it was left out.

use std::collections::BTreeMap;

use crate::{
    profile::apparmor::{AppArmorProfile, signal_name},
    recording::{CapabilityUse, Executable, FileAccess, FileUse, SignalUse, SocketUse, TraceUse},
};

/// Others are told apart up to so many.
const MAX_OTHERS: usize = 1_000;

/// What a log added to a recording, and what was left out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that are the workload's.
    pub taken: u64,
    /// What the recording did not have.
    pub added: BTreeMap<What, Added>,
    /// Records of other programs and profiles, by their names.
    pub others: BTreeMap<String, u64>,
    /// Records of others beyond those that are told apart.
    pub more_others: u64,
    /// Accesses that AppArmor denied, and that were not to be taken.
    pub denied: u64,
    /// Accesses of kinds that the recording did not observe.
    pub not_recorded: u64,
    /// Records that were not understood.
    pub not_understood: u64,
    /// Records that the kernel or a daemon says are missing.
    pub lost: u64,
}

/// How often something new was told, and of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// In how many records.
    pub records: u64,
    /// The program of the first one; `None` when the log does not say.
    pub executable: Option<String>,
}

/// Something new.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum What {
    /// A system call.
    Syscall {
        /// Its name, or its number.
        name: String,
        /// Whether the filter stopped it: it is recorded as blocked, and allowed on request only.
        stopped: bool,
    },
    /// An access to a file.
    File {
        /// The path.
        path: String,
        /// What was done.
        access: FileAccess,
    },
    /// A capability: `CAP_…`.
    Capability(String),
    /// A kind of socket: family and type.
    Socket(String),
    /// A signal, by AppArmor's name.
    Signal(String),
    /// A debugger's rights.
    Trace,
}

impl What {
    pub(super) fn file(file: &FileUse) -> Self {
        Self::File {
            path: file.path.to_string(),
            access: file.access,
        }
    }

    pub(super) fn capability(used: &CapabilityUse) -> Self {
        Self::Capability(used.capability.to_string())
    }

    pub(super) fn socket(socket: &SocketUse) -> Self {
        Self::Socket(AppArmorProfile::socket_name(socket.family, socket.kind))
    }

    pub(super) fn signal(signal: &SignalUse) -> Self {
        let number = signal.signal;
        Self::Signal(signal_name(number).unwrap_or_else(|| number.to_string()))
    }

    pub(super) const fn trace(_: &TraceUse) -> Self {
        Self::Trace
    }
}

impl Report {
    pub(super) fn add(&mut self, what: What, executable: &Executable) {
        let added = self.added.entry(what).or_default();
        added.records += 1;
        if let (None, Executable::Path(path)) = (&added.executable, executable) {
            added.executable = Some(path.clone());
        }
    }

    /// Counts a record of another program or profile.
    pub(super) fn of_another(&mut self, name: &[u8]) {
        let name = String::from_utf8_lossy(name);
        if self.others.len() >= MAX_OTHERS && !self.others.contains_key(&*name) {
            self.more_others += 1;
            return;
        }
        *self.others.entry(name.into_owned()).or_default() += 1;
    }
}

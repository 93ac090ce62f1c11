//! What a format cannot express. The kinds are types; this directory has their words.

use std::{borrow::Cow, collections::BTreeSet, fmt};

mod apparmor;
mod files;
mod placement;
mod selinux;
mod service;
mod syscalls;

pub use apparmor::AppArmorOmission;
pub use files::FileOmission;
pub use placement::PlacementOmission;
pub use selinux::SelinuxOmission;
pub use service::ServiceOmission;
pub use syscalls::SyscallOmission;

/// Something of a profile that a format cannot express.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Omission {
    /// Of an AppArmor profile.
    AppArmor(AppArmorOmission),
    /// Of where a profile applies.
    Placement(PlacementOmission),
    /// Of an SELinux profile.
    Selinux(SelinuxOmission),
    /// Of a systemd service.
    Service(ServiceOmission),
    /// Of a seccomp profile that is an object of an operator's.
    Syscall(SyscallOmission),
}

/// What is omitted, and what the output has instead or what follows.
type Words<'a> = (Cow<'a, str>, Cow<'a, str>);

impl Omission {
    /// What is omitted. It may hold a workload's words: escape it.
    ///
    /// ```
    /// use tracer_core::profile::{Omission, SyscallOmission};
    ///
    /// let omission = Omission::from(SyscallOmission::ErrorForOtherArguments {
    ///     calls: vec!["clone".to_owned(), "ioctl".to_owned()],
    /// });
    /// assert_eq!(omission.what(), "ENOSYS for other arguments of clone, ioctl");
    /// assert_eq!(omission.instead(), "they return EPERM");
    /// ```
    pub fn what(&self) -> Cow<'_, str> {
        self.words().0
    }

    /// What the output has instead, or what follows. Escape it too.
    pub fn instead(&self) -> Cow<'_, str> {
        self.words().1
    }

    fn words(&self) -> Words<'_> {
        match self {
            Self::AppArmor(it) => it.words(),
            Self::Placement(it) => it.words(),
            Self::Selinux(it) => it.words(),
            Self::Service(it) => it.words(),
            Self::Syscall(it) => it.words(),
        }
    }
}

impl fmt::Display for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, instead) = self.words();
        write!(f, "{what}: {instead}")
    }
}

impl From<AppArmorOmission> for Omission {
    fn from(it: AppArmorOmission) -> Self {
        Self::AppArmor(it)
    }
}

impl From<PlacementOmission> for Omission {
    fn from(it: PlacementOmission) -> Self {
        Self::Placement(it)
    }
}

impl From<SelinuxOmission> for Omission {
    fn from(it: SelinuxOmission) -> Self {
        Self::Selinux(it)
    }
}

impl From<ServiceOmission> for Omission {
    fn from(it: ServiceOmission) -> Self {
        Self::Service(it)
    }
}

impl From<SyscallOmission> for Omission {
    fn from(it: SyscallOmission) -> Self {
        Self::Syscall(it)
    }
}

/// In the order of their words, as a reader looks for them.
pub(super) fn by_words<T: Into<Omission>>(all: BTreeSet<T>) -> Vec<Omission> {
    let mut all: Vec<Omission> = all.into_iter().map(T::into).collect();
    all.sort_by(|one, other| one.words().cmp(&other.words()));
    all
}

/// A file, and what its format cannot express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// The text; what is omitted is in it as a comment.
    pub text: String,
    /// What is not in it.
    pub omissions: Vec<Omission>,
}

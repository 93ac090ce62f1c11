//! What was observed and is in no rule, with the reason.

/// Something that was observed and that no rule can express.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    /// What, in the recording's words. Escape it.
    pub what: String,
    /// Why.
    pub reason: LostReason,
}

/// Why an observation is in no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LostReason {
    /// More files of a directory were executed than a recording keeps.
    ExecutableDirectory,
    /// More files of a directory were written than a recording keeps, and programs are among them.
    WritableDirectory,
    /// AppArmor denies paths of this length.
    PathTooLong,
    /// The path was too long for the recorder.
    Truncated,
    /// The pattern is too long for the parser.
    PatternTooLong,
    /// The file has no path.
    NoPath,
    /// The file has a name and no path.
    NameOnly,
    /// The kernel makes no such path.
    ImpossiblePath,
    /// Files of an unknown directory.
    UnknownDirectory,
    /// A hard link to an unknown file.
    UnknownLinkTarget,
    /// A capability without a name.
    UnnamedCapability,
    /// A socket family without a name.
    UnnamedFamily,
    /// A socket type without a name.
    UnnamedSocketType,
    /// A signal that Linux does not have.
    UnnamedSignal,
    /// A mount of a path that is not absolute.
    RelativeMount,
    /// A mount with a flag that has no name.
    UnnamedMountFlag,
}

impl LostReason {
    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ExecutableDirectory => {
                "a recording does not keep that many files of one directory, and a glob would let every file there be executed"
            }
            Self::WritableDirectory => {
                "a recording does not keep that many files of one directory, and a glob would make the programs and libraries that it uses there writable"
            }
            Self::PathTooLong => {
                "AppArmor denies paths of 8192 bytes and more, whatever a profile says"
            }
            Self::Truncated => "the path was too long to be kept whole",
            Self::PatternTooLong => {
                "spelled out, it is longer than what the parser reads as one word"
            }
            Self::NoPath => "it has no path",
            Self::NameOnly => {
                "it has a name and no path (memory, a pipe): AppArmor does not ask about it"
            }
            Self::ImpossiblePath => "no path of the kernel's looks like this",
            Self::UnknownDirectory => "it is not known in which directory",
            Self::UnknownLinkTarget => "what it gave a name to is not known",
            Self::UnnamedCapability => "the parser has no name for it",
            Self::UnnamedFamily => "the parser has no name for the family",
            Self::UnnamedSocketType => "the parser has no name for the type",
            Self::UnnamedSignal => "the parser has no name for it: Linux has 64 signals",
            Self::RelativeMount => "it is not known which absolute path it speaks of",
            Self::UnnamedMountFlag => "it has a flag that the parser has no name for",
        }
    }
}

/// Why the programs of a workload cannot be divided among child profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Obstacle {
    /// Files were recorded in a way that does not show who executed a program.
    SyscallExits,
    /// The container has `no_new_privs`.
    NoNewPrivileges,
    /// The workload sets `no_new_privs` itself, or may.
    SetsNoNewPrivileges,
    /// More programs used a file than a recording keeps.
    TooMuchEvidence,
    /// The workload started no other program.
    NoPrograms,
}

impl Obstacle {
    /// The reason in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SyscallExits => {
                "files were recorded at system call exits, which do not show who executed a program: record where `tracer doctor` finds BPF LSM hooks or fexit"
            }
            Self::NoNewPrivileges => {
                "the container has no_new_privs (allowPrivilegeEscalation: false), under which the kernel changes no profile"
            }
            Self::SetsNoNewPrivileges => {
                "it sets no_new_privs itself (prctl), or may have, under which the kernel changes no profile"
            }
            Self::TooMuchEvidence => {
                "a recording keeps who used a file of 64 programs, and here there are more"
            }
            Self::NoPrograms => "the workload started no other program while recorded",
        }
    }
}

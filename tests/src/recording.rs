//! Reading of `recording.json` as its documentation describes it, by other code than wrote it.

use std::{collections::BTreeSet, fmt, fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;

/// A system call: which number, in which ABI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyscallId {
    /// The ABI's name.
    pub abi: String,
    /// The number as the kernel got it.
    pub nr: u32,
}

impl SyscallId {
    /// A call of the 64-bit ABI.
    pub fn x86_64(nr: u32) -> Self {
        Self::new("x86_64", nr)
    }

    /// A call of the 32-bit ABI.
    pub fn i386(nr: u32) -> Self {
        Self::new("i386", nr)
    }

    /// A call of any ABI.
    pub fn new(abi: &str, nr: u32) -> Self {
        Self {
            abi: abi.to_owned(),
            nr,
        }
    }
}

impl fmt::Display for SyscallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.abi, self.nr)
    }
}

/// The parts of a recording that tests ask about.
#[derive(Clone, Debug, Deserialize)]
pub struct Recording {
    /// The format's name.
    pub schema: String,
    /// What was recorded.
    pub workload: Workload,
    /// The runs.
    pub instances: Vec<Instance>,
    /// What was seen.
    pub syscalls: Vec<Syscall>,
    /// Accesses to files.
    #[serde(default)]
    pub files: Vec<File>,
    /// Capabilities.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// Changes of the mount tree.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// How sure that is.
    pub coverage: Coverage,
}

/// What was recorded.
#[derive(Clone, Debug, Deserialize)]
pub struct Workload {
    /// The name of its directory.
    pub name: String,
    /// The command and its arguments.
    pub command: Vec<String>,
}

/// One run.
#[derive(Clone, Debug, Deserialize)]
pub struct Instance {
    /// Path of its cgroup.
    pub cgroup: String,
    /// When its recording began.
    pub began: String,
    /// Whether it was recorded from its first call.
    pub start_observed: bool,
    /// The container that it is.
    pub container: Option<Container>,
    /// Calls counted, unless several instances were recorded at once.
    pub calls: Option<u64>,
}

/// What is known of a container.
#[derive(Clone, Debug, Deserialize)]
pub struct Container {
    /// Its engine.
    pub engine: String,
    /// Its id.
    pub id: String,
    /// Its image, as it was asked for.
    pub image: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its pod, as NAMESPACE/NAME.
    pub pod: Option<String>,
    /// What a reader of its profile has to know.
    pub warnings: Vec<Warning>,
}

/// A warning.
#[derive(Clone, Debug, Deserialize)]
pub struct Warning {
    /// Its code.
    pub code: String,
}

/// A call that was seen.
#[derive(Clone, Debug, Deserialize)]
pub struct Syscall {
    /// The ABI's name.
    pub abi: String,
    /// The number.
    pub nr: u32,
    /// The call's name.
    pub name: Option<String>,
    /// What it was given, where that is recorded.
    pub arguments: Option<Arguments>,
    /// Who made it.
    pub evidence: Vec<Evidence>,
}

/// An access to a file.
#[derive(Clone, Debug, Deserialize)]
pub struct File {
    /// Which.
    pub what: FileAccess,
    /// Who made it.
    pub evidence: Vec<AccessEvidence>,
}

/// What was done with which file.
#[derive(Clone, Debug, Deserialize)]
pub struct FileAccess {
    /// The path, in a recording's spelling.
    pub path: String,
    /// What was done.
    pub access: String,
    /// Whether it stands for more files than are listed.
    #[serde(default)]
    pub more: bool,
    /// Whether its path begins in what is mounted nowhere.
    #[serde(default)]
    pub detached: bool,
}

/// What is done with files.
const ACCESSES: [&str; 19] = [
    "read",
    "write",
    "append",
    "create",
    "make_directory",
    "symlink",
    "link",
    "remove",
    "remove_directory",
    "rename_from",
    "rename_to",
    "change_mode",
    "change_owner",
    "truncate",
    "lock",
    "lock_exclusive",
    "execute",
    "map_executable",
    "connect",
];

impl FileAccess {
    /// The path's bytes, without the slash that ends a directory's.
    pub fn trimmed_path(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = self.path.as_str();
        while let Some((before, after)) = rest.split_once('\\') {
            bytes.extend_from_slice(before.as_bytes());
            if let Some(after) = after.strip_prefix('\\') {
                bytes.push(b'\\');
                rest = after;
            } else {
                let digits = after.get(1..3).unwrap_or_default();
                bytes.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
                rest = after.get(3..).unwrap_or_default();
            }
        }
        bytes.extend_from_slice(rest.as_bytes());
        if bytes.len() > 1 && bytes.ends_with(b"/") {
            bytes.pop();
        }
        bytes
    }

    /// What was done, as a name that lives for ever; empty for one that is not known.
    pub fn known_access(&self) -> &'static str {
        let known = ACCESSES.into_iter().find(|known| *known == self.access);
        known.unwrap_or_default()
    }
}

/// A change of the mount tree.
#[derive(Clone, Debug, Deserialize)]
pub struct Mount {
    /// Which.
    pub what: MountUse,
}

/// What was mounted where, or taken off.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountUse {
    /// What was done.
    pub operation: String,
    /// What.
    pub source: Option<String>,
    /// Where.
    pub target: String,
    /// Of which type.
    pub filesystem: Option<String>,
    /// `MS_…`.
    pub flags: u64,
}

/// A capability.
#[derive(Clone, Debug, Deserialize)]
pub struct Capability {
    /// Which.
    pub what: CapabilityUse,
    /// Who used it.
    pub evidence: Vec<AccessEvidence>,
}

/// Which capability, and how it was asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct CapabilityUse {
    /// `CAP_…`.
    pub capability: String,
    /// False when the kernel only probed.
    pub audited: Option<bool>,
}

/// Who did something.
#[derive(Clone, Debug, Deserialize)]
pub struct AccessEvidence {
    /// The phase.
    pub phase: String,
    /// The executable.
    pub executable: Executable,
    /// The call.
    pub call: Option<EvidenceSyscall>,
}

/// In which call.
#[derive(Clone, Debug, Deserialize)]
pub struct EvidenceSyscall {
    /// The ABI's name.
    pub abi: String,
    /// The number.
    pub nr: u32,
}

/// What a call was given.
#[derive(Clone, Debug, Deserialize)]
pub struct Arguments {
    /// Which arguments.
    pub indices: Vec<usize>,
    /// Every combination of values.
    pub seen: Vec<Combination>,
    /// The phases of which not all is known.
    pub cut: BTreeSet<String>,
}

/// One combination of values.
#[derive(Clone, Debug, Deserialize)]
pub struct Combination {
    /// The phase.
    pub phase: String,
    /// The values.
    pub values: Vec<u64>,
    /// Who gave them.
    pub executables: BTreeSet<Executable>,
}

/// Who made a call.
#[derive(Clone, Debug, Deserialize)]
pub struct Evidence {
    /// Index of the instance.
    pub instance: usize,
    /// Where in its life.
    pub phase: String,
    /// What the program saw, when a filter stopped the call.
    pub blocked: Option<Blocked>,
    /// The executable.
    pub executable: Executable,
    /// The first time; `null` when it was lost.
    pub first: Option<FirstSeen>,
}

/// What a program saw of a call that a filter stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocked {
    /// An error number.
    Errno(u16),
    /// One above 200.
    OtherErrno,
    /// SIGSYS.
    Signal,
    /// A value.
    Value,
}

/// An executable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executable {
    /// The path it was started by.
    Path(String),
    /// The beginning of that path.
    Truncated(String),
    /// tracer's own child before its exec.
    Launcher,
    /// Not known.
    Unknown,
}

/// The first time a call was seen.
#[derive(Clone, Debug, Deserialize)]
pub struct FirstSeen {
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// The thread's name.
    pub comm: String,
    /// The six arguments.
    pub args: [u64; 6],
}

/// How sure a recording is.
#[derive(Clone, Debug, Deserialize)]
pub struct Coverage {
    /// Whether nothing speaks against it.
    pub complete: bool,
    /// What does.
    pub reasons: Vec<Reason>,
    /// What was counted as lost.
    pub losses: Losses,
}

/// One reason.
#[derive(Clone, Debug, Deserialize)]
pub struct Reason {
    /// JSON.
    pub code: String,
}

/// What was lost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Losses {
    /// Times that a phase was lost.
    pub phases: u64,
    /// Evidence.
    pub events: u64,
    /// Executables behind the evidence.
    pub executables: u64,
    /// Observations.
    pub calls: u64,
    /// Child cgroups.
    pub cgroups: u64,
    /// Runs of kernel programs.
    pub program_runs: u64,
    /// Accesses to files and the like.
    pub accesses: u64,
    /// Arguments.
    pub values: u64,
    /// Files that were not looked up.
    #[serde(default)]
    pub paths: u64,
    /// Messages of gVisor.
    #[serde(default)]
    pub messages: u64,
}

impl Recording {
    /// Reads one.
    ///
    /// # Errors
    /// When the file is missing or not of the format.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("parsing {}", path.display()))
    }

    /// All calls that were seen.
    pub fn calls(&self) -> BTreeSet<SyscallId> {
        self.calls_by(|_| true)
    }

    /// The calls that an executable made which `wanted` accepts.
    pub fn calls_by(&self, wanted: impl Fn(&Executable) -> bool) -> BTreeSet<SyscallId> {
        self.syscalls
            .iter()
            .filter(|call| call.evidence.iter().any(|who| wanted(&who.executable)))
            .map(|call| SyscallId::new(&call.abi, call.nr))
            .collect()
    }

    /// The indices of the instances that are the container of that id.
    pub fn instances_of(&self, id: &str) -> impl Iterator<Item = usize> {
        let is = move |instance: &Instance| instance.container.as_ref().is_some_and(|c| c.id == id);
        let instances = self.instances.iter().enumerate();
        instances
            .filter(move |(_, i)| is(i))
            .map(|(index, _)| index)
    }

    /// The phases in which any of these calls was made.
    pub fn phases_of(&self, nrs: &[u32]) -> BTreeSet<&str> {
        self.syscalls
            .iter()
            .filter(|call| call.abi == "x86_64" && nrs.contains(&call.nr))
            .flat_map(|call| &call.evidence)
            .filter(|who| who.blocked.is_none())
            .map(|who| who.phase.as_str())
            .collect()
    }

    /// The combinations that a call of that name was given in a phase, in any ABI.
    pub fn given(&self, name: &str, phase: &str) -> BTreeSet<Vec<u64>> {
        self.syscalls
            .iter()
            .filter(|call| call.name.as_deref() == Some(name))
            .filter_map(|call| call.arguments.as_ref())
            .flat_map(|arguments| &arguments.seen)
            .filter(|combination| combination.phase == phase)
            .map(|combination| combination.values.clone())
            .collect()
    }

    /// Whether a reason speaks against its completeness.
    pub fn has_reason(&self, code: &str) -> bool {
        self.coverage.reasons.iter().any(|r| r.code == code)
    }

    /// The calls that were made in a phase, by any instance.
    pub fn made_in(&self, phase: &str) -> BTreeSet<SyscallId> {
        self.calls_where(|who| who.phase == phase && who.blocked.is_none())
    }

    /// The calls with evidence that is of a kind.
    pub fn calls_where(&self, of_kind: impl Fn(&Evidence) -> bool) -> BTreeSet<SyscallId> {
        self.syscalls
            .iter()
            .filter(|call| call.evidence.iter().any(&of_kind))
            .map(|call| SyscallId::new(&call.abi, call.nr))
            .collect()
    }

    /// The calls that a filter stopped, each with what the program saw, in any phase.
    pub fn blocked(&self) -> BTreeSet<(SyscallId, Blocked)> {
        self.blocked_evidence()
            .map(|(call, _, blocked)| (SyscallId::new(&call.abi, call.nr), blocked))
            .collect()
    }

    /// Who attempted the calls that a filter stopped, and what they saw.
    pub fn blocked_evidence(&self) -> impl Iterator<Item = (&Syscall, &Evidence, Blocked)> {
        self.syscalls.iter().flat_map(|call| {
            let stopped = call.evidence.iter();
            stopped.filter_map(move |who| Some((call, who, who.blocked?)))
        })
    }
}

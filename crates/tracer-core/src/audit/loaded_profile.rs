//! A seccomp profile in force: what it does to calls, and where the entry that decides stands.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{
    Context,
    reference::{self, Beyond},
};
use crate::{
    parse::{Form, Node, Seccomp},
    profile::seccomp::{
        evaluate::{Decider, Filter, OciRuntime, Outcome, Refusal},
        oci::{Condition, Entry, OciSeccomp, Operator},
        read::ResolveError,
    },
    recording::{Phase, SyscallId},
};
use syscalls::{
    Abi, essential,
    introduced::{self, LinuxVersion},
    runtime_init,
};

/// Most combinations of arguments that one call is tried with.
const MAX_PROBES: usize = 768;

/// What a profile does to a call, whatever its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyscallState {
    /// It is made.
    Allowed,
    /// It is not.
    Denied,
    /// By its arguments.
    Conditional,
    /// Its ABI is none of the filter's.
    Killed,
    /// The ABI has no such call.
    Absent,
}

impl SyscallState {
    /// Whether a program gets through with some arguments.
    pub(super) fn allows_some(self) -> bool {
        matches!(self, Self::Allowed | Self::Conditional)
    }
}

/// A profile in force on a machine.
pub(super) struct LoadedProfile<'a> {
    pub(super) read: &'a Seccomp,
    pub(super) context: &'a Context<'a>,
    /// As it counts for the machine and the container.
    pub(super) oci: OciSeccomp,
    /// For each of its entries that in the file.
    entries: Vec<&'a Node>,
    /// By name: the entries that name it.
    by_name: BTreeMap<String, Vec<usize>>,
    filter: Filter,
    /// Why a runtime refuses it, when another does not.
    pub(super) refusal: Option<Refusal>,
    /// What `is_needed` answers from.
    needed: BTreeSet<&'static str>,
    beyond_default: OnceCell<Vec<Beyond>>,
}

/// Why a profile cannot be put in force.
pub(super) enum LoadError {
    Unclear(ResolveError),
    Refused(Refusal),
}

impl<'a> LoadedProfile<'a> {
    pub(super) fn new(read: &'a Seccomp, context: &'a Context<'a>) -> Result<Self, LoadError> {
        let target = context.target();
        let oci = read.document.resolve(&target).map_err(LoadError::Unclear)?;
        let of = |runtime| Filter::new(&oci, context.host(runtime));
        let (filter, refusal) = match (of(OciRuntime::Runc), of(OciRuntime::Crun)) {
            (Ok(filter), crun) => (filter, crun.err()),
            (Err(refusal), Ok(filter)) => (filter, Some(refusal)),
            (Err(refusal), Err(_)) => return Err(LoadError::Refused(refusal)),
        };
        let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, entry) in oci.syscalls.iter().enumerate() {
            for name in &entry.names {
                let entries = by_name.entry(name.clone()).or_default();
                if entries.last() != Some(&at) {
                    entries.push(at);
                }
            }
        }
        let all = read.node.get("syscalls").into_iter().flat_map(Node::items);
        let all: Vec<_> = all.collect();
        let entries = read
            .document
            .entries(&target)
            .filter_map(|at| all.get(at).copied())
            .collect();
        Ok(Self {
            read,
            context,
            oci,
            entries,
            by_name,
            filter,
            refusal,
            needed: needed(context),
            beyond_default: OnceCell::new(),
        })
    }

    /// Whether what no rule names is let through.
    pub(super) fn allows_by_default(&self) -> bool {
        use crate::profile::seccomp::oci::Action::{Allow, Log};
        matches!(self.oci.default_action, Allow | Log)
    }

    /// The ABIs whose programs the machine may run.
    pub(super) fn abis(&self) -> impl Iterator<Item = Abi> + use<> {
        let others: &[Abi] = match self.context.native {
            Abi::X86_64 => &[Abi::I386, Abi::X32],
            Abi::Aarch64 => &[Abi::Arm],
            _ => &[],
        };
        std::iter::once(self.context.native).chain(others.iter().copied())
    }

    /// Whether the filter is for an ABI: those of others are killed.
    pub(super) fn is_for(&self, abi: Abi) -> bool {
        let Some(nr) = abi.syscall_number("getpid") else {
            return false;
        };
        self.filter.evaluate(SyscallId { abi, nr }, [0; 6]).decider != Decider::Architecture
    }

    /// Whether one of the kernels that findings speak of has a call or a feature of that version.
    pub(super) fn is_reached(&self, version: LinuxVersion) -> bool {
        let newest = self.context.kernels.map(|(_, newest)| newest);
        newest.is_none_or(|newest| version <= LinuxVersion(newest.version, newest.major))
    }

    /// Whether not all of them have it.
    pub(super) fn is_missed(&self, version: LinuxVersion) -> bool {
        let oldest = self.context.kernels.map(|(oldest, _)| oldest);
        oldest.is_none_or(|oldest| version > LinuxVersion(oldest.version, oldest.major))
    }

    /// Whether one of them has a call.
    pub(super) fn exists(&self, abi: Abi, name: &str) -> bool {
        abi.syscall_number(name).is_some()
            && introduced::introduced_in(name).is_none_or(|version| self.is_reached(version))
    }

    /// Whether denying a call altogether stops programs or the runtime, whatever the workload is.
    pub(super) fn is_needed(&self, name: &str) -> bool {
        self.needed.contains(name)
    }

    /// Whether a recording shows that the workload makes a call.
    pub(super) fn is_used(&self, name: &str) -> bool {
        let calls = self.context.recordings.iter().flat_map(|it| &it.syscalls);
        calls
            .filter(|call| call.phases.iter().any(|phase| *phase != Phase::Setup))
            .any(|call| call.name.as_deref() == Some(name))
    }

    /// What the profile lets through and the runtime's own default does not.
    pub(super) fn beyond_default(&self) -> &[Beyond] {
        self.beyond_default.get_or_init(|| reference::beyond(self))
    }

    /// Whether the runtime's own default, or an earlier release of it, lets through all that the profile does.
    pub(super) fn is_within_default(&self) -> bool {
        self.beyond_default().iter().all(|it| it.earlier)
    }

    pub(super) fn evaluate(&self, abi: Abi, nr: u32, args: [u64; 6]) -> Outcome {
        self.filter.evaluate(SyscallId { abi, nr }, args)
    }

    /// What becomes of a call by name with these arguments; `None` when the ABI has none.
    pub(super) fn outcome(&self, abi: Abi, name: &str, args: [u64; 6]) -> Option<Outcome> {
        Some(self.evaluate(abi, abi.syscall_number(name)?, args))
    }

    pub(super) fn state(&self, abi: Abi, name: &str) -> SyscallState {
        let Some(nr) = abi.syscall_number(name).filter(|_| self.exists(abi, name)) else {
            return SyscallState::Absent;
        };
        let (mut open, mut denied) = (false, false);
        for args in self.probes(name) {
            let outcome = self.evaluate(abi, nr, args);
            if outcome.decider == Decider::Architecture {
                return SyscallState::Killed;
            }
            if outcome.verdict.allows() {
                open = true;
            } else {
                denied = true;
            }
        }
        match (open, denied) {
            (true, true) => SyscallState::Conditional,
            (true, false) => SyscallState::Allowed,
            (false, _) => SyscallState::Denied,
        }
    }

    /// Arguments that tell rules for a call apart: to either side of all that they compare with.
    pub(super) fn probes(&self, name: &str) -> Vec<[u64; 6]> {
        probes(self.entries_of(name).flat_map(|(_, entry)| &entry.args))
    }

    /// The entries that name a call, by their place in the resolved profile.
    pub(super) fn entries_of(&self, name: &str) -> impl Iterator<Item = (usize, &Entry)> {
        let places = self.by_name.get(name).into_iter().flatten();
        places.filter_map(|at| Some((*at, self.oci.syscalls.get(*at)?)))
    }

    /// Where an entry stands.
    pub(super) fn entry(&self, at: usize) -> Range<usize> {
        let node = self.entries.get(at).map(|node| node.span.clone());
        node.unwrap_or_else(|| self.read.node.span.clone())
    }

    /// Whether an entry counts for some machines or containers only.
    pub(super) fn is_chosen(&self, at: usize) -> bool {
        let node = self.entries.get(at);
        ["includes", "excludes"]
            .into_iter()
            .filter_map(|key| node?.get(key))
            .any(|filter| filter.pairs().next().is_some())
    }

    /// Where something of an entry stands; the entry when it has none.
    pub(super) fn part(&self, at: usize, key: &str) -> Range<usize> {
        let part = self.entries.get(at).and_then(|node| node.get(key));
        part.map_or_else(|| self.entry(at), |part| part.span.clone())
    }

    /// Where a condition of an entry stands.
    pub(super) fn condition(&self, at: usize, condition: usize) -> Range<usize> {
        let args = self.entries.get(at).and_then(|node| node.get("args"));
        let node = args.and_then(|args| args.items().nth(condition));
        node.map_or_else(|| self.entry(at), |node| node.span.clone())
    }

    /// Whether the condition at a place says with what its mask is compared.
    pub(super) fn has_value_two(&self, at: &Range<usize>) -> bool {
        let args = self.entries.iter().filter_map(|entry| entry.get("args"));
        let mut conditions = args.flat_map(Node::items);
        conditions.any(|node| node.span == *at && node.get("valueTwo").is_some())
    }

    /// Where the name stands that is the `index`th of an entry.
    pub(super) fn name(&self, at: usize, index: usize) -> Range<usize> {
        let Some(node) = self.entries.get(at) else {
            return self.entry(at);
        };
        let names = node.get("names").and_then(|names| names.items().nth(index));
        names
            .or_else(|| node.get("name"))
            .map_or_else(|| self.entry(at), |name| name.span.clone())
    }

    /// Where a call is named for the first time; the default action when it is not.
    pub(super) fn named(&self, name: &str) -> Range<usize> {
        let first = self.entries_of(name).next().and_then(|(at, entry)| {
            let index = entry.names.iter().position(|it| it == name)?;
            Some(self.name(at, index))
        });
        first.unwrap_or_else(|| self.top("defaultAction"))
    }

    /// Where a key of the profile's own and its value stand; the profile when it has none.
    pub(super) fn top(&self, key: &str) -> Range<usize> {
        let node = &self.read.node;
        match (node.key(key), node.get(key)) {
            (Some(key), Some(value)) => {
                // A list is shown by its key alone.
                let is_short = value.items().next().is_none();
                key.start..if is_short { value.span.end } else { key.end }
            }
            _ => {
                let start = node.span.start;
                start..start + usize::from(!node.span.is_empty())
            }
        }
    }

    /// Whether one of its readers takes it as the runtime-spec's form.
    pub(super) fn is_plain(&self) -> bool {
        self.read.form != Form::Engine
    }
}

/// Calls that shells, Python and Go make for any program, and that no recording of one workload has to
/// show (tests/seccomp/fixes.rs runs such programs under each fix).
const PROGRAMS: [&str; 9] = [
    "clone",
    "fork",
    "lstat",
    "newfstatat",
    "open",
    "pread64",
    "readv",
    "stat",
    "vfork",
];

/// What no fix may deny altogether.
fn needed(context: &Context<'_>) -> BTreeSet<&'static str> {
    let drops_first = context.no_new_privileges == Some(true);
    let rows = runtime_init::ROWS
        .iter()
        .filter(|row| !drops_first || row.no_new_privs != Some(false));
    let runtimes = rows.flat_map(|row| row.calls).copied();
    essential::names(context.native)
        .chain(runtimes.filter(|name| !runtime_init::OPTIONAL_SYSCALLS.contains(name)))
        .chain(PROGRAMS)
        .collect()
}

/// Arguments to either side of what conditions compare with.
pub(super) fn probes<'a>(conditions: impl Iterator<Item = &'a Condition>) -> Vec<[u64; 6]> {
    let mut values: [BTreeSet<u64>; 6] = Default::default();
    for condition in conditions {
        let Some(values) = usize::try_from(condition.index)
            .ok()
            .and_then(|index| values.get_mut(index))
        else {
            continue;
        };
        let (value, two) = (condition.value, condition.value_two);
        if condition.op == Operator::MaskedEq {
            let bits = (0..64).map(|bit| 1 << bit).filter(|bit| value & bit != 0);
            values.extend(bits.map(|bit| two ^ bit));
            values.extend([two, !value | two]);
        } else {
            values.extend([value.wrapping_sub(1), value, value.wrapping_add(1)]);
        }
        values.extend([0, u64::MAX]);
    }
    let mut probes = vec![[0; 6]];
    for (index, values) in values.iter().enumerate() {
        if values.is_empty() {
            continue;
        }
        let room = MAX_PROBES / probes.len().max(1);
        let with = |value: &u64| {
            let value = *value;
            probes.iter().map(move |args: &[u64; 6]| {
                let mut args = *args;
                if let Some(argument) = args.get_mut(index) {
                    *argument = value;
                }
                args
            })
        };
        let more = values.iter().take(room.max(1)).flat_map(with).collect();
        probes = more;
    }
    probes
}

//! Ways around a denied call: who is denied A reaches the same end by B.
//!
//! The relation has a direction. `open_by_handle_at` opens what `openat` opens, so a profile that denies
//! `openat` has a gap; a profile that denies `open_by_handle_at` has none, since `openat` cannot reach files
//! outside of the mount namespace.
//!
//! Every way has a program in tests/seccomp/bypass, which performs it under a filter that denies the
//! others. A way that no program can show is not listed.

mod files;
mod machine;
mod process;

use super::{Abi, errno, introduced::LinuxVersion};

/// What a program wants to do, the calls that a profile denies to prevent it, and the ways to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Short and unique, for tests.
    pub name: &'static str,
    /// What is done, to follow "a program can still".
    pub words: &'static str,
    /// What an attacker gains by it.
    pub gain: Gain,
    /// Calls that are denied to prevent it, and that are ways to do it themselves.
    pub group: &'static [Step],
    /// Calls that are denied to prevent it and are not listed as a way.
    pub also_denied: &'static [Step],
    /// Ways that nobody would deny for this end alone.
    pub ways: &'static [Way],
    /// Values of the parameter that reach the end; the first one stands for all.
    pub values: &'static [u64],
    /// Whether any value within `mask` that a profile names counts too.
    pub mask: u64,
    /// Report only a profile that denies some values of the parameter and allows others.
    pub only_conditional: bool,
    /// What prevents it where a filter cannot.
    pub instead: &'static str,
    /// Where the kernel says so.
    pub source: &'static str,
}

/// How much an attacker gains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gain {
    /// Nothing: every program needs the end, and no filter prevents it.
    Nothing,
    /// Something that profiles seldom deny on purpose.
    Some,
    /// Something that profiles are written against.
    Much,
}

/// Calls that reach an end together, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// All of them are needed.
    pub calls: &'static [Step],
    /// The calls to deny. Empty: the first one.
    pub deny: &'static [&'static str],
    /// What a program must have besides: a descriptor, a capability, a mount. Empty for nothing.
    pub needs: &'static str,
    /// The kernel that it came with, where the calls are older.
    pub since: Option<LinuxVersion>,
    /// Whether denying the call stops more than the end, so that no fix does.
    pub keep: bool,
    /// What it is called where the call's name is not enough: it is the denied call itself, with other arguments.
    pub label: &'static str,
}

/// A call with the arguments by which it reaches an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// Arguments that are not zero, by index.
    pub args: &'static [(usize, u64)],
    /// Where the end's parameter is.
    pub parameter: Parameter,
    /// Conditions, each of which is to be denied. Empty: the whole call.
    pub deny: &'static [&'static [Bits]],
}

/// Bits of an argument that have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Which argument, from 0.
    pub index: u32,
    /// The bits that are compared.
    pub mask: u64,
    /// What they are.
    pub value: u64,
}

/// Where a call takes what an end is about: a mode, flags, a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// It takes none: it always does the same.
    None,
    /// In a register, together with the bits that `args` sets there.
    Argument(usize),
    /// In memory, where no filter sees it: it takes any value.
    Memory,
}

const END: End = End {
    name: "",
    words: "",
    gain: Gain::Much,
    group: &[],
    also_denied: &[],
    ways: &[],
    values: &[0],
    mask: 0,
    only_conditional: false,
    instead: "",
    source: "",
};

const WAY: Way = Way {
    calls: &[],
    deny: &[],
    needs: "",
    since: None,
    keep: false,
    label: "",
};

/// A call that takes no parameter.
const fn call(name: &'static str) -> Step {
    with(name, &[])
}

/// A call that takes no parameter, with arguments.
const fn with(name: &'static str, args: &'static [(usize, u64)]) -> Step {
    Step {
        name,
        args,
        parameter: Parameter::None,
        deny: &[],
    }
}

/// A call with its parameter in a register.
const fn at(name: &'static str, index: usize) -> Step {
    Step {
        parameter: Parameter::Argument(index),
        ..call(name)
    }
}

/// A call with its parameter in memory.
const fn memory(name: &'static str) -> Step {
    Step {
        parameter: Parameter::Memory,
        ..call(name)
    }
}

const fn bits(index: u32, mask: u64, value: u64) -> Bits {
    Bits { index, mask, value }
}

/// All ends.
///
/// ```
/// use syscalls::bypass::ends;
///
/// // Every end says where the kernel says so.
/// assert!(ends().all(|end| !end.source.is_empty()));
/// let open = ends().find(|end| end.name == "open").unwrap();
/// assert!(open.ways().any(|way| way.has("openat")));
/// ```
pub fn ends() -> impl Iterator<Item = &'static End> {
    let all = files::ENDS.iter().chain(process::ENDS);
    all.chain(machine::ENDS)
}

impl End {
    /// All calls that are denied to prevent it.
    pub fn denied(&self) -> impl Iterator<Item = &'static Step> {
        self.group.iter().chain(self.also_denied)
    }

    /// All ways to it.
    pub fn ways(&self) -> impl Iterator<Item = Way> {
        let single = |call| Way {
            calls: std::slice::from_ref(call),
            ..WAY
        };
        let group = self.group.iter().map(single);
        group.chain(self.ways.iter().copied())
    }

    /// The pairs of a denied call and a way around it by other calls.
    pub fn edges(&self) -> impl Iterator<Item = (&'static Step, Way)> {
        let ways = move |denied: &'static Step| {
            let others = self
                .ways()
                .filter(|way| way.label.is_empty() && !way.has(denied.name));
            others.map(move |way| (denied, way))
        };
        self.denied().flat_map(ways)
    }
}

impl Way {
    /// Whether one of its calls has this name.
    pub fn has(&self, name: &str) -> bool {
        self.calls.iter().any(|call| call.name == name)
    }

    /// Whether an ABI has all of its calls.
    pub fn exists(&self, abi: Abi) -> bool {
        let mut calls = self.calls.iter();
        calls.all(|call| abi.syscall_number(call.name).is_some())
    }

    /// The calls to deny.
    pub fn to_deny(&self) -> impl Iterator<Item = &'static Step> {
        let names = self.deny;
        let calls = self.calls.iter().enumerate();
        calls
            .filter(move |(at, call)| match names {
                [] => *at == 0,
                names => names.contains(&call.name),
            })
            .map(|(_, call)| call)
    }

    /// `fsopen, fsconfig with move_mount`, or its label.
    pub fn words(&self) -> String {
        if !self.label.is_empty() {
            return self.label.to_owned();
        }
        let names: Vec<_> = self.calls.iter().map(|call| call.name).collect();
        match names.as_slice() {
            [first] => (*first).to_owned(),
            [first @ .., last] => format!("{} with {last}", first.join(", ")),
            [] => String::new(),
        }
    }
}

impl Step {
    /// Its arguments with a value of the parameter.
    pub fn arguments(&self, value: u64) -> [u64; 6] {
        let mut args = [0; 6];
        let mut set = |index: usize, bits: u64| {
            if let Some(argument) = args.get_mut(index) {
                *argument |= bits;
            }
        };
        for (index, bits) in self.args {
            set(*index, *bits);
        }
        if let Parameter::Argument(index) = self.parameter {
            set(index, value);
        }
        args
    }

    /// The error that makes its callers fall back, or tells them the truth.
    pub fn errno(&self) -> u32 {
        const EOPNOTSUPP: u32 = 95;
        match self.name {
            name if errno::is_probed(name) => errno::ENOSYS,
            // As on a file system without attributes or O_TMPFILE: cp -p and libc go on.
            name if name.ends_with("setxattr") || is_unnamed_file(self) => EOPNOTSUPP,
            _ => errno::EPERM,
        }
    }
}

/// Whether the condition is that of O_TMPFILE.
fn is_unnamed_file(call: &Step) -> bool {
    let mut conditions = call.deny.iter().flat_map(|all| all.iter());
    conditions.any(|bits| bits.mask == files::O_TMPFILE)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ends_are_complete_and_name_calls_that_exist() {
        let mut names = BTreeSet::new();
        for end in ends() {
            assert!(names.insert(end.name), "{}", end.name);
            assert!(!end.words.is_empty() && !end.values.is_empty());
            assert!(
                end.source.contains(".c") || end.source.contains('('),
                "{}",
                end.name
            );
            assert!(end.edges().next().is_some(), "{}", end.name);
            let calls = end.ways().flat_map(|way| way.calls).chain(end.denied());
            for call in calls {
                let known = Abi::ALL
                    .iter()
                    .any(|abi| abi.syscall_number(call.name).is_some());
                assert!(known, "{}", call.name);
            }
            for way in end.ways {
                assert!(way.deny.iter().all(|name| way.has(name)), "{way:?}");
            }
        }
    }

    #[test]
    fn the_relation_has_a_direction() {
        let is_edge = |denied: &str, by: &str| {
            ends()
                .flat_map(End::edges)
                .any(|(call, way)| call.name == denied && way.has(by))
        };
        assert!(is_edge("openat", "open_by_handle_at") && !is_edge("open_by_handle_at", "openat"));
        assert!(
            is_edge("unlink", "rename") && !is_edge("rename", "unlinkat")
                || is_edge("rename", "linkat")
        );
        assert!(is_edge("chmod", "setxattr") && !is_edge("setxattr", "chmod"));
        assert!(!is_edge("memfd_create", "memfd_secret"));
        // Marks on file systems and permission events are fanotify's alone.
        assert!(
            is_edge("inotify_init1", "fanotify_init") && !is_edge("fanotify_init", "inotify_init1")
        );
        assert!(is_edge("connect", "sendto") && !is_edge("sendto", "connect"));
        assert!(!is_edge("sethostname", "setdomainname"));
        assert!(!is_edge("socket", "socketcall"));
    }

    #[test]
    fn a_call_has_the_arguments_of_its_end() {
        let clone = process::ENDS
            .iter()
            .flat_map(|end| end.group)
            .find(|call| call.name == "clone" && !call.args.is_empty());
        assert_eq!(clone.unwrap().arguments(0x1000_0000)[0], 0x1000_0011);
    }
}

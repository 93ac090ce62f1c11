//! Arguments: of which calls they are recorded, and what their values are called.
//!
//! Only values of registers are any use to a filter: what a pointer leads to may change after the check
//! (seccomp(2)). And only those that choose *what* a call does, from a small set: not descriptors,
//! sizes, process ids.

mod names;
mod rows;
mod rules;

use super::Abi;

pub use names::CLONE3_MORE_THAN_FLAGS;
pub use rows::RECORDED_ARGUMENTS;
pub use rules::{AllowedArguments, Mode, NAMESPACES, Restriction, Rule};

/// How many of the first arguments can be recorded: no syscall that is worth it has one behind the
/// third.
pub const RECORDABLE_ARGUMENTS: usize = 3;

/// Most syscalls, of all ABIs of a machine, whose arguments can be recorded.
pub const MAX_RECORDED: usize = 64;

/// Calls whose arguments are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedArguments {
    /// Their names: calls that take the same arguments.
    pub names: &'static [&'static str],
    /// Those that are recorded, in the order of their indices; at most three.
    pub arguments: &'static [Argument],
    /// Whether the first one is behind a pointer: evidence, which no filter can look at.
    pub behind_pointer: bool,
    /// What becomes of them in a profile.
    pub rule: Rule,
    /// What they vary with, so that those which were seen may not be all; `None` when they do not.
    pub varies: Option<&'static str>,
    /// Combinations that libc makes by itself, seen or not.
    pub usual: &'static [&'static [u64]],
}

/// An argument whose values are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Which, from 0; below 3.
    pub index: u32,
    /// The bits that matter. For an `int` not those above 32: the kernel does not read them. The
    /// rest is recorded as 0.
    pub mask: u64,
    /// What its values mean.
    pub meaning: Meaning,
}

/// What the values of an argument mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meaning {
    /// Address family (`AF_*`).
    Family,
    /// Type of a socket (`SOCK_*`), without its flags.
    SocketType,
    /// Protocol, within the family.
    Protocol,
    /// Flags of clone and unshare (`CLONE_*`); the lowest byte of clone's is a signal.
    CloneFlags,
    /// A namespace (`CLONE_NEW*`), 0 for any.
    Namespace,
    /// Execution domain (`PER_*`).
    Personality,
    /// What prctl does (`PR_*`).
    Prctl,
    /// What ioctl does.
    Ioctl,
    /// What fcntl does (`F_*`).
    Fcntl,
    /// Level of a socket option (`SOL_*`, `IPPROTO_*`).
    OptionLevel,
    /// A socket option, within the level.
    OptionName,
    /// Protection of memory: whether it can be executed (`PROT_EXEC`).
    Protection,
    /// What keyctl does (`KEYCTL_*`).
    Keyctl,
    /// What bpf does (`BPF_*`).
    Bpf,
    /// What ptrace does (`PTRACE_*`).
    Ptrace,
    /// Advice about memory (`MADV_*`).
    Advice,
    /// What `arch_prctl` does (`ARCH_*`).
    ArchPrctl,
    /// The call that socketcall stands for.
    Socketcall,
    /// The call that ipc stands for.
    Ipc,
}

/// What is recorded of a call's arguments, if anything.
///
/// ```
/// use syscalls::{Abi, arguments};
///
/// // The address family of socket(2) is worth recording; nothing of read(2) is.
/// let socket = arguments::recorded(Abi::X86_64, "socket").unwrap();
/// assert!(socket.indices().contains(&0));
/// assert!(arguments::recorded(Abi::X86_64, "read").is_none());
/// ```
pub fn recorded(abi: Abi, name: &str) -> Option<&'static RecordedArguments> {
    // x32 has no row of marks. i386's `mmap` takes all its arguments in memory (`old_mmap`,
    // arch/x86/kernel/sys_ia32.c).
    if abi == Abi::X32 || (abi == Abi::I386 && name == "mmap") {
        return None;
    }
    RECORDED_ARGUMENTS
        .iter()
        .find(|recorded| recorded.names.contains(&name))
}

impl RecordedArguments {
    /// The indices of the arguments, as recordings have them.
    pub fn indices(&self) -> Vec<u32> {
        self.arguments
            .iter()
            .map(|argument| argument.index)
            .collect()
    }

    /// Whether values can be of this call: another version may have recorded other arguments, or other
    /// bits of them.
    pub fn matches_values(&self, indices: &[u32], values: &[u64]) -> bool {
        let pairs = self.arguments.iter().zip(values);
        indices.iter().eq(self.arguments.iter().map(|it| &it.index))
            && pairs.clone().count() == values.len()
            && pairs.into_iter().all(|(it, value)| value & !it.mask == 0)
    }

    /// Whether one value of 32 bits is all that is recorded.
    pub fn is_small(&self) -> bool {
        let [argument] = self.arguments else {
            return false;
        };
        !self.behind_pointer && argument.mask <= u64::from(u32::MAX)
    }

    /// The recorded ones of the first arguments, in the order of [`arguments`](Self::arguments).
    pub fn select_values(&self, values: [u64; RECORDABLE_ARGUMENTS]) -> Vec<u64> {
        self.arguments
            .iter()
            .filter_map(|argument| values.get(argument.index as usize).copied())
            .collect()
    }

    /// A combination of values in the words of manuals: `AF_INET, SOCK_STREAM`.
    pub fn describe(&self, values: &[u64]) -> String {
        let mut texts = Vec::new();
        let mut before = 0;
        for (argument, value) in self.arguments.iter().zip(values) {
            // Which protocol, or option, a number stands for depends on what stands before it. The
            // usual protocol, 0, goes without saying.
            if argument.meaning != Meaning::Protocol || *value != 0 {
                texts.push(names::text(argument.meaning, *value, before));
            }
            before = if argument.meaning == Meaning::SocketType {
                before
            } else {
                *value
            };
        }
        texts.join(", ")
    }
}

#[cfg(test)]
mod tests;

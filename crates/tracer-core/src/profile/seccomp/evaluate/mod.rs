//! What a profile does to a call, on the runtimes that people have.
//!
//! The runtime-spec has rules in a list and says nothing of two that match; what happens is what runc
//! or crun hand to libseccomp, and what that compiles. [`Filter`] follows them:
//!
//! | fact | source |
//! | --- | --- |
//! | a name holds in each listed ABI and in the runtime's own, listed or not; one that libseccomp does not know does nothing | src/db.c, `db_col_reset`; runc, `matchCall` |
//! | an entry that says the same as the default is left out, so it overrides nothing | runc, `matchCall`; crun, `libcrun_generate_seccomp` |
//! | two conditions on one argument are alternatives, and all others of the entry with them | the same two |
//! | the first rule without a condition decides, wherever it stands: those with one are dropped | src/db.c, `db_rule_add` |
//! | among rules with conditions the order is libseccomp's, not the profile's; some pairs are refused | [`tree`] |
//! | a value is cut to the ABI's width, 32 bits for x32 too, and to the mask | src/db.c, `_db_rule_gen_32`, `_db_rule_gen_64` |
//! | on i386 a rule for `socket` is one for `socketcall` too, and so on | [`multiplex`] |
//! | a call of an ABI that is not listed kills its thread; so do x32's without `SCMP_ARCH_X32`, but for number -1 | src/gen_bpf.c, `_gen_bpf_arch` |
//! | runc answers ENOSYS above the largest number that the profile names in an ABI that it lists | patchbpf/enosys_linux.go |
//!
//! Where runc and crun differ, besides that stub: crun refuses `errnoRet` where nothing returns it,
//! heeds the first six conditions only, and reads architectures in any case and without their prefix;
//! runc refuses NOTIFY by default and for `write`, and empty names.
//!
//! Sources are of libseccomp 2.5.4, runc 1.1 (libcontainer/seccomp/seccomp_linux.go) and crun 1.8
//! (src/libcrun/seccomp.c). `tests/seccomp` compares with the libseccomp of the machine. That
//! compiles some trees wrongly; see there.

mod compile;
mod decision;
mod host;
mod multiplex;
mod partial;
#[cfg(test)]
pub(crate) mod partial_tests;
mod program;
#[cfg(test)]
mod properties;
mod refusal;
mod rule;
#[cfg(test)]
mod tests;
mod tree;
mod verdict;

use std::collections::BTreeMap;

pub use decision::Decision;
pub use host::{Host, Libseccomp};
pub use partial::{PossibleVerdicts, Register};
pub use program::{Instruction, TooLong};
pub use refusal::Refusal;
pub use syscalls::OciRuntime;
pub use verdict::Verdict;

use super::{abis::filtered_as, oci::OciSeccomp};
use crate::recording::SyscallId;
use compile::{Compiled, Table};
use rule::Rule;
use syscalls::{Abi, errno};
use tree::Rules;

/// What decided a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// An entry of `syscalls`, counted from 0.
    Entry(usize),
    /// `defaultAction`.
    Default,
    /// The call is of an ABI that `architectures` does not list.
    Architecture,
    /// runc's answer for numbers above all that the profile names.
    Stub,
}

/// What happens to a call, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the filter returns.
    pub verdict: Verdict,
    /// What decided.
    pub decider: Decider,
    /// Entries with conditions that match the call too, and say something else: that they do not
    /// decide follows from libseccomp's order alone.
    pub contested: Vec<usize>,
}

/// A profile as it is in force on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    default: Verdict,
    tables: BTreeMap<Abi, Table>,
    last: BTreeMap<Abi, u32>,
    idle: Vec<(usize, String)>,
}

impl Filter {
    /// What a runtime makes of a profile.
    ///
    /// # Errors
    ///
    /// What the runtime or its libseccomp refuses: no container starts with such a profile.
    pub fn new(profile: &OciSeccomp, host: Host) -> Result<Self, Refusal> {
        let Compiled {
            default,
            tables,
            last,
            idle,
            ..
        } = compile::compile(profile, host)?;
        Ok(Self {
            default,
            tables,
            last,
            idle: idle.into_iter().collect(),
        })
    }

    /// What happens to a call.
    pub fn evaluate(&self, call: SyscallId, args: [u64; 6]) -> Outcome {
        let by = |verdict, decider| Outcome {
            verdict,
            decider,
            contested: Vec::new(),
        };
        if self.is_beyond(call) {
            let enosys = Verdict::Errno(u16::try_from(errno::ENOSYS).unwrap_or_default());
            return by(enosys, Decider::Stub);
        }
        let Some(table) = self.tables.get(&filtered_as(native(call))) else {
            // SCMP_FLTATR_ACT_BADARCH, which no runtime changes.
            return by(Verdict::KillThread, Decider::Architecture);
        };
        match table.get(&call.nr).and_then(|rules| rules.decide(&args)) {
            Some((rule, contested)) => Outcome {
                verdict: rule.verdict,
                decider: Decider::Entry(rule.entry),
                contested,
            },
            None => by(self.default, Decider::Default),
        }
    }

    /// The rules of a number, where rules decide.
    fn rules(&self, call: SyscallId) -> impl Iterator<Item = &Rule> {
        let table = self.tables.get(&filtered_as(native(call)));
        let rules = table.and_then(|table| table.get(&call.nr));
        let rules = rules.filter(|_| !self.is_beyond(call));
        rules.into_iter().flat_map(Rules::iter)
    }

    /// Whether runc's stub answers. It tells x32 by the bit alone, so -1 is of x32 to it.
    fn is_beyond(&self, call: SyscallId) -> bool {
        const X32_BIT: u32 = 1 << 30;
        let abi = match native(call).abi {
            Abi::X86_64 if call.nr & X32_BIT != 0 => Abi::X32,
            abi => abi,
        };
        self.last.get(&abi).is_some_and(|last| call.nr > *last)
    }

    /// The names that do nothing on this host, each with its entry: no ABI that the filter is for
    /// has such a call, or libseccomp does not know it yet.
    pub fn without_effect(&self) -> impl Iterator<Item = (usize, &str)> {
        self.idle
            .iter()
            .map(|(entry, name)| (*entry, name.as_str()))
    }
}

/// A filter sees no difference between x86-64 and x32 but in the number.
fn native(call: SyscallId) -> SyscallId {
    let abi = match call.abi {
        Abi::X32 => Abi::X86_64,
        abi => abi,
    };
    SyscallId { abi, ..call }
}

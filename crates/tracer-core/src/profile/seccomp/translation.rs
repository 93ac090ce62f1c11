//! A profile for a machine other than the one that was recorded on: what becomes of what was observed.

use std::collections::{BTreeMap, BTreeSet};

use crate::recording::{Evidence, Executable};
use syscalls::{
    Abi, runtime_init,
    translate::{self, Counterpart},
};

/// What becomes of calls that were observed elsewhere; see [`syscalls::translate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    to: Abi,
    /// The native ABIs of the machines recorded on.
    natives: BTreeSet<Abi>,
    calls: BTreeMap<(Abi, &'static str), Vec<Counterpart>>,
    lost: BTreeMap<(Abi, &'static str), Untranslated>,
}

/// A call that was observed, counts, and is not in the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untranslated {
    /// Why, after "not translated:".
    pub why: &'static str,
    /// The executables that were seen to make it.
    pub executables: BTreeSet<Executable>,
}

/// The reason for calls of an ABI that is not the machine's own.
const COMPAT: &str = "a program of another ABI than the machine's own made it, which is another program, or none, on another machine";

impl Translation {
    pub(super) fn new(to: Abi, natives: BTreeSet<Abi>) -> Self {
        Self {
            to,
            natives,
            calls: BTreeMap::new(),
            lost: BTreeMap::new(),
        }
    }

    /// The native ABI that the profile is for.
    pub fn to(&self) -> Abi {
        self.to
    }

    /// The ABIs of the machines recorded on that are not those of the one it is for; there is always
    /// one.
    pub fn from(&self) -> impl Iterator<Item = Abi> {
        let natives = self.natives.iter().copied();
        natives.filter(|abi| !self.is_native(*abi))
    }

    /// The observed calls whose work is done by others there, each with these.
    pub fn replaced(&self) -> impl Iterator<Item = (&'static str, &[Counterpart])> {
        let by_name: BTreeMap<_, _> = self
            .calls
            .iter()
            .filter(|((_, name), by)| !matches!(by[..], [one] if one.call == *name))
            .map(|((_, name), by)| (*name, by.as_slice()))
            .collect();
        by_name.into_iter()
    }

    /// The observed calls that are not in the profile.
    pub fn lost(&self) -> impl Iterator<Item = (Abi, &'static str, &Untranslated)> {
        self.lost
            .iter()
            .map(|((abi, name), lost)| (*abi, *name, lost))
    }

    /// What is called there by every program when it starts, and not where it was recorded; and why.
    pub fn start(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let of_all: BTreeSet<_> = self
            .from()
            .flat_map(|from| translate::start(from, self.to))
            .collect();
        of_all.into_iter()
    }

    /// Whether the machine that the profile is for offers this ABI.
    pub(super) fn is_native(&self, abi: Abi) -> bool {
        let of_machine = |abi| match abi {
            Abi::X86_64 | Abi::I386 | Abi::X32 => Abi::X86_64,
            Abi::Aarch64 | Abi::Arm => Abi::Aarch64,
            Abi::Riscv64 => Abi::Riscv64,
        };
        // A 32-bit machine has its own ABI only.
        abi == self.to || (!self.to.is_32_bit() && of_machine(abi) == self.to)
    }

    /// What does the work of a call there; of one that nothing does, the reason.
    pub(super) fn of(
        &self,
        abi: Abi,
        name: &'static str,
    ) -> Result<Vec<Counterpart>, &'static str> {
        if !self.natives.contains(&abi) {
            return Err(COMPAT);
        }
        translate::translate(name, abi, self.to)
    }

    /// Takes note that a call counts.
    pub(super) fn add(
        &mut self,
        abi: Abi,
        name: &'static str,
        by: Result<&[Counterpart], &'static str>,
        who: &Evidence,
    ) {
        match by {
            Ok(by) => {
                self.calls.entry((abi, name)).or_insert_with(|| by.to_vec());
            }
            Err(why) => {
                let lost = self
                    .lost
                    .entry((abi, name))
                    .or_insert_with(|| Untranslated {
                        why,
                        executables: BTreeSet::new(),
                    });
                lost.executables.insert(who.executable.clone());
            }
        }
    }
}

/// What runtimes of `choice` call in the window on machines with these native ABIs, each with those
/// that need it.
///
/// Written down are the names of 64-bit ABIs, as measured on x86-64; a 32-bit runtime calls the wide
/// forms.
pub(super) fn runtime_init_syscalls(
    choice: &runtime_init::RuntimeSelection,
    natives: &BTreeSet<Abi>,
) -> BTreeMap<&'static str, Vec<&'static runtime_init::Row>> {
    let mut calls: BTreeMap<_, Vec<&runtime_init::Row>> = BTreeMap::new();
    for abi in natives {
        for (name, rows) in choice.required_syscalls() {
            let names = if abi.is_32_bit() {
                let by = translate::translate(name, Abi::X86_64, *abi);
                by.unwrap_or_default().iter().map(|it| it.call).collect()
            } else if abi.syscall_number(name).is_some() {
                vec![name]
            } else {
                Vec::new()
            };
            for name in names {
                let known = calls.entry(name).or_default();
                for row in &rows {
                    if !known.contains(row) {
                        known.push(*row);
                    }
                }
            }
        }
    }
    calls
}

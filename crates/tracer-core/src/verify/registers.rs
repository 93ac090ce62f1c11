//! What is known of the registers that a call was given.

use std::collections::BTreeMap;

use crate::{
    profile::seccomp::evaluate::{Filter, PossibleVerdicts, Register},
    recording::{Evidence, Phase, Syscall, SyscallId},
};
use syscalls::arguments::{RecordedArguments, recorded};

/// Registers as they may have been, and in which phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownRegisters {
    /// The phase.
    pub(super) phase: Phase,
    /// By the manuals' names, or as numbers; `None`: nothing is known.
    pub(super) words: Option<String>,
    /// The values of the arguments that are recorded, behind a pointer or not.
    pub(super) values: Option<Vec<u64>>,
    /// More than one where the upper half of an `int` may be either of two.
    registers: Vec<[Register; 6]>,
    /// Without what is only supposed of that half: that it is as compilers leave it.
    certain: [Register; 6],
}

impl KnownRegisters {
    /// Nothing is known of it.
    pub(super) fn unknown(phase: Phase) -> Self {
        Self {
            phase,
            words: None,
            values: None,
            registers: vec![[Register::default(); 6]],
            certain: [Register::default(); 6],
        }
    }

    /// All is: the first time that somebody made it.
    pub(super) fn whole(phase: Phase, args: [u64; 6]) -> Self {
        let args_in_words: Vec<_> = args.iter().map(|it| format!("{it:#x}")).collect();
        Self {
            phase,
            words: Some(args_in_words.join(", ")),
            values: None,
            registers: vec![args.map(Register::whole)],
            certain: args.map(Register::whole),
        }
    }

    /// Those that are recorded are.
    pub(super) fn values(phase: Phase, recorded: &RecordedArguments, values: &[u64]) -> Self {
        let mut given = Self {
            words: Some(recorded.describe(values)),
            values: Some(values.to_vec()),
            ..Self::unknown(phase)
        };
        if recorded.behind_pointer {
            // A filter sees the pointer.
            return given;
        }
        for (argument, value) in recorded.arguments.iter().zip(values) {
            let int = argument.mask <= u64::from(u32::MAX);
            if let Some(place) = given.certain.get_mut(argument.index as usize) {
                *place = Register {
                    known: argument.mask,
                    value: *value,
                };
            }
            let upper = u64::from(u32::MAX) << 32;
            let known = argument.mask | if int { upper } else { 0 };
            // A compiler clears the upper half or extends the sign, whichever is shorter.
            let negative = int && value & (1 << 31) != 0;
            let extended = negative.then_some(value | upper);
            let registers = std::mem::take(&mut given.registers);
            for register in registers {
                for value in [Some(*value), extended].into_iter().flatten() {
                    let mut one = register;
                    if let Some(place) = one.get_mut(argument.index as usize) {
                        *place = Register { known, value };
                    }
                    given.registers.push(one);
                }
            }
        }
        given
    }

    /// Whether what may happen to it follows from what is certain.
    pub(super) fn is_certain(&self, filter: &Filter, call: SyscallId) -> bool {
        let certain = filter.possible_verdicts(call, &self.certain);
        certain.verdicts.len() == 1
            || certain.verdicts == self.possible_verdicts(filter, call).verdicts
    }

    /// What may happen to it.
    pub(super) fn possible_verdicts(&self, filter: &Filter, call: SyscallId) -> PossibleVerdicts {
        let mut all = PossibleVerdicts {
            verdicts: BTreeMap::new(),
            depends_on: [].into(),
        };
        for registers in &self.registers {
            let one = filter.possible_verdicts(call, registers);
            all.verdicts.extend(one.verdicts);
            all.depends_on.extend(one.depends_on);
        }
        all
    }
}

/// With one known value of the first argument that is recorded, as it is known of runtimes.
pub(super) fn first_value(recorded: &RecordedArguments, value: u64) -> KnownRegisters {
    KnownRegisters::values(Phase::RuntimeInit, recorded, &[value])
}

/// When nothing is known of it.
pub(super) fn nothing() -> KnownRegisters {
    KnownRegisters::unknown(Phase::RuntimeInit)
}

/// Everything that a call was given in the phases that count. `is_told` says whether it is known what
/// happens to it whatever the rest of its registers is: then nothing more is asked of it.
pub(super) fn all(
    syscall: &Syscall,
    counts: impl Fn(Phase) -> bool,
    is_told: impl Fn(&KnownRegisters) -> bool,
) -> Vec<KnownRegisters> {
    let made = |it: &&Evidence| it.blocked.is_none() && counts(it.phase);
    let mut all = Vec::new();
    let name = syscall.abi.syscall_name(syscall.nr);
    let recorded = name.and_then(|name| recorded(syscall.abi, name));
    let arguments = syscall.arguments.as_ref();
    let known = recorded.zip(arguments).filter(|(recorded, arguments)| {
        let mut seen = arguments.seen.iter();
        seen.all(|it| recorded.matches_values(&arguments.indices, &it.values))
    });
    for phase in syscall.phases.iter().copied().filter(|it| counts(*it)) {
        let evidence = syscall.evidence.iter().filter(made);
        let of_phase: Vec<_> = evidence.filter(|it| it.phase == phase).collect();
        if of_phase.is_empty() {
            continue;
        }
        let first = |fits: &dyn Fn([u64; 6]) -> bool| -> Vec<KnownRegisters> {
            let firsts = of_phase.iter().filter_map(|it| it.first.as_ref());
            let fitting = firsts.filter(|first| fits(first.args));
            fitting
                .map(|first| KnownRegisters::whole(phase, first.args))
                .collect()
        };
        let unknown = KnownRegisters::unknown(phase);
        let Some((recorded, arguments)) = known else {
            if !is_told(&unknown) {
                all.extend(first(&|_| true));
            }
            all.push(unknown);
            continue;
        };
        for combination in arguments.seen.iter().filter(|it| it.phase == phase) {
            let given = KnownRegisters::values(phase, recorded, &combination.values);
            if !is_told(&given) {
                all.extend(first(&|args| {
                    is_one_of(recorded, &combination.values, args)
                }));
            }
            all.push(given);
        }
        if arguments.cut.contains(&phase) {
            all.push(unknown);
        }
    }
    all
}

/// Whether registers are of a combination that is recorded under masks.
pub(super) fn is_one_of(recorded: &RecordedArguments, values: &[u64], args: [u64; 6]) -> bool {
    !recorded.behind_pointer
        && recorded.arguments.iter().zip(values).all(|(it, value)| {
            let argument = args.get(it.index as usize);
            argument.is_some_and(|argument| argument & it.mask == *value)
        })
}

/// What is known of the first time that each of these was stopped.
pub(super) fn stopped<'a>(evidence: impl Iterator<Item = &'a Evidence>) -> Vec<KnownRegisters> {
    evidence
        .map(|it| {
            it.first
                .as_ref()
                .map_or(KnownRegisters::unknown(it.phase), |first| {
                    KnownRegisters::whole(it.phase, first.args)
                })
        })
        .collect()
}

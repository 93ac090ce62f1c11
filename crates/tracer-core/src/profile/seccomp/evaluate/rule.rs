//! One rule of a compiled filter, and which of several decides.

use std::cmp::Ordering;

use super::{
    super::oci::{Condition, Operator},
    Verdict,
};
use syscalls::Abi;

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    index: usize,
    operator: Operator,
    mask: u64,
    value: u64,
    wide: bool,
}

/// What happens to the calls of one number that pass all tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Which entry of the profile it comes from.
    pub(super) entry: usize,
    pub(super) verdict: Verdict,
    /// By index, each once. None: every call.
    pub(super) tests: Vec<Test>,
}

/// The bits of a register that libseccomp compares. x32 counts as a 32-bit ABI (src/arch-x32.c).
pub(super) fn width(abi: Abi) -> u64 {
    match abi {
        Abi::I386 | Abi::X32 | Abi::Arm => u64::from(u32::MAX),
        Abi::X86_64 | Abi::Aarch64 | Abi::Riscv64 => u64::MAX,
    }
}

impl Test {
    pub(super) const fn equals(index: usize, value: u64) -> Self {
        Self {
            index,
            operator: Operator::Eq,
            mask: u64::MAX,
            value,
            wide: true,
        }
    }

    /// `None` when the index is not one of an argument.
    pub(super) fn new(condition: &Condition) -> Option<Self> {
        let index = usize::try_from(condition.index)
            .ok()
            .filter(|index| *index < 6)?;
        let (mask, value) = match condition.op {
            Operator::MaskedEq => (condition.value, condition.value_two),
            _ => (u64::MAX, condition.value),
        };
        Some(Self {
            index,
            operator: condition.op,
            mask,
            value,
            wide: true,
        })
    }

    pub(super) const fn index(&self) -> usize {
        self.index
    }

    pub(super) const fn operator(&self) -> Operator {
        self.operator
    }

    pub(super) const fn mask(&self) -> u64 {
        self.mask
    }

    pub(super) const fn value(&self) -> u64 {
        self.value
    }

    /// As a profile would say it.
    pub(super) fn condition(&self) -> Condition {
        let (value, value_two) = match self.operator {
            Operator::MaskedEq => (self.mask, self.value),
            _ => (self.value, 0),
        };
        Condition {
            // Below 6 by construction.
            index: u32::try_from(self.index).unwrap_or_default(),
            value,
            value_two,
            op: self.operator,
        }
    }

    /// Whether both halves are compared.
    pub(super) const fn wide(&self) -> bool {
        self.wide
    }

    /// How many comparisons of 32 bits it takes.
    pub(super) const fn stages(&self) -> u8 {
        match (self.wide, self.operator) {
            (false, _) => 1,
            (true, Operator::Eq | Operator::Ne | Operator::MaskedEq) => 2,
            (true, _) => 3,
        }
    }

    /// As it is compiled for an ABI; `None` when it then holds for every call.
    ///
    /// The value is cut to the ABI's width, and to the mask: MASKED_EQ with a value outside of its
    /// mask is not never, as the runtime-spec has it (`value & arg == valueTwo`).
    pub(super) fn narrowed(self, width: u64) -> Option<Self> {
        let mask = self.mask & width;
        let always = self.operator == Operator::MaskedEq && mask == 0;
        (!always).then_some(Self {
            mask,
            value: self.value & mask,
            wide: width == u64::MAX,
            ..self
        })
    }

    fn holds(self, args: &[u64; 6]) -> bool {
        // The index is below 6 by construction.
        let argument = args.get(self.index).copied().unwrap_or_default() & self.mask;
        let order = argument.cmp(&self.value);
        match self.operator {
            Operator::Ne => order != Ordering::Equal,
            Operator::Lt => order == Ordering::Less,
            Operator::Le => order != Ordering::Greater,
            Operator::Eq | Operator::MaskedEq => order == Ordering::Equal,
            Operator::Ge => order != Ordering::Less,
            Operator::Gt => order == Ordering::Greater,
        }
    }
}

impl Rule {
    pub(super) fn matches(&self, args: &[u64; 6]) -> bool {
        self.tests.iter().all(|test| test.holds(args))
    }
}

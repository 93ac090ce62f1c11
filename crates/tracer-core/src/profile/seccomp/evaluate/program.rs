//! From a filter to the program that the kernel runs for it (seccomp(2), classic BPF).
//!
//! It does what [`Filter::evaluate`] says, which says what libseccomp's trees mean: the numbers are found
//! by halving, and where the arguments matter, the nodes of a level are asked in libseccomp's order and
//! those below a node before the next of its level. libseccomp itself is not used: it would have to be
//! opened at run time, which a static binary cannot, and up to 2.6.1 it compiles some trees wrongly.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{
    Filter, Verdict,
    compile::Table,
    rule::Rule,
    tree::{Asks, Next, Node, Question, Rules},
};
use syscalls::{Abi, errno};

/// Most instructions that the kernel takes (`BPF_MAXINSNS`, include/uapi/linux/bpf_common.h).
const LIMIT: usize = 4096;

/// `struct seccomp_data` (include/uapi/linux/seccomp.h): the number, the architecture, then the address of
/// the call and the arguments. Every machine that is known here is little-endian.
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// Codes of include/uapi/linux/bpf_common.h: load a word, AND, jump, compare, return; all with a constant.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const EQUAL: u16 = 0x15;
const ABOVE: u16 = 0x25;
const FROM: u16 = 0x35;
const RETURN: u16 = 0x06;

const X32_BIT: u32 = 1 << 30;

/// `struct sock_filter` (include/uapi/linux/filter.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// How many instructions to skip when a comparison holds.
    pub jump_true: u8,
    /// And when not.
    pub jump_false: u8,
    /// The constant.
    pub constant: u32,
}

/// A filter that the kernel would not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the profile makes a filter of {0} instructions, and the kernel takes {LIMIT}")]
pub struct TooLong(pub usize);

impl Filter {
    /// The program for the kernel.
    ///
    /// # Errors
    ///
    /// When it is too long.
    pub fn program(&self) -> Result<Vec<Instruction>, TooLong> {
        let mut code = Code::default();
        code.load(ARCH);
        let mut architectures: BTreeMap<u32, Vec<Abi>> = BTreeMap::new();
        for abi in self.tables.keys() {
            architectures
                .entry(audit_arch(*abi))
                .or_default()
                .push(*abi);
        }
        for (arch, abis) in architectures {
            let next = code.label();
            code.unless(EQUAL, arch, next);
            code.load(NR);
            self.architecture(&mut code, &abis);
            code.place(next);
        }
        code.give(Verdict::KillThread);
        code.finish()
    }

    /// One architecture; the number is loaded.
    fn architecture(&self, code: &mut Code, abis: &[Abi]) {
        let has_x32 = abis.iter().all(|abi| matches!(abi, Abi::X86_64 | Abi::X32));
        if !has_x32 {
            for abi in abis {
                self.abi(code, Some(*abi), *abi);
            }
            return;
        }
        // As `evaluate`: runc's stub tells x32 by the bit, libseccomp does not take -1 for it.
        let x32 = code.label();
        let listed = |abi: Abi| abis.contains(&abi).then_some(abi);
        let not_x32 = code.label();
        code.unless(FROM, X32_BIT, not_x32);
        code.jump(x32);
        code.place(not_x32);
        self.abi(code, listed(Abi::X86_64), Abi::X86_64);
        code.place(x32);
        self.stub(code, Abi::X32);
        let ordinary = code.label();
        code.unless(EQUAL, u32::MAX, ordinary);
        // No call has that number, and no rule.
        code.give(listed(Abi::X86_64).map_or(Verdict::KillThread, |_| self.default));
        code.place(ordinary);
        self.numbers(code, listed(Abi::X32));
    }

    fn abi(&self, code: &mut Code, listed: Option<Abi>, of: Abi) {
        self.stub(code, of);
        self.numbers(code, listed);
    }

    /// runc's answer for what is above all that the profile names.
    fn stub(&self, code: &mut Code, abi: Abi) {
        if let Some(last) = self.last.get(&abi) {
            let within = code.label();
            code.unless(ABOVE, *last, within);
            let enosys = u16::try_from(errno::ENOSYS).unwrap_or_default();
            code.give(Verdict::Errno(enosys));
            code.place(within);
        }
    }

    /// The rules of an ABI, by number.
    fn numbers(&self, code: &mut Code, abi: Option<Abi>) {
        let Some(table) = abi.and_then(|abi| self.tables.get(&abi)) else {
            code.give(Verdict::KillThread);
            return;
        };
        let ranges = ranges(table, self.default);
        find(code, &ranges, self.default);
    }
}

/// What happens to the numbers from one on, up to the next range.
struct Range<'rules> {
    from: u32,
    what: What<'rules>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What<'rules> {
    Always(Verdict),
    By(&'rules Rules),
}

fn ranges(table: &Table, default: Verdict) -> Vec<Range<'_>> {
    let mut ranges = vec![Range {
        from: 0,
        what: What::Always(default),
    }];
    for (nr, rules) in table {
        let always = rules.iter().find(|rule| rule.tests.is_empty());
        let what = always.map_or(What::By(rules), |rule| What::Always(rule.verdict));
        // What stands there for what is behind the number before.
        ranges.pop_if(|last| last.from == *nr);
        ranges.push(Range { from: *nr, what });
        if let Some(next) = nr.checked_add(1) {
            ranges.push(Range {
                from: next,
                what: What::Always(default),
            });
        }
    }
    ranges.dedup_by(|later, earlier| later.what == earlier.what);
    ranges
}

/// Halves the ranges until one is left.
fn find(code: &mut Code, ranges: &[Range<'_>], default: Verdict) {
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    match (ranges, upper.first()) {
        ([one], _) => match one.what {
            What::Always(verdict) => code.give(verdict),
            What::By(rules) => {
                let nodes = rules.iter().map(Rule::start).collect();
                level(code, nodes);
                code.give(default);
            }
        },
        (_, Some(middle)) => {
            let below = code.label();
            code.unless(FROM, middle.from, below);
            find(code, upper, default);
            code.place(below);
            find(code, lower, default);
        }
        (_, None) => code.give(default),
    }
}

/// The nodes of a level, one after the other. What none of them decides goes on behind them.
fn level(code: &mut Code, nodes: Vec<Node<'_>>) {
    let mut groups: Vec<(Question, Vec<Node<'_>>)> = Vec::new();
    for node in nodes {
        let Some(question) = node.question() else {
            continue;
        };
        // Of two that ask the same, one may come before what the other comes behind; at most one of
        // them holds then.
        let is_same = |(known, group): &&mut (Question, Vec<Node<'_>>)| {
            let first = group.first().and_then(|it| it.priority());
            *known == question && first == node.priority()
        };
        match groups.iter_mut().find(is_same) {
            Some((_, group)) => group.push(node),
            None => groups.push((question, vec![node])),
        }
    }
    // Stable: of equals the one that was added first.
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.first().and_then(|it| it.priority())));
    for (question, group) in groups {
        let no = code.label();
        let next = code.label();
        code.ask(question, no);
        branch(code, &group, question, true);
        code.jump(next);
        code.place(no);
        branch(code, &group, question, false);
        code.place(next);
    }
}

/// What follows from an answer.
fn branch(code: &mut Code, group: &[Node<'_>], question: Question, yes: bool) {
    let mut below = Vec::new();
    let mut decided: Option<Node<'_>> = None;
    for node in group.iter().copied() {
        match node.answer(yes) {
            Next::Away => {}
            Next::To(next) => below.push(next),
            // As `asked_first` has it.
            Next::Verdict => {
                let value = |node: Node<'_>| node.test().map(|test| test.value());
                let larger = yes && question.half.1;
                if decided.is_none_or(|first| larger && value(node) > value(first)) {
                    decided = Some(node);
                }
            }
        }
    }
    match decided {
        Some(node) => code.give(node.rule.verdict),
        None => level(code, below),
    }
}

/// The constant that a filter returns (include/uapi/linux/seccomp.h, `SECCOMP_RET_*`).
fn returned(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Allow => 0x7fff_0000,
        Verdict::Log => 0x7ffc_0000,
        Verdict::Errno(number) => 0x0005_0000 | u32::from(number),
        Verdict::Trace(number) => 0x7ff0_0000 | u32::from(number),
        Verdict::Trap => 0x0003_0000,
        Verdict::KillThread => 0,
        Verdict::KillProcess => 0x8000_0000,
        Verdict::Notify => 0x7fc0_0000,
    }
}

/// `AUDIT_ARCH_*` (include/uapi/linux/audit.h).
const fn audit_arch(abi: Abi) -> u32 {
    match abi {
        Abi::X86_64 | Abi::X32 => 0xc000_003e,
        Abi::I386 => 0x4000_0003,
        Abi::Aarch64 => 0xc000_00b7,
        Abi::Arm => 0x4000_0028,
        Abi::Riscv64 => 0xc000_00f3,
    }
}

/// A place in the program, which may still be to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label(usize);

/// A program in the making. Jumps only go forward.
#[derive(Debug, Default)]
struct Code {
    instructions: Vec<Instruction>,
    labels: usize,
    /// The jumps to each label that has no place yet.
    jumps: BTreeMap<Label, Vec<usize>>,
}

impl Code {
    fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels)
    }

    fn put(&mut self, code: u16, constant: u32) {
        self.instructions.push(Instruction {
            code,
            jump_true: 0,
            jump_false: 0,
            constant,
        });
    }

    fn load(&mut self, offset: u32) {
        self.put(LOAD, offset);
    }

    fn give(&mut self, verdict: Verdict) {
        self.put(RETURN, returned(verdict));
    }

    fn jump(&mut self, to: Label) {
        self.jumps
            .entry(to)
            .or_default()
            .push(self.instructions.len());
        self.put(JUMP, 0);
    }

    /// Goes on here when the comparison holds, else at the label: a comparison itself jumps no further
    /// than 255 instructions.
    fn unless(&mut self, code: u16, constant: u32, otherwise: Label) {
        self.instructions.push(Instruction {
            code,
            jump_true: 1,
            jump_false: 0,
            constant,
        });
        self.jump(otherwise);
    }

    fn ask(&mut self, question: Question, no: Label) {
        let (index, upper) = question.half;
        // The index is below 6 by construction.
        let index = u32::try_from(index).unwrap_or_default();
        self.load(ARGS + 8 * index + if upper { 4 } else { 0 });
        if question.mask != u32::MAX {
            self.put(AND, question.mask);
        }
        let code = match question.asks {
            Asks::Equal | Asks::MaskedEqual => EQUAL,
            Asks::Greater => ABOVE,
            Asks::GreaterOrEqual => FROM,
        };
        self.unless(code, question.value, no);
    }

    /// The label is here.
    fn place(&mut self, label: Label) {
        let here = self.instructions.len();
        for from in self.jumps.remove(&label).unwrap_or_default() {
            if let Some(jump) = self.instructions.get_mut(from) {
                // A program that is too long for the number is refused at the end.
                jump.constant = u32::try_from(here - from - 1).unwrap_or(u32::MAX);
            }
        }
    }

    fn finish(self) -> Result<Vec<Instruction>, TooLong> {
        if self.instructions.len() > LIMIT {
            return Err(TooLong(self.instructions.len()));
        }
        Ok(self.instructions)
    }
}

#[cfg(test)]
mod tests;

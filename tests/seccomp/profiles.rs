//! Profiles and calls at random, made to meet.

use proptest::{array, collection::vec, option, prelude::*, sample::select};
use syscalls::Abi;
use tracer_core::{
    profile::seccomp::oci::{Action, Condition, Entry, OciSeccomp, Operator},
    recording::SyscallId,
};

/// Names that are special to someone: multiplexed on i386, only in some ABIs, of arm alone, too new
/// for libseccomp 2.5.4, in no table.
pub(crate) const SPECIAL: [&str; 20] = [
    "socket",
    "connect",
    "accept",
    "send",
    "recvmmsg",
    "semop",
    "shmget",
    "msgctl",
    "socketcall",
    "ipc",
    "clone",
    "personality",
    "read",
    "mmap2",
    "set_tls",
    "cacheflush",
    "riscv_hwprobe",
    "cachestat",
    "mseal",
    "no_such_call",
];

/// Values around which comparisons change, within 32 bits and beyond.
const VALUES: [u64; 12] = [
    0,
    1,
    5,
    16,
    0x7e02_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0005,
    0xffff_ffff_0000_0000,
    u64::MAX,
];

/// Half of them special, where they are among `names`.
fn name(names: Vec<&'static str>) -> impl Strategy<Value = String> {
    let special = |name: &&str| SPECIAL.contains(name);
    let special: Vec<_> = names.iter().copied().filter(special).collect();
    prop_oneof![select(special), select(names)].prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![9 => select(VALUES.to_vec()), 1 => any::<u64>()]
}

/// A value near one of `VALUES`, with the upper half set or not.
fn argument() -> impl Strategy<Value = u64> {
    let near = select(VALUES.to_vec()).prop_flat_map(|value| {
        select(vec![
            value,
            value.wrapping_add(1),
            value.wrapping_sub(1),
            value ^ (1 << 32),
            value & 0xffff_ffff,
        ])
    });
    prop_oneof![9 => near, 1 => any::<u64>()]
}

fn condition() -> impl Strategy<Value = Condition> {
    let operator = select(vec![
        Operator::Ne,
        Operator::Lt,
        Operator::Le,
        Operator::Eq,
        Operator::Ge,
        Operator::Gt,
        Operator::MaskedEq,
    ]);
    let index = prop_oneof![60 => 0_u32..3, 10 => 3_u32..6, 1 => Just(6)];
    (index, value(), value(), operator).prop_map(|(index, value, value_two, op)| Condition {
        index,
        value,
        value_two,
        op,
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => Just(Action::Allow),
        4 => Just(Action::Errno),
        1 => select(vec![
            Action::Kill,
            Action::KillProcess,
            Action::KillThread,
            Action::Trap,
            Action::Trace,
            Action::Log,
            Action::Notify,
        ]),
    ]
}

/// A number, nearly always where one is returned, as crun demands.
fn number(action: Action) -> impl Strategy<Value = Option<u32>> {
    let returned = matches!(action, Action::Errno | Action::Trace);
    let some = select(vec![0_u32, 1, 2, 38, 4096, 0x1_0001]);
    option::weighted(if returned { 0.8 } else { 0.01 }, some)
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    prop_oneof![
        3 => Just(Vec::new()),
        8 => vec(condition(), 1..3),
        2 => vec(condition(), 3..8),
    ]
}

fn entry(names: Vec<String>) -> impl Strategy<Value = Entry> {
    let names = vec(select(names), 1..4);
    let action = action().prop_flat_map(|action| (Just(action), number(action)));
    (names, action, conditions()).prop_map(|(names, (action, errno_ret), args)| Entry {
        names,
        action,
        errno_ret,
        args,
    })
}

/// A profile of some of `names`, with several entries for most of them.
pub(crate) fn profile(names: Vec<&'static str>) -> impl Strategy<Value = OciSeccomp> {
    let architectures = vec(select(Abi::ALL.to_vec()), 0..5);
    let default = prop_oneof![4 => Just(Action::Errno), 2 => action()]
        .prop_flat_map(|action| (Just(action), number(action)));
    let syscalls = vec(name(names), 1..4).prop_flat_map(|names| vec(entry(names), 0..7));
    (default, architectures, syscalls).prop_map(|(default, architectures, syscalls)| OciSeccomp {
        default_action: default.0,
        default_errno_ret: default.1,
        architectures: architectures
            .into_iter()
            .map(|abi| abi.scmp_arch().to_owned())
            .collect(),
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls,
    })
}

/// A call that becomes one of a profile's when its names are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    abi: Abi,
    which: usize,
    /// Instead of a name's.
    nr: Option<u32>,
    args: [u64; 6],
}

pub(crate) fn draw() -> impl Strategy<Value = Draw> {
    // The multiplexers of i386, unknown ones, and those around x32's bit.
    let number = select(vec![
        102,
        117,
        999,
        u32::MAX,
        u32::MAX - 4,
        1 << 30,
        (1 << 30) - 1,
    ]);
    let abi = prop_oneof![
        3 => Just(Abi::X86_64),
        2 => Just(Abi::I386),
        3 => select(Abi::ALL.to_vec()),
    ];
    (
        abi,
        any::<usize>(),
        option::weighted(0.2, number),
        array::uniform6(argument()),
    )
        .prop_map(|(abi, which, nr, args)| Draw {
            abi,
            which,
            nr,
            args,
        })
}

impl Draw {
    /// The call, of one of `names` where it says no number and its ABI has that.
    pub(crate) fn of(self, names: &[&str]) -> (SyscallId, [u64; 6]) {
        let named = || {
            let name = names.get(self.which % names.len().max(1))?;
            self.abi.syscall_number(name)
        };
        let nr = self.nr.or_else(named).unwrap_or(0);
        let mut args = self.args;
        if matches!(nr, 102 | 117) {
            // An operation of a multiplexer.
            args[0] %= 25;
        }
        (SyscallId { abi: self.abi, nr }, args)
    }
}

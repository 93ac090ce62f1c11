//! What may happen to a call holds whatever does happen.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    super::oci::{Action, Condition, Entry, OciSeccomp, Operator},
    *,
};

const HOST: Host = Host {
    native: Abi::X86_64,
    runtime: OciRuntime::Crun,
    libseccomp: Libseccomp::Newest,
};

const PRCTL: SyscallId = SyscallId {
    abi: Abi::X86_64,
    nr: 157,
};

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..4, Just(u64::MAX), Just(1 << 32), Just((1 << 32) | 1)]
}

fn condition() -> impl Strategy<Value = Condition> {
    let op = select(vec![
        Operator::Ne,
        Operator::Lt,
        Operator::Le,
        Operator::Eq,
        Operator::Ge,
        Operator::Gt,
        Operator::MaskedEq,
    ]);
    (0_u32..3, value(), value(), op).prop_map(|(index, value, value_two, op)| Condition {
        index,
        value,
        value_two,
        op,
    })
}

/// A profile of rules for one call.
pub(crate) fn profile() -> impl Strategy<Value = OciSeccomp> {
    let action = select(vec![Action::Allow, Action::Errno, Action::KillProcess]);
    let entry = (vec(condition(), 0..3), action).prop_map(|(args, action)| Entry {
        names: vec!["prctl".to_owned()],
        action,
        errno_ret: None,
        args,
    });
    vec(entry, 0..4).prop_map(|syscalls| OciSeccomp {
        default_action: Action::Trap,
        default_errno_ret: None,
        architectures: Vec::new(),
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls,
    })
}

proptest! {
    #[test]
    fn possible_verdicts_include_the_actual_one(profile in profile(), args in [value(), value(), value()], known in [value(), value(), value()]) {
        let Ok(filter) = Filter::new(&profile, HOST) else {
            return Ok(());
        };
        let args = [args[0], args[1], args[2], 0, 0, 0];
        let mut registers = args.map(Register::whole);
        for (register, known) in registers.iter_mut().zip(known) {
            *register = Register { known, value: register.value & known };
        }
        let happens = filter.evaluate(PRCTL, args).verdict;
        let possible = filter.possible_verdicts(PRCTL, &registers);
        prop_assert!(possible.verdicts.contains_key(&happens), "{:?} {:?}", happens, possible);
        let whole = filter.possible_verdicts(PRCTL, &args.map(Register::whole));
        prop_assert!(whole.verdicts.keys().eq([&happens]) && whole.depends_on.is_empty());
    }
}

#[test]
fn missing_register_is_named() {
    let entry = |index, value| Entry {
        names: vec!["prctl".to_owned()],
        action: Action::Allow,
        errno_ret: None,
        args: vec![Condition {
            index,
            value,
            value_two: 0,
            op: Operator::Eq,
        }],
    };
    let profile = OciSeccomp {
        default_action: Action::Errno,
        default_errno_ret: None,
        architectures: Vec::new(),
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls: vec![entry(0, 36), entry(1, 7)],
    };
    let filter = Filter::new(&profile, HOST).unwrap();
    let of = |option| {
        let mut registers = [Register::default(); 6];
        registers[0] = Register::whole(option);
        filter.possible_verdicts(PRCTL, &registers)
    };
    assert!(of(36).verdicts.keys().eq([&Verdict::Allow]));
    let other = of(15);
    assert_eq!(other.verdicts.len(), 2);
    assert_eq!(other.depends_on, [1].into());
    assert_eq!(filter.decisions(PRCTL).len(), 2);
    let read = SyscallId {
        abi: Abi::X86_64,
        nr: 0,
    };
    let unknown = filter.possible_verdicts(read, &[Register::default(); 6]);
    assert!(unknown.verdicts.keys().eq([&Verdict::Errno(1)]));
}

//! Arguments: what tracer records is what strace sees, value by value.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use tracer_tests::{
    Outcome,
    recording::{Call, Recording, Syscall},
    strace::Given,
};

const INT: u64 = 0xffff_ffff;

/// What has to be recorded, in the manuals' words: of which call, which arguments, which bits.
const RECORDED: &[(&str, &[(usize, u64)])] = &[
    // Without SOCK_CLOEXEC and SOCK_NONBLOCK.
    ("socket", &[(0, INT), (1, INT & !0x8_0800), (2, INT)]),
    ("socketpair", &[(0, INT), (1, INT & !0x8_0800), (2, INT)]),
    ("clone", &[(0, INT)]),
    ("unshare", &[(0, u64::MAX)]),
    ("setns", &[(1, INT)]),
    ("personality", &[(0, INT)]),
    ("prctl", &[(0, INT)]),
    ("ioctl", &[(1, INT)]),
    ("fcntl", &[(1, INT)]),
    ("fcntl64", &[(1, INT)]),
    ("setsockopt", &[(1, INT), (2, INT)]),
    // PROT_EXEC.
    ("mmap", &[(2, 4)]),
    ("mmap2", &[(2, 4)]),
    ("mprotect", &[(2, 4)]),
    ("pkey_mprotect", &[(2, 4)]),
    ("keyctl", &[(0, INT)]),
    ("bpf", &[(0, INT)]),
    ("ptrace", &[(0, u64::MAX)]),
    ("madvise", &[(2, INT)]),
    ("arch_prctl", &[(0, INT)]),
    ("socketcall", &[(0, INT)]),
    ("ipc", &[(0, 0xffff)]),
];

fn masks_of(syscall: &Syscall) -> Option<&'static [(usize, u64)]> {
    let name = syscall.name.as_deref()?;
    let (_, masks) = RECORDED.iter().find(|(known, _)| *known == name)?;
    (syscall.abi != "i386" || name != "mmap").then_some(*masks)
}

/// Compares what each call was given, by whatever executables count.
pub(crate) fn agree(
    truth: &BTreeMap<Call, BTreeSet<Given>>,
    recording: &Recording,
    counts: impl Fn(&tracer_tests::recording::Executable) -> bool,
) -> Outcome {
    let mut compared = 0;
    for syscall in &recording.syscalls {
        let Some(masks) = masks_of(syscall) else {
            continue;
        };
        if !syscall.evidence.iter().any(|who| counts(&who.executable)) {
            continue;
        }
        let arguments = syscall.arguments.as_ref();
        let arguments = arguments.with_context(|| format!("no arguments: {syscall:?}"))?;
        ensure!(
            arguments.cut.is_empty()
                && arguments
                    .indices
                    .iter()
                    .eq(masks.iter().map(|(index, _)| index)),
            "{syscall:?}"
        );
        let call = Call::new(&syscall.abi, syscall.nr);
        let under_masks = |given: &Given| -> Vec<u64> {
            masks
                .iter()
                .map(|(index, mask)| given[*index] & mask)
                .collect()
        };
        let expected: BTreeSet<_> = truth[&call].iter().map(under_masks).collect();
        let found: BTreeSet<_> = arguments
            .seen
            .iter()
            .filter(|combination| combination.executables.iter().any(&counts))
            .map(|combination| combination.values.clone())
            .collect();
        ensure!(
            expected == found,
            "{:?} {call}: strace saw {expected:x?}, tracer {found:x?}",
            syscall.name
        );
        compared += 1;
    }
    ensure!(compared > 0, "no arguments were compared");
    Ok(())
}

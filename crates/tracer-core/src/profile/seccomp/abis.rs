//! Which ABIs a profile is for.

use std::collections::BTreeSet;

use super::Error;
use crate::recording::{Recording, SyscallId};
use syscalls::{Abi, Machine};

/// The ABI that a filter takes a call for.
///
/// Of an ABI that a profile does not list, every call kills the calling thread (libseccomp's
/// SCMP_FLTATR_ACT_BADARCH), so a probe that merely failed needs its ABI listed in order to fail
/// again. libseccomp takes every x86-64 number from bit 30 up for x32, negative ones too, but for
/// -1 (src/gen_bpf.c); measured: number -5 kills under a profile without x32.
pub(super) fn filtered_as(call: SyscallId) -> Abi {
    const X32_BIT: u32 = 1 << 30;
    if call.abi == Abi::X86_64 && (X32_BIT..u32::MAX).contains(&call.nr) {
        Abi::X32
    } else {
        call.abi
    }
}

/// The native ABIs of the machines that were recorded on.
pub(super) fn native_abis(recordings: &[Recording]) -> Result<BTreeSet<Abi>, Error> {
    if recordings.is_empty() {
        return Err(Error::NoRecording);
    }
    recordings
        .iter()
        .flat_map(|recording| recording.hosts().map(move |host| (recording, host)))
        .map(|(recording, host)| {
            let machine = &host.machine;
            Machine::native_abi(machine)
                .or_else(|| {
                    let seen = recording.syscalls.first()?;
                    Some(match seen.abi {
                        Abi::X86_64 | Abi::I386 | Abi::X32 => Abi::X86_64,
                        Abi::Aarch64 | Abi::Arm => Abi::Aarch64,
                        Abi::Riscv64 => Abi::Riscv64,
                    })
                })
                .ok_or_else(|| Error::UnknownMachine(machine.clone()))
        })
        .collect()
}

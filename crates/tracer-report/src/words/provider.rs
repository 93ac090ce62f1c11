//! What observed, and what it cannot see.

use tracer_core::recording::{BlindSpot, Mechanism};

/// A mechanism.
pub fn mechanism(mechanism: &Mechanism) -> &str {
    match mechanism {
        Mechanism::BpfLsm => "BPF LSM hooks",
        Mechanism::Tracepoint => "BTF tracepoint",
        Mechanism::SysExit => "BTF tracepoint sys_exit",
        Mechanism::SysEnterAndExit => "BTF tracepoints sys_enter and sys_exit",
        Mechanism::Fexit => "ends of the kernel's security functions (fexit)",
        Mechanism::SysEnterRegisters => "registers at BTF tracepoint sys_enter",
        Mechanism::Gvisor => "gVisor's runtime monitoring",
        Mechanism::Other(text) => text,
    }
}

/// What a mechanism cannot see.
pub fn blind_spot(blind_spot: &BlindSpot) -> String {
    let text = match blind_spot {
        BlindSpot::IoUring => "io_uring operations",
        BlindSpot::ForgedAbi => "32-bit calls that a 64-bit program disguises as 64-bit ones",
        BlindSpot::BlockedCallArguments => "arguments of blocked calls",
        BlindSpot::PointedToMemory => "memory behind pointers",
        BlindSpot::OwnerOfUnopenedFile => "the owner of a file that a call names but does not open",
        BlindSpot::LinkSource => "the source of a link",
        BlindSpot::MappedBeforeMprotect => {
            "files that were mapped before mprotect made them executable"
        }
        BlindSpot::MessageQueuesAndPeerTerminals => {
            "message queues, and the terminals that TIOCGPTPEER opens"
        }
        BlindSpot::PathRace => "the exact file if another thread changes the path meanwhile",
        BlindSpot::SharedHugePages => {
            "shared memory of huge pages, for which AppArmor asks to read and write `/`"
        }
        BlindSpot::WriteChecks => "checks whether a file may be written (access with W_OK)",
        BlindSpot::Socketcall => "sockets of i386's socketcall",
        BlindSpot::PivotRoot => "pivot_root",
        BlindSpot::NewMountInterface => "move_mount and other calls of the new mount interface",
        BlindSpot::ChangedLink => "the former target of a link that has changed",
        BlindSpot::CapabilityProbe => "real use versus a mere permission check",
        BlindSpot::AllowedBySelinux => "what the SELinux policy already allows the domain",
        BlindSpot::SelinuxPackets => {
            "SELinux checks of network packets (SECMARK, labelled networking)"
        }
        BlindSpot::SignalZero => "signal 0, which only checks whether a process exists",
        BlindSpot::UnmonitoredNumbers { first } => {
            return format!(
                "system calls from number {first} on, which gVisor does not report (it answers ENOSYS)"
            );
        }
        BlindSpot::GvisorInt80 => {
            "calls by `int 0x80`, which gVisor reports as 64-bit calls of that number, or not at all"
        }
        BlindSpot::FilteredInGuest => "calls that a seccomp filter inside the guest stopped",
        BlindSpot::UnusableHook { hook, error } => {
            return format!("accesses through the hook {hook}: {error}");
        }
        BlindSpot::Other(text) => text,
    };
    text.to_owned()
}

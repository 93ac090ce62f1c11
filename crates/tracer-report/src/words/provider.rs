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
        Mechanism::Other(text) => text,
    }
}

/// What a mechanism cannot see.
pub fn blind_spot(blind_spot: &BlindSpot) -> String {
    let text = match blind_spot {
        BlindSpot::IoUring => "what io_uring does",
        BlindSpot::ForgedAbi => {
            "that a call was 32-bit, when a 64-bit program forges the registers of a 64-bit one"
        }
        BlindSpot::BlockedCallArguments => "those of calls that a filter in place stopped",
        BlindSpot::PointedToMemory => "what pointers lead to",
        BlindSpot::OwnerOfUnopenedFile => {
            "whom a file belongs to, of calls that name it by a path and do not open it"
        }
        BlindSpot::LinkSource => "what a link was made of",
        BlindSpot::MappedBeforeMprotect => {
            "what was mapped before it was made executable, by mprotect"
        }
        BlindSpot::MessageQueuesAndPeerTerminals => {
            "message queues, and the terminals that TIOCGPTPEER opens"
        }
        BlindSpot::PathRace => {
            "exactly which file a path named when another thread changed the path, or a directory of it, meanwhile"
        }
        BlindSpot::SharedHugePages => {
            "memory of huge pages (MAP_HUGETLB), for which AppArmor asks to read and write `/`"
        }
        BlindSpot::Socketcall => "calls by i386's socketcall",
        BlindSpot::PivotRoot => "pivot_root",
        BlindSpot::NewMountInterface => "move_mount and the other calls of the newer interface",
        BlindSpot::ChangedLink => "what a link led to that was changed since",
        BlindSpot::CapabilityProbe => "whether the kernel only probed for a capability",
        BlindSpot::SignalZero => "signal 0, which only asks whether a process is there",
        BlindSpot::UnusableHook { hook, error } => {
            return format!("what goes through the hook {hook}: {error}");
        }
        BlindSpot::Other(text) => text,
    };
    text.to_owned()
}

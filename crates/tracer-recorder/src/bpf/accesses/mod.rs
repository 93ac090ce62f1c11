//! Files, capabilities, sockets, signals: which way of seeing each the running kernel offers, and what
//! it tells.
//!
//! | kind | best first |
//! | --- | --- |
//! | files, sockets, mounts | BPF LSM; the ends of the functions that call the modules' hooks (fexit); the ends of system calls |
//! | capabilities | BPF LSM; tracepoint `cap_capable`; the end of `cap_capable` |
//! | signals | BPF LSM; the end of `security_task_kill`; tracepoint `signal_generate` |
//! | ptrace | BPF LSM; the end of `security_ptrace_access_check` |
//! | SELinux | tracepoint `selinux_audited` |

mod decode;
mod load;
mod operations;
mod reported;
mod ring;
pub mod selinux;

pub use decode::KernelAccess;
pub(super) use decode::path_of_names;
pub(super) use load::{first, load, targets};
pub(super) use operations::fill as fill_operations;
#[cfg(test)]
pub(super) use operations::of as operations;
pub(super) use reported::UntoldAccesses;
pub use ring::AccessRing;

use std::fmt;

use tracer_abi::{Config, FileSource};
use tracer_core::recording::{self, BlindSpot, ObservationKind};
use tracer_report::words;

use super::{btf::Btf, support};

/// A way of seeing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mechanism {
    /// Programs on the hooks of the security modules.
    Lsm,
    /// Programs at the ends of kernel functions.
    FunctionExit,
    /// A tracepoint of the kind itself.
    Tracepoint,
    /// The ends of system calls.
    Exits,
}

impl From<Mechanism> for recording::Mechanism {
    fn from(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::Lsm => Self::BpfLsm,
            Mechanism::FunctionExit => Self::Fexit,
            Mechanism::Tracepoint => Self::Tracepoint,
            Mechanism::Exits => Self::SysExit,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(words::mechanism(&(*self).into()))
    }
}

/// What serves each kind; `None` when nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms {
    /// Files.
    pub files: Option<Mechanism>,
    /// Sockets.
    pub sockets: Option<Mechanism>,
    /// Changes of the mount tree.
    pub mounts: Option<Mechanism>,
    /// Capabilities.
    pub capabilities: Option<Mechanism>,
    /// Signals.
    pub signals: Option<Mechanism>,
    /// What needs a debugger's rights.
    pub traces: Option<Mechanism>,
    /// What the SELinux policy does not allow.
    pub selinux: Option<Mechanism>,
    /// Hooks that this kernel has and that could not be used, and why.
    pub missing: Vec<(&'static str, String)>,
}

/// What a way of seeing cannot see by its nature.
pub fn blind_spots(kind: ObservationKind, mechanism: Mechanism) -> Vec<BlindSpot> {
    match (kind, mechanism) {
        (ObservationKind::Files, Mechanism::Exits) => vec![
            BlindSpot::OwnerOfUnopenedFile,
            BlindSpot::LinkSource,
            BlindSpot::MappedBeforeMprotect,
            BlindSpot::MessageQueuesAndPeerTerminals,
            BlindSpot::PathRace,
            BlindSpot::SharedHugePages,
            BlindSpot::IoUring,
        ],
        (ObservationKind::Files, Mechanism::Lsm | Mechanism::FunctionExit) => {
            vec![BlindSpot::WriteChecks]
        }
        (ObservationKind::Sockets, Mechanism::Exits) => {
            vec![BlindSpot::IoUring, BlindSpot::Socketcall]
        }
        (ObservationKind::Mounts, Mechanism::Exits) => vec![
            BlindSpot::PivotRoot,
            BlindSpot::NewMountInterface,
            BlindSpot::ChangedLink,
        ],
        (ObservationKind::Signals, Mechanism::Tracepoint) => vec![BlindSpot::SignalZero],
        (ObservationKind::Selinux, _) => {
            vec![BlindSpot::AllowedBySelinux, BlindSpot::SelinuxPackets]
        }
        _ => Vec::new(),
    }
}

/// Which ways to try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MechanismChoice {
    /// The best that works.
    #[default]
    Best,
    /// Not better than this.
    Only(Mechanism),
    /// None: only system calls are recorded.
    None,
}

/// The order in which ways of seeing files are tried.
pub(super) fn preferred_mechanisms(
    choice: MechanismChoice,
    offered: AvailableMechanisms,
) -> Vec<Mechanism> {
    match choice {
        MechanismChoice::None => Vec::new(),
        MechanismChoice::Only(mechanism) => vec![mechanism],
        MechanismChoice::Best => {
            let mut preferred_mechanisms = Vec::new();
            if support::has_bpf_lsm() {
                preferred_mechanisms.push(Mechanism::Lsm);
            }
            if offered.function_ends {
                preferred_mechanisms.push(Mechanism::FunctionExit);
            }
            preferred_mechanisms.push(Mechanism::Exits);
            preferred_mechanisms
        }
    }
}

/// How the programs are told of it.
pub(super) const fn files_by(mechanism: Option<Mechanism>) -> FileSource {
    match mechanism {
        None => FileSource::Nothing,
        Some(Mechanism::Lsm | Mechanism::FunctionExit) => FileSource::Hooks,
        Some(Mechanism::Tracepoint | Mechanism::Exits) => FileSource::Exits,
    }
}

/// What the running kernel offers, as its type information tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AvailableMechanisms {
    /// Whether programs can be put at the ends of functions: a kernel without that function has no way to
    /// (`register_fentry`, kernel/bpf/trampoline.c). Only saves an attempt.
    pub(super) function_ends: bool,
}

/// Sets the offsets that accesses are read by.
///
/// # Errors
/// The field that is missing, or does not lie where the programs read it.
pub(super) fn set_offsets(
    btf: &Btf<'_>,
    config: &mut Config,
) -> Result<AvailableMechanisms, String> {
    let at = |path: &str| {
        btf.offset(path)
            .ok_or_else(|| format!("this kernel's BTF has no {path}"))
    };
    config.task_real_cred = at("task_struct.real_cred")?;
    config.task_cred = at("task_struct.cred")?;
    config.task_files = at("task_struct.files")?;
    config.cred_fsuid = at("cred.fsuid")?;
    config.cred_uid = at("cred.uid")?;
    config.cred_non_rcu = at("cred.non_rcu")?;
    config.user_ns_parent = at("user_namespace.parent")?;
    config.file_path = at("file.f_path")?;
    config.file_mode = at("file.f_mode")?;
    config.file_flags = at("file.f_flags")?;
    config.file_private = at("file.private_data")?;
    config.dentry_parent = at("dentry.d_parent")?;
    config.dentry_sb = at("dentry.d_sb")?;
    config.sb_flags = at("super_block.s_flags")?;
    config.inode_mode = at("inode.i_mode")?;
    config.inode_uid = at("inode.i_uid")?;
    config.mount_parent = at("mount.mnt_parent")?;
    config.mount_mnt = at("mount.mnt")?;
    config.mount_ns = at("mount.mnt_ns")?;
    // What `is_anon_ns` (fs/mount.h) looks at: until Linux 6.17, and since. Without either, what was never
    // mounted is told as if it were the root.
    config.namespace_number = at("mnt_namespace.seq")
        .or_else(|_| Ok::<_, String>(at("mnt_namespace.ns")? + at("ns_common.ns_id")?))
        .unwrap_or(0);
    config.files_fdt = at("files_struct.fdt")?;
    config.fdt_max = at("fdtable.max_fds")?;
    config.fdt_fd = at("fdtable.fd")?;
    // Read at the address of the mount itself.
    if at("vfsmount.mnt_root")? != 0 {
        return Err("vfsmount.mnt_root does not lie where it did so far".to_owned());
    }
    config.vma_file = at("vm_area_struct.vm_file")?;
    config.socket_type = at("socket.type")?;
    config.socket_sk = at("socket.sk")?;
    config.sock_protocol = at("sock.sk_protocol")?;
    config.sock_family = at("sock.__sk_common.skc_family")?;
    config.siginfo_code = at("kernel_siginfo.si_code")?;
    selinux::set_offsets(btf, config);
    // Read at once, so they must lie beside one another, as they have in all kernels so far.
    let neighbours = [
        ("task_struct.cred", config.task_real_cred + 8),
        ("cred.gid", config.cred_uid + 4),
        ("cred.suid", config.cred_uid + 8),
        ("cred.sgid", config.cred_uid + 12),
        ("cred.euid", config.cred_uid + 16),
        ("cred.egid", config.cred_uid + 20),
        ("dentry.d_name", config.dentry_parent + 8),
        ("dentry.d_name.name", config.dentry_parent + 16),
        ("dentry.d_inode", config.dentry_parent + 24),
        ("mount.mnt_mountpoint", config.mount_parent + 8),
        ("mount.mnt.mnt_root", config.mount_parent + 16),
        ("file.f_path.dentry", config.file_path + 8),
    ];
    for (field, expected) in neighbours {
        if at(field)? != expected {
            return Err(format!("{field} does not lie where it did so far"));
        }
    }
    Ok(AvailableMechanisms {
        function_ends: btf.has_function("register_ftrace_direct"),
    })
}

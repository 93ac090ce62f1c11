//! What this host offers, asked before anything is loaded, so that what is missing can be named.

use std::{fs, os::fd::AsRawFd as _, path::Path};

use aya::{maps::MapType, sys};
use nix::sys::utsname::uname;
use procfs::process::Process;

use super::ProbeError;
use crate::cgroup::private_mount;
use syscalls::Machine;

/// The kernel's type information.
pub const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// The security modules that are in use.
const LSM_PATH: &str = "/sys/kernel/security/lsm";

const LOCKDOWN_PATH: &str = "/sys/kernel/security/lockdown";

/// Capability numbers (include/uapi/linux/capability.h).
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// `uname -r`.
pub fn kernel_release() -> String {
    uname().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

/// `uname -m`.
pub fn machine_name() -> String {
    uname().map_or_else(
        |_| std::env::consts::ARCH.to_owned(),
        |name| name.machine().to_string_lossy().into_owned(),
    )
}

/// One thing that recording rests on.
pub struct Requirement {
    /// What it is, for a list.
    pub name: &'static str,
    /// What was found, or what to do.
    pub result: Result<String, ProbeError>,
}

/// How the text of a requirement begins that could not be checked, so that nothing says whether it is met.
pub const UNCHECKED: &str = "could not be checked";

/// Everything that recording rests on, in the order in which it is needed.
pub fn requirements() -> Vec<Requirement> {
    type Question = fn() -> Result<String, ProbeError>;
    let all: [(&'static str, Question); 6] = [
        ("machine", machine),
        ("privilege", privilege),
        ("kernel lockdown", lockdown),
        ("kernel type information (BTF)", btf),
        ("BPF ring buffer", ring_buffer),
        ("kernel structures", structures),
    ];
    all.into_iter()
        .map(|(name, check)| Requirement {
            name,
            result: check(),
        })
        .collect()
}

/// The first thing that is missing, if any. The structures are left to the load, which reads them
/// anyway.
///
/// # Errors
/// A [`ProbeError`] that names it and the remedy.
pub fn check() -> Result<(), ProbeError> {
    machine()?;
    privilege()?;
    lockdown()?;
    btf()?;
    ring_buffer()?;
    Ok(())
}

fn machine() -> Result<String, ProbeError> {
    Machine::this()
        .filter(|_| cfg!(any(target_arch = "x86_64", target_arch = "aarch64")))
        .map(|machine| {
            let mut abis = machine.native.to_string();
            if let Some(compat) = machine.compat {
                abis += &format!(", {compat}");
            }
            abis
        })
        .ok_or(ProbeError::Machine(std::env::consts::ARCH))
}

fn privilege() -> Result<String, ProbeError> {
    let effective = Process::myself()
        .and_then(|process| process.status())
        .map_or(0, |status| status.capeff);
    let has = |capability: u32| effective >> capability & 1 == 1;
    // CAP_SYS_ADMIN stands for both (include/linux/capability.h, bpf_capable and perfmon_capable).
    let missing: Vec<_> = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(capability, _)| !has(*capability) && !has(CAP_SYS_ADMIN))
        .map(|(_, name)| name)
        .collect();
    // In another user namespace capabilities hold there only (`bpf_capable`, kernel/bpf/syscall.c);
    // the initial one has a fixed inode number (`PROC_USER_INIT_INO`, include/linux/proc_ns.h).
    if fs::read_link("/proc/self/ns/user").is_ok_and(|link| link.as_os_str() != "user:[4026531837]")
    {
        return Err(ProbeError::UserNamespace);
    }
    if missing.is_empty() {
        Ok("CAP_BPF and CAP_PERFMON".to_owned())
    } else {
        Err(ProbeError::Privilege {
            missing: missing.join(", "),
        })
    }
}

fn lockdown() -> Result<String, ProbeError> {
    // The active mode stands in brackets: `none [integrity] confidentiality`.
    match fs::read_to_string(LOCKDOWN_PATH) {
        Ok(modes) if modes.contains("[confidentiality]") => Err(ProbeError::Lockdown),
        Ok(modes) => Ok(modes
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'))
            .map_or_else(|| "none".to_owned(), |(mode, _)| mode.to_owned())),
        Err(_) => Ok("none".to_owned()),
    }
}

/// Whether programs on the hooks of security modules are called: whether `bpf` is among the modules
/// (`lsm=` on the kernel's command line). That they can be loaded and attached does not say so.
pub(super) fn has_bpf_lsm() -> bool {
    let list = fs::read_to_string(LSM_PATH).or_else(|_| {
        // Not mounted here; as in containers.
        let mount = private_mount(c"securityfs")?;
        fs::read_to_string(format!("/proc/self/fd/{}/lsm", mount.as_raw_fd()))
    });
    list.is_ok_and(|list| list.trim().split(',').any(|module| module == "bpf"))
}

fn btf() -> Result<String, ProbeError> {
    if Path::new(BTF_PATH).exists() {
        Ok(BTF_PATH.to_owned())
    } else {
        Err(ProbeError::NoBtf {
            kernel: kernel_release(),
            path: BTF_PATH,
        })
    }
}

fn ring_buffer() -> Result<String, ProbeError> {
    // An error of the question itself is no answer; the load then gives one.
    match sys::is_map_supported(MapType::RingBuf) {
        Ok(false) => Err(ProbeError::NoRingBuffer {
            kernel: kernel_release(),
        }),
        Ok(true) => Ok("yes".to_owned()),
        Err(error) => Ok(format!("{UNCHECKED} ({error})")),
    }
}

fn structures() -> Result<String, ProbeError> {
    super::offsets::of_running_kernel().map(|_| "all fields found".to_owned())
}

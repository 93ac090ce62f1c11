//! Where the fields lie that the kernel side reads, from the running kernel's BTF.
//!
//! rustc emits no CO-RE relocations, so the offsets are looked up here and handed to the programs
//! as constants. A field that is missing is a refusal, not a wrong read.

use std::fs;

use tracer_abi::{AbiTest, Config};

use super::{
    ProbeError,
    accesses::{self, AvailableMechanisms},
    btf::Btf,
    support::BTF_PATH,
};
use syscalls::Abi;

/// What the running kernel's BTF says.
pub(super) struct RunningKernel {
    /// The offsets; the choices are left at 0.
    pub(super) config: Config,
    /// Why accesses to files and the like cannot be recorded, if so.
    pub(super) accesses: Result<AvailableMechanisms, String>,
    /// What programs can be attached to.
    pub(super) attach_points: aya::Btf,
}

/// Reads it, once.
pub(super) fn of_running_kernel() -> Result<RunningKernel, ProbeError> {
    let bad = |cause: anyhow::Error| ProbeError::BadBtf {
        path: BTF_PATH,
        cause: cause.into(),
    };
    let bytes = fs::read(BTF_PATH).map_err(|error| bad(error.into()))?;
    let btf = Btf::parse(&bytes).map_err(|error| bad(error.into()))?;
    let mut config = config(&btf)?;
    let accesses = accesses::set_offsets(&btf, &mut config);
    let attach_points = btf.attach_points();
    // Several megabytes, which the rest of the start has no use for.
    drop(btf);
    drop(bytes);
    let attach_points = aya::Btf::parse(&attach_points, aya::Endianness::default())
        .map_err(|error| bad(error.into()))?;
    Ok(RunningKernel {
        config,
        accesses,
        attach_points,
    })
}

fn config(btf: &Btf<'_>) -> Result<Config, ProbeError> {
    let at = |path: &str| offset(btf, path);
    let mut config = Config {
        task_stack: at("task_struct.stack")?,
        task_tgid: at("task_struct.tgid")?,
        task_pid: at("task_struct.pid")?,
        task_real_parent: at("task_struct.real_parent")?,
        task_exit_code: at("task_struct.exit_code")?,
        task_signal: at("task_struct.signal")?,
        task_cgroups: at("task_struct.cgroups")?,
        task_seccomp_filter: at("task_struct.seccomp.filter")?,
        task_switches: at("task_struct.nvcsw")?,
        task_ptrace: at("task_struct.ptrace")?,
        filter_prev: at("seccomp_filter.prev")?,
        filter_listener: at("seccomp_filter.notif")?,
        css_set_dfl_cgrp: at("css_set.dfl_cgrp")?,
        signal_live: at("signal_struct.live")?,
        signal_tty: at("signal_struct.tty")?,
        task_fs: at("task_struct.fs")?,
        fs_pwd: at("fs_struct.pwd")?,
        binprm_filename: at("linux_binprm.filename")?,
        binprm_file: at("linux_binprm.file")?,
        binprm_interp: at("linux_binprm.interp")?,
        file_inode: at("file.f_inode")?,
        inode_sb: at("inode.i_sb")?,
        inode_number: at("inode.i_ino")?,
        inode_generation: at("inode.i_generation")?,
        sb_device: at("super_block.s_dev")?,
        cgroup_kn: at("cgroup.kn")?,
        cgroup_root: at("cgroup.root")?,
        cgroup_parent: at("cgroup.self.parent")?,
        css_cgroup: at("cgroup_subsys_state.cgroup")?,
        root_hierarchy_id: at("cgroup_root.hierarchy_id")?,
        kernfs_id: at("kernfs_node.id")?,
        ..Config::EMPTY
    };
    (config.inode_changed, config.inode_changed_ns) = inode_change_time(btf)?;
    if cfg!(target_arch = "x86_64") {
        config.abi_test = AbiTest::X86 as u32;
        config.task_status = at("task_struct.thread_info.status")?;
        config.regs_abi_a = at("pt_regs.cx")?;
        config.regs_abi_b = at("pt_regs.ip")?;
        config.regs_abi_c = at("pt_regs.r11")?;
        config.regs_abi_d = at("pt_regs.flags")?;
        config.regs_nr = at("pt_regs.orig_ax")?;
        config.regs_rolled_back = config.regs_nr;
        config.regs_return = at("pt_regs.ax")?;
        config.filter_calls = filter_calls(Abi::X86_64, Abi::I386);
        // System V ABI, and the 32-bit entries' (arch/x86/entry/entry_64.S, entry_64_compat.S).
        config.native_args = registers(btf, ["di", "si", "dx", "r10", "r8", "r9"])?;
        config.compat_args = registers(btf, ["bx", "cx", "dx", "si", "di", "bp"])?;
    } else if cfg!(target_arch = "aarch64") {
        config.abi_test = AbiTest::Arm64 as u32;
        config.regs_abi_a = at("pt_regs.pstate")?;
        // x0 holds the return value by the time of a restart; the first argument is kept aside
        // (`orig_x0`, arch/arm64/include/asm/ptrace.h).
        let x = at("pt_regs.regs")?;
        let args = [
            at("pt_regs.orig_x0")?,
            x + 8,
            x + 16,
            x + 24,
            x + 32,
            x + 40,
        ];
        config.native_args = args;
        config.compat_args = args;
        config.regs_nr = at("pt_regs.syscallno")?;
        config.regs_rolled_back = at("pt_regs.orig_x0")?;
        config.regs_return = x;
        config.filter_calls = filter_calls(Abi::Aarch64, Abi::Arm);
    }
    Ok(config)
}

/// When an inode was changed last: two fields since Linux 6.11, before that a `struct timespec64`, which was
/// renamed in 6.6 (include/linux/fs.h).
fn inode_change_time(btf: &Btf<'_>) -> Result<(u32, u32), ProbeError> {
    if let Some(seconds) = btf.offset("inode.i_ctime_sec") {
        return Ok((seconds, offset(btf, "inode.i_ctime_nsec")?));
    }
    let time = btf
        .offset("inode.__i_ctime")
        .map_or_else(|| offset(btf, "inode.i_ctime"), Ok)?;
    Ok((time, time + offset(btf, "timespec64.tv_nsec")?))
}

/// The numbers of the calls by which a filter is loaded.
fn filter_calls(native: Abi, compat: Abi) -> [u32; 4] {
    // A number that no call has stands for one that an ABI lacks.
    let number = |abi: Abi, name| abi.syscall_number(name).unwrap_or(u32::MAX);
    [
        number(native, "prctl"),
        number(native, "seccomp"),
        number(compat, "prctl"),
        number(compat, "seccomp"),
    ]
}

fn registers(btf: &Btf<'_>, names: [&str; 6]) -> Result<[u32; 6], ProbeError> {
    let mut offsets = [0; 6];
    for (offset, name) in offsets.iter_mut().zip(names) {
        *offset = self::offset(btf, &format!("pt_regs.{name}"))?;
    }
    Ok(offsets)
}

fn offset(btf: &Btf<'_>, path: &str) -> Result<u32, ProbeError> {
    btf.offset(path).ok_or_else(|| ProbeError::NoField {
        field: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_kernels_offsets_are_found() {
        if !std::path::Path::new(BTF_PATH).exists() {
            eprintln!("SKIPPED running_kernels_offsets_are_found: needs {BTF_PATH}");
            return;
        }
        let RunningKernel {
            config, accesses, ..
        } = of_running_kernel().unwrap();
        assert!(accesses.is_ok(), "{accesses:?}");
        assert_ne!(config.task_stack, config.task_tgid);
        assert_ne!(config.binprm_filename, 0);
        if cfg!(target_arch = "x86_64") {
            // uapi: struct pt_regs is ABI (arch/x86/include/uapi/asm/ptrace.h).
            assert_eq!(config.native_args, [112, 104, 96, 56, 72, 64]);
            assert_eq!(
                (
                    config.regs_abi_a,
                    config.regs_abi_b,
                    config.regs_abi_c,
                    config.regs_abi_d
                ),
                (88, 128, 48, 144)
            );
        }
    }

    #[test]
    fn missing_field_is_named() {
        if !std::path::Path::new(BTF_PATH).exists() {
            eprintln!("SKIPPED missing_field_is_named: needs {BTF_PATH}");
            return;
        }
        let bytes = fs::read(BTF_PATH).unwrap();
        let btf = Btf::parse(&bytes).unwrap();
        let error = offset(&btf, "task_struct.no_such_field").unwrap_err();
        assert!(error.to_string().contains("task_struct.no_such_field"));
    }
}

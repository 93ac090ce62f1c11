//! What user space derives from the running kernel and hands to the programs.

/// How the kernel side tells the ABI of a call.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbiTest {
    /// There is only one ABI on this kernel.
    None = 0,
    /// x86-64: registers first, `thread_info.status & TS_COMPAT` when they do not settle it.
    X86 = 1,
    /// arm64: `pt_regs.pstate & PSR_MODE32_BIT`.
    Arm64 = 2,
}

/// By what the kernel side sees files, sockets and the like.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileSource {
    /// Not at all.
    Nothing = 0,
    /// The hooks of the kernel's security modules, by BPF LSM or at the end of their functions.
    Hooks = 1,
    /// The ends of system calls.
    Exits = 2,
}

/// Offsets and choices that user space derives from the running kernel's BTF.
///
/// It becomes a frozen read-only global: constants to the verifier, so that an offset is never
/// compiled in and a branch that this kernel does not need is never there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// An [`AbiTest`].
    pub abi_test: u32,
    /// 1: keep the row of each task in a slot; 0: look it up at each call.
    pub slot_cache: u32,
    /// 1: announce a new observation in the ring; 0: marks only.
    pub ring: u32,
    /// Bytes waiting in the ring that make a wake-up worth its cost.
    pub wakeup_bytes: u32,
    /// 1: record every cgroup that is made from now on, as what may be a container.
    pub discover: u32,
    /// 1: announce each call that a filter stops; 0: the first of each kind only.
    pub report_every_blocked: u32,
    /// Rows that may be taken by whoever comes first: half of them.
    pub common_rows: u32,
    /// Rows that an instance may take when these are gone.
    pub row_share: u32,
    /// How many accesses are told apart before each instance has only its share.
    pub common_accesses: u32,
    /// How many accesses of an instance are told apart for sure.
    pub access_share: u32,
    /// Numbers of values that may be taken by whoever comes first: half of them.
    pub common_values: u32,
    /// Numbers that an instance may take when these are gone.
    pub value_share: u32,
    /// Cgroups without processes that are followed before the first one comes in; of others the first
    /// process tells.
    pub most_unused_cgroups: u32,
    /// The numbers of `prctl` and `seccomp`: native, native, 32-bit, 32-bit.
    pub filter_calls: [u32; 4],
    /// `task_struct.stack`.
    pub task_stack: u32,
    /// `task_struct.tgid`.
    pub task_tgid: u32,
    /// `task_struct.pid`.
    pub task_pid: u32,
    /// `task_struct.real_parent`.
    pub task_real_parent: u32,
    /// `task_struct.exit_code`.
    pub task_exit_code: u32,
    /// `task_struct.signal`.
    pub task_signal: u32,
    /// `task_struct.thread_info.status` (x86).
    pub task_status: u32,
    /// `task_struct.cgroups`.
    pub task_cgroups: u32,
    /// `task_struct.seccomp.filter`: null without a filter.
    pub task_seccomp_filter: u32,
    /// `task_struct.nvcsw`: how often it gave up the CPU by itself.
    pub task_switches: u32,
    /// `task_struct.ptrace`.
    pub task_ptrace: u32,
    /// `seccomp_filter.prev`.
    pub filter_prev: u32,
    /// `seccomp_filter.notif`: null unless somebody listens (SECCOMP_FILTER_FLAG_NEW_LISTENER).
    pub filter_listener: u32,
    /// 1 when the program on `sys_exit` is attached from the beginning.
    pub exits_attached: u32,
    /// `css_set.dfl_cgrp`.
    pub css_set_dfl_cgrp: u32,
    /// `signal_struct.live`.
    pub signal_live: u32,
    /// `signal_struct.tty`: null without a controlling terminal.
    pub signal_tty: u32,
    /// `linux_binprm.filename`.
    pub binprm_filename: u32,
    /// `file.f_inode`.
    pub file_inode: u32,
    /// `inode.i_sb`.
    pub inode_sb: u32,
    /// `inode.i_ino`.
    pub inode_number: u32,
    /// `inode.i_generation`.
    pub inode_generation: u32,
    /// The seconds of the inode's last change.
    pub inode_changed: u32,
    /// The nanoseconds of it.
    pub inode_changed_ns: u32,
    /// `super_block.s_dev`.
    pub sb_device: u32,
    /// `cgroup.kn`.
    pub cgroup_kn: u32,
    /// `cgroup.root`.
    pub cgroup_root: u32,
    /// `cgroup.self.parent`.
    pub cgroup_parent: u32,
    /// `cgroup_subsys_state.cgroup`.
    pub css_cgroup: u32,
    /// `cgroup_root.hierarchy_id`: 0 for the v2 hierarchy, larger for v1 ones.
    pub root_hierarchy_id: u32,
    /// `kernfs_node.id`.
    pub kernfs_id: u32,
    /// x86: `pt_regs.cx`; arm64: `pt_regs.pstate`.
    pub regs_abi_a: u32,
    /// x86: `pt_regs.ip`.
    pub regs_abi_b: u32,
    /// x86: `pt_regs.r11`.
    pub regs_abi_c: u32,
    /// x86: `pt_regs.flags`.
    pub regs_abi_d: u32,
    /// The call's number at its end, 32 bits: x86, `pt_regs.orig_ax`; arm64, `pt_regs.syscallno`.
    pub regs_nr: u32,
    /// What a rollback makes it return: x86, `pt_regs.orig_ax`; arm64, `pt_regs.orig_x0`.
    pub regs_rolled_back: u32,
    /// What it returns: x86, `pt_regs.ax`; arm64, `pt_regs.regs[0]`.
    pub regs_return: u32,
    /// A [`FileSource`].
    pub files_by: u32,
    /// Bytes waiting in the ring of accesses that make a wake-up worth its cost.
    pub accesses_wakeup: u32,
    /// `task_struct.real_cred`, followed by `cred`.
    pub task_real_cred: u32,
    /// `task_struct.cred`.
    pub task_cred: u32,
    /// `task_struct.files`.
    pub task_files: u32,
    /// `task_struct.fs`.
    pub task_fs: u32,
    /// `cred.fsuid`.
    pub cred_fsuid: u32,
    /// `cred.uid`, followed by `gid`, `suid` and `sgid`.
    pub cred_uid: u32,
    /// `cred.non_rcu`.
    pub cred_non_rcu: u32,
    /// `user_namespace.parent`: null for the first one.
    pub user_ns_parent: u32,
    /// `file.f_path`: the mount, then the name.
    pub file_path: u32,
    /// `file.f_mode`.
    pub file_mode: u32,
    /// `file.f_flags`.
    pub file_flags: u32,
    /// `file.private_data`.
    pub file_private: u32,
    /// `dentry.d_parent`: followed by hash, length and address of the name, and the inode.
    pub dentry_parent: u32,
    /// `dentry.d_sb`.
    pub dentry_sb: u32,
    /// `super_block.s_flags`.
    pub sb_flags: u32,
    /// `inode.i_mode`.
    pub inode_mode: u32,
    /// `inode.i_uid`.
    pub inode_uid: u32,
    /// `mount.mnt_parent`: followed by the name that it is mounted on, and `mnt.mnt_root`.
    pub mount_parent: u32,
    /// `mount.mnt`.
    pub mount_mnt: u32,
    /// `mount.mnt_ns`.
    pub mount_ns: u32,
    /// Number of a `mnt_namespace`, a `u64` that is 0 in an anonymous one; 0 where there is no such thing.
    pub namespace_number: u32,
    /// `files_struct.fdt`.
    pub files_fdt: u32,
    /// `fdtable.max_fds`.
    pub fdt_max: u32,
    /// `fdtable.fd`.
    pub fdt_fd: u32,
    /// `fs_struct.pwd`.
    pub fs_pwd: u32,
    /// `linux_binprm.file`.
    pub binprm_file: u32,
    /// `linux_binprm.interp`.
    pub binprm_interp: u32,
    /// `vm_area_struct.vm_file`.
    pub vma_file: u32,
    /// `socket.type`.
    pub socket_type: u32,
    /// `socket.sk`.
    pub socket_sk: u32,
    /// `sock.sk_protocol`.
    pub sock_protocol: u32,
    /// `sock.__sk_common.skc_family`.
    pub sock_family: u32,
    /// `kernel_siginfo.si_code`.
    pub siginfo_code: u32,
    /// `selinux_audit_data.ssid`; of a kernel without SELinux none of these is read.
    pub selinux_ssid: u32,
    /// `selinux_audit_data.tsid`; of a kernel without SELinux none of these is read.
    pub selinux_tsid: u32,
    /// `selinux_audit_data.tclass`; of a kernel without SELinux none of these is read.
    pub selinux_tclass: u32,
    /// `selinux_audit_data.audited`; of a kernel without SELinux none of these is read.
    pub selinux_audited: u32,
    /// `selinux_audit_data.denied`; of a kernel without SELinux none of these is read.
    pub selinux_denied: u32,
    /// `selinux_audit_data.result`; of a kernel without SELinux none of these is read.
    pub selinux_result: u32,
    /// `pt_regs` offsets of a native call's six arguments.
    pub native_args: [u32; 6],
    /// `pt_regs` offsets of a 32-bit call's six arguments.
    pub compat_args: [u32; 6],
}

impl Config {
    /// All zero: what stands in the object file until user space sets the real one.
    pub const EMPTY: Self = Self {
        abi_test: 0,
        slot_cache: 0,
        ring: 0,
        wakeup_bytes: 0,
        discover: 0,
        report_every_blocked: 0,
        common_rows: 0,
        row_share: 0,
        common_accesses: 0,
        access_share: 0,
        common_values: 0,
        value_share: 0,
        most_unused_cgroups: 0,
        filter_calls: [0; 4],
        task_stack: 0,
        task_tgid: 0,
        task_pid: 0,
        task_real_parent: 0,
        task_exit_code: 0,
        task_signal: 0,
        task_status: 0,
        task_cgroups: 0,
        task_seccomp_filter: 0,
        task_switches: 0,
        task_ptrace: 0,
        filter_prev: 0,
        filter_listener: 0,
        exits_attached: 0,
        css_set_dfl_cgrp: 0,
        signal_live: 0,
        signal_tty: 0,
        binprm_filename: 0,
        file_inode: 0,
        inode_sb: 0,
        inode_number: 0,
        inode_generation: 0,
        inode_changed: 0,
        inode_changed_ns: 0,
        sb_device: 0,
        cgroup_kn: 0,
        cgroup_root: 0,
        cgroup_parent: 0,
        css_cgroup: 0,
        root_hierarchy_id: 0,
        kernfs_id: 0,
        regs_abi_a: 0,
        regs_abi_b: 0,
        regs_abi_c: 0,
        regs_abi_d: 0,
        regs_nr: 0,
        regs_rolled_back: 0,
        regs_return: 0,
        files_by: 0,
        accesses_wakeup: 0,
        task_real_cred: 0,
        task_cred: 0,
        task_files: 0,
        task_fs: 0,
        cred_fsuid: 0,
        cred_uid: 0,
        cred_non_rcu: 0,
        user_ns_parent: 0,
        file_path: 0,
        file_mode: 0,
        file_flags: 0,
        file_private: 0,
        dentry_parent: 0,
        dentry_sb: 0,
        sb_flags: 0,
        inode_mode: 0,
        inode_uid: 0,
        mount_parent: 0,
        mount_mnt: 0,
        mount_ns: 0,
        namespace_number: 0,
        files_fdt: 0,
        fdt_max: 0,
        fdt_fd: 0,
        fs_pwd: 0,
        binprm_file: 0,
        binprm_interp: 0,
        vma_file: 0,
        socket_type: 0,
        socket_sk: 0,
        sock_protocol: 0,
        sock_family: 0,
        siginfo_code: 0,
        selinux_ssid: 0,
        selinux_tsid: 0,
        selinux_tclass: 0,
        selinux_audited: 0,
        selinux_denied: 0,
        selinux_result: 0,
        native_args: [0; 6],
        compat_args: [0; 6],
    };
}

//! The kernel's objects, as far as the programs read them, at offsets of this module's own.

use tracer_abi::{AbiTest, Config};

use crate::platform::host::memory::{self, KEPT_BYTES, STACK_BYTES};

pub use crate::platform::host::memory::stack;

/// Bytes of the larger objects.
const TASK_BYTES: usize = 112;
const CGROUP_BYTES: usize = 48;

/// Where `struct pt_regs` begins in a stack.
const REGS: u64 = STACK_BYTES - KEPT_BYTES as u64;

/// `TS_COMPAT` (arch/x86/include/asm/thread_info.h).
const TS_COMPAT: u32 = 2;

/// Numbers of `prctl` and `seccomp` on x86-64 and i386.
pub const FILTER_CALLS: [u32; 4] = [157, 317, 172, 354];

/// Where the programs find what they read: as offsets from the kernel's BTF.
pub(super) fn layout() -> Config {
    Config {
        abi_test: AbiTest::X86 as u32,
        filter_calls: FILTER_CALLS,
        task_stack: 0,
        task_tgid: 8,
        task_pid: 12,
        task_real_parent: 16,
        task_exit_code: 24,
        task_status: 28,
        task_signal: 32,
        task_cgroups: 40,
        task_seccomp_filter: 48,
        task_real_cred: 56,
        task_cred: 64,
        task_files: 72,
        task_fs: 80,
        task_switches: 88,
        task_ptrace: 96,
        css_set_dfl_cgrp: 0,
        signal_live: 0,
        signal_tty: 8,
        binprm_filename: 0,
        binprm_file: 8,
        binprm_interp: 16,
        cgroup_kn: 0,
        cgroup_root: 8,
        cgroup_parent: 16,
        css_cgroup: 0,
        root_hierarchy_id: 0,
        kernfs_id: 0,
        regs_abi_a: 88,
        regs_abi_b: 128,
        regs_abi_c: 48,
        regs_abi_d: 144,
        regs_nr: 120,
        regs_rolled_back: 120,
        regs_return: 80,
        // di, si, dx, r10, r8, r9
        native_args: [112, 104, 96, 56, 72, 64],
        // bx, cx, dx, si, di, bp
        compat_args: [40, 88, 96, 104, 112, 32],
        // `struct path` is two words, the mount first.
        file_path: 0,
        file_mode: 16,
        file_flags: 20,
        dentry_parent: 0,
        dentry_sb: 32,
        sb_flags: 0,
        inode_mode: 0,
        inode_uid: 4,
        cred_fsuid: 0,
        cred_uid: 0,
        cred_non_rcu: 16,
        mount_parent: 0,
        mount_mnt: 24,
        mount_ns: 32,
        ..Config::EMPTY
    }
}

/// A `struct cgroup` of the v2 hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cgroup {
    address: u64,
    id: u64,
    set: u64,
}

impl Cgroup {
    /// One with an id, below another.
    pub fn new(id: u64, parent: Option<Self>) -> Self {
        let address = memory::allocate(CGROUP_BYTES);
        let node = memory::allocate(8);
        memory::write(node, id);
        memory::write(address, node);
        // The root of the v2 hierarchy has the number 0.
        memory::write(address + 8, memory::allocate(8));
        // `self.parent` leads to the parent's own subsystem state, and that to the parent.
        memory::write(address + 24, address);
        if let Some(parent) = parent {
            memory::write(address + 16, parent.address + 24);
        }
        let set = memory::allocate(8);
        memory::write(set, address);
        Self { address, id, set }
    }

    /// Its id.
    pub const fn id(self) -> u64 {
        self.id
    }

    /// Where it lies.
    pub const fn address(self) -> u64 {
        self.address
    }
}

/// A `struct signal_struct`: what the threads of a process share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(u64);

impl Signal {
    /// That of a process without threads, yet.
    #[expect(clippy::new_without_default, reason = "each call makes another object")]
    pub fn new() -> Self {
        Self(memory::allocate(16))
    }

    /// How many threads live.
    pub fn set_live(self, threads: u32) {
        memory::write(self.0, threads);
    }

    /// Whether the process has a controlling terminal.
    pub fn set_terminal(self, terminal: bool) {
        memory::write(self.0 + 8, u64::from(terminal));
    }
}

/// By which entry a call comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// The `syscall` instruction.
    Native,
    /// `int 0x80`, or a 32-bit program.
    Compat,
}

/// A `struct task_struct`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    address: u64,
}

impl Task {
    /// A task that belongs to a process and runs on a stack.
    pub fn new(tid: u32, tgid: u32, stack: u64, cgroup: Cgroup, signal: Signal) -> Self {
        let this = Self {
            address: memory::allocate(TASK_BYTES),
        };
        memory::write(this.address, stack);
        memory::write(this.address + 32, signal.0);
        this.set_ids(tid, tgid);
        this.set_cgroup(cgroup);
        let cred = memory::allocate(24);
        memory::write(this.address + 56, [cred, cred]);
        this
    }

    /// Where it lies.
    pub const fn address(self) -> u64 {
        self.address
    }

    /// Its thread id and its process id.
    pub fn set_ids(self, tid: u32, tgid: u32) {
        memory::write(self.address + 8, [tgid, tid]);
    }

    /// Moves it; no tracepoint fires.
    pub fn set_cgroup(self, cgroup: Cgroup) {
        memory::write(self.address + 40, cgroup.set);
    }

    /// The address of its filter, 0 for none.
    pub fn set_filter(self, filter: u64) {
        memory::write(self.address + 48, filter);
    }

    /// Its parent.
    pub fn set_parent(self, parent: Self) {
        memory::write(self.address + 16, parent.address);
    }

    /// What it ends with.
    pub fn set_exit_code(self, code: u32) {
        memory::write(self.address + 24, code);
    }

    /// The kernel stack it runs on.
    pub fn stack(self) -> u64 {
        // SAFETY: a number.
        unsafe { memory::read(self.address) }.unwrap_or(0)
    }

    /// The address of its registers.
    pub fn registers(self) -> u64 {
        self.stack() + REGS
    }

    /// Fills its registers as the entry of a call does.
    pub fn enter(self, number: u32, entry: Entry, arguments: [u64; 6]) {
        let (regs, config) = (self.registers(), layout());
        let write = |offset: u32, word: u64| memory::write(regs + u64::from(offset), word);
        write(config.regs_nr, u64::from(number));
        // `-ENOSYS`, until there is a value.
        write(config.regs_return, 38_u64.wrapping_neg());
        let (status, offsets) = match entry {
            Entry::Native => (0, config.native_args),
            Entry::Compat => (TS_COMPAT, config.compat_args),
        };
        memory::write(self.address + 28, status);
        // The instruction puts the return address and the flags into two registers more.
        write(config.regs_abi_b, 0x40_1000);
        write(config.regs_abi_d, 0x246);
        let native = entry == Entry::Native;
        write(config.regs_abi_a, if native { 0x40_1000 } else { 1 });
        write(config.regs_abi_c, if native { 0x246 } else { 0 });
        for (offset, argument) in offsets.into_iter().zip(arguments) {
            write(offset, argument);
        }
    }

    /// What its call returns.
    pub fn set_returned(self, value: i64) {
        memory::write(
            self.registers() + u64::from(layout().regs_return),
            value.cast_unsigned(),
        );
    }
}

/// The address of a text in the kernel's memory, with its NUL.
pub fn text(bytes: &[u8]) -> u64 {
    let address = memory::allocate(bytes.len() + 1);
    memory::write_slice(address, bytes);
    address
}

/// The address of a word of user space.
pub fn word(value: u64) -> u64 {
    let address = memory::allocate(8);
    memory::write(address, value);
    address
}

/// Files in one file system, which is mounted as the root.
#[derive(Clone, Copy, Debug)]
pub struct Files {
    mount: u64,
    root: u64,
    block: u64,
}

impl Files {
    /// A file system with a root and nothing else.
    #[expect(clippy::new_without_default, reason = "each call makes another object")]
    pub fn new() -> Self {
        let (mount, block) = (memory::allocate(40), memory::allocate(8));
        let mut this = Self {
            mount,
            root: 0,
            block,
        };
        this.root = this.name(0, b"/", 0o040_000);
        memory::write(this.root, this.root);
        // The root's mount is its own parent, in a namespace.
        memory::write(mount, [mount, this.root, this.root]);
        memory::write(mount + 32, memory::allocate(8));
        this
    }

    fn name(self, parent: u64, name: &[u8], mode: u16) -> u64 {
        let (dentry, inode) = (memory::allocate(40), memory::allocate(8));
        memory::write(inode, mode);
        let hash = name.iter().fold(7_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3) & 0xffff_ffff
        });
        let hash_len = (name.len() as u64) << 32 | hash;
        memory::write(dentry, [parent, hash_len, text(name), inode, self.block]);
        dentry
    }

    /// The address of a `struct file`: a file of the root directory, opened to be read.
    pub fn open(self, name: &[u8]) -> u64 {
        let dentry = self.name(self.root, name, 0o100_644);
        let file = memory::allocate(24);
        memory::write(file, [self.mount + 24, dentry]);
        memory::write(file + 16, [1_u32, 0]);
        file
    }
}

//! A recorded task in a kernel that is made up: its structures lie where its [`Config`] says.

use std::collections::{HashMap, HashSet};

use aya_obj::{Object, generated::bpf_insn};
use syscalls::Machine;
use tracer_abi::{
    AbiTest, CgroupEntry, Config, EXE_LAUNCHER, FIRST_ROW, FileSource, PlainData, Watch, kind,
    maps as names,
};

use super::{
    helpers::Kernel,
    interpreter::{Cost, Run},
};
use crate::bpf::{accesses, load};

/// The descriptor of the file that is open.
pub(super) const DESCRIPTOR: i64 = 3;

const RECORDED: u64 = 77;
const OTHER: u64 = 78;

pub(super) struct Workload {
    kernel: Kernel,
    programs: HashMap<String, Vec<bpf_insn>>,
    config: Config,
    regs: u64,
    context: u64,
}

impl Workload {
    /// Nothing is recorded of it so far; `None` without the object.
    pub(super) fn new() -> Option<Self> {
        if load::OBJECT.is_empty() {
            return None;
        }
        let config = config();
        let mut object = Object::parse(load::OBJECT).unwrap();
        object
            .patch_map_data(HashMap::from([
                (names::CONFIG, (bytes(&config), true)),
                (aya_log::LEVEL, (&[0_u8][..], true)),
            ]))
            .unwrap();
        let mut kernel = Kernel::new();
        let maps: Vec<_> = object
            .maps
            .iter()
            .map(|(name, map)| (name.clone(), kernel.make(name, map), map.clone()))
            .collect();
        let sections: HashSet<_> = object
            .functions
            .keys()
            .map(|(section, _)| *section)
            .collect();
        object
            .relocate_maps(
                maps.iter()
                    .map(|(name, number, map)| (name.as_str(), *number, map)),
                &sections,
            )
            .unwrap();
        object.relocate_calls(&sections).unwrap();
        let programs = object
            .programs
            .iter()
            .map(|(name, program)| {
                let function = &object.functions[&program.function_key()];
                (name.clone(), function.instructions.clone())
            })
            .collect();
        let context = kernel.allocate(64);
        let mut this = Self {
            regs: 0,
            kernel,
            programs,
            config,
            context,
        };
        this.fill_maps();
        this.make_task();
        Some(this)
    }

    fn fill_maps(&mut self) {
        let entry = CgroupEntry {
            instance: RECORDED,
            first_exe: EXE_LAUNCHER,
            kind: kind::PLAIN,
            populated: 1,
            started: 1,
            filtered: 0,
            missed_filter: 0,
            escaped: 0,
            introduced: 0,
            removed: 0,
        };
        let kernel = &mut self.kernel;
        kernel.set(names::CGROUPS, &RECORDED.to_le_bytes(), bytes(&entry));
        for row in FIRST_ROW..64 {
            kernel.push(names::FREE_ROWS, &row.to_le_bytes());
            kernel.push(names::FREE_VALUES, &row.to_le_bytes());
        }
        for (index, operation) in accesses::operations(Machine::this().unwrap()) {
            kernel.set(names::OPERATIONS, &index.to_le_bytes(), bytes(&operation));
        }
        let watch = Watch {
            masks: [0, 0xffff_ffff, 0],
            watched: 1,
            number: 0,
            behind_pointer: 0,
            small: 1,
        };
        kernel.set(names::WATCHES, &super::FCNTL.to_le_bytes(), bytes(&watch));
    }

    /// A task with a file open at [`DESCRIPTOR`]: `/etc/passwd`.
    fn make_task(&mut self) {
        let config = self.config;
        let mut fake = |fields: &[(u32, u64)]| {
            let address = self.kernel.allocate(8192);
            for &(offset, value) in fields {
                self.kernel.write(address + u64::from(offset), 8, value);
            }
            address
        };
        // `1` where something must not be null and is not looked at.
        let super_block = fake(&[]);
        let namespace = fake(&[(config.namespace_number, 1)]);
        let inode = fake(&[
            (config.inode_mode, 0o100_644),
            (config.inode_sb, super_block),
        ]);
        let at = config.dentry_parent;
        let mut name = |parent: u64, text: &str| {
            let bytes = fake(&[]);
            let hash_len = (text.len() as u64) << 32 | text.len() as u64;
            let dentry = fake(&[
                (at, parent),
                (at + 8, hash_len),
                (at + 16, bytes),
                (at + 24, inode),
                (config.dentry_sb, super_block),
            ]);
            (dentry, bytes)
        };
        let (root, _) = name(0, "/");
        let (directory, _) = name(root, "etc");
        let (file_name, _) = name(directory, "passwd");
        let at = config.mount_parent;
        let mount = fake(&[(at + 16, root), (config.mount_ns, namespace)]);
        let vfsmount = mount + u64::from(config.mount_mnt);
        let file = fake(&[
            (config.file_path, vfsmount),
            (config.file_path + 8, file_name),
            (config.file_mode, 1),
            (config.file_inode, inode),
        ]);
        let list = fake(&[(DESCRIPTOR as u32 * 8, file)]);
        let table = fake(&[(config.fdt_max, 64), (config.fdt_fd, list)]);
        let files = fake(&[(config.files_fdt, table)]);
        let fs = fake(&[(config.fs_pwd, vfsmount), (config.fs_pwd + 8, directory)]);
        let cred = fake(&[]);
        let stack = fake(&[]);
        let task = fake(&[
            (config.task_stack, stack),
            (config.task_real_cred, cred),
            (config.task_real_cred + 8, cred),
            (config.task_cred, cred),
            (config.task_files, files),
            (config.task_fs, fs),
        ]);
        self.kernel
            .write(root + u64::from(config.dentry_parent), 8, root);
        self.kernel.write(mount + u64::from(at), 8, mount);
        self.kernel.task = task;
        self.kernel.pid_tgid = 9 << 32 | 9;
        self.kernel.cgroup = RECORDED;
        self.regs = stack + 4096;
    }

    pub(super) fn events(&self) -> u32 {
        self.kernel.events
    }

    /// What the same executes in a cgroup that is not recorded.
    pub(super) fn outside(&mut self, run: impl Fn(&mut Self) -> Cost) -> Cost {
        self.move_to(OTHER);
        // The first time, the task is in no slot.
        run(self);
        let cost = run(self);
        self.move_to(RECORDED);
        cost
    }

    /// A move begins a new epoch, the first word of the control block.
    fn move_to(&mut self, cgroup: u64) {
        self.kernel.cgroup = cgroup;
        let number = self.kernel.number_of(names::CONTROL);
        let epoch = self.kernel.value_of_map(number);
        let now = self.kernel.read(epoch, 8);
        self.kernel.write(epoch, 8, now + 1);
    }

    /// What a call executes as it begins.
    pub(super) fn enters(&mut self, nr: u32) -> Cost {
        self.set_registers(nr);
        self.run("sys_enter", u64::from(nr))
    }

    /// What a call executes as it ends, in all programs that are there.
    pub(super) fn leaves(&mut self, nr: u32, returned: i64) -> Cost {
        self.set_registers(nr);
        ["sys_exit", "sys_exit_accesses"]
            .into_iter()
            .map(|program| self.run(program, returned.cast_unsigned()))
            .fold(Cost::default(), |sum, cost| sum + cost)
    }

    fn set_registers(&mut self, nr: u32) {
        let at = self.regs + u64::from(self.config.regs_nr);
        self.kernel.write(at, 8, u64::from(nr));
    }

    fn run(&mut self, program: &str, value: u64) -> Cost {
        self.kernel.write(self.context, 8, self.regs);
        self.kernel.write(self.context + 8, 8, value);
        Run::program(&self.programs[program], &mut self.kernel, self.context)
    }
}

/// Every field at a place of its own, with room for what is read at once.
fn config() -> Config {
    let mut fields = [0_u32; size_of::<Config>() / 4];
    for (place, field) in fields.iter_mut().enumerate() {
        *field = 32 * (place as u32 + 1);
    }
    // SAFETY: plain data of that size.
    let places: Config = unsafe { std::mem::transmute(fields) };
    Config {
        abi_test: AbiTest::X86 as u32,
        slot_cache: 1,
        ring: 1,
        discover: 0,
        report_every_blocked: 0,
        common_rows: 32,
        row_share: 8,
        common_accesses: 256,
        access_share: 8,
        common_values: 32,
        value_share: 8,
        filter_calls: [157, 317, 172, 354],
        exits_attached: 1,
        files_by: FileSource::Exits as u32,
        task_cred: places.task_real_cred + 8,
        wakeup_bytes: u32::MAX,
        accesses_wakeup: u32::MAX,
        ..places
    }
}

fn bytes<T: PlainData>(value: &T) -> &[u8] {
    // SAFETY: plain data, all of whose bytes are initialised.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

//! From a `struct path` to names, as `d_absolute_path` (fs/d_path.c) does it for AppArmor: up to the
//! root of the mount namespace, whatever the root directory of the task is.
//!
//! All reads are by helper, so that it is the same whether the verifier knows the type of what was
//! handed over or not. No lock is taken: a name that is changed just then may be told half old.

use core::mem::MaybeUninit;

use tracer_abi::{
    AccessKind,
    access::{ACCESS_PATH_LEN, NAME_LEN, flag},
};

use super::mix;
use crate::{
    kernel::low,
    maps::{self, config},
    platform::helpers::generated,
    tasks,
};

/// `SB_NOUSER` (include/linux/fs.h): a file system that cannot be mounted by users, such as those
/// of pipes, sockets and memfd. AppArmor does not mediate these (`path_mediated_fs`,
/// security/apparmor/include/path.h).
const SB_NOUSER: u64 = 1 << 31;

/// `S_IFMT` and `S_IFDIR`.
const FORMAT: u16 = 0o170_000;
const DIRECTORY: u16 = 0o040_000;

/// Reads a value of the kernel; all of its bytes are 0 when nothing can be read there, as the helper has
/// it (`bpf_probe_read_kernel_common`, kernel/trace/bpf_trace.c). Not asked whether it could: each such
/// question doubles what the verifier has to follow.
///
/// # Safety
/// All bytes 0 must be a `T`.
#[inline(always)]
pub(crate) unsafe fn read<T>(address: u64, offset: u32) -> T {
    let at = address.wrapping_add(u64::from(offset)) as *const _;
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: a checked read, which writes all of it.
    unsafe {
        generated::bpf_probe_read_kernel(value.as_mut_ptr().cast(), low(size_of::<T>() as u64), at);
        value.assume_init()
    }
}

/// The same for numbers.
macro_rules! number {
    ($type:ty, $address:expr, $offset:expr) => {
        // SAFETY: any bytes are a number.
        unsafe { $crate::accesses::path::read::<$type>($address, $offset) }
    };
}
pub(crate) use number;

/// `struct path`: a mount and a name in it.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct PathRef {
    /// `struct vfsmount *`.
    pub(crate) mount: u64,
    /// `struct dentry *`.
    pub(crate) name: u64,
}

impl PathRef {
    /// No file.
    pub(crate) const NONE: Self = Self { mount: 0, name: 0 };

    /// The `struct path` at an address of the kernel.
    #[inline(always)]
    pub(crate) fn at(path: *const u8) -> Self {
        // SAFETY: any bytes are numbers.
        unsafe { read(path as u64, 0) }
    }

    /// That of a `struct file`.
    #[inline(always)]
    pub(crate) fn of_file(file: *const u8) -> Self {
        Self::at(file.wrapping_add(config!(file_path) as usize))
    }

    /// Where the current task is.
    #[inline(always)]
    pub(crate) fn working_directory() -> Self {
        let fs = number!(u64, tasks::current(), config!(task_fs));
        Self::at(fs.wrapping_add(u64::from(config!(fs_pwd))) as *const u8)
    }

    /// A name in the same mount.
    #[inline(always)]
    pub(crate) const fn beside(self, name: u64) -> Self {
        Self {
            mount: self.mount,
            name,
        }
    }
}

/// The part of a `struct dentry` that matters: user space checks that it lies like this.
#[repr(C)]
#[derive(Clone, Copy)]
struct Name {
    parent: u64,
    /// Hash and length of the name; the hash is that of the name and the address of the parent.
    hash_len: u64,
    bytes: u64,
    inode: u64,
}

/// The part of a `struct mount` that matters, likewise.
#[repr(C)]
#[derive(Clone, Copy)]
struct Mount {
    parent: u64,
    mounted_on: u64,
    root: u64,
}

/// What a path is, without its text.
#[derive(Clone, Copy)]
pub(crate) struct PathHash {
    /// A hash of all its names.
    pub(crate) hash: u64,
    /// The same without the last one.
    pub(crate) above: u64,
    /// Bytes, with a NUL for each name.
    pub(crate) len: u32,
    /// The directory it is in, 0 when it is a mount's root.
    pub(crate) parent: u64,
    /// Whether its beginning is not known.
    pub(crate) truncated: bool,
    /// Whether it does not begin at a root.
    pub(crate) detached: bool,
}

impl PathHash {
    /// What it says of the path.
    #[inline(always)]
    pub(crate) const fn flags(&self) -> u32 {
        let mut flags = 0;
        if self.truncated {
            flags |= flag::TRUNCATED;
        }
        if self.detached {
            flags |= flag::DETACHED;
        }
        flags
    }
}

/// Steps up: names, and mounts between them. With more, the beginning is missing. By `bpf_loop` (Linux
/// 5.17): the verifier would follow each step of a loop of its own, a million instructions of them.
const STEPS: u32 = 4096;

/// What a step of `bpf_loop` returns.
const GO_ON: i64 = 0;
const STOP: i64 = 1;

/// Where a walk is.
struct Walk {
    address: u64,
    mount: Mount,
    name: u64,
}

/// What a step came to.
enum Step {
    /// A name.
    Name(Name),
    /// Another mount.
    Mount,
    /// The root of the namespace.
    Root,
    /// The root of what is mounted nowhere.
    Nowhere,
    /// Something that could not be read.
    Unreadable,
}

impl Walk {
    #[inline(always)]
    fn from(place: PathRef) -> Self {
        let address = place.mount.wrapping_sub(u64::from(config!(mount_mnt)));
        Self {
            address,
            mount: mount(address),
            name: place.name,
        }
    }

    #[inline(always)]
    fn step(&mut self) -> Step {
        if self.name == self.mount.root {
            if self.mount.parent == self.address {
                return if is_in_a_namespace(self.address) {
                    Step::Root
                } else {
                    Step::Nowhere
                };
            }
            self.name = self.mount.mounted_on;
            self.address = self.mount.parent;
            self.mount = mount(self.address);
            return Step::Mount;
        }
        let name = name(self.name);
        if name.parent == 0 {
            return Step::Unreadable;
        }
        if name.parent == self.name {
            return Step::Nowhere;
        }
        self.name = name.parent;
        Step::Name(name)
    }
}

#[inline(always)]
fn mount(address: u64) -> Mount {
    // SAFETY: any bytes are numbers.
    unsafe { read(address, config!(mount_parent)) }
}

#[inline(always)]
fn name(dentry: u64) -> Name {
    // SAFETY: any bytes are numbers.
    unsafe { read(dentry, config!(dentry_parent)) }
}

/// `mnt_ns` is null in a mount that was taken off, an error in the kernel's own, and one without a number
/// in what was never mounted (`is_anon_ns`, fs/mount.h), as fsmount(2) makes it.
#[inline(always)]
fn is_in_a_namespace(mount: u64) -> bool {
    const FIRST_ERROR: u64 = 4095_u64.wrapping_neg();
    let ns = number!(u64, mount, config!(mount_ns));
    // One comparison for both: no null pointer and no error.
    ns.wrapping_sub(1) < FIRST_ERROR - 1
        && (config!(namespace_number) == 0 || number!(u64, ns, config!(namespace_number)) != 0)
}

/// Whether the file is one that AppArmor looks at.
#[inline(always)]
pub(crate) fn is_mediated(place: PathRef) -> bool {
    let sb = number!(u64, place.name, config!(dentry_sb));
    sb != 0 && number!(u64, sb, config!(sb_flags)) & SB_NOUSER == 0
}

/// Whether a name is the top of its own tree and was never mounted: the kernel made it for a file that
/// has no place (`d_alloc_pseudo`, fs/dcache.c).
#[inline(always)]
pub(crate) fn is_own_root(place: PathRef) -> bool {
    let above = number!(u64, place.name, config!(dentry_parent));
    // The root of a mount is such a name too, and that one has a place.
    let address = place.mount.wrapping_sub(u64::from(config!(mount_mnt)));
    above == place.name && mount(address).root != place.name
}

/// Whether there is no file behind a name.
#[inline(always)]
pub(crate) fn is_negative(place: PathRef) -> bool {
    name(place.name).inode == 0
}

/// Whose file it is, and whether it is a directory.
#[inline(always)]
pub(crate) fn flags(place: PathRef, kind: AccessKind) -> u32 {
    let made = match kind {
        AccessKind::MakeDirectory => flag::OWNED | flag::DIRECTORY,
        AccessKind::Create | AccessKind::Symlink => flag::OWNED,
        _ => 0,
    };
    if matches!(kind, AccessKind::RenameTo) {
        // Those of the file that gets the name are known already.
        return 0;
    }
    let inode = name(place.name).inode;
    if inode == 0 {
        // There is no file yet: this access makes it.
        return made | flag::OWNED;
    }
    let mut flags = made;
    if number!(u16, inode, config!(inode_mode)) & FORMAT == DIRECTORY {
        flags |= flag::DIRECTORY;
    }
    let cred = number!(u64, tasks::current(), config!(task_cred));
    let fsuid = number!(u32, cred, config!(cred_fsuid));
    if fsuid == number!(u32, inode, config!(inode_uid)) {
        flags |= flag::OWNED;
    }
    flags
}

/// A number that the verifier does not follow: else it would take each turn of a loop that adds to one
/// for something new. It keeps what is known of a number on the stack only when that lies at the
/// beginning of a word (`check_stack_write_fixed_off`, kernel/bpf/verifier.c).
#[repr(C, align(8))]
struct Unknown {
    pad: u32,
    number: u32,
}

impl Unknown {
    #[inline(always)]
    const fn new(number: u32) -> Self {
        Self { pad: 0, number }
    }

    #[inline(always)]
    fn get(&self) -> u32 {
        // SAFETY: a valid reference. Volatile, so that it stays where it is.
        unsafe { (&raw const self.number).read_volatile() }
    }

    #[inline(always)]
    fn set(&mut self, number: u32) {
        // SAFETY: as above.
        unsafe { (&raw mut self.number).write_volatile(number) }
    }
}

/// Twice 0, which the verifier takes for any number: what a loop begins with is then no special case of what it
/// goes on with.
#[inline(always)]
fn unknown_zeros() -> Option<[u64; 2]> {
    // Row 0 is nobody's, and has no salt.
    let salt = maps::ROW_GENERATIONS.get_ptr(0)?;
    // SAFETY: an element of the map.
    Some(unsafe { [salt.read_volatile(), salt.read_volatile()] })
}

/// A walk that measures.
struct Measuring {
    walk: Walk,
    hash: u64,
    above: u64,
    len: Unknown,
    truncated: Unknown,
    detached: Unknown,
    readable: Unknown,
}

/// Hash and length of a path; `None` when it could not be read.
#[inline(always)]
pub(crate) fn hash_path(place: PathRef) -> Option<PathHash> {
    let walk = Walk::from(place);
    let parent = if place.name == walk.mount.root {
        0
    } else {
        name(place.name).parent
    };
    let [hash, above] = unknown_zeros()?;
    let mut measuring = Measuring {
        walk,
        hash,
        above,
        len: Unknown::new(0),
        truncated: Unknown::new(1),
        detached: Unknown::new(0),
        readable: Unknown::new(1),
    };
    // SAFETY: the callback takes what is handed to it.
    unsafe {
        generated::bpf_loop(
            STEPS,
            measure_step as *mut _,
            (&raw mut measuring).cast(),
            0,
        );
    }
    let len = measuring.len.get();
    (measuring.readable.get() != 0).then_some(PathHash {
        hash: measuring.hash,
        above: measuring.above,
        len,
        parent,
        truncated: measuring.truncated.get() != 0 || len as usize > ACCESS_PATH_LEN,
        detached: measuring.detached.get() != 0,
    })
}

unsafe extern "C" fn measure_step(_: u32, measuring: *mut Measuring) -> i64 {
    // SAFETY: `hash_path` hands over its own.
    let measuring = unsafe { &mut *measuring };
    match measuring.walk.step() {
        Step::Name(name) => {
            measuring.hash = mix(measuring.hash, name.hash_len);
            let len = measuring.len.get();
            // Without a branch: 0 for the last name, which is the first one here, and all ones for others.
            let is_above = u64::from((len | len.wrapping_neg()) >> 31).wrapping_neg();
            measuring.above = mix(measuring.above, name.hash_len) & is_above;
            // At most 4,096 names of 256 bytes.
            measuring.len.set(len.wrapping_add(length(name) + 1));
            return GO_ON;
        }
        Step::Mount => return GO_ON,
        Step::Root => {}
        Step::Nowhere => measuring.detached.set(1),
        Step::Unreadable => measuring.readable.set(0),
    }
    measuring.truncated.set(0);
    STOP
}

/// The length lies in the upper half of the pair (`struct qstr`, include/linux/dcache.h: `HASH_LEN_DECLARE`,
/// by byte order).
#[inline(always)]
fn length(name: Name) -> u32 {
    ((name.hash_len >> 32) as u32) & 0xff
}

/// A walk that writes.
struct Writing<const LEN: usize> {
    walk: Walk,
    bytes: *mut u8,
    at: Unknown,
    end: Unknown,
}

/// Writes the names of a path to `bytes` from `at` to `end`; returns where they end. What does not fit is
/// left out.
///
/// # Safety
/// `bytes` must have `LEN` bytes.
#[inline(always)]
pub(crate) unsafe fn write<const LEN: usize>(
    place: PathRef,
    bytes: *mut u8,
    at: usize,
    end: usize,
) -> usize {
    let walk = Walk::from(place);
    let mut writing = Writing::<LEN> {
        walk,
        bytes,
        at: Unknown::new(low(at as u64)),
        end: Unknown::new(low(end as u64)),
    };
    // SAFETY: the callback takes what is handed to it.
    unsafe {
        generated::bpf_loop(
            STEPS,
            write_step::<LEN> as *mut _,
            (&raw mut writing).cast(),
            0,
        );
    }
    writing.at.get() as usize & (LEN.next_power_of_two() - 1)
}

unsafe extern "C" fn write_step<const LEN: usize>(_: u32, writing: *mut Writing<LEN>) -> i64 {
    // SAFETY: `write` hands over its own.
    let writing = unsafe { &mut *writing };
    match writing.walk.step() {
        Step::Name(name) => {
            let len = length(name);
            let at = writing.at.get() as usize & (LEN.next_power_of_two() - 1);
            let next = at + len as usize + 1;
            if at > LEN - NAME_LEN || next > writing.end.get() as usize {
                return STOP;
            }
            // SAFETY: `at` leaves room for the longest name and a NUL; a checked read.
            unsafe {
                generated::bpf_probe_read_kernel(
                    writing.bytes.add(at).cast(),
                    len,
                    name.bytes as *const _,
                );
                writing.bytes.add(next - 1).write(0);
            }
            writing.at.set(low(next as u64));
            GO_ON
        }
        Step::Mount => GO_ON,
        Step::Root | Step::Nowhere | Step::Unreadable => STOP,
    }
}

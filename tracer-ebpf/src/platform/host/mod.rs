//! A fake kernel: the maps, helpers and contexts of aya's names, over plain memory.
//!
//! Everything belongs to the [`crate::machine::Machine`] that is running on this thread. Each
//! operation on a map is a place where another simulated CPU may go on: see [`cpu`].

pub(crate) mod cpu;
pub(crate) mod helpers;
pub(crate) mod maps;
pub(crate) mod memory;
pub(crate) mod mutation;
pub(crate) mod programs;
pub(crate) mod ring;

pub(crate) use programs::EbpfContext;

use std::cell::Cell;

use tracer_abi::Config;

/// Constants of the kernel's interface, by aya's names.
pub(crate) mod bindings {
    pub(crate) const BPF_ANY: u32 = 0;
    pub(crate) const BPF_NOEXIST: u32 = 1;
    pub(crate) const BPF_F_MMAPABLE: u32 = 1 << 10;
    pub(crate) const BPF_RB_FORCE_WAKEUP: u32 = 2;
    pub(crate) const BPF_RB_AVAIL_DATA: u32 = 0;
}

thread_local! {
    static CONFIG: Cell<Config> = const { Cell::new(Config::EMPTY) };
}

/// The offsets and choices of this thread's machine.
pub(crate) fn configuration() -> Config {
    CONFIG.get()
}

/// Sets them, as user space does before it loads the programs.
pub(crate) fn configure(config: Config) {
    CONFIG.set(config);
}

/// One field of the configuration.
macro_rules! config {
    ($($field:tt)+) => {
        $crate::platform::configuration().$($field)+
    };
}
pub(crate) use config;

/// Whether the simulation asked for one of these mistakes.
macro_rules! mutated {
    ($($mutation:ident),+) => {
        ($($crate::platform::mutation::is($crate::platform::mutation::Mutation::$mutation))||+)
    };
}
pub(crate) use mutated;

/// Messages of the programs go nowhere.
macro_rules! debug {
    ($($argument:expr),* $(,)?) => {{
        let _ = ($(&$argument),*);
    }};
}
pub(crate) use debug;

/// Reads a field of a structure of the fake kernel. As in the kernel, what lies behind a null pointer
/// is 0 (`ex_handler_bpf`, arch/x86/net/bpf_jit_comp.c).
///
/// # Safety
/// Any bytes must be a `T`.
pub(crate) unsafe fn field<T: Copy>(base: *const u8, offset: u32) -> T {
    // SAFETY: as the caller says.
    unsafe { memory::read(base as u64 + u64::from(offset)) }.unwrap_or_else(|| {
        assert!(
            (base as u64) < 4096,
            "a field of no object: {base:?} + {offset}"
        );
        // SAFETY: as the caller says.
        unsafe { core::mem::zeroed() }
    })
}

/// Words in maps that several CPUs read and write: each access is one, and whole, and another CPU may
/// go on before it.
pub(crate) trait Shared {
    type Value;

    /// # Safety
    /// The pointer must be valid and aligned.
    unsafe fn load(self) -> Self::Value;
}

/// The same, to be written.
pub(crate) trait SharedMut: Shared {
    /// # Safety
    /// The pointer must be valid and aligned.
    unsafe fn store(self, value: Self::Value);
}

impl<T> Shared for *const T {
    type Value = T;

    unsafe fn load(self) -> T {
        cpu::pause();
        // SAFETY: as the caller says.
        unsafe { self.read_volatile() }
    }
}

impl<T> Shared for *mut T {
    type Value = T;

    unsafe fn load(self) -> T {
        // SAFETY: as the caller says.
        unsafe { self.cast_const().load() }
    }
}

impl<T> SharedMut for *mut T {
    unsafe fn store(self, value: T) {
        cpu::pause();
        // SAFETY: as the caller says.
        unsafe { self.write_volatile(value) }
    }
}

/// Where the programs believe a map's element to be: one place for all, so that a schedule does the
/// same each time.
const ELEMENT: u64 = 0xffff_c900_0000_0000;

/// The address `of` relative to an element of a map.
pub(crate) fn relative<T>(of: *const u8, _element: *mut T) -> u64 {
    (of as u64).wrapping_sub(ELEMENT)
}

/// The address of a map's element.
pub(crate) fn address<T>(_element: *mut T) -> u64 {
    ELEMENT
}

/// Adds one to a word that others add to as well.
///
/// # Safety
/// `word` must be an aligned word in a map.
pub(crate) unsafe fn add_one(word: *mut u64) {
    cpu::pause();
    // SAFETY: as the caller says; simulated CPUs share one thread.
    unsafe { *word += 1 }
}

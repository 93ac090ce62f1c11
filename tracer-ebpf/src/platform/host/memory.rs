//! The memory of the fake kernel: objects, kernel stacks and words of user space, at addresses that
//! are the same in each run.

use std::cell::RefCell;

/// Where the objects begin: the kernel's direct map of memory.
const OBJECTS: u64 = 0xffff_8880_0000_0000;

/// Bytes for objects.
const OBJECT_BYTES: usize = 256 * 1024;

/// `THREAD_SIZE` of x86-64.
pub(crate) const STACK_BYTES: u64 = 1 << tracer_abi::slot::STACK_SHIFT;

/// Bytes that are kept at the end of a stack: `struct pt_regs` lies there, and nothing else is read.
pub(crate) const KEPT_BYTES: usize = 256;

/// Most stacks that a machine has.
pub const MAX_STACKS: usize = 64;

/// Where the stacks begin: the kernel's area for them.
const STACKS: u64 = 0xffff_c900_4000_0000;

/// Two stacks in a row would share no slot; these do: so many stacks lie between them.
static COLLIDING: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
    let index = |stack: u64| tracer_abi::slot::place(stack_at(stack), 0).index;
    (1..1 << 20)
        .find(|distance| index(0) == index(*distance))
        .unwrap_or(1)
});

const fn stack_at(number: u64) -> u64 {
    STACKS + number * STACK_BYTES
}

struct Memory {
    objects: Vec<u64>,
    used: usize,
    stacks: Vec<[u64; KEPT_BYTES / 8]>,
    addresses: Vec<u64>,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::new(Memory {
        objects: vec![0; OBJECT_BYTES / 8],
        used: 0,
        stacks: vec![[0; KEPT_BYTES / 8]; MAX_STACKS],
        addresses: (0..MAX_STACKS as u64)
            // Every second one shares its slot with the one before.
            .map(|number| stack_at(number / 2 + number % 2 * *COLLIDING))
            .collect(),
    });
}

/// Empties the memory.
pub(crate) fn reset() {
    MEMORY.with_borrow_mut(|memory| {
        let used = memory.used / 8;
        memory.objects[..used].fill(0);
        memory.used = 0;
        memory.stacks.fill([0; KEPT_BYTES / 8]);
    });
}

/// The address of a new object of so many bytes, all 0.
pub(crate) fn allocate(bytes: usize) -> u64 {
    MEMORY.with_borrow_mut(|memory| {
        let at = memory.used;
        memory.used += bytes.next_multiple_of(8);
        assert!(memory.used <= OBJECT_BYTES, "the memory is full");
        OBJECTS + at as u64
    })
}

/// The address of a stack.
pub fn stack(number: usize) -> u64 {
    MEMORY.with_borrow(|memory| memory.addresses[number])
}

/// Finds `len` bytes.
fn locate(memory: &mut Memory, address: u64, len: usize) -> Option<*mut u8> {
    let object = address.wrapping_sub(OBJECTS);
    if let Ok(at) = usize::try_from(object)
        && at.checked_add(len)? <= memory.used
    {
        // SAFETY: within the vector.
        return Some(unsafe { memory.objects.as_mut_ptr().cast::<u8>().add(at) });
    }
    let base = address & !(STACK_BYTES - 1);
    let number = memory.addresses.iter().position(|stack| *stack == base)?;
    let kept = (address - base).checked_sub(STACK_BYTES - KEPT_BYTES as u64)?;
    let at = usize::try_from(kept).ok()?;
    (at + len <= KEPT_BYTES)
        // SAFETY: within the array.
        .then(|| unsafe { memory.stacks[number].as_mut_ptr().cast::<u8>().add(at) })
}

/// Reads a value; `None` when nothing lies there.
///
/// # Safety
/// Any bytes must be a `T`.
pub(crate) unsafe fn read<T>(address: u64) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: room for a `T`.
    let read = unsafe { copy(address, value.as_mut_ptr().cast(), size_of::<T>()) };
    // SAFETY: all of it was written, and the caller says that any bytes will do.
    read.then(|| unsafe { value.assume_init() })
}

/// Copies bytes out; returns whether all of them lie there.
///
/// # Safety
/// `into` must have room for `len` bytes.
pub(crate) unsafe fn copy(address: u64, into: *mut u8, len: usize) -> bool {
    MEMORY.with_borrow_mut(|memory| {
        let Some(from) = locate(memory, address, len) else {
            return false;
        };
        // SAFETY: `locate` found so many bytes; the caller has room for them.
        unsafe { core::ptr::copy_nonoverlapping(from, into, len) };
        true
    })
}

/// Writes a value.
///
/// # Panics
/// When nothing lies there.
pub(crate) fn write<T: Copy>(address: u64, value: T) {
    write_bytes(address, &raw const value as *const u8, size_of::<T>());
}

/// Writes bytes.
///
/// # Panics
/// When nothing lies there.
pub(crate) fn write_slice(address: u64, bytes: &[u8]) {
    write_bytes(address, bytes.as_ptr(), bytes.len());
}

fn write_bytes(address: u64, from: *const u8, len: usize) {
    MEMORY.with_borrow_mut(|memory| {
        let into = locate(memory, address, len);
        let Some(into) = into else {
            unreachable!("nothing lies at {address:x}");
        };
        // SAFETY: `locate` found so many bytes; `from` is a value of that size.
        unsafe { core::ptr::copy_nonoverlapping(from, into, len) };
    });
}

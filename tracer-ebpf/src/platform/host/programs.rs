//! What a program is called with.

/// The arguments of a hook, and what it returned so far behind them.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    arguments: [u64; 8],
}

pub(crate) type BtfTracePointContext = Context;
pub(crate) type LsmContext = Context;
pub(crate) type FExitContext = Context;

/// A context as helpers take it.
pub(crate) trait EbpfContext {
    fn as_ptr(&self) -> *mut core::ffi::c_void;
}

impl EbpfContext for Context {
    fn as_ptr(&self) -> *mut core::ffi::c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }
}

/// What an argument may be taken for.
pub(crate) trait Argument {
    fn of(word: u64) -> Self;
}

impl Context {
    pub(crate) fn new(given: &[u64]) -> Self {
        let mut arguments = [0; 8];
        arguments[..given.len()].copy_from_slice(given);
        Self { arguments }
    }

    pub(crate) fn arg<T: Argument>(&self, number: usize) -> T {
        T::of(self.arguments[number])
    }
}

impl<T> Argument for *const T {
    fn of(word: u64) -> Self {
        word as *const T
    }
}

impl Argument for u64 {
    fn of(word: u64) -> Self {
        word
    }
}

impl Argument for u32 {
    fn of(word: u64) -> Self {
        crate::kernel::low(word)
    }
}

impl Argument for i32 {
    fn of(word: u64) -> Self {
        crate::kernel::low(word).cast_signed()
    }
}

//! The shared plain data, as aya takes it.

use aya::Pod;
use tracer_abi::PlainData;

/// A value of the kernel side in a map of aya's. `tracer-abi` knows nothing of aya, so the trait
/// cannot be implemented for its types themselves.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Plain<T>(pub(super) T);

// SAFETY: the same bytes as the value, which is plain data.
unsafe impl<T: PlainData> Pod for Plain<T> {}

//! Hashes of texts.

use tracer_abi::access::ACCESS_PATH_LEN;

use super::mix;
use crate::{kernel::low, platform::helpers::generated};

/// What a text is, by hash.
pub(super) struct Text {
    bytes: *const u8,
    pub(super) hash: u64,
    /// Of what comes before the last slash.
    pub(super) hash_of_parent: u64,
    /// How long that is, with the slash.
    pub(super) parent_len: u64,
}

/// Hash of a text of `len` bytes, and of what comes before its last slash, `start` being that of what
/// goes with it.
///
/// # Safety
/// `bytes` must have [`ACCESS_PATH_LEN`] bytes.
#[inline(always)]
pub(super) unsafe fn hash(bytes: *const u8, len: usize, start: u64) -> Text {
    let hash = mix(start, 0);
    let mut text = Text {
        bytes,
        hash,
        hash_of_parent: hash,
        parent_len: 0,
    };
    // As in `path`: the verifier would follow each turn of a loop of its own.
    // SAFETY: the callback takes what is handed to it.
    unsafe {
        generated::bpf_loop(
            low(len as u64),
            hash_step as *mut _,
            (&raw mut text).cast(),
            0,
        );
    }
    text.hash = mix(text.hash, len as u64);
    text.hash_of_parent = mix(text.hash_of_parent, 1);
    text
}

unsafe extern "C" fn hash_step(at: u32, text: *mut Text) -> i64 {
    // SAFETY: `hash` hands over its own.
    let text = unsafe { &mut *text };
    let at = at as usize & (ACCESS_PATH_LEN - 1);
    // SAFETY: as the caller of `hash` says.
    let byte = unsafe { text.bytes.add(at).read() };
    if byte == b'/' {
        text.hash_of_parent = text.hash;
        text.parent_len = at as u64 + 1;
    }
    // FNV-1a's step; what comes out is mixed once more.
    text.hash = (text.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    0
}

//! Sockets: what they are, and with which addresses.

use tracer_abi::AccessKind;

use super::{PathRef, Request, key, mix, path::number, ring, was_reported};
use crate::{kernel::low, maps::config, platform::helpers::generated};

/// Room for an address: `sockaddr_un` has 110 bytes (include/uapi/linux/un.h), and is the longest
/// that has a text. A power of two, for the verifier.
pub(crate) const ADDRESS_LEN: usize = 128;

/// Where an address is read from.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    /// Where it lies.
    pub(crate) at: u64,
    /// How many bytes it has.
    pub(crate) len: u32,
    /// Whether it lies in the memory of the process.
    pub(crate) in_user: bool,
}

/// Tells of a socket that is about to be made.
#[inline(always)]
pub(crate) fn made(row: u32, family: u32, kind: u32, protocol: u32) {
    let mut request = Request::new(row, AccessKind::SocketCreate, PathRef::NONE);
    // The flags SOCK_NONBLOCK and SOCK_CLOEXEC lie above the type (SOCK_TYPE_MASK, include/linux/net.h).
    request.values = [
        u64::from(family),
        u64::from(kind & 0xf),
        u64::from(protocol),
    ];
    let key = key(&request, request.flags, 0);
    if !was_reported(key) {
        ring::send_bytes::<0>(&request, key, |_| 0);
    }
}

/// Tells of what is done with a socket (`struct socket *`), and with which address.
#[inline(never)]
pub(crate) fn used(row: u32, kind: AccessKind, socket: u64, address: &Address) {
    let sk = number!(u64, socket, config!(socket_sk));
    let mut request = Request::new(row, kind, PathRef::NONE);
    request.values = [
        u64::from(number!(u16, sk, config!(sock_family))),
        u64::from(number!(u16, socket, config!(socket_type))),
        u64::from(number!(u16, sk, config!(sock_protocol))),
    ];
    let mut words = [0_u64; ADDRESS_LEN / 8];
    let len = address.len.min(low(ADDRESS_LEN as u64));
    if address.at != 0 && len > 0 {
        let at = address.at as *const _;
        let into = words.as_mut_ptr().cast();
        // SAFETY: `len` is at most the array's length; checked reads.
        unsafe {
            if address.in_user {
                generated::bpf_probe_read_user(into, len, at);
            } else {
                generated::bpf_probe_read_kernel(into, len, at);
            }
        }
    }
    let mut hash = u64::from(len);
    for word in words {
        hash = mix(hash, word);
    }
    let mut key = key(&request, request.flags, hash);
    if was_reported(key) {
        return;
    }
    let mut len = len;
    if super::too_many(&request, 0, 1) {
        // Once for all other addresses.
        request.flags = tracer_abi::access::flag::MORE;
        len = 0;
        key = super::key(&request, request.flags, 0);
        if was_reported(key) {
            return;
        }
    }
    ring::send_bytes::<ADDRESS_LEN>(&request, key, |bytes| {
        // SAFETY: both have the same length.
        unsafe {
            bytes
                .as_mut_ptr()
                .cast::<[u64; ADDRESS_LEN / 8]>()
                .write_unaligned(words)
        };
        len
    });
}

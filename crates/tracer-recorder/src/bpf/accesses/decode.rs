//! From the bytes of the ring to an access. Length first, then field by field.

use thiserror::Error;
use tracer_abi::{
    AbiClass, Access, AccessKind, COMM_LEN,
    access::{LONG_BYTES, SHORT_BYTES, flag},
};

use crate::bpf::decode;

/// An access as the kernel side tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelAccess {
    /// Its head.
    pub access: Access,
    /// Its kind.
    pub kind: AccessKind,
    /// The call's ABI.
    pub abi: AbiClass,
    /// The first path; or the text that a program gave; or the texts of a mount.
    pub first: Vec<u8>,
    /// The second path; or the directory that a text starts from; or other bytes.
    pub second: Vec<u8>,
}

/// Why bytes are no access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum DecodeError {
    #[error("no access has {0} bytes")]
    Length(usize),
    #[error("there is no access of kind {0}")]
    CgroupKind(u32),
    #[error("there is no ABI {0}")]
    Abi(u32),
    #[error("the paths of an access have {0} bytes, and it carries {1}")]
    Paths(usize, usize),
}

/// Lengths of what follows the head.
const BODIES: [usize; 4] = [0, 128, SHORT_BYTES, LONG_BYTES];

/// Reads one access.
pub(super) fn access(bytes: &[u8]) -> Result<KernelAccess, DecodeError> {
    let body = bytes
        .len()
        .checked_sub(size_of::<Access>())
        .filter(|body| BODIES.contains(body))
        .ok_or(DecodeError::Length(bytes.len()))?;
    let mut rest = bytes;
    let access = Access {
        time: u64::from_ne_bytes(decode::take(&mut rest)),
        key: u64::from_ne_bytes(decode::take(&mut rest)),
        values: std::array::from_fn(|_| u64::from_ne_bytes(decode::take(&mut rest))),
        row: u32::from_ne_bytes(decode::take(&mut rest)),
        kind: u32::from_ne_bytes(decode::take(&mut rest)),
        flags: u32::from_ne_bytes(decode::take(&mut rest)),
        pid: u32::from_ne_bytes(decode::take(&mut rest)),
        nr: u32::from_ne_bytes(decode::take(&mut rest)),
        abi: u32::from_ne_bytes(decode::take(&mut rest)),
        first_len: u32::from_ne_bytes(decode::take(&mut rest)),
        second_len: u32::from_ne_bytes(decode::take(&mut rest)),
        comm: decode::take::<COMM_LEN>(&mut rest),
    };
    let kind = AccessKind::of(access.kind).ok_or(DecodeError::CgroupKind(access.kind))?;
    let abi = decode::abi_class(access.abi).map_err(|_| DecodeError::Abi(access.abi))?;
    let (first_len, second_len) = (access.first_len as usize, access.second_len as usize);
    let too_long = DecodeError::Paths(first_len.saturating_add(second_len), body);
    let first = rest.get(..first_len).ok_or(too_long)?;
    let second = rest
        .get(first_len..first_len.saturating_add(second_len))
        .ok_or(too_long)?;
    let (first, second) = if access.flags & flag::AS_GIVEN != 0 {
        (first.to_vec(), path(second, true))
    } else {
        match kind {
            AccessKind::SocketBind
            | AccessKind::SocketConnect
            | AccessKind::SocketListen
            | AccessKind::SocketAccept => (path(first, true), second.to_vec()),
            // Names of functions; contexts and a class.
            AccessKind::Capability | AccessKind::Selinux => (Vec::new(), second.to_vec()),
            AccessKind::Mount => (
                texts_and_path(first),
                path(second, access.flags & flag::DIRECTORY != 0),
            ),
            _ => {
                let is_directory = access.flags & flag::DIRECTORY != 0;
                (path(first, is_directory), path(second, is_directory))
            }
        }
    };
    Ok(KernelAccess {
        access,
        kind,
        abi,
        first,
        second,
    })
}

/// The path of a file whose names are told from the last one up.
pub(in crate::bpf) fn path_of_names(names: &[u8]) -> Vec<u8> {
    path(names, false)
}

/// Two texts, each ended by a NUL, and names that become a path.
fn texts_and_path(bytes: &[u8]) -> Vec<u8> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == 0);
    let end = ends.map(|(at, _)| at + 1).nth(1).unwrap_or(bytes.len());
    let (texts, names) = bytes.split_at(end);
    [texts, &path(names, true)].concat()
}

/// The path of names that are told from the last one up, each ended by a NUL.
fn path(names: &[u8], is_directory: bool) -> Vec<u8> {
    let mut path = Vec::with_capacity(names.len() + 1);
    let names = names.strip_suffix(b"\0").unwrap_or(names);
    if !names.is_empty() {
        for name in names.rsplit(|byte| *byte == 0) {
            path.push(b'/');
            path.extend_from_slice(name);
        }
    }
    if path.is_empty() || is_directory {
        path.push(b'/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u32, flags: u32, first: &[u8], second: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; size_of::<Access>() + SHORT_BYTES];
        let mut put = |at: usize, value: u32| {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        };
        put(44, kind);
        put(48, flags);
        put(64, u32::try_from(first.len()).unwrap());
        put(68, u32::try_from(second.len()).unwrap());
        bytes[88..88 + first.len()].copy_from_slice(first);
        bytes[88 + first.len()..][..second.len()].copy_from_slice(second);
        bytes
    }

    #[test]
    fn mount_event_decodes_to_strings() {
        for (first, expected) in [
            (&b"from\0tmpfs\0b\0a\0"[..], &b"from\0tmpfs\0/a/b/"[..]),
            (b"\0\0", b"\0\0/"),
            (b"\0", b"\0/"),
            (b"", b"/"),
        ] {
            let event = event(AccessKind::Mount as u32, 0, first, b"mnt\0");
            let access = access(&event).unwrap();
            assert_eq!(access.first, expected);
            assert_eq!(access.second, b"/mnt");
        }
        let given = event(
            AccessKind::Mount as u32,
            flag::AS_GIVEN,
            b"a\0b\0c\0",
            b"mnt\0",
        );
        let access = access(&given).unwrap();
        assert_eq!(
            (&access.first[..], &access.second[..]),
            (&b"a\0b\0c\0"[..], &b"/mnt/"[..])
        );
    }

    #[test]
    fn name_components_become_a_path() {
        let access = access(&event(1, 0, b"passwd\0etc\0", b"")).unwrap();
        assert_eq!(access.first, b"/etc/passwd");
        assert_eq!(path(b"", true), b"/");
        assert_eq!(path(b"", false), b"/");
        assert_eq!(path(b"b\0a\0", true), b"/a/b/");
    }

    #[test]
    fn relative_path_is_kept_as_given() {
        let access = access(&event(6, flag::AS_GIVEN, b"../x", b"b\0a\0")).unwrap();
        assert_eq!(
            (access.first, access.second),
            (b"../x".to_vec(), b"/a/b/".to_vec())
        );
    }

    #[test]
    fn malformed_access_events_are_rejected() {
        assert_eq!(access(&[0; 88]), Err(DecodeError::CgroupKind(0)));
        assert_eq!(access(&[0; 90]), Err(DecodeError::Length(90)));
        let mut bytes = event(1, 0, b"", b"");
        bytes[64..68].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(
            access(&bytes),
            Err(DecodeError::Paths(u32::MAX as usize, SHORT_BYTES))
        );
    }
}

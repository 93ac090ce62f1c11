//! The capabilities that a file has by itself (capabilities(7), "File capabilities").

use std::{fs::File, os::fd::AsRawFd as _};

use rustix::fs::{StatVfsMountFlags, fstatvfs, getxattr};
use syscalls::capability::Capability;

/// What `security.capability` says (`struct vfs_ns_cap_data`, include/uapi/linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileCapabilities {
    /// Whether they are effective at once: execve(2) then fails with `EPERM` where the bounding set lacks one
    /// (`bprm_caps_from_vfs_caps`, security/commoncap.c).
    pub effective: bool,
    /// Which, a bit each by number.
    pub permitted: u64,
}

impl FileCapabilities {
    /// The capabilities of an open file; `None` when it has none, or is in a mount that ignores them.
    pub(super) fn of(file: &File) -> Option<Self> {
        if fstatvfs(file)
            .ok()?
            .f_flag
            .contains(StatVfsMountFlags::NOSUID)
        {
            return None;
        }
        // By its name in /proc: a descriptor that was opened for its path only has no attributes.
        let name = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mut value = [0; 64];
        let len = getxattr(name, "security.capability", &mut value[..]).ok()?;
        Self::parse(value.get(..len)?)
    }

    /// Reads the attribute's value: little-endian words on all machines.
    fn parse(value: &[u8]) -> Option<Self> {
        const REVISION: u32 = 0xff00_0000;
        const REVISION_1: u32 = 0x0100_0000;
        const EFFECTIVE: u32 = 1;
        let word = |at: usize| {
            let bytes = value.get(at * 4..at * 4 + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        let magic = word(0)?;
        // Permitted and inheritable, then the upper halves of both.
        let high = if magic & REVISION == REVISION_1 {
            0
        } else {
            word(3)?
        };
        let permitted = u64::from(word(1)?) | u64::from(high) << 32;
        (permitted != 0).then_some(Self {
            effective: magic & EFFECTIVE != 0,
            permitted,
        })
    }

    /// The permitted ones, by number.
    pub fn permitted(self) -> impl Iterator<Item = Capability> {
        (0..64)
            .filter(move |number| self.permitted >> number & 1 != 0)
            .map(Capability::from_number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn reads_all_revisions() {
        let of = |words: &[u32]| FileCapabilities::parse(&value(words));
        let bind = |effective| FileCapabilities {
            effective,
            permitted: 1 << 10,
        };
        assert_eq!(of(&[0x0100_0001, 1 << 10, 0]), Some(bind(true)));
        assert_eq!(of(&[0x0200_0001, 1 << 10, 0, 0, 0]), Some(bind(true)));
        assert_eq!(of(&[0x0200_0000, 1 << 10, 0, 0, 0]), Some(bind(false)));
        assert_eq!(of(&[0x0300_0001, 1 << 10, 0, 0, 0, 1000]), Some(bind(true)));
        let high = of(&[0x0200_0001, 0, 0, 1 << 8, 0]).unwrap();
        let names: Vec<_> = high.permitted().filter_map(Capability::name).collect();
        assert_eq!(names, ["CHECKPOINT_RESTORE"]);
    }

    #[test]
    fn empty_and_short_values_are_none() {
        assert_eq!(
            FileCapabilities::parse(&value(&[0x0200_0001, 0, 0, 0, 0])),
            None
        );
        assert_eq!(FileCapabilities::parse(&value(&[0x0200_0001])), None);
        assert_eq!(FileCapabilities::parse(&[]), None);
    }
}

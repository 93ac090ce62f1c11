//! What the SELinux policy did not allow.

use tracer_abi::access::{SELINUX_CLASS_AT, SELINUX_CONTEXT_LEN, SELINUX_TARGET_AT};

use super::{Observed, Unreadable, accesses::AccessContext};
use crate::bpf::{KernelAccess, support::kernel_release};
use tracer_core::{
    profile::selinux::classes::{self, KernelOrder},
    recording::SelinuxUse,
};

impl Observed {
    /// Takes in what was asked for at once of one object.
    ///
    /// # Errors
    /// [`Unreadable`] when a context is too long for its place, or a permission has no name.
    pub(super) fn take_selinux(
        &mut self,
        by: &AccessContext,
        reported: &KernelAccess,
    ) -> Result<(), Unreadable> {
        let [_, bits, class_and_refused] = reported.access.values;
        let source = text(&reported.second, 0)?;
        let target = text(&reported.second, SELINUX_TARGET_AT)?;
        let class = text(&reported.second, SELINUX_CLASS_AT)?;
        let bits = u32::try_from(bits).map_err(|_| Unreadable)?;
        let order = KernelOrder::of_release(&kernel_release());
        let (names, unnamed) = classes::names(class, bits, order);
        for permission in names {
            let what = SelinuxUse::from_contexts(source, target, class, permission);
            let mut what = what.ok_or(Unreadable)?;
            what.refused = class_and_refused & 1 != 0;
            self.note_discovery(by, &what);
            self.accesses.selinux.add(by.does(what));
        }
        if unnamed > 0 {
            return Err(Unreadable);
        }
        Ok(())
    }
}

/// The text at a place of the event. One that fills its place was cut off.
fn text(bytes: &[u8], at: usize) -> Result<&str, Unreadable> {
    let rest = bytes.get(at..).ok_or(Unreadable)?;
    let text = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.len() >= SELINUX_CONTEXT_LEN - 1 {
        return Err(Unreadable);
    }
    str::from_utf8(text).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_by_their_places() {
        let mut bytes = vec![0; 512];
        bytes[..5].copy_from_slice(b"a:b:c");
        bytes[SELINUX_TARGET_AT..][..SELINUX_CONTEXT_LEN - 1].fill(b'x');
        assert_eq!(text(&bytes, 0), Ok("a:b:c"));
        assert_eq!(text(&bytes, SELINUX_TARGET_AT), Err(Unreadable));
        assert_eq!(text(&bytes, SELINUX_CLASS_AT), Ok(""));
        assert_eq!(text(&bytes, 513), Err(Unreadable));
    }
}

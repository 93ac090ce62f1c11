//! What a profile is worth beside gVisor's own confinement.

use super::markdown::Document;

/// Says it, with how to put the profile into force.
pub(super) fn worth(doc: &mut Document) {
    doc.heading(2, "In gVisor");
    doc.list([
        "This kernel never sees the guest's system calls: gVisor answers them. The profile does not protect this kernel, for which gVisor has a filter of its own. It narrows what the guest can ask of gVisor, and so what of gVisor's code an attacker in the guest can reach.".to_owned(),
        "gVisor ignores a profile unless it is told otherwise: `runsc --oci-seccomp`, or `oci-seccomp = \"true\"` in the `[runsc_config]` of containerd's `runsc.toml`.".to_owned(),
        "runsc 20221219 and 20240729 answer every call that is not allowed with EPERM, whatever error the profile names. So they answer calls that they have no number for, too: a libc that expects ENOSYS from a new call does not fall back.".to_owned(),
        "No AppArmor profile is made. AppArmor and SELinux could confine the sandbox only, whose files are not the guest's.".to_owned(),
    ]);
}

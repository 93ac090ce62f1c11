//! Flags of profiles.

/// What a profile's flags may be (parser/profile.h and apparmor.d(5) of 4.1); with a value, what stands before `=`.
const FLAGS: [&str; 24] = [
    "enforce",
    "complain",
    "kill",
    "unconfined",
    "prompt",
    "default_allow",
    "audit",
    "hat",
    "debug",
    "mediate_deleted",
    "delegate_deleted",
    "attach_disconnected",
    "no_attach_disconnected",
    "attach_disconnected.path",
    "attach_disconnected.ipc",
    "chroot_relative",
    "namespace_relative",
    "chroot_attach",
    "chroot_no_attach",
    "kill.signal",
    "error",
    "interruptible",
    "allow_all",
    "no_new_privs",
];

/// Whether there is such a flag.
pub(super) fn is_known(flag: &str) -> bool {
    let name = flag.split('=').next().unwrap_or_default();
    FLAGS.contains(&name)
}

/// The flags of a head: in the last brackets, unless they are of xattrs.
pub(super) fn of_head(head: &str) -> Vec<String> {
    let inner = match head.split_once("flags") {
        Some((_, rest)) if rest.trim_start().starts_with(['=', '(']) => rest.split_once('('),
        _ if head.contains("xattrs") => None,
        _ => head.split_once(" ("),
    };
    let inner = inner.and_then(|(_, rest)| rest.split(')').next());
    let flags = inner.unwrap_or_default().split([',', ' ']);
    let flags = flags.filter(|flag| !flag.is_empty());
    flags.map(str::to_owned).collect()
}

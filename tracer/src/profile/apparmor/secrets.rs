//! Places and names of passwords, keys and tokens.

use super::pattern::{Part, Pattern, Segment};
use crate::recording::FilePath;

/// Names below which everything is a secret.
const FOLDERS: &[&[u8]] = &[
    b".aws", b".azure", b".docker", b".gnupg", b".kube", b".ssh", b"gcloud", b"keys", b"private",
    b"secrets",
];

/// Names below which keys lie beside what everybody reads, such as the certificates of authorities.
const MIXED_FOLDERS: &[&[u8]] = &[b"pki", b"ssl"];

/// Names that people give to files with secrets.
const FILES: &[&[u8]] = &[
    b".git-credentials",
    b".netrc",
    b".pgpass",
    b".vault-token",
    b"id_dsa",
    b"id_ecdsa",
    b"id_ed25519",
    b"id_rsa",
];

/// How the names of others end.
const ENDINGS: &[&[u8]] = &[
    b".jks", b".key", b".keytab", b".p12", b".pfx", b"_key", b"key.pem",
];

/// Files of the system's own.
const OF_THE_SYSTEM: &[&str] = &[
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/shadow",
    "/etc/shadow-",
];

/// Whether a name is one by which no glob may be made, neither for it nor above or below it.
pub(super) fn is_guarding(name: &[u8]) -> bool {
    FOLDERS.contains(&name) || MIXED_FOLDERS.contains(&name) || is_file(name)
}

/// Whether one of the names that are fixed is such a one.
pub(super) fn guard(names: &[Segment]) -> bool {
    names.iter().any(|name| match name.as_slice() {
        [Part::Text(text)] => is_guarding(text),
        _ => false,
    })
}

/// Whether a path is a secret, as far as its names tell, or a glob holds one.
pub(super) fn is_one(pattern: &Pattern) -> bool {
    let names = pattern.segments();
    let end = names.last().and_then(|name| match name.last() {
        Some(Part::Text(end)) => Some(end.as_slice()),
        _ => None,
    });
    let in_folder = (0..names.len())
        .filter_map(|at| pattern.text_at(at))
        .any(|name| FOLDERS.contains(&name));
    let of_the_system = || {
        let mut all = OF_THE_SYSTEM.iter();
        all.any(|path| pattern.matches(&FilePath::from(*path)))
    };
    in_folder || end.is_some_and(is_file) || of_the_system()
}

fn is_file(name: &[u8]) -> bool {
    FILES.contains(&name) || ENDINGS.iter().any(|end| name.ends_with(end))
}

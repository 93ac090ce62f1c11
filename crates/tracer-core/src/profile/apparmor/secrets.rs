//! Places and names of passwords, keys and tokens.

use super::pattern::{Part, Pattern, Segment};
use crate::recording::FilePath;

/// Names below which everything is a secret.
const DIRECTORIES: &[&[u8]] = &[
    b".aws", b".azure", b".docker", b".gnupg", b".kube", b".ssh", b"gcloud", b"keys", b"private",
    b"secrets",
];

/// Names below which keys lie beside what everybody reads, such as the certificates of authorities.
const MIXED_DIRECTORIES: &[&[u8]] = &[b"pki", b"ssl"];

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
pub(super) fn guards_secrets(name: &[u8]) -> bool {
    DIRECTORIES.contains(&name) || MIXED_DIRECTORIES.contains(&name) || is_file(name)
}

/// Whether one of the names that are fixed is such a one.
pub(super) fn guard(names: &[Segment]) -> bool {
    fixed(names).any(guards_secrets)
}

/// Whether a path is a secret, as far as its names tell, or a glob holds one.
pub(super) fn is_secret(pattern: &Pattern) -> bool {
    let names = pattern.segments();
    let end = names.last().and_then(|name| match name.last() {
        Some(Part::Text(end)) => Some(end.as_slice()),
        _ => None,
    });
    let of_the_system = || {
        let mut all = OF_THE_SYSTEM.iter();
        all.any(|path| pattern.matches(&FilePath::from(*path)))
    };
    fixed(names).any(|name| DIRECTORIES.contains(&name))
        || end.is_some_and(is_file)
        || of_the_system()
}

/// The names that are fixed, without the one by which systemd keeps what a service with a user of its own
/// stores: `/var/lib/private/NAME` and the like (systemd.exec(5), `DynamicUser=`).
fn fixed(names: &[Segment]) -> impl Iterator<Item = &[u8]> {
    let text = |at: usize| match names.get(at)?.as_slice() {
        [Part::Text(text)] => Some(text.as_slice()),
        _ => None,
    };
    let of_a_service = matches!(
        (text(0), text(1), text(2)),
        (
            Some(b"var"),
            Some(b"cache" | b"lib" | b"log"),
            Some(b"private")
        )
    );
    (0..names.len())
        .filter(move |at| *at != 2 || !of_a_service)
        .filter_map(text)
}

fn is_file(name: &[u8]) -> bool {
    FILES.contains(&name) || ENDINGS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_secrets_from_service_data() {
        for (path, secret) in [
            ("/var/lib/private/app/wal.1", false),
            ("/var/lib/private/app/private/key", true),
            ("/var/lib/app/private/key", true),
            ("/srv/app/id_rsa", true),
            ("/srv/app/data", false),
        ] {
            let pattern = Pattern::literal(&path.into());
            assert_eq!(is_secret(&pattern), secret, "{path}");
            assert_eq!(guard(pattern.segments()), secret, "{path}");
        }
    }
}

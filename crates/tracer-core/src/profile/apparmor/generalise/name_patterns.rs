//! What a single name tells by itself: ids of processes, UUIDs, hashes, versions, temporary names.

use super::{GeneralisedPath, PathInfo, Reason, own::Own};
use crate::{
    profile::apparmor::{
        pattern::{Part, Pattern, Segment, pid_digits},
        permissions::Permissions,
    },
    recording::FilePath,
};

/// Where anyone makes files under made-up names.
const TEMPORARY: &[&[&[u8]]] = &[&[b"tmp"], &[b"var", b"tmp"], &[b"dev", b"shm"]];

/// Lengths of hashes in hexadecimal digits: MD5, SHA-1, SHA-224, SHA-256 (containers' ids too),
/// SHA-384, SHA-512.
const HASHES: &[usize] = &[32, 40, 56, 64, 96, 128];

/// Changes the pattern of a path where its names alone say so.
pub(super) fn generalise(
    full: &FilePath,
    one: &mut GeneralisedPath,
    facts: &PathInfo,
    own: &Own<'_>,
) {
    let mut end = 0;
    let executed = facts.permissions.has_any(Permissions::EXECUTE);
    let path: Vec<Vec<u8>> = (0..one.pattern.segments().len())
        .map(|at| one.pattern.text_at(at).unwrap_or_default().to_vec())
        .collect();
    for (at, name) in path.iter().enumerate() {
        let before = path.get(..at).unwrap_or_default();
        end += name.len() + 1;
        let temporary = is_temporary(before);
        let given = own.is_given(full.as_bytes().get(..end).unwrap_or_default(), temporary);
        let found = if let Some(part) = process(before, name) {
            Some((vec![part], Reason::Process))
        } else if executed {
            None
        } else if let Some(segment) = volume(name) {
            Some((segment, Reason::Temporary))
        } else if let Some(segment) = library(before, name, facts.permissions) {
            Some((segment, Reason::LibraryVersion))
        } else if given {
            None
        } else if let Some(segment) = uuid(name) {
            Some((segment, Reason::Uuid))
        } else if let Some(segment) = hash(name) {
            Some((segment, Reason::Hash))
        } else if temporary {
            // Who made it is not known, so what it looks like decides.
            self::temporary(name).map(|segment| (segment, Reason::Temporary))
        } else {
            None
        };
        if let Some((segment, reason)) = found {
            one.pattern = Pattern::with(&one.pattern, at, segment);
            one.reasons.insert(reason);
        }
    }
}

/// `/proc/N`, `/proc/N/task/N`, `/proc/N/fd/N` and the like.
fn process(before: &[Vec<u8>], name: &[u8]) -> Option<Part> {
    let is_number = !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    let before: Vec<_> = before.iter().map(Vec::as_slice).collect();
    match before.as_slice() {
        _ if !is_number => None,
        [b"proc", .., b"fd" | b"fdinfo"] => Some(Part::Digits),
        // A number that no process has is no process.
        _ if pid_digits(name) < name.len() => None,
        [b"proc"] => Some(Part::Pid),
        [b"proc", pid, b"task"] if pid.first().is_some_and(u8::is_ascii_digit) => Some(Part::Tid),
        _ => None,
    }
}

/// A name with UUIDs in it: 8-4-4-4-12 hexadecimal digits.
pub(super) fn uuid(name: &[u8]) -> Option<Segment> {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let length = GROUPS.iter().sum::<usize>() + GROUPS.len() - 1;
    let is_uuid = |bytes: &[u8]| {
        let groups: Vec<_> = bytes.split(|byte| *byte == b'-').collect();
        groups.iter().map(|group| group.len()).eq(GROUPS)
            && groups
                .iter()
                .all(|group| group.iter().all(u8::is_ascii_hexdigit))
    };
    let at = name.windows(length).position(is_uuid)?;
    let (before, rest) = name.split_at(at);
    let (_, after) = rest.split_at(length);
    let mut parts = text(before);
    for (index, group) in GROUPS.into_iter().enumerate() {
        if index > 0 {
            parts.push(Part::Text(b"-".to_vec()));
        }
        parts.push(Part::Any(group));
    }
    parts.extend(uuid(after).unwrap_or_else(|| text(after)));
    Some(parts)
}

/// A name with a run of hexadecimal digits in it that has a hash's length.
pub(super) fn hash(name: &[u8]) -> Option<Segment> {
    let mut at = 0;
    for run in name.chunk_by(|a, b| a.is_ascii_alphanumeric() == b.is_ascii_alphanumeric()) {
        let is_hash = HASHES.contains(&run.len())
            && run.iter().all(u8::is_ascii_hexdigit)
            && run.iter().any(u8::is_ascii_digit)
            && run.iter().any(u8::is_ascii_alphabetic);
        if is_hash {
            let mut parts = text(name.get(..at)?);
            parts.push(Part::Any(run.len()));
            let after = name.get(at + run.len()..)?;
            parts.extend(hash(after).unwrap_or_else(|| text(after)));
            return Some(parts);
        }
        at += run.len();
    }
    None
}

/// `..2026_01_31_12_00_00.123456789`, as Kubernetes calls the directory that has the content of a volume
/// (pkg/volume/util/atomic_writer.go, `newTimestampDir`).
fn volume(name: &[u8]) -> Option<Segment> {
    const TIME: &[u8] = b"..0000_00_00_00_00_00.";
    let (time, number) = name.split_at_checked(TIME.len())?;
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    let is_volume = time.iter().zip(TIME).all(fits)
        && !number.is_empty()
        && number.iter().all(u8::is_ascii_digit);
    let parts = TIME.chunk_by(|a, b| a == b).map(|run| match run {
        [b'0', ..] => Part::Any(run.len()),
        other => Part::Text(other.to_vec()),
    });
    is_volume.then(|| parts.chain([Part::Digits]).collect())
}

/// `libssl.so.3.0.11` and `libc-2.31.so` in a library's directory, read and mapped only.
fn library(before: &[Vec<u8>], name: &[u8], permissions: Permissions) -> Option<Segment> {
    let read = Permissions::READ | Permissions::MAP | Permissions::LOCK;
    let directory = |name: &Vec<u8>| name.starts_with(b"lib");
    if !read.contains(permissions) || !before.iter().take(2).any(directory) {
        return None;
    }
    let is_version = |text: &[u8]| {
        text.iter().any(u8::is_ascii_digit)
            && text
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    let find = |needle: &[u8]| {
        name.windows(needle.len())
            .rposition(|window| window == needle)
    };
    if let Some(at) = find(b".so.").filter(|at| *at > 0) {
        let (stem, version) = name.split_at_checked(at + 4)?;
        return is_version(version).then(|| vec![Part::Text(stem.to_vec()), Part::Star]);
    }
    let stem = name.strip_suffix(b".so")?;
    let (stem, version) =
        stem.split_at_checked(stem.iter().rposition(|byte| *byte == b'-')? + 1)?;
    let parts = || {
        vec![
            Part::Text(stem.to_vec()),
            Part::Star,
            Part::Text(b".so".to_vec()),
        ]
    };
    (stem.len() > 1 && is_version(version)).then(parts)
}

pub(super) fn is_temporary(before: &[Vec<u8>]) -> bool {
    TEMPORARY
        .iter()
        .any(|place| before.iter().map(Vec::as_slice).eq(place.iter().copied()))
}

/// A name that was made up: by mkstemp(3) and mkdtemp(3) (six letters and digits), mktemp(1) (ten),
/// Python's tempfile (eight of `a` to `z`, `0` to `9` and `_`), or with a number.
fn temporary(name: &[u8]) -> Option<Segment> {
    let python = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    if let Some(random) = name.strip_prefix(b"tmp").filter(|rest| rest.len() == 8)
        && random.iter().all(python)
    {
        return Some(vec![Part::Text(b"tmp".to_vec()), Part::Any(8)]);
    }
    // The last word that is random: `x.AbC123`, `.AbC123.tmp`, `x-ab_12cd9`.
    let ends: Vec<_> = (1..=name.len())
        .rev()
        .filter(|end| name.get(*end).is_none_or(|byte| b".-".contains(byte)))
        .collect();
    for end in ends {
        let head = name.get(..end)?;
        let start = head
            .iter()
            .rposition(|byte| b".-".contains(byte))
            .map_or(0, |at| at + 1);
        let word = head.get(start..)?;
        // `PostgreSQL.1078106628`: the number is what was made up.
        if word.len() > SHORT_NUMBER && word.iter().all(u8::is_ascii_digit) {
            break;
        }
        if is_of_words(word) {
            continue;
        }
        let after_underscore = word
            .iter()
            .rposition(|byte| *byte == b'_')
            .map_or(0, |at| at + 1);
        let choices = [after_underscore, 0, word.len().saturating_sub(6)];
        let random = choices
            .into_iter()
            .find(|from| word.get(*from..).is_some_and(is_random));
        if let Some(from) = random {
            let start = start + from;
            let rest = |bytes: &[u8]| numbered(bytes).unwrap_or_else(|| text(bytes));
            let mut parts = rest(name.get(..start)?);
            parts.push(Part::Any(end - start));
            parts.extend(rest(name.get(end..)?));
            return Some(parts);
        }
    }
    numbered(name)
}

/// Numbers with so many digits at most are no sign of a made-up name: a year, a port.
const SHORT_NUMBER: usize = 4;

/// Whether a word looks random: six to sixteen letters and digits of at least two kinds.
fn is_random(word: &[u8]) -> bool {
    let kinds = [
        u8::is_ascii_lowercase,
        u8::is_ascii_uppercase,
        u8::is_ascii_digit,
    ];
    let present = kinds.iter().filter(|kind| word.iter().any(*kind)).count();
    (6..=16).contains(&word.len())
        && word
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && present >= 2
        && !is_of_words(word)
}

/// Whether a word is made of such as people write, each with a number at one end or without: `Config`,
/// `worker12`, `userData`, `PostgreSQL`, `HTTPServer`.
pub(super) fn is_of_words(word: &[u8]) -> bool {
    word.split(|byte| *byte == b'_').all(|piece| {
        let letters = piece.trim_ascii_digits();
        letters.is_empty()
            // `db` is a word, and `2cd9` none.
            || (is_one_word(letters) && (letters.len() >= 3 || letters.len() == piece.len()))
            // Of six letters, as mkstemp(3) makes them, too many look like two words.
            || (letters.len() >= 7 && is_two_words(letters))
    })
}

/// `Word`, `word`, `WORD`.
fn is_one_word(letters: &[u8]) -> bool {
    let rest = letters.get(1..).unwrap_or_default();
    letters.iter().all(u8::is_ascii_alphabetic)
        && (rest.iter().all(u8::is_ascii_lowercase) || rest.iter().all(u8::is_ascii_uppercase))
}

/// `twoWords`, `TwoWords`, `TwoWORDS`, `TWOWords`.
fn is_two_words(letters: &[u8]) -> bool {
    let is_capital = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_uppercase);
    let is_small = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_lowercase);
    if !letters.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    let runs: Vec<_> = letters
        .chunk_by(|a, b| a.is_ascii_uppercase() == b.is_ascii_uppercase())
        .collect();
    match runs.as_slice() {
        [both, word] if both.len() > 3 => is_capital(both) && word.len() >= 2,
        [first, second] => is_small(first) && first.len() >= 2 && second.len() >= 2,
        [first, word, second] if is_capital(first) => {
            first.len() == 1 && word.len() >= 2 && second.len() >= 2
        }
        [first, capital, word] => first.len() >= 2 && capital.len() == 1 && word.len() >= 2,
        [capital, first, other, word] => {
            is_capital(capital)
                && (capital.len(), other.len()) == (1, 1)
                && first.len() >= 2
                && word.len() >= 2
        }
        _ => false,
    }
}

/// A name without the digits at its ends.
trait TrimDigits {
    fn trim_ascii_digits(&self) -> &Self;
}

impl TrimDigits for [u8] {
    fn trim_ascii_digits(&self) -> &Self {
        let not = |byte: &u8| !byte.is_ascii_digit();
        let from = self.iter().position(not).unwrap_or(self.len());
        let to = self.iter().rposition(not).map_or(from, |at| at + 1);
        self.get(from..to).unwrap_or_default()
    }
}

/// A name with its numbers replaced, if it has any.
fn numbered(name: &[u8]) -> Option<Segment> {
    name.iter().any(u8::is_ascii_digit).then(|| {
        name.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
            .map(|run| match run.first() {
                Some(first) if first.is_ascii_digit() => Part::Digits,
                _ => Part::Text(run.to_vec()),
            })
            .collect()
    })
}

fn text(bytes: &[u8]) -> Segment {
    if bytes.is_empty() {
        Vec::new()
    } else {
        vec![Part::Text(bytes.to_vec())]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::profile::apparmor::generalise::{Given, Policy};

    fn token(path: &str, permissions: Permissions, temporary: bool) -> String {
        let facts = PathInfo {
            permissions,
            made: temporary,
            gone: temporary,
            ..PathInfo::default()
        };
        let paths = [(FilePath::from(path), facts)].into();
        let runs = BTreeSet::new();
        let mut given = Given::default();
        given.forget_makers();
        let general = super::super::generalise(&paths, &runs, Policy::Safe, given);
        general[&FilePath::from(path)].pattern.token().unwrap()
    }

    #[test]
    fn variable_name_parts_become_globs() {
        let hash = "d".repeat(32) + &"0".repeat(32);
        for (path, expected) in [
            ("/proc/12/stat", "@{PROC}/@{pid}/stat".to_owned()),
            (
                "/proc/12/task/13/comm",
                "@{PROC}/@{pid}/task/@{tid}/comm".to_owned(),
            ),
            ("/proc/12/fd/3", "@{PROC}/@{pid}/fd/[0-9]*".to_owned()),
            ("/proc/sys/vm/x", "@{PROC}/sys/vm/x".to_owned()),
            (
                "/var/x/123e4567-e89b-12d3-a456-426614174000.db",
                "/var/x/????????-????-????-????-????????????.db".to_owned(),
            ),
            (&format!("/c/{hash}/x"), format!("/c/{}/x", "?".repeat(64))),
            (
                "/usr/lib/x86_64-linux-gnu/libssl.so.3.0.11",
                "/usr/lib/x86_64-linux-gnu/libssl.so.*".to_owned(),
            ),
            ("/lib/libc-2.31.so", "/lib/libc-*.so".to_owned()),
            ("/srv/libssl.so.3", "/srv/libssl.so.3".to_owned()),
            ("/tmp/tmpab_c1234", "/tmp/tmp????????".to_owned()),
            ("/tmp/tmp.AbCdEfGhIj", "/tmp/tmp.??????????".to_owned()),
            ("/tmp/sess_aB3xYz", "/tmp/sess_??????".to_owned()),
            ("/tmp/fooaB3xYz", "/tmp/?????????".to_owned()),
            (
                "/tmp/pip-x1-ab_12cd9/a",
                "/tmp/pip-x[0-9]*-????????/a".to_owned(),
            ),
            (
                "/dev/shm/PostgreSQL.1078106628",
                "/dev/shm/PostgreSQL.[0-9]*".to_owned(),
            ),
            (
                "/tmp/sess.12345.aB3xYz",
                "/tmp/sess.[0-9]*.??????".to_owned(),
            ),
            (
                "/run/secrets/k/..2026_01_31_12_00_00.123456789/token",
                "/run/secrets/k/..????_??_??_??_??_??.[0-9]*/token".to_owned(),
            ),
            ("/tmp/userData.json", "/tmp/userData.json".to_owned()),
            ("/tmp/HTTPServer.sock", "/tmp/HTTPServer.sock".to_owned()),
            ("/tmp/the_userData2", "/tmp/the_userData[0-9]*".to_owned()),
            ("/tmp/13455_vm", "/tmp/[0-9]*_vm".to_owned()),
            ("/tmp/x.AbCdEf", "/tmp/x.??????".to_owned()),
            ("/tmp/worker12.sock", "/tmp/worker[0-9]*.sock".to_owned()),
            ("/tmp/README", "/tmp/README".to_owned()),
            ("/tmp/Config.yaml", "/tmp/Config.yaml".to_owned()),
            ("/data/a1b2c3", "/data/a1b2c3".to_owned()),
        ] {
            assert_eq!(token(path, Permissions::READ, false), expected);
        }
    }

    #[test]
    fn deleted_temporary_names_become_globs() {
        let write = Permissions::WRITE;
        assert_eq!(
            token("/data/temp-4711.rdb", write, true),
            "/data/temp-[0-9]*.rdb"
        );
        assert_eq!(token("/data/dump.rdb", write, true), "/data/dump.rdb");
        assert_eq!(
            token("/data/temp-4711.rdb", write, false),
            "/data/temp-4711.rdb"
        );
    }

    /// What becomes of names that were there, where the recording says who made what.
    #[test]
    fn given_names_stay_whatever_they_look_like() {
        let runs = BTreeSet::new();
        let facts = PathInfo {
            permissions: Permissions::READ | Permissions::WRITE,
            ..PathInfo::default()
        };
        let made = PathInfo {
            made: true,
            told: true,
            ..facts.clone()
        };
        let mut given = Given::default();
        given.argument(b"--out=/srv/123e4567-e89b-12d3-a456-426614174000/x");
        let given_name = "/tmp/tracer-e123-abcdef/input";
        let paths: std::collections::BTreeMap<_, _> = [
            (given_name, &facts),
            ("/tmp/tmpab_c1234", &facts),
            ("/tmp/tmp.AbCdEfGhIj/", &facts),
            ("/tmp/13455_vm", &facts),
            ("/dev/shm/PostgreSQL.1078106628", &facts),
            ("/var/tmp/123e4567-e89b-12d3-a456-426614174000", &facts),
            ("/srv/123e4567-e89b-12d3-a456-426614174000/x", &facts),
            // In a given directory only what the workload made varies.
            ("/tmp/tracer-e456-ghijkl/part.4711", &made),
        ]
        .map(|(path, facts)| (FilePath::from(path), facts.clone()))
        .into();
        let general = super::super::generalise(&paths, &runs, Policy::Safe, given);
        for (path, one) in general {
            let expected = match path.to_string().as_str() {
                "/tmp/tracer-e456-ghijkl/part.4711" => {
                    "/tmp/tracer-e456-ghijkl/part.[0-9]*".to_owned()
                }
                other => other.to_owned(),
            };
            assert_eq!(one.pattern.token().unwrap(), expected);
        }
    }

    #[test]
    fn executables_keep_their_names() {
        let execute = Permissions::EXECUTE | Permissions::READ | Permissions::MAP;
        assert_eq!(
            token("/tmp/tmp.AbCdEfGhIj", execute, false),
            "/tmp/tmp.AbCdEfGhIj"
        );
        // What the workload made and then executed, it makes under another name the next time.
        assert_eq!(
            token("/tmp/tmp.AbCdEfGhIj", execute, true),
            "/tmp/tmp.??????????"
        );
    }
}

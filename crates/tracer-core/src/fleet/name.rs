//! Names of objects: `cluster/namespace/owner-kind/owner/container/image-digest/arch/<sha256>.json.zst`.
//!
//! A workload chooses some of these texts. Each is escaped, so that none of them is a path, a hidden file or another
//! workload's name.

use std::{fmt, fmt::Write as _};

use crate::agent::SpoolKey;

/// What the name of an object ends with.
pub const SUFFIX: &str = ".json.zst";

/// How long an escaped text may be. File systems take 255 bytes.
const MAX_SEGMENT: usize = 160;

/// How much of a longer one is kept in front of its digest.
const MAX_BEGINNING: usize = 90;

/// How many texts a key has.
const SEGMENTS: usize = 7;

/// The name of an object in a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    prefix: String,
    digest: String,
}

impl ObjectName {
    /// The name of an object of a workload whose bytes are `packed`, as they are stored.
    pub fn new(key: &SpoolKey, packed: &[u8]) -> Self {
        Self {
            prefix: prefix(key),
            digest: hex(&hmac_sha256::Hash::hash(packed)),
        }
    }

    /// Reads a name; `None` when it is not one that [`ObjectName::new`] could have made.
    ///
    /// ```
    /// use tracer_core::{agent::SpoolKey, fleet::ObjectName};
    ///
    /// let name = ObjectName::new(&SpoolKey::default(), b"bytes");
    /// assert_eq!(ObjectName::parse(&name.to_string()), Some(name));
    /// assert_eq!(ObjectName::parse("../../etc/passwd"), None);
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        let (prefix, file) = name.rsplit_once('/')?;
        let digest = file.strip_suffix(SUFFIX)?;
        let is_digest = digest.len() == 64
            && digest
                .bytes()
                .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        let segments: Vec<_> = prefix.split('/').collect();
        let is_prefix = segments.len() == SEGMENTS && segments.iter().all(|it| is_segment(it));
        (is_digest && is_prefix).then(|| Self {
            prefix: prefix.to_owned(),
            digest: digest.to_owned(),
        })
    }

    /// The part that all objects of one key share, without a slash at its end.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The digest of the object's bytes.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether these are the object's bytes.
    pub fn is_of(&self, packed: &[u8]) -> bool {
        self.digest == hex(&hmac_sha256::Hash::hash(packed))
    }

    /// The key, as far as the name tells it: a text that was too long is cut, and ends in `…`.
    pub fn key(&self) -> SpoolKey {
        let mut texts = self.prefix.split('/').map(shown);
        let mut next = || texts.next().unwrap_or_default();
        SpoolKey {
            cluster: next(),
            namespace: next(),
            kind: next(),
            owner: next(),
            container: next(),
            image: next(),
            architecture: next(),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{SUFFIX}", self.prefix, self.digest)
    }
}

/// What the names of all objects of a key begin with, without a slash at its end.
pub fn prefix(key: &SpoolKey) -> String {
    let texts = [
        &key.cluster,
        &key.namespace,
        &key.kind,
        &key.owner,
        &key.container,
        &key.image,
        &key.architecture,
    ];
    texts.map(|text| escape(text)).join("/")
}

/// A text as a part of a name: letters, digits, `-`, `_` and `.` stand for themselves, every other byte and a `.` in
/// front are `=` and two digits. The empty text is `=`. A long text is its beginning, `==` and its digest.
fn escape(text: &str) -> String {
    if text.is_empty() {
        return "=".to_owned();
    }
    let mut escaped = String::new();
    let mut beginning = 0;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(byte.into()),
            b'.' if index > 0 => escaped.push('.'),
            _ => {
                let _ = write!(escaped, "={byte:02X}");
            }
        }
        if escaped.len() <= MAX_BEGINNING {
            beginning = escaped.len();
        }
    }
    if escaped.len() > MAX_SEGMENT {
        escaped.truncate(beginning);
        let _ = write!(
            escaped,
            "=={}",
            hex(&hmac_sha256::Hash::hash(text.as_bytes()))
        );
    }
    escaped
}

/// The text that was escaped; of a long one, its beginning. `None` when the part is not one of [`escape`].
fn unescape(segment: &str) -> Option<(String, Option<&str>)> {
    if segment == "=" {
        return Some((String::new(), None));
    }
    let (escaped, digest) = match segment.split_once("==") {
        Some((beginning, digest)) => (beginning, Some(digest)),
        None => (segment, None),
    };
    let mut bytes = Vec::new();
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    // The beginning of a long text may end within a character.
    let text = match digest {
        Some(_) => String::from_utf8_lossy(&bytes).into_owned(),
        None => String::from_utf8(bytes).ok()?,
    };
    Some((text, digest))
}

fn is_segment(segment: &str) -> bool {
    if segment.is_empty() || segment.len() > MAX_SEGMENT || segment.starts_with('.') {
        return false;
    }
    let is_plain =
        |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'=');
    if !segment.bytes().all(is_plain) {
        return false;
    }
    match unescape(segment) {
        None => false,
        Some((text, None)) => escape(&text) == segment,
        Some((_, Some(digest))) => {
            digest.len() == 64
                && digest
                    .bytes()
                    .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
        }
    }
}

fn shown(segment: &str) -> String {
    match unescape(segment) {
        Some((text, None)) => text,
        Some((text, Some(_))) => text + "…",
        None => segment.to_owned(),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn key(owner: &str) -> SpoolKey {
        SpoolKey {
            cluster: "prod".to_owned(),
            namespace: "shop".to_owned(),
            kind: "deployment".to_owned(),
            owner: owner.to_owned(),
            container: "web".to_owned(),
            image: "sha256:ab12".to_owned(),
            architecture: "x86_64".to_owned(),
        }
    }

    #[test]
    fn ordinary_names_are_readable() {
        let name = ObjectName::new(&key("cart"), b"");
        assert_eq!(
            name.to_string(),
            format!(
                "prod/shop/deployment/cart/web/sha256=3Aab12/x86_64/{}.json.zst",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            )
        );
        assert_eq!(name.key(), key("cart"));
        assert!(name.is_of(b"") && !name.is_of(b"x"));
    }

    #[test]
    fn hostile_texts_stay_one_segment() {
        let long = "ü/".repeat(1_000);
        for text in [
            "",
            ".",
            "..",
            "../../../etc",
            "/",
            "a/b",
            "a\0b",
            "-",
            "=",
            "==",
            "a=2Eb",
            ".hidden",
            "\u{202e}",
            "C:\\x",
            "%2e%2e",
            " ",
            &long,
        ] {
            let name = ObjectName::new(&key(text), b"").to_string();
            assert_eq!(name.split('/').count(), 8, "{name}");
            for segment in name.split('/') {
                assert!(!segment.starts_with('.') && !segment.is_empty(), "{name}");
                assert!(segment.len() <= 200 && segment.is_ascii(), "{name}");
            }
            let parsed = ObjectName::parse(&name).unwrap();
            if text.len() < 50 {
                assert_eq!(parsed.key(), key(text));
            } else {
                assert!(parsed.key().owner.ends_with('…'));
            }
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let good = ObjectName::new(&key("cart"), b"").to_string();
        let digest = &good[good.len() - 73..];
        for bad in [
            "",
            "/",
            digest,
            &good[1..good.len() - 1],
            &format!("a/b/c/d/e/f/{digest}"),
            &format!("a/b/c/../e/f/g/{digest}"),
            &format!("a/b/c/./e/f/g/{digest}"),
            &format!("a/b/c//e/f/g/{digest}"),
            &format!("a/b/c/d=2f/e/f/g/{digest}"),
            &format!("a/b/c/=41/e/f/g/{digest}"),
            &format!("a/b/c/d=/e/f/g/{digest}"),
            &format!("a/b/c/d e/e/f/g/{digest}"),
            &good.replace("e3b0", "E3B0"),
            &good.replace(".zst", ".gz"),
        ] {
            assert_eq!(ObjectName::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn different_keys_have_different_prefixes(
            texts in proptest::collection::vec("[a=./%ü]{0,3}", 1..40)
        ) {
            let mut seen = BTreeMap::new();
            for text in texts {
                let other = seen.insert(prefix(&key(&text)), text.clone());
                prop_assert!(other.is_none_or(|other| other == text));
            }
        }

        #[test]
        fn every_text_is_read_back(text in "\\PC{0,40}") {
            let escaped = escape(&text);
            prop_assert!(is_segment(&escaped));
            if let Some((read, None)) = unescape(&escaped) {
                prop_assert_eq!(read, text);
            }
        }

        #[test]
        fn names_of_others_are_parsed_or_refused(text in "[a-f0-9=./]{0,200}") {
            if let Some(name) = ObjectName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}

//! Paths as a workload chose them: any bytes but NUL.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A path, absolute in the mount namespace of the task. That of a directory ends in `/`, as AppArmor
/// has it.
///
/// In text, bytes that are no UTF-8 are `\xHH`, and a backslash is `\\`: so every path has exactly one
/// text, and back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FilePath(Vec<u8>);

impl FilePath {
    /// The path of these bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is that of a directory.
    pub fn is_directory(&self) -> bool {
        self.0.ends_with(b"/")
    }

    /// The same path as a directory's.
    #[must_use]
    pub fn of_directory(mut self) -> Self {
        if !self.is_directory() {
            self.0.push(b'/');
        }
        self
    }

    /// The same path as that of something else than a directory; `/` stays.
    #[must_use]
    pub fn of_file(mut self) -> Self {
        if self.is_directory() && self.0.len() > 1 {
            self.0.pop();
        }
        self
    }

    /// The directory it is in, `/` at its end; `None` for the root and what is not absolute.
    pub fn parent(&self) -> Option<Self> {
        let inner = self.0.strip_suffix(b"/").unwrap_or(&self.0);
        let end = inner.iter().rposition(|byte| *byte == b'/')?;
        Some(Self(inner.get(..=end)?.to_vec()))
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(&chunk.valid().replace('\\', "\\\\"))?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl From<&str> for FilePath {
    fn from(path: &str) -> Self {
        Self(path.as_bytes().to_vec())
    }
}

/// The text of a [`FilePath`] has a backslash that begins nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("in a path, a backslash must be `\\\\` or begin `\\xHH` of a byte that is no UTF-8")]
pub struct BadEscape;

impl FromStr for FilePath {
    type Err = BadEscape;

    fn from_str(text: &str) -> Result<Self, BadEscape> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            bytes.extend_from_slice(before.as_bytes());
            if let Some(after) = after.strip_prefix('\\') {
                bytes.push(b'\\');
                rest = after;
            } else {
                let digits = after.strip_prefix('x').and_then(|after| after.get(..2));
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(byte.ok_or(BadEscape)?);
                rest = after.get(3..).ok_or(BadEscape)?;
            }
        }
        bytes.extend_from_slice(rest.as_bytes());
        let path = Self(bytes);
        // One text a path: `\x41` is no way to say `A`.
        if path.to_string() == text {
            Ok(path)
        } else {
            Err(BadEscape)
        }
    }
}

impl Serialize for FilePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for FilePath {
    fn schema_name() -> Cow<'static, str> {
        "FilePath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A path, `/` at the end of a directory's. A byte that is no UTF-8 is `\\xHH`, a backslash is `\\\\`."
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_path_round_trips_through_text(bytes in proptest::collection::vec(1_u8.., 0..40)) {
            let path = FilePath::new(bytes);
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }

        #[test]
        fn every_valid_text_round_trips_through_a_path(text in r"[\\xa41é]{0,8}") {
            if let Ok(path) = text.parse::<FilePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }

    #[test]
    fn parent_of_a_path() {
        let parent = |path: &str| FilePath::from(path).parent().map(|path| path.to_string());
        assert_eq!(parent("/etc/passwd").as_deref(), Some("/etc/"));
        assert_eq!(parent("/etc/").as_deref(), Some("/"));
        assert_eq!(parent("/"), None);
        assert_eq!(parent("x"), None);
    }
}

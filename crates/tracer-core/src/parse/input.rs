//! A file: its text, and where things are in it.

use std::{fmt, ops::Range};

use serde::Serialize;
use thiserror::Error;

use super::{MAX_BYTES, apparmor};

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// Bytes from the beginning of the file.
    #[serde(skip)]
    pub bytes: (usize, usize),
    /// Line of its beginning.
    pub line: usize,
    /// Column of its beginning.
    pub column: usize,
    /// Line of its end.
    pub end_line: usize,
    /// Column behind its end.
    pub end_column: usize,
}

/// A file.
#[derive(Clone, Debug)]
pub struct Input {
    name: String,
    text: String,
    /// Where lines begin.
    lines: Vec<usize>,
    is_found: bool,
}

/// Why a file could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ParseError {
    /// The file.
    pub file: String,
    /// Line and column from 1; `None` when it is not about a place.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl ParseError {
    /// Tells as what the file was read.
    #[must_use]
    pub(super) fn read_as(mut self, what: &str) -> Self {
        self.what = format!("{} (read as {what})", self.what);
        self
    }

    /// The same of a text that has actions of Go's templates.
    #[must_use]
    pub(super) fn of_template(mut self) -> Self {
        self.what =
            "not valid YAML here (unrendered Helm template?); run helm template first".to_owned();
        self
    }

    /// The same of a text that is the value of a key in a file, where the file does not show its lines.
    pub(super) fn within(self, outer: &Input, key: &str, at: usize) -> Self {
        let what = match self.position {
            Some((line, column)) => {
                format!("{key}, line {line}, column {column}: {}", self.what)
            }
            None => format!("{key}: {}", self.what),
        };
        outer.malformed(at, what)
    }
}

impl Input {
    /// Takes in the bytes of a file.
    ///
    /// # Errors
    /// When they are no text, or too many.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, ParseError> {
        let name = name.into();
        if bytes.len() > MAX_BYTES {
            return Err(ParseError {
                file: name,
                position: None,
                what: format!(
                    "the file has more than {} MiB, which no profile has; Kubernetes takes up to 1",
                    MAX_BYTES >> 20
                ),
            });
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let before = error.as_bytes().get(..valid).unwrap_or_default();
                let before = String::from_utf8_lossy(before).into_owned();
                let end = before.len();
                let place = Self::of(name.clone(), before).place(end..end);
                return Err(ParseError {
                    file: name,
                    position: Some((place.line, place.column)),
                    what: "this is not UTF-8 text".to_owned(),
                });
            }
        };
        Ok(Self::of(name, text))
    }

    fn of(name: String, text: String) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self {
            name,
            text,
            lines,
            is_found: false,
        }
    }

    /// Nobody named it: it lay in a directory, and may be anything.
    #[must_use]
    pub fn found(self) -> Self {
        Self {
            is_found: true,
            ..self
        }
    }

    /// Whether somebody named it.
    pub(crate) fn is_named(&self) -> bool {
        !self.is_found
    }

    /// Whether it is a mistake when the file cannot be read: it was named, or means to be a profile.
    pub(crate) fn is_meant(&self) -> bool {
        !self.is_found
            || self.text.contains("defaultAction")
            || (apparmor::is_text(&self.text) && apparmor::has_profile(&self.text))
    }

    /// The file, as it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is in it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a span of bytes is.
    pub(crate) fn place(&self, span: Range<usize>) -> Location {
        let (line, column) = self.position(span.start);
        let (end_line, end_column) = self.position(span.end.max(span.start));
        Location {
            bytes: (span.start, span.end.max(span.start)),
            line,
            column,
            end_line,
            end_column,
        }
    }

    /// Line and column of a byte.
    fn position(&self, at: usize) -> (usize, usize) {
        let at = at.min(self.text.len());
        let line = self.lines.partition_point(|begin| *begin <= at).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or_default();
        let column = self
            .text
            .get(begin..at)
            .map_or(at - begin, |before| before.chars().count());
        (line, column + 1)
    }

    /// The byte at a line and a column, counted from 1.
    pub(super) fn byte_at(&self, line: usize, column: usize) -> usize {
        let begin = self.line_begin(line);
        let rest = self.text.get(begin..).unwrap_or_default();
        let mut chars = rest.char_indices();
        let at = chars.nth(column.saturating_sub(1));
        at.map_or(self.text.len(), |(at, _)| begin + at)
    }

    /// The byte at which a line begins, counted from 1.
    pub(super) fn line_begin(&self, line: usize) -> usize {
        let at = self.lines.get(line.saturating_sub(1)).copied();
        at.unwrap_or(self.text.len())
    }

    /// An error about a place in it.
    pub fn malformed(&self, at: usize, what: impl Into<String>) -> ParseError {
        ParseError {
            file: self.name.clone(),
            position: Some(self.position(at)),
            what: what.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let input = Input::new("a", "ab\nöx\n".into()).unwrap();
        for (at, expected) in [
            (0, (1, 1)),
            (2, (1, 3)),
            (3, (2, 1)),
            (5, (2, 2)),
            (99, (3, 1)),
        ] {
            assert_eq!(input.position(at), expected, "{at}");
        }
    }

    #[test]
    fn invalid_utf8_is_reported_with_its_position() {
        let error = Input::new("a", b"{\n \xff}".to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "a:2:2: this is not UTF-8 text");
        let large = Input::new("a", vec![b' '; MAX_BYTES + 1]).unwrap_err();
        assert!(large.to_string().contains("more than 4 MiB"), "{large}");
    }
}

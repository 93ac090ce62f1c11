//! The text of a recording: read with every check, and always written as the same bytes.

use std::io;

use serde::{Deserialize, Serialize as _};
use serde_json::ser::Formatter;
use thiserror::Error;

use super::{Recording, SCHEMA, v1};

/// The schemas of the recordings that [`parse`] reads.
pub const SCHEMAS: [&str; 2] = [v1::SCHEMA, SCHEMA];

/// The largest text that is read as a recording, and the largest that [`to_json`] writes, in bytes.
pub const MAX_BYTES: u64 = 160 << 20;

/// Why a text is not a recording.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// It is not JSON, or not of the schema's shape: line, column and reason.
    #[error("not a valid recording: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Its schema is another one.
    #[error("its schema is {found:?}, and only {} can be read", SCHEMAS.join(" and "))]
    Schema {
        /// The schema that it names.
        found: String,
    },
}

/// Reads a recording from the bytes of `recording.json`, of schema v2 or v1.
///
/// # Errors
/// [`ParseError`]; nothing is guessed or left out.
///
/// ```
/// use tracer_core::recording::json;
/// # let recording = tracer_core::profile::seccomp::fixture::mixed();
///
/// let text = json::to_json(&recording);
/// assert_eq!(json::parse(text.as_bytes()).unwrap(), recording);
/// let error = json::parse(br#"{"schema": "tracer.recording/v9"}"#).unwrap_err();
/// assert!(error.to_string().contains("tracer.recording/v9"));
/// ```
pub fn parse(bytes: &[u8]) -> Result<Recording, ParseError> {
    #[derive(Deserialize)]
    struct AnySchema {
        schema: String,
    }

    // The schema first and alone: a newer one may hold fields that would be refused as unknown.
    let found = serde_json::from_slice::<AnySchema>(bytes)?.schema;
    match found.as_str() {
        SCHEMA => Ok(serde_json::from_slice(bytes)?),
        v1::SCHEMA => Ok(serde_json::from_slice::<v1::Recording>(bytes)?.into()),
        _ => Err(ParseError::Schema { found }),
    }
}

/// The text of a recording: the same value always gives the same bytes.
///
/// A recording of so many executables that its text would be larger than [`MAX_BYTES`] is written
/// without first-seen details, and counts them as lost: it can be read back, and still says who
/// made which call.
pub fn to_json(recording: &Recording) -> String {
    let text = pretty(recording);
    if text.len() as u64 <= MAX_BYTES {
        return text;
    }
    let mut smaller = recording.clone();
    let evidence = smaller
        .syscalls
        .iter_mut()
        .flat_map(|syscall| &mut syscall.evidence);
    for evidence in evidence {
        if evidence.first.take().is_some() {
            smaller.coverage.losses.events += 1;
        }
    }
    pretty(&smaller)
}

/// The same without layout, which is a little smaller and faster: for a recording that nobody reads.
pub fn to_compact_json(recording: &Recording) -> Vec<u8> {
    match serde_json::to_vec(recording) {
        Ok(bytes) if bytes.len() as u64 <= MAX_BYTES => bytes,
        _ => to_json(recording).into_bytes(),
    }
}

/// One observation a line: small, and a difference in version control is a difference in what was
/// observed.
fn pretty(recording: &Recording) -> String {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Lines::default());
    // Plain structs, strings and numbers: there is nothing that JSON cannot say, and writing to
    // memory does not fail.
    let written = recording.serialize(&mut serializer);
    debug_assert!(written.is_ok(), "{written:?}");
    text.push(b'\n');
    String::from_utf8(text).unwrap_or_default()
}

/// Writes each field of the outermost object on a line of its own, and so each element of the lists
/// there. All that is further in stays on its line.
#[derive(Default)]
struct Lines {
    /// How many objects and lists are open.
    depth: usize,
    /// Whether the innermost one has elements.
    filled: bool,
    /// Whether the field of the outermost object that is being written is a list.
    list: bool,
}

impl Lines {
    /// Whether elements at this depth have lines of their own.
    fn is_broken(&self) -> bool {
        self.depth == 1 || (self.depth == 2 && self.list)
    }

    fn open<W: io::Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.filled = false;
        if self.depth == 2 {
            self.list = bracket == b"[";
        }
        out.write_all(bracket)
    }

    fn close<W: io::Write + ?Sized>(&mut self, out: &mut W, bracket: &[u8]) -> io::Result<()> {
        let is_broken = self.is_broken() && self.filled;
        self.depth -= 1;
        self.filled = true;
        if is_broken {
            self.line(out)?;
        }
        out.write_all(bracket)
    }

    fn element<W: io::Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        if self.is_broken() {
            self.line(out)?;
        }
        Ok(())
    }

    fn line<W: io::Write + ?Sized>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }
}

impl Formatter for Lines {
    fn begin_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"]")
    }

    fn begin_array_value<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.element(out, first)
    }

    fn end_array_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(out, b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(out, b"}")
    }

    fn begin_object_key<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.element(out, first)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(if self.depth == 1 { b": " } else { b":" })
    }

    fn end_object_value<W: io::Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

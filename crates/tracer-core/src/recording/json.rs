//! The text of a recording: read with every check, and always written as the same bytes.

use serde::Deserialize;
use thiserror::Error;

use super::{Recording, SCHEMA};

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
    #[error("its schema is {found:?}, and only {SCHEMA:?} can be read")]
    Schema {
        /// The schema that it names.
        found: String,
    },
}

/// Reads a recording from the bytes of `recording.json`.
///
/// # Errors
/// [`ParseError`]; nothing is guessed or left out.
pub fn parse(bytes: &[u8]) -> Result<Recording, ParseError> {
    #[derive(Deserialize)]
    struct AnySchema {
        schema: String,
    }

    // The schema first and alone: a newer one may hold fields that would be refused as unknown.
    let found = serde_json::from_slice::<AnySchema>(bytes)?.schema;
    if found != SCHEMA {
        return Err(ParseError::Schema { found });
    }
    Ok(serde_json::from_slice(bytes)?)
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

fn pretty(recording: &Recording) -> String {
    // Plain structs, strings and numbers: there is nothing that JSON cannot say.
    let mut text = serde_json::to_string_pretty(recording).unwrap_or_default();
    text.push('\n');
    text
}

//! Objects as a store has them: compressed, under the digest of their bytes. What a store says is checked.

use std::io::{self, Read as _};

use ruzstd::{
    decoding::StreamingDecoder,
    encoding::{CompressionLevel, compress_to_vec},
};
use thiserror::Error;
use tracer_core::{
    agent::SpoolKey,
    fleet::{Object, ObjectError, ObjectName, newer_schema, prefix},
};

use crate::{Store, StoreError};

/// How large an object may be in a store. tracer writes smaller ones.
pub const MAX_PACKED: u64 = 16 << 20;

/// How large its text may be.
pub const MAX_TEXT: u64 = 128 << 20;

/// How much of the text a decoder may be told to keep.
const MAX_WINDOW: u64 = 16 << 20;

/// Why an object in a store cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Unusable {
    /// It could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its name is not one of an object.
    #[error("it does not have the name of an object")]
    Name,
    /// Its bytes are others than its name says.
    #[error("its bytes do not match the digest in its name: damaged or tampered with")]
    Digest,
    /// It cannot be unpacked.
    #[error("it is not zstd: {0}")]
    Packed(String),
    /// Its text is too large.
    #[error("its text has more than {MAX_TEXT} bytes")]
    TooLarge,
    /// Its text is not an object's.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// It is of another workload than the one under whose name it is.
    #[error("it is of another workload than its name says")]
    Misplaced,
}

impl Unusable {
    /// Its kind, in a word: for counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Store(StoreError::TooLarge { .. }) | Self::TooLarge => "too-large",
            Self::Store(_) => "unreadable",
            Self::Name => "foreign",
            Self::Digest => "tampered",
            Self::Object(error) if newer_schema(error).is_some() => "newer",
            Self::Packed(_) | Self::Object(_) => "broken",
            Self::Misplaced => "misplaced",
        }
    }

    /// Whether it is gone: somebody compacted, and other objects say what it said.
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::Store(StoreError::NotFound(_)))
    }
}

/// The bytes of an object. The same object gives the same bytes.
pub fn pack(object: &Object) -> Vec<u8> {
    compress_to_vec(object.to_json().as_slice(), CompressionLevel::Fastest)
}

/// Reads the bytes of an object.
///
/// # Errors
/// [`Unusable`].
pub fn unpack(packed: &[u8]) -> Result<Object, Unusable> {
    let broken = |error: &dyn std::fmt::Display| Unusable::Packed(error.to_string());
    let decoder = StreamingDecoder::new_with_max_window_size(packed, MAX_WINDOW)
        .map_err(|error| broken(&error))?;
    let mut text = Vec::new();
    let read = decoder.take(MAX_TEXT + 1).read_to_end(&mut text);
    read.map_err(|error: io::Error| broken(&error))?;
    if text.len() as u64 > MAX_TEXT {
        return Err(Unusable::TooLarge);
    }
    Ok(Object::parse(&text)?)
}

/// Reads an object and checks all that its name says.
///
/// # Errors
/// [`Unusable`].
pub fn read(store: &dyn Store, name: &str) -> Result<Object, Unusable> {
    let parsed = ObjectName::parse(name).ok_or(Unusable::Name)?;
    let packed = store.get(name, MAX_PACKED)?;
    if !parsed.is_of(&packed) {
        return Err(Unusable::Digest);
    }
    let object = unpack(&packed)?;
    if prefix(&object.key) != parsed.prefix() {
        return Err(Unusable::Misplaced);
    }
    Ok(object)
}

/// The name of an object of a key with these bytes, as text.
pub fn name(key: &SpoolKey, packed: &[u8]) -> String {
    ObjectName::new(key, packed).to_string()
}

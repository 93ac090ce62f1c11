//! Stores that many nodes ship recordings to.
//!
//! A store keeps immutable objects under names: [`Store`]. What the objects mean, and how they are put together, is
//! decided in [`tracer_core::fleet`]; [`object`] reads them, and takes nothing that a store says for granted.
//!
//! | store | address |
//! | --- | --- |
//! | a directory: a disk, NFS, a volume | `file:///var/lib/fleet` |
//! | S3 and what speaks its protocol | `s3://bucket/prefix` |
//! | Google Cloud Storage | `gs://bucket/prefix` |
//! | Azure Blob Storage | `azure://container/prefix` |

mod cloud;
#[cfg(any(test, feature = "fixtures"))]
pub mod conformance;
mod directory;
mod http;
pub mod object;
pub mod retry;
pub mod shipper;
pub mod signature;

use std::{collections::BTreeMap, ffi::OsString, ops::ControlFlow, time::Duration};

use thiserror::Error;

pub use directory::Directory;

/// Keeps immutable objects under names.
///
/// A name is made of parts that are separated by `/`. No part is empty, `.`, `..`, or begins with a `.`.
pub trait Store: Send + Sync {
    /// Keeps an object, unless there is one of that name: an object never changes.
    ///
    /// # Errors
    /// [`StoreError`]; nobody sees a part of it then.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<Put, StoreError>;

    /// Whether there is an object of that name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn has(&self, name: &str) -> Result<bool, StoreError>;

    /// The bytes of an object, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::TooLarge`], and others.
    fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError>;

    /// Calls `each` for every object whose name begins with the parts of `prefix`, in any order, until it breaks. An
    /// object that is put or removed meanwhile may be there or not.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list(
        &self,
        prefix: &str,
        each: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), StoreError>;

    /// Removes an object. It is not an error when there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    fn delete(&self, name: &str) -> Result<(), StoreError>;
}

/// What became of an object that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is kept now.
    Written,
    /// It was there already.
    Present,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, by the store's clock, in milliseconds since 1970.
    pub written_ms: u64,
}

/// Why a store did not do something.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such object.
    #[error("{0} is not in the store")]
    NotFound(String),
    /// An object is larger than it may be.
    #[error("{name} has more than {limit} bytes")]
    TooLarge {
        /// Its name.
        name: String,
        /// How large it may be.
        limit: u64,
    },
    /// No name of an object.
    #[error("{0:?} is not the name of an object")]
    Name(String),
    /// The store's address.
    #[error("{url:?} is not the address of a store: {reason}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It may be tried again.
    #[error("the store does not answer: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// When the store wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It refused.
    #[error("the store refused: {0}")]
    Refused(String),
}

impl StoreError {
    /// When the store wants to be asked again, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Its kind, in one word: for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not-found",
            Self::TooLarge { .. } => "too-large",
            Self::Name(_) | Self::Address { .. } => "address",
            Self::Unavailable { .. } => "unavailable",
            Self::Refused(_) => "refused",
        }
    }
}

/// Opens the store at an address. A directory is made when it is not there and `create` is set; credentials come from
/// where the tools of each cloud look for them.
///
/// # Errors
/// [`StoreError::Address`], and others for a directory.
pub fn open(url: &str, create: bool) -> Result<Box<dyn Store>, StoreError> {
    open_with(url, create, &std::env::vars_os().filter_map(text).collect())
}

fn text((name, value): (OsString, OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

/// Environment variables.
pub type Variables = BTreeMap<String, String>;

/// The same, where `AWS_…` are these.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    url: &str,
    create: bool,
    variables: &Variables,
) -> Result<Box<dyn Store>, StoreError> {
    let wrong = |reason: &str| StoreError::Address {
        url: url.to_owned(),
        reason: reason.to_owned(),
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong(
            "give file:///DIRECTORY, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or azure://CONTAINER/PREFIX",
        ));
    };
    match scheme {
        "file" if rest.starts_with('/') => Ok(Box::new(Directory::open(rest, create)?)),
        "file" => Err(wrong(
            "a directory's path begins with /, as in file:///var/lib/fleet",
        )),
        "s3" | "gs" | "azure" => Ok(Box::new(cloud::Cloud::open(
            (url, scheme, rest),
            variables,
        )?)),
        _ => Err(wrong("there are file, s3, gs and azure")),
    }
}

/// The parts of a name or prefix, checked.
fn parts(name: &str) -> Result<Vec<&str>, StoreError> {
    if name.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<_> = name.split('/').collect();
    let is_part = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains('\0');
    if parts.iter().all(is_part) {
        Ok(parts)
    } else {
        Err(StoreError::Name(name.to_owned()))
    }
}

//! What people read. Pure: text from recordings and profiles.

mod arguments;
mod completeness;
pub mod escape;
mod explain;
mod markdown;
mod review;
mod rules;
mod translation;
mod variants;
pub(crate) mod words;

pub use explain::explanation;
pub use review::review;

//! What people read. Pure: text from recordings and profiles.

mod arguments;
mod completeness;
pub mod escape;
mod markdown;
mod review;
mod rules;
mod translation;
mod variants;

pub use review::review;

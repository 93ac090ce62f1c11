//! What people read. Pure: text from recordings and profiles.

mod completeness;
pub mod escape;
mod markdown;
mod review;
mod rules;

pub use review::review;

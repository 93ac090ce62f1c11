//! What people read. Pure: text from recordings and profiles.

mod apparmor;
mod arguments;
mod capabilities;
mod completeness;
pub mod escape;
mod markdown;
mod review;
mod rules;
mod translation;
mod variants;

pub use apparmor::apparmor;
pub use review::review;

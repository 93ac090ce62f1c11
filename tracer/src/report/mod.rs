//! What people read. Pure: text from recordings and profiles.

mod apparmor;
mod arguments;
mod capabilities;
mod completeness;
mod diff;
pub mod escape;
mod explain;
mod facts;
#[cfg(test)]
pub(crate) mod hostile;
pub mod html;
mod markdown;
mod review;
mod rules;
mod translation;
mod variants;
mod verify;

pub use apparmor::apparmor;
pub use diff::{changes_markdown, diff_markdown, diff_text};
pub use explain::{access_explanation, explanation};
pub use review::review;
pub use verify::{denials, verification};

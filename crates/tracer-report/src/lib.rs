//! What people read of recordings and profiles: Markdown, HTML and terminal text.
//!
//! This is the place where observations become English. Nothing here does I/O.
#![forbid(unsafe_code)]

mod apparmor;
mod arguments;
mod capabilities;
mod completeness;
mod diff;
pub mod escape;
mod explain;
mod fallbacks;
mod full_review;
mod headroom;
#[cfg(any(test, feature = "fixtures"))]
pub mod hostile;
pub mod html;
mod markdown;
mod phrases;
#[cfg(test)]
mod properties;
mod review;
mod rules;
mod translation;
mod verify;
pub mod words;

pub use apparmor::apparmor;
pub use diff::{changes_markdown, diff_markdown, diff_text};
pub use explain::{access_explanation, explanation};
pub use full_review::full_review;
pub use headroom::headroom_page;
pub use review::review;
pub use verify::{denials, verification};

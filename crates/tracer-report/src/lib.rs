//! What people read of recordings and profiles: Markdown, HTML and terminal text.
//!
//! This is the place where observations become English. Nothing here does I/O.
#![forbid(unsafe_code)]

mod apparmor;
mod apply;
mod arguments;
mod capabilities;
mod completeness;
mod diff;
pub mod escape;
mod explain;
mod fallbacks;
mod full_review;
mod gvisor;
mod headroom;
#[cfg(any(test, feature = "fixtures"))]
pub mod hostile;
pub mod html;
mod learn;
mod markdown;
mod phrases;
#[cfg(test)]
mod properties;
mod review;
mod risks;
mod rules;
mod selinux;
mod summary;
mod translation;
mod verdict;
mod verify;
mod watch;
pub mod words;

pub use apparmor::apparmor;
pub use diff::{diff_markdown, diff_text};
pub use explain::{access_explanation, explanation};
pub use full_review::{full_review, full_review_since};
pub use headroom::headroom_page;
pub use learn::learned;
pub use review::review;
pub use verdict::record_longer;
pub use verify::{denials, intersection, undecided_call, verification};
pub use watch::{denial_summary, top_news, watch_event, watch_summary};

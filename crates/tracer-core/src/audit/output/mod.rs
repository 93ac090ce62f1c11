//! Findings as text, JSON, SARIF and GitHub's workflow commands.

mod github;
mod json;
mod sarif;
mod text;

pub use github::github;
pub use json::json;
pub use sarif::sarif;
pub use text::{summary, text};

//! Profiles: a model made from recordings, then one renderer a format. Pure.

pub mod apparmor;
pub mod artifact;
pub mod capabilities;
pub mod engine;
pub mod hardening;
pub mod kubernetes;
mod layer;
#[cfg(test)]
mod rendering_tests;
pub mod seccomp;
pub mod systemd;
mod unsaid;
pub(crate) mod yaml;

pub use layer::Layer;
pub use unsaid::{Rendering, Unfit, Unsaid};

//! Profiles: a model made from recordings, then one renderer a format. Pure.

pub mod apparmor;
pub mod capabilities;
mod layer;
pub mod seccomp;

pub use layer::Layer;

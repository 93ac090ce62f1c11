//! Profiles: a model made from recordings, then one renderer a format. Pure.

pub mod apparmor;
pub mod artifact;
pub mod capabilities;
#[cfg(test)]
mod complain_tests;
pub mod container_engine;
pub mod hardening;
pub mod kubernetes;
mod layer;
mod omissions;
#[cfg(test)]
mod rendering_tests;
pub mod seccomp;
pub mod selinux;
pub mod systemd;
pub(crate) mod yaml;

pub use layer::Layer;
pub use omissions::{Omission, Remedy, Rendering, TargetError};

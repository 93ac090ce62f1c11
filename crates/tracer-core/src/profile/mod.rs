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
mod target;
pub(crate) mod yaml;

pub use layer::Layer;
pub use omissions::{
    AppArmorOmission, FileOmission, Omission, PlacementOmission, Rendering, SelinuxOmission,
    ServiceOmission, SyscallOmission,
};
pub use target::{Fact, Limit, NameKind, Remedy, TargetError};

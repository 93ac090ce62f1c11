//! AppArmor: which files, capabilities, sockets, signals and mounts are allowed.
//!
//! [`AppArmorProfile`] is the model; [`AppArmorProfile::to_text`] renders it for apparmor_parser 3.0
//! and later. What a rule cannot say is listed as [`Lost`], with the reason.

mod builder;
mod capabilities;
mod children;
#[cfg(test)]
mod children_tests;
mod covered;
mod excluded;
mod files;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixture;
mod generalise;
mod ipc;
mod links;
mod lost;
mod model;
mod mounts;
mod network;
mod operator;
mod overlap;
mod pattern;
mod permissions;
mod ptrace;
mod quote;
mod render;
mod review_reason;
mod secrets;
mod startup;
#[cfg(test)]
mod tests;
mod unsupported;

pub use capabilities::{CapabilityRule, ContainerNeed};
pub use children::{Child, Division, Parts};
pub use excluded::Excluded;
pub use files::FileRule;
pub use generalise::{Policy, Reason};
pub(crate) use ipc::signal as signal_name;
pub use ipc::{IpcRule, RUNTIMES};
pub use links::LinkRule;
pub use lost::{Lost, LostReason, Obstacle};
pub use model::{AppArmorProfile, Options};
pub use mounts::MountRule;
pub use network::NetworkRule;
pub(crate) use network::family as family_name;
pub use pattern::Pattern;
pub use permissions::Permissions;
pub use review_reason::WIDER_WRITE;
pub(crate) use unsupported::describe_access;

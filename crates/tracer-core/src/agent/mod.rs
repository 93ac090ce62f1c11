//! What an agent on a node decides, without a node: its configuration, which containers it records, where their
//! recordings are kept, and when a profile may be enforced.

mod configuration;
mod glob;
mod key;
mod kinds;
mod kubernetes;
mod rollout;
mod selector;
mod span;

pub use configuration::{
    AccessSource, Configuration, ConfigurationError, KindName, LogFormat, Rollout, Ship, Spool,
    WorkloadRule,
};
pub use glob::matches as matches_glob;
pub use key::{SpoolKey, SpoolName, short_image};
pub use kinds::keep_kinds;
pub use kubernetes::Kubernetes;
pub use rollout::{Missing, RolloutStatus};
pub use selector::{Decision, Facts, Selector, SelectorError};
pub use span::Span;

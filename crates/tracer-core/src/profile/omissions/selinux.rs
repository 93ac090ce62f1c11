//! What a format cannot express of an SELinux profile.

use super::Words;
use crate::profile::selinux::Lost;

/// Something of an SELinux profile that a format cannot express.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SelinuxOmission {
    /// An access that is in no rule of the model.
    Lost(Lost),
    /// A module, where the recording does not name the program by an absolute path.
    UnknownProgram {
        /// The type that the program needs.
        label: String,
    },
    /// A rule with a name that is a word of the module language, or has a sign that it does not take.
    ModuleName {
        /// The domain.
        source: String,
        /// The type of the object.
        target: String,
        /// The class of the object.
        class: String,
    },
    /// A rule of another domain in an operator's SelinuxProfile.
    Caller {
        /// The other domain.
        source: String,
        /// The class.
        class: String,
    },
    /// A domain that inherits nothing, in an operator's SelinuxProfile.
    Standalone,
    /// `seLinuxOptions` name a type and have no rules.
    Rules {
        /// The type.
        type_name: String,
    },
}

impl SelinuxOmission {
    pub(super) fn words(&self) -> Words<'_> {
        match self {
            Self::Lost(lost) => (lost.what.as_str().into(), lost.reason.as_str().into()),
            Self::UnknownProgram { label } => (
                "which program starts the service".into(),
                format!("label it yourself: chcon -t {label} PROGRAM").into(),
            ),
            Self::ModuleName {
                source,
                target,
                class,
            } => (
                format!("{source} {target} {class}").into(),
                "the language cannot name it; use selinux.cil".into(),
            ),
            Self::Caller { source, class } => (
                format!("what {source} may do to the domain ({class})").into(),
                "an object has rules for its own domain only; use a RawSelinuxProfile".into(),
            ),
            Self::Standalone => (
                "a domain that inherits nothing (--standalone)".into(),
                "the operator inherits the block container; use a RawSelinuxProfile".into(),
            ),
            Self::Rules { type_name } => (
                "the rules".into(),
                format!("the type {type_name} has them; load it on every node first").into(),
            ),
        }
    }
}

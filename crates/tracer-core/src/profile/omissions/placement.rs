//! What a format cannot express of where a profile applies.

use super::Words;

/// Something that a format cannot express of where a profile applies, or of the object that it is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PlacementOmission {
    /// A ProfileBinding applies to an image, not to a container.
    Container,
    /// The namespace was not recorded.
    UnknownNamespace,
    /// A ProfileBinding of an AppArmorProfile, which some versions of the operator refuse.
    AppArmorBinding,
    /// A strategic-merge patch of a Rollout.
    RolloutLists,
    /// An ephemeral container, which no template has.
    EphemeralContainer,
    /// The name of a Compose service.
    ServiceName,
    /// The recording is incomplete.
    Incomplete,
}

impl PlacementOmission {
    pub(super) fn words(&self) -> Words<'_> {
        let (what, instead) = match self {
            Self::Container => (
                "which container of a pod",
                "every container of the namespace with this very image gets the profile",
            ),
            Self::UnknownNamespace => (
                "the namespace, which is not known",
                "apply it with kubectl --namespace",
            ),
            Self::AppArmorBinding => (
                "an AppArmorProfile, for some operators up to 0.10",
                "where the API server refuses it, use the patch",
            ),
            Self::RolloutLists => (
                "how the lists of a Rollout are merged",
                "an API server knows that for its own kinds only: use tracer generate --for with the manifest",
            ),
            Self::EphemeralContainer => (
                "a container that was put into a running pod",
                "no template has it: give these fields to kubectl debug --custom",
            ),
            Self::ServiceName => (
                "the name of the service in your compose file",
                "the workload's name is used; change it if your service has another name",
            ),
            Self::Incomplete => (
                "that the recording is not complete",
                "what it did not see may want a capability, a file or a privilege that this takes away; REVIEW.md has the reasons",
            ),
        };
        (what.into(), instead.into())
    }
}

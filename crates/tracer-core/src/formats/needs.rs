//! What a format needs, of a recording and of what was asked for.

use super::{Error, Models};

/// What a format needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Files were observed.
    Files,
    /// What the SELinux policy did not allow was observed.
    Selinux,
    /// The name is one that a block of an SELinux policy may have.
    SelinuxName,
    /// Capabilities were observed.
    Capabilities,
    /// The profile is for the machine that was recorded on: paths and capabilities are not translated.
    SameMachine,
    /// The name is one that objects of Kubernetes may have.
    ObjectName,
    /// The name of the container in its pod is known.
    Container,
    /// The image of the container is known.
    Image,
}

impl Need {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Files,
        Self::Selinux,
        Self::SelinuxName,
        Self::Capabilities,
        Self::SameMachine,
        Self::ObjectName,
        Self::Container,
        Self::Image,
    ];

    /// When it is met, as a clause after "when".
    pub const fn condition(self) -> &'static str {
        match self {
            Self::Files => "files were observed",
            Self::Selinux => "SELinux was observed",
            Self::SelinuxName => "SELinux accepts the name",
            Self::Capabilities => "capabilities were observed",
            Self::SameMachine => "the profile is for the recorded machine",
            Self::ObjectName => "Kubernetes accepts the name",
            Self::Container => "the container's name is known",
            Self::Image => "the image is known",
        }
    }

    /// Whether it is met.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(self, models: &Models<'_>) -> Result<(), Error> {
        let observed = |there: bool, what| match (there, models.same_machine()) {
            (true, _) => Ok(()),
            (false, _) if models.recording.is_of_gvisor() => Err(Error::OnlySandbox(what)),
            (false, true) => Err(Error::NotObserved(what)),
            (false, false) => Err(Error::OtherMachine(what)),
        };
        match self {
            Self::Files => observed(models.apparmor.is_some(), "files"),
            Self::Selinux => models.selinux().map(drop),
            Self::SelinuxName => models.selinux_type().map(drop),
            Self::Capabilities => observed(models.capabilities.is_some(), "capabilities"),
            Self::SameMachine if models.same_machine() => Ok(()),
            Self::SameMachine => Err(Error::OtherMachine(
                "files, capabilities and what else this holds",
            )),
            Self::ObjectName => models.object().map(drop).map_err(Error::from),
            Self::Container => Ok(models.placement().container().map(drop)?),
            Self::Image => Ok(models.placement().image().map(drop)?),
        }
    }
}

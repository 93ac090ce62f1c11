//! What formats are made of: the recording, the models made from it, and what was asked for.

use super::Error;
use crate::{
    profile::{
        TargetError,
        apparmor::{self, AppArmorProfile, Division},
        capabilities::Capabilities,
        container_engine::ContainerOptions,
        hardening::Hardening,
        kubernetes::{self, Context, Localhost, ObjectName, Operator, Placement},
        seccomp::{self, SeccompProfile},
        selinux::{self, SelinuxProfile},
    },
    recording::Recording,
};

/// What the profiles of a workload are to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The seccomp profile.
    pub seccomp: seccomp::Options,
    /// The AppArmor profile.
    pub apparmor: apparmor::Options,
    /// The SELinux profile.
    pub selinux: selinux::Options,
    /// Where they are to be enforced.
    pub targets: Targets,
}

/// Where profiles are to be enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// The Security Profiles Operator in the cluster.
    pub operator: Operator,
    /// Who puts the profiles on the nodes.
    pub localhost: Localhost,
    /// Whether the cluster is older than Kubernetes 1.30.
    pub old_cluster: bool,
    /// Whether pods are to name the seccomp profile only, since the nodes have no AppArmor.
    pub seccomp_only: bool,
    /// The container in its pod, when it is another than the recorded one.
    pub container: Option<String>,
}

/// Writes REVIEW.md: its words are in another crate.
pub type ReviewWriter = fn(&Models<'_>) -> String;

/// The models that are made from a recording.
#[derive(Clone, Debug)]
pub struct Profiles {
    /// System calls.
    pub seccomp: SeccompProfile,
    /// Files and the like; `None` when they were not observed, or for another machine.
    pub apparmor: Option<AppArmorProfile>,
    /// Capabilities; `None` when they were not observed, or for another machine.
    pub capabilities: Option<Capabilities>,
    /// What the SELinux policy has to allow; `None` when it was not observed.
    pub selinux: Option<SelinuxProfile>,
}

impl Profiles {
    /// Makes them.
    ///
    /// # Errors
    /// When the recording has no ABI that is known.
    pub fn from_recording(
        recording: &Recording,
        settings: &Settings,
    ) -> Result<Self, seccomp::Error> {
        let recordings = std::slice::from_ref(recording);
        // Its rules are paths, and those of another machine's libraries are not known.
        let same_machine = settings.seccomp.arch.is_none();
        let apparmor = AppArmorProfile::from_recordings(recordings, &settings.apparmor);
        let apparmor = apparmor.filter(|_| same_machine);
        Ok(Self {
            seccomp: SeccompProfile::from_recordings(recordings, &settings.seccomp)?,
            capabilities: apparmor.as_ref().and_then(Capabilities::needed_by),
            apparmor,
            selinux: selinux_profile(recordings, &settings.selinux),
        })
    }

    /// What formats take.
    pub const fn models<'a>(
        &'a self,
        recording: &'a Recording,
        settings: &'a Settings,
        review: ReviewWriter,
    ) -> Models<'a> {
        Models {
            recording,
            settings,
            seccomp: &self.seccomp,
            apparmor: self.apparmor.as_ref(),
            capabilities: self.capabilities.as_ref(),
            selinux: self.selinux.as_ref(),
            review,
        }
    }
}

/// What is rendered.
#[derive(Clone, Copy, Debug)]
pub struct Models<'a> {
    /// The recording of the workload.
    pub recording: &'a Recording,
    /// What was asked for.
    pub settings: &'a Settings,
    /// System calls.
    pub seccomp: &'a SeccompProfile,
    /// Files and the like, if they were observed.
    pub apparmor: Option<&'a AppArmorProfile>,
    /// Capabilities, if they were observed.
    pub capabilities: Option<&'a Capabilities>,
    /// What the SELinux policy has to allow, if it was observed.
    pub selinux: Option<&'a SelinuxProfile>,
    /// Writes REVIEW.md.
    pub review: ReviewWriter,
}

/// The profile; a workload whose name fits no block has none.
fn selinux_profile(recordings: &[Recording], options: &selinux::Options) -> Option<SelinuxProfile> {
    let workload = &recordings.first()?.workload.name;
    let name = match &options.name {
        Some(name) => selinux::block_name(name),
        None => selinux::block_name(workload),
    };
    SelinuxProfile::from_recordings(recordings, name.ok()?, options)
}

impl Models<'_> {
    /// The SELinux profile.
    ///
    /// # Errors
    /// When the recording has nothing about SELinux.
    pub fn selinux(&self) -> Result<&SelinuxProfile, Error> {
        self.selinux.ok_or(Error::NotObserved(
            "SELinux: record on a host that enforces or logs a policy, in a permissive domain of the workload's own",
        ))
    }

    /// The type that the profile gives the workload: the operator's, or that of selinux.cil.
    ///
    /// # Errors
    /// When there is no profile, or no block may have the name.
    pub fn selinux_type(&self) -> Result<String, Error> {
        let profile = self.selinux()?;
        let object = kubernetes::selinux_name(&self.object()?)?;
        Ok(match self.settings.targets.localhost {
            Localhost::Operator => format!("{object}.process"),
            Localhost::File(_) => profile.type_name(),
        })
    }

    /// Whether the profiles are for the machine that was recorded on.
    pub const fn same_machine(&self) -> bool {
        self.settings.seccomp.arch.is_none()
    }

    /// The name of the workload.
    pub fn workload(&self) -> &str {
        &self.recording.workload.name
    }

    /// The name of Kubernetes' objects.
    ///
    /// # Errors
    /// When no object may have it.
    pub fn object(&self) -> Result<ObjectName, TargetError> {
        match &self.settings.apparmor.name {
            Some(name) => ObjectName::new(name),
            None => ObjectName::of_workload(self.workload()),
        }
    }

    /// Where the workload is in its cluster.
    pub fn placement(&self) -> Placement {
        let mut placement = Placement::from_recording(self.recording);
        if self.settings.targets.container.is_some() {
            placement
                .container
                .clone_from(&self.settings.targets.container);
        }
        placement
    }

    /// What the recording supports where the profile is put into force as its text is.
    pub fn hardening(&self) -> Hardening {
        let hardening = self.hardening_by_operator();
        match self.apparmor.map(AppArmorProfile::division) {
            Some(Division::Divided(_)) => hardening.with_children(),
            _ => hardening,
        }
    }

    /// The same for a pod, where the operator may be what loads it: its objects have no child profiles.
    pub fn hardening_in_pod(&self) -> Hardening {
        match self.settings.targets.localhost {
            Localhost::Operator => self.hardening_by_operator(),
            Localhost::File(_) => self.hardening(),
        }
    }

    fn hardening_by_operator(&self) -> Hardening {
        Hardening::from_recording(
            self.recording,
            self.settings.apparmor.exec,
            self.capabilities,
        )
    }

    /// `localhostProfile` of the seccomp profile, as every output has it.
    pub fn localhost(&self) -> String {
        match self.object() {
            Ok(name) => self.settings.targets.localhost.seccomp(&name),
            Err(_) => match &self.settings.targets.localhost {
                Localhost::File(path) => path.clone(),
                Localhost::Operator => "operator/NAME.json".to_owned(),
            },
        }
    }

    /// What the container's security context is to hold.
    ///
    /// # Errors
    /// When no object may have the name.
    pub fn context<'a>(&'a self, hardening: &'a Hardening) -> Result<Context<'a>, TargetError> {
        let targets = &self.settings.targets;
        let object = self.object()?;
        let apparmor = self.apparmor.filter(|_| !targets.seccomp_only);
        let apparmor = apparmor.map(|profile| match targets.localhost {
            Localhost::Operator => object.to_string(),
            Localhost::File(_) => profile.name().to_owned(),
        });
        Ok(Context {
            workload: self.workload(),
            seccomp: targets.localhost.seccomp(&object),
            apparmor,
            seccomp_only: targets.seccomp_only,
            old_cluster: targets.old_cluster,
            capabilities: self.capabilities,
            hardening,
        })
    }

    /// What a container of Docker's or Podman's is to be started with.
    pub(super) fn engine<'a>(&'a self, hardening: &'a Hardening) -> ContainerOptions<'a> {
        ContainerOptions {
            workload: self.workload(),
            seccomp: "./seccomp.json",
            apparmor: self.apparmor.map(AppArmorProfile::name),
            capabilities: self.capabilities,
            hardening,
        }
    }
}

//! The formats of the places where profiles are enforced: what was typed, and which renderer gets what.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, bail};

use super::{
    output::{APPARMOR, Format, Rendered, SECCOMP},
    profile,
};
use syscalls::runtime_init;
use tracer_core::{
    profile::{
        Rendering, TargetError,
        apparmor::{AppArmorProfile, Division},
        artifact,
        capabilities::Capabilities,
        container_engine::ContainerOptions,
        hardening::Hardening,
        kubernetes::{self, Context, Localhost, ObjectName, Operator, Placement},
        seccomp::{Options, SeccompProfile, oci::OciSeccomp},
        systemd::{self, Service},
    },
    recording::Recording,
};

/// The folder of the image layout.
pub(super) const ARTIFACT: &str = "seccomp-artifact";

/// Where profiles are to be enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) operator: Operator,
    pub(super) localhost: Localhost,
    pub(super) old_cluster: bool,
    pub(super) container: Option<String>,
}

/// The same as it was typed.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Kubernetes options")]
pub(super) struct TargetArgs {
    /// The version of the Security Profiles Operator in the cluster: 0.10 and 0.9 have other versions and
    /// fields [default: 1.0 and later]
    #[arg(long, value_name = "VERSION")]
    spo: Option<Operator>,

    /// Where the seccomp profile is on the nodes, below /var/lib/kubelet/seccomp, when no operator puts it
    /// there; AppArmor's is then the one that was loaded from apparmor.profile [default: operator/NAME.json]
    #[arg(long, value_name = "PATH", value_parser = Localhost::file)]
    localhost_profile: Option<Localhost>,

    /// The version of Kubernetes: before 1.30 an AppArmor profile is named by an annotation
    /// [default: 1.30 and later]
    #[arg(long, value_name = "VERSION", value_parser = is_old)]
    kubernetes: Option<bool>,

    /// The container in the pod [default: the one recorded]
    #[arg(long, value_name = "NAME", value_parser = container)]
    container: Option<String>,
}

impl TargetArgs {
    /// What was typed, resolved.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            operator: self.spo.unwrap_or_default(),
            localhost: self.localhost_profile.clone().unwrap_or_default(),
            old_cluster: self.kubernetes.unwrap_or_default(),
            container: self.container.clone(),
        }
    }
}

/// Whether a version of Kubernetes is older than `securityContext.appArmorProfile`.
fn is_old(version: &str) -> Result<bool, String> {
    let mut parts = version.trim_start_matches('v').split('.');
    let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok());
    match (number(), number()) {
        (Some(1), Some(minor)) => Ok(minor < 30),
        (Some(2..), _) => Ok(false),
        _ => Err("give a version such as 1.29".to_owned()),
    }
}

/// A container's name: a DNS-1123 label.
fn container(name: &str) -> Result<String, String> {
    let is_label = name.len() <= 63 && !name.contains('.') && ObjectName::new(name).is_ok();
    if is_label {
        Ok(name.to_owned())
    } else {
        Err(
            "a container's name has up to 63 small letters, digits and -, and begins and ends with a letter or digit"
                .to_owned(),
        )
    }
}

/// What is rendered.
pub(super) struct Models<'a> {
    pub(super) recording: &'a Recording,
    pub(super) settings: &'a profile::Settings,
    pub(super) seccomp: &'a SeccompProfile,
    pub(super) apparmor: Option<&'a AppArmorProfile>,
    pub(super) capabilities: Option<&'a Capabilities>,
}

impl Models<'_> {
    fn at_home(&self) -> bool {
        self.settings.seccomp.arch.is_none()
    }

    /// Why there is nothing about a kind of observation.
    pub(super) fn missing(&self, what: &str) -> String {
        if self.at_home() {
            format!(
                "the recording has nothing about {what}: record it again with a tracer, and on a kernel, that can see them; `tracer doctor` tells"
            )
        } else {
            format!("{what} are those of the machine recorded on: ask for them without --arch")
        }
    }

    fn workload(&self) -> &str {
        &self.recording.workload.name
    }

    /// The name of Kubernetes' objects.
    pub(super) fn object(&self) -> Result<ObjectName, TargetError> {
        match &self.settings.apparmor.name {
            Some(name) => ObjectName::new(name),
            None => ObjectName::of_workload(self.workload()),
        }
    }

    pub(super) fn placement(&self) -> Placement {
        let mut placement = Placement::from_recording(self.recording);
        if self.settings.targets.container.is_some() {
            placement
                .container
                .clone_from(&self.settings.targets.container);
        }
        placement
    }

    /// What the recording supports where the profile is put into force as its text is.
    pub(super) fn hardening(&self) -> Hardening {
        let hardening = self.hardening_by_operator();
        match self.apparmor.map(AppArmorProfile::division) {
            Some(Division::Divided(_)) => hardening.with_children(),
            _ => hardening,
        }
    }

    /// The same for a pod, where the operator may be what loads it: its objects have no child profiles.
    pub(super) fn hardening_in_pod(&self) -> Hardening {
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

    /// What the container's security context is to hold.
    pub(super) fn context<'a>(
        &'a self,
        hardening: &'a Hardening,
    ) -> Result<Context<'a>, TargetError> {
        let targets = &self.settings.targets;
        let object = self.object()?;
        let apparmor = self.apparmor.map(|profile| match targets.localhost {
            Localhost::Operator => object.to_string(),
            Localhost::File(_) => profile.name().to_owned(),
        });
        Ok(Context {
            workload: self.workload(),
            seccomp: targets.localhost.seccomp(&object),
            apparmor,
            old_cluster: targets.old_cluster,
            capabilities: self.capabilities,
            hardening,
        })
    }

    fn engine<'a>(&'a self, hardening: &'a Hardening) -> ContainerOptions<'a> {
        ContainerOptions {
            workload: self.workload(),
            seccomp: "./seccomp.json",
            apparmor: self.apparmor.map(AppArmorProfile::name),
            capabilities: self.capabilities,
            hardening,
        }
    }
}

/// The folder `kubernetes/`. What the recording does not know enough for is left out; `by_default`, when
/// nobody asked, what does not fit too.
pub(super) fn kubernetes(
    models: &Models<'_>,
    by_default: bool,
    rendered: &mut Rendered,
) -> anyhow::Result<()> {
    let mut formats = vec![Format::SeccompProfile];
    if models.at_home() {
        if models.apparmor.is_some() {
            formats.push(Format::ApparmorProfile);
        }
        formats.push(Format::SecurityContext);
        formats.extend([Format::Patch, Format::ProfileBinding]);
    }
    for format in formats {
        let result = render(format, models, rendered);
        let Err(error) = result else {
            continue;
        };
        match error.downcast::<TargetError>() {
            // A command that was recorded is in no pod: nothing to tell, unless somebody asked.
            Ok(TargetError::Missing { .. }) if by_default => {}
            Ok(unfit) if by_default || matches!(unfit, TargetError::Missing { .. }) => {
                rendered.skipped.push((file(format), unfit));
            }
            Ok(unfit) => return Err(unfit.into()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Renders one of the formats that are one file or a folder of its own.
pub(super) fn render(
    format: Format,
    models: &Models<'_>,
    rendered: &mut Rendered,
) -> anyhow::Result<()> {
    let translated = matches!(
        format,
        Format::SeccompProfile | Format::Kubescape | Format::Artifact
    );
    if !translated && !models.at_home() {
        bail!(models.missing("files, capabilities and what else this holds"));
    }
    let (workload, operator) = (models.workload(), models.settings.targets.operator);
    let rendering = match format {
        Format::SeccompProfile => {
            kubernetes::seccomp_profile(&models.object()?, workload, models.seccomp, operator)?
        }
        Format::ApparmorProfile => {
            let Some(profile) = models.apparmor else {
                bail!(models.missing("files"));
            };
            kubernetes::apparmor_profile(&models.object()?, workload, profile, operator)?
        }
        Format::ProfileBinding => kubernetes::profile_binding(
            &models.object()?,
            workload,
            &models.placement(),
            models.apparmor.is_some(),
            operator,
        )?,
        Format::Kubescape => {
            let object = models.object()?;
            let path = match &models.settings.targets.localhost {
                Localhost::Operator => format!("kubescape/{object}.json"),
                Localhost::File(path) => path.clone(),
            };
            let placement = models.placement();
            kubernetes::kubescape(&object, workload, models.seccomp, &placement, &path)?
        }
        Format::SecurityContext => models.context(&models.hardening_in_pod())?.snippet(),
        Format::Patch => models
            .context(&models.hardening_in_pod())?
            .patch(&models.placement())?,
        Format::Engine => models.engine(&models.hardening()).flags(),
        Format::Compose => models.engine(&models.hardening()).compose(workload),
        Format::Systemd => systemd(models)?,
        Format::Artifact => {
            let profile = OciSeccomp::from(models.seccomp);
            let files = artifact::layout(workload, &profile, &profile.to_json()?);
            let files = files.map_err(|error| match error {
                artifact::Error::TargetError(unfit) => anyhow::Error::from(unfit),
                other => other.into(),
            })?;
            for (name, text) in files {
                rendered.files.push((format!("{ARTIFACT}/{name}"), text));
            }
            return Ok(());
        }
        Format::Seccomp
        | Format::Apparmor
        | Format::Capabilities
        | Format::Kubernetes
        | Format::Review
        | Format::Help => return Ok(()),
    };
    let name = file(format);
    let Rendering { text, omissions } = rendering;
    rendered.files.push((name.to_owned(), text));
    let omissions = omissions.into_iter().map(|one| (name.to_owned(), one));
    rendered.omissions.extend(omissions);
    Ok(())
}

/// systemd's drop-in. No container runtime starts a service, so it has a profile of its own.
fn systemd(models: &Models<'_>) -> anyhow::Result<Rendering> {
    let options = Options {
        runtime_init: runtime_init::RuntimeSelection::None,
        ..models.settings.seccomp.clone()
    };
    let recordings = std::slice::from_ref(models.recording);
    let seccomp = SeccompProfile::from_recordings(recordings, &options)?;
    let families = systemd::families(models.recording, models.settings.apparmor.exec);
    let hardening = models.hardening();
    let service = Service {
        workload: models.workload(),
        seccomp: &seccomp,
        families: families.as_ref(),
        capabilities: models.capabilities,
        hardening: &hardening,
    };
    Ok(service.drop_in())
}

/// Takes away what an image layout of an earlier time left: its blobs have names of their own, and no
/// index leads to them any more. Nothing else in the folder is touched.
pub(super) fn remove_stale(directory: &Path, files: &[(String, String)]) -> anyhow::Result<()> {
    let place = format!("{ARTIFACT}/blobs/sha256/");
    let current: BTreeSet<_> = files
        .iter()
        .filter_map(|(name, _)| name.strip_prefix(&place))
        .collect();
    if current.is_empty() {
        return Ok(());
    }
    let blobs = directory.join(&place);
    for entry in fs::read_dir(&blobs).with_context(|| blobs.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let is_blob =
            |name: &str| name.len() == 64 && name.bytes().all(|it| it.is_ascii_hexdigit());
        if name.is_some_and(|name| is_blob(name) && !current.contains(name)) {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Where a format goes.
const fn file(format: Format) -> &'static str {
    match format {
        Format::Seccomp => SECCOMP,
        Format::Apparmor => APPARMOR,
        Format::SeccompProfile => "kubernetes/seccompprofile.yaml",
        Format::ApparmorProfile => "kubernetes/apparmorprofile.yaml",
        Format::ProfileBinding => "kubernetes/profilebinding.yaml",
        Format::SecurityContext => "kubernetes/securitycontext.yaml",
        Format::Patch => "kubernetes/patch.yaml",
        Format::Kubescape => "kubernetes/kubescape.yaml",
        Format::Engine => "engine.args",
        Format::Compose => "compose.yaml",
        Format::Systemd => "systemd.conf",
        Format::Artifact => ARTIFACT,
        Format::Capabilities | Format::Kubernetes | Format::Review | Format::Help => "",
    }
}

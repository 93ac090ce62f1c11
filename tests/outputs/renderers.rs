//! Each renderer, called as the command line calls it.

use anyhow::Result;
use serde_json::Value;
use syscalls::runtime_init;
use tracer_core::{
    profile::{
        Rendering,
        apparmor::AppArmorProfile,
        artifact,
        capabilities::Capabilities,
        container_engine::ContainerOptions,
        hardening::Hardening,
        kubernetes::{self, Context, Localhost, ObjectName, Operator, Placement},
        seccomp::{ExecPolicy, Options, SeccompProfile, oci::OciSeccomp},
        systemd::{self, Service},
    },
    recording::Recording,
};

/// Which version of an object's fields.
pub(crate) const OPERATORS: [Operator; 2] = [Operator::V1, Operator::V0_10];

pub(crate) struct Models {
    pub(crate) recording: Recording,
    pub(crate) seccomp: SeccompProfile,
    pub(crate) apparmor: Option<AppArmorProfile>,
    pub(crate) capabilities: Option<Capabilities>,
    hardening: Hardening,
    name: ObjectName,
    placement: Placement,
}

impl Models {
    pub(crate) fn new(recording: Recording) -> Result<Self> {
        let recordings = std::slice::from_ref(&recording);
        let seccomp = SeccompProfile::from_recordings(recordings, &Options::default())?;
        let apparmor = AppArmorProfile::from_recordings(recordings, &Default::default());
        let capabilities = apparmor.as_ref().and_then(Capabilities::needed_by);
        let hardening =
            Hardening::from_recording(&recording, ExecPolicy::default(), capabilities.as_ref());
        let mut placement = Placement::from_recording(&recording);
        // As `--container` says it, of a command, or of a container with a name that no cluster takes.
        placement.container.get_or_insert_with(|| "web".to_owned());
        Ok(Self {
            name: ObjectName::of_workload(&recording.workload.name)?,
            seccomp,
            apparmor,
            capabilities,
            hardening,
            placement,
            recording,
        })
    }

    fn workload(&self) -> &str {
        &self.recording.workload.name
    }

    pub(crate) fn seccomp_profile(&self, operator: Operator) -> Result<Rendering> {
        let made =
            kubernetes::seccomp_profile(&self.name, self.workload(), &self.seccomp, operator);
        Ok(made?)
    }

    pub(crate) fn apparmor_profile(&self, operator: Operator) -> Result<Option<Rendering>> {
        let Some(profile) = &self.apparmor else {
            return Ok(None);
        };
        let made = kubernetes::apparmor_profile(&self.name, self.workload(), profile, operator);
        Ok(Some(made?))
    }

    pub(crate) fn binding(&self, operator: Operator) -> Result<Option<Rendering>> {
        if self.placement.image.is_none() {
            return Ok(None);
        }
        let has_apparmor = self.apparmor.is_some();
        let made = kubernetes::profile_binding(
            &self.name,
            self.workload(),
            &self.placement,
            has_apparmor,
            operator,
        );
        Ok(Some(made?))
    }

    pub(crate) fn kubescape(&self) -> Result<Rendering> {
        let path = format!("kubescape/{}.json", self.name);
        let made = kubernetes::kubescape(
            &self.name,
            self.workload(),
            &self.seccomp,
            &self.placement,
            &path,
        );
        Ok(made?)
    }

    pub(crate) fn context(&self, old_cluster: bool) -> Context<'_> {
        Context {
            workload: self.workload(),
            seccomp: Localhost::Operator.seccomp(&self.name),
            apparmor: self.apparmor.as_ref().map(|_| self.name.to_string()),
            seccomp_only: false,
            old_cluster,
            capabilities: self.capabilities.as_ref(),
            hardening: &self.hardening,
        }
    }

    pub(crate) fn patch(&self, old_cluster: bool) -> Result<Rendering> {
        Ok(self.context(old_cluster).patch(&self.placement)?)
    }

    pub(crate) fn engine(&self) -> ContainerOptions<'_> {
        ContainerOptions {
            workload: self.workload(),
            seccomp: "./seccomp.json",
            apparmor: self.apparmor.as_ref().map(AppArmorProfile::name),
            capabilities: self.capabilities.as_ref(),
            hardening: &self.hardening,
        }
    }

    pub(crate) fn drop_in(&self) -> Result<Rendering> {
        let options = Options {
            runtime_init: runtime_init::RuntimeSelection::None,
            ..Options::default()
        };
        let recordings = std::slice::from_ref(&self.recording);
        let seccomp = SeccompProfile::from_recordings(recordings, &options)?;
        let families = systemd::families(&self.recording, ExecPolicy::default());
        let service = Service {
            workload: self.workload(),
            seccomp: &seccomp,
            families: families.as_ref(),
            capabilities: self.capabilities.as_ref(),
            hardening: &self.hardening,
        };
        Ok(service.drop_in())
    }

    pub(crate) fn layout(&self) -> Result<Vec<(String, String)>> {
        let profile = OciSeccomp::from(&self.seccomp);
        Ok(artifact::layout("web", &profile, &profile.to_json()?)?)
    }

    /// Everything, by name.
    pub(crate) fn all(&self) -> Result<Vec<(String, String)>> {
        let mut all = Vec::new();
        for operator in OPERATORS {
            let name = |kind: &str| format!("{kind} {operator:?}.yaml");
            all.push((name("seccomp"), self.seccomp_profile(operator)?.text));
            if let Some(made) = self.apparmor_profile(operator)? {
                all.push((name("apparmor"), made.text));
            }
            if let Some(made) = self.binding(operator)? {
                all.push((name("binding"), made.text));
            }
        }
        for old in [false, true] {
            all.push((
                format!("context {old}.yaml"),
                self.context(old).snippet().text,
            ));
            all.push((format!("patch {old}.yaml"), self.patch(old)?.text));
        }
        all.push(("kubescape.yaml".to_owned(), self.kubescape()?.text));
        all.push(("compose.yaml".to_owned(), self.engine().compose("web").text));
        all.push(("engine.args".to_owned(), self.engine().flags().text));
        all.push(("systemd.conf".to_owned(), self.drop_in()?.text));
        all.extend(self.layout()?);
        Ok(all)
    }
}

/// The documents of a text of YAML, by another reader than tracer's.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>> {
    Ok(serde_saphyr::from_multiple(text)?)
}

//! What each renderer makes of a server in a pod, whole.

use super::{
    apparmor::{AppArmorProfile, Options as AppArmorOptions, fixture},
    capabilities::Capabilities,
    container_engine::ContainerOptions,
    hardening::{Hardening, tests::in_container},
    kubernetes::{self, Context, Localhost, ObjectName, Operator, Placement},
    seccomp::{ExecPolicy, Options, SeccompProfile},
    systemd::{self, Service},
};
use crate::recording::{Recording, Security, SocketOperation, SocketUse};

struct Models {
    recording: Recording,
    seccomp: SeccompProfile,
    apparmor: AppArmorProfile,
    capabilities: Capabilities,
    hardening: Hardening,
    name: ObjectName,
}

fn models() -> Models {
    let security = Security {
        uid: Some(101),
        no_new_privileges: Some(true),
        ..Security::default()
    };
    let mut recording = in_container(fixture::web(), security);
    recording.sockets.push(fixture::seen(
        SocketUse {
            family: 16,
            kind: 3,
            protocol: 0,
            operation: SocketOperation::Create,
            address: None,
            more: false,
        },
        crate::recording::Phase::Run,
        "/usr/sbin/nginx",
    ));
    let all = std::slice::from_ref(&recording);
    let options = Options {
        runtime_init: syscalls::runtime_init::RuntimeSelection::None,
        ..Options::default()
    };
    let seccomp = SeccompProfile::from_recordings(all, &options).unwrap();
    let apparmor = AppArmorProfile::from_recordings(all, &AppArmorOptions::default()).unwrap();
    let capabilities = Capabilities::needed_by(&apparmor).unwrap();
    Models {
        hardening: Hardening::from_recording(
            &recording,
            ExecPolicy::default(),
            Some(&capabilities),
        ),
        name: ObjectName::new("web").unwrap(),
        recording,
        seccomp,
        apparmor,
        capabilities,
    }
}

impl Models {
    fn context(&self, old_cluster: bool) -> Context<'_> {
        Context {
            workload: "web",
            seccomp: Localhost::Operator.seccomp(&self.name),
            apparmor: Some("web".to_owned()),
            seccomp_only: false,
            old_cluster,
            capabilities: Some(&self.capabilities),
            hardening: &self.hardening,
        }
    }

    fn engine(&self) -> ContainerOptions<'_> {
        ContainerOptions {
            workload: "web",
            seccomp: "./seccomp.json",
            apparmor: Some("web"),
            capabilities: Some(&self.capabilities),
            hardening: &self.hardening,
        }
    }
}

#[test]
fn seccomp_profile() {
    let models = models();
    let made = kubernetes::seccomp_profile(&models.name, "web", &models.seccomp, Operator::V1);
    insta::assert_snapshot!(made.unwrap().text);
}

#[test]
fn apparmor_profile() {
    let models = models();
    let of = |operator| {
        kubernetes::apparmor_profile(&models.name, "web", &models.apparmor, operator).unwrap()
    };
    insta::assert_snapshot!("apparmor_profile_v1", of(Operator::V1).text);
    insta::assert_snapshot!("apparmor_profile_v0_10", of(Operator::V0_10).text);
}

#[test]
fn profile_binding() {
    let models = models();
    let placement = Placement::from_recording(&models.recording);
    let made =
        kubernetes::profile_binding(&models.name, "web", &placement, true, Operator::V1).unwrap();
    insta::assert_snapshot!(made.text);
}

#[test]
fn patches() {
    let models = models();
    let placement = Placement::from_recording(&models.recording);
    insta::assert_snapshot!(
        "patch",
        models.context(false).patch(&placement).unwrap().text
    );
    let old = models.context(true).patch(&placement).unwrap().text;
    insta::assert_snapshot!("patch_before_1_30", old);
    let job = Placement {
        owner: Some(("cronjob".to_owned(), "nightly".to_owned())),
        role: Some("init".to_owned()),
        ..placement
    };
    insta::assert_snapshot!(
        "patch_cronjob",
        models.context(false).patch(&job).unwrap().text
    );
}

#[test]
fn security_context() {
    let models = models();
    insta::assert_snapshot!(models.context(true).snippet().text);
}

#[test]
fn engine_flags_and_compose() {
    let models = models();
    insta::assert_snapshot!("flags", models.engine().flags().text);
    insta::assert_snapshot!("compose", models.engine().compose("web").text);
}

#[test]
fn drop_in() {
    let models = models();
    let families = systemd::families(&models.recording, ExecPolicy::default());
    let service = Service {
        workload: "web",
        seccomp: &models.seccomp,
        families: families.as_ref(),
        capabilities: Some(&models.capabilities),
        hardening: &models.hardening,
    };
    insta::assert_snapshot!(service.drop_in().text);
}

/// What runtimes would refuse is told before anybody pushes it.
#[test]
fn artifact_size_is_limited() {
    use super::{
        artifact,
        seccomp::oci::{Action, Entry, OciSeccomp},
    };

    let models = models();
    let mut profile = OciSeccomp::from(&models.seccomp);
    let json = profile.to_json().unwrap();
    let files = artifact::layout("web", &profile, &json).unwrap();
    assert_eq!(files.len(), 5);
    let entry = Entry {
        names: vec!["read".to_owned()],
        action: Action::Allow,
        errno_ret: None,
        args: Vec::new(),
    };
    profile.syscalls = vec![entry; 129];
    let error = artifact::layout("web", &profile, &json).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("129 entries") && error.contains("restrict fewer arguments"),
        "{error}"
    );
    profile.syscalls.clear();
    let error = artifact::layout("web", &profile, &" ".repeat((1 << 20) + 1)).unwrap_err();
    assert!(error.to_string().contains("bytes"), "{error}");
}

//! What `--complain` makes of a seccomp profile, in each form.

use super::{
    hardening::Hardening,
    kubernetes::{ObjectName, Operator, seccomp_profile},
    seccomp::{
        Error, ExecPolicy, Options, SeccompProfile,
        fixture::{path, recording},
        oci::{Action, OciSeccomp},
    },
    systemd::Service,
};
use crate::recording::{Mechanism, ObservationKind, Phase, Recording};
use syscalls::Abi;

fn seen() -> Recording {
    recording(&[
        (Abi::X86_64, 0, Phase::Run, path("/bin/web")),
        (Abi::X86_64, 1, Phase::Run, path("/bin/web")),
    ])
}

fn profile(complain: bool) -> SeccompProfile {
    let options = Options {
        complain,
        ..Options::default()
    };
    SeccompProfile::from_recordings(&[seen()], &options).unwrap()
}

#[test]
fn oci_form_logs_by_default_and_denies_nothing() {
    let (logs, denies) = (
        OciSeccomp::from(&profile(true)),
        OciSeccomp::from(&profile(false)),
    );
    assert_eq!(logs.default_action, Action::Log);
    // crun refuses errnoRet where nothing returns it.
    assert_eq!(logs.default_errno_ret, None);
    assert!(logs.syscalls.iter().all(|it| it.action == Action::Allow));
    // What is allowed is the same.
    let allowed = denies
        .syscalls
        .iter()
        .filter(|it| it.action == Action::Allow);
    assert!(allowed.eq(logs.syscalls.iter()));
    assert!(denies.syscalls.len() > logs.syscalls.len());
}

#[test]
fn object_logs_by_default() {
    let name = ObjectName::new("web").unwrap();
    let text = seccomp_profile(&name, "web", &profile(true), Operator::default())
        .unwrap()
        .text;
    assert!(text.contains("defaultAction: SCMP_ACT_LOG"), "{text}");
    assert!(
        !text.contains("SCMP_ACT_ERRNO") && !text.contains("errnoRet"),
        "{text}"
    );
}

#[test]
fn drop_in_logs_all_other_calls_and_restricts_nothing() {
    let (profile, seen) = (profile(true), seen());
    let service = Service {
        workload: "web",
        seccomp: &profile,
        families: None,
        capabilities: None,
        hardening: &Hardening::from_recording(&seen, ExecPolicy::default(), None),
    };
    let text = service.drop_in().text;
    let settings: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        settings[..4],
        [
            "[Service]",
            "SystemCallArchitectures=",
            "SystemCallFilter=",
            "SystemCallLog="
        ]
    );
    assert!(settings.len() > 4);
    assert!(
        settings[4..]
            .iter()
            .all(|it| it.starts_with("SystemCallLog=~")),
        "{text}"
    );
    assert!(
        settings.iter().any(|line| line.contains(" write")),
        "{text}"
    );
}

#[test]
fn kernel_that_cannot_log_is_refused() {
    let mut seen = seen();
    let options = Options {
        complain: true,
        ..Options::default()
    };
    for (kernel, is_fine) in [
        ("4.13.9-generic", false),
        ("4.14.0", true),
        ("unknown", true),
    ] {
        seen.host.kernel = kernel.to_owned();
        let made = SeccompProfile::from_recordings(std::slice::from_ref(&seen), &options);
        let expected = (!is_fine).then(|| Error::CannotLog(kernel.to_owned()));
        assert_eq!(made.err(), expected, "{kernel}");
    }
}

/// runsc refuses a profile with SCMP_ACT_LOG: "invalid action".
#[test]
fn gvisor_that_cannot_log_is_refused() {
    let mut guest = seen();
    let calls = guest.providers.iter_mut();
    for provider in calls.filter(|it| it.kind == ObservationKind::Syscalls) {
        provider.provider = Mechanism::Gvisor;
    }
    assert!(guest.is_of_gvisor());
    for complain in [true, false] {
        let options = Options {
            complain,
            ..Options::default()
        };
        // One guest among others is enough: the profile is for it, too.
        let all = [seen(), guest.clone()];
        let made = SeccompProfile::from_recordings(&all, &options);
        assert_eq!(made.err(), complain.then_some(Error::GvisorCannotLog));
    }
}

use super::*;
use crate::{
    profile::{
        apparmor::{self, AppArmorProfile},
        seccomp::{Options, SeccompProfile, fixture},
    },
    recording::{FileAccess, merge::merge},
};

const LOG: &str = r#"
type=SECCOMP msg=audit(1700000000.1:2): auid=1 uid=0 pid=7 comm="nginx" exe="/usr/sbin/nginx" sig=0 arch=c000003e syscall=230 compat=0 code=0x7ffc0000
type=SECCOMP msg=audit(1700000009.1:3): auid=1 uid=0 pid=7 comm="nginx" exe="/usr/sbin/nginx" sig=0 arch=c000003e syscall=230 compat=0 code=0x7ffc0000
type=SECCOMP msg=audit(1700000003.1:4): auid=1 uid=0 pid=7 comm="nginx" exe="/usr/sbin/nginx" sig=31 arch=c000003e syscall=101 compat=0 code=0x80000000
type=SECCOMP msg=audit(1700000003.1:5): auid=1 uid=0 pid=9 comm="cron" exe="/usr/sbin/cron" sig=0 arch=c000003e syscall=1 compat=0 code=0x7ffc0000
type=SECCOMP msg=audit(1700000003.1:6): pid=7 comm="nginx" exe="/usr/sbin/nginx" arch=ffffffff syscall=1 code=0x7ffc0000
audit: audit_lost=7 audit_rate_limit=0
audit: audit_lost=10 audit_rate_limit=0
something else
"#;

fn learned(recording: &Recording, selection: Selection, log: &str) -> Learned {
    let mut learner = Learner::new(recording, selection);
    log.lines().for_each(|line| learner.line(line));
    learner.finish()
}

fn nginx() -> Recording {
    let nginx = fixture::path("/usr/sbin/nginx");
    fixture::recording(&[(Abi::X86_64, 0, Phase::Run, nginx)])
}

fn added(report: &Report) -> Vec<What> {
    report.added.keys().cloned().collect()
}

#[test]
fn logged_calls_are_added_and_stopped_ones_only_recorded() {
    let recording = nginx();
    let Learned { seen, report } = learned(&recording, Selection::default(), LOG);
    let call = |name: &str, stopped| What::Syscall {
        name: name.to_owned(),
        stopped,
    };
    assert_eq!(
        added(&report),
        [call("clock_nanosleep", false), call("ptrace", true)]
    );
    assert_eq!(report.added.values().next().unwrap().records, 2);
    assert_eq!(
        (report.taken, report.not_understood, report.lost),
        (3, 1, 4)
    );
    assert_eq!(report.others.get("/usr/sbin/cron"), Some(&1));

    let merged = merge([recording, seen.unwrap()]).unwrap();
    assert!(merged.coverage.complete);
    let profile =
        SeccompProfile::from_recordings(std::slice::from_ref(&merged), &Options::default())
            .unwrap();
    assert!(profile.rule("clock_nanosleep").is_some());
    assert!(profile.rule("ptrace").is_none());
    let log = merged.instances.iter().find(|it| it.source == Source::Log);
    let log = log.unwrap();
    assert_eq!(log.began, "2023-11-14T22:13:20Z");
    assert_eq!(log.ended, "2023-11-14T22:13:29Z");
    // A log is no run that a call could be missing from.
    let discovery = crate::recording::Discovery::from_recording(&merged);
    assert_eq!(discovery.instances, 1);
}

#[test]
fn learning_twice_adds_nothing_more() {
    let recording = nginx();
    let once = learned(&recording, Selection::default(), LOG).seen.unwrap();
    let merged = merge([recording, once.clone()]).unwrap();
    let again = learned(&merged, Selection::default(), LOG);
    let stopped = |what: &What| matches!(what, What::Syscall { stopped: true, .. });
    assert!(added(&again.report).iter().all(stopped));
    assert_eq!(merge([merged.clone(), once]).unwrap(), merged);
}

#[test]
fn accesses_of_the_profile_and_its_children_are_added() {
    let recording = apparmor::fixture::web();
    let name = recording.workload.name.clone();
    let log = format!(
        r#"type=AVC msg=audit(1.0:1): apparmor="ALLOWED" operation="open" profile="{name}" name="/etc/new.conf" pid=1 comm="x" requested_mask="r" denied_mask="r" fsuid=0 ouid=0
type=AVC msg=audit(1.0:1): apparmor="ALLOWED" operation="open" profile="{name}//helper" name="/etc/helper.conf" requested_mask="r" denied_mask="r" fsuid=0 ouid=0
type=AVC msg=audit(1.0:1): apparmor="ALLOWED" operation="open" profile="{name}2" name="/etc/other" requested_mask="r" denied_mask="r" fsuid=0 ouid=0
type=AVC msg=audit(1.0:1): apparmor="DENIED" operation="open" profile="{name}" name="/etc/gshadow" requested_mask="r" denied_mask="r" fsuid=0 ouid=0
type=AVC msg=audit(1.0:1): apparmor="STATUS" operation="profile_replace" profile="unconfined" name="{name}"
type=AVC msg=audit(1.0:1): avc:  denied  {{ read }} for  pid=1 comm="x" name="x"
"#
    );
    let Learned { seen, report } = learned(&recording, Selection::default(), &log);
    let read = |path: &str| What::File {
        path: path.to_owned(),
        access: FileAccess::Read,
    };
    assert_eq!(
        added(&report),
        [read("/etc/helper.conf"), read("/etc/new.conf")]
    );
    assert_eq!(report.denied, 1);
    assert_eq!(report.others.len(), 1);
    let merged = merge([recording.clone(), seen.unwrap()]).unwrap();
    let options = apparmor::Options::default();
    let text = AppArmorProfile::from_recordings(std::slice::from_ref(&merged), &options)
        .unwrap()
        .to_text();
    assert!(text.contains("/etc/new.conf r,"), "{text}");
    assert!(!text.contains("/etc/gshadow"), "{text}");

    let denied = Selection {
        denied: true,
        ..Selection::default()
    };
    let report = learned(&recording, denied, &log).report;
    assert!(added(&report).contains(&read("/etc/gshadow")));
}

/// A profile that was made from denials alone would not let the workload run.
#[test]
fn what_was_not_observed_is_not_added() {
    let log = r#"type=AVC msg=audit(1.0:1): apparmor="ALLOWED" operation="open" profile="web" name="/x" denied_mask="r""#;
    let Learned { seen, report } = learned(&nginx(), Selection::default(), log);
    assert!(seen.is_none());
    assert_eq!(report.not_recorded, 1);
}

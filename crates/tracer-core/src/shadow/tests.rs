use std::collections::BTreeSet;

use super::*;
use crate::{
    audit::{Included, apparmor_policy::Policy},
    parse::Input,
    profile::{
        apparmor::fixture as accesses,
        seccomp::{
            evaluate::{Filter, Host, Libseccomp, OciRuntime},
            fixture::{path, recording},
            oci::OciSeccomp,
        },
    },
    recording::{
        Arguments, CapabilityUse, Combination, Executable, FileAccess, FileUse, ObservationKind,
        Peer, Phase, SignalDirection, SignalUse, SocketOperation, SocketUse,
    },
};
use syscalls::{Abi, capability::Capability};

pub(super) const HOST: Host = Host {
    native: Abi::X86_64,
    runtime: OciRuntime::Runc,
    libseccomp: Libseccomp::Newest,
};

fn filter(json: &str) -> Filter {
    Filter::new(&OciSeccomp::from_json(json).unwrap(), HOST).unwrap()
}

pub(super) fn seccomp(json: &str) -> Expected {
    Expected {
        label: "seccomp.json".to_owned(),
        workload: None,
        what: Expectation::Seccomp(vec![(HOST, filter(json))]),
    }
}

fn apparmor(text: &str) -> Expected {
    let input = Input::new("web.profile".to_owned(), text.as_bytes().to_vec()).unwrap();
    let policy = Policy::from_input(&input, &|_| Included::Missing).unwrap();
    Expected {
        label: "web.profile".to_owned(),
        workload: None,
        what: Expectation::AppArmor(Box::new(policy)),
    }
}

fn nr(name: &str) -> u32 {
    Abi::X86_64.syscall_number(name).unwrap()
}

fn calls(names: &[(&str, &str)]) -> Recording {
    let seen: Vec<_> = names
        .iter()
        .map(|(name, by)| (Abi::X86_64, nr(name), Phase::Run, path(by)))
        .collect();
    recording(&seen)
}

fn take(shadow: &mut Shadow, recording: &Recording) -> Vec<Event> {
    shadow.take(recording, &Losses::default())
}

/// Kind, thing, detail, rule.
fn told(events: &[Event]) -> Vec<(EventKind, &str, &str, &str)> {
    fn text(text: Option<&String>) -> &str {
        text.map_or("", String::as_str)
    }
    events
        .iter()
        .map(|it| {
            (
                it.event,
                text(it.what.as_ref()),
                text(it.detail.as_ref()),
                text(it.rule.as_ref()),
            )
        })
        .collect()
}

const NARROW: &str = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
  {"names":["read","write"],"action":"SCMP_ACT_ALLOW"},
  {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]},
  {"names":["mount"],"action":"SCMP_ACT_KILL_PROCESS"}]}"#;

#[test]
fn each_denial_is_reported_once_for_each_program() {
    let mut shadow = Shadow::new(vec![seccomp(NARROW)], Vec::new());
    let mut seen = calls(&[("read", "/bin/a"), ("mkdir", "/bin/a"), ("mount", "/bin/a")]);
    let events = take(&mut shadow, &seen);
    assert_eq!(
        told(&events),
        [
            (EventKind::WouldBeDenied, "mkdir", "x86_64", "defaultAction"),
            (EventKind::WouldBeDenied, "mount", "x86_64", "syscalls[2]"),
        ]
    );
    assert_eq!(events[0].action.as_deref(), Some("SCMP_ACT_ERRNO(1)"));
    assert_eq!(events[0].result.as_deref(), Some("EPERM"));
    assert_eq!(events[0].process.as_ref().map(|it| it.pid), Some(101));
    assert_eq!(
        (events[0].severity, events[1].severity),
        (Severity::Low, Severity::High)
    );
    assert!(take(&mut shadow, &seen).is_empty());
    // Another instance of the same is no news, another program is.
    let mut again = seen.syscalls[1].evidence[0].clone();
    again.instance = 1;
    seen.syscalls[1].evidence.push(again.clone());
    assert!(take(&mut shadow, &seen).is_empty());
    again.executable = path("/bin/b");
    seen.syscalls[1].evidence.push(again);
    assert_eq!(take(&mut shadow, &seen).len(), 1);
    assert_eq!(shadow.summary().events[&EventKind::WouldBeDenied], 3);
    assert!(shadow.summary().has_findings());
}

/// `socket` with families.
fn sockets(families: &[u64], cut: bool) -> Recording {
    let mut recording = calls(&[("socket", "/bin/a")]);
    recording.syscalls[0].arguments = Some(Arguments {
        indices: vec![0, 1, 2],
        seen: families
            .iter()
            .map(|family| Combination {
                phase: Phase::Run,
                values: vec![*family, 1, 0],
                executables: [path("/bin/a")].into(),
            })
            .collect(),
        cut: cut.then_some(Phase::Run).into_iter().collect(),
    });
    recording.syscalls[0].evidence[0]
        .first
        .as_mut()
        .unwrap()
        .args = [2, 1, 0, 0, 0, 0];
    recording
}

#[test]
fn arguments_are_reported_where_they_decide() {
    let mut shadow = Shadow::new(vec![seccomp(NARROW)], Vec::new());
    let events = take(&mut shadow, &sockets(&[2, 10], false));
    assert_eq!(
        told(&events),
        [(
            EventKind::WouldBeDenied,
            "socket",
            "x86_64, AF_INET6, SOCK_STREAM",
            "defaultAction"
        )]
    );
}

#[test]
fn gap_is_reported_when_it_stays() {
    let mut shadow = Shadow::new(vec![seccomp(NARROW)], Vec::new());
    let seen = sockets(&[2], true);
    assert!(take(&mut shadow, &seen).is_empty());
    let events = take(&mut shadow, &seen);
    assert_eq!(told(&events)[0].0, EventKind::MayBeDenied);
    assert_eq!(
        events[0].depends_on.as_deref(),
        Some("argument 0, which was not recorded")
    );
    assert!(!shadow.summary().has_findings());
    // At the end there is nothing to wait for.
    let mut shadow = Shadow::new(vec![seccomp(NARROW)], Vec::new());
    assert_eq!(shadow.take_last(&seen, &Losses::default()).len(), 1);
}

#[test]
fn call_whose_callers_fall_back_is_no_denial() {
    let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["close_range"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}"#;
    let mut shadow = Shadow::new(vec![seccomp(json)], Vec::new());
    assert_eq!(take(&mut shadow, &calls(&[("close_range", "/bin/a")])), []);
}

#[test]
fn setup_is_not_judged_and_a_stopped_call_is_reported_as_denied() {
    let mut shadow = Shadow::new(vec![seccomp(NARROW)], Vec::new());
    let mut seen = calls(&[("mkdir", "/bin/a"), ("chmod", "/bin/a")]);
    seen.syscalls[0].evidence[0].phase = Phase::Setup;
    seen.syscalls[1].evidence[0].blocked = Some(Blocked::Errno(1));
    let events = take(&mut shadow, &seen);
    let kinds: BTreeSet<_> = events
        .iter()
        .map(|it| (it.event, it.what.clone()))
        .collect();
    // Which of the two calls is which depends on their numbers.
    let expected: BTreeSet<_> = seen
        .syscalls
        .iter()
        .filter(|it| it.evidence[0].blocked.is_some())
        .map(|it| (EventKind::Denied, it.name.clone()))
        .collect();
    let judged: BTreeSet<_> = seen
        .syscalls
        .iter()
        .filter(|it| it.evidence[0].blocked.is_none() && it.evidence[0].phase != Phase::Setup)
        .map(|it| (EventKind::WouldBeDenied, it.name.clone()))
        .collect();
    assert_eq!(kinds, expected.union(&judged).cloned().collect());
}

const PROFILE: &str = r#"profile web {
  capability chown,
  network inet stream,
  signal (send, receive) peer=@{profile_name},
  signal (receive) peer=unconfined,
  /etc/** r,
  deny /etc/shadow r,
  owner /tmp/** rw,
  /bin/web mrix,
  /bin/tool cx -> tool,
  profile tool {
    /data/** r,
  }
}
"#;

#[test]
fn apparmor_decides_files_by_program_and_rule() {
    let mut shadow = Shadow::new(vec![apparmor(PROFILE)], Vec::new());
    let mut seen = accesses::empty();
    let file = |path: &str, access, by: &str| {
        accesses::seen(accesses::file(path.as_bytes(), access), Phase::Run, by)
    };
    seen.files = vec![
        file("/data/x", FileAccess::Read, "/bin/tool"),
        file("/data/y", FileAccess::Read, "/bin/web"),
        file("/etc/hosts", FileAccess::Read, "/bin/web"),
        file("/etc/hosts", FileAccess::Write, "/bin/web"),
        file("/etc/shadow", FileAccess::Read, "/bin/web"),
        file("/tmp/x", FileAccess::Write, "/bin/web"),
    ];
    let events = take(&mut shadow, &seen);
    let deny = "deny /etc/shadow r";
    assert!(events.iter().all(|it| it.event == EventKind::WouldBeDenied));
    let told: Vec<_> = told(&events)
        .into_iter()
        .map(|(_, what, detail, rule)| (what, detail, rule.trim_end_matches(',')))
        .collect();
    assert_eq!(
        told,
        [
            ("/data/y", "read", ""),
            ("/etc/hosts", "write", ""),
            ("/etc/shadow", "read", deny),
            ("/tmp/x", "write", ""),
        ]
    );
    assert_eq!(events[1].result.as_deref(), Some("EACCES; it lacks w"));
}

#[test]
fn apparmor_decides_capabilities_sockets_and_signals() {
    let mut shadow = Shadow::new(vec![apparmor(PROFILE)], Vec::new());
    let mut seen = accesses::empty();
    let capability = |number| CapabilityUse {
        capability: Capability::from_number(number),
        audited: Some(true),
        own_namespace: false,
        by_exec: false,
    };
    seen.capabilities = vec![
        accesses::seen(capability(0), Phase::Run, "/bin/web"),
        accesses::seen(capability(21), Phase::Run, "/bin/web"),
        // The runtime's own, before the profile counts.
        accesses::seen(capability(12), Phase::RuntimeInit, "/usr/bin/runc"),
    ];
    let socket = |family| SocketUse {
        family,
        kind: 1,
        protocol: 0,
        operation: SocketOperation::Create,
        address: None,
        more: false,
    };
    seen.sockets = vec![
        accesses::seen(socket(2), Phase::Run, "/bin/web"),
        accesses::seen(socket(10), Phase::Run, "/bin/web"),
    ];
    let signal = |direction, peer| SignalUse {
        direction,
        signal: 15,
        peer,
    };
    seen.signals = vec![
        accesses::seen(
            signal(SignalDirection::Send, Peer::Own),
            Phase::Run,
            "/bin/web",
        ),
        accesses::seen(
            signal(SignalDirection::Receive, Peer::Outside),
            Phase::Run,
            "/bin/web",
        ),
        accesses::seen(
            signal(SignalDirection::Send, Peer::Outside),
            Phase::Run,
            "/bin/web",
        ),
    ];
    let events = take(&mut shadow, &seen);
    assert!(events.iter().all(|it| it.event == EventKind::WouldBeDenied));
    assert_eq!(
        told(&events)
            .into_iter()
            .map(|(_, what, detail, rule)| (what, detail, rule))
            .collect::<Vec<_>>(),
        [
            ("CAP_SYS_ADMIN", "", ""),
            ("inet6 stream", "create", ""),
            ("term", "send, outside", ""),
        ]
    );
}

#[test]
fn own_profile_of_a_recording_allows_what_counts_in_it() {
    let seen = accesses::web();
    let options = crate::profile::apparmor::Options::default();
    let profile = crate::profile::apparmor::AppArmorProfile::from_recordings(
        std::slice::from_ref(&seen),
        &options,
    );
    let text = profile.unwrap().to_text();
    let mut shadow = Shadow::new(vec![apparmor(&text)], Vec::new());
    let events = take(&mut shadow, &seen);
    let denied: Vec<_> = events
        .iter()
        .filter(|it| it.event == EventKind::WouldBeDenied)
        .filter_map(|it| it.what.as_deref())
        .collect();
    // What a person did in a terminal, and a family that no rule can name.
    assert_eq!(denied, ["/root/.bashrc", "99 stream"]);
}

fn baseline(recording: &Recording) -> Expected {
    Expected {
        label: "accepted".to_owned(),
        workload: Some("web".to_owned()),
        what: Expectation::Recording(Box::new(Baseline::new(recording))),
    }
}

#[test]
fn drift_is_what_the_recording_does_not_have() {
    let accepted = accesses::web();
    let mut shadow = Shadow::new(vec![baseline(&accepted)], Vec::new());
    assert_eq!(take(&mut shadow, &accepted), []);
    let mut later = accepted.clone();
    let file = |path: &str, access| {
        accesses::seen(
            accesses::file(path.as_bytes(), access),
            Phase::Run,
            "/bin/sh",
        )
    };
    later.files = vec![
        // A temporary name that is another one each time.
        accesses::seen(
            FileUse {
                owned: true,
                ..accesses::file(b"/tmp/tmp.ZyXwVuTsRq", FileAccess::Write)
            },
            Phase::Run,
            "/usr/sbin/nginx",
        ),
        file("/etc/shadow", FileAccess::Read),
        file("/usr/bin/nc", FileAccess::Execute),
    ];
    let events = take(&mut shadow, &later);
    let drift: Vec<_> = events
        .iter()
        .map(|it| (it.event, it.what.as_deref(), it.severity))
        .collect();
    assert_eq!(
        drift,
        [
            (EventKind::New, Some("/etc/shadow"), Severity::Medium),
            (EventKind::New, Some("/usr/bin/nc"), Severity::Medium),
        ]
    );
}

#[test]
fn drift_in_arguments_names_them() {
    let mut accepted = sockets(&[2], false);
    accepted.providers[0].kind = ObservationKind::Syscalls;
    let mut shadow = Shadow::new(vec![baseline(&accepted)], Vec::new());
    let events = take(&mut shadow, &sockets(&[2, 17], false));
    assert_eq!(
        told(&events),
        [(
            EventKind::New,
            "socket",
            "x86_64, AF_PACKET, SOCK_STREAM",
            ""
        )]
    );
}

#[test]
fn suppressed_events_are_counted_and_losses_are_reported_as_they_double() {
    let suppress = "kind=syscalls what=mk*".parse().unwrap();
    let mut shadow = Shadow::new(vec![seccomp(NARROW)], vec![suppress]);
    let mut seen = calls(&[("mkdir", "/bin/a")]);
    assert_eq!(take(&mut shadow, &seen), []);
    assert_eq!(shadow.summary().suppressed, 1);
    assert!(!shadow.summary().has_findings());
    let mut counts = Vec::new();
    for (own, others) in [(0, 0), (1, 0), (1, 3), (2, 3), (3, 3), (4, 3)] {
        let unattributed = Losses {
            events: others,
            ..Losses::default()
        };
        seen.coverage.losses.events = own + others;
        let events = shadow.take(&seen, &unattributed);
        counts.extend(
            events
                .into_iter()
                .map(|it| (it.workload.is_some(), it.count)),
        );
    }
    assert_eq!(
        counts,
        [
            (true, Some(1)),
            (false, Some(3)),
            (true, Some(2)),
            (true, Some(4))
        ]
    );
}

#[test]
fn workload_without_a_profile_is_reported_once() {
    let mut shadow = Shadow::new(
        vec![Expected {
            workload: Some("db".to_owned()),
            ..seccomp(NARROW)
        }],
        Vec::new(),
    );
    let seen = calls(&[("mkdir", "/bin/a")]);
    assert_eq!(told(&take(&mut shadow, &seen))[0].0, EventKind::NotJudged);
    assert!(take(&mut shadow, &seen).is_empty());
    assert!(shadow.summary().not_judged.contains("web"));
}

#[test]
fn one_observation_is_judged_by_itself() {
    let mut shadow = Shadow::new(vec![seccomp(NARROW)], Vec::new());
    let observation = NewObservation {
        what: ObservedThing::Call(ObservedCall {
            call: crate::recording::SyscallId {
                abi: Abi::I386,
                nr: Abi::I386.syscall_number("mkdir").unwrap(),
            },
            values: None,
            registers: None,
            is_cut: false,
            blocked: None,
        }),
        phase: Phase::Exec,
        executable: Executable::Unknown,
        process: None,
        container: None,
    };
    let events = shadow.take_one("web", "6.1.0", &observation);
    // The profile does not list the ABI.
    assert_eq!(events[0].action.as_deref(), Some("SCMP_ACT_KILL_THREAD"));
}

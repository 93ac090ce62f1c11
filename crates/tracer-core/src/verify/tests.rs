use super::*;
use crate::{
    profile::seccomp::{
        Options, SeccompProfile,
        evaluate::Libseccomp,
        fixture::{self, mixed, path},
    },
    recording::{Arguments, Blocked, Combination, Executable},
};
use syscalls::OciRuntime;

fn enforced(profile: &OciSeccomp) -> Vec<Enforced> {
    let on = |runtime| Enforced {
        profile: profile.clone(),
        host: Host {
            native: Abi::X86_64,
            runtime,
            libseccomp: Libseccomp::Newest,
        },
    };
    OciRuntime::ALL.map(on).to_vec()
}

fn ask(profile: &OciSeccomp, recording: &Recording, runtime_init: RuntimeSelection) -> Report {
    verify(&VerifyInput {
        profiles: enforced(profile),
        recordings: vec![("web".to_owned(), recording)],
        runtime_init,
        no_new_privileges: None,
        terminal: false,
    })
}

fn profile(json: &str) -> OciSeccomp {
    OciSeccomp::from_json(json).unwrap()
}

/// Lets `names` through, and what else `entries` say.
fn allowing(names: &str, entries: &str) -> OciSeccomp {
    profile(&format!(
        r#"{{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{{"names":[{names}],"action":"SCMP_ACT_ALLOW"}}{entries}]}}"#
    ))
}

fn web(seen: &[(u32, Phase)]) -> Recording {
    let seen: Vec<_> = seen
        .iter()
        .map(|(nr, phase)| (Abi::X86_64, *nr, *phase, path("/bin/web")))
        .collect();
    fixture::recording(&seen)
}

fn given(recording: &mut Recording, nr: u32, indices: &[u32], values: &[&[u64]]) {
    let call = recording.syscalls.iter_mut().find(|it| it.nr == nr);
    call.unwrap().arguments = Some(Arguments {
        indices: indices.to_vec(),
        seen: values
            .iter()
            .map(|values| Combination {
                phase: Phase::Run,
                values: values.to_vec(),
                executables: [path("/bin/web")].into(),
            })
            .collect(),
        cut: [].into(),
    });
}

fn found(report: &Report) -> Vec<(&str, Answer, Vec<&str>)> {
    report.recordings[0]
        .findings
        .iter()
        .map(|it| {
            let given = it.given.iter().map(String::as_str);
            (it.call.as_str(), it.answer, given.collect())
        })
        .collect()
}

const PRCTL: u32 = 157;
const SOCKET: u32 = 41;

#[test]
fn profile_allows_its_own_recording() {
    let recording = mixed();
    let options = Options::default();
    let made = SeccompProfile::from_recordings(std::slice::from_ref(&recording), &options);
    let report = ask(
        &OciSeccomp::from(&made.unwrap()),
        &recording,
        RuntimeSelection::All,
    );
    assert!(report.recordings[0].findings.is_empty(), "{report:?}");
    assert!(report.runtime_init.is_empty(), "{:?}", report.runtime_init);
    assert!(!report.denies() && !report.is_undecided());
    assert_eq!(report.starts.len(), 4);
    assert!(!report.recordings[0].complete);
}

#[test]
fn denial_shows_caller_and_outcome() {
    let recording = web(&[(0, Phase::Run), (101, Phase::Run), (83, Phase::Setup)]);
    let kills = r#",{"names":["ptrace"],"action":"SCMP_ACT_KILL_PROCESS"}"#;
    let report = ask(
        &allowing(r#""read""#, kills),
        &recording,
        RuntimeSelection::None,
    );
    assert_eq!(found(&report), [("ptrace", Answer::Denied, vec![])]);
    let ptrace = &report.recordings[0].findings[0];
    assert_eq!(ptrace.outcomes[0].sees, "process killed");
    assert_eq!(ptrace.outcomes[0].by, "syscalls[1]");
    assert_eq!(ptrace.evidence[0].executable, path("/bin/web"));
    assert_eq!(ptrace.runtimes.len(), 2);
    assert!(report.denies());
}

#[test]
fn differing_runtimes_are_reported_separately() {
    // Above the largest number that is named runc says ENOSYS.
    let recording = web(&[(0, Phase::Run), (435, Phase::Run)]);
    let report = ask(
        &allowing(r#""read","write""#, ""),
        &recording,
        RuntimeSelection::None,
    );
    let saw: Vec<_> = report.recordings[0]
        .findings
        .iter()
        .map(|it| {
            (
                it.outcomes[0].sees.as_str(),
                it.runtimes.iter().next().copied(),
            )
        })
        .collect();
    assert_eq!(saw, [("EPERM", Some("crun")), ("ENOSYS", Some("runc"))]);
}

#[test]
fn recorded_arguments_decide() {
    let option = r#",{"names":["prctl"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":36,"op":"SCMP_CMP_EQ"}]}"#;
    let mut recording = web(&[(PRCTL, Phase::Run)]);
    given(&mut recording, PRCTL, &[0], &[&[36], &[35]]);
    let report = ask(
        &allowing(r#""read""#, option),
        &recording,
        RuntimeSelection::None,
    );
    assert_eq!(
        found(&report),
        [("prctl", Answer::Denied, vec!["PR_SET_MM"])]
    );
    // That it is not 35 shows in the half that is recorded.
    assert_eq!(report.recordings[0].assumed, 1);
}

#[test]
fn unrecorded_arguments_are_undecided() {
    // The second argument of prctl is not recorded.
    let second = r#",{"names":["prctl"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":7,"op":"SCMP_CMP_EQ"}]}"#;
    let profile = allowing(r#""read""#, second);
    let mut recording = web(&[(PRCTL, Phase::Run)]);
    given(&mut recording, PRCTL, &[0], &[&[36]]);
    // The first time is known whole, but it was another option.
    recording.syscalls[0].evidence[0]
        .first
        .as_mut()
        .unwrap()
        .args[0] = 1;
    let report = ask(&profile, &recording, RuntimeSelection::None);
    assert_eq!(
        found(&report),
        [("prctl", Answer::Undecided, vec!["PR_SET_CHILD_SUBREAPER"])]
    );
    assert_eq!(report.recordings[0].findings[0].depends_on, [1].into());
    assert!(!report.denies() && report.is_undecided());
    // Had it been the same, that one was denied at least.
    recording.syscalls[0].evidence[0]
        .first
        .as_mut()
        .unwrap()
        .args[0] = 36;
    let report = ask(&profile, &recording, RuntimeSelection::None);
    let answers: Vec<_> = found(&report).iter().map(|it| it.1).collect();
    assert_eq!(answers, [Answer::Denied, Answer::Undecided]);
}

#[test]
fn unrecorded_flags_are_undecided() {
    // SOCK_CLOEXEC is not part of what is recorded of a type.
    let exactly = r#",{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":1,"op":"SCMP_CMP_EQ"}]}"#;
    let mut recording = web(&[(SOCKET, Phase::Run)]);
    given(
        &mut recording,
        SOCKET,
        &[0, 1, 2],
        &[&[2, 1, 0], &[2, 2, 0]],
    );
    let report = ask(
        &allowing(r#""read""#, exactly),
        &recording,
        RuntimeSelection::None,
    );
    let answers: Vec<_> = found(&report).iter().map(|it| it.1).collect();
    assert_eq!(answers, [Answer::Denied, Answer::Undecided]);
}

#[test]
fn notify_action_is_undecided() {
    let notify = r#",{"names":["ptrace"],"action":"SCMP_ACT_NOTIFY"}"#;
    let recording = web(&[(101, Phase::Run)]);
    let report = ask(
        &allowing(r#""read""#, notify),
        &recording,
        RuntimeSelection::None,
    );
    assert_eq!(found(&report), [("ptrace", Answer::Undecided, vec![])]);
}

#[test]
fn runtimes_need_their_own_calls() {
    let recording = web(&[(0, Phase::Run)]);
    let only = |text: &str| text.parse().unwrap();
    let profile = allowing(r#""read""#, "");
    let report = ask(&profile, &recording, only("crun@1.8"));
    let start = |runtime, setting| {
        let mut starts = report.starts.iter();
        starts
            .find(|it| (it.runtime, it.no_new_privileges) == (runtime, setting))
            .unwrap()
    };
    assert!(start("crun", true).denied_before.contains("execve"));
    assert!(!start("crun", true).denied_before.contains("setresuid"));
    assert!(start("crun", false).denied_before.contains("setresuid"));
    assert!(start("runc", true).denied_before.is_empty());
    assert!(report.denies());
}

#[test]
fn blocked_calls_are_listed_separately() {
    let mut recording = web(&[(0, Phase::Run), (101, Phase::Run)]);
    recording.syscalls[1].evidence[0].blocked = Some(Blocked::Errno(1));
    let report = ask(
        &allowing(r#""read""#, ""),
        &recording,
        RuntimeSelection::None,
    );
    assert!(found(&report).is_empty());
    let stopped = &report.recordings[0].stopped[0];
    assert_eq!(stopped.call, "ptrace");
    assert_eq!(stopped.answers, [Answer::Denied].into());
    assert!(!report.denies());
}

#[test]
fn terminal_sessions_count_on_request() {
    let recording = web(&[(101, Phase::Terminal)]);
    let profile = allowing(r#""read""#, "");
    assert!(found(&ask(&profile, &recording, RuntimeSelection::None)).is_empty());
    let report = verify(&VerifyInput {
        profiles: enforced(&profile),
        recordings: vec![("web".to_owned(), &recording)],
        runtime_init: RuntimeSelection::None,
        no_new_privileges: Some(true),
        terminal: true,
    });
    assert_eq!(found(&report).len(), 1);
    assert_eq!(report.starts.len(), 2);
}

#[test]
fn unlisted_abi_kills_the_thread() {
    let seen = (Abi::I386, 3, Phase::Run, Executable::Unknown);
    let recording = fixture::recording(&[seen]);
    let report = ask(
        &allowing(r#""read""#, ""),
        &recording,
        RuntimeSelection::None,
    );
    let read = &report.recordings[0].findings[0];
    assert_eq!(read.outcomes[0].sees, "thread killed");
    assert!(read.outcomes[0].by.starts_with("architectures"));
}

#[test]
fn profile_refused_by_a_runtime_starts_nothing() {
    let bad =
        profile(r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["X86_64"],"syscalls":[]}"#);
    let report = ask(&bad, &web(&[(0, Phase::Run)]), RuntimeSelection::None);
    let refused = report.starts.iter().filter(|it| it.refused.is_some());
    assert_eq!(refused.count(), 2, "runc with both settings");
    assert!(report.denies());
}

const CLONE3: u32 = 435;
const THREAD: u64 = 0x3d_0f00;

/// Calls that are answered rather than denied, and why.
fn answered(report: &Report) -> Vec<(String, String)> {
    let answered = report.recordings[0].answered.iter();
    answered
        .map(|it| (it.call.clone(), it.why.to_string()))
        .collect()
}

#[test]
fn own_profile_of_a_program_with_threads_denies_nothing() {
    let mut recording = web(&[(0, Phase::Run), (CLONE3, Phase::Run)]);
    given(&mut recording, CLONE3, &[0], &[&[THREAD]]);
    let all = std::slice::from_ref(&recording);
    let made = SeccompProfile::from_recordings(all, &Options::default()).unwrap();
    assert!(made.rule("clone3").is_none());
    let profile = OciSeccomp::from(&made);
    let report = ask(&profile, &recording, RuntimeSelection::All);
    assert!(!report.denies() && !report.is_undecided(), "{report:?}");
    let expected = ("clone3".to_owned(), "callers fall back to clone".to_owned());
    assert_eq!(answered(&report), [expected]);
    // Under the same profile a namespace could not be made by clone.
    given(&mut recording, CLONE3, &[0], &[&[THREAD], &[0x1000_0000]]);
    let report = ask(&profile, &recording, RuntimeSelection::None);
    assert_eq!(answered(&report).len(), 1);
    let denied = found(&report);
    assert_eq!(denied.len(), 1);
    assert_eq!((denied[0].0, denied[0].1), ("clone3", Answer::Denied));
    assert!(report.denies());
}

#[test]
fn clone3_is_denied_where_clone_cannot_do_it() {
    let enosys = r#",{"names":["clone3","openat2"],"action":"SCMP_ACT_ERRNO","errnoRet":38}"#;
    let profile = allowing(r#""read","clone""#, enosys);
    let mut recording = web(&[(CLONE3, Phase::Run), (437, Phase::Run)]);
    // CLONE_INTO_CGROUP.
    given(&mut recording, CLONE3, &[0], &[&[0x2_0000_0000]]);
    let report = ask(&profile, &recording, RuntimeSelection::None);
    let denied: Vec<_> = found(&report).iter().map(|it| it.0).collect();
    // openat is not allowed either.
    assert_eq!(denied, ["clone3", "openat2"]);
    // With which flags it was called is not known.
    recording.syscalls[0].arguments = None;
    let report = ask(&profile, &recording, RuntimeSelection::None);
    assert!(answered(&report).is_empty() && report.denies());
}

#[test]
fn call_that_the_kernel_lacks_is_not_denied() {
    const FCHMODAT2: u32 = 452;
    let profile = profile(
        r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64"],"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}"#,
    );
    let mut recording = web(&[(0, Phase::Run), (FCHMODAT2, Phase::Run), (999, Phase::Run)]);
    let calls = |recording: &Recording| {
        let report = ask(&profile, recording, RuntimeSelection::None);
        let calls: Vec<_> = answered(&report).into_iter().map(|it| it.0).collect();
        (calls, report.denies())
    };
    recording.host.kernel = "6.1.0-18-amd64".to_owned();
    let both = vec!["fchmodat2".to_owned(), "number 999".to_owned()];
    assert_eq!(calls(&recording), (both, false));
    recording.host.kernel = "6.6.3".to_owned();
    assert_eq!(calls(&recording), (vec!["number 999".to_owned()], true));
    // A kernel that may have more calls than are known here, or than its version has.
    for release in ["99.1.0", "4.18.0-553.el8.x86_64", "unknown"] {
        recording.host.kernel = release.to_owned();
        assert_eq!(calls(&recording), (vec![], true), "{release}");
    }
}

/// Recordings of real servers; redis and python-web start threads by clone3.
#[test]
fn profiles_of_the_examples_deny_their_own_recordings_nothing() {
    let mut threads = 0;
    for name in ["nginx", "postgresql", "python-web", "redis"] {
        let example = format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let recording = std::fs::read(format!("{example}/recording.json")).unwrap();
        let recording = crate::recording::json::parse(&recording).unwrap();
        let seccomp = std::fs::read_to_string(format!("{example}/seccomp.json")).unwrap();
        let report = ask(&profile(&seccomp), &recording, RuntimeSelection::All);
        assert!(!report.denies(), "{name}: {:?}", found(&report));
        threads += answered(&report).len();
    }
    assert_eq!(threads, 2);
}

fn intersected(own: &OciSeccomp, baseline: &OciSeccomp, recording: &Recording) -> Intersection {
    let filters = enforced(own).into_iter().zip(enforced(baseline));
    let filters = filters.map(|(own, baseline)| {
        let filter = |it: &Enforced| Filter::new(&it.profile, it.host).unwrap();
        (filter(&own), filter(&baseline))
    });
    let input = VerifyInput {
        profiles: enforced(baseline),
        recordings: vec![("web".to_owned(), recording)],
        runtime_init: RuntimeSelection::None,
        no_new_privileges: None,
        terminal: false,
    };
    intersection("baseline".to_owned(), &input, filters)
}

#[test]
fn a_baseline_takes_what_it_does_not_allow() {
    // read, ptrace.
    let recording = web(&[(0, Phase::Run), (101, Phase::Run)]);
    let own = allowing(r#""read", "ptrace", "mount", "exit_group""#, "");
    let with_ptrace = intersected(
        &own,
        &allowing(r#""read", "ptrace", "exit_group""#, ""),
        &recording,
    );
    assert!(!with_ptrace.denies(), "{with_ptrace:?}");
    let names =
        |it: &Intersection| -> Vec<_> { it.restricted.iter().map(|it| it.call.clone()).collect() };
    assert_eq!(names(&with_ptrace), ["mount"]);
    let without = intersected(&own, &allowing(r#""read", "exit_group""#, ""), &recording);
    assert!(without.denies());
    assert_eq!(found(&without.report), [("ptrace", Answer::Denied, vec![])]);
    assert_eq!(names(&without), ["mount", "ptrace"]);
    // A profile under itself loses nothing; what only the baseline allows is not the profile's.
    let same = intersected(&own, &own, &recording);
    assert!(!same.denies() && same.restricted.is_empty());
    let wide = intersected(
        &own,
        &allowing(r#""read", "ptrace", "mount", "exit_group", "bpf""#, ""),
        &recording,
    );
    assert!(!wide.denies() && wide.restricted.is_empty(), "{wide:?}");
}

#[test]
fn a_baseline_of_some_arguments_restricts_in_part() {
    let mut recording = web(&[(SOCKET, Phase::Run)]);
    given(&mut recording, SOCKET, &[0, 1, 2], &[&[40, 1, 0]]);
    let own = allowing(r#""socket""#, "");
    // As Docker's: every family but AF_VSOCK (40).
    let rule = r#",{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":40,"op":"SCMP_CMP_NE"}]}"#;
    let baseline = allowing(r#""read""#, rule);
    let result = intersected(&own, &baseline, &recording);
    assert!(result.denies(), "AF_VSOCK was recorded");
    let socket = result
        .restricted
        .iter()
        .find(|it| it.call == "socket")
        .unwrap();
    assert!(socket.in_part);
    given(&mut recording, SOCKET, &[0, 1, 2], &[&[2, 1, 0]]);
    assert!(
        !intersected(&own, &baseline, &recording).denies(),
        "AF_INET is allowed by both"
    );
}

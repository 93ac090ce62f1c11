//! What `tracer verify` says would be denied is denied, and nothing else is; and what it sees denied is
//! what the program saw.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tracer_tests::{
    Outcome, needs,
    oci::{Container, Runtime},
    process::{self, Finished, Running},
    programs::{self, Build},
    requires::{Need, program},
    scratch::Scratch,
    seccomp,
    tracer::{self, Record},
};

use crate::{
    blocked::{self, MKDIR_I386, STOPPED},
    output::tracer,
};

/// Runs `tracer verify` with a profile and more.
fn verify(profile: &Path, more: &[&str]) -> Result<Finished> {
    process::run(tracer::command()?.arg("verify").arg(profile).args(more))
}

fn write(scratch: &Scratch, name: &str, profile: &Value) -> Result<std::path::PathBuf> {
    scratch.file(name, serde_json::to_vec_pretty(profile)?)
}

/// Runs a command under a profile; what was denied, as JSON.
fn denied(scratch: &Scratch, profile: &Path, command: &[&str]) -> Result<(Finished, Vec<Value>)> {
    let report = scratch.join("report.json");
    let place = report.to_string_lossy();
    let mut args = vec!["--quiet", "--format", "json", "--report", &place, "--"];
    args.extend(command);
    let finished = verify(profile, &args)?;
    let report: Value =
        serde_json::from_slice(&fs::read(&report).with_context(|| format!("{finished:?}"))?)?;
    let denied = report["denied"].as_array().context("no list of denials")?;
    Ok((finished, denied.clone()))
}

fn names(of: &[Value]) -> BTreeSet<String> {
    let names = of.iter().filter_map(|it| it["call"].as_str());
    names.map(str::to_owned).collect()
}

/// What a recording would be denied, offline.
fn would_be_denied(profile: &Path, recording: &Path) -> Result<(i32, Vec<Value>)> {
    let recording = recording.to_string_lossy();
    let args = [
        "--runtime",
        "none",
        "--format",
        "json",
        "--recording",
        &*recording,
    ];
    let finished = verify(profile, &args)?;
    let report: Value = serde_json::from_slice(&finished.stdout)?;
    let findings = report["recordings"][0]["findings"].as_array();
    Ok((finished.code(), findings.context("no findings")?.clone()))
}

#[test]
fn live_verification_reports_every_way_of_blocking() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let profile = write(&scratch, "filter.json", &blocked::filter())?;
    let program = programs::compiled("blocked", Build::Static)?;
    let program = program.to_string_lossy();
    let (finished, denied) = denied(&scratch, &profile, &[&*program, "1"])?;
    ensure!(finished.text() == "done\n", "{finished:?}");
    ensure!(finished.code() == 3, "{finished:?}");
    let told: BTreeSet<_> = denied
        .iter()
        .map(|it| {
            (
                it["abi"].to_string(),
                it["nr"].as_u64(),
                it["saw"].to_string(),
            )
        })
        .collect();
    let saw = |errno: Option<u32>| match errno {
        None => json!("signal"),
        Some(200..) => json!("other_errno"),
        Some(errno) => json!({ "errno": errno }),
    };
    let mut expected: BTreeSet<_> = STOPPED
        .iter()
        .map(|(_, nr, _, errno, _)| {
            let abi = json!("x86_64").to_string();
            (abi, Some(u64::from(*nr)), saw(*errno).to_string())
        })
        .collect();
    let of_i386 = (
        json!("i386").to_string(),
        Some(MKDIR_I386.into()),
        saw(Some(1)).to_string(),
    );
    expected.insert(of_i386);
    ensure!(told == expected, "told {told:?}, not {expected:?}");
    // And on standard error, at once.
    for (name, ..) in STOPPED {
        let line = format!("tracer: denied: {name} (x86_64): ");
        ensure!(
            finished.stderr.contains(&line),
            "no {line}: {}",
            finished.stderr
        );
    }
    Ok(())
}

#[test]
fn counts_every_denial() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::PYTHON);
    let scratch = Scratch::new()?;
    let deny = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            { "names": ["vhangup"], "action": "SCMP_ACT_ERRNO" },
            { "names": ["swapoff"], "action": "SCMP_ACT_KILL_PROCESS" },
        ],
    });
    let profile = write(&scratch, "deny.json", &deny)?;
    let script = "import ctypes, os\n\
        call = ctypes.CDLL(None).syscall\n\
        for i in range(3000): call(153, i, 7)\n\
        for i in range(3):\n    if os.fork() == 0: call(168, 0)\n    os.wait()\n\
        os._exit(9)";
    let (finished, denied) = denied(&scratch, &profile, &["python3", "-c", script])?;
    ensure!(finished.code() == 3, "{finished:?}");
    let times = |name: &str| {
        let found = denied.iter().find(|it| it["call"] == name);
        found.and_then(|it| it["times"].as_u64())
    };
    ensure!(times("vhangup") == Some(3000), "{denied:?}");
    ensure!(times("swapoff") == Some(3), "{denied:?}");
    let first = denied.iter().find(|it| it["call"] == "vhangup");
    let first = first.context("no vhangup")?;
    ensure!(
        first["first"]["args"][1] == 7 && first["by"] == "syscalls[0]",
        "{first}"
    );
    Ok(())
}

/// A recorded profile denies nothing, and the status is the command's own; without one call that one is
/// denied, which is what is said of it without running anything.
#[test]
fn removing_one_call_denies_exactly_that_call() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::BASH);
    let scratch = Scratch::new()?;
    let command = ["bash", "-c", "true | cat; exit 7"];
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .of(command)
        .run()?;
    ensure!(finished.code() == 7, "{finished:?}");
    let (finished, none) = denied(&scratch, &recorded.profile(), &command)?;
    ensure!(
        finished.code() == 7 && none.is_empty(),
        "{finished:?} {none:?}"
    );

    let lacking = seccomp::without(&seccomp::read(&recorded.profile())?, "pipe2")?;
    let lacking = write(&scratch, "lacking.json", &lacking)?;
    let (finished, denied) = denied(&scratch, &lacking, &command)?;
    ensure!(finished.code() == 3, "{finished:?}");
    ensure!(names(&denied).iter().eq(["pipe2"]), "{denied:?}");
    ensure!(
        denied[0]["saw"] == json!({ "errno": seccomp::DENIED.0 }),
        "{denied:?}"
    );
    ensure!(finished.stderr.contains(seccomp::DENIED.1), "{finished:?}");

    let (code, would) = would_be_denied(&lacking, &recorded.directory)?;
    ensure!(code == 3 && names(&would).iter().eq(["pipe2"]), "{would:?}");
    let (code, would) = would_be_denied(&recorded.profile(), &recorded.directory)?;
    ensure!(code == 0 && would.is_empty(), "{would:?}");
    Ok(())
}

/// The filter is loaded after the change of user, and no capability is left to the command.
#[test]
fn command_runs_as_the_user_under_the_filter() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::BASH);
    let scratch = Scratch::new()?;
    let deny = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["umask"], "action": "SCMP_ACT_ERRNO" }],
    });
    let profile = write(&scratch, "deny.json", &deny)?;
    let script = "echo $UID; umask; while read line; do echo $line; done < /proc/self/status";
    let mut command = tracer::command()?;
    command.arg("verify").arg(&profile).args([
        "--user",
        "65534:65534",
        "--",
        "/bin/bash",
        "-c",
        script,
    ]);
    let finished = process::run(&mut command)?;
    let text = finished.text();
    ensure!(finished.code() == 3, "{finished:?}");
    ensure!(finished.stderr.contains("denied: umask"), "{finished:?}");
    ensure!(text.starts_with("65534\n"), "{text}");
    for line in [
        "CapEff: 0000000000000000",
        "CapPrm: 0000000000000000",
        "NoNewPrivs: 0",
    ] {
        ensure!(text.contains(line), "{line}: {text}");
    }
    Ok(())
}

/// libc starts a thread by clone3, which tracer's profile answers with ENOSYS, and then by clone.
#[test]
fn own_profile_of_a_program_with_threads_denies_nothing() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::PYTHON);
    let scratch = Scratch::new()?;
    let command = [
        "python3",
        "-c",
        "import threading; it = threading.Thread(target=print); it.start(); it.join()",
    ];
    let (finished, recorded) = Record::new(&scratch.join("out"), "thread")?
        .of(command)
        .run()?;
    finished.success()?;
    let offline = verify(
        &recorded.profile(),
        &["--recording", &recorded.directory.to_string_lossy()],
    )?
    .success()?;
    let (live, none) = denied(&scratch, &recorded.profile(), &command)?;
    live.success()?;
    ensure!(none.is_empty(), "{none:?}");
    // A libc before 2.34 starts threads by clone at once.
    if recorded.recording()?.syscalls.iter().any(|it| it.nr == 435) {
        ensure!(
            offline.text().contains("callers fall back to clone"),
            "{offline:?}"
        );
        let report: Value = serde_json::from_slice(&fs::read(scratch.join("report.json"))?)?;
        ensure!(report["answered"][0]["call"] == "clone3", "{report}");
        ensure!(report["answered"][0]["to"] == json!(["clone"]), "{report}");
    }
    Ok(())
}

/// The program's own filter answers mkdir with EACCES, and leaves sethostname to a supervisor.
#[test]
fn errors_of_a_programs_own_filter_are_no_denials() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let supervised = programs::compiled("supervised", Build::Static)?;
    let supervised = supervised.to_string_lossy().into_owned();
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .of([&*supervised])
        .run()?;
    finished.success()?;
    let mkdir = |action: &str, errno: u32| {
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{ "names": ["mkdir"], "action": action, "errnoRet": errno }],
        })
    };
    let report = |profile: &Path| -> Result<(i32, [BTreeSet<String>; 3])> {
        let place = scratch.join("report.json");
        let to = place.to_string_lossy();
        let args = [
            "--quiet",
            "--format",
            "json",
            "--report",
            &to,
            "--",
            &supervised,
        ];
        let finished = verify(profile, &args)?;
        let report: Value = serde_json::from_slice(&fs::read(&place)?)?;
        let of = |list: &str| names(report[list].as_array().map_or(&[], Vec::as_slice));
        let lists = ["denied", "other_filters", "undecided"].map(of);
        Ok((finished.code(), lists))
    };
    let (none, mkdir_only) = (BTreeSet::new(), BTreeSet::from(["mkdir".to_owned()]));
    // The profile of the recording does not allow mkdir, and would return another error.
    let (code, [denied, others, undecided]) = report(&recorded.profile())?;
    ensure!(
        code == 0 && denied.is_empty() && others == mkdir_only && undecided.is_empty(),
        "{code} {denied:?} {others:?} {undecided:?}"
    );
    // The same error from both: without the own filter the profile denies it.
    let same = write(&scratch, "same.json", &mkdir("SCMP_ACT_ERRNO", 13))?;
    let (code, lists) = report(&same)?;
    ensure!(
        code == 3 && lists == [mkdir_only.clone(), none.clone(), none.clone()],
        "{code} {lists:?}"
    );
    // A thread without a filter of its own.
    let early = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["socketpair"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13 }],
    });
    let early = write(&scratch, "early.json", &early)?;
    let (code, lists) = report(&early)?;
    let socketpair = BTreeSet::from(["socketpair".to_owned()]);
    ensure!(
        code == 3 && lists == [socketpair, none.clone(), none],
        "{code} {lists:?}"
    );
    Ok(())
}

/// Under the filter bash gives up at the first call that it needs; without it one run shows all.
#[test]
fn log_only_update_loop_converges() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::BASH);
    let scratch = Scratch::new()?;
    let out = scratch.join("out");
    let (finished, recorded) = Record::new(&out, "work")?.of(["true"]).run()?;
    finished.success()?;
    let profile = recorded.profile();
    let made = scratch.join("made").display().to_string();
    let script = format!("mkdir {made} && rmdir {made} | cat");
    let command = ["--", "bash", "-c", &script];
    let directory = recorded.directory.to_string_lossy().into_owned();

    let update = ["--quiet", "--log-only", "--update", &directory];
    let finished = verify(&profile, &[&update[..], &command[..]].concat())?;
    ensure!(finished.code() == 3, "{finished:?}");
    for call in ["mkdir", "rmdir", "pipe2", "wait4"] {
        ensure!(
            finished.stderr.contains(&format!("denied: {call} ")),
            "{finished:?}"
        );
    }
    ensure!(recorded.recording()?.workload.name == "work");
    let out = out.to_string_lossy();
    tracer(&["generate", "--output", &out, &directory])?.success()?;
    let finished = verify(&profile, &[&["--quiet"][..], &command[..]].concat())?;
    ensure!(
        finished.code() == 0 && finished.stderr.is_empty(),
        "{finished:?}"
    );
    Ok(())
}

/// What was stopped is merged as stopped.
#[test]
fn update_merges_blocked_calls_as_blocked() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86);
    let scratch = Scratch::new()?;
    let out = scratch.join("out");
    let (finished, recorded) = Record::new(&out, "work")?.of(["true"]).run()?;
    finished.success()?;
    let deny = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_ERRNO" }],
    });
    let deny = write(&scratch, "deny.json", &deny)?;
    let directory = recorded.directory.to_string_lossy().into_owned();
    let made = scratch.join("made").display().to_string();
    let finished = verify(&deny, &["--update", &directory, "--", "mkdir", &made])?;
    ensure!(finished.code() == 3, "{finished:?}");
    let recording = recorded.recording()?;
    let stopped: Vec<_> = recording
        .blocked()
        .into_iter()
        .map(|(call, _)| call.nr)
        .collect();
    ensure!(stopped == [83], "{stopped:?}");
    // Loading the filter was tracer's own call.
    let seccomp = tracer_tests::recording::SyscallId::x86_64(317);
    ensure!(!recording.calls().contains(&seccomp), "seccomp is recorded");
    Ok(())
}

/// A profile that denies what only one runtime calls, and only without `no_new_privs`.
fn starts_where_it_is_said_to(test: &str, denied: &str) -> Outcome {
    let needs = [
        Need::Root,
        Need::Cgroup2,
        program::RUNC,
        program::CRUN,
        program::UNSHARE,
        program::BUSYBOX,
    ];
    if !tracer_tests::requires::met(test, &needs)? {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": [denied], "action": "SCMP_ACT_KILL_PROCESS" }],
    });
    let path = write(&scratch, "profile.json", &profile)?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .of(["busybox", "true"])
        .run()?;
    finished.success()?;
    let recording = recorded.directory.to_string_lossy();
    let said = verify(&path, &["--format", "json", "--recording", &recording])?;
    ensure!(said.code() == 3, "{said:?}");
    let said: Value = serde_json::from_slice(&said.stdout)?;
    for start in said["starts"].as_array().context("no starts")? {
        let runtime = if start["runtime"] == "runc" {
            Runtime::Runc
        } else {
            Runtime::Crun
        };
        let setting = start["no_new_privileges"].as_bool().context("no setting")?;
        let fine = start["denied_before"].as_array().is_some_and(Vec::is_empty);
        let dir = scratch.dir(&format!("{}-{setting}", runtime.name()))?;
        let argv = ["busybox", "true"].map(Into::into);
        let container = Container::new(runtime, &argv, &dir, &profile, setting)?;
        let line = container.command_line()?;
        let (program, args) = line.split_first().context("an empty command line")?;
        let mut command = Command::new(program);
        let ran = Running::spawn(tracer::plain_environment(&mut command).args(args))?.wait()?;
        ensure!(
            (ran.code() == 0) == fine,
            "{start}, but it ended with {}: {}",
            ran.code(),
            ran.stderr
        );
    }
    Ok(())
}

#[test]
fn predicts_crun_start_failure_without_setresuid() -> Outcome {
    starts_where_it_is_said_to(tracer_tests::test_name!(), "setresuid")
}

#[test]
fn predicts_runc_start_failure_without_setuid() -> Outcome {
    starts_where_it_is_said_to(tracer_tests::test_name!(), "setuid")
}

#[test]
fn rejects_impossible_requests_before_running_anything() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let marker = scratch.join("ran").display().to_string();
    let deny = |action: &str| json!({ "defaultAction": action });
    let none = write(&scratch, "none.json", &deny("SCMP_ACT_ERRNO"))?;
    let all = write(&scratch, "all.json", &deny("SCMP_ACT_ALLOW"))?;
    let bad = scratch.file("bad.json", "{\"defaultAction\":\n \"SCMP_ACT_ALOW\"}")?;
    let bytes = scratch.file("bytes.json", [0xff, 0xfe])?;
    let deep = scratch.file("deep.json", "[".repeat(200_000))?;
    let command = ["--", "touch", &marker];
    let cases: [(&Path, &[&str], i32, &str); 10] = [
        (&none, &[], 125, "execve"),
        (&bad, &[], 125, "bad.json:2:2: unknown variant"),
        (&bytes, &[], 125, "bytes.json:1:1: this is not UTF-8 text"),
        (&deep, &[], 125, "deep.json:1:"),
        (Path::new("nowhere.json"), &[], 125, "cannot read"),
        (&all, &["--format", "json"], 2, "--output"),
        (&all, &["--update", "nowhere"], 125, "nowhere"),
        (&all, &["--arch", "aarch64"], 2, "--arch"),
        (&all, &["--recording", "x"], 2, "cannot be used with"),
        (
            &all,
            &["--no-new-privileges", "true"],
            2,
            "cannot be used with",
        ),
    ];
    for (profile, options, code, says) in cases {
        let finished = verify(profile, &[options, &command[..]].concat())?;
        ensure!(
            finished.code() == code && finished.stderr.contains(says),
            "{options:?} {}: {finished:?}",
            profile.display()
        );
        ensure!(!finished.stderr.contains("panicked"), "{finished:?}");
        ensure!(!Path::new(&marker).exists(), "{options:?}: it was run");
    }
    let neither = verify(&all, &[])?;
    ensure!(neither.code() == 2, "{neither:?}");
    Ok(())
}

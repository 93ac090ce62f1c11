//! What `tracer watch` reports of a profile that is not in force is what the profile, enforced, denies; and what the
//! kernel's audit records say is reported once, under the container that it is of.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tracer_tests::{
    Outcome,
    kernel_log::KernelLog,
    needs,
    oci::{Container, Runtime},
    process::{self, Running},
    requires::{Need, program},
    scratch::Scratch,
    seccomp,
    tracer::{self, Record},
    wait,
};

/// The lines of JSON in a file.
pub(crate) fn lines(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file).unwrap_or_default();
    // The last one may not be whole yet.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

/// Things of events of one kind.
pub(crate) fn things<'a>(events: &'a [Value], kind: &str) -> Vec<&'a str> {
    let of_kind = events.iter().filter(|it| it["event"] == kind);
    of_kind.filter_map(|it| it["what"].as_str()).collect()
}

/// Waits for an event about a thing.
pub(crate) fn until_told(file: &Path, kind: &str, what: &str) -> Result<Value> {
    wait::until(&format!("{kind} {what}"), || {
        let events = lines(file)?;
        let found = events
            .into_iter()
            .find(|it| it["event"] == kind && it["what"] == what);
        Ok(found)
    })
}

/// `tracer watch` that writes JSON lines to a file.
pub(crate) fn watch(file: &Path, more: &[&str]) -> Result<Command> {
    let mut command = tracer::command()?;
    command
        .args(["watch", "--format", "json", "--output"])
        .arg(file)
        .args(more);
    Ok(command)
}

/// Runs a command line.
pub(crate) fn start(line: &[PathBuf]) -> Result<Running> {
    let (program, args) = line.split_first().context("an empty command line")?;
    let mut command = Command::new(program);
    Running::spawn(tracer::plain_environment(&mut command).args(args))
}

/// A profile without some names.
fn without(profile: &Value, names: &BTreeSet<&str>) -> Result<Value> {
    let mut profile = profile.clone();
    let entries = profile["syscalls"].as_array_mut().context("no entries")?;
    for entry in entries
        .iter_mut()
        .filter(|it| it["action"] == "SCMP_ACT_ALLOW")
    {
        let kept = entry["names"].as_array_mut().context("no names")?;
        kept.retain(|name| !name.as_str().is_some_and(|name| names.contains(name)));
    }
    entries.retain(|it| {
        it["names"]
            .as_array()
            .is_some_and(|names| !names.is_empty())
    });
    Ok(profile)
}

/// Real programs, each with work that ends.
const PROGRAMS: [(&str, &str); 10] = [
    ("ls", "ls -l /etc"),
    ("grep", "grep -r root /etc/passwd"),
    ("sort", "sort /etc/passwd"),
    ("tar", "tar cf - /etc/passwd 2>/dev/null | wc -c"),
    ("gzip", "gzip -c /etc/passwd | gzip -d"),
    ("sed", "sed s/root/x/ /etc/passwd"),
    ("awk", "awk -F: '{ print $1 }' /etc/passwd"),
    ("perl", "perl -e 'mkdir \"a\"; rmdir \"a\"; print getppid'"),
    (
        "python",
        "python3 -c 'import os, socket; socket.socket().close(); os.mkdir(\"b\"); os.rmdir(\"b\")'",
    ),
    (
        "dd",
        "dd if=/dev/zero of=c bs=1k count=4 2>/dev/null; chmod 600 c; mv c d; rm d",
    ),
];

/// Some of a list, other ones for another seed, and the same for the same.
fn some_of<'a>(list: &[&'a str], count: usize, seed: usize) -> Vec<&'a str> {
    // Knuth's multiplicative generator.
    let mut state = seed as u64 + 1;
    let mut left = list.to_vec();
    let mut chosen = Vec::new();
    while chosen.len() < count && !left.is_empty() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let at = (state >> 33) as usize % left.len();
        chosen.push(left.swap_remove(at));
    }
    chosen
}

/// Calls are removed at random from the profiles of real programs. Watch reports those of them that the program
/// makes; enforced one by one, just these are denied.
#[test]
fn reports_what_the_enforced_profile_denies() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::PYTHON);
    for (seed, (name, script)) in PROGRAMS.into_iter().enumerate() {
        agrees(name, script, seed).with_context(|| format!("{name}: {script}"))?;
    }
    Ok(())
}

fn agrees(name: &str, script: &str, seed: usize) -> Result<()> {
    let scratch = Scratch::new()?;
    let work = scratch.dir("work")?;
    let command = ["sh", "-c", script];
    let (finished, recorded) = Record::new(&scratch.join("out"), name)?
        .with(|it| {
            it.current_dir(&work);
        })
        .of(command)
        .run()?;
    finished.success()?;
    let profile = seccomp::read(&recorded.profile())?;
    let recording: Value =
        serde_json::from_slice(&fs::read(recorded.directory.join("recording.json"))?)?;
    let syscalls = recording["syscalls"].as_array().context("no calls")?;
    let used: Vec<_> = syscalls
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    // Without these nothing starts or ends, and verify refuses them.
    let spared = |name: &&&str| !["execve", "exit_group"].contains(*name);
    let used: Vec<_> = used.iter().filter(spared).copied().collect();
    let unused = ["mount", "ptrace", "kexec_load", "swapon", "acct"];
    let mut removed = some_of(&used, 2, seed);
    removed.extend(some_of(&unused, 1, seed));
    let removed: BTreeSet<_> = removed.into_iter().collect();

    let narrow = scratch.file("narrow.json", without(&profile, &removed)?.to_string())?;
    let events = scratch.join("events");
    let mut watching = watch(&events, &["--quiet", "--runtime", "runc"])?;
    watching
        .arg(&narrow)
        .arg("--")
        .args(command)
        .current_dir(&work);
    let watched = process::run(&mut watching)?;
    let events = lines(&events)?;
    let reported: BTreeSet<_> = things(&events, "would_be_denied").into_iter().collect();
    let undecided = things(&events, "may_be_denied");
    ensure!(undecided.is_empty(), "undecided: {undecided:?}");
    let expected = if reported.is_empty() { 0 } else { 3 };
    ensure!(watched.code() == expected, "{watched:?}");
    // Nobody makes the one that is not used.
    for one in removed.iter().filter(|one| used.contains(one)) {
        let alone = without(&profile, &[*one].into())?;
        let alone = scratch.file("alone.json", alone.to_string())?;
        let report = scratch.join("report.json");
        let mut verify = tracer::command()?;
        verify
            .args(["verify", "--quiet", "--runtime", "runc", "--format", "json"])
            .arg("--output")
            .arg(&report)
            .arg(&alone)
            .arg("--")
            .args(command)
            .current_dir(&work);
        process::run(&mut verify)?;
        let report: Value = serde_json::from_slice(&fs::read(&report)?)?;
        let denied = report["denied"].as_array().context("no denials")?;
        let is_denied = denied.iter().any(|it| it["call"] == **one);
        ensure!(
            is_denied == reported.contains(one),
            "{one}: denied {is_denied}, reported {reported:?} of {removed:?}"
        );
    }
    let made = reported.iter().all(|one| used.contains(one));
    ensure!(
        made && reported.is_subset(&removed),
        "{reported:?} of {removed:?}"
    );
    Ok(())
}

/// A container that waits for what the test says, and the profile of a shell that does nothing.
pub(crate) fn shell_profile(scratch: &Scratch, options: &[&str]) -> Result<(PathBuf, Value)> {
    let (finished, recorded) = Record::new(&scratch.join("out"), "shell")?
        .of(["busybox", "sh", "-c", "busybox sleep 0.1"])
        .run()?;
    finished.success()?;
    let made = scratch.dir("made")?;
    let mut generate = tracer::command()?;
    generate
        .args(["generate", "--format", "seccomp,review", "--output-dir"])
        .arg(&made)
        .args(options)
        .arg(&recorded.directory);
    process::run(&mut generate)?.success()?;
    let profile = made.join("shell/seccomp.json");
    Ok((recorded.directory, seccomp::read(&profile)?))
}

#[test]
fn container_is_watched_within_a_second_and_nothing_is_logged() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::BUSYBOX,
        program::RUNC,
        program::UNSHARE
    );
    let scratch = Scratch::new()?;
    let (_, profile) = shell_profile(&scratch, &[])?;
    let profile = scratch.file("seccomp.json", profile.to_string())?;
    let work = scratch.dir("work")?;
    // A program of its own, by which its audit records would be known.
    let shell = work.join("busybox-watched");
    fs::copy("/bin/busybox", &shell)?;
    let script = "busybox sleep 0.5; busybox mkdir made; busybox rmdir made; busybox mkdir made; busybox sleep 1000";
    let argv = [shell.clone(), "sh".into(), "-c".into(), script.into()];
    let container = Container::new(Runtime::Runc, &argv, &work, &Value::Null, true)?.in_public();
    let events = scratch.join("events");
    let mut log = KernelLog::from_now()?;
    let mut watching = watch(
        &events,
        &["--wait", "--runtime", "runc", "--container", container.id()],
    )?;
    watching.arg(&profile);
    let mut watching = Running::spawn(&mut watching)?;
    watching.until_stderr("waiting for it to start")?;
    let running = start(&container.command_line()?)?;
    let event = until_told(&events, "would_be_denied", "mkdir")?;
    let made = wait::until("the directory", || Ok(fs::metadata(work.join("made")).ok()))?;
    let told: jiff::Timestamp = event["time"].as_str().context("no time")?.parse()?;
    let made = jiff::Timestamp::try_from(made.modified()?)?;
    // One second, with some for a machine that is busy.
    let after = told.duration_since(made).as_secs_f64();
    ensure!(after < 3.0, "told after {after} seconds");
    ensure!(event["schema"] == "tracer.watch/v1", "{event}");
    ensure!(event["container"]["id"] == container.id(), "{event}");
    ensure!(
        event["kind"] == "syscalls" && event["action"] == "SCMP_ACT_ERRNO(1)",
        "{event}"
    );

    watching.signal(Signal::SIGINT)?;
    let finished = watching.wait()?;
    ensure!(finished.code() == 3, "{finished:?}");
    drop(running);
    let events = lines(&events)?;
    let told: Vec<_> = things(&events, "would_be_denied");
    let mkdir = told.iter().filter(|it| **it == "mkdir");
    ensure!(mkdir.count() == 1, "{told:?}");
    let last = events.last().context("no events")?;
    ensure!(last["event"] == "summary", "{last}");
    ensure!(last["events"]["would_be_denied"] == told.len(), "{last}");
    let records = log.lines()?;
    let own = records
        .iter()
        .filter(|line| line.contains("type=1326") && line.contains("busybox-watched"));
    ensure!(own.count() == 0, "watching made audit records: {records:?}");
    // Nothing was saved.
    ensure!(!work.join("profiles-out").exists() && !scratch.join("profiles-out").exists());
    Ok(())
}

#[test]
fn drift_is_told_by_severity_and_suppressions_are_heeded() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86);
    let scratch = Scratch::new()?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "job")?
        .with_files()
        .of(["sh", "-c", "cat /etc/passwd"])
        .run()?;
    finished.success()?;
    let events = scratch.join("events");
    let recording = recorded.directory.join("recording.json");
    let run = |more: &[&str], script: &str| -> Result<(i32, Vec<Value>)> {
        let mut watching = watch(&events, more)?;
        watching.arg(&recording).args(["--", "sh", "-c", script]);
        let finished = process::run(&mut watching)?;
        Ok((finished.code(), lines(&events)?))
    };
    // The same again, but for calls that depend on time or load.
    let usual = ["--suppress", "kind=syscalls severity=info"];
    let (code, told) = run(&usual, "cat /etc/passwd")?;
    ensure!(code == 0 && told.len() == 1, "{code}: {told:?}");
    let (code, told) = run(&usual, "cat /etc/passwd /etc/shadow")?;
    ensure!(code == 3, "{told:?}");
    let shadow = told.iter().find(|it| it["what"] == "/etc/shadow");
    let shadow = shadow.with_context(|| format!("{told:?}"))?;
    ensure!(
        shadow["event"] == "new"
            && shadow["severity"] == "medium"
            && shadow["known_for"] == "hashes of passwords",
        "{shadow}"
    );
    let file = scratch.file(
        "suppressions",
        "# ours\nkind=syscalls severity=info\nkind=files what=/etc/shadow\n",
    )?;
    let file = file.to_string_lossy().into_owned();
    let (code, told) = run(&["--suppressions", &file], "cat /etc/passwd /etc/shadow")?;
    ensure!(code == 0, "{told:?}");
    let last = told.last().context("no summary")?;
    ensure!(last["suppressed"].as_u64() > Some(0), "{last}");
    Ok(())
}

#[test]
fn losses_are_events() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86);
    let scratch = Scratch::new()?;
    let allow = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    let profile = scratch.file("allow.json", allow.to_string())?;
    let events = scratch.join("events");
    let mut watching = watch(&events, &["--max-accesses", "16"])?;
    watching.arg(&profile).args([
        "--",
        "sh",
        "-c",
        "ls -l /etc /usr/bin /usr/lib >/dev/null; sleep 2",
    ]);
    let finished = process::run(&mut watching)?;
    ensure!(finished.code() == 0, "{finished:?}");
    let told = lines(&events)?;
    let lost = told
        .iter()
        .find(|it| it["event"] == "lost" && it["lost"] == "accesses");
    ensure!(
        lost.is_some_and(|it| it["count"].as_u64() > Some(0)),
        "{told:?}"
    );
    let last = told.last().context("no summary")?;
    ensure!(last["lost"]["accesses"].as_u64() > Some(0), "{last}");
    Ok(())
}

#[test]
fn wrong_usage_is_one_sentence() -> Outcome {
    let scratch = Scratch::new()?;
    let refused = |args: &[&str]| -> Result<String> {
        let finished = process::run(
            tracer::command()?
                .arg("watch")
                .args(args)
                .current_dir(scratch.path()),
        )?;
        ensure!(![0, 3, 101].contains(&finished.code()), "{finished:?}");
        Ok(finished.stderr)
    };
    let said = refused(&["no-such.json", "--all"])?;
    ensure!(said.contains("cannot read no-such.json"), "{said}");
    let said = refused(&["x.json", "--format", "json", "--", "true"])?;
    ensure!(
        said.contains("give a file for the events with --output"),
        "{said}"
    );
    let said = refused(&["x.json", "--all", "--suppress", "colour=red"])?;
    ensure!(said.contains("\"colour\" is no key"), "{said}");
    let said = refused(&[".", "--all"])?;
    ensure!(
        said.contains("has neither profiles nor directories"),
        "{said}"
    );
    refused(&["--all"])?;
    refused(&["--denials", "x.json"])?;
    Ok(())
}

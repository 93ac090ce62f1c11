//! What is written, where, and that it is the same each time.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome, needs,
    process::{self, Finished},
    programs::{self, Build},
    recording::{Executable, SyscallId},
    requires::{self, Need, program},
    scratch::Scratch,
    seccomp,
    servers::Server,
    tracer::{self, Record, Recorded},
    work::Work,
};

/// Everything in a directory and those in it, by path.
pub(crate) fn files(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    let reading = || format!("reading {}", directory.display());
    for entry in fs::read_dir(directory).with_context(reading)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            let inner = files(&entry.path())?.into_iter();
            all.extend(inner.map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            all.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(all)
}

pub(crate) fn tracer(args: &[&str]) -> Result<Finished> {
    process::run(tracer::command()?.args(args))
}

/// What was made of an earlier recording, and not of this one, does not stay beside it.
#[test]
fn removes_stale_files_of_an_earlier_recording() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let record = |accesses: &str| -> Result<BTreeMap<String, Vec<u8>>> {
        let (finished, recorded) = Record::new(&scratch.join("out"), "true")?
            .with_files()
            .option(format!("--accesses={accesses}"))
            .of(["true"])
            .run()?;
        finished.success()?;
        files(&recorded.directory)
    };
    ensure!(record("best")?.contains_key("apparmor.profile"));
    let left = record("none")?;
    let of_files = |name: &&String| name.starts_with("capabilities.") || name.contains("apparmor");
    ensure!(
        !left.keys().any(|name| of_files(&name)),
        "these speak of files: {:?}",
        left.keys()
    );
    Ok(())
}

/// Recording the same work again leaves everything that is reviewed as it was.
fn stays_the_same(test: &str, work: Work) -> Outcome {
    let mut needed = vec![Need::Root, Need::Cgroup2];
    needed.extend(work.needs());
    if !requires::met(test, &needed)? {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let out = scratch.join("out");
    let mut before: Option<(Vec<u8>, Vec<u8>)> = None;
    for _ in 0..3 {
        // The command line is part of the review, so the directory has to be the same.
        let dir = scratch.dir("work")?;
        let (line, recorded) = Record::new(&out, "work")?
            .of(work.prepare(&dir)?)
            .into_command_line();
        let done = work.run(&dir, &line, None)?;
        ensure!(done.code == 0, "{done:?}");
        let mut files = files(&recorded.directory)?;
        let mut take = |name: &str| files.remove(name).with_context(|| format!("no {name}"));
        let now = (take("seccomp.json")?, take("REVIEW.md")?);
        if let Some(before) = &before {
            for (before, now) in [(&before.0, &now.0), (&before.1, &now.1)] {
                ensure!(
                    before == now,
                    "before:\n{}\nnow:\n{}",
                    String::from_utf8_lossy(before),
                    String::from_utf8_lossy(now)
                );
            }
        }
        before = Some(now);
        fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

macro_rules! reproducible {
    ($($name:ident: $work:expr;)*) => {
        mod output_is_reproducible {
            use super::*;
            $(
                #[test]
                fn $name() -> Outcome {
                    stays_the_same(tracer_tests::test_name!(), $work)
                }
            )*
        }
    };
}

reproducible! {
    bash: Work::Script(program::BASH, "work.bash");
    redis: Work::Server(Server::Redis);
    threads: Work::Program("threads", Build::Dynamic);
    unknown_numbers: Work::Program("unknown_calls", Build::Dynamic);
}

/// `generate` renders what `record` rendered, from the recording alone.
#[test]
fn generate_agrees_with_record() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::I386,
        program::CC
    );
    let scratch = Scratch::new()?;
    let (_, recorded) = Record::new(&scratch.join("out"), "work")?
        .of([programs::compiled("i386", Build::StaticI386)?])
        .run()?;
    let again = scratch.join("again");
    tracer(&[
        "generate",
        "--output",
        &again.to_string_lossy(),
        &recorded.directory.join("recording.json").to_string_lossy(),
    ])?
    .success()?;
    let (expected, generated) = (files(&recorded.directory)?, files(&again.join("work"))?);
    for name in ["seccomp.json", "REVIEW.md"] {
        ensure!(
            generated.get(name) == expected.get(name) && expected.contains_key(name),
            "{name} differs"
        );
    }
    Ok(())
}

#[test]
fn uses_default_directory_and_name() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    process::run(
        tracer::command()?
            .args(["record", "--", "/usr/bin/env", "true"])
            .current_dir(scratch.path()),
    )?
    .success()?;
    let names = files(&scratch.join("profiles-out/env"))?.into_keys();
    ensure!(names.collect::<Vec<_>>() == tracer::written());
    Ok(())
}

fn record(program: &str, build: Build) -> Result<(Finished, Recorded, Scratch)> {
    let scratch = Scratch::new()?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .of([programs::compiled(program, build)?])
        .run()?;
    Ok((finished, recorded, scratch))
}

fn review(recorded: &Recorded) -> Result<String> {
    Ok(fs::read_to_string(recorded.directory.join("REVIEW.md"))?)
}

/// The profile has the ABIs that were seen and no other.
#[test]
fn profile_lists_only_observed_architectures() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::I386,
        program::CC
    );
    for (program, build, expected) in [
        ("threads", Build::Dynamic, &["SCMP_ARCH_X86_64"][..]),
        (
            "i386",
            Build::StaticI386,
            &["SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
        ),
        (
            "int80",
            Build::Dynamic,
            &["SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
        ),
    ] {
        let (_, recorded, _scratch) = record(program, build)?;
        let profile = seccomp::read(&recorded.profile())?;
        let mut seen = profile["architectures"]
            .as_array()
            .context("no architectures")?
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>();
        seen.sort_unstable();
        ensure!(seen == expected, "{program}: {seen:?}");
        ensure!(profile["defaultErrnoRet"] == 38, "{program}: {profile}");
    }
    Ok(())
}

/// A number without a name cannot stand in a profile; that it was seen is not kept from the reviewer.
#[test]
fn review_lists_unknown_syscall_numbers() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let (_, recorded, _scratch) = record("unknown_calls", Build::Dynamic)?;
    let review = review(&recorded)?;
    for number in ["999", "511", "4294967291"] {
        ensure!(review.contains(number), "no word of {number} in:\n{review}");
    }
    Ok(())
}

/// Somebody makes up more numbers than anybody keeps: what is lost is told, what was seen first is
/// kept.
#[test]
fn excess_unknown_numbers_make_a_recording_incomplete() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let unknown = programs::compiled("unknown_calls", Build::Dynamic)?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .option("--require-complete")
        .of([unknown.as_os_str(), "100000".as_ref()])
        .run()?;
    ensure!(finished.code() == 3, "{finished:?}");
    let recording = recorded.recording()?;
    let codes = recording.coverage.reasons.iter();
    ensure!(
        codes.map(|reason| reason.code.as_str()).collect::<Vec<_>>() == ["observations-lost"]
            && recording.coverage.losses.calls > 0,
        "{:?}",
        recording.coverage
    );
    let calls = recording.calls();
    for nr in [511, 512, 999, 231] {
        ensure!(calls.contains(&SyscallId::x86_64(nr)), "{nr} is missing");
    }
    Ok(())
}

/// Two programs whose paths differ only beyond what is kept: nothing is lost, and the review says
/// that the path goes on.
#[test]
fn truncated_paths_are_marked_in_the_review() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let deep = scratch.dir(
        &["x", "y", "z", "a", "b", "c"]
            .map(|it| it.repeat(200))
            .join("/"),
    )?;
    for name in ["true", "false"] {
        fs::copy(Path::new("/bin").join(name), deep.join(name))?;
    }
    let script = format!("{0}/true; {0}/false", deep.display());
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .of(["sh", "-c", &script])
        .run()?;
    ensure!(finished.code() == 1, "{finished:?}");
    let recording = recorded.recording()?;
    // The end of the path is kept.
    let path = deep.join("true").to_string_lossy().into_owned();
    let cut = recording.calls_by(
        |who| matches!(who, Executable::Truncated(end) if end.len() > 500 && path.ends_with(end)),
    );
    ensure!(cut.contains(&SyscallId::x86_64(231)), "{cut:?}");
    let review = review(&recorded)?;
    ensure!(review.contains("(cut off)"), "{review}");
    Ok(())
}

/// What works past system calls makes a recording incomplete: in the file, the review, on stderr and
/// in the exit status.
#[test]
fn io_uring_makes_a_recording_incomplete() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::CC);
    let scratch = Scratch::new()?;
    let uring = programs::compiled("io_uring", Build::Dynamic)?;
    for (option, code) in [("--quiet", 0), ("--require-complete", 3)] {
        let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
            .option(option)
            .of([&uring])
            .run()?;
        ensure!(finished.code() == code, "{option}: {finished:?}");
        let coverage = recorded.recording()?.coverage;
        ensure!(
            !coverage.complete
                && coverage
                    .reasons
                    .iter()
                    .any(|reason| reason.code == "io-uring"),
            "{coverage:?}"
        );
        ensure!(finished.stderr.contains("io_uring"), "{finished:?}");
        let review = review(&recorded)?;
        ensure!(
            review.contains("io_uring") && !review.contains("**Complete**"),
            "{review}"
        );
    }
    Ok(())
}

/// A program's path is whatever somebody chose: it must not write a review of its own.
#[test]
fn hostile_paths_cannot_inject_into_the_review() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let hostile = "a`|\n## Approved by security\n| `mount` | observed |<b>";
    let program = scratch.dir("programs")?.join(hostile.replace('/', ""));
    fs::copy("/bin/true", &program)?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .of([&program])
        .run()?;
    let finished = finished.success()?;
    for text in [review(&recorded)?, finished.stderr] {
        ensure!(
            !text
                .lines()
                .any(|line| line.starts_with("## Approved") || line.starts_with("| `mount`")),
            "{text}"
        );
    }
    // The recording itself is read back like any other.
    let recording = recorded.recording()?;
    ensure!(recording.workload.command[0].contains("## Approved"));
    Ok(())
}

#[test]
fn doctor_reports_that_this_machine_can_record() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    tracer(&["doctor"])?.success()?;
    let json = tracer(&["doctor", "--format", "json"])?.success()?.text();
    let report: Value = serde_json::from_str(&json)?;
    ensure!(report.is_object(), "{json}");
    Ok(())
}

/// What is printed is for other programs: they accept it.
#[test]
fn completions_and_man_page_are_well_formed() -> Outcome {
    needs!(program::BASH);
    let scratch = Scratch::new()?;
    for shell in ["bash", "zsh", "fish"] {
        let script = tracer(&["completions", shell])?.success()?.stdout;
        ensure!(!script.is_empty(), "no completions for {shell}");
        let file = scratch.file(shell, script)?;
        if requires::which(shell).is_some() {
            process::run(Command::new(shell).arg("-n").arg(file))?.success()?;
        }
    }
    let manual = tracer(&["man"])?.success()?.text();
    ensure!(
        manual.contains("\n.TH tracer 1") || manual.starts_with(".TH tracer 1"),
        "{manual}"
    );
    Ok(())
}

/// `tracer … | head -1` is nobody's error; a full disk is.
#[test]
fn closed_stdout_is_ignored_and_a_full_disk_fails() -> Outcome {
    needs!(program::BASH);
    for args in [
        &["man"][..],
        &["completions", "bash"],
        &["doctor"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let mut child = tracer::command()?
            .args(args)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stderr = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().context("no stderr")?, &mut stderr)?;
        let status = child.wait()?;
        ensure!(stderr.is_empty(), "{args:?}: {stderr}");
        ensure!(status.success() || args == ["doctor"], "{args:?}: {status}");

        if args == ["--help"] {
            // clap prints it and does not look back.
            continue;
        }
        let full = fs::OpenOptions::new().write(true).open("/dev/full")?;
        let output = tracer::command()?
            .args(args)
            .stdout(full)
            .stderr(Stdio::piped())
            .output()?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(1) && stderr.lines().count() == 1,
            "{args:?} into a full device: {}: {stderr}",
            output.status
        );
    }
    Ok(())
}

//! `tracer merge`: many recordings are one, whatever their order, and what differs between them shows.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome, needs,
    process::{self, Finished},
    recording::{Recording, SyscallId},
    replicas::Replica,
    requires::Need,
    scratch::Scratch,
    tracer::{self, Record},
};

use crate::output::files;

fn merge<P: AsRef<Path>>(recordings: &[P], output: &Path) -> Result<Finished> {
    let mut command = tracer::command()?;
    command.arg("merge").arg("--output").arg(output);
    process::run(command.args(recordings.iter().map(AsRef::as_ref)))
}

fn read(path: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Five replicas, one of them on another kernel, with another image, and with calls of its own.
fn five(directory: &Path) -> Result<Vec<std::path::PathBuf>> {
    (0..5)
        .map(|number| {
            let other = number == 3;
            Replica {
                number,
                kernel: other.then_some("6.1.0-18-amd64"),
                digest: Some(if other { "sha256:b" } else { "sha256:a" }),
                // ptrace, clone3, and one that no kernel has.
                also: if other { &[101, 435, 999] } else { &[] },
                executable: None,
            }
            .write(directory)
        })
        .collect()
}

#[test]
fn merge_ignores_order_repetition_and_staging() -> Outcome {
    let scratch = Scratch::new()?;
    let mut replicas = five(scratch.path())?;
    let (once, again, staged) = (
        scratch.join("once.json"),
        scratch.join("new/directory/again.json"),
        scratch.dir("staged")?,
    );
    let finished = merge(&replicas, &once)?.success()?;
    ensure!(
        finished.text().trim() == once.to_string_lossy(),
        "{finished:?}"
    );
    replicas.reverse();
    let twice: Vec<_> = replicas.iter().chain(&replicas).chain([&once]).collect();
    merge(&twice, &again)?.success()?;
    ensure!(
        fs::read(&once)? == fs::read(&again)?,
        "another order, twice"
    );
    // Into a directory, from a directory, and onto a file that is read.
    merge(&replicas[..2], &staged)?.success()?;
    let (rest, all) = (&replicas[2..], &staged);
    let stages: Vec<&Path> = rest
        .iter()
        .map(AsRef::as_ref)
        .chain([all.as_ref()])
        .collect();
    merge(&stages, &staged.join("recording.json"))?.success()?;
    ensure!(
        fs::read(&once)? == fs::read(staged.join("recording.json"))?,
        "in stages"
    );
    ensure!(files(&staged)?.len() == 1, "something else was left");
    Ok(())
}

#[test]
fn merge_reports_every_difference() -> Outcome {
    let scratch = Scratch::new()?;
    let output = scratch.join("merged.json");
    let finished = merge(&five(scratch.path())?, &output)?.success()?;
    for said in [
        "merged 5 recordings of nginx: 5 instances, 65 system calls; nothing was lost",
        "note: 2 kernels were recorded on: 6.1.0-18-amd64, ",
        "note: 2 images were recorded: nginx:1 (sha256:a), nginx:1 (sha256:b); ",
        "calls: 3 in only one of 5 instances, about 2 unseen (95 %: 0 to 22)",
    ] {
        ensure!(
            finished.stderr.contains(said),
            "no {said:?} in {}",
            finished.stderr
        );
    }
    let merged = read(&output)?;
    let notes = merged["coverage"]["notes"].as_array().context("no notes")?;
    let codes: Vec<_> = notes.iter().map(|note| &note["code"]).collect();
    ensure!(codes == ["several-kernels", "several-images"], "{codes:?}");
    let elsewhere = merged["instances"].as_array().context("no instances")?;
    let elsewhere = elsewhere
        .iter()
        .filter(|it| it.get("host").is_some())
        .count();
    ensure!([1, 4].contains(&elsewhere), "{elsewhere} on another host");

    let out = scratch.join("out");
    let mut generate = tracer::command()?;
    generate
        .arg("generate")
        .arg("--output")
        .arg(&out)
        .arg(&output);
    process::run(&mut generate)?.success()?;
    let review = fs::read_to_string(out.join("nginx/REVIEW.md"))?;
    for said in [
        "- 3 of 66 calls appeared in only one of 5 instances: `ptrace`, `clone3`, number 999 (x86_64).",
        "An estimated 2 more calls are unseen (95 % interval: 0 to 22; Chao2",
        "- 2 images were recorded: nginx:1 (sha256:a), nginx:1 (sha256:b);",
        "- Image: `nginx:1` (`sha256:a`)\n- Image: `nginx:1` (`sha256:b`)\n",
    ] {
        ensure!(review.contains(said), "no {said:?} in {review}");
    }
    Ok(())
}

/// `generate` makes of many recordings what it makes of their merge.
#[test]
fn merge_yields_the_profile_of_its_parts() -> Outcome {
    let scratch = Scratch::new()?;
    let replicas = five(scratch.path())?;
    let merged = scratch.join("merged.json");
    merge(&replicas, &merged)?.success()?;
    let generate = |out: &Path, recordings: &[&Path]| -> Result<_> {
        let mut command = tracer::command()?;
        command
            .arg("generate")
            .arg("--output")
            .arg(out)
            .args(recordings);
        process::run(&mut command)?.success()?;
        files(&out.join("nginx"))
    };
    let apart: Vec<&Path> = replicas.iter().map(AsRef::as_ref).collect();
    let apart = generate(&scratch.join("apart"), &apart)?;
    let together = generate(&scratch.join("together"), &[&merged])?;
    ensure!(apart.len() > 1 && apart == together, "they differ");
    Ok(())
}

/// What was really recorded, of two commands with one name.
#[test]
fn merges_recordings_of_two_runs() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let mut recorded = Vec::new();
    for (number, command) in ["exit 0", "exec ls -l / >/dev/null"].iter().enumerate() {
        let out = scratch.join(number.to_string());
        let (finished, one) = Record::new(&out, "work")?.of(["sh", "-c", command]).run()?;
        finished.success()?;
        recorded.push(one);
    }
    let output = scratch.join("both.json");
    let directories: Vec<_> = recorded.iter().map(|one| one.directory.as_path()).collect();
    merge(&directories, &output)?.success()?;
    let both = Recording::read(&output)?;
    let calls = |index: usize| recorded[index].recording().map(|it| it.calls());
    let expected: std::collections::BTreeSet<SyscallId> = &calls(0)? | &calls(1)?;
    ensure!(both.calls() == expected, "{:?}", both.calls());
    ensure!(
        both.instances.len() == 2 && both.coverage.complete,
        "{both:?}"
    );
    let notes = &read(&output)?["coverage"]["notes"][0];
    ensure!(notes["code"] == "several-commands", "{notes}");
    Ok(())
}

#[test]
fn merge_rejects_other_workloads_and_invalid_files() -> Outcome {
    let scratch = Scratch::new()?;
    let replicas = five(scratch.path())?;
    let output = scratch.file("merged.json", "as it was")?;
    let mut other = read(&replicas[0])?;
    other["workload"]["name"] = "redis".into();
    let other = scratch.file("other.json", other.to_string())?;
    let mut outside = read(&replicas[0])?;
    outside["workload"]["name"] = "../x".into();
    let outside = scratch.file("outside.json", outside.to_string())?;
    let broken = scratch.file("broken.json", "{")?;
    for (file, says) in [
        (&other, ["redis", "--name"]),
        (&outside, ["../x", "letters"]),
        (&broken, ["broken.json", "line 1"]),
        (&scratch.join("missing"), ["missing", "cannot read"]),
    ] {
        let finished = merge(&[&replicas[0], file], &output)?;
        let told = &finished.stderr;
        ensure!(
            finished.code() == 1 && told.lines().count() == 1,
            "{finished:?}"
        );
        ensure!(says.iter().all(|part| told.contains(part)), "{told}");
        ensure!(fs::read(&output)? == b"as it was", "the file was touched");
    }
    let mut named = tracer::command()?;
    named
        .args(["merge", "--name", "both", "--output"])
        .args([&output, &replicas[0], &other]);
    process::run(&mut named)?.success()?;
    ensure!(read(&output)?["workload"]["name"] == "both");
    Ok(())
}

/// Each with an executable and a command of its own: what is kept grows by a few bytes for each.
#[test]
fn merge_memory_does_not_grow_with_its_inputs() -> Outcome {
    let scratch = Scratch::new()?;
    let directory = scratch.dir("recordings")?;
    for number in 0..2000 {
        let executable = format!("/tmp/{number}/a.out");
        Replica {
            number,
            digest: Some("sha256:a"),
            executable: Some(&executable),
            ..Replica::default()
        }
        .write(&directory)?;
    }
    let output = scratch.join("merged.json");
    let line = format!(
        "ulimit -v 150000; exec {} merge --output {} {}/*.json",
        tracer::binary()?.display(),
        output.display(),
        directory.display()
    );
    process::run(Command::new("sh").args(["-c", &line]))?.success()?;
    let merged = read(&output)?;
    ensure!(merged["instances"].as_array().map(Vec::len) == Some(100));
    ensure!(merged["merged"]["folded"].as_array().map(Vec::len) == Some(1900));
    let note = &merged["coverage"]["notes"][0];
    ensure!(note["code"] == "instances-folded", "{note}");
    let size = fs::metadata(&output)?.len();
    ensure!(size < 8 << 20, "{size} bytes");
    Ok(())
}

//! Wrong input gets one sentence that names the thing and the remedy, the documented exit status, and
//! leaves earlier output as it was.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome, needs, process,
    process::Finished,
    requires::{Need, program},
    scratch::{Mounted, Scratch},
    tracer::{self, Record, Recorded},
};

use crate::output::{files, tracer};

/// Checks that something was refused well: with `code`, and one sentence that has all of `says`.
fn refused(finished: &Finished, code: i32, says: &[&str]) -> Outcome {
    let told = finished.stderr.trim_end();
    ensure!(
        finished.code() == code,
        "status {}: {told}",
        finished.code()
    );
    ensure!(finished.stdout.is_empty(), "stdout: {}", finished.text());
    ensure!(told.lines().count() == 1, "more than a sentence: {told}");
    ensure!(!told.contains("panicked"), "{told}");
    for part in says {
        ensure!(told.contains(part), "no {part:?} in: {told}");
    }
    // A cause that is told twice reads like two.
    let mut parts = told
        .split([':', ';'])
        .map(str::trim)
        .filter(|part| part.len() > 10)
        .collect::<Vec<_>>();
    let all = parts.len();
    parts.sort_unstable();
    parts.dedup();
    ensure!(parts.len() == all, "says a thing twice: {told}");
    Ok(())
}

/// A directory with a recording in it, to be looked after.
struct Earlier {
    recorded: Recorded,
    before: std::collections::BTreeMap<String, Vec<u8>>,
}

impl Earlier {
    fn new(out: &Path) -> Result<Self> {
        let (finished, recorded) = Record::new(out, "work")?.of(["true"]).run()?;
        finished.success()?;
        let before = files(&recorded.directory)?;
        ensure!(
            before.len() == tracer::written().len(),
            "{:?}",
            before.keys()
        );
        Ok(Self { recorded, before })
    }

    fn is_untouched(&self) -> Outcome {
        let now = files(&self.recorded.directory)?;
        ensure!(
            now.keys().eq(self.before.keys()),
            "other files: {:?}",
            now.keys()
        );
        for (name, before) in &self.before {
            ensure!(now.get(name) == Some(before), "{name} was changed");
        }
        Ok(())
    }
}

#[test]
fn refuses_to_record_without_root() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::SETPRIV);
    let scratch = Scratch::new()?;
    // Where another user can reach it.
    let binary = scratch.join("tracer");
    fs::copy(tracer::binary()?, &binary)?;
    fs::set_permissions(&binary, Permissions::from_mode(0o755))?;
    let out = scratch.dir("out")?;
    fs::set_permissions(&out, Permissions::from_mode(0o777))?;
    let earlier = Earlier::new(&out)?;
    process::shell(format!("chown -R nobody {}", out.display()))?;
    let as_nobody = |args: &[&str]| {
        process::run(
            tracer::plain_environment(&mut Command::new("setpriv"))
                .args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"])
                .arg(&binary)
                .args(args),
        )
    };
    let out = out.to_string_lossy();
    let finished = as_nobody(&["record", "--name", "work", "--output", &out, "--", "true"])?;
    refused(&finished, 125, &["CAP_BPF", "CAP_PERFMON", "sudo"])?;
    earlier.is_untouched()?;
    let finished = as_nobody(&["doctor"])?;
    ensure!(
        finished.code() == 3 && finished.text().contains("CAP_BPF"),
        "{finished:?}"
    );
    Ok(())
}

#[test]
fn rejects_a_file_as_output_directory() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let file = scratch.file("file", "content")?;
    let (finished, _) = Record::new(&file, "work")?.of(["true"]).run()?;
    refused(&finished, 125, &[&file.to_string_lossy(), "--output"])?;
    ensure!(fs::read(&file)? == b"content");
    Ok(())
}

#[test]
fn rejects_a_read_only_output_directory() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let out = scratch.dir("out")?;
    let earlier = Earlier::new(&out)?;
    let read_only = Mounted::read_only(&out)?;
    let marker = scratch.join("marker");
    let (finished, _) = Record::new(&out, "work")?
        .of(["touch", &marker.to_string_lossy()])
        .run()?;
    refused(&finished, 125, &[&out.to_string_lossy(), "--output"])?;
    ensure!(
        !marker.exists(),
        "the command ran, although its recording could not be written"
    );
    drop(read_only);
    earlier.is_untouched()
}

/// Whether there is no room at all or not enough for everything.
#[test]
fn full_disk_leaves_earlier_output_intact() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    for room in [0, 8192, 24 * 1024] {
        let scratch = Scratch::new()?;
        let out = scratch.dir("out")?;
        let _disk = Mounted::tmpfs(&out, "size=1m")?;
        let earlier = Earlier::new(&out)?;
        leave_room(&out.join("filler"), room)?;
        let (finished, recorded) = Record::new(&out, "work")?
            .option("--quiet")
            .of(["ls", "-lR", "/etc/apt"])
            .run()?;
        // The command itself ran.
        let finished = Finished {
            stdout: vec![],
            ..finished
        };
        refused(&finished, 125, &[&out.to_string_lossy()])
            .with_context(|| format!("with {room} bytes left"))?;
        if room == 0 {
            earlier.is_untouched()?;
        }
        // Each file is the old one or the new one, and whole.
        let now = files(&recorded.directory)?;
        ensure!(now.keys().eq(earlier.before.keys()), "{:?}", now.keys());
        recorded.recording()?;
        for (name, content) in &now {
            ensure!(!content.is_empty(), "{name} is empty");
        }
        serde_json::from_slice::<Value>(&now["seccomp.json"])?;
    }
    Ok(())
}

/// Fills a disk but for `room` bytes.
fn leave_room(filler: &Path, room: u64) -> Outcome {
    let mut file = OpenOptions::new().create(true).append(true).open(filler)?;
    while file.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    let size = file.metadata()?.len();
    Ok(file.set_len(size.saturating_sub(room))?)
}

#[test]
fn rejects_a_missing_cgroup() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let earlier = Earlier::new(&scratch.join("out"))?;
    for path in ["/no/such/cgroup", "/tmp", "../..", "."] {
        let (finished, _) = Record::new(&scratch.join("out"), "work")?
            .of_cgroup(Path::new(path))
            .run()?;
        refused(&finished, 125, &[path, "/proc/PID/cgroup"])?;
    }
    earlier.is_untouched()
}

#[test]
fn rejects_names_that_escape_the_output() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let out = scratch.dir("directory/out")?;
    for name in [
        "a/b",
        "/etc/x",
        "..",
        ".",
        "../x",
        "a\nb",
        "",
        "-x=1",
        "\u{202e}x",
        &"x".repeat(300),
    ] {
        let finished = process::run(
            tracer::command()?
                .args(["record", &format!("--name={name}"), "--output"])
                .arg(&out)
                .args(["--", "true"]),
        )?;
        ensure!(
            finished.code() == 2 && finished.stderr.contains("--name"),
            "{name:?}: {finished:?}"
        );
        ensure!(finished.stdout.is_empty(), "{name:?}: {finished:?}");
    }
    ensure!(
        fs::read_dir(&out)?.next().is_none(),
        "something was written"
    );
    ensure!(
        fs::read_dir(scratch.join("directory"))?.count() == 1,
        "something was written"
    );
    Ok(())
}

#[test]
fn usage_errors_exit_with_status_2() -> Outcome {
    for args in [
        &["record"][..],
        &["record", "--cgroup", "/x", "--", "true"],
        &["record", "--cgroup", ""],
        &["record", "--user", "no-such-user", "--", "true"],
        &["record", "--duration", "10x", "--", "true"],
        &["record", "--until-stable", "-1", "--", "true"],
        &["record", "--no-such-option", "--", "true"],
        &["no-such-command"],
        &["generate"],
        &["merge", "x"],
        &["merge", "--output", "x"],
        &["merge", "--output", "x", "--name", "../x", "y"],
        &["completions", "no-such-shell"],
    ] {
        let finished = tracer(args)?;
        ensure!(
            finished.code() == 2 && finished.stdout.is_empty() && !finished.stderr.is_empty(),
            "{args:?}: {finished:?}"
        );
    }
    Ok(())
}

/// A ring that the kernel would refuse, or that wraps round to nothing.
#[test]
fn rejects_invalid_ring_sizes() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    for size in [
        "0",
        "1",
        "4095",
        "4097",
        "12288",
        "4294967295",
        "-1",
        "many",
    ] {
        let (finished, _) = Record::new(&scratch.join("out"), "work")?
            .option(format!("--ring-size={size}"))
            .of(["true"])
            .run()?;
        ensure!(
            [2, 125].contains(&finished.code()) && finished.stderr.contains("ring"),
            "{size}: {finished:?}"
        );
    }
    Ok(())
}

/// Recordings that were damaged, made by others, or made up.
#[test]
fn rejects_broken_recordings() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let earlier = Earlier::new(&scratch.join("out"))?;
    let good = fs::read_to_string(earlier.recorded.directory.join("recording.json"))?;
    let out = scratch.join("out");
    for (name, content, says) in broken(&good)? {
        let file = scratch.file(name, content)?;
        let finished = generate(&out, &file)?;
        refused(&finished, 1, &[&[name][..], says].concat()).with_context(|| name.to_owned())?;
        earlier.is_untouched().with_context(|| name.to_owned())?;
        ensure!(
            fs::read_dir(&out)?.count() == 1,
            "{name}: something was written"
        );
    }
    Ok(())
}

/// A file that is no recording: its name, its content, and what the error says.
type Broken = (&'static str, String, &'static [&'static str]);

fn broken(good: &str) -> Result<[Broken; 13]> {
    let edited = |edit: &dyn Fn(&mut Value)| -> Result<String> {
        let mut recording = serde_json::from_str(good)?;
        edit(&mut recording);
        Ok(serde_json::to_string_pretty(&recording)?)
    };
    let duplicate = edited(&|recording| {
        if let Some(calls) = recording["syscalls"].as_array_mut() {
            calls.push(calls[0].clone());
        }
    })?;
    Ok([
        (
            "truncated",
            good[..good.len() / 2].to_owned(),
            &["line ", "column ", "record again"],
        ),
        ("empty", String::new(), &["is empty", "record again"]),
        (
            "binary",
            "\0\u{1}\u{2}\u{ff}".to_owned(),
            &["line 1 column 1"],
        ),
        (
            "newer",
            good.replace("tracer.recording/v2", "tracer.recording/v3"),
            &["tracer.recording/v3", "newer"],
        ),
        (
            "unknown-field",
            good.replacen("\"schema\"", "\"colour\": 1,\n\"schema\"", 1),
            &["colour", "line ", "column "],
        ),
        (
            "nested-unknown-field",
            good.replacen("\"abi\"", "\"colour\": 1,\n\"abi\"", 1),
            &["colour", "line ", "column "],
        ),
        (
            "duplicate-call",
            duplicate,
            &["duplicate system call", "line ", "column "],
        ),
        (
            "duplicate-field",
            good.replacen("\"schema\"", "\"schema\": \"x\",\n\"schema\"", 1),
            &["duplicate field", "line ", "column "],
        ),
        ("trailing", format!("{good}{good}"), &["line ", "column "]),
        ("deep", "[".repeat(100_000), &["line 1 column"]),
        (
            "outside",
            edited(&|r| r["workload"]["name"] = "../../outside".into())?,
            &["../../outside", "letters"],
        ),
        (
            "newline",
            edited(&|r| r["workload"]["name"] = "a\nb".into())?,
            &["a\\nb", "letters"],
        ),
        (
            "absolute",
            edited(&|r| r["workload"]["name"] = "/etc/outside".into())?,
            &["/etc/outside", "letters"],
        ),
    ])
}

fn generate(out: &Path, recording: &Path) -> Result<Finished> {
    process::run(
        tracer::command()?
            .args(["generate", "--output"])
            .args([out, recording]),
    )
}

/// Refused by its size, or for what is in it: but not by running out of memory.
#[test]
fn rejects_huge_recordings_within_bounded_memory() -> Outcome {
    let scratch = Scratch::new()?;
    let spaces = scratch.file("spaces", "")?;
    OpenOptions::new()
        .write(true)
        .open(&spaces)?
        .set_len(200 << 20)?;
    let mut text = b"{\"schema\": \"".to_vec();
    text.resize(200 << 20, b'a');
    let long = scratch.file("long", text)?;
    for (file, name) in [(&spaces, "spaces"), (&long, "long")] {
        let line = format!(
            "ulimit -v 300000; exec {} generate --output {} {}",
            tracer::binary()?.display(),
            scratch.join("out").display(),
            file.display()
        );
        let finished = process::run(Command::new("sh").args(["-c", &line]))?;
        refused(&finished, 1, &[name])?;
    }
    Ok(())
}

#[test]
fn rejects_unreadable_recordings() -> Outcome {
    let scratch = Scratch::new()?;
    let out = scratch.join("out");
    let directory = scratch.dir("directory")?;
    let pipe = PathBuf::from("/dev/null");
    for (file, says) in [
        (scratch.join("missing"), "missing"),
        (directory, "directory"),
        (pipe, "/dev/null"),
    ] {
        refused(&generate(&out, &file)?, 1, &[says])?;
    }
    ensure!(!out.exists(), "something was written");
    Ok(())
}

#[test]
fn generate_rejects_an_unwritable_output_directory() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let earlier = Earlier::new(&scratch.join("out"))?;
    let recording = earlier.recorded.directory.join("recording.json");
    let file = scratch.file("file", "content")?;
    let finished = generate(&file, &recording)?;
    refused(&finished, 1, &[&file.to_string_lossy(), "--output"])?;
    ensure!(fs::read(&file)? == b"content");
    Ok(())
}

//! What a workload, a full disk or a kill does to the output: nothing is followed, mixed or left behind.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{FileTypeExt, MetadataExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::stat::{Mode, SFlag, mknod},
    unistd::mkfifo,
};
use serde_json::Value;
use tracer_tests::{
    Outcome, needs,
    process::{self},
    replicas::{self, Replica},
    requires::Need,
    scratch::Scratch,
    tracer::{self, Record},
};

use crate::output::{files, tracer};

/// Names below a directory that only a tracer at work has.
pub(super) fn temporary(directory: &Path) -> Result<Vec<String>> {
    let names = files(directory)?.into_keys();
    let mut found: Vec<_> = names.filter(|name| name.contains(".tracer-")).collect();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(".tracer-") {
            found.push(name);
        }
    }
    Ok(found)
}

/// Two recordings of one workload, whose files differ in every format.
pub(super) fn two_recordings(directory: &Path) -> Result<[String; 2]> {
    let mut paths = [String::new(), String::new()];
    for (number, path) in (0..).zip(&mut paths) {
        let replica = Replica {
            number,
            also: if number == 0 { &[] } else { &[101, 435] },
            ..Replica::default()
        };
        *path = replica.write(directory)?.to_string_lossy().into_owned();
    }
    Ok(paths)
}

/// Killed at any moment, `generate` leaves all of the old files or all of the new ones; the next run removes what it
/// left.
#[test]
fn killed_while_writing_leaves_one_whole_set() -> Outcome {
    let scratch = Scratch::new()?;
    let recordings = two_recordings(scratch.path())?;
    let out = scratch.join("out").to_string_lossy().into_owned();
    let generate = |recording: &str| -> Result<BTreeMap<String, Vec<u8>>> {
        tracer(&["generate", "--output", &out, recording])?.success()?;
        files(Path::new(&out))
    };
    let begin = Instant::now();
    let mut sets = Vec::new();
    for recording in &recordings {
        sets.push(generate(recording)?);
    }
    let mut usual = begin.elapsed() / 2;
    ensure!(sets[0].keys().eq(sets[1].keys()) && sets[0] != sets[1]);
    fs::write(Path::new(&out).join("nginx/notes.txt"), "mine")?;
    let (mut whole, mut killed, mut left) = ([0, 0], 0, 0);
    for turn in 0_u32.. {
        if killed == 300 {
            break;
        }
        ensure!(
            turn < 3000,
            "only {killed} of {turn} were killed before their end"
        );
        let mut child = tracer::command()?
            .args(["generate", "--output", &out, &recordings[turn as usize % 2]])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // Half of them in the second half, where the writing is.
        let part = if turn % 4 < 2 {
            turn % 100
        } else {
            50 + turn % 60
        };
        thread::sleep(usual * part / 100);
        child.kill()?;
        // The machine is sometimes faster, sometimes slower than it was at the beginning.
        if child.wait()?.code().is_none() {
            killed += 1;
            usual += usual / 100;
        } else {
            usual -= usual / 50;
        }
        let mut now = files(Path::new(&out))?;
        left += usize::from(now.keys().any(|name| name.contains(".tracer-")));
        now.retain(|name, _| !name.contains(".tracer-"));
        let notes = now.remove("nginx/notes.txt");
        ensure!(
            notes.as_deref() == Some(b"mine"),
            "turn {turn}: a file of the user's is gone"
        );
        let which = sets.iter().position(|set| *set == now);
        let which = which.with_context(|| format!("turn {turn}: a mixed set {:?}", now.keys()))?;
        whole[which] += 1;
    }
    ensure!(left > 0, "no kill hit the writing");
    ensure!(whole[0] > 0 && whole[1] > 0, "{whole:?}");
    generate(&recordings[0])?;
    ensure!(
        temporary(Path::new(&out))?.is_empty(),
        "{:?}",
        temporary(Path::new(&out))?
    );
    Ok(())
}

/// A pipe or a device that is named with --output is written to. It stays what it is.
#[test]
fn devices_and_pipes_are_written_to() -> Outcome {
    let scratch = Scratch::new()?;
    let recordings = two_recordings(scratch.path())?;
    let expected = tracer(&["merge", &recordings[0], &recordings[1], "-o", "-"])?.success()?;
    let parsed: Value = serde_json::from_slice(&expected.stdout)?;
    ensure!(parsed["workload"]["name"] == "nginx", "{parsed}");

    let pipe = scratch.join("pipe");
    mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
    symlink(&pipe, scratch.join("link"))?;
    for name in ["pipe", "link"] {
        let path = pipe.clone();
        let reader = thread::spawn(move || fs::read(path));
        let target = scratch.join(name);
        let target = target.to_string_lossy();
        tracer(&["merge", &recordings[0], &recordings[1], "-o", &target])?.success()?;
        let read = reader.join().map_err(|_| anyhow::anyhow!("the reader"))??;
        ensure!(read == expected.stdout, "{name}: something else came out");
    }
    ensure!(
        fs::symlink_metadata(&pipe)?.file_type().is_fifo(),
        "the pipe was replaced"
    );
    ensure!(scratch.join("link").is_symlink(), "the link was replaced");

    // Nobody reads it: that is an error, and no wait.
    let begin = Instant::now();
    let finished = tracer(&["report", &recordings[0], "-o", &pipe.to_string_lossy()])?;
    ensure!(
        finished.code() == 1 && finished.stderr.contains("pipe"),
        "{finished:?}"
    );
    ensure!(
        begin.elapsed() < Duration::from_secs(30),
        "{:?}",
        begin.elapsed()
    );
    Ok(())
}

#[test]
fn a_device_node_is_not_replaced() -> Outcome {
    needs!(Need::Root);
    let scratch = Scratch::new()?;
    let recordings = two_recordings(scratch.path())?;
    let node = scratch.join("null");
    let null = nix::sys::stat::makedev(1, 3);
    mknod(&node, SFlag::S_IFCHR, Mode::S_IRUSR | Mode::S_IWUSR, null)?;
    if OpenOptions::new().write(true).open(&node).is_err() {
        // A mount without devices.
        return Ok(());
    }
    symlink(&node, scratch.join("link"))?;
    for name in ["null", "link"] {
        let target = scratch.join(name);
        let target = target.to_string_lossy();
        for args in [
            &["merge", &recordings[0], &recordings[1], "-o", &target][..],
            &["report", &recordings[0], "-o", &target],
        ] {
            tracer(args)?.success()?;
        }
        let profile = replicas::example().with_file_name("seccomp.json");
        let profile = profile.to_string_lossy();
        let verify = [
            "verify",
            &profile,
            "--report",
            &target,
            "--recording",
            &recordings[0],
        ];
        let finished = tracer(&verify)?;
        ensure!([0, 3].contains(&finished.code()), "{finished:?}");
    }
    let now = fs::symlink_metadata(&node)?;
    ensure!(
        now.file_type().is_char_device() && now.rdev() == null,
        "{now:?}"
    );
    ensure!(scratch.join("link").is_symlink());
    Ok(())
}

/// An input that never comes is an error; one that takes its time is read.
#[test]
fn a_pipe_as_an_argument_is_not_waited_for_without_end() -> Outcome {
    let scratch = Scratch::new()?;
    let recordings = two_recordings(scratch.path())?;
    let pipe = scratch.join("pipe");
    mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let named = pipe.to_string_lossy();
    for args in [
        &["merge", &named, "-o", "-"][..],
        &["audit", &named],
        &["diff", &named, &recordings[0]],
        &["explain", &named, "mount"],
    ] {
        let begin = Instant::now();
        let finished = tracer(args)?;
        ensure!(finished.code() != 0, "{args:?}: {finished:?}");
        ensure!(
            begin.elapsed() < Duration::from_secs(20),
            "{args:?}: {:?}",
            begin.elapsed()
        );
    }
    let (writer, text) = (pipe.clone(), fs::read(&recordings[0])?);
    let writer = thread::spawn(move || -> Result<()> {
        let mut writer = OpenOptions::new().write(true).open(writer)?;
        for part in text.chunks(text.len() / 3 + 1) {
            thread::sleep(Duration::from_millis(300));
            writer.write_all(part)?;
        }
        Ok(())
    });
    tracer(&[
        "merge",
        &named,
        "-o",
        &scratch.join("m.json").to_string_lossy(),
    ])?
    .success()?;
    writer.join().map_err(|_| anyhow::anyhow!("the writer"))??;
    // As a shell has it: <(cat FILE).
    let script = format!(
        "{} merge <(sleep 1; cat {}) -o -",
        tracer::binary()?.display(),
        recordings[0]
    );
    process::run(Command::new("bash").args(["-c", &script]))?.success()?;
    Ok(())
}

/// The directory of a workload is swapped for a link while it is recorded, by the user who runs it.
#[test]
fn a_swapped_output_directory_is_not_followed() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    for swap in [
        // All of the output directory.
        "mv out old; mkdir out; ln -s TARGET out/w",
        "mv out old; ln -s TARGET out",
        // What is in it, by the owner of the directory.
        "rm -rf out/w; ln -s TARGET out/w",
        "mkdir -p out/w; ln -s TARGET out/w/kubernetes; ln -s TARGET/seccomp.json out/w/seccomp.json",
    ] {
        let scratch = Scratch::new()?;
        let target = scratch.dir("target")?;
        let kept = [
            "seccomp.json",
            "recording.json",
            "apparmor.profile",
            "capabilities.engine.args",
        ];
        for name in kept {
            fs::write(target.join(name), "of root")?;
        }
        let home = scratch.dir("home")?;
        fs::create_dir(home.join("out"))?;
        process::shell(format!("chown -R nobody {}", home.display()))?;
        let script = swap.replace("TARGET", &target.to_string_lossy());
        let (finished, _) = Record::new(Path::new("out"), "w")?
            .with(|command| {
                command.current_dir(&home);
            })
            .option("--user=nobody")
            .of(["sh", "-c", &script])
            .run()?;
        for name in kept {
            ensure!(
                fs::read(target.join(name))? == b"of root",
                "{swap}: {name} was changed"
            );
        }
        let names: Vec<_> = fs::read_dir(&target)?.collect();
        ensure!(names.len() == kept.len(), "{swap}: {names:?}");
        // The recording is somewhere, and is said to be there.
        let all = plain_files(&home)?;
        let written = all.iter().filter(|path| path.ends_with("recording.json"));
        ensure!(written.count() == 1, "{swap}: {all:?}\n{finished:?}");
        let is_temporary = |path: &PathBuf| path.to_string_lossy().contains(".tracer-");
        ensure!(!all.iter().any(is_temporary), "{swap}: {all:?}");
        if swap.contains("ln -s") {
            let says = ["old/w", "w.saved-1"]
                .iter()
                .any(|at| finished.stderr.contains(at));
            ensure!(says, "{swap}: {finished:?}");
        }
    }
    Ok(())
}

/// All regular files below a directory; links are not followed.
fn plain_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            all.extend(plain_files(&entry.path())?);
        } else if entry.file_type()?.is_file() {
            all.push(entry.path());
        }
    }
    Ok(all)
}

/// Links that another user put where root is told to write.
#[test]
fn the_links_of_others_are_refused() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let recordings = two_recordings(scratch.path())?;
    let target = scratch.dir("target")?;
    let home = scratch.dir("home")?;
    symlink(&target, home.join("out"))?;
    symlink(target.join("file"), home.join("file"))?;
    process::shell(format!(
        "chown -h nobody {0} {0}/out {0}/file",
        home.display()
    ))?;
    let (out, file) = (home.join("out"), home.join("file"));
    let (out, file) = (out.to_string_lossy(), file.to_string_lossy());
    for args in [
        &["generate", "-o", &out, &recordings[0]][..],
        &["merge", &recordings[0], "-o", &file],
        &["report", &recordings[0], "-o", &file],
        &["record", "-o", &out, "--", "true"],
    ] {
        let finished = tracer(args)?;
        ensure!(
            finished.code() != 0 && finished.stderr.contains("of another user"),
            "{args:?}: {finished:?}"
        );
    }
    ensure!(
        fs::read_dir(&target)?.next().is_none(),
        "something was written through a link"
    );
    Ok(())
}

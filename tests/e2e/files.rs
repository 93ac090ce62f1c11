//! What tracer records of files is what strace sees in the same run, in both directions.
//!
//! What only the kernel does is left out on tracer's side, since no call tells it: the interpreter and
//! the program that an exec maps. What a call tried and did not get is left out on both sides; a hook
//! may see it, as AppArmor would.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use anyhow::{Result, ensure};
use tracer_tests::{
    Outcome, needs,
    recording::{Executable, Recording},
    requires::{Need, program},
    scratch::Scratch,
    servers::Server,
    strace_files::{self, Access, Seen},
    tracer::Record,
    work::Work,
};

use crate::ground_truth::{can_be_compared, ensure_complete};

/// The calls by which the kernel itself opens and maps files.
const EXECS: [u32; 2] = [59, 322];

fn agrees(test: &str, work: Work) -> Outcome {
    if !can_be_compared(test, work)? {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let dir = scratch.dir("work")?;
    let log = scratch.join("strace.log");
    let mut line = strace_files::command_line(&log);
    line.extend(work.prepare(&dir)?);
    let record = Record::new(&scratch.join("out"), "work")?
        .with_files()
        .of(line);
    let (line, recorded) = record.into_command_line();
    let done = work.run(&dir, &line, None)?;
    ensure!(done.code == 0, "the work failed: {done:?}");
    let recording = recorded.recording()?;
    ensure_complete(&recording)?;
    compare(&strace_files::accesses(&log)?, &by_calls(&recording))
}

/// What calls of the work did.
fn by_calls(recording: &Recording) -> BTreeSet<Access> {
    let is_of_the_work = |executable: &Executable| match executable {
        Executable::Path(path) => !path.ends_with("/strace"),
        _ => false,
    };
    let mut accesses = BTreeSet::new();
    for file in &recording.files {
        let by_call = file.evidence.iter().any(|witness| {
            is_of_the_work(&witness.executable)
                && witness
                    .call
                    .as_ref()
                    .is_some_and(|call| !EXECS.contains(&call.nr))
        });
        // strace's %file does not speak of sockets.
        if by_call && file.what.access != "connect" && file.what.access != "execute" {
            accesses.insert((file.what.trimmed_path(), file.what.known_access()));
        }
    }
    accesses
}

fn compare(truth: &Seen, recorded: &BTreeSet<Access>) -> Outcome {
    let mut text = String::new();
    let shown = |(path, access): &Access| format!("{access} {}", path.escape_ascii());
    for missing in truth.done.difference(recorded) {
        writeln!(text, "strace only: {}", shown(missing))?;
    }
    for more in recorded.difference(&truth.done) {
        let is_socket = more.1 == "create" && more.0.ends_with(b"socket");
        if !truth.failed.contains(more) && !is_socket {
            writeln!(text, "tracer only: {}", shown(more))?;
        }
    }
    ensure!(text.is_empty(), "{text}");
    ensure!(
        truth.done.len() > 5,
        "strace saw next to nothing: {truth:?}"
    );
    Ok(())
}

tracer_tests::for_each_work! { agrees:
    every_file_access: Work::Script(program::PYTHON, "files.py");
    every_name_of_a_file: Work::Script(program::PYTHON, "names.py");
    cp: Work::Command(&["cp", "/etc/passwd", "DIR/copy"]);
    ls: Work::Command(&["ls", "-l", "/etc"]);
    python: Work::Script(program::PYTHON, "work.py");
    nginx: Work::Server(Server::Nginx);
    redis: Work::Server(Server::Redis);
}

/// What the security modules' hooks tell, and what the ends of system calls tell, of the same work.
#[test]
fn lsm_and_sys_exit_providers_agree() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::SecurityModules,
        program::PYTHON
    );
    let scratch = Scratch::new()?;
    let work = Work::Script(program::PYTHON, "files.py");
    let by = |provider: &str| -> Result<BTreeSet<Access>> {
        let dir = scratch.dir(provider)?;
        let record = Record::new(&scratch.join("out"), provider)?
            .with_files()
            .option(format!("--accesses={provider}"))
            .of(work.prepare(&dir)?);
        let (line, recorded) = record.into_command_line();
        let done = work.run(&dir, &line, None)?;
        ensure!(done.code == 0, "the work failed: {done:?}");
        let recording = recorded.recording()?;
        ensure_complete(&recording)?;
        let directory = dir.display().to_string();
        let files = recording.files.iter().map(|file| {
            let mut what = file.what.clone();
            what.path = what.path.replace(&directory, "DIR");
            (what.trimmed_path(), what.known_access())
        });
        // Another name each time.
        Ok(files
            .filter(|(path, _)| !path.starts_with(b"DIR/files/tmp"))
            .collect())
    };
    let (hooks, exits) = (by("lsm")?, by("sys-exit")?);
    println!(
        "{} accesses by hooks, {} by exits",
        hooks.len(),
        exits.len()
    );
    let mut text = String::new();
    let mut differ = |whose: &str, access: &Access| -> Result<()> {
        let why = explained(whose, access);
        let shown = format!("{whose} only: {} {}", access.1, access.0.escape_ascii());
        match why {
            Some(why) => println!("{shown}: {why}"),
            None => writeln!(text, "{shown}")?,
        }
        Ok(())
    };
    for access in hooks.difference(&exits) {
        differ("hooks", access)?;
    }
    for access in exits.difference(&hooks) {
        differ("exits", access)?;
    }
    ensure!(text.is_empty(), "{text}");
    Ok(())
}

/// Why one way of seeing tells something that the other does not.
fn explained(whose: &str, (path, access): &Access) -> Option<&'static str> {
    match (whose, *access) {
        // A hook is asked before the driver is.
        ("hooks", "read" | "write") if path.starts_with(b"/dev/") => {
            Some("asked for, and then refused by the device")
        }
        _ => None,
    }
}

/// A program that makes ten thousand files in one directory is told as one that uses the directory, and
/// costs the recorder's tables 256 entries for each kind of access.
#[test]
fn many_files_are_folded_into_their_directory() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::PYTHON);
    let scratch = Scratch::new()?;
    let dir = scratch.dir("many")?;
    let script = format!(
        "import os\nfor i in range(10000):\n  p='{}/f%d'%i\n  open(p,'w').close()\n  os.unlink(p)",
        dir.display()
    );
    let (finished, recorded) = Record::new(&scratch.join("out"), "flood")?
        .with_files()
        .of(["python3", "-c", &script])
        .run()?;
    finished.success()?;
    let recording = recorded.recording()?;
    ensure_complete(&recording)?;
    for access in ["create", "remove"] {
        let of = |more: bool| -> Result<usize> {
            let files = recording.files.iter().filter(|file| {
                file.what.access == access
                    && file.what.path.starts_with(&dir.display().to_string())
                    && file.what.more == more
            });
            Ok(files.count())
        };
        ensure!(of(false)? == 256, "{access}: {} are told apart", of(false)?);
        ensure!(
            of(true)? == 1,
            "{access}: the directory is told {} times",
            of(true)?
        );
    }
    Ok(())
}

/// The same of hard links, of which each names two files.
#[test]
fn many_links_are_folded_into_two_directories() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::SecurityModules,
        program::PYTHON
    );
    let scratch = Scratch::new()?;
    let dir = scratch.dir("many")?;
    let script = format!(
        "import os\nos.chdir('{}')\nopen('old','w').close()\nfor i in range(2000):\n  os.link('old','new%d'%i)",
        dir.display()
    );
    let (finished, recorded) = Record::new(&scratch.join("out"), "flood")?
        .with_files()
        .of(["python3", "-c", &script])
        .run()?;
    finished.success()?;
    let recording = recorded.recording()?;
    ensure_complete(&recording)?;
    let links = |more: bool| {
        let links = recording.files.iter();
        links
            .filter(|file| file.what.access == "link" && file.what.more == more)
            .count()
    };
    ensure!(
        (links(false), links(true)) == (256, 1),
        "{} links are told apart, and {} directories",
        links(false),
        links(true)
    );
    let profile = fs::read_to_string(recorded.directory.join("apparmor.profile"))?;
    // The directory was there, so its name stays.
    let rule = format!("link {0}/* -> {0}/*,", dir.display());
    ensure!(profile.contains(&rule), "there is no {rule} in\n{profile}");
    Ok(())
}

/// What found no room is counted, and the recording does not claim to be complete.
#[test]
fn accesses_beyond_the_limit_are_counted_as_lost() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::PYTHON);
    let scratch = Scratch::new()?;
    let dir = scratch.dir("many")?;
    let script = format!(
        "import os\nfor i in range(600):\n  p='{}/d%d'%i\n  os.mkdir(p)\n  open(p+'/f','w').close()",
        dir.display()
    );
    let (finished, recorded) = Record::new(&scratch.join("out"), "flood")?
        .with_files()
        .option("--max-accesses=256")
        .of(["python3", "-c", &script])
        .run()?;
    finished.success()?;
    let recording = recorded.recording()?;
    ensure!(
        !recording.coverage.complete && recording.coverage.losses.accesses > 0,
        "nothing is said to be lost: {:?}",
        recording.coverage
    );
    Ok(())
}

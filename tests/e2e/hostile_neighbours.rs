//! Workloads that take all they can get, or never answer: others are recorded as without them, or their
//! recordings say what was lost; and the recorder goes on.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome, cgroup,
    lifecycle::{ScriptedContainer, Watch},
    needs,
    oci::Runtime,
    programs::{self, Build},
    recording::Executable,
    requires::{Need, program},
    scratch::Scratch,
    tracer::Record,
};

use crate::lifecycle::needs_containers;

/// How long a test's file system answers nothing: longer than any step of the test may take.
const HANGS: &str = "60";

/// Much less than that.
const PATIENCE: Duration = Duration::from_secs(45);

/// How many containers can come after a neighbour, one after the other.
const VICTIMS: usize = 60;

/// After this long, names that nobody has make room: much longer than two looks.
const ROOM_IS_MADE: Duration = Duration::from_secs(6);

/// How long a flood of names may take.
const FLOOD: Duration = Duration::from_secs(240);

/// A command that mounts a file system which never answers, and names a file in it.
fn hanging(scratch: &Scratch) -> Result<[PathBuf; 3]> {
    let program = programs::compiled("hanging_fuse", Build::Dynamic)?;
    Ok([program, scratch.dir("mount")?, HANGS.into()])
}

/// For how many milliseconds nobody looked at the rings, at most. Less than a second on an idle machine.
fn longest_gap(stderr: &str) -> Result<u64> {
    let line = stderr
        .lines()
        .find(|line| line.contains("nobody looked at the rings"));
    let line = line.context("no word of the longest gap")?;
    println!("{line}");
    let number = line.split_whitespace().rev().nth(1);
    Ok(number.context("no number")?.parse()?)
}

/// The recorder asks about the file as well; what it waits for then is not what ends it.
#[test]
fn file_system_that_never_answers_does_not_stop_the_recorder() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::Fuse, program::CC);
    for ending in ["duration", "signal"] {
        let scratch = Scratch::new()?;
        let began = Instant::now();
        let mut record = Record::new(&scratch.join("out"), "work")?
            .with(|command| {
                command.env("RUST_LOG", "info");
            })
            .option("--accesses=sys-exit");
        if ending == "duration" {
            record = record.option("--duration").option("8s");
        }
        let mut recorder = record.of(hanging(&scratch)?).start()?;
        // Told while it is recorded, and not at the end only.
        recorder
            .running
            .until_stderr("the recording of the command is incomplete")?;

        // Others are recorded meanwhile.
        let beside = Record::new(&scratch.join("beside"), "work")?.option("--require-complete");
        let (finished, recorded) = beside.of(["ls", "-l", "/etc"]).run()?;
        ensure!(finished.code() == 0, "{finished:?}");
        ensure!(recorded.recording()?.coverage.complete);

        if ending == "signal" {
            recorder.running.signal(Signal::SIGTERM)?;
        }
        let (finished, recorded) = recorder.finish_within(PATIENCE)?;
        ensure!(began.elapsed() < PATIENCE, "{finished:?}");
        ensure!(finished.code() == 143, "{finished:?}");
        let gap = longest_gap(&finished.stderr)?;
        ensure!(gap < 10_000, "nobody looked at the rings for {gap} ms");
        let recording = recorded.recording()?;
        ensure!(
            recording.coverage.losses.paths > 0 && recording.has_reason("observations-lost"),
            "{:?}",
            recording.coverage
        );
    }
    Ok(())
}

/// A container that nobody asked about gives calls more values than there are numbers for.
#[test]
fn neighbour_cannot_take_all_argument_values() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut greedy = ScriptedContainer::new(Runtime::Runc, &scratch.dir("greedy")?)?;
    let mut victim = ScriptedContainer::new(Runtime::Runc, &scratch.dir("victim")?)?;
    let many = programs::compiled("many_values", Build::Static)?;
    let sockets = programs::compiled("two_sockets", Build::Static)?;
    let copies = scratch.dir("greedy/copies")?;
    for number in 0..12 {
        fs::copy(&many, copies.join(number.to_string()))?;
    }
    let (of_greedy, of_victim) = (greedy.id().to_owned(), victim.id().to_owned());
    // Recorded as well, and not asked for at all.
    for greedy_is_recorded in [true, false] {
        let out = scratch.join(format!("out-{greedy_is_recorded}"));
        let mut options = vec!["--wait", "--container", &of_victim];
        if greedy_is_recorded {
            options.extend(["--container", &of_greedy]);
        }
        let watch = Watch::start(&out, &options)?;
        greedy.start()?;
        for number in 0..12 {
            greedy.does(&format!("{}/{number} {number}", copies.display()))?;
        }
        victim.start()?;
        victim.does(&sockets.display().to_string())?;
        victim.ends()?;
        greedy.ends()?;
        let watched = watch.ends()?;
        let (_, recording) = watched.of(&of_victim)?;
        ensure!(
            recording.given("socket", "run") == BTreeSet::from([vec![2, 1, 0], vec![16, 3, 0]]),
            "{:?}",
            recording.given("socket", "run")
        );
        ensure!(recording.coverage.complete, "{:?}", recording.coverage);
        if greedy_is_recorded {
            // What it lost is its own loss.
            let coverage = &watched.of(&of_greedy)?.1.coverage;
            ensure!(
                coverage.losses.values > 0 && !coverage.complete,
                "{coverage:?}"
            );
        }
    }
    Ok(())
}

/// Anyone with a delegated cgroup can make any number of empty ones.
#[test]
fn empty_cgroups_take_no_room_from_containers() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut victim = ScriptedContainer::new(Runtime::Runc, &scratch.dir("victim")?)?;
    let parent = cgroup::Cgroup::new("empty")?;
    let id = victim.id().to_owned();
    let options = [
        "--wait",
        "--container",
        &id,
        "--max-cgroups",
        "1024",
        "--max-rows",
        "512",
    ];
    let watch = Watch::start(&scratch.join("out"), &options)?;
    let children: Vec<PathBuf> = (0..1500)
        .map(|number| parent.path().join(number.to_string()))
        .collect();
    for child in &children {
        fs::create_dir(child)?;
    }
    victim.start()?;
    victim.does("busybox ln began l")?;
    victim.ends()?;
    let watched = watch.ends();
    for child in &children {
        fs::remove_dir(child)?;
    }
    let watched = watched?;
    let (_, recording) = watched.only()?;
    ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    ensure!(recording.instances.iter().all(|it| it.start_observed));
    Ok(())
}

/// What is kept of any number of names can be read again, and its profile still allows them.
#[test]
fn flood_of_file_names_becomes_a_rule_of_its_directory() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::CC);
    let scratch = Scratch::new()?;
    let names = scratch.dir("names")?;
    let program = programs::compiled("many_files", Build::Dynamic)?;
    let record = Record::new(&scratch.join("out"), "work")?.with_files();
    let argv = [program, names.clone(), "60000".into()];
    let (finished, recorded) = record.of(argv).start()?.finish_within(FLOOD)?;
    ensure!(finished.code() == 0, "{finished:?}");
    recorded.recording()?;
    let size = fs::metadata(recorded.directory.join("recording.json"))?.len();
    ensure!(size < 32 << 20, "the recording has {size} bytes");
    let profile = fs::read_to_string(recorded.directory.join("apparmor.profile"))?;
    let rule = format!("{}/**", names.canonicalize()?.display());
    ensure!(
        profile
            .lines()
            .any(|line| line.contains(&rule) && line.contains('w')),
        "no rule for {rule}"
    );
    Ok(())
}

/// A neighbour that touches more files than can be told apart loses them itself.
#[test]
fn neighbour_cannot_take_all_places_for_accesses() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut greedy = ScriptedContainer::new(Runtime::Runc, &scratch.dir("greedy")?)?;
    let mut victim = ScriptedContainer::new(Runtime::Runc, &scratch.dir("victim")?)?;
    let many = programs::compiled("many_files", Build::Static)?;
    let (of_greedy, of_victim) = (greedy.id().to_owned(), victim.id().to_owned());
    let mut options = vec!["--wait", "--container", &of_greedy, "--container"];
    options.extend([&of_victim, "--max-accesses", "16384"]);
    let watch = Watch::start(&scratch.join("out"), &options)?;
    greedy.start()?;
    let names = scratch.dir("greedy/names")?;
    greedy.does(&format!("{} {} 8000", many.display(), names.display()))?;
    victim.start()?;
    victim.does("busybox cat /etc/hostname /etc/passwd > /dev/null")?;
    victim.ends()?;
    greedy.ends()?;
    let watched = watch.ends()?;
    let lost = watched.of(&of_greedy)?.1.coverage.clone();
    ensure!(lost.losses.accesses > 0 && !lost.complete, "{lost:?}");
    let (directory, recording) = watched.of(&of_victim)?;
    ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    let profile = fs::read_to_string(directory.join("apparmor.profile"))?;
    for file in ["/etc/hostname r,", "/etc/passwd r,"] {
        ensure!(profile.contains(file), "no {file} in {profile}");
    }
    Ok(())
}

/// A neighbour executes more files than names are kept for. The names make room again when no process has
/// them, so that of containers that come later the executables are known.
#[test]
fn names_of_executables_make_room_for_others() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let mut greedy = ScriptedContainer::new(Runtime::Runc, &scratch.dir("greedy")?)?;
    let of_greedy = greedy.id().to_owned();
    let program = programs::compiled("one_call", Build::Bare)?;
    let copies = scratch.dir("greedy/copies")?;
    for number in 0..600 {
        fs::copy(&program, copies.join(number.to_string()))?;
    }
    let mut victims = Vec::new();
    for number in 0..VICTIMS {
        let dir = scratch.dir(&format!("victim-{number}"))?;
        fs::copy(&program, dir.join("own"))?;
        victims.push(ScriptedContainer::new(Runtime::Runc, &dir)?);
    }
    let ids: Vec<String> = victims.iter().map(|it| it.id().to_owned()).collect();
    let mut options = vec!["--wait", "--max-rows", "256", "--container", &of_greedy];
    options.extend(ids.iter().flat_map(|id| ["--container", id]));
    let watch = Watch::start(&scratch.join("out"), &options)?;
    greedy.start()?;
    let all = format!("for it in {}/*; do $it 39; done", copies.display());
    greedy.does(&all)?;
    // They are taken away when nobody has had them for a second or two: containers come all the while.
    let began = Instant::now();
    let mut last = None;
    for (number, victim) in victims.iter_mut().enumerate() {
        victim.start()?;
        let own = scratch.join(format!("victim-{number}/own"));
        victim.does(&format!("{} 102", own.display()))?;
        victim.ends()?;
        last = Some((victim.id().to_owned(), own));
        if began.elapsed() > ROOM_IS_MADE {
            break;
        }
    }
    greedy.ends()?;
    let watched = watch.stop(Signal::SIGINT)?;
    ensure!(watched.of(&of_greedy)?.1.coverage.losses.executables > 0);
    let (last, own) = last.context("a victim")?;
    let (_, recording) = watched.of(&last)?;
    ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    let own = own.display().to_string();
    let calls = recording.calls_by(|who| matches!(who, Executable::Path(path) if *path == own));
    ensure!(!calls.is_empty(), "nothing by {own}: {recording:?}");
    Ok(())
}

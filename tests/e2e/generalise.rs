//! What a profile that was learned from some runs of real work misses in the next one, and what it opens
//! that no run used.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tracer::store;
use tracer_core::{
    profile::apparmor::{AppArmorProfile, Options, Permissions, Policy},
    recording::{FilePath, Recording},
};
use tracer_tests::{
    Outcome,
    missed::missed,
    requires::{Need, program},
    scratch::Scratch,
    servers::Server,
    tracer::Record,
    work::Work,
};

/// Runs of each work; all but the last one are learned from.
const RUNS: usize = 4;

/// Files that no rule may open, however many others were used beside them.
const SECRETS: [&str; 4] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/root/.ssh/id_ed25519",
    "/proc/kcore",
];

/// Records some runs of a work; `None` where it cannot be done.
fn recorded(test: &str, work: Work, runs: usize) -> Result<Option<Vec<Recording>>> {
    let mut needed = vec![Need::Root, Need::Cgroup2];
    needed.extend(work.needs());
    if !tracer_tests::requires::met(test, &needed)? {
        return Ok(None);
    }
    let scratch = Scratch::new()?;
    // The same place each time, as replicas have it.
    let dir = scratch.dir("work")?;
    let runs = (0..runs).map(|run| record(&scratch, &dir, work, run));
    runs.collect::<Result<_>>().map(Some)
}

fn measured(test: &str, work: Work) -> Outcome {
    let Some(runs) = recorded(test, work, RUNS)? else {
        return Ok(());
    };
    let (last, learned) = runs.split_last().context("no runs")?;
    let used = used_by(&runs);
    let beside = beside(&used);
    println!("| policy | rules | missed by the last run | opened beside them |");
    println!("| --- | --- | --- | --- |");
    for policy in [Policy::None, Policy::Safe, Policy::Wide] {
        let options = Options {
            generalise: policy,
            ..Options::default()
        };
        let profile = AppArmorProfile::from_recordings(learned, &options).context("a profile")?;
        let (missed, of) = missed(&profile, last);
        let opened: Vec<_> = beside.iter().filter(|path| opens(&profile, path)).collect();
        println!(
            "| {policy:?} | {} | {} of {of} | {} of {} |",
            profile.files().count(),
            missed.len(),
            opened.len(),
            beside.len()
        );
        for secret in SECRETS {
            ensure!(
                used.contains(&FilePath::from(secret)) || !opens(&profile, &FilePath::from(secret)),
                "{policy:?} opens {secret}"
            );
        }
        ensure!(
            policy == Policy::None || missed.is_empty(),
            "{policy:?} misses {missed:?}"
        );
        ensure!(
            policy != Policy::None || opened.is_empty(),
            "{policy:?} opens {opened:?}"
        );
    }
    Ok(())
}

/// One run is enough: its profile fits the next.
fn fits_the_next_run(test: &str, work: Work) -> Outcome {
    let Some(runs) = recorded(test, work, 2)? else {
        return Ok(());
    };
    let (next, learned) = runs.split_last().context("no runs")?;
    let profile = AppArmorProfile::from_recordings(learned, &Options::default());
    let profile = profile.context("a profile")?;
    let (missed, of) = missed(&profile, next);
    let rules = profile.files().count();
    ensure!(
        missed.is_empty(),
        "{rules} rules miss {} of {of} accesses: {missed:#?}",
        missed.len()
    );
    let secret = SECRETS
        .iter()
        .find(|secret| opens(&profile, &FilePath::from(**secret)));
    ensure!(secret.is_none(), "it opens {secret:?}");
    Ok(())
}

fn record(scratch: &Scratch, dir: &Path, work: Work, run: usize) -> Result<Recording> {
    let files = dir.join("files");
    if files.exists() {
        fs::remove_dir_all(&files)?;
    }
    let record = Record::new(&scratch.join("out"), &format!("run-{run}"))?
        .with_files()
        .of(work.prepare(dir)?);
    let (line, recorded) = record.into_command_line();
    let done = work.run(dir, &line, None)?;
    ensure!(done.code == 0, "the work failed: {done:?}");
    Ok(store::read(&recorded.directory.join("recording.json"))?)
}

/// Every path that any run used.
fn used_by(runs: &[Recording]) -> BTreeSet<FilePath> {
    let files = runs.iter().flat_map(|run| &run.files);
    files.map(|seen| seen.what.path.clone()).collect()
}

/// What lies in the same directories, and was not used.
fn beside(used: &BTreeSet<FilePath>) -> BTreeSet<FilePath> {
    let mut beside = BTreeSet::new();
    let directories: BTreeSet<_> = used.iter().filter_map(FilePath::parent).collect();
    for directory in directories {
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(directory.as_bytes()));
        // Some are gone by now; those of processes are no files that anyone keeps.
        let Ok(entries) = fs::read_dir(&path) else {
            continue;
        };
        if path.starts_with("/proc") {
            continue;
        }
        for entry in entries.flatten() {
            let file = FilePath::new(entry.path().as_os_str().as_bytes());
            if entry.file_type().is_ok_and(|kind| kind.is_file()) && !used.contains(&file) {
                beside.insert(file);
            }
        }
    }
    beside
}

fn opens(profile: &AppArmorProfile, path: &FilePath) -> bool {
    [Permissions::READ, Permissions::WRITE, Permissions::APPEND]
        .iter()
        .any(|permission| profile.allows(path, *permission, true))
}

tracer_tests::for_each_work! { measured:
    bash: Work::Script(program::BASH, "work.bash");
    every_file_access: Work::Script(program::PYTHON, "files.py");
    nginx: Work::Server(Server::Nginx);
    python: Work::Script(program::PYTHON, "work.py");
    redis: Work::Script(program::BASH, "redis_dump.bash");
}

tracer_tests::for_each_work! { fits_the_next_run:
    next_run_of_git: Work::Script(program::BASH, "git.bash");
    next_run_of_node: Work::Script(program::NODE, "temporary.js");
    next_run_of_postgres: Work::Script(program::BASH, "postgres.bash");
    next_run_of_prefork: Work::Script(program::PYTHON, "prefork.py");
    next_run_of_redis: Work::Script(program::BASH, "redis_dump.bash");
    next_run_of_temporary_names: Work::Script(program::PYTHON, "temporary.py");
    next_run_of_web: Work::Server(Server::Nginx);
}

//! Calls that are made once, by many threads, on all CPUs, at one moment: none is lost.
//!
//! `programs/races.c` makes them; what it made it says itself (`races list`). A row of marks belongs
//! to an executable, so each of a thousand copies of the program is a trial of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tracer_tests::{
    Outcome, needs, process,
    programs::{self, Build},
    recording::{Executable, Recording, SyscallId},
    requires::{Need, program},
    scratch::Scratch,
    tracer::Record,
};

const ROUNDS: usize = 1000;

/// How long [`ROUNDS`] may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn no_call_of_64_threads_is_lost() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::I386,
        program::CC
    );
    let recording = record_threads(&[])?;
    ensure!(
        recording.coverage.losses.events == 0,
        "the ring was full, although it has its ordinary size: {:?}",
        recording.coverage
    );
    Ok(())
}

/// Too small for what happens at one moment: who made a call first is then not known for all, but
/// that it was made is.
#[test]
fn no_call_is_lost_with_a_one_page_ring() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::I386,
        program::CC
    );
    let recording = record_threads(&["--ring-size", "4096"])?;
    let lost = recording.coverage.losses.events;
    let without_evidence = recording
        .syscalls
        .iter()
        .flat_map(|call| &call.evidence)
        .filter(|who| who.first.is_none())
        .count();
    ensure!(
        lost > 0,
        "the ring of one page was never full: nothing was tried"
    );
    // Two CPUs may announce the same call, so more events than evidence can be lost.
    ensure!(
        (1..=lost).contains(&u64::try_from(without_evidence)?),
        "{lost} events were counted as lost, but {without_evidence} calls have no first time"
    );
    Ok(())
}

/// The row of marks itself is made by the first call, here by two at once.
#[test]
fn concurrent_first_calls_are_not_lost() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let copies = Copies::to(&programs::compiled("first_call", Build::Bare)?)?;
    let recording = copies.record("begin", &[])?;
    copies.each_made(
        &[480, 481, 231].map(SyscallId::x86_64).into_iter().collect(),
        &recording,
    )
}

/// With fewer rows than executables it is no longer known who made each call; but that it was made
/// is.
#[test]
fn no_call_is_lost_when_rows_run_out() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::I386,
        program::CC
    );
    let races = programs::compiled("races", Build::Static)?;
    let recording = Copies::to(&races)?.record("drive", &["--max-rows", "16"])?;
    ensure!(
        recording.coverage.losses.executables > 0,
        "16 rows were enough for {ROUNDS} executables: {:?}",
        recording.coverage
    );
    let seen = recording.calls();
    let lost = said(&races)?.difference(&seen).cloned().collect::<Vec<_>>();
    ensure!(lost.is_empty(), "lost: {lost:?}");
    Ok(())
}

fn record_threads(options: &[&str]) -> Result<Recording> {
    let races = programs::compiled("races", Build::Static)?;
    let copies = Copies::to(&races)?;
    let recording = copies.record("drive", options)?;
    copies.each_made(&said(&races)?, &recording)?;
    Ok(recording)
}

/// [`ROUNDS`] copies of one program: one file under several names would be one executable.
struct Copies {
    scratch: Scratch,
    dir: PathBuf,
}

impl Copies {
    fn to(program: &Path) -> Result<Self> {
        let scratch = Scratch::new()?;
        let dir = scratch.dir("links")?;
        fs::copy(program, dir.join(name(0)))?;
        for round in 1..ROUNDS {
            fs::copy(program, dir.join(name(round)))?;
        }
        Ok(Self { scratch, dir })
    }

    /// Records a run of all of them by `races <how>`.
    fn record(&self, how: &str, options: &[&str]) -> Result<Recording> {
        let races = programs::compiled("races", Build::Static)?;
        let rounds = ROUNDS.to_string();
        let (finished, recorded) = options
            .iter()
            .fold(
                Record::new(&self.scratch.join("out"), "races")?,
                Record::option,
            )
            .of([
                races.as_os_str(),
                how.as_ref(),
                self.dir.as_os_str(),
                rounds.as_ref(),
            ])
            .start()?
            .finish_within(PATIENCE)?;
        finished.success()?;
        let recording = recorded.recording()?;
        ensure!(
            recording.coverage.complete,
            "observations were lost: {:?}",
            recording.coverage
        );
        Ok(recording)
    }

    fn each_made(&self, expected: &BTreeSet<SyscallId>, recording: &Recording) -> Outcome {
        let made = by_executable(recording);
        let mut lost = Vec::new();
        for round in 0..ROUNDS {
            let path = self.dir.join(name(round));
            let made = made
                .get(path.to_str().context("a path that is not text")?)
                .with_context(|| format!("{} is in no evidence", path.display()))?;
            lost.extend(expected.difference(made).map(|call| (round, call.clone())));
        }
        ensure!(
            lost.is_empty(),
            "{} of {} calls were lost, (round, call): {:?}",
            lost.len(),
            ROUNDS * expected.len(),
            &lost[..lost.len().min(20)]
        );
        Ok(())
    }
}

fn name(round: usize) -> String {
    format!("{round:04}")
}

/// The calls as the program lists them.
fn said(races: &Path) -> Result<BTreeSet<SyscallId>> {
    let list = process::run(Command::new(races).arg("list"))?
        .success()?
        .text();
    let calls = list
        .lines()
        .map(|line| {
            let (abi, nr) = line.split_once(' ').context("a line without a number")?;
            Ok(SyscallId::new(abi, nr.parse()?))
        })
        .collect::<Result<BTreeSet<_>>>()?;
    ensure!(
        calls.len() == 64,
        "{} different calls for 64 threads",
        calls.len()
    );
    Ok(calls)
}

fn by_executable(recording: &Recording) -> BTreeMap<&str, BTreeSet<SyscallId>> {
    let mut made = BTreeMap::<_, BTreeSet<_>>::new();
    for call in &recording.syscalls {
        for who in &call.evidence {
            if let Executable::Path(path) = &who.executable {
                made.entry(path.as_str())
                    .or_default()
                    .insert(SyscallId::new(&call.abi, call.nr));
            }
        }
    }
    made
}

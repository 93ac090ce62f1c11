//! Calls that are made once, by many threads, on all CPUs, at one moment: none is lost.
//!
//! `programs/races.c` makes them; what it made it says itself (`races list`). A row of marks belongs
//! to an executable, so each of a thousand links to the program is a trial of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tracer_tests::{
    Outcome, needs, process,
    programs::{self, Build},
    recording::{Call, Executable, Recording},
    requires::{Need, program},
    scratch::Scratch,
    tracer::Record,
};

const ROUNDS: usize = 1000;

/// How long [`ROUNDS`] may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn no_call_is_lost() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::I386,
        program::CC
    );
    let recording = record(&[])?;
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
fn no_call_is_lost_with_a_ring_of_one_page() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::I386,
        program::CC
    );
    let recording = record(&["--ring-size", "4096"])?;
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
    ensure!(
        (1..=lost).contains(&u64::try_from(without_evidence)?),
        "{lost} events were counted as lost, but {without_evidence} calls have no first time"
    );
    Ok(())
}

/// Records all rounds with `options` and checks that each executable has all of the calls.
fn record(options: &[&str]) -> Result<Recording> {
    let races = programs::compiled("races", Build::Static)?;
    let expected = said(&races)?;
    let scratch = Scratch::new()?;
    let links = scratch.dir("links")?;
    fs::copy(&races, links.join(name(0)))?;
    for round in 1..ROUNDS {
        fs::hard_link(links.join(name(0)), links.join(name(round)))?;
    }
    let rounds = ROUNDS.to_string();
    let command = [
        races.as_os_str(),
        "drive".as_ref(),
        links.as_os_str(),
        rounds.as_ref(),
    ];
    let recorder = options
        .iter()
        .fold(Record::new(&scratch.join("out"), "races")?, Record::option)
        .of(command)
        .start()?;
    let (finished, recorded) = recorder.finish_within(PATIENCE)?;
    finished.success()?;

    let recording = recorded.recording()?;
    ensure!(
        recording.coverage.complete && recording.coverage.losses.executables == 0,
        "observations were lost: {:?}",
        recording.coverage
    );
    let made = by_executable(&recording);
    let mut lost = Vec::new();
    for round in 0..ROUNDS {
        let path = links.join(name(round));
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
    Ok(recording)
}

fn name(round: usize) -> String {
    format!("{round:04}")
}

/// The calls as the program lists them.
fn said(races: &Path) -> Result<BTreeSet<Call>> {
    let list = process::run(Command::new(races).arg("list"))?
        .success()?
        .text();
    let calls = list
        .lines()
        .map(|line| {
            let (abi, nr) = line.split_once(' ').context("a line without a number")?;
            Ok(Call::new(abi, nr.parse()?))
        })
        .collect::<Result<BTreeSet<_>>>()?;
    ensure!(
        calls.len() == 64,
        "{} different calls for 64 threads",
        calls.len()
    );
    Ok(calls)
}

fn by_executable(recording: &Recording) -> BTreeMap<&str, BTreeSet<Call>> {
    let mut made = BTreeMap::<_, BTreeSet<_>>::new();
    for call in &recording.syscalls {
        for who in &call.evidence {
            if let Executable::Path(path) = &who.executable {
                made.entry(path.as_str())
                    .or_default()
                    .insert(Call::new(&call.abi, call.nr));
            }
        }
    }
    made
}

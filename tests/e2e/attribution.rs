//! Every call is filed under the cgroup it was made in, whatever moves, forks, execs and ends
//! meanwhile.
//!
//! `programs/cgroup_movers.c` keeps all CPUs busy with processes and threads that wander between three
//! cgroups and make calls that belong to the one they are in. Two of the cgroups are recorded, by
//! two tracers. What was made where, the processes say themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome,
    cgroup::Cgroup,
    needs,
    process::Running,
    programs::{self, Build},
    recording::{Executable, Recording, SyscallId},
    requires::{Need, program},
    scratch::Scratch,
    tracer::Record,
};

/// Moves to be made, and the time after which fewer are enough: before Linux 6.18 each one waits
/// for all CPUs.
const MOVES: u64 = 150_000;
const SECONDS: u64 = 12;

/// Fewer moves than this prove nothing.
const FEWEST_MOVES: u64 = 1000;

const PATIENCE: Duration = Duration::from_secs(60);

/// What cgroup_movers.c makes besides the calls that belong to a place: write, sched_yield, clone, fork,
/// vfork, execve, exit, wait4, futex, exit_group, clone3; and getppid when a herd is busy.
const NEUTRAL: [u32; 11] = [1, 24, 56, 57, 58, 59, 60, 61, 202, EXIT_GROUP, 435];
const BUSY: u32 = 110;
const EXIT_GROUP: u32 = 231;
const EXIT_GROUP_I386: u32 = 252;

/// What the processes say they did in one cgroup.
#[derive(Debug, Default)]
struct Said {
    calls: u64,
    made: BTreeSet<SyscallId>,
}

/// Each single call is counted where it was made.
#[test]
fn every_call_is_counted_in_its_cgroup() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::I386,
        program::CC
    );
    for (place, said, recording) in wander(false)? {
        let counted = recording.instances[0].calls.context("not counted")?;
        ensure!(
            counted == said.calls,
            "{} calls were made in {place}, {counted} were counted there",
            said.calls
        );
    }
    Ok(())
}

/// The same with threads that do not pause while they are moved: only what they do between moves is
/// known.
#[test]
fn calls_during_a_move_count_in_either_cgroup() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        Need::I386,
        program::CC
    );
    for (place, said, recording) in wander(true)? {
        let counted = recording.instances[0].calls.context("not counted")?;
        ensure!(
            counted >= said.calls,
            "{} calls were made in {place}, {counted} were counted there",
            said.calls
        );
    }
    Ok(())
}

/// Lets everything wander and compares the sets of calls; hands back what was said of, and what was
/// recorded in, A and B.
fn wander(busy: bool) -> Result<Vec<(&'static str, Said, Recording)>> {
    let scratch = Scratch::new()?;
    let output = scratch.join("out");
    let places = [
        ("A", Cgroup::new("a")?),
        ("B", Cgroup::new("b")?),
        ("C", Cgroup::new("c")?),
    ];
    let helpers = [
        programs::compiled("one_call", Build::Bare)?,
        programs::compiled("one_call", Build::BareI386)?,
    ];

    let mut recorders = Vec::new();
    for (name, cgroup) in &places[..2] {
        let mut recorder = Record::new(&output, name)?
            .of_cgroup(cgroup.path())
            .start()?;
        recorder.until_attached()?;
        recorders.push((*name, recorder));
    }
    let report = Running::spawn(
        Command::new(programs::compiled("cgroup_movers", Build::Dynamic)?)
            .args(places.iter().map(|(_, cgroup)| cgroup.path()))
            .args(&helpers)
            .args([
                MOVES.to_string(),
                SECONDS.to_string(),
                u8::from(busy).to_string(),
            ]),
    )?
    .wait_within(PATIENCE)?
    .success()?
    .text();
    let (moves, reborn, mut said) = parse(&report)?;
    ensure!(moves >= FEWEST_MOVES, "only {moves} moves were made");
    ensure!(reborn > 0, "no process id was used again");

    let belongs = said
        .values()
        .flat_map(|said| said.made.clone())
        .collect::<BTreeSet<_>>();
    let mut results = Vec::new();
    for (name, recorder) in recorders {
        recorder.running.signal(Signal::SIGINT)?;
        let (finished, recorded) = recorder.finish()?;
        finished.success()?;
        let recording = recorded.recording()?;
        let said = said.remove(name).context("a place that nobody spoke of")?;
        compare(name, &said, &belongs, &recording, busy)?;
        check_executables(&recording, &helpers, &said)?;
        results.push((name, said, recording));
    }
    Ok(results)
}

fn compare(
    place: &str,
    said: &Said,
    belongs: &BTreeSet<SyscallId>,
    recording: &Recording,
    busy: bool,
) -> Outcome {
    let losses = &recording.coverage.losses;
    ensure!(
        losses.calls == 0 && losses.cgroups == 0 && losses.program_runs == 0,
        "calls were lost in {place}: {losses:?}"
    );
    let recorded = recording.calls();
    let missing = said.made.difference(&recorded).collect::<Vec<_>>();
    ensure!(
        missing.is_empty(),
        "{} calls were made in {place} and not recorded there: {:?}",
        missing.len(),
        &missing[..missing.len().min(20)]
    );
    let foreign = recorded
        .difference(&said.made)
        .filter(|call| {
            let neutral = **call == SyscallId::i386(EXIT_GROUP_I386)
                || call.abi == "x86_64" && (NEUTRAL.contains(&call.nr) || busy && call.nr == BUSY);
            belongs.contains(call) || !neutral
        })
        .collect::<Vec<_>>();
    ensure!(
        foreign.is_empty(),
        "{} calls were recorded in {place} and made elsewhere: {:?}",
        foreign.len(),
        &foreign[..foreign.len().min(20)]
    );
    Ok(())
}

/// The helpers were exec'ed in the recorded cgroup: what they did is filed under their paths, and
/// nothing else is. Everybody else came from outside and forked since.
fn check_executables(recording: &Recording, helpers: &[PathBuf; 2], said: &Said) -> Outcome {
    for (helper, abi, exit_group) in [
        (&helpers[0], "x86_64", EXIT_GROUP),
        (&helpers[1], "i386", EXIT_GROUP_I386),
    ] {
        let path = Executable::Path(
            helper
                .to_str()
                .context("a path that is not text")?
                .to_owned(),
        );
        let made = recording.calls_by(|who| *who == path);
        let (exit, own): (BTreeSet<_>, BTreeSet<_>) =
            made.into_iter().partition(|call| call.nr == exit_group);
        ensure!(
            exit == BTreeSet::from([SyscallId::new(abi, exit_group)])
                && own.len() == 1
                && own
                    .iter()
                    .all(|call| call.abi == abi && said.made.contains(call)),
            "{path:?} made {exit:?} and {own:?}"
        );
    }
    Ok(())
}

/// `moves N`, `reborn N`, `calls PLACE N`, `said PLACE ABI NUMBER`.
fn parse(report: &str) -> Result<(u64, u64, BTreeMap<String, Said>)> {
    let (mut moves, mut reborn) = (0, 0);
    let mut places = BTreeMap::<String, Said>::new();
    for line in report.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["moves", n] => moves = n.parse()?,
            ["reborn", n] => reborn = n.parse()?,
            ["calls", place, n] => places.entry(place.to_owned()).or_default().calls = n.parse()?,
            ["said", place, abi, nr] => {
                let call = SyscallId::new(abi, nr.parse()?);
                places
                    .entry(place.to_owned())
                    .or_default()
                    .made
                    .insert(call);
            }
            _ => bail!("cgroup_movers says {line:?}"),
        }
    }
    Ok((moves, reborn, places))
}

//! Holds the recordings of a run against what really happened.
//!
//! - Each syscall and access is in the recording under its instance, or counted as lost.
//! - Nothing is under an instance that did not do it.
//! - Who is recorded is who was asked for, under its name.
//! - Everything lost is counted, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use syscalls::arguments::{RecordedArguments, recorded};

use super::{
    MACHINE, Outcome,
    check_accesses::accesses_of,
    facts::{Fact, Fate, executable},
    runtimes::name_of,
    schedule::{Mode, PIVOT_ROOT, Schedule, Use},
    world::{DirState, World, call},
};
use crate::{bpf::abi_of_class, record::convert};
use tracer_core::recording::{
    Blocked, Executable, FirstSeen, Phase, ReasonCode, Recording, Syscall,
};

/// What is wrong with a recording.
pub(super) type Verdict = Result<(), String>;

/// Who made a syscall, in a recording's words: phase, executable, call, and what a filter did.
type Sighting = (Phase, String, (syscalls::Abi, u32), Option<Blocked>);

/// Fails with a text unless something holds.
macro_rules! ensure {
    ($holds:expr, $($text:tt)*) => {
        if !$holds {
            return Err(format!($($text)*));
        }
    };
}
pub(super) use ensure;

/// An instance of a recording, and the cgroup that it is.
pub(super) struct Recorded<'a> {
    pub(super) recording: &'a Recording,
    pub(super) index: u32,
    pub(super) dir: &'a DirState,
}

pub(super) fn check(schedule: &Schedule, outcome: &Outcome) -> Verdict {
    let world = &outcome.world;
    if let Some(violation) = world.kernel.violations.first() {
        return Err(violation.clone());
    }
    let mut all = Vec::new();
    for recording in &outcome.recordings {
        losses(recording, world)?;
        for (index, instance) in (0..).zip(&recording.instances) {
            let dir = match instance.cgroup.strip_prefix("/cgroup-") {
                Some(id) => world.dir_by_id(id.parse().unwrap()),
                None => world.dir_by_path(&instance.cgroup),
            };
            let dir = dir.ok_or_else(|| format!("there is no cgroup {}", instance.cgroup))?;
            all.push(Recorded {
                recording,
                index,
                dir,
            });
        }
    }
    let ids: BTreeSet<u64> = all.iter().map(|it| it.dir.id).collect();
    ensure!(ids.len() == all.len(), "an instance is recorded twice");
    for recorded in &all {
        syscalls_of(recorded, world)?;
        accesses_of(recorded, world)?;
        reasons_of(recorded, world)?;
        if matches!(schedule.mode, Mode::All | Mode::Named) {
            name_of_recorded(recorded, schedule.mode, world)?;
        }
    }
    for recording in &outcome.recordings {
        first_times(recording, &all, world)?;
        values(recording, &all, world)?;
    }
    if matches!(schedule.mode, Mode::All | Mode::Named) {
        for dir in world.dirs.values() {
            is_there(dir, schedule.mode, &ids, outcome)?;
        }
    } else if !outcome.recordings.is_empty() {
        ensure!(ids.contains(&1000), "the cgroup is not recorded");
    }
    Ok(())
}

/// Everything lost is counted, by its own counter.
fn losses(recording: &Recording, world: &World) -> Verdict {
    let counted = recording.coverage.losses;
    let kernel = world.kernel.counters_read;
    let expected = [
        (
            "calls",
            counted.calls,
            kernel.calls_lost + kernel.exotic_full,
        ),
        (
            "executables",
            counted.executables,
            kernel.rows_full
                + kernel.processes_full
                + kernel.executables_full
                + world.kernel.not_registered,
        ),
        ("phases", counted.phases, kernel.phases_full),
        ("values", counted.values, kernel.values_lost),
        ("threads", counted.threads, kernel.threads_full),
        (
            "program runs",
            counted.program_runs,
            world.kernel.skipped_read,
        ),
    ];
    for (what, counted, lost) in expected {
        ensure!(
            counted == lost,
            "{lost} {what} were lost, and {counted} counted"
        );
    }
    let at_least = [
        ("events", counted.events, kernel.events_dropped),
        ("cgroups", counted.cgroups, kernel.cgroups_full),
        (
            "accesses",
            counted.accesses,
            kernel.accesses_lost + world.kernel.unreported_read,
        ),
    ];
    for (what, counted, lost) in at_least {
        ensure!(
            counted >= lost,
            "{lost} {what} were lost, and {counted} counted"
        );
    }
    // Evidence and executables are no observations.
    let lost = counted.calls
        + counted.cgroups
        + counted.threads
        + counted.accesses
        + counted.phases
        + counted.program_runs;
    ensure!(
        lost == 0 || !recording.coverage.complete,
        "it lost something, and claims to be complete"
    );
    Ok(())
}

/// The facts of an instance, as the kernel side filed them.
fn facts_of<'a>(dir: &DirState, world: &'a World) -> impl Iterator<Item = &'a Fact> {
    let id = dir.id;
    let facts = world.kernel.facts.iter();
    facts.filter(move |fact| fact.key.instance == id && fact.fate == Fate::Marked)
}

fn sighting(fact: &Fact, world: &World) -> Sighting {
    (
        convert::phase(fact.key.phase),
        executable(&fact.key, fact.exe_is_named, world),
        (abi_of_class(MACHINE, fact.call.0), fact.call.1),
        (fact.key.blocked != 0).then(|| convert::blocked(fact.mark)),
    )
}

pub(super) fn name(executable: &Executable) -> String {
    match executable {
        Executable::Path(path) | Executable::Truncated(path) => path.clone(),
        Executable::Launcher => "launcher".to_owned(),
        Executable::Unknown => "unknown".to_owned(),
    }
}

/// What a recording says of one of its instances, or of all.
fn sightings(
    recording: &Recording,
    index: Option<u32>,
) -> impl Iterator<Item = (Sighting, Option<&FirstSeen>)> {
    recording.syscalls.iter().flat_map(move |syscall| {
        let evidence = syscall.evidence.iter();
        let evidence = evidence.filter(move |it| index.is_none_or(|index| it.instance == index));
        evidence.map(|it| {
            let call = (syscall.abi, syscall.nr);
            let sighting = (it.phase, name(&it.executable), call, it.blocked);
            (sighting, it.first.as_ref())
        })
    })
}

fn syscalls_of(recorded: &Recorded<'_>, world: &World) -> Verdict {
    let said: BTreeSet<Sighting> = sightings(recorded.recording, Some(recorded.index))
        .map(|(sighting, _)| sighting)
        .collect();
    let happened: BTreeSet<Sighting> = facts_of(recorded.dir, world)
        .map(|fact| sighting(fact, world))
        .collect();
    if let Some(sighting) = said.difference(&happened).next() {
        return Err(format!("{} did not do {sighting:?}", recorded.dir.path));
    }
    // Of several instances, what their runtimes did is kept once.
    let of_all: BTreeSet<Sighting> = sightings(recorded.recording, None)
        .map(|(sighting, _)| sighting)
        .collect();
    let is_unseen = |fact: &&Fact| is_unseen(fact, recorded.dir, world);
    if let Some(fact) = world.kernel.facts.iter().find(is_unseen) {
        ensure!(
            recorded.recording.coverage.losses.cgroups > 0,
            "{} did {:?} at {}, and was not recorded then",
            recorded.dir.path,
            fact.call,
            fact.time
        );
    }
    for fact in facts_of(recorded.dir, world) {
        is_in_its_place(fact, recorded.dir, world)?;
        if fact.announced.is_none() || fact.is_optional {
            continue;
        }
        let sighting = sighting(fact, world);
        let is_kept =
            said.contains(&sighting) || (sighting.0 == Phase::Setup && of_all.contains(&sighting));
        ensure!(
            is_kept,
            "{} did {sighting:?}, which is not in its recording",
            recorded.dir.path
        );
    }
    Ok(())
}

/// Whether an instance did something while it was said to be recorded, and the kernel side did not see
/// it.
fn is_unseen(fact: &Fact, dir: &DirState, world: &World) -> bool {
    let owner = world
        .dir_by_id(fact.dir)
        .map(|dir| 1000 + u64::from(dir.owner));
    fact.fate == Fate::NotRecorded
        && fact.is_early
        && owner == Some(dir.id)
        && !dir.left
        && dir.watched_ns.is_none_or(|since| fact.time > since)
}

/// The kernel side filed a fact where it happened.
fn is_in_its_place(fact: &Fact, instance: &DirState, world: &World) -> Verdict {
    let [at, above] = [fact.dir, instance.id].map(|id| u32::try_from(id - 1000).unwrap());
    ensure!(
        world.is_within(at, above),
        "what happened in {at} is filed under {above}"
    );
    Ok(())
}

/// Each first time is that of a fact, and the earliest that was announced. What has none was lost.
fn first_times(recording: &Recording, all: &[Recorded<'_>], world: &World) -> Verdict {
    let mut without = 0;
    let lost = recording.coverage.losses.events;
    for recorded in all
        .iter()
        .filter(|it| std::ptr::eq(it.recording, recording))
    {
        let mut announced: BTreeMap<Sighting, Vec<&Fact>> = BTreeMap::new();
        for fact in facts_of(recorded.dir, world) {
            if fact.announced == Some(true) {
                announced
                    .entry(sighting(fact, world))
                    .or_default()
                    .push(fact);
            }
        }
        for (sighting, first) in sightings(recording, Some(recorded.index)) {
            let facts = announced.remove(&sighting).unwrap_or_default();
            let Some(first) = first else {
                let is_known = is_of_optional(recorded.dir, &sighting, world);
                without += u64::from(!is_known);
                continue;
            };
            let after = |fact: &Fact| fact.time - world.kernel.began_ns;
            let is_one = |fact: &&&Fact| {
                after(fact) == first.after_ns
                    && fact.pid == first.pid
                    && first.comm == format!("t{}", fact.pid)
            };
            ensure!(
                facts.iter().any(|fact| is_one(&fact)),
                "nobody did {sighting:?} at {}",
                first.after_ns
            );
            let is_sure = lost == 0 && facts.iter().all(|fact| !fact.is_optional);
            ensure!(
                !is_sure || facts.iter().all(|fact| after(fact) >= first.after_ns),
                "{sighting:?} was done before {}",
                first.after_ns
            );
        }
    }
    ensure!(
        without <= lost,
        "{without} sightings have no first time, and {lost} events were counted as lost"
    );
    Ok(())
}

/// Whether a syscall was made before its cgroup was recorded again: then its event may be gone.
fn is_of_optional(dir: &DirState, of: &Sighting, world: &World) -> bool {
    let mut facts = facts_of(dir, world).filter(|fact| sighting(fact, world) == *of);
    facts.any(|fact| fact.is_optional)
}

/// The values that calls were given.
fn values(recording: &Recording, all: &[Recorded<'_>], world: &World) -> Verdict {
    let facts: Vec<(&Fact, Sighting)> = all
        .iter()
        .filter(|it| std::ptr::eq(it.recording, recording))
        .flat_map(|it| facts_of(it.dir, world))
        .filter(|fact| fact.key.blocked == 0)
        .map(|fact| (fact, sighting(fact, world)))
        .collect();
    for syscall in &recording.syscalls {
        let name = syscall.name.as_deref();
        if let Some(of) = name.and_then(|name| recorded(syscall.abi, name)) {
            let call = (syscall.abi, syscall.nr);
            let made = facts.iter().filter(|(_, sighting)| sighting.2 == call);
            values_of(syscall, of, &made.collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// The values that one call was given, by those who made it.
fn values_of(
    syscall: &Syscall,
    recorded: &RecordedArguments,
    made: &[&(&Fact, Sighting)],
) -> Verdict {
    let given = made.iter().filter_map(|(fact, (phase, exe, ..))| {
        let values = recorded.select_values(fact.values?);
        Some((fact, (*phase, values, exe.clone())))
    });
    let given: Vec<_> = given.collect();
    let mut said = BTreeSet::new();
    let mut cut = BTreeSet::new();
    if let Some(arguments) = &syscall.arguments {
        cut.extend(arguments.cut.iter().copied());
        for it in &arguments.seen {
            for executable in &it.executables {
                said.insert((it.phase, it.values.clone(), name(executable)));
            }
        }
    }
    for combination in &said {
        ensure!(
            given.iter().any(|(_, it)| it == combination),
            "nobody gave {combination:?} to {:?}",
            syscall.name
        );
    }
    for phase in &cut {
        let is_gap = |fact: &Fact| fact.is_cut || fact.is_optional || fact.values.is_none();
        let mut of_phase = made.iter().filter(|(_, sighting)| sighting.0 == *phase);
        ensure!(
            *phase == Phase::Setup || of_phase.any(|(fact, _)| is_gap(fact)),
            "the values of {:?} in {phase:?} were kept, and are not in the recording",
            syscall.name
        );
    }
    for (fact, combination) in given {
        let phase = combination.0;
        let is_kept = said.contains(&combination) || cut.contains(&phase);
        ensure!(
            is_kept || phase == Phase::Setup || fact.is_optional,
            "{combination:?} was given to {:?}, which is not in the recording",
            syscall.name
        );
    }
    Ok(())
}

/// What speaks against an instance's completeness is said, and nothing else.
fn reasons_of(recorded: &Recorded<'_>, world: &World) -> Verdict {
    let reasons = &recorded.recording.coverage.reasons;
    let has = |code| reasons.iter().any(|reason| reason.code() == code);
    let id = recorded.dir.id;
    for (code, early, ever) in [
        (
            ReasonCode::FilterInPlace,
            &world.kernel.missed_early,
            &world.kernel.missed,
        ),
        (
            ReasonCode::LeftCgroup,
            &world.kernel.escaped_early,
            &world.kernel.escaped,
        ),
    ] {
        ensure!(
            has(code) || !early.contains(&id),
            "{}: {code:?} is not told",
            recorded.dir.path
        );
        let is_alone = recorded.recording.instances.len() == 1;
        ensure!(
            !has(code) || ever.contains(&id) || !is_alone,
            "{}: {code:?} is not true",
            recorded.dir.path
        );
    }
    Ok(())
}

/// A container is recorded under its own name, and is one that was asked for.
fn name_of_recorded(recorded: &Recorded<'_>, mode: Mode, world: &World) -> Verdict {
    let owner = match recorded.dir.purpose {
        Use::Container(..) => recorded.dir,
        _ => &world.dirs[&recorded.dir.owner],
    };
    let instance = &recorded.recording.instances[recorded.index as usize];
    let workload = &recorded.recording.workload.name;
    let path = &recorded.dir.path;
    match (&instance.container, owner.purpose) {
        (Some(container), Use::Container(number, _)) => {
            let name = container.name.as_ref();
            ensure!(
                name.is_none_or(|name| *name == name_of(number)),
                "{path} is {}, and not {name:?}",
                name_of(number)
            );
            let id = format!("{:064x}", owner.id);
            ensure!(container.id == id, "{path} has another id");
            ensure!(
                workload == name.unwrap_or(&id),
                "{path} is {name:?}, and filed under {workload}"
            );
        }
        (Some(_), _) => return Err(format!("{path} is no container")),
        (None, _) => {
            let has_pivoted = pivoted(recorded.dir, world).next().is_some();
            ensure!(has_pivoted, "{path} is recorded, and nothing says why");
            ensure!(
                !workload.starts_with("name"),
                "{path} is filed under {workload}, and nothing tells its name"
            );
        }
    }
    let is_wanted = mode == Mode::All || matches!(owner.purpose, Use::Container(0, _));
    ensure!(is_wanted, "{path} was not asked for");
    Ok(())
}

fn pivoted<'a>(dir: &DirState, world: &'a World) -> impl Iterator<Item = &'a Fact> {
    let (class, nr, _) = call(PIVOT_ROOT);
    facts_of(dir, world).filter(move |fact| fact.call == (class, nr))
}

/// Whoever was asked for and did anything is in the recordings, or it is said that someone is not.
fn is_there(dir: &DirState, mode: Mode, ids: &BTreeSet<u64>, outcome: &Outcome) -> Verdict {
    let world = &outcome.world;
    let is_due = |fact: &&Fact| fact.is_early && !fact.is_optional;
    if ids.contains(&dir.id) || !facts_of(dir, world).any(|fact| is_due(&fact)) {
        return Ok(());
    }
    ensure!(
        !dir.matched,
        "{} was asked for, and is not recorded",
        dir.path
    );
    // A unit is left by its path.
    if dir.left || dir.watched_ns.is_some() || dir.purpose == Use::Unit {
        return Ok(());
    }
    let can_be_looked_up = world.kernel.counters.paths_full == 0;
    ensure!(
        dir.looked_up || !can_be_looked_up,
        "{} was never looked up",
        dir.path
    );
    let has_pivoted = pivoted(dir, world).any(|fact| is_due(&fact));
    let may_be_unknown = mode == Mode::Named || !can_be_looked_up;
    // A container that its runtime knows, and that is another one, was left because of that.
    let is_known = matches!(dir.purpose, Use::Container(..)) && dir.was_known;
    ensure!(
        !has_pivoted || is_known || (may_be_unknown && !outcome.notes.is_empty()),
        "{} is a container that nothing tells the name of, and nobody says so",
        dir.path
    );
    Ok(())
}

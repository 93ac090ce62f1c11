//! The recorder under random schedules, and with faults that these must find.

use std::time::Instant;

use super::{
    Variation, calm, failure, run,
    schedule::{Schedule, shrink},
};
use crate::record::mutation::{self, Mutation};
use tracer_core::recording::{Recording, json, merge::merge};

/// How many schedules each test runs.
const SCHEDULES: u64 = 5_000;

/// Fails with the seed of a schedule, and with the shortest one that is found to fail as well.
fn report(schedule: Schedule, why: &str) -> ! {
    let short = shrink(schedule.clone(), |schedule| failure(schedule).is_some());
    let short_why = failure(&short).unwrap_or_default();
    panic!(
        "seed {}: {why}\nthe shortest that fails: {short_why}\n{short}",
        schedule.seed
    );
}

/// The first seed, of some, whose schedule fails.
fn first_failure(seeds: std::ops::Range<u64>) -> Option<(Schedule, String)> {
    seeds.map(Schedule::new).find_map(|schedule| {
        let why = failure(&schedule)?;
        Some((schedule, why))
    })
}

#[test]
fn recordings_hold_what_happened() {
    let began = Instant::now();
    // To look for more: TRACER_SEEDS=1000000..2000000.
    let seeds = std::env::var("TRACER_SEEDS")
        .ok()
        .map_or(0..SCHEDULES, |range| {
            let (from, to) = range.split_once("..").unwrap();
            from.parse().unwrap()..to.parse().unwrap()
        });
    let count = seeds.end - seeds.start;
    if let Some((schedule, why)) = first_failure(seeds) {
        report(schedule, &why);
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{count} schedules in {seconds:.1} s");
}

pub(super) fn bytes(recordings: &[Recording]) -> String {
    recordings.iter().map(json::to_json).collect()
}

/// The first line in which two runs of a schedule differ.
fn difference(schedule: &Schedule, variation: Variation) -> Option<String> {
    let plain = bytes(&run(schedule, Variation::default()).recordings);
    let varied = bytes(&run(schedule, variation).recordings);
    let mut lines = plain.lines().zip(varied.lines());
    let differs = lines.find(|(plain, varied)| plain != varied);
    (plain != varied).then(|| format!("{differs:?}"))
}

/// No schedule gives other recordings when it is varied.
fn changes_nothing(variation: impl Fn(u64) -> Variation) {
    for seed in 0..SCHEDULES / 4 {
        let schedule = calm(seed);
        if let Some(why) = difference(&schedule, variation(seed)) {
            let differs = |schedule: &Schedule| difference(schedule, variation(seed)).is_some();
            panic!("seed {seed}: {why}\n{}", shrink(schedule, differs));
        }
    }
}

#[test]
fn order_of_arrival_changes_nothing() {
    changes_nothing(|seed| Variation {
        shuffle: Some(seed),
        ..Variation::default()
    });
}

#[test]
fn checkpoints_change_nothing() {
    changes_nothing(|_| Variation {
        checkpoints: true,
        ..Variation::default()
    });
}

#[test]
fn merge_order_changes_nothing() {
    for seed in 0..SCHEDULES / 40 {
        let recordings: Vec<Recording> = (0..3)
            .flat_map(|part| run(&Schedule::new(seed * 3 + part), Variation::default()).recordings)
            .collect();
        let forward = merge(recordings.clone());
        let backward = merge(recordings.iter().rev().cloned());
        assert_eq!(
            forward.as_ref().map(json::to_json),
            backward.as_ref().map(json::to_json),
            "{seed}"
        );
    }
}

/// Puts a fault into the recorder as long as it lives.
pub(super) struct Fault;

impl Fault {
    pub(super) fn new(mutation: Mutation) -> Self {
        mutation::set(Some(mutation));
        Self
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        mutation::set(None);
    }
}

/// The fault is found, within the schedules that run without it and find nothing.
fn is_found(mutation: Mutation) {
    let fault = Fault::new(mutation);
    let found = first_failure(0..SCHEDULES);
    let Some((schedule, why)) = found else {
        panic!("{mutation:?} is not found");
    };
    let short = shrink(schedule.clone(), |schedule| failure(schedule).is_some());
    println!(
        "{mutation:?}: seed {}: {why}; {} of {} steps show it",
        schedule.seed,
        short.ops.len(),
        schedule.ops.len()
    );
    drop(fault);
    assert_eq!(failure(&short), None, "without the fault: {short}");
}

macro_rules! found {
    ($($name:ident: $mutation:ident,)*) => {$(
        #[test]
        fn $name() {
            is_found(Mutation::$mutation);
        }
    )*};
}

found! {
    finds_a_dropped_event: DropEvent,
    finds_a_skipped_final_read: SkipFinalRead,
    finds_a_skipped_read_at_removal: SkipReadAtRemoval,
    finds_accesses_left_in_the_ring: SkipAccessesAtRemoval,
    finds_events_left_in_the_ring: SkipEventsAtRemoval,
    finds_skipped_notices: SkipMissedNotices,
    finds_skipped_values: SkipValues,
    finds_stale_rows: KeepStaleRows,
    finds_rows_released_too_early: ReleaseAtOnce,
    finds_a_watched_cgroup_that_is_released: ReleaseWatched,
    finds_swapped_instances: SwapInstances,
    finds_a_wrong_phase: WrongPhase,
    finds_forgotten_lost_calls: ForgetLostCalls,
    finds_forgotten_lost_events: ForgetLostEvents,
    finds_a_wrong_name: WrongName,
    finds_kept_observations_of_forgotten_instances: KeepForgotten,
    finds_forgotten_states: ForgetState,
}

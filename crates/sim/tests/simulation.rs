//! The programs hold what they promise, whatever happens and wherever they are interrupted; and a
//! mistake in them would be noticed.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use tracer_sim::{Event, Failure, Mutation, Report, Schedule, Settings, mutate, run, shrink};

/// How many schedules are tried.
const SCHEDULES: u64 = 20_000;

/// Runs schedules on all CPUs until one fails. Returns its number, the lowest of those that were found.
fn first_failure(mutation: Option<Mutation>) -> Option<u64> {
    let (next, found) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let over = AtomicBool::new(false);
    let work = || {
        mutate(mutation);
        while !over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= SCHEDULES {
                return;
            }
            if run(&Schedule::random(seed)).is_err() {
                found.fetch_min(seed, Ordering::Relaxed);
                over.store(true, Ordering::Relaxed);
            }
        }
    };
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cpus {
            scope.spawn(work);
        }
    });
    let seed = found.into_inner();
    (seed != u64::MAX).then_some(seed)
}

/// What a schedule fails with, when the programs make a mistake.
fn failure(schedule: &Schedule, mutation: Option<Mutation>) -> Option<Failure> {
    mutate(mutation);
    let failure = run(schedule).err();
    mutate(None);
    failure
}

#[test]
fn every_call_is_filed_under_who_made_it_or_counted_as_lost() {
    if let Some(seed) = first_failure(None) {
        let schedule = Schedule::random(seed);
        let small = shrink(&schedule);
        let failure = run(&small).unwrap_err();
        panic!("{failure}\n{small}");
    }
}

#[test]
fn every_mutation_is_caught() {
    for mutation in Mutation::ALL {
        assert!(
            first_failure(Some(mutation)).is_some(),
            "{SCHEDULES} schedules did not notice {mutation:?}"
        );
    }
}

#[test]
fn a_schedule_always_does_the_same() {
    for seed in 0..200 {
        let schedule = Schedule::random(seed);
        let first: Report = run(&schedule).unwrap();
        assert_eq!(run(&schedule).unwrap(), first, "schedule {seed}");
    }
}

#[test]
fn a_failing_schedule_is_made_smaller_and_still_fails() {
    let mutation = Some(Mutation::AttachKeepsEpoch);
    let seed = first_failure(mutation).unwrap();
    let schedule = Schedule::random(seed);
    mutate(mutation);
    let small = shrink(&schedule);
    mutate(None);
    assert!(small.events.len() < schedule.events.len() / 2, "{small}");
    assert!(failure(&small, mutation).is_some(), "{small}");
    assert_eq!(failure(&small, None), None, "{small}");
}

/// A schedule of one CPU and large maps.
fn schedule(events: &[Event]) -> Schedule {
    Schedule {
        seed: 0,
        cpus: 1,
        one_in: 0,
        settings: Settings::default(),
        events: (0..).zip(events.iter().copied()).collect(),
    }
}

/// The process of task 1 runs in a recorded cgroup.
const RECORDED: [Event; 4] = [
    Event::Mkdir {
        cgroup: 1,
        parent: 0,
    },
    Event::Watch {
        cgroup: 1,
        container: false,
    },
    Event::Fork {
        task: 0,
        child: 1,
        thread: false,
        into: None,
        silent: false,
        stack: 0,
    },
    Event::Move { task: 1, cgroup: 1 },
];

/// The latest stack that was given back gets another owner, and no fork is told.
const SILENT_FORK: Event = Event::Fork {
    task: 0,
    child: 2,
    thread: false,
    into: None,
    silent: true,
    stack: 0,
};

const CALL_OF_2: Event = Event::Call {
    task: 2,
    call: 2,
    value: 0,
};

#[test]
fn a_task_outside_is_not_filed_under_the_former_owner_of_its_stack() {
    let mut events = RECORDED.to_vec();
    events.extend([Event::Exit { task: 1 }, SILENT_FORK, CALL_OF_2]);
    let schedule = schedule(&events);
    assert_eq!(failure(&schedule, None), None);
    let failure = failure(&schedule, Some(Mutation::ExitKeepsSlot)).unwrap();
    assert!(failure.0.contains("who did not do it"), "{failure}");
}

#[test]
fn a_recorded_task_is_not_lost_to_the_former_owner_of_its_stack() {
    let mut events = RECORDED.to_vec();
    // Task 3 is not recorded; its stack goes to a thread of the recorded process.
    events.extend([
        Event::Fork {
            task: 0,
            child: 3,
            thread: false,
            into: None,
            silent: false,
            stack: 0,
        },
        Event::Call {
            task: 3,
            call: 0,
            value: 0,
        },
        Event::Exit { task: 3 },
        Event::Fork {
            task: 1,
            child: 2,
            thread: true,
            into: None,
            silent: true,
            stack: 0,
        },
        CALL_OF_2,
    ]);
    let schedule = schedule(&events);
    assert_eq!(failure(&schedule, None), None);
    let failure = failure(&schedule, Some(Mutation::ExitKeepsSlot)).unwrap();
    assert!(failure.0.contains("missing"), "{failure}");
}

#[test]
fn a_call_during_a_move_does_not_decide_where_later_calls_are_filed() {
    // A process goes from one container to another, and makes a call while its move is in force and
    // the tracepoint's program is at work.
    let mutation = Some(Mutation::EpochBeforeEntry);
    let seed = first_failure(mutation).unwrap();
    let schedule = Schedule::random(seed);
    assert!(failure(&schedule, mutation).is_some());
    assert_eq!(failure(&schedule, None), None);
}

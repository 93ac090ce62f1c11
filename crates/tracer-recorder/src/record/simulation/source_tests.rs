//! The recorder over the programs' own source, and with faults on both sides.

use tracer_ebpf::machine::{self, mutate};

use super::{
    Outcome, Variation, calm, check,
    facts::OPENED,
    run,
    schedule::{Action, Op, Schedule, shrink},
    tests::{Fault, bytes},
};
use crate::record::mutation::Mutation;
use tracer_core::recording::Recording;

/// How many schedules each test runs.
const SCHEDULES: u64 = 1_000;

const ON_SOURCE: Variation = Variation {
    shuffle: None,
    checkpoints: false,
    supervised: None,
    source: true,
};

/// A schedule of what the source can be shown: files are opened, and no mark is held back. Before a filter
/// stops a call, its process makes one, so that the programs know where it is.
fn shown(schedule: Schedule) -> Schedule {
    let mut ops = Vec::new();
    for op in schedule.ops {
        let (action, again): (_, &dyn Fn(Action) -> Op) = match op {
            Op::Do(action) => (action, &Op::Do),
            Op::During(at, action) => (action, &move |action| Op::During(at, action)),
            Op::Look(_) | Op::Checkpoint => {
                ops.push(op);
                continue;
            }
        };
        match action {
            Action::Hold(task, which, _) => ops.push(again(Action::Call(task, which, 0))),
            Action::Access(task, what) => ops.push(again(Action::Access(task, OPENED + what % 2))),
            Action::Blocked(task, ..) => {
                ops.push(again(Action::Call(task, 0, 0)));
                ops.push(again(action));
            }
            action => ops.push(again(action)),
        }
    }
    Schedule { ops, ..schedule }
}

fn failure(schedule: &Schedule) -> Option<String> {
    let outcome: Outcome = run(schedule, ON_SOURCE);
    check::check(schedule, &outcome).err()
}

fn first_failure(seeds: std::ops::Range<u64>) -> Option<(Schedule, String)> {
    let mut schedules = seeds.map(|seed| shown(Schedule::roomy(seed)));
    schedules.find_map(|schedule| {
        let why = failure(&schedule)?;
        Some((schedule, why))
    })
}

#[test]
fn recordings_hold_what_the_source_saw() {
    if let Some((schedule, why)) = first_failure(0..SCHEDULES) {
        let short = shrink(schedule, |schedule| failure(schedule).is_some());
        let short_why = failure(&short).unwrap_or_default();
        panic!("{why}\nthe shortest that fails: {short_why}\n{short}");
    }
}

#[test]
fn order_of_arrival_and_checkpoints_change_nothing() {
    for seed in 0..SCHEDULES / 4 {
        let schedule = shown(calm(seed));
        let plain = bytes(&run(&schedule, ON_SOURCE).recordings);
        let variations = [
            Variation {
                shuffle: Some(seed),
                ..ON_SOURCE
            },
            Variation {
                checkpoints: true,
                ..ON_SOURCE
            },
        ];
        for variation in variations {
            let varied = bytes(&run(&schedule, variation).recordings);
            let mut lines = plain.lines().zip(varied.lines());
            let differs = lines.find(|(plain, varied)| plain != varied);
            assert!(plain == varied, "{differs:?}\n{variation:?}\n{schedule}");
        }
    }
}

/// Without what the model makes up: what is in registers, whose a file is, and by which call it is opened.
fn without_invention(recording: &mut Recording) {
    let syscalls = recording.syscalls.iter_mut();
    for evidence in syscalls.flat_map(|it| &mut it.evidence) {
        if let Some(first) = &mut evidence.first {
            first.args = [0; 6];
        }
    }
    recording.files.clear();
}

#[test]
fn model_and_source_record_the_same_calls() {
    for seed in 0..SCHEDULES / 4 {
        // The model does not make the call that loads a filter.
        let mut schedule = shown(calm(seed));
        schedule
            .ops
            .retain(|op| !matches!(op, Op::Do(Action::Filter(_))));
        let [of_source, of_model] = [ON_SOURCE, Variation::default()].map(|variation| {
            let mut recordings = run(&schedule, variation).recordings;
            recordings.iter_mut().for_each(without_invention);
            bytes(&recordings)
        });
        let mut lines = of_model.lines().zip(of_source.lines());
        let differs = lines.find(|(model, source)| model != source);
        assert!(of_model == of_source, "{differs:?}\n{schedule}");
    }
}

/// A fault of the recorder is seen as over the model. Those that need a full table or ring, or a row that is
/// soon another's, are left to the model.
#[test]
fn finds_faults_of_the_recorder() {
    for mutation in [
        Mutation::DropEvent,
        Mutation::SkipFinalRead,
        Mutation::SkipReadAtRemoval,
        Mutation::SkipEventsAtRemoval,
        Mutation::SkipValues,
        Mutation::KeepStaleRows,
        Mutation::SwapInstances,
        Mutation::WrongPhase,
        Mutation::WrongName,
        Mutation::KeepForgotten,
        Mutation::ForgetState,
    ] {
        let fault = Fault::new(mutation);
        let found = first_failure(0..SCHEDULES);
        drop(fault);
        assert!(found.is_some(), "{mutation:?} is not found");
    }
}

/// A fault of the programs is seen in the recordings. Those that need another CPU between two operations on
/// maps, or a full map, are left to `tracer-sim`.
#[test]
fn finds_faults_of_the_programs() {
    for mutation in [
        machine::Mutation::StackKeepsSlot,
        machine::Mutation::AttachKeepsEpoch,
        machine::Mutation::ExecKeepsSlot,
        machine::Mutation::NextRow,
        machine::Mutation::ChildIsItsOwn,
        machine::Mutation::IgnoreFiltered,
        machine::Mutation::BlockedInOrdinaryRow,
    ] {
        mutate(Some(mutation));
        let found = first_failure(0..SCHEDULES);
        mutate(None);
        assert!(found.is_some(), "{mutation:?} is not found");
    }
}

//! What the hot paths of the kernel side cost, counted: the programs of the object run in user
//! space, on a kernel that is made up, and must not take more than they are allowed to.
//!
//! Times differ by processor and by what else runs there. How much is executed does not.

#![expect(
    clippy::cast_possible_truncation,
    reason = "machine words, as the instruction set has them"
)]

mod helpers;
mod interpreter;
mod workload;

use interpreter::Cost;
use workload::Workload;

/// The most that a path may execute: instructions, look-ups in arrays, helper calls.
struct Limit {
    path: &'static str,
    cost: [u32; 3],
    run: fn(&mut Workload) -> Cost,
}

/// System calls of x86-64.
const READ: u32 = 0;
const CLOSE: u32 = 3;
const FCNTL: u32 = 72;
const OPENAT: u32 = 257;

const LIMITS: [Limit; 8] = [
    Limit {
        path: "entry of a call that was seen",
        cost: [110, 3, 0],
        run: |it| it.enters(READ),
    },
    Limit {
        path: "entry of a call that was seen, with recorded arguments",
        cost: [229, 5, 0],
        run: |it| it.enters(FCNTL),
    },
    Limit {
        path: "entry of a call, not recorded",
        cost: [44, 1, 0],
        run: |it| it.outside(|it| it.enters(READ)),
    },
    Limit {
        path: "end of a call that touches no file",
        cost: [132, 3, 0],
        run: |it| it.leaves(READ, 1),
    },
    Limit {
        path: "end of a call that touches no file, not recorded",
        cost: [83, 2, 0],
        run: |it| it.outside(|it| it.leaves(READ, 1)),
    },
    Limit {
        path: "end of close",
        cost: [132, 3, 0],
        run: |it| it.leaves(CLOSE, 0),
    },
    Limit {
        path: "end of an open, not recorded",
        cost: [83, 2, 0],
        run: |it| it.outside(|it| it.leaves(OPENAT, workload::DESCRIPTOR)),
    },
    Limit {
        path: "end of an open of a file that was seen",
        cost: [969, 5, 24],
        run: |it| it.leaves(OPENAT, workload::DESCRIPTOR),
    },
];

#[test]
fn hot_paths_execute_no_more_than_their_limits() {
    let Some(mut workload) = Workload::new() else {
        eprintln!("SKIPPED hot_paths_execute_no_more_than_their_limits: needs the kernel object");
        return;
    };
    let mut exceeded = Vec::new();
    println!(
        "{:60} {:>12} {:>8} {:>8}",
        "", "instructions", "arrays", "helpers"
    );
    for Limit { path, cost, run } in LIMITS {
        // The first time it is new, the second time it is in no slot, perhaps.
        for _ in 0..2 {
            run(&mut workload);
        }
        let events = workload.events();
        let Cost {
            instructions,
            arrays,
            helpers,
        } = run(&mut workload);
        assert_eq!(workload.events(), events, "{path}: it was seen before");
        println!("{path:60} {instructions:>12} {arrays:>8} {helpers:>8}");
        if instructions > cost[0] || arrays > cost[1] || helpers > cost[2] {
            exceeded.push(path);
        }
    }
    assert!(exceeded.is_empty(), "more than allowed: {exceeded:?}");
}

/// The interpreter sees what the kernel would: a limit that is kept by doing nothing is no limit.
#[test]
fn new_call_and_new_file_are_reported() {
    let Some(mut workload) = Workload::new() else {
        eprintln!("SKIPPED new_call_and_new_file_are_reported: needs the kernel object");
        return;
    };
    for (what, run) in [
        (
            "a call",
            (|it| it.enters(READ)) as fn(&mut Workload) -> Cost,
        ),
        ("an open file", |it| it.leaves(OPENAT, workload::DESCRIPTOR)),
    ] {
        let before = workload.events();
        run(&mut workload);
        assert_eq!(workload.events(), before + 1, "{what} is new");
        workload.outside(run);
        run(&mut workload);
        assert_eq!(
            workload.events(),
            before + 1,
            "{what} was seen, or is not recorded"
        );
    }
}

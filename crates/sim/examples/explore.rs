//! Runs schedules from a first number on, and prints those that fail, made smaller. With a third word,
//! the programs make that mistake.
//!
//! `cargo run --release -p tracer-sim --example explore -- FIRST COUNT [MISTAKE]`

use std::time::Instant;

use tracer_sim::{Mutation, Schedule, mutate, run, shrink};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| {
        let word = words.get(at).and_then(|word| word.parse().ok());
        word.unwrap_or(default)
    };
    let (first, count): (u64, u64) = (number(0, 0), number(1, 10_000));
    let mut all = Mutation::ALL.into_iter();
    mutate(all.find(|one| words.get(2).is_some_and(|word| *word == format!("{one:?}"))));
    let begin = Instant::now();
    let (mut deeds, mut interruptions, mut failures) = (0, 0, 0);
    for seed in first..first + count {
        let schedule = Schedule::random(seed);
        match run(&schedule) {
            Ok(report) => {
                deeds += report.deeds;
                interruptions += report.interruptions;
            }
            Err(_) => {
                failures += 1;
                if failures <= 3 {
                    let small = shrink(&schedule);
                    if let Err(failure) = run(&small) {
                        println!("{failure}\n{small}");
                    }
                }
            }
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{count} schedules in {seconds:.1} s, {deeds} deeds, {interruptions} interruptions, {failures} failures"
    );
}

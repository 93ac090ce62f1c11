//! Makes a schedule that fails smaller.

use crate::driver::run;
use crate::event::Schedule;

/// Leaves out all events that a schedule fails without. One that does not fail is returned as it is.
pub fn shrink(schedule: &Schedule) -> Schedule {
    let mut best = schedule.clone();
    if run(&best).is_ok() {
        return best;
    }
    let mut chunk = best.events.len();
    while chunk > 0 {
        let mut at = 0;
        let mut smaller = false;
        while at < best.events.len() {
            let mut trial = best.clone();
            trial.events.drain(at..(at + chunk).min(best.events.len()));
            if run(&trial).is_err() {
                best = trial;
                smaller = true;
            } else {
                at += chunk;
            }
        }
        if chunk > 1 || !smaller {
            chunk /= 2;
        }
    }
    best
}

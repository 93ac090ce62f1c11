//! Results as text.

use std::collections::BTreeMap;

use super::{Scale, footprint::Executables};
use crate::{
    stats::Summary,
    table::{self, Table},
};

/// Goal for the growth of a call's cost from the fewest cgroups to the most, in per cent.
const GOAL_GROWTH: f64 = 10.0;
/// Goal for resident memory, in MiB, with [`GOAL_CGROUPS`] cgroups.
const GOAL_RESIDENT: f64 = 32.0;
const GOAL_CGROUPS: usize = 1_000;
/// The tables, and what was reached.
pub(super) fn print(results: &Scale) {
    let mut costs = Table::new(&[
        "getppid in one of",
        "ns a call",
        "added",
        "× the floor's",
        "quartiles",
    ]);
    for cost in &results.costs {
        let (Some(total), Some(added), Some(ratio)) = (
            Summary::of(&cost.tracer),
            Summary::of(&cost.added()),
            Summary::of(&cost.ratio()),
        ) else {
            continue;
        };
        costs.row(vec![
            format!("{} cgroups, {}", cost.cgroups, recorded(cost.recorded)),
            table::number(total.median),
            table::number(added.median),
            table::times(ratio.median),
            table::quartiles(&ratio),
        ]);
    }
    println!("{}", costs.render());
    let mut footprints = Table::new(&[
        "recorded cgroups, programs in them",
        "maps, MiB",
        "resident, MiB",
        "at most, MiB",
        "CPU steady, %",
        "CPU of visits, ms",
        "visits, ms",
        "losses",
    ]);
    for f in &results.footprints {
        footprints.row(vec![
            format!(
                "{}, {}",
                f.cgroups,
                match f.executables {
                    Executables::Same => "one program",
                    Executables::Own => "each its own",
                }
            ),
            format!("{:.1}", mib(f.maps >> 10)),
            format!("{:.1}", mib(f.resident_kib)),
            format!("{:.1}", mib(f.peak_kib)),
            format!("{:.2}", f.cpu_steady),
            format!("{:.0}", f.cpu_visits_ms),
            format!("{:.0}", f.visits_ms),
            losses(&f.losses),
        ]);
    }
    println!("{}", footprints.render());
    goals(results);
}

fn goals(results: &Scale) {
    for is_recorded in [true, false] {
        let ratios: Vec<_> = results
            .costs
            .iter()
            .filter(|cost| cost.recorded == is_recorded)
            .filter_map(|cost| Some((cost.cgroups, Summary::of(&cost.ratio())?.median)))
            .collect();
        if let (Some((fewest, low)), Some((most, high))) = (
            ratios.iter().min_by_key(|(n, _)| *n),
            ratios.iter().max_by_key(|(n, _)| *n),
        ) {
            let what = format!(
                "growth of a call's added cost from {fewest} to {most} cgroups, {}",
                recorded(is_recorded)
            );
            println!(
                "{}",
                table::goal(&what, GOAL_GROWTH, "%", (high / low - 1.0) * 100.0)
            );
        }
    }
    for f in results
        .footprints
        .iter()
        .filter(|f| f.cgroups == GOAL_CGROUPS)
    {
        let what = format!(
            "memory at most, {} cgroups, {:?} programs",
            f.cgroups, f.executables
        );
        println!(
            "{}",
            table::goal(&what, GOAL_RESIDENT, "MiB", mib(f.peak_kib))
        );
    }
}

/// `5 events`, or `none`.
fn losses(losses: &BTreeMap<String, u64>) -> String {
    let some: Vec<_> = losses
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    if some.is_empty() {
        "none".to_owned()
    } else {
        some.join(", ")
    }
}

const fn recorded(recorded: bool) -> &'static str {
    if recorded { "recorded" } else { "not recorded" }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

//! The tables of `profile`.

use super::OnRuntime;
use crate::{
    results::Workload,
    stats::Summary,
    table::{Table, number, times},
};

/// The filters that a runtime made of the profiles.
pub(super) fn filters(runtime: &OnRuntime) -> String {
    let calls = runtime.filters.first().map(|first| &first.calls);
    let names: Vec<_> = calls
        .into_iter()
        .flatten()
        .map(|(name, ..)| *name)
        .collect();
    let mut head = vec![
        format!("filter, {}", runtime.runtime),
        "instructions".to_owned(),
    ];
    head.extend(names.iter().map(|name| format!("run for {name}")));
    let head: Vec<_> = head.iter().map(String::as_str).collect();
    let mut table = Table::new(&head);
    for filter in &runtime.filters {
        let mut row = vec![filter.title.to_owned(), filter.instructions.to_string()];
        row.extend(filter.calls.iter().map(|(_, steps, in_bitmap)| {
            if *in_bitmap {
                format!("0 ({steps})")
            } else {
                steps.to_string()
            }
        }));
        table.row(row);
    }
    table.render()
}

/// One work under all profiles.
pub(super) fn workload(runtime: &str, workload: &Workload) -> String {
    let (unit, divisor) = if workload.one_call {
        ("ns a call", 1.0)
    } else {
        ("µs a process", 1e3)
    };
    let title = format!("{}, {runtime}", workload.title);
    let mut table = Table::new(&[&title, unit, "min..max", "added", "quartiles", "added, %"]);
    for measured in &workload.conditions {
        let (Some(total), Some(added), Some(percent)) = (
            Summary::of(&measured.samples),
            Summary::of(&workload.added(measured)),
            Summary::of(&workload.percent(measured)),
        ) else {
            continue;
        };
        let shown = |value: f64| number(value / divisor);
        let mut row = vec![
            measured.title.clone(),
            shown(total.median),
            format!("{}..{}", shown(total.min), shown(total.max)),
        ];
        if measured.name != "none" {
            row.extend([
                shown(added.median),
                format!(
                    "{}..{}",
                    shown(added.lower_quartile),
                    shown(added.upper_quartile)
                ),
                times(percent.median),
            ]);
        }
        table.row(row);
    }
    table.render()
}

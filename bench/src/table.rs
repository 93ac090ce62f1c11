//! Results as text.

use crate::{
    results::{Startup, Workload},
    stats::Summary,
};

/// Columns of text, each as wide as its widest cell; the first is aligned left, the others right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()],
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// As Markdown, which is legible as it stands.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns)
            .map(|column| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            for (column, &width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                text.push_str(&match column {
                    0 => format!("| {cell:<width$} |"),
                    _ => format!(" {cell:>width$} |"),
                });
            }
            text.push('\n');
            if index == 0 {
                for (column, &width) in widths.iter().enumerate() {
                    text.push_str(&match column {
                        0 => format!("| {} |", "-".repeat(width)),
                        _ => format!(" {}: |", "-".repeat(width - 1)),
                    });
                }
                text.push('\n');
            }
        }
        text
    }
}

/// One workload under all conditions. What a call adds is compared with the floor; what work of
/// many calls adds, with the work.
pub(crate) fn workload(workload: &Workload) -> String {
    let (unit, divisor, share) = if workload.one_call {
        ("ns a call", 1.0, "× the floor's")
    } else {
        ("µs a process", 1e3, "added, %")
    };
    let mut table = Table::new(&[
        workload.title,
        unit,
        "min..max",
        "added",
        share,
        "quartiles",
    ]);
    for measured in &workload.conditions {
        let shares = if workload.one_call {
            workload.ratio(measured)
        } else {
            workload.percent(measured)
        };
        let (Some(total), Some(added), Some(share)) = (
            Summary::of(&measured.samples),
            Summary::of(&workload.added(measured)),
            Summary::of(&shares),
        ) else {
            continue;
        };
        let mut row = vec![
            measured.title.clone(),
            number(total.median / divisor),
            format!(
                "{}..{}",
                number(total.min / divisor),
                number(total.max / divisor)
            ),
        ];
        if measured.name != "none" {
            row.extend([
                number(added.median / divisor),
                times(share.median),
                quartiles(&share),
            ]);
        }
        table.row(row);
    }
    table.render()
}

/// `tracer record -- true` beside `true`.
pub(crate) fn startup(startup: &Startup) -> String {
    let mut table = Table::new(&["startup, ms", "median", "min..max"]);
    for (name, samples) in [
        ("true", &startup.plain),
        ("tracer record -- true", &startup.recorded),
        ("added", &startup.added()),
    ] {
        if let Some(s) = Summary::of(samples) {
            table.row(vec![
                name.to_owned(),
                format!("{:.1}", s.median),
                format!("{:.1}..{:.1}", s.min, s.max),
            ]);
        }
    }
    table.render()
}

/// One line about a goal; it informs and fails nothing.
pub(crate) fn goal(what: &str, limit: f64, unit: &str, reached: f64) -> String {
    let verdict = if reached <= limit { "PASS" } else { "FAIL" };
    format!("{verdict}  {what}: {reached:.2} {unit} (goal: at most {limit} {unit})")
}

/// A figure with as many digits as it deserves.
pub(crate) fn number(x: f64) -> String {
    if x.abs() >= 1000.0 {
        format!("{x:.0}")
    } else {
        format!("{x:.1}")
    }
}

/// A ratio.
pub(crate) fn times(x: f64) -> String {
    if x.abs() >= 100.0 {
        format!("{x:.0}")
    } else {
        format!("{x:.2}")
    }
}

/// The quartiles of ratios.
pub(crate) fn quartiles(summary: &Summary) -> String {
    format!(
        "{}..{}",
        times(summary.lower_quartile),
        times(summary.upper_quartile)
    )
}

//! Pieces of text. What comes from a recording goes through here, and is spelled out where it is not printable ASCII.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::escape::{printable, visible};
use tracer_core::recording::Executable;

/// Most executables that are named at once.
const MAX_NAMED: usize = 6;

/// A name that a workload chose.
pub(super) fn name(text: &str) -> Markup {
    html! { code { (visible(text)) } }
}

/// What is escaped in a way of its own already: a rule, a condition.
pub(super) fn literal(text: &str) -> Markup {
    html! { code { (printable(text)) } }
}

/// A sentence of a recording.
pub(super) fn sentence(text: &str) -> String {
    let text = printable(text);
    let mut chars = text.chars();
    let capital = chars.next().map(|c| c.to_ascii_uppercase());
    let mut text: String = capital.into_iter().chain(chars).collect();
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// Several executables.
pub(super) fn executables(all: &BTreeSet<Executable>) -> Markup {
    let more = all.len().saturating_sub(MAX_NAMED);
    html! {
        @for (at, executable) in all.iter().take(MAX_NAMED).enumerate() {
            @if at > 0 { ", " }
            @match executable {
                Executable::Path(path) => { (name(path)) }
                Executable::Truncated(beginning) => { (name(beginning)) " (cut off)" }
                Executable::Launcher => { "container runtime or tracer (before exec)" }
                Executable::Unknown => { "an unknown program" }
            }
        }
        @if more > 0 { ", and " (more) " more" }
    }
}

/// `1 call`, `2,000 calls`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        thousands(number),
        if number == 1 { one } else { many }
    )
}

/// A number with a comma at each thousand.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A span of time: `12 ms`, `3.4 s`, `5 min`, `2 h`.
#[expect(
    clippy::cast_precision_loss,
    reason = "below 2^53 microseconds are 285 years"
)]
pub(super) fn span(nanoseconds: u64) -> String {
    let seconds = nanoseconds as f64 / 1e9;
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_numbers_and_times() {
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(count(1, "call", "calls"), "1 call");
        for (nanoseconds, shown) in [
            (12_345_678, "12 ms"),
            (3_440_000_000, "3.4 s"),
            (61_000_000_000, "61 s"),
            (300_000_000_000, "5 min"),
            (7_200_000_000_000, "2 h"),
        ] {
            assert_eq!(span(nanoseconds), shown);
        }
    }

    #[test]
    fn names_are_escaped() {
        let markup = name("<b>\u{202e}\x1b[2J\"&").into_string();
        assert_eq!(markup, "<code>&lt;b&gt;\\u{202e}\\x1b[2J&quot;&amp;</code>");
    }
}

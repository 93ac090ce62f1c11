//! The surface of the kernel that the workload can reach, beside what Docker's default profile leaves open: a mark for each
//! call, in groups by what calls are for.
//!
//! What a mark means shows in its shape and in how it is filled; colour only repeats it.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{Report, page::Part};
use syscalls::{category::CATEGORIES, defaults};
use tracer_core::profile::Layer;

/// Marks in a line, and the distance between two.
const LINE: usize = 28;
const PITCH: usize = 16;

/// What is to be told of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Not in Docker's default, and the workload was seen to need it.
    NewUsed,
    /// Not in Docker's default, and allowed by another layer.
    NewAdded,
    /// In it, and the workload was seen to make it.
    Used,
    /// In it, and allowed by another layer.
    Added,
    /// In it, and not allowed any more.
    Unused,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Used,
        Self::Added,
        Self::Unused,
        Self::NewUsed,
        Self::NewAdded,
    ];

    const fn class(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Added => "added",
            Self::Unused => "unused",
            Self::NewUsed => "new",
            Self::NewAdded => "newadded",
        }
    }

    const fn says(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Added => "allowed for the runtime, libc or kernel",
            Self::Unused => "allowed by Docker's default, not used: denied here",
            Self::NewUsed => "used, denied by Docker's default",
            Self::NewAdded => "allowed for the runtime or libc, denied by Docker's default",
        }
    }
}

/// Calls of one group with their states, by state and name.
struct Group {
    title: &'static str,
    marks: Vec<(State, &'static str)>,
}

impl Group {
    fn number(&self, state: State) -> usize {
        self.marks.iter().filter(|mark| mark.0 == state).count()
    }
}

fn groups(report: &Report<'_>) -> Vec<Group> {
    let granted: BTreeSet<_> = defaults::allowed_by_default().collect();
    let state = |name: &str| {
        let layer = report.seccomp.rule(name).and_then(|rule| rule.layer());
        match (granted.contains(name), layer) {
            (true, Some(Layer::Observed)) => Some(State::Used),
            (true, Some(_)) => Some(State::Added),
            (true, None) => Some(State::Unused),
            (false, Some(Layer::Observed)) => Some(State::NewUsed),
            (false, Some(_)) => Some(State::NewAdded),
            (false, None) => None,
        }
    };
    let groups = CATEGORIES.iter().map(|category| {
        let calls = category.calls.iter();
        let mut marks: Vec<_> = calls
            .filter_map(|name| Some((state(name)?, *name)))
            .collect();
        marks.sort_unstable_by_key(|(state, name)| {
            (State::ALL.iter().position(|it| it == state), *name)
        });
        Group {
            title: category.title,
            marks,
        }
    });
    groups.filter(|group| !group.marks.is_empty()).collect()
}

pub(super) fn part(report: &Report<'_>) -> Part {
    let groups = groups(report);
    let sum = |state| {
        groups
            .iter()
            .map(|group| group.number(state))
            .sum::<usize>()
    };
    let new = sum(State::NewUsed) + sum(State::NewAdded);
    let (granted, unused) = (defaults::allowed_by_default().count(), sum(State::Unused));
    Part {
        id: "surface",
        title: "Compared with Docker's default",
        number: None,
        body: html! {
            p {
                "Docker's default profile allows " (granted) " system calls of x86-64, some with restricted arguments. This profile denies "
                strong { (unused) } " of them"
                @if new == 0 { " and allows none that Docker's default denies." }
                @else { "; it allows " strong { (new) } " that Docker's default denies." }
            }
            (bar(State::ALL.map(|state| (state, sum(state)))))
            ul.legend { @for state in State::ALL { @if sum(state) > 0 {
                li { svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" { (mark(state, 0, 0)) } " " b { (sum(state)) } " " (state.says()) }
            } } }
            div.surface { @for group in &groups { (picture(group)) } }
            (table(&groups))
            p.note { "Calls are grouped by purpose. Calls that exist only in 32-bit ABIs are shown if they are allowed. Docker's default allows more in a container with more capabilities." }
        },
    }
}

/// All of them as one bar.
fn bar(parts: [(State, usize); 5]) -> Markup {
    let total: usize = parts.iter().map(|part| part.1).sum::<usize>().max(1);
    let scale = |number: usize| number * 1000 / total;
    let mut at = 0;
    let mut shown = Vec::new();
    for (state, number) in parts {
        if number > 0 {
            shown.push((state, number, scale(at), scale(at + number) - scale(at)));
            at += number;
        }
    }
    let words: Vec<_> = shown
        .iter()
        .map(|(state, number, ..)| format!("{number} {}", state.says()))
        .collect();
    html! {
        svg.bar viewBox="0 0 1000 28" preserveAspectRatio="none" role="img" aria-label=(words.join("; ")) {
            @for (state, _, x, width) in shown {
                rect class=(state.class()) x=(x) y="2" width=(width.saturating_sub(3).max(2)) height="24" rx="3" {}
            }
        }
    }
}

fn picture(group: &Group) -> Markup {
    let lines = group.marks.len().div_ceil(LINE);
    let columns = group.marks.len().min(LINE);
    let (width, height) = (columns * PITCH, lines * PITCH);
    let new = group.number(State::NewUsed) + group.number(State::NewAdded);
    let counts = format!(
        "{} used, {} added, {} denied{}",
        group.number(State::Used) + group.number(State::NewUsed),
        group.number(State::Added) + group.number(State::NewAdded),
        group.number(State::Unused),
        if new > 0 {
            format!(", {new} new")
        } else {
            String::new()
        }
    );
    html! {
        figure {
            figcaption { (group.title) " " small { (counts) } }
            svg viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) role="img" aria-label=(format!("{}: {counts}", group.title)) {
                @for (at, (state, name)) in group.marks.iter().enumerate() {
                    g { title { (name) ": " (state.says()) } (mark(*state, at % LINE * PITCH, at / LINE * PITCH)) }
                }
            }
        }
    }
}

/// Squares are what Docker's default grants, diamonds what it does not; full is used, a ring is added, an outline is unused.
fn mark(state: State, x: usize, y: usize) -> Markup {
    let diamond = |inset: usize| {
        let (middle, end) = (8, 15 - inset);
        format!(
            "M{} {}L{} {}L{} {}L{} {}Z",
            x + middle,
            y + 1 + inset,
            x + end,
            y + middle,
            x + middle,
            y + end,
            x + 1 + inset,
            y + middle
        )
    };
    html! {
        @match state {
            State::Used => { rect.used x=(x + 2) y=(y + 2) width="12" height="12" rx="2" {} }
            State::Added => { rect.added x=(x + 3) y=(y + 3) width="10" height="10" rx="1" {} rect.core x=(x + 6) y=(y + 6) width="4" height="4" {} }
            State::Unused => { rect.unused x=(x + 3) y=(y + 3) width="10" height="10" rx="2" {} }
            State::NewUsed => { path.new d=(diamond(0)) {} }
            State::NewAdded => { path.newadded d=(diamond(1)) {} }
        }
    }
}

/// The same in words: for a screen reader, for a search, for paper.
fn table(groups: &[Group]) -> Markup {
    let names = |group: &Group, states: &[State]| {
        let named: Vec<_> = group
            .marks
            .iter()
            .filter(|mark| states.contains(&mark.0))
            .map(|mark| mark.1)
            .collect();
        if named.is_empty() {
            "-".to_owned()
        } else {
            named.join(", ")
        }
    };
    html! {
        details {
            summary { "The same as a table, with the names" }
            table.names {
                thead { tr {
                    th scope="col" { "For" } th scope="col" { "Allowed" } th scope="col" { "Newly allowed" } th scope="col" { "Denied here" }
                } }
                tbody { @for group in groups { tr {
                    th scope="row" { (group.title) }
                    td { (names(group, &[State::Used, State::Added])) }
                    td { (names(group, &[State::NewUsed, State::NewAdded])) }
                    td { (names(group, &[State::Unused])) }
                } } }
            }
        }
    }
}

/// The patterns that fill what is new.
pub(super) fn patterns() -> Markup {
    html! {
        svg.patterns width="0" height="0" aria-hidden="true" focusable="false" {
            defs {
                pattern #hatch patternUnits="userSpaceOnUse" width="4" height="4" patternTransform="rotate(45)" {
                    rect.hatchground width="4" height="4" {}
                    rect.hatchline width="1.5" height="4" {}
                }
            }
        }
    }
}

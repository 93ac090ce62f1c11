//! The rules: a file a family, each of one shape.

mod abis;
mod arguments;
mod defaults;
mod errno;
mod forms;
mod gaps;
mod names;

use super::{
    Context, Findings,
    read::{Seccomp, Subject},
    rules,
    subject::{NoView, View},
};

/// Checks a part of a file.
pub(super) fn check(subject: &Subject, context: &Context<'_>, out: &mut Findings<'_>) {
    match subject {
        Subject::Seccomp(read) => seccomp(read, context, out),
        Subject::Manifest(_) | Subject::AppArmor => {}
    }
}

fn seccomp(read: &Seccomp, context: &Context<'_>, out: &mut Findings<'_>) {
    forms::check(read, out);
    let view = match View::new(read, context) {
        Ok(view) => view,
        Err(why) => {
            let why = match why {
                NoView::Unclear(error) => error.to_string(),
                NoView::Refused(refusal) => refusal.to_string(),
            };
            let at = entry_of(&why).and_then(|at| read.node.get("syscalls")?.items().nth(at));
            let span = at.unwrap_or(&read.node).span.clone();
            out.add(&rules::REFUSED, span, why);
            return;
        }
    };
    for check in [
        gaps::check,
        abis::check,
        arguments::check,
        names::check,
        errno::check,
        defaults::check,
    ] {
        check(&view, out);
    }
}

/// The entry that a refusal names.
fn entry_of(why: &str) -> Option<usize> {
    let (_, rest) = why.split_once("syscalls[")?;
    rest.split_once(']')?.0.parse().ok()
}

/// Names with commas between them, and how many more.
fn list<'a>(names: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let names: Vec<_> = names.into_iter().collect();
    let shown = names
        .iter()
        .take(most)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

//! How evidence is told in plain text: on a terminal, and in lists of differences.

use std::collections::BTreeSet;

use super::{Blocked, Executable};

/// Most executables that are named at once.
const MAX_NAMED: usize = 6;

/// A sentence or a name without what a terminal would obey, on one line.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '\'' | '\\' => c.to_string(),
            _ => c.escape_debug().to_string(),
        })
        .collect()
}

/// `1 call`, `2 calls`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// An executable.
pub fn executable(executable: &Executable) -> String {
    match executable {
        Executable::Path(path) => plain(path),
        Executable::Truncated(beginning) => format!("{}... (cut off)", plain(beginning)),
        Executable::Launcher => "container runtime or tracer (before exec)".to_owned(),
        Executable::Unknown => "an unknown program".to_owned(),
    }
}

/// Several of them.
pub fn executables<'a>(all: impl IntoIterator<Item = &'a Executable>) -> String {
    let all: BTreeSet<_> = all.into_iter().collect();
    let more = all.len().saturating_sub(MAX_NAMED);
    let mut named: Vec<_> = all.into_iter().take(MAX_NAMED).map(executable).collect();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named.join(", ")
}

/// What a program saw of a call that was stopped.
pub fn blocked(blocked: Blocked) -> String {
    match blocked {
        Blocked::Errno(number) => errno(number),
        Blocked::OtherErrno => "an error above 200".to_owned(),
        Blocked::Signal => "SIGSYS, or its end".to_owned(),
        Blocked::Value => "a value that a supervisor gave".to_owned(),
    }
}

/// An error by its name where it is a usual one of filters.
pub(crate) fn errno(number: u16) -> String {
    match number {
        0 => "seeming success".to_owned(),
        1 => "EPERM".to_owned(),
        13 => "EACCES".to_owned(),
        22 => "EINVAL".to_owned(),
        38 => "ENOSYS".to_owned(),
        number => format!("error {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_output_is_escaped() {
        let text = "a \"default\" 'x' \\ \u{1b}[2J\n\u{202e}\u{e9}";
        assert_eq!(
            plain(text),
            "a \"default\" 'x' \\ \\u{1b}[2J\\n\\u{202e}\u{e9}"
        );
    }
}

//! What tracer tells people, on standard error.

/// Prints a line of tracer's own. A standard error that is closed or full is no reason to fail:
/// `eprintln!` would panic, and take a recording with it.
macro_rules! say {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        let line = format!("tracer: {}\n", format_args!($($what)*));
        let _ = std::io::stderr().write_all(line.as_bytes());
    }};
}
pub(super) use say;

/// A sentence from a file, which anyone may have written, without what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '\'' | '\\' => c.to_string(),
            _ => c.escape_debug().to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_terminal_is_told_nothing_but_text() {
        let text = "a \"default\" 'x' \\ \u{1b}[2J\n\u{202e}\u{e9}";
        assert_eq!(
            plain(text),
            "a \"default\" 'x' \\ \\u{1b}[2J\\n\\u{202e}\u{e9}"
        );
    }
}

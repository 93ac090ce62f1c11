//! Text that a workload chose, made harmless in Markdown.
//!
//! A path or an argument can be anything: a pipe that adds a column, a newline that begins a
//! heading, a tag, a terminal's control sequence, a right-to-left mark that reorders what the
//! reviewer sees, a letter that looks like another. So everything but printable ASCII is spelled
//! out.

use std::fmt::Write;

/// More characters than this are cut off, where what is meant is known from the beginning.
const MAX_LEN: usize = 240;

/// The same where a long name has room: the longest path that a system call takes.
const MAX_VISIBLE_LEN: usize = 4096;

/// `name` as a code span, for any place in Markdown, table cells included.
///
/// Different names that are not cut off give different text: `\` stands for itself only doubled,
/// and otherwise begins `\xNN` or `\u{NNNN}`.
pub fn code(name: &str) -> String {
    span(name, MAX_LEN)
}

/// The same for a rule, or a path that one is about: all of it, since what differs may be at the end.
pub fn whole(name: &str) -> String {
    span(name, usize::MAX)
}

fn span(name: &str, longest: usize) -> String {
    if name.is_empty() {
        return "(empty)".to_owned();
    }
    let mut out = String::from("`");
    let mut after_space = true;
    let mut chars = name.chars().take(longest).peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push_str("\\\\"),
            // A code span drops a space at each end, and shows several as one.
            ' ' if !after_space && chars.peek().is_some() => out.push(' '),
            // These end the span, the cell, or (where Markdown is not parsed well) the text.
            '`' | '|' | '<' | ' ' => push_escape(&mut out, c),
            _ if c.is_ascii_graphic() => out.push(c),
            _ => push_escape(&mut out, c),
        }
        after_space = c == ' ';
    }
    if name.chars().nth(longest).is_some() {
        out.push_str("...");
    }
    out.push('`');
    out
}

/// A sentence from a recording as prose: on one line, without markup.
pub fn prose(sentence: &str) -> String {
    let mut out = String::new();
    let mut before = None;
    let mut chars = sentence.chars().peekable();
    while let Some(c) = chars.next() {
        let inside_word = c == '_'
            && before.is_some_and(|before: char| before.is_ascii_alphanumeric())
            && chars.peek().is_some_and(char::is_ascii_alphanumeric);
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            // io_uring and the like: an underscore within a word is no markup.
            '_' if inside_word => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '>' => {
                out.push('\\');
                out.push(c);
            }
            // Breaks what a renderer would make a link of by itself.
            ':' if chars.peek() == Some(&'/') => out.push_str("&#58;"),
            ' ' => out.push(' '),
            _ if c.is_ascii_graphic() => out.push(c),
            _ => push_escape(&mut out, c),
        }
        before = Some(c);
    }
    out
}

/// `name` with everything but printable ASCII spelled out, for places that take care of their own markup.
///
/// As [`code`] has it, but for the signs that mean something in Markdown only.
pub fn visible(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().take(MAX_VISIBLE_LEN) {
        match c {
            '\\' => out.push_str("\\\\"),
            ' ' => out.push(' '),
            _ if c.is_ascii_graphic() => out.push(c),
            _ => push_escape(&mut out, c),
        }
    }
    if name.chars().nth(MAX_VISIBLE_LEN).is_some() {
        out.push_str("...");
    }
    out
}

/// A sentence, or a text that is escaped in a way of its own already: as [`visible`], and a backslash
/// stands for itself.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == ' ' || c.is_ascii_graphic() {
            out.push(c);
        } else {
            push_escape(&mut out, c);
        }
    }
    out
}

/// A command line as a shell would take it, so that arguments with spaces stay apart, as a code span.
pub fn command_line(arguments: &[String]) -> String {
    code(&shell_words(arguments))
}

/// A command line as a shell would take it, so that arguments with spaces stay apart.
pub fn shell_words(arguments: &[String]) -> String {
    let words: Vec<_> = arguments
        .iter()
        .map(|argument| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
            if !argument.is_empty() && argument.chars().all(plain) {
                argument.clone()
            } else {
                format!("'{}'", argument.replace('\'', r"'\''"))
            }
        })
        .collect();
    words.join(" ")
}

fn push_escape(out: &mut String, c: char) {
    let code = u32::from(c);
    // Writing to a string does not fail.
    let _ = if code < 0x80 {
        write!(out, "\\x{code:02x}")
    } else {
        write!(out, "\\u{{{code:x}}}")
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_are_escaped_in_code() {
        for (name, shown) in [
            ("/usr/bin/nginx", "`/usr/bin/nginx`"),
            ("a|b", "`a\\x7cb`"),
            ("a`b", "`a\\x60b`"),
            ("a\n# Approved", "`a\\x0a# Approved`"),
            ("<script>", "`\\x3cscript>`"),
            ("\u{202e}txt.exe", "`\\u{202e}txt.exe`"),
            ("\x1b[2J", "`\\x1b[2J`"),
            (" a  b ", "`\\x20a \\x20b\\x20`"),
            ("\\x60", "`\\\\x60`"),
            ("", "(empty)"),
        ] {
            assert_eq!(code(name), shown);
        }
    }

    #[test]
    fn prose_keeps_words_and_escapes_markup() {
        assert_eq!(
            prose("io_uring was used; record again with --max-rows 10"),
            "io_uring was used; record again with --max-rows 10"
        );
        assert_eq!(
            prose("[x](http://e) <b>|*\n"),
            "\\[x\\](http&#58;//e) &lt;b\\>\\|\\*\\x0a"
        );
    }

    #[test]
    fn command_line_words_stay_separate() {
        let words = ["sh", "-c", "it's a | b", ""].map(str::to_owned);
        assert_eq!(command_line(&words), r"`sh -c 'it'\\''s a \x7c b' ''`");
    }

    /// What was shown, read back.
    fn read_back(shown: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = shown.strip_prefix('`')?.strip_suffix('`')?;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if c != '\\' {
                out.push(c);
                continue;
            }
            let (digits, after) = match rest.as_bytes().first()? {
                b'\\' => {
                    out.push('\\');
                    rest = &rest[1..];
                    continue;
                }
                b'x' => (&rest[1..3], &rest[3..]),
                _ => rest.strip_prefix("u{")?.split_once('}')?,
            };
            out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
            rest = after;
        }
        Some(out)
    }

    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[|`<>&\\\\ \n\r\t\u{7f}\u{200f}\u{202e}\u{2066}a_*\\[\\]()!#-]{0,20}",
        ]
    }

    proptest! {
        #[test]
        fn code_span_cannot_be_ended_by_its_content(name in hostile()) {
            let shown = code(&name);
            prop_assert!(shown.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
            prop_assert!(!shown.contains('|') && !shown.contains('<'));
            let backticks = shown.matches('`').count();
            prop_assert_eq!(backticks, if name.is_empty() { 0 } else { 2 });
        }

        #[test]
        fn code_span_round_trips(name in hostile()) {
            prop_assume!(!name.is_empty() && name.chars().count() <= MAX_LEN);
            prop_assert_eq!(read_back(&code(&name)), Some(name));
        }

        #[test]
        fn prose_is_one_line_without_markup(sentence in hostile()) {
            let shown = prose(&sentence);
            prop_assert!(shown.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
            prop_assert!(!shown.contains('<'));
            let mut escaped = false;
            for c in shown.chars() {
                prop_assert!(escaped || !"`*[]|".contains(c), "{}", shown);
                escaped = !escaped && c == '\\';
            }
        }
    }
}

//! Names that a workload chose, as AppArmor's parser reads them back.
//!
//! Facts, found by compiling one rule for each byte with apparmor_parser 3.0.8 and walking the
//! automaton that it made, and held by `tests/apparmor`:
//! - Between quotes each byte but `"`, `\` and the signs of globs stands for itself. A backslash before
//!   a sign makes it stand for itself; `\NNN`, three octal digits, is any byte.
//! - The lexer takes `\"` for a quote within the string even where the backslash belongs to the one
//!   before it, so `"/a\\"` does not end there. Both are written in digits.
//! - A token of more than 16,379 bytes does not fit the lexer's buffer, which cannot grow ("scanner
//!   uses REJECT"). A path of `PATH_MAX` (4,095 bytes, the first one a slash) fits, though each other
//!   byte takes four.

/// Longest token that the parser takes, quotes included.
pub(super) const MAX_TOKEN_LEN: usize = 16_379;

/// Bytes that mean something in a glob or a variable.
const SPECIAL: &[u8] = b"*?[]{}^";

/// Bytes besides letters and digits that need no quotes, wherever they are in a path.
const PLAIN: &[u8] = b"/._-+:=@%~";

/// Adds bytes to a token so that they stand for themselves. Returns whether the token needs quotes.
///
/// Anything but printable ASCII is spelled out: a reviewer sees each byte, and no terminal acts on one.
pub(super) fn push(token: &mut String, bytes: &[u8]) -> bool {
    let mut quotes = false;
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(byte) {
            token.push(char::from(*byte));
            continue;
        }
        quotes = true;
        if SPECIAL.contains(byte) {
            token.push('\\');
            token.push(char::from(*byte));
        } else if (byte.is_ascii_graphic() || *byte == b' ') && !b"\"\\".contains(byte) {
            token.push(char::from(*byte));
        } else {
            token.push_str(&format!("\\{byte:03o}"));
        }
    }
    quotes
}

/// The token of these bytes alone.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let mut token = String::new();
    let quotes = push(&mut token, bytes);
    // A word that begins otherwise might be a keyword.
    finish(token, quotes || !bytes.starts_with(b"/"))
}

/// Puts a token between quotes when it needs them.
pub(super) fn finish(token: String, quotes: bool) -> String {
    if quotes {
        format!("\"{token}\"")
    } else {
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_quoted() {
        for (name, token) in [
            (&b"/etc/passwd"[..], "/etc/passwd"),
            (b"/a b", r#""/a b""#),
            (b"/a\n/etc/shadow r,", r#""/a\012/etc/shadow r,""#),
            (b"/@{PROC}", r#""/@\{PROC\}""#),
            (b"/a\"*?\\", r#""/a\042\*\?\134""#),
            (b"/\xff\x1b[2J", r#""/\377\033\[2J""#),
            (b"/# x", r##""/# x""##),
            (b"tmpfs", r#""tmpfs""#),
        ] {
            assert_eq!(quoted(name), token);
        }
    }
}

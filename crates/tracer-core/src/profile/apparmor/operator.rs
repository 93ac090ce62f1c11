//! Patterns in the character set of the Security Profiles Operator, which refuses a whole profile when
//! one path has another character.

use super::pattern::{Part, Pattern};

/// Whether the operator takes a byte; `spaces`: whether it takes a space.
fn is_taken(byte: u8, spaces: bool) -> bool {
    byte.is_ascii_alphanumeric() || b"_.+@-".contains(&byte) || (byte == b' ' && spaces)
}

impl Pattern {
    /// The pattern with nothing in it that the operator refuses, which may stand for more than before: a
    /// byte that may not be there becomes any one, a class of digits too, whose brackets may not.
    pub(crate) fn for_operator(&self, spaces: bool) -> Self {
        let segments = self.segments().iter().map(|segment| {
            let parts = segment.iter().flat_map(|part| match part {
                Part::Text(text) => text
                    .chunk_by(|one, next| is_taken(*one, spaces) == is_taken(*next, spaces))
                    .map(|run| match run.first() {
                        Some(byte) if is_taken(*byte, spaces) => Part::Text(run.to_vec()),
                        _ => Part::Any(run.len()),
                    })
                    .collect(),
                Part::Digits => vec![Part::Any(1), Part::Star],
                part => vec![part.clone()],
            });
            parts.collect()
        });
        Self::of(segments.collect())
    }

    /// The text of what [`for_operator`](Self::for_operator) made.
    pub(crate) fn operator_text(&self) -> String {
        let mut path = String::new();
        for segment in self.segments() {
            path.push('/');
            for part in segment {
                match part {
                    Part::Text(text) => path.push_str(&String::from_utf8_lossy(text)),
                    Part::Pid => path.push_str("@{pid}"),
                    Part::Tid => path.push_str("@{tid}"),
                    Part::Digits => path.push_str("?*"),
                    Part::Any(count) => path.push_str(&"?".repeat(*count)),
                    Part::Star => path.push('*'),
                    Part::Deep => path.push_str("**"),
                }
            }
        }
        path
    }

    /// The fixed name at a place, as text; empty when it is not fixed or no text.
    pub(crate) fn name_at(&self, at: usize) -> &str {
        let text = self.text_at(at).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// How many names it has.
    pub(crate) fn depth(&self) -> usize {
        self.segments().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_bytes_become_wildcards() {
        let of = |path: &str, spaces| {
            let pattern = Pattern::literal(&path.into());
            let made = pattern.for_operator(spaces);
            (made.operator_text(), made != pattern)
        };
        assert_eq!(
            of("/etc/a-b_c.d+e@1", true),
            ("/etc/a-b_c.d+e@1".to_owned(), false)
        );
        assert_eq!(of("/a b", true), ("/a b".to_owned(), false));
        assert_eq!(of("/a b", false), ("/a?b".to_owned(), true));
        assert_eq!(of("/@{x}*\n\"é", true), ("/@?x??????".to_owned(), true));
    }
}

//! Patterns in the character set of the Security Profiles Operator, which refuses a whole profile when
//! one path has another character.

use super::pattern::{Part, Pattern};

impl Pattern {
    /// The path as the operator takes it, and whether it stands for more than before: a byte that may not
    /// be there is `?`, any one. `spaces`: whether a space may.
    pub(crate) fn for_operator(&self, spaces: bool) -> (String, bool) {
        let mut path = String::new();
        let mut wider = false;
        for segment in self.segments() {
            path.push('/');
            for part in segment {
                match part {
                    Part::Text(text) => {
                        for byte in text {
                            let fine = byte.is_ascii_alphanumeric()
                                || b"_.+@-".contains(byte)
                                || (*byte == b' ' && spaces);
                            wider |= !fine;
                            path.push(if fine { char::from(*byte) } else { '?' });
                        }
                    }
                    Part::Pid => path.push_str("@{pid}"),
                    Part::Tid => path.push_str("@{tid}"),
                    // A class has brackets, which may not be there.
                    Part::Digits => {
                        wider = true;
                        path.push_str("?*");
                    }
                    Part::Any(count) => path.push_str(&"?".repeat(*count)),
                    Part::Star => path.push('*'),
                    Part::Deep => path.push_str("**"),
                }
            }
        }
        (path, wider)
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
    fn what_may_not_be_there_is_any_byte() {
        let of = |path: &str, spaces| Pattern::literal(&path.into()).for_operator(spaces);
        assert_eq!(
            of("/etc/a-b_c.d+e@1", true),
            ("/etc/a-b_c.d+e@1".to_owned(), false)
        );
        assert_eq!(of("/a b", true), ("/a b".to_owned(), false));
        assert_eq!(of("/a b", false), ("/a?b".to_owned(), true));
        assert_eq!(of("/@{x}*\n\"é", true), ("/@?x??????".to_owned(), true));
    }
}

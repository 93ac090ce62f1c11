//! Patterns of names: `*` stands for any characters, `?` for one.

/// Whether a text is of the form of a pattern. `*` stands for any characters, also `/`; `?` for one.
///
/// ```
/// use tracer_core::agent::matches_glob;
///
/// assert!(matches_glob("shop-*", "shop-eu"));
/// assert!(!matches_glob("shop-?", "shop-eu"));
/// ```
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut from) = (0, 0);
    // Where to go on when the part after the last `*` does not fit: it takes one character more.
    let mut last_star = None;
    while let Some(character) = text.get(at) {
        match pattern.get(from) {
            Some('*') => {
                last_star = Some((from, at));
                from += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                from += 1;
                at += 1;
            }
            _ => {
                let Some((star, begin)) = last_star else {
                    return false;
                };
                last_star = Some((star, begin + 1));
                from = star + 1;
                at = begin + 1;
            }
        }
    }
    pattern
        .get(from..)
        .is_none_or(|rest| rest.iter().all(|it| *it == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*nginx*", "docker.io/library/nginx:1", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbx", true),
            ("*ab", "aab", true),
            ("a", "A", false),
            ("[a]", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest::proptest! {
        /// The definition, slowly.
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,6}", text in "[ab]{0,8}") {
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|at| slow(rest, &text[at..])),
                    Some((first, rest)) => text.split_first().is_some_and(|(it, left)| {
                        (*first == b'?' || first == it) && slow(rest, left)
                    }),
                }
            }
            proptest::prop_assert_eq!(matches(&pattern, &text), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}

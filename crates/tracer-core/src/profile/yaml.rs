//! Writing YAML: block style, with comments, and with every text quoted that might be read as anything
//! but itself.
//!
//! A crate that serialises would do for the values. It would leave out the comments, which is where a
//! reviewer reads what a format cannot say.

use std::fmt::Write as _;

use crate::recording::plain_text::plain;

/// A map under construction: pairs and comments in the order of output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Map(Vec<Line>);

#[derive(Clone, Debug)]
enum Line {
    Comment(String),
    Pair(String, Value),
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Bool(bool),
    Number(u64),
    /// Texts, one a line.
    Texts(Vec<String>),
    /// Maps, each with a comment before it, if it is not empty.
    Maps(Vec<(String, Map)>),
    Map(Map),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl Map {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a pair. The key is one of a format's own, or a text of somebody's.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.push(Line::Pair(key.to_owned(), value.into()));
        self
    }

    /// Adds a list of texts, unless it is empty.
    #[must_use]
    pub(crate) fn with_texts(self, key: &str, texts: Vec<String>) -> Self {
        if texts.is_empty() {
            return self;
        }
        self.with(key, Value::Texts(texts))
    }

    /// Adds a map, unless nothing is in it.
    #[must_use]
    pub(crate) fn with_map(self, key: &str, map: Self) -> Self {
        if map.0.is_empty() {
            return self;
        }
        self.with(key, map)
    }

    /// Adds a comment: one line, whatever is in it.
    #[must_use]
    pub(crate) fn comment(mut self, text: &str) -> Self {
        self.0.push(Line::Comment(plain(text)));
        self
    }

    /// All lines of another, after these.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The pairs, without comments.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().filter_map(|line| match line {
            Line::Comment(_) => None,
            Line::Pair(key, value) => Some((key.as_str(), value)),
        })
    }

    /// The text.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0, false);
        out
    }

    /// `is_item`: the first line follows the dash of a list.
    fn write(&self, out: &mut String, indent: usize, is_item: bool) {
        let mut on_dash = is_item;
        for line in &self.0 {
            if on_dash {
                on_dash = false;
            } else {
                out.push_str(&" ".repeat(indent));
            }
            // Writing to a string does not fail.
            let _ = match line {
                Line::Comment(text) => writeln!(out, "# {text}"),
                Line::Pair(key, value) => {
                    let _ = write!(out, "{}:", scalar(key));
                    value.write(out, indent);
                    Ok(())
                }
            };
        }
    }
}

impl Value {
    /// What follows `key:`, with the end of the line.
    fn write(&self, out: &mut String, indent: usize) {
        let pad = " ".repeat(indent + 2);
        let _ = match self {
            Self::Text(text) => writeln!(out, " {}", scalar(text)),
            Self::Bool(bool) => writeln!(out, " {bool}"),
            Self::Number(number) => writeln!(out, " {number}"),
            Self::Texts(texts) if texts.is_empty() => writeln!(out, " []"),
            Self::Texts(texts) => {
                out.push('\n');
                for text in texts {
                    let _ = writeln!(out, "{pad}- {}", scalar(text));
                }
                Ok(())
            }
            Self::Maps(maps) if maps.is_empty() => writeln!(out, " []"),
            Self::Maps(maps) => {
                out.push('\n');
                for (comment, map) in maps {
                    if !comment.is_empty() {
                        let _ = writeln!(out, "{pad}# {}", plain(comment));
                    }
                    let _ = write!(out, "{pad}- ");
                    map.write(out, indent + 4, true);
                }
                Ok(())
            }
            Self::Map(map) if map.0.is_empty() => writeln!(out, " {{}}"),
            Self::Map(map) => {
                out.push('\n');
                map.write(out, indent + 2, false);
                Ok(())
            }
        };
    }
}

/// A text as a scalar: plain where no version of YAML reads anything else, else between double quotes
/// with everything but printable ASCII spelled out.
pub(crate) fn scalar(text: &str) -> String {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '/' || c == '_';
    let fine = |c: char| c.is_ascii_alphanumeric() || "/._-@+".contains(c);
    let is_plain = text.starts_with(begins) && text.chars().all(fine) && !is_word_of_yaml(text);
    if is_plain {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            ' ' => write!(out, " "),
            c if c.is_ascii_graphic() => write!(out, "{c}"),
            c => match u32::from(c) {
                code @ ..=0xff => write!(out, "\\x{code:02x}"),
                code @ ..=0xffff => write!(out, "\\u{code:04x}"),
                code => write!(out, "\\U{code:08x}"),
            },
        };
    }
    out.push('"');
    out
}

/// What some version of YAML takes for a truth value or for nothing.
fn is_word_of_yaml(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use saphyr_parser::{Event, Parser};

    use super::*;

    /// The scalars that a parser finds, in order.
    fn scalars(text: &str) -> Vec<String> {
        let events = Parser::new_from_str(text).map(|event| event.unwrap().0);
        events
            .filter_map(|event| match event {
                Event::Scalar(text, ..) => Some(text.into_owned()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn renders_nested_maps_and_lists() {
        let map = Map::new()
            .comment("what\n- it: is")
            .with("kind", "Pod")
            .with("on", true)
            .with("empty", Value::Texts(Vec::new()))
            .with_texts("names", vec!["a".to_owned(), "no".to_owned()])
            .with("n", 38)
            .with(
                "list",
                Value::Maps(vec![
                    ("first".to_owned(), Map::new().with("x", "1").with("y", "~")),
                    (String::new(), Map::new().with("z", Map::new())),
                ]),
            );
        let expected = "# what\\n- it: is\nkind: Pod\n\"on\": true\nempty: []\nnames:\n  - a\n  - \"no\"\n\"n\": 38\nlist:\n  # first\n  - x: \"1\"\n    \"y\": \"~\"\n  - z: {}\n";
        assert_eq!(map.to_text(), expected);
    }

    proptest! {
        #[test]
        fn every_text_round_trips(text in any::<String>(), comment in any::<String>()) {
            let map = Map::new()
                .comment(&comment)
                .with(&text, text.as_str())
                .with_texts("l", vec![text.clone()])
                .with("m", Value::Maps(vec![(comment, Map::new().with("k", text.as_str()))]));
            let read = scalars(&map.to_text());
            prop_assert_eq!(read, [&text, &text, "l", &text, "m", "k", &text]);
            prop_assert!(map.to_text().chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}

//! Where a text that is a value in a file stands in that file: a profile in a ConfigMap, line by line.

use std::ops::Range;

use super::{Input, Node};

/// The places of a text in the file around it.
pub(super) struct Within {
    /// Where parts begin, in the text and in the file. Between two of them both go on alike.
    parts: Vec<(usize, usize)>,
    /// How much of the value is before the text.
    skip: usize,
    /// Whether each character is a part.
    by_character: bool,
}

impl Within {
    /// Finds the text of a value in its file, without the first `skip` bytes; `None` when it is written in a
    /// way that hides it, such as another escape of YAML.
    pub(super) fn new(input: &Input, value: &Node, skip: usize) -> Option<Self> {
        let text = value.text()?;
        let whole = input.text().get(value.span.start..)?;
        let mut written = whole;
        // An anchor and a tag stand before the value.
        while written.starts_with(['&', '!']) {
            written = written
                .get(written.find(char::is_whitespace)?..)?
                .trim_start();
        }
        let begin = value.span.start + (whole.len() - written.len());
        match written.as_bytes().first()? {
            b'"' => quoted(written, text),
            // The text of a block begins in the line after its mark.
            b'|' | b'>' => {
                let line = written.find('\n')?;
                aligned(written.get(line..)?, text).map(|it| it.moved(line))
            }
            b'\'' => aligned(written.get(1..)?, text).map(|it| it.moved(1)),
            _ => aligned(written, text),
        }
        .map(|it| Self {
            skip,
            ..it.moved(begin)
        })
    }

    fn moved(mut self, by: usize) -> Self {
        for (_, outer) in &mut self.parts {
            *outer += by;
        }
        self
    }

    /// Where a byte of the text stands in the file.
    pub(super) fn byte(&self, at: usize) -> usize {
        let at = at + self.skip;
        let after = self.parts.partition_point(|(inner, _)| *inner <= at);
        let part = self.parts.get(after.saturating_sub(1));
        part.map_or(0, |(inner, outer)| outer + at.saturating_sub(*inner))
    }

    /// Where a part of the text stands in the file.
    pub(super) fn span(&self, span: &Range<usize>) -> Range<usize> {
        let begin = self.byte(span.start);
        match span.end.checked_sub(1) {
            Some(last) if !span.is_empty() => {
                let end = if self.by_character {
                    self.byte(span.end)
                } else {
                    self.byte(last) + 1
                };
                begin..end
            }
            _ => begin..begin,
        }
    }
}

/// A text as it is written but for its indentation and its line ends.
fn aligned(written: &str, text: &str) -> Option<Within> {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    let mut outer = written.char_indices().filter(|(_, c)| !c.is_whitespace());
    for (inner, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        let (at, same) = outer.next()?;
        if same != c {
            return None;
        }
        let goes_on = parts
            .last()
            .is_some_and(|(before, place)| at.wrapping_sub(*place) == inner - before);
        if !goes_on {
            parts.push((inner, at));
        }
    }
    Some(Within {
        parts,
        skip: 0,
        by_character: false,
    })
}

/// A text in double quotes, with the escapes of JSON.
fn quoted(written: &str, text: &str) -> Option<Within> {
    let mut parts = vec![(0, 1)];
    let mut chars = written.char_indices().skip(1);
    let mut inner = 0;
    let mut expected = text.chars();
    while let Some((at, c)) = chars.next() {
        if c == '"' {
            break;
        }
        let mut length = c.len_utf8();
        let read = if c == '\\' {
            let (_, kind) = chars.next()?;
            length += kind.len_utf8();
            match kind {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'u' => {
                    let digits = written.get(at + 2..at + 6)?;
                    length += digits.len();
                    chars.nth(3)?;
                    // Half of a pair has no character of its own, and no profile needs one.
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                '"' | '\\' | '/' => kind,
                _ => return None,
            }
        } else {
            c
        };
        if expected.next() != Some(read) {
            return None;
        }
        inner += read.len_utf8();
        parts.push((inner, at + length));
    }
    expected.next().is_none().then_some(Within {
        parts,
        skip: 0,
        by_character: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{documents, json};

    /// The places of a text's words in the file, by the word that stands there.
    fn found(input: &Input, value: &Node, words: &[&str]) -> Vec<String> {
        let within = Within::new(input, value, 0);
        let within = within.unwrap_or_else(|| panic!("not found: {:?} {:?}", input.text(), value));
        let text = value.text().unwrap();
        words
            .iter()
            .map(|word| {
                let at = text.find(word).unwrap();
                input.text()[within.span(&(at..at + word.len()))].to_owned()
            })
            .collect()
    }

    #[test]
    fn words_of_yaml_blocks_are_found() {
        let words = ["{", "\"names\"", "ü", "}"];
        for block in [
            "a: |\n  {\n\n    \"names\": [\"ü\"]\n  }\nb: 1\n",
            "a: >-\n  {\n    \"names\": [\"ü\"] }\n",
            "a: |2+ # note\n    {\r\n     \"names\": [\"ü\"]\r\n  }\r\n\n",
            "a: &x |-\n  {\"names\":\n  \"ü\"}",
            "a: '{\"names\": \"ü\"}'\n",
            "a: \"{\\\"names\\\": \\\"\\u00fc\\\"}\"\n",
        ] {
            let input = Input::new("f", block.into()).unwrap();
            let read = documents(&input).unwrap();
            let found = found(&input, read[0].get("a").unwrap(), &words);
            let expected = words.map(|word| match word {
                "ü" if block.contains("\\u") => "\\u00fc".to_owned(),
                "\"names\"" if block.contains("\\u") => "\\\"names\\\"".to_owned(),
                word => word.to_owned(),
            });
            assert_eq!(found, expected, "{block}");
        }
    }

    #[test]
    fn words_of_json_strings_are_found() {
        let text = r#"{"a": "{\n  \"names\": [\"x\\ty\"]\n}"}"#;
        let input = Input::new("f", text.into()).unwrap();
        let node = json::read(&input).unwrap();
        let value = node.get("a").unwrap();
        assert_eq!(found(&input, value, &["names", "}"]), ["names", "}"]);
    }
}

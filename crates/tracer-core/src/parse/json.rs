//! JSON with places: serde_json hands out the text of each value, which lies in the file's.

use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{Content, Input, MAX_DEPTH, Node, ParseError, node::Key};

/// Reads a file. A byte order mark and comments are passed over; [`extensions`] tells where they are.
pub(super) fn read(input: &Input) -> Result<Node, ParseError> {
    let text = standard(input.text());
    let raw: &RawValue = serde_json::from_str(&text).map_err(|error| {
        let at = input.line_begin(error.line()) + error.column().saturating_sub(1);
        input.malformed(at, without_position(&error))
    })?;
    let source = Source { input, text: &text };
    node(source, raw, 0)
}

/// A byte order mark or a comment in JSON, which standard readers refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    /// Where it is.
    pub(crate) span: Range<usize>,
    /// Whether it is a byte order mark.
    pub(crate) is_bom: bool,
}

/// The byte order mark and the comments of a file of JSON.
pub(crate) fn extensions(text: &str) -> Vec<Extension> {
    let mut found = Vec::new();
    let mut begin = 0;
    if text.starts_with(BOM) {
        begin = BOM.len_utf8();
        found.push(Extension {
            span: 0..begin,
            is_bom: true,
        });
    }
    let (mut quoted, mut escaped, mut end) = (false, false, begin);
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < begin) {
        if escaped || at < end {
            escaped = false;
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let length = match c {
            '\\' if quoted => {
                escaped = true;
                continue;
            }
            '"' => {
                quoted = !quoted;
                continue;
            }
            '/' if !quoted && rest.starts_with("//") => rest.find('\n'),
            '/' if !quoted && rest.starts_with("/*") => rest.find("*/").map(|at| at + 2),
            _ => continue,
        };
        end = at + length.unwrap_or(rest.len());
        found.push(Extension {
            span: at..end,
            is_bom: false,
        });
    }
    found
}

const BOM: char = '\u{feff}';

/// The text with spaces for what standard JSON does not have: each byte keeps its place and each line its
/// number.
pub(super) fn standard(text: &str) -> Cow<'_, str> {
    let extensions = extensions(text);
    if extensions.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut standard = String::with_capacity(text.len());
    let mut from = 0;
    for Extension { span, .. } in extensions {
        standard += text.get(from..span.start).unwrap_or_default();
        let blank = text.get(span.clone()).unwrap_or_default().bytes();
        standard.extend(blank.map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        from = span.end;
    }
    standard += text.get(from..).unwrap_or_default();
    Cow::Owned(standard)
}

/// A file, and its text as it is parsed: byte for byte as long.
#[derive(Clone, Copy)]
struct Source<'text> {
    input: &'text Input,
    text: &'text str,
}

fn node(source: Source<'_>, raw: &RawValue, depth: usize) -> Result<Node, ParseError> {
    let input = source.input;
    let span = span(source, raw);
    let text = raw.get();
    if depth > MAX_DEPTH {
        let what = format!("values are nested more than {MAX_DEPTH} deep");
        return Err(input.malformed(span.start, what));
    }
    let wrong = |error: serde_json::Error| input.malformed(span.start, without_position(&error));
    let content = match text.as_bytes().first() {
        Some(b'{') => {
            let Pairs(pairs) = serde_json::from_str(text).map_err(wrong)?;
            map(source, pairs, depth)?
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(wrong)?;
            let items = items.into_iter().map(|item| node(source, item, depth + 1));
            Content::List(items.collect::<Result<_, _>>()?)
        }
        _ => match serde_json::from_str(text).map_err(wrong)? {
            Value::Bool(bool) => Content::Bool(bool),
            Value::Number(number) => Content::Number(number),
            Value::String(text) => Content::Text(text),
            Value::Null | Value::Array(_) | Value::Object(_) => Content::Null,
        },
    };
    Ok(Node { span, content })
}

fn map(
    source: Source<'_>,
    pairs: Vec<(&RawValue, &RawValue)>,
    depth: usize,
) -> Result<Content, ParseError> {
    let input = source.input;
    let mut seen = BTreeSet::new();
    let mut map = Vec::new();
    for (key, value) in pairs {
        let span = span(source, key);
        let text: String = serde_json::from_str(key.get())
            .map_err(|error| input.malformed(span.start, without_position(&error)))?;
        if !seen.insert(text.clone()) {
            return Err(input.malformed(span.start, format!("duplicate key {text:?}")));
        }
        map.push((Key { span, text }, node(source, value, depth + 1)?));
    }
    Ok(Content::Map(map))
}

/// Where a part of the file's text lies in it.
fn span(source: Source<'_>, raw: &RawValue) -> Range<usize> {
    let begin = (raw.get().as_ptr() as usize).saturating_sub(source.text.as_ptr() as usize);
    begin..begin + raw.get().len()
}

/// What is wrong; where, its reader says.
pub(super) fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text.get(..at).unwrap_or_default().to_owned(),
        None => text,
    }
}

/// The pairs of an object.
struct Pairs<'text>(Vec<(&'text RawValue, &'text RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<Node, String> {
        let input = Input::new("f", text.into()).map_err(|error| error.to_string())?;
        read(&input).map_err(|error| error.to_string())
    }

    #[test]
    fn every_value_and_key_has_a_position() {
        let text = "{\n \"na\\u006des\": [\"chmod\", 7]\n}";
        let node = tree(text).unwrap();
        assert_eq!(&text[node.key("names").unwrap()], "\"na\\u006des\"");
        let names: Vec<_> = node.get("names").unwrap().items().collect();
        assert_eq!(&text[names[0].span.clone()], "\"chmod\"");
        assert_eq!(names[0].text(), Some("chmod"));
        assert_eq!(&text[names[1].span.clone()], "7");
    }

    #[test]
    fn bom_and_comments_are_passed_over_and_found() {
        let text = "\u{feff}{ // é\n \"a\": \"// \\\" /*\", /* x\n */ \"b\": 7}";
        let node = tree(text).unwrap();
        assert_eq!(node.get("a").unwrap().text(), Some("// \" /*"));
        assert_eq!(&text[node.get("b").unwrap().span.clone()], "7");
        let found: Vec<_> = extensions(text)
            .into_iter()
            .map(|it| &text[it.span])
            .collect();
        assert_eq!(found, ["\u{feff}", "// é", "/* x\n */"]);
        assert_eq!(extensions("{\"a\": 1}"), []);
        assert_eq!(
            tree("{ // c\n \"a\": }").unwrap_err(),
            "f:2:7: expected value"
        );
    }

    #[test]
    fn errors_have_a_position() {
        for (text, expected) in [
            ("{\"a\": 1,\n \"a\": 2}", "f:2:2: duplicate key \"a\""),
            ("{\"a\": }", "f:1:7: expected value"),
            ("[1] 2", "f:1:5: trailing characters"),
            ("", "f:1:1: EOF while parsing a value"),
        ] {
            assert_eq!(tree(text).unwrap_err(), expected);
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(
            tree(&deep)
                .unwrap_err()
                .contains("f:1:50: values are nested"),
            "{:?}",
            tree(&deep)
        );
    }
}

//! JSON with places: serde_json hands out the text of each value, which lies in the file's.

use std::{collections::BTreeSet, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{Content, Input, MAX_DEPTH, Node, ParseError, node::Key};

/// Reads a file.
pub(super) fn read(input: &Input) -> Result<Node, ParseError> {
    let raw: &RawValue = serde_json::from_str(input.text()).map_err(|error| {
        let at = input.line_begin(error.line()) + error.column().saturating_sub(1);
        input.malformed(at, without_position(&error))
    })?;
    node(input, raw, 0)
}

fn node(input: &Input, raw: &RawValue, depth: usize) -> Result<Node, ParseError> {
    let span = span(input, raw);
    let text = raw.get();
    if depth > MAX_DEPTH {
        let what = format!("values lie in one another more than {MAX_DEPTH} deep");
        return Err(input.malformed(span.start, what));
    }
    let wrong = |error: serde_json::Error| input.malformed(span.start, without_position(&error));
    let content = match text.as_bytes().first() {
        Some(b'{') => {
            let Pairs(pairs) = serde_json::from_str(text).map_err(wrong)?;
            map(input, pairs, depth)?
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(wrong)?;
            let items = items.into_iter().map(|item| node(input, item, depth + 1));
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
    input: &Input,
    pairs: Vec<(&RawValue, &RawValue)>,
    depth: usize,
) -> Result<Content, ParseError> {
    let mut seen = BTreeSet::new();
    let mut map = Vec::new();
    for (key, value) in pairs {
        let span = span(input, key);
        let text: String = serde_json::from_str(key.get())
            .map_err(|error| input.malformed(span.start, without_position(&error)))?;
        if !seen.insert(text.clone()) {
            return Err(input.malformed(span.start, format!("the key {text:?} is there twice")));
        }
        map.push((Key { span, text }, node(input, value, depth + 1)?));
    }
    Ok(Content::Map(map))
}

/// Where a part of the file's text lies in it.
fn span(input: &Input, raw: &RawValue) -> Range<usize> {
    let begin = (raw.get().as_ptr() as usize).saturating_sub(input.text().as_ptr() as usize);
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
    fn errors_have_a_position() {
        for (text, expected) in [
            (
                "{\"a\": 1,\n \"a\": 2}",
                "f:2:2: the key \"a\" is there twice",
            ),
            ("{\"a\": }", "f:1:7: expected value"),
            ("[1] 2", "f:1:5: trailing characters"),
            ("", "f:1:1: EOF while parsing a value"),
        ] {
            assert_eq!(tree(text).unwrap_err(), expected);
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(
            tree(&deep).unwrap_err().contains("f:1:50: values lie"),
            "{:?}",
            tree(&deep)
        );
    }
}

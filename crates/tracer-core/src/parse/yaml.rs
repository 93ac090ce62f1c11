//! YAML with places, from the parser's events: so that depth and aliases can be bounded.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Number;

use super::{Content, Input, MAX_DEPTH, MAX_NODES, Node, ParseError, node::Key};

/// Reads the documents of a file.
pub(super) fn read(input: &Input) -> Result<Vec<Node>, ParseError> {
    let mut builder = Builder::new(input);
    for event in Parser::new_from_str(input.text()) {
        let (event, span) = event.map_err(|error| {
            let at = builder.byte(error.marker().index());
            input.malformed(at, error.info().to_owned())
        })?;
        builder.take(&event, span)?;
    }
    Ok(builder.documents)
}

/// The key whose maps are merged into the one around it.
const MERGE_KEY: &str = "<<";

struct Builder<'input> {
    input: &'input Input,
    /// The byte of each character; empty when all of them have one.
    bytes: Vec<usize>,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

/// A list or map that is not at its end.
struct Open {
    begin: usize,
    anchor: usize,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    /// With the key whose value comes next, and all keys so far.
    Map(Vec<(Key, Node)>, Option<Key>, BTreeSet<String>),
}

impl<'input> Builder<'input> {
    fn new(input: &'input Input) -> Self {
        let text = input.text();
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(at, _)| at).collect()
        };
        Self {
            input,
            bytes,
            documents: Vec::new(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            nodes: 0,
        }
    }

    /// The parser counts characters.
    fn byte(&self, index: usize) -> usize {
        let end = self.input.text().len();
        if self.bytes.is_empty() {
            return index.min(end);
        }
        self.bytes.get(index).copied().unwrap_or(end)
    }

    fn span(&self, span: Span) -> Range<usize> {
        self.byte(span.start.index())..self.byte(span.end.index())
    }

    fn take(&mut self, event: &Event<'_>, span: Span) -> Result<(), ParseError> {
        let span = self.span(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.as_ref().is_some_and(|tag| tag.suffix == "str");
                let content = if *style == ScalarStyle::Plain && !is_text {
                    plain(text)
                } else {
                    Content::Text(text.to_string())
                };
                self.add(Node { span, content }, *anchor, 1)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(anchor).cloned() else {
                    let what = "this alias is inside its own anchor";
                    return Err(self.input.malformed(span.start, what));
                };
                let count = count(&node);
                self.add(node, 0, count)
            }
            Event::SequenceStart(anchor, _) => self.begin(span, *anchor, Kind::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.begin(span, *anchor, Kind::Map(Vec::new(), None, BTreeSet::new()))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                let content = match open.kind {
                    Kind::List(items) => Content::List(items),
                    Kind::Map(pairs, ..) => Content::Map(self.merged(pairs)?),
                };
                let span = open.begin..span.end.max(open.begin);
                self.add(Node { span, content }, open.anchor, 1)
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    /// Resolves merge keys (yaml.org/type/merge.html), which Kubernetes' reader resolves: the map's own keys
    /// come first, then those of the maps that `<<` names, in their order.
    fn merged(&self, mut pairs: Vec<(Key, Node)>) -> Result<Vec<(Key, Node)>, ParseError> {
        let Some(at) = pairs.iter().position(|(key, _)| key.text == MERGE_KEY) else {
            return Ok(pairs);
        };
        let (key, value) = pairs.remove(at);
        let maps = match value.content {
            Content::List(items) => items,
            _ => vec![value],
        };
        let mut seen: BTreeSet<String> = pairs.iter().map(|(key, _)| key.text.clone()).collect();
        for map in maps {
            let Content::Map(others) = map.content else {
                let what = "the merge key << takes a map or a list of maps";
                return Err(self.input.malformed(key.span.start, what));
            };
            let new = others
                .into_iter()
                .filter(|(key, _)| seen.insert(key.text.clone()));
            pairs.extend(new);
        }
        Ok(pairs)
    }

    fn begin(&mut self, span: Range<usize>, anchor: usize, kind: Kind) -> Result<(), ParseError> {
        if self.open.len() >= MAX_DEPTH {
            let what = format!("values are nested more than {MAX_DEPTH} deep");
            return Err(self.input.malformed(span.start, what));
        }
        self.open.push(Open {
            begin: span.start,
            anchor,
            kind,
        });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize, count: usize) -> Result<(), ParseError> {
        self.nodes += count;
        if self.nodes > MAX_NODES || depth(&node) + self.open.len() > MAX_DEPTH {
            let what =
                format!("more than {MAX_NODES} values, or nested more than {MAX_DEPTH} deep");
            return Err(self.input.malformed(node.span.start, what));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
            self.nodes += count;
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.documents.push(node),
            Some(Kind::List(items)) => items.push(node),
            Some(Kind::Map(pairs, key, seen)) => match key.take() {
                Some(key) => pairs.push((key, node)),
                None => *key = Some(self::key(self.input, seen, node)?),
            },
        }
        Ok(())
    }
}

fn key(input: &Input, seen: &mut BTreeSet<String>, node: Node) -> Result<Key, ParseError> {
    let text = match node.content {
        Content::Text(text) => text,
        // As it is written: `y` and `n` are names as any other.
        Content::Bool(bool) => {
            let written = input.text().get(node.span.clone());
            written.map_or_else(|| bool.to_string(), str::to_owned)
        }
        Content::Number(number) => number.to_string(),
        Content::Null => "null".to_owned(),
        Content::List(_) | Content::Map(_) => {
            return Err(input.malformed(node.span.start, "a key is not text"));
        }
    };
    if !seen.insert(text.clone()) {
        let what = format!("duplicate key {text:?}");
        return Err(input.malformed(node.span.start, what));
    }
    Ok(Key {
        span: node.span,
        text,
    })
}

/// How many values a value is.
fn count(node: &Node) -> usize {
    1 + node.items().map(count).sum::<usize>()
        + node.pairs().map(|(_, node)| count(node)).sum::<usize>()
}

/// How many lists and maps lie in one another in it, up to the bound.
fn depth(node: &Node) -> usize {
    let deepest = node.items().map(depth).max();
    let deepest = deepest.max(node.pairs().map(|(_, node)| depth(node)).max());
    deepest.map_or(0, |deepest| deepest + 1)
}

/// The core schema (YAML 1.2.2, 10.3.2), as far as profiles and manifests need it, and the words for booleans of
/// YAML 1.1, which Kubernetes' reader takes (sigs.k8s.io/yaml, goyaml.v2, resolve.go).
fn plain(text: &str) -> Content {
    let hexadecimal = text
        .strip_prefix("0x")
        .map(|it| u64::from_str_radix(it, 16));
    let octal = text.strip_prefix("0o").map(|it| u64::from_str_radix(it, 8));
    let decimal = || text.strip_prefix('+').unwrap_or(text);
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Content::Null,
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            Content::Bool(true)
        }
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Content::Bool(false)
        }
        _ => {
            if let Some(Ok(number)) = hexadecimal.or(octal) {
                Content::Number(number.into())
            } else if let Ok(number) = decimal().parse::<u64>() {
                Content::Number(number.into())
            } else if let Ok(number) = text.parse::<i64>() {
                Content::Number(number.into())
            } else if let Some(number) = float(text) {
                Content::Number(number)
            } else {
                Content::Text(text.to_owned())
            }
        }
    }
}

fn float(text: &str) -> Option<Number> {
    let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    let is_one = text.chars().all(digits) && text.contains(|c: char| c.is_ascii_digit());
    is_one.then(|| text.parse().ok().and_then(Number::from_f64))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Result<Vec<Node>, String> {
        let input = Input::new("f", text.into()).map_err(|error| error.to_string())?;
        read(&input).map_err(|error| error.to_string())
    }

    #[test]
    fn every_value_has_a_position() {
        let text = "# ö\nkind: Pod\n---\nnames:\n- chmod\n- \"38\"\n- 38\n- 0x26\n- ~\n";
        let documents = documents(text).unwrap();
        assert_eq!(documents[0].get("kind").unwrap().text(), Some("Pod"));
        let names: Vec<_> = documents[1].get("names").unwrap().items().collect();
        assert_eq!(&text[names[0].span.clone()], "chmod");
        assert_eq!(names[1].text(), Some("38"));
        assert_eq!(names[2].content, names[3].content);
        assert_eq!(names[4].content, Content::Null);
    }

    #[test]
    fn words_for_booleans_are_those_of_kubernetes() {
        let read = documents("y: [y, Y, yes, on, n, N, no, off, \"y\"]\n").unwrap();
        let value = read[0].value();
        let expected = serde_json::json!([true, true, true, true, false, false, false, false, "y"]);
        assert_eq!(value["y"], expected);
    }

    #[test]
    fn aliases_are_followed_within_limits() {
        let two = documents("a: &a [x]\nb: *a\n").unwrap();
        let two = &two[0];
        assert_eq!(two.get("a").unwrap().value(), two.get("b").unwrap().value());
        assert!(documents("a: &a [*a]\n").unwrap_err().contains("alias"));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = level - 1;
            let all = vec![format!("*a{before}"); 9].join(", ");
            bomb += &format!("a{level}: &a{level} [{all}]\n");
        }
        assert!(documents(&bomb).unwrap_err().contains("more than 400000"));
    }

    #[test]
    fn merge_keys_are_resolved() {
        let text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\none:\n  <<: *a\n  y: 9\nboth:\n  <<: [*a, *b]\n";
        let read = documents(text).unwrap();
        let value = read[0].value();
        assert_eq!(value["one"], serde_json::json!({"y": 9, "x": 1}));
        assert_eq!(value["both"], serde_json::json!({"x": 1, "y": 2, "z": 4}));
        let error = documents("a:\n  <<: 7\n").unwrap_err();
        assert!(error.starts_with("f:2:3: the merge key <<"), "{error}");
        assert!(documents("a:\n  <<: &x {<<: *x}\n").is_err());
    }

    #[test]
    fn errors_have_a_position() {
        for (text, expected) in [
            ("a: 1\na: 2\n", "f:2:1: duplicate key"),
            ("? [a]\n: b\n", "f:1:3: a key"),
            ("a: [1\n", "f:2:1: "),
            ("a: 'x\n", "f:"),
        ] {
            let error = documents(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
        for deep in ["[", "- ", "{a: "] {
            let error = documents(&deep.repeat(20_000)).unwrap_err();
            assert!(error.contains("deep") || error.contains("limit"), "{error}");
        }
    }
}

//! Changes of a text of YAML or JSON, at places that its parser told.

use std::ops::Range;

use serde_json::{Value as Json, json};

use crate::{
    parse::{Content, Node},
    profile::yaml::{Map, Value, scalar},
};

/// Changes, to be made all at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

/// Keys after which a new one looks best; after them any that has a value on its line.
const AFTER: [&str; 3] = ["image", "name", "type"];

impl Edits {
    /// Makes a map hold what is wanted: values that differ are replaced, keys that are missing added, and
    /// everything else stays.
    pub(super) fn merge(
        &mut self,
        text: &str,
        node: &Node,
        wanted: &Map,
    ) -> Result<(), &'static str> {
        let mut missing = Map::new();
        for (key, value) in wanted.pairs() {
            let Some(there) = node.get_or_null(key) else {
                missing = missing.with(key, value.clone());
                continue;
            };
            match value {
                Value::Map(inner) if matches!(there.content, Content::Map(_)) => {
                    self.merge(text, there, inner)?;
                }
                Value::Map(inner) if there.content == Content::Null => {
                    let key = node.key(key).ok_or("a key without a place")?;
                    self.fill(text, &key, there, inner)?;
                }
                Value::Text(wanted) if is_scalar(there) => {
                    if there.text() != Some(wanted) {
                        let quoted = quotes(text, there.span.start);
                        self.0.push((there.span.clone(), written(wanted, quoted)));
                    }
                }
                _ => return Err("a value of another type stands where a setting belongs"),
            }
        }
        if missing.pairs().next().is_some() {
            self.insert(text, node, &missing)?;
        }
        Ok(())
    }

    /// Adds keys to a map.
    fn insert(&mut self, text: &str, node: &Node, missing: &Map) -> Result<(), &'static str> {
        let start = node.span.start;
        if text.get(start..).is_some_and(|rest| rest.starts_with('{')) {
            let first = node.pairs().next();
            let quoted = first.is_none_or(|(key, _)| quotes(text, key.span.start));
            let mut flow = flow(missing, quoted);
            if first.is_some() {
                flow.push_str(", ");
            }
            self.0.push((start + 1..start + 1, flow));
            return Ok(());
        }
        let Some((first, _)) = node.pairs().next() else {
            return Err("a map without a place");
        };
        let indent = column(text, first.span.start);
        let newline = newline(text);
        match line_after(text, node) {
            Some(end) => {
                let block = block(missing, indent, newline);
                self.0.push((end..end, format!("{newline}{block}")));
            }
            // Before the first key, on whose line there may be a dash.
            None => {
                let block = block(missing, indent, newline);
                let block = block.trim_start_matches(' ');
                let pad = " ".repeat(indent);
                let at = first.span.start;
                self.0.push((at..at, format!("{block}{newline}{pad}")));
            }
        }
        Ok(())
    }

    /// Gives a key that has no value one.
    fn fill(
        &mut self,
        text: &str,
        key: &Range<usize>,
        there: &Node,
        wanted: &Map,
    ) -> Result<(), &'static str> {
        let written = text.get(there.span.clone()).unwrap_or_default();
        if matches!(written, "~" | "null" | "Null" | "NULL") {
            let quoted = quotes(text, key.start);
            self.0
                .push((there.span.clone(), format!("{{{}}}", flow(wanted, quoted))));
            return Ok(());
        }
        let end = end_of_line(text, key.end).ok_or("a key that goes on after its line")?;
        let newline = newline(text);
        let block = block(wanted, column(text, key.start) + 2, newline);
        self.0.push((end..end, format!("{newline}{block}")));
        Ok(())
    }

    /// The text with all changes.
    pub(super) fn apply(mut self, text: &str) -> String {
        // From the end, so that places stay what they are; of two at one place the first one first.
        self.0.reverse();
        self.0
            .sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
        let mut text = text.to_owned();
        for (span, new) in self.0 {
            text.replace_range(span, &new);
        }
        text
    }
}

/// The same on values.
pub(super) fn merge_value(value: &mut Json, wanted: &Map) {
    if value.is_null() {
        *value = json!({});
    }
    let Some(object) = value.as_object_mut() else {
        return;
    };
    for (key, wanted) in wanted.pairs() {
        let there = object.entry(key).or_insert(Json::Null);
        match wanted {
            Value::Map(inner) => merge_value(there, inner),
            Value::Text(text) => *there = json!(text),
            Value::Bool(bool) => *there = json!(bool),
            Value::Number(number) => *there = json!(number),
            Value::Texts(texts) => *there = json!(texts),
            Value::Maps(_) => {}
        }
    }
}

fn is_scalar(node: &Node) -> bool {
    !matches!(node.content, Content::List(_) | Content::Map(_)) && !node.span.is_empty()
}

/// Whether something is written between double quotes.
fn quotes(text: &str, at: usize) -> bool {
    text.get(at..).is_some_and(|rest| rest.starts_with('"'))
}

fn written(value: &str, quoted: bool) -> String {
    let plain = scalar(value);
    if quoted && !plain.starts_with('"') {
        format!("\"{plain}\"")
    } else {
        plain
    }
}

/// Pairs between braces, without the braces.
fn flow(map: &Map, quoted: bool) -> String {
    let pairs = map.pairs().map(|(key, value)| {
        let key = written(key, quoted);
        match value {
            Value::Map(inner) => format!("{key}: {{{}}}", flow(inner, quoted)),
            Value::Text(text) => format!("{key}: {}", written(text, quoted)),
            Value::Bool(bool) => format!("{key}: {bool}"),
            Value::Number(number) => format!("{key}: {number}"),
            Value::Texts(_) | Value::Maps(_) => format!("{key}: []"),
        }
    });
    pairs.collect::<Vec<_>>().join(", ")
}

/// Lines of a block, each at its place, without the end of the last one.
fn block(map: &Map, indent: usize, newline: &str) -> String {
    let pad = " ".repeat(indent);
    let text = map.to_text();
    let lines: Vec<_> = text.lines().map(|line| format!("{pad}{line}")).collect();
    lines.join(newline)
}

/// How far from the beginning of its line a byte is, in characters.
fn column(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.chars().count()
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// The end of the line of a pair, after which another may stand.
fn line_after(text: &str, map: &Node) -> Option<usize> {
    let on_its_line = |node: &Node| {
        let value = text.get(node.span.clone())?;
        let is_one = is_scalar(node) && !value.contains('\n') && !value.starts_with(['|', '>']);
        is_one.then(|| end_of_line(text, node.span.end))?
    };
    let liked = AFTER.iter().filter_map(|key| map.get(key));
    let others = map.pairs().map(|(_, node)| node);
    liked.chain(others).find_map(on_its_line)
}

/// The end of a line on which nothing but a comment follows.
fn end_of_line(text: &str, from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let line = rest.split('\n').next()?.trim_end_matches('\r');
    let after = line.trim_start_matches(':').trim_start();
    (after.is_empty() || after.starts_with('#')).then_some(from + line.len())
}

//! A value of JSON or YAML, with its place.

use std::ops::Range;

use serde_json::{Map, Number, Value};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Bytes in the file.
    pub(crate) span: Range<usize>,
    pub(crate) content: Content,
}

/// What it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; no key twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) span: Range<usize>,
    pub(crate) text: String,
}

impl Node {
    /// The value of a key. `null` is unset, as it is for Kubernetes and for Go's JSON.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let value = self.get_or_null(key)?;
        (value.content != Content::Null).then_some(value)
    }

    /// The value of a key, `null` included.
    pub(crate) fn get_or_null(&self, key: &str) -> Option<&Self> {
        self.pairs()
            .find(|(it, _)| it.text == key)
            .map(|(_, it)| it)
    }

    /// The value at the end of keys.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The place of a key.
    pub(crate) fn key(&self, key: &str) -> Option<Range<usize>> {
        let (key, _) = self.pairs().find(|(it, _)| it.text == key)?;
        Some(key.span.clone())
    }

    pub(crate) fn pairs(&self) -> impl Iterator<Item = &(Key, Self)> {
        match &self.content {
            Content::Map(pairs) => pairs.iter(),
            _ => [].iter(),
        }
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Self> {
        match &self.content {
            Content::List(items) => items.iter(),
            _ => [].iter(),
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        match self.content {
            Content::Bool(bool) => Some(bool),
            _ => None,
        }
    }

    /// Puts each place where `place` says that it is.
    pub(super) fn move_to(&mut self, place: &impl Fn(&Range<usize>) -> Range<usize>) {
        self.span = place(&self.span);
        match &mut self.content {
            Content::List(items) => items.iter_mut().for_each(|item| item.move_to(place)),
            Content::Map(pairs) => {
                for (key, node) in pairs {
                    key.span = place(&key.span);
                    node.move_to(place);
                }
            }
            Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => {}
        }
    }

    /// The same without places.
    pub(crate) fn value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(bool) => Value::Bool(*bool),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Self::value).collect(),
            Content::Map(pairs) => pairs
                .iter()
                .map(|(key, node)| (key.text.clone(), node.value()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }
}

//! Keys of a seccomp profile that no runtime reads.

use std::ops::Range;

use serde_json::Value;

use super::{Content, Node};

/// A key that no runtime reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnreadKey {
    /// The key.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) span: Range<usize>,
    /// The key that was probably meant.
    pub(crate) meant: Option<&'static str>,
}

/// The keys of a map, those of the runtime-spec, Docker, Podman and CRI-O together, and the maps below.
struct Level {
    keys: &'static [&'static str],
    below: &'static [(&'static str, &'static Level)],
}

static PROFILE: Level = Level {
    keys: &[
        "defaultAction",
        "defaultErrnoRet",
        "defaultErrno",
        "architectures",
        "archMap",
        "flags",
        "listenerPath",
        "listenerMetadata",
        "syscalls",
    ],
    below: &[("archMap", &ARCHITECTURE), ("syscalls", &ENTRY)],
};
static ARCHITECTURE: Level = Level {
    keys: &["architecture", "subArchitectures"],
    below: &[],
};
static ENTRY: Level = Level {
    keys: &[
        "name", "names", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes",
    ],
    below: &[
        ("args", &CONDITION),
        ("includes", &FILTER),
        ("excludes", &FILTER),
    ],
};
static CONDITION: Level = Level {
    keys: &["index", "value", "valueTwo", "op"],
    below: &[],
};
static FILTER: Level = Level {
    keys: &["arches", "caps", "minKernel"],
    below: &[],
};

/// The profile as runtimes read it, without keys that they ignore and without `null`, and those keys. Go's
/// JSON ignores unknown keys. It takes a known key in other letter case, which is left in, so that reading
/// refuses it: other readers do not take it.
pub(super) fn split(node: &Node) -> (Value, Vec<UnreadKey>) {
    let mut unread = Vec::new();
    let value = read(node, &PROFILE, &mut unread);
    (value, unread)
}

fn read(node: &Node, level: &'static Level, unread: &mut Vec<UnreadKey>) -> Value {
    match &node.content {
        Content::List(items) => items.iter().map(|item| read(item, level, unread)).collect(),
        Content::Map(pairs) => {
            let mut map = serde_json::Map::new();
            for (key, value) in pairs {
                let is_known = level
                    .keys
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(&key.text));
                if !is_known {
                    unread.push(UnreadKey {
                        text: key.text.clone(),
                        span: key.span.clone(),
                        meant: meant(&key.text, level.keys),
                    });
                } else if value.content != Content::Null {
                    let below = level.below.iter().find(|(name, _)| *name == key.text);
                    let value = match below {
                        Some((_, below)) => read(value, below, unread),
                        None => value.value(),
                    };
                    map.insert(key.text.clone(), value);
                }
            }
            Value::Object(map)
        }
        _ => node.value(),
    }
}

/// The known key that is a letter or two away.
fn meant(key: &str, known: &'static [&'static str]) -> Option<&'static str> {
    let most = match key.len() {
        0..=3 => 0,
        4 => 1,
        5..=64 => 2,
        _ => return None,
    };
    // A note is a note, however it is spelt.
    let is_note = key.to_ascii_lowercase().contains("comment");
    known
        .iter()
        .copied()
        .filter(|_| !is_note)
        .map(|known| (syscalls::distance(key, known), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

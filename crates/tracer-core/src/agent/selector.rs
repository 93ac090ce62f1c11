//! Which containers are meant: `namespace=shop,label=app=web*`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::glob::matches;

/// What a selector looks at. What is `None` is not known yet.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// The pod's namespace; empty for a container in no pod.
    pub namespace: Option<&'a str>,
    /// The pod's labels, or the engine's.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// The image's name; empty when nothing has one.
    pub image: Option<&'a str>,
    /// The engine that started it and the OCI runtime that ran it.
    pub runtimes: Vec<&'a str>,
    /// The container's name.
    pub name: Option<&'a str>,
    /// The path of its cgroup below the hierarchy's root, with a slash before it.
    pub cgroup: &'a str,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Namespace,
    Label,
    Image,
    Runtime,
    Name,
    Cgroup,
    Unit,
}

impl Field {
    const ALL: [(&'static str, Self); 7] = [
        ("namespace", Self::Namespace),
        ("label", Self::Label),
        ("image", Self::Image),
        ("runtime", Self::Runtime),
        ("name", Self::Name),
        ("cgroup", Self::Cgroup),
        ("unit", Self::Unit),
    ];
}

/// A selector: conditions of the form `FIELD=PATTERN`, all of which a container meets.
///
/// | field | what the pattern is of |
/// | --- | --- |
/// | `namespace` | the pod's namespace; empty for a container in no pod |
/// | `label` | a label as `KEY=VALUE`, or its key alone |
/// | `image` | the image's name as it was asked for |
/// | `runtime` | the engine (`containerd`, `docker`) or the OCI runtime (`runc`) |
/// | `name` | the container's name |
/// | `cgroup` | the path of its cgroup, with a slash before it |
/// | `unit` | one of the systemd units that its cgroup is in |
///
/// ```
/// use tracer_core::agent::{Decision, Facts, Selector};
///
/// let selector: Selector = "namespace=shop-*,image=*nginx*".parse().unwrap();
/// let facts = Facts { namespace: Some("shop-eu"), image: Some("nginx:1.27"), ..Facts::default() };
/// assert_eq!(selector.decide(&facts), Decision::Yes);
/// assert!("nmespace=shop".parse::<Selector>().unwrap_err().to_string().contains("namespace"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Selector {
    text: String,
    conditions: Vec<(Field, String)>,
}

/// What a selector says of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is meant.
    Yes,
    /// It is not.
    No,
    /// What it depends on is not known yet.
    Unknown,
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelectorError {
    /// A condition has no `=`.
    #[error("{0:?} is no condition; write FIELD=PATTERN, as in namespace=shop")]
    NoCondition(String),
    /// There is no such field.
    #[error("a container has no {field:?}; select by namespace, label, image, runtime, name, cgroup or unit{}", suggestion(.field))]
    Field {
        /// What was given.
        field: String,
    },
}

fn suggestion(field: &str) -> String {
    let near = Field::ALL
        .iter()
        .map(|(name, _)| (strsim::damerau_levenshtein(name, field), name))
        .min();
    match near {
        Some((1 | 2, name)) => format!(" (did you mean {name}?)"),
        _ => String::new(),
    }
}

impl Selector {
    /// Whether a container is meant.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let mut decision = Decision::Yes;
        for (field, pattern) in &self.conditions {
            match condition(*field, pattern, facts) {
                Some(true) => {}
                Some(false) => return Decision::No,
                None => decision = Decision::Unknown,
            }
        }
        decision
    }
}

/// Whether a container meets a condition; `None` when that is not known.
fn condition(field: Field, pattern: &str, facts: &Facts<'_>) -> Option<bool> {
    match field {
        Field::Namespace => facts.namespace.map(|it| matches(pattern, it)),
        Field::Image => facts.image.map(|it| matches(pattern, it)),
        Field::Name => facts.name.map(|it| matches(pattern, it)),
        Field::Runtime => Some(facts.runtimes.iter().any(|it| matches(pattern, it))),
        Field::Cgroup => Some(matches(pattern, facts.cgroup)),
        Field::Unit => {
            let is_unit = |part: &&str| {
                [".service", ".scope", ".slice"]
                    .iter()
                    .any(|end| part.ends_with(end))
            };
            let mut units = facts.cgroup.split('/').filter(is_unit);
            Some(units.any(|unit| matches(pattern, unit)))
        }
        Field::Label => {
            let (key, value) = pattern.split_once('=').unwrap_or((pattern, "*"));
            let has = |labels: &BTreeMap<String, String>| {
                labels
                    .iter()
                    .any(|(name, its)| matches(key, name) && matches(value, its))
            };
            facts.labels.map(has)
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let condition = |part: &str| {
            let Some((field, pattern)) = part.split_once('=') else {
                return Err(SelectorError::NoCondition(part.to_owned()));
            };
            let field = field.trim();
            let known = Field::ALL.iter().find(|(name, _)| *name == field);
            let Some((_, known)) = known else {
                return Err(SelectorError::Field {
                    field: field.to_owned(),
                });
            };
            Ok((*known, pattern.trim().to_owned()))
        };
        Ok(Self {
            conditions: text.split(',').map(condition).collect::<Result<_, _>>()?,
            text: text.to_owned(),
        })
    }
}

impl TryFrom<String> for Selector {
    type Error = SelectorError;

    fn try_from(text: String) -> Result<Self, SelectorError> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> Self {
        selector.text
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(selector: &str, facts: &Facts<'_>) -> Decision {
        selector.parse::<Selector>().unwrap().decide(facts)
    }

    #[test]
    fn each_field_is_looked_at() {
        let labels = BTreeMap::from([("app".to_owned(), "web-1".to_owned())]);
        let facts = Facts {
            namespace: Some("shop"),
            labels: Some(&labels),
            image: Some("docker.io/library/nginx:1.27"),
            runtimes: vec!["containerd", "runc"],
            name: Some("proxy"),
            cgroup: "/system.slice/docker.service/abc",
        };
        for (selector, expected) in [
            ("namespace=shop", Decision::Yes),
            ("namespace=sh", Decision::No),
            ("namespace=s*,name=proxy", Decision::Yes),
            ("namespace=s*,name=cart", Decision::No),
            ("label=app", Decision::Yes),
            ("label=app=web-*", Decision::Yes),
            ("label=app=cart", Decision::No),
            ("label=tier", Decision::No),
            ("image=*nginx*", Decision::Yes),
            ("runtime=runc", Decision::Yes),
            ("runtime=crun", Decision::No),
            ("cgroup=/system.slice/*", Decision::Yes),
            ("unit=docker.service", Decision::Yes),
            ("unit=abc", Decision::No),
        ] {
            assert_eq!(decide(selector, &facts), expected, "{selector}");
        }
    }

    #[test]
    fn what_is_not_known_decides_nothing_but_what_is_known_does() {
        let facts = Facts {
            runtimes: vec!["runc"],
            cgroup: "/a",
            ..Facts::default()
        };
        assert_eq!(decide("namespace=shop", &facts), Decision::Unknown);
        assert_eq!(decide("namespace=shop,runtime=crun", &facts), Decision::No);
        assert_eq!(
            decide("namespace=shop,runtime=runc", &facts),
            Decision::Unknown
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("", "FIELD=PATTERN"),
            ("shop", "FIELD=PATTERN"),
            ("namespace=a,", "FIELD=PATTERN"),
            ("namespase=a", "did you mean namespace?"),
            ("colour=red", "no \"colour\""),
        ] {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

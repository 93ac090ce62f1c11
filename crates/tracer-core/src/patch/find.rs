//! The containers of a manifest, and which one is meant.

use serde_json::Value;

use super::{Error, shown};
use crate::{
    parse::{Input, Node},
    profile::kubernetes::Placement,
};

/// A place in a file: the document, and the way from there.
#[derive(Clone, Debug)]
pub(super) struct Pointer {
    document: usize,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Key(&'static str),
    Index(usize),
}

impl Pointer {
    fn then(&self, steps: impl IntoIterator<Item = Step>) -> Self {
        let mut longer = self.clone();
        longer.steps.extend(steps);
        longer
    }

    pub(super) fn node<'a>(&self, roots: &'a [Node]) -> Option<&'a Node> {
        let root = roots.get(self.document)?;
        self.steps.iter().try_fold(root, |node, step| match step {
            Step::Key(key) => node.get(key),
            Step::Index(index) => node.items().nth(*index),
        })
    }

    pub(super) fn value<'a>(&self, roots: &'a mut [Value]) -> Option<&'a mut Value> {
        let root = roots.get_mut(self.document)?;
        self.steps.iter().try_fold(root, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.get_mut(index),
        })
    }
}

/// A container of an object.
#[derive(Clone, Debug)]
pub(super) struct ContainerMatch {
    /// The pod, or its template.
    pub(super) pod: Pointer,
    /// The container.
    pub(super) container: Pointer,
    /// Its name.
    pub(super) name: String,
    /// The object, and the name.
    pub(super) label: String,
    /// The object: kind in small letters, and name.
    object: (String, String),
    is_main: bool,
}

/// Where pods are in objects.
const PODS: [&[&str]; 4] = [
    &[],
    &["spec", "template"],
    &["spec", "jobTemplate", "spec", "template"],
    &["template"],
];

const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

fn containers(roots: &[Node]) -> Vec<ContainerMatch> {
    let mut all = Vec::new();
    for (document, root) in roots.iter().enumerate() {
        let here = Pointer {
            document,
            steps: Vec::new(),
        };
        let items = root.get("items").filter(|_| {
            let kind = root.get("kind").and_then(Node::text);
            kind.is_some_and(|kind| kind.ends_with("List"))
        });
        match items {
            Some(items) => {
                for (at, item) in items.items().enumerate() {
                    let steps = [Step::Key("items"), Step::Index(at)];
                    add(&mut all, item, &here.then(steps));
                }
            }
            None => add(&mut all, root, &here),
        }
    }
    all
}

/// Adds the containers of an object.
fn add(all: &mut Vec<ContainerMatch>, object: &Node, place: &Pointer) {
    if object.get("apiVersion").is_none() {
        return;
    }
    let at = PODS
        .into_iter()
        .find_map(|path| Some((path, object.at(path)?)).filter(|(_, pod)| is_pod(pod)));
    let Some((path, pod)) = at else {
        return;
    };
    let text = |path: &[&str]| object.at(path).and_then(Node::text).unwrap_or("?");
    let (kind, name) = (text(&["kind"]), text(&["metadata", "name"]));
    let pod_place = place.then(path.iter().map(|key| Step::Key(key)));
    for list in LISTS {
        let items = pod.at(&["spec", list]).into_iter().flat_map(Node::items);
        for (index, container) in items.enumerate() {
            let own = container.get("name").and_then(Node::text).unwrap_or("?");
            let steps = [Step::Key("spec"), Step::Key(list), Step::Index(index)];
            all.push(ContainerMatch {
                pod: pod_place.clone(),
                container: pod_place.then(steps),
                name: own.to_owned(),
                label: format!("{}/{}, container {}", shown(kind), shown(name), shown(own)),
                object: (kind.to_ascii_lowercase(), name.to_owned()),
                is_main: list == "containers",
            });
        }
    }
}

fn is_pod(node: &Node) -> bool {
    node.at(&["spec", "containers"]).is_some()
}

/// The container that is meant.
pub(super) fn choose(
    input: &Input,
    roots: &[Node],
    placement: &Placement,
    chosen: Option<&str>,
) -> Result<ContainerMatch, Error> {
    let all = containers(roots);
    let file = || input.name().to_owned();
    let known = || all.iter().map(|it| it.label.clone()).collect::<Vec<_>>();
    if all.is_empty() {
        return Err(Error::NoPod { file: file() });
    }
    let mut fitting: Vec<&ContainerMatch> = match chosen.or(placement.container.as_deref()) {
        Some(name) => {
            let named: Vec<_> = all.iter().filter(|it| it.name == name).collect();
            if named.is_empty() {
                return Err(Error::NoContainer {
                    file: file(),
                    name: shown(name),
                    known: known(),
                });
            }
            named
        }
        None => all.iter().filter(|it| it.is_main).collect(),
    };
    if fitting.len() > 1
        && let Some(owner) = &placement.owner
    {
        let owned: Vec<_> = fitting
            .iter()
            .copied()
            .filter(|it| it.object == *owner)
            .collect();
        if !owned.is_empty() {
            fitting = owned;
        }
    }
    match fitting[..] {
        [one] => Ok(one.clone()),
        [first, ..] if fitting.iter().all(|it| it.name == first.name) => Err(Error::Objects {
            file: file(),
            name: shown(&first.name),
            objects: fitting.iter().map(|it| it.label.clone()).collect(),
        }),
        _ => Err(Error::Several {
            file: file(),
            known: known(),
        }),
    }
}

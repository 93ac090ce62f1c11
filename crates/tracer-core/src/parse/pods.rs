//! The pods that an object makes.

use super::{Content, Node, node::Key, object};

/// The pods of an object, or its templates of pods: maps that have `spec`. Those of Argo Workflows and Tekton
/// are put together from its templates and steps; each value keeps its place.
pub(super) fn of(object: &Node) -> Vec<Node> {
    let text = |key| object.get(key).and_then(Node::text).unwrap_or_default();
    let group = text("apiVersion").split('/').next().unwrap_or_default();
    match (group, text("kind")) {
        ("argoproj.io", "Workflow" | "WorkflowTemplate" | "ClusterWorkflowTemplate") => {
            object.get("spec").map(argo).unwrap_or_default()
        }
        ("argoproj.io", "CronWorkflow") => object
            .at(&["spec", "workflowSpec"])
            .map(argo)
            .unwrap_or_default(),
        ("tekton.dev", _) => tekton(object),
        _ => match template(object) {
            Some(template) => vec![template.clone()],
            // A kind of somebody's own has its templates anywhere.
            None => {
                let mut found = Vec::new();
                templates(object, &mut found);
                found
            }
        },
    }
}

/// The templates of pods that lie anywhere in a value.
fn templates(node: &Node, found: &mut Vec<Node>) {
    let containers = node.at(&["spec", "containers"]);
    let mut items = containers.into_iter().flat_map(Node::items);
    if items.any(|it| it.get("name").is_some() || it.get("image").is_some()) {
        return found.push(node.clone());
    }
    for inner in node.items().chain(node.pairs().map(|(_, value)| value)) {
        templates(inner, found);
    }
}

/// The map that has a pod's `spec`.
fn template(object: &Node) -> Option<&Node> {
    let is_pod = |node: &&Node| node.at(&["spec", "containers"]).is_some();
    [
        Some(object),
        object.at(&["spec", "template"]),
        object.at(&["spec", "jobTemplate", "spec", "template"]),
        object.get("template"),
    ]
    .into_iter()
    .flatten()
    .find(is_pod)
}

/// A pod for each template that runs containers (argo-workflows, docs/fields.md, Template).
fn argo(spec: &Node) -> Vec<Node> {
    let templates = spec.get("templates").into_iter().flat_map(Node::items);
    templates
        .filter_map(|template| {
            let set = template.at(&["containerSet", "containers"]);
            let main = ["container", "script"]
                .into_iter()
                .filter_map(|key| template.get(key));
            let sidecars = template.get("sidecars").into_iter().flat_map(Node::items);
            let containers: Vec<_> = main
                .chain(set.into_iter().flat_map(Node::items))
                .chain(sidecars)
                .map(|container| named(container, template))
                .collect();
            if containers.is_empty() {
                return None;
            }
            let context = template
                .get("securityContext")
                .or_else(|| spec.get("securityContext"));
            let init = template.get("initContainers").cloned();
            Some(pod(template, context, containers, init))
        })
        .collect()
}

/// A pod for each task that is written out (tektoncd/pipeline, docs/tasks.md).
fn tekton(object: &Node) -> Vec<Node> {
    let Some(spec) = object.get("spec") else {
        return Vec::new();
    };
    let pipeline = spec.get("pipelineSpec").unwrap_or(spec);
    let tasks = ["tasks", "finally"]
        .into_iter()
        .filter_map(|key| pipeline.get(key));
    let inline = tasks
        .flat_map(Node::items)
        .filter_map(|task| task.get("taskSpec"));
    let context = ["podTemplate", "taskRunTemplate"]
        .into_iter()
        .filter_map(|key| spec.get(key))
        .find_map(|it| {
            it.get("securityContext")
                .or_else(|| it.at(&["podTemplate", "securityContext"]))
        });
    [Some(spec), spec.get("taskSpec")]
        .into_iter()
        .flatten()
        .chain(inline)
        .filter_map(|task| {
            let steps = task.get("steps")?;
            let defaults = task.at(&["stepTemplate", "securityContext"]);
            let sidecars = task.get("sidecars").into_iter().flat_map(Node::items);
            let containers = steps
                .items()
                .map(|step| with_context(step, defaults))
                .chain(sidecars.cloned())
                .collect();
            Some(pod(task, context, containers, None))
        })
        .collect()
}

/// A container with the name of its template, when it has none.
fn named(container: &Node, template: &Node) -> Node {
    let mut named = container.clone();
    if container.get("name").is_none()
        && let (Some(name), Content::Map(pairs)) = (template.get("name"), &mut named.content)
    {
        pairs.retain(|(key, _)| key.text != "name");
        pairs.push(pair("name", name.clone()));
    }
    named
}

/// A step with the settings of the step template that it does not have itself.
fn with_context(step: &Node, defaults: Option<&Node>) -> Node {
    let mut step = step.clone();
    let (Some(defaults), Content::Map(pairs)) = (defaults, &mut step.content) else {
        return step;
    };
    let own = pairs
        .iter_mut()
        .find(|(key, value)| key.text == "securityContext" && value.content != Content::Null);
    match own {
        None => pairs.push(pair("securityContext", defaults.clone())),
        Some((_, own)) => {
            let missing = defaults
                .pairs()
                .filter(|(key, _)| own.get(&key.text).is_none());
            let missing: Vec<_> = missing.cloned().collect();
            if let Content::Map(pairs) = &mut own.content {
                pairs.retain(|(_, value)| value.content != Content::Null);
                pairs.extend(missing);
            }
        }
    }
    step
}

fn pod(at: &Node, context: Option<&Node>, containers: Vec<Node>, init: Option<Node>) -> Node {
    let node = |content| Node {
        span: at.span.clone(),
        content,
    };
    let mut spec = vec![pair("containers", node(Content::List(containers)))];
    spec.extend(context.map(|it| pair("securityContext", it.clone())));
    spec.extend(init.map(|it| pair("initContainers", it)));
    let mut pod = vec![pair("spec", node(Content::Map(spec)))];
    pod.extend(at.get("metadata").map(|it| pair("metadata", it.clone())));
    node(Content::Map(pod))
}

fn pair(key: &str, value: Node) -> (Key, Node) {
    let key = Key {
        span: value.span.clone(),
        text: key.to_owned(),
    };
    (key, value)
}

/// What to say of a file that is known and has nothing for an audit; `None`: it is not known.
pub(super) fn recognized(documents: &[Node]) -> Option<String> {
    let objects = documents.iter().flat_map(object::flatten);
    objects.filter_map(recognized_one).next()
}

fn recognized_one(node: &Node) -> Option<String> {
    let text = |key| node.get(key).and_then(Node::text);
    if let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) {
        let is_encoded = match kind {
            "ConfigMap" => node.get("binaryData").is_some(),
            "Secret" => node.get("data").is_some(),
            _ => false,
        };
        if is_encoded {
            return Some(format!(
                "the values of this {kind} are in base64, which is not read; decode the profile into a file"
            ));
        }
        return Some(format!(
            "{kind} ({version}) has no pod template that tracer reads, and no profile"
        ));
    }
    None
}

//! Containers outside of Kubernetes: Compose files, `docker inspect` and the runtime-spec's `config.json`, put
//! together as pods. Each value keeps its place.

use std::ops::Range;

use super::{
    Content, Input, Node, ParseError, Subject,
    node::Key,
    subjects::{Manifest, Source, of_text},
};

/// Keys by which a service of Compose is told, those of a file that overrides another included.
const SERVICE: [&str; 7] = [
    "image",
    "build",
    "privileged",
    "security_opt",
    "cap_add",
    "cap_drop",
    "extends",
];

/// What a file of a container engine says; `None` when it is none.
pub(super) fn of(input: &Input, node: &Node) -> Result<Option<Vec<Subject>>, ParseError> {
    if node.get("ociVersion").is_some() && node.get("metadata").is_none() {
        return runtime_spec(input, node).map(Some);
    }
    let is_service = |it: &Node| SERVICE.iter().any(|key| it.get(key).is_some());
    let services = || node.get("services").into_iter().flat_map(Node::pairs);
    let inspected = |it: &&Node| it.get("HostConfig").is_some();
    let found: Vec<Service<'_>> = if services().any(|(_, it)| is_service(it)) {
        services()
            .map(|(name, it)| Service::of_compose(name, it))
            .collect()
    } else {
        let all = node.items().chain([node]).filter(inspected);
        all.map(Service::of_inspect).collect()
    };
    if found.is_empty() {
        return Ok(None);
    }
    let mut subjects = Vec::new();
    for service in &found {
        service.subjects(input, &mut subjects)?;
    }
    Ok(Some(subjects))
}

/// A container as its engine is told to start it.
struct Service<'a> {
    name: Node,
    privileged: Option<Node>,
    add: Option<&'a Node>,
    drop: Option<&'a Node>,
    options: Option<&'a Node>,
}

impl<'a> Service<'a> {
    fn of_compose(name: &Key, service: &'a Node) -> Self {
        Self {
            name: text(&name.text, &name.span),
            privileged: service.get("privileged").map(of_compose_bool),
            add: service.get("cap_add"),
            drop: service.get("cap_drop"),
            options: service.get("security_opt"),
        }
    }

    fn of_inspect(container: &'a Node) -> Self {
        let host = |key| container.at(&["HostConfig", key]);
        let name = container.get("Name").or_else(|| container.get("Id"));
        let said = name.and_then(Node::text).unwrap_or("?");
        Self {
            name: text(
                said.trim_start_matches('/'),
                &name.unwrap_or(container).span,
            ),
            privileged: host("Privileged").cloned(),
            add: host("CapAdd"),
            drop: host("CapDrop"),
            options: host("SecurityOpt"),
        }
    }

    /// The profiles that it carries, and the container.
    fn subjects(&self, input: &Input, subjects: &mut Vec<Subject>) -> Result<(), ParseError> {
        let at = &self.name.span;
        // Without an option the engine's default profiles are in force.
        let mut seccomp = kind("RuntimeDefault", at);
        let mut apparmor = kind("RuntimeDefault", at);
        let mut escalation = None;
        let options = self.options.into_iter().flat_map(Node::items);
        for (option, said) in options.filter_map(|it| Some((it, it.text()?))) {
            let (key, value) = said.split_once(['=', ':']).unwrap_or((said, ""));
            match key {
                "no-new-privileges" if is_variable(said) => {
                    escalation = Some(option.clone());
                }
                "apparmor" if is_variable(said) => apparmor = kind(said, &option.span),
                // What is behind a variable alone may be a profile.
                _ if is_variable(said) && (key == "seccomp" || key.starts_with('$')) => {
                    seccomp = kind(said, &option.span);
                }
                "seccomp" if value.trim_start().starts_with('{') => {
                    let skip = said.len() - value.len();
                    let own = self.name.text().unwrap_or_default();
                    subjects.extend(of_text(input, (own, &option.span), option, skip)?);
                    // It is audited by itself, and is no name to look for.
                }
                "seccomp" => seccomp = choice(value, &["", "builtin"], option),
                "apparmor" => apparmor = choice(value, &["", "docker-default"], option),
                "no-new-privileges" => {
                    let allows = value == "false";
                    escalation = Some(node(Content::Bool(allows), &option.span));
                }
                _ => {}
            }
        }
        let mut context = vec![
            pair("seccompProfile", seccomp),
            pair("appArmorProfile", apparmor),
        ];
        context.extend(self.privileged.clone().map(|it| pair("privileged", it)));
        context.extend(escalation.map(|it| pair("allowPrivilegeEscalation", it)));
        let capabilities = [("add", self.add), ("drop", self.drop)];
        let capabilities = capabilities
            .into_iter()
            .filter_map(|(key, list)| Some(pair(key, list?.clone())));
        let capabilities = node(Content::Map(capabilities.collect()), at);
        context.push(pair("capabilities", capabilities));
        subjects.push(pod(&self.name, context, Source::Engine));
        Ok(())
    }
}

/// Whether Compose fills a value in.
fn is_variable(text: &str) -> bool {
    text.contains("${") && !text.contains("{\"")
}

/// Texts that are booleans for Compose (compose-go, interpolation, `toBoolean`).
fn of_compose_bool(value: &Node) -> Node {
    let text = value.text().map(str::to_ascii_lowercase);
    match text.as_deref() {
        Some("true" | "y" | "yes" | "on") => node(Content::Bool(true), &value.span),
        Some("false" | "n" | "no" | "off") => node(Content::Bool(false), &value.span),
        _ => value.clone(),
    }
}

/// What `security_opt` chooses: the default, none, or a profile.
fn choice(value: &str, defaults: &[&str], option: &Node) -> Node {
    let span = &option.span;
    match value {
        "unconfined" => kind("Unconfined", span),
        default if defaults.contains(&default) => kind("RuntimeDefault", span),
        name => {
            let name = name.strip_prefix("./").unwrap_or(name);
            let pairs = vec![
                pair("type", text("Localhost", span)),
                pair("localhostProfile", text(name, span)),
            ];
            node(Content::Map(pairs), span)
        }
    }
}

/// A container of the runtime-spec, which has no defaults: what is not there is off.
fn runtime_spec(input: &Input, config: &Node) -> Result<Vec<Subject>, ParseError> {
    let linux = config.get("linux");
    if let Some(linux) = linux
        && !matches!(linux.content, Content::Map(_))
    {
        return Err(input.malformed(linux.span.start, "linux is not a map"));
    }
    let others = ["windows", "solaris", "vm"];
    // There seccomp restricts nothing, so no profile is missing.
    let is_other = linux.is_none() && others.iter().any(|key| config.get(key).is_some());
    let linux = linux.unwrap_or(config);
    let at = config
        .key("linux")
        .unwrap_or(config.span.start..config.span.start + 1);
    let name = text("of config.json", &at);
    if linux.get("seccomp").is_some() {
        return Ok(Vec::new());
    }
    let at = linux.key("seccomp").unwrap_or(at);
    let profile = if is_other {
        "RuntimeDefault"
    } else {
        "Unconfined"
    };
    let context = vec![pair("seccompProfile", kind(profile, &at))];
    Ok(vec![pod(&name, context, Source::Runtime)])
}

fn pod(name: &Node, context: Vec<(Key, Node)>, source: Source) -> Subject {
    let at = &name.span;
    let container = vec![
        pair("name", name.clone()),
        pair("securityContext", node(Content::Map(context), at)),
    ];
    let containers = node(Content::List(vec![node(Content::Map(container), at)]), at);
    let spec = node(Content::Map(vec![pair("containers", containers)]), at);
    Subject::Manifest(Manifest {
        pod: node(Content::Map(vec![pair("spec", spec)]), at),
        source,
    })
}

fn kind(kind: &str, span: &Range<usize>) -> Node {
    node(Content::Map(vec![pair("type", text(kind, span))]), span)
}

fn text(text: &str, span: &Range<usize>) -> Node {
    node(Content::Text(text.to_owned()), span)
}

fn node(content: Content, span: &Range<usize>) -> Node {
    Node {
        span: span.clone(),
        content,
    }
}

fn pair(key: &str, value: Node) -> (Key, Node) {
    let key = Key {
        span: value.span.clone(),
        text: key.to_owned(),
    };
    (key, value)
}

//! An AppArmorProfile of the Security Profiles Operator, as the rules that the operator writes for it
//! (internal/pkg/daemon/apparmorprofile/crd2armor/crd2armor.go). The denials that it adds to every
//! profile are not among them.

use syscalls::capability::Capability;

use super::{
    super::{Form, Input, Node, ParseError, object},
    AppArmor, Statement,
};

/// Lists of paths: the field, its list, and the permissions.
const PATHS: [(&str, &str, &str); 5] = [
    ("executable", "allowedExecutables", "ixr"),
    ("executable", "allowedLibraries", "mr"),
    ("filesystem", "readOnlyPaths", "r"),
    ("filesystem", "writeOnlyPaths", "wlk"),
    ("filesystem", "readWritePaths", "rwlk"),
];

/// Fields and what they may hold, so that nothing is passed over in silence.
const FIELDS: [(&[&str], &[&str]); 7] = [
    (
        &[],
        // The last one is of versions before state and mode.
        &[
            "abstract",
            "state",
            "mode",
            "disabled",
            "complainMode",
            "policy",
        ],
    ),
    (
        &["abstract"],
        &["executable", "filesystem", "network", "capability"],
    ),
    (
        &["abstract", "executable"],
        &["allowedExecutables", "allowedLibraries"],
    ),
    (
        &["abstract", "filesystem"],
        &["readOnlyPaths", "writeOnlyPaths", "readWritePaths"],
    ),
    (&["abstract", "network"], &["allowRaw", "allowedProtocols"]),
    (
        &["abstract", "network", "allowedProtocols"],
        &["allowTcp", "allowUdp"],
    ),
    (&["abstract", "capability"], &["allowedCapabilities"]),
];

/// The rules of an object.
pub(in super::super) fn resource(input: &Input, object: &Node) -> Result<AppArmor, ParseError> {
    let spec = object::spec(input, object, "AppArmorProfile")?;
    known(input, spec)?;
    let name = object::name(object).unwrap_or_default();
    if let Some(policy) = spec.get("policy") {
        // The first alpha version held the text.
        let wrong = |malformed: ParseError| malformed.within(input, "policy", policy.span.start);
        let inner = Input::new("policy", text(input, policy)?.into()).map_err(wrong)?;
        let read = AppArmor::from_text(&inner).map_err(wrong)?;
        return Ok(AppArmor {
            form: Form::AppArmorResource,
            object: Some(object.clone()),
            ..read.named(name).moved(|_| policy.span.clone())
        });
    }
    let mut statements = vec![head(object, spec, name)];
    for (field, list, permissions) in PATHS {
        for node in items(spec, &["abstract", field, list]) {
            statements.push(rule(node, &[text(input, node)?, permissions]));
        }
    }
    network(input, spec, &mut statements)?;
    for node in items(spec, &["abstract", "capability", "allowedCapabilities"]) {
        let given = text(input, node)?;
        let known: Option<Capability> = given.parse().ok();
        let name = known.and_then(Capability::name).unwrap_or(given);
        statements.push(rule(node, &["capability", &name.to_ascii_lowercase()]));
    }
    if let Some(one_more) = statements.get(super::MAX_RULES) {
        let what = format!("more than {} rules", super::MAX_RULES);
        return Err(input.malformed(one_more.span.start, what));
    }
    Ok(AppArmor {
        form: Form::AppArmorResource,
        name: object::name(object).map(str::to_owned),
        statements,
        object: Some(object.clone()),
    })
}

fn known(input: &Input, spec: &Node) -> Result<(), ParseError> {
    for (keys, fields) in FIELDS {
        let Some(node) = spec.at(keys) else {
            continue;
        };
        for (key, _) in node.pairs() {
            if !fields.contains(&key.text.as_str()) {
                let what = format!(
                    "unknown field {:?}, expected one of {} (read as {})",
                    key.text,
                    fields.join(", "),
                    Form::AppArmorResource
                );
                return Err(input.malformed(key.span.start, what));
            }
        }
    }
    Ok(())
}

fn head(object: &Node, spec: &Node, name: &str) -> Statement {
    // v1 has no complainMode, and operators of its time do not read it.
    let version = object.get("apiVersion").and_then(Node::text);
    let is_old = version.is_some_and(|version| !version.ends_with("/v1"));
    let complains = spec.get("mode").and_then(Node::text) == Some("Complain")
        || (is_old && spec.get("complainMode").and_then(Node::bool) == Some(true));
    let place = ["mode", "complainMode"]
        .iter()
        .find_map(|key| spec.get(key))
        .filter(|_| complains)
        .or_else(|| object.at(&["metadata", "name"]))
        .unwrap_or(object);
    let flags = complains.then_some("flags=(complain)");
    let words = ["profile", name].into_iter().chain(flags);
    Statement {
        span: place.span.clone(),
        words: words.map(str::to_owned).collect(),
        profile: 1,
        is_head: true,
        outer: 0,
    }
}

fn network(input: &Input, spec: &Node, statements: &mut Vec<Statement>) -> Result<(), ParseError> {
    let kinds: [(&[&str], &str); 3] = [
        (&["abstract", "network", "allowRaw"], "raw"),
        (
            &["abstract", "network", "allowedProtocols", "allowTcp"],
            "tcp",
        ),
        (
            &["abstract", "network", "allowedProtocols", "allowUdp"],
            "udp",
        ),
    ];
    for (keys, kind) in kinds {
        let Some(node) = spec.at(keys) else {
            continue;
        };
        let Some(allowed) = node.bool() else {
            return Err(input.malformed(node.span.start, "this is neither true nor false"));
        };
        match (allowed, kind) {
            (true, kind) => statements.push(rule(node, &["network", kind])),
            (false, "raw") => statements.push(rule(node, &["deny", "network", "raw"])),
            (false, _) => {}
        }
    }
    Ok(())
}

fn items<'a>(spec: &'a Node, keys: &[&str]) -> impl Iterator<Item = &'a Node> {
    spec.at(keys).into_iter().flat_map(Node::items)
}

fn text<'a>(input: &Input, node: &'a Node) -> Result<&'a str, ParseError> {
    let wrong = || input.malformed(node.span.start, "this is not text");
    node.text().ok_or_else(wrong)
}

fn rule(node: &Node, words: &[&str]) -> Statement {
    Statement {
        span: node.span.clone(),
        words: words.iter().map(|&word| word.to_owned()).collect(),
        profile: 1,
        is_head: false,
        outer: 0,
    }
}

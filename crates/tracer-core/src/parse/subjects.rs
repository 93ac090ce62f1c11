//! The profiles in a file, and what else of it concerns them.

use std::ops::Range;

use super::{
    AppArmor, Form, Input, Node, ParseError, Seccomp, Selinux, apparmor, engines, foreign, json,
    object, pods, seccomp, selinux, within::Within, yaml,
};

/// A part of a file that says something of profiles.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A seccomp profile.
    Seccomp(Box<Seccomp>),
    /// An AppArmor profile; of text, the whole of it.
    AppArmor(AppArmor),
    /// What an SELinux policy allows a domain.
    Selinux(Selinux),
    /// An object of Kubernetes that has pods.
    Manifest(Manifest),
}

/// An object that has pods.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The pod, or its template: the map that has `spec`.
    pub(crate) pod: Node,
    /// Who reads it.
    pub(crate) source: Source,
}

/// Who starts the containers of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Kubernetes: what an API server refuses is a mistake.
    Kubernetes,
    /// A container engine, which has default profiles.
    Engine,
    /// A runtime by itself: what is not written is off.
    Runtime,
}

impl Manifest {
    /// Whether it is an object of Kubernetes, and not a file of a container engine or runtime.
    pub fn is_kubernetes(&self) -> bool {
        self.source == Source::Kubernetes
    }

    fn of_kubernetes(pod: Node) -> Self {
        let source = Source::Kubernetes;
        Self { pod, source }
    }
}

impl Subject {
    /// Its form, and what it is called; `None`: it is no profile.
    pub(super) fn profile(&self) -> Option<(Form, Option<&str>)> {
        match self {
            Self::Seccomp(read) => Some((read.form, read.name.as_deref())),
            Self::AppArmor(read) => Some((read.form, read.name.as_deref())),
            Self::Selinux(read) => Some((read.form, read.name.as_deref())),
            Self::Manifest(_) => None,
        }
    }

    /// Where it begins.
    pub(super) fn begin(&self) -> usize {
        match self {
            Self::Seccomp(read) => read.object.as_ref().unwrap_or(&read.node).span.start,
            Self::AppArmor(read) => read.begin(),
            Self::Selinux(read) => read.span.start,
            Self::Manifest(manifest) => manifest.pod.span.start,
        }
    }
}

/// What is in a file; nothing when it is of another kind.
///
/// # Errors
///
/// When it is of a known kind and cannot be read.
///
/// ```
/// use tracer_core::parse::{Input, Subject, subjects};
///
/// let profile = br#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}"#;
/// let input = Input::new("seccomp.json", profile.to_vec()).unwrap();
/// assert!(matches!(subjects(&input).unwrap()[..], [Subject::Seccomp(_)]));
/// ```
pub fn subjects(input: &Input) -> Result<Vec<Subject>, ParseError> {
    let text = input.text().trim_start_matches('\u{feff}').trim_start();
    if !is_json(text)
        && let Some(what) = foreign::recognized(input)
    {
        return Err(input.malformed(0, what));
    }
    if !is_json(text) && apparmor::is_text(text) {
        return Ok(vec![Subject::AppArmor(AppArmor::from_text(input)?)]);
    }
    if !is_json(text) && selinux::is_text(text) {
        let domains = selinux::text(input)?;
        return Ok(domains.into_iter().map(Subject::Selinux).collect());
    }
    of_documents(input, &documents(input)?)
}

/// The documents of a file of JSON or YAML.
fn documents(input: &Input) -> Result<Vec<Node>, ParseError> {
    let text = input.text();
    let read = if is_unit(text) {
        let what = "a systemd unit is recognized, but not read; systemd-analyze security rates it";
        return Err(input.malformed(0, what));
    } else if is_json(text) {
        json::read(input)
            .map(|node| vec![node])
            .map_err(|malformed| malformed.read_as("JSON"))
    } else {
        yaml::read(input).map_err(|malformed| malformed.read_as("YAML"))
    };
    let is_template = text.contains("{{") && text.contains("}}");
    read.map_err(|malformed| match is_template {
        true => malformed.of_template(),
        false => malformed,
    })
}

/// What to say of a file without subjects that is of a known kind.
pub(super) fn recognized(input: &Input) -> Option<String> {
    pods::recognized(&documents(input).ok()?)
}

/// Whether a text is a unit of systemd: it begins with a section.
fn is_unit(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let section = first.and_then(|line| line.strip_prefix('[')?.strip_suffix(']'));
    section.is_some_and(|name| {
        let is_letter = |c: char| c.is_ascii_alphabetic();
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(is_letter)
    })
}

/// Whether a text is meant as JSON: by its first letter that is not of a comment.
pub(super) fn is_json(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("//") || text.starts_with("/*") {
        return json::standard(text).trim_start().starts_with(['{', '[']);
    }
    // A template of Helm begins with {{.
    text.starts_with(['{', '[']) && !text.starts_with("{{")
}

fn of_documents(input: &Input, documents: &[Node]) -> Result<Vec<Subject>, ParseError> {
    let all: Vec<_> = documents.iter().flat_map(object::flatten).collect();
    let mut subjects = Vec::new();
    for node in &all {
        subjects.extend(of_object(input, node, &all)?);
    }
    Ok(subjects)
}

fn of_object(input: &Input, node: &Node, all: &[&Node]) -> Result<Vec<Subject>, ParseError> {
    let boxed = |read| Subject::Seccomp(Box::new(read));
    match object::kind(node) {
        Some(object::Kind::SeccompProfile) => Ok(vec![boxed(seccomp::resource(input, node, all)?)]),
        Some(object::Kind::AppArmorProfile) => {
            Ok(vec![Subject::AppArmor(apparmor::resource(input, node)?)])
        }
        Some(object::Kind::SelinuxProfile) => {
            Ok(vec![Subject::Selinux(selinux::resource(input, node)?)])
        }
        Some(object::Kind::RawSelinuxProfile) => {
            Ok(vec![Subject::Selinux(selinux::raw(input, node)?)])
        }
        Some(object::Kind::Kubescape) => {
            let containers = seccomp::kubescape(input, node)?;
            Ok(containers.into_iter().map(boxed).collect())
        }
        Some(object::Kind::Other) => {
            let mut subjects = embedded(input, node)?;
            let pods = pods::of(node).into_iter().map(Manifest::of_kubernetes);
            subjects.extend(pods.map(Subject::Manifest));
            Ok(subjects)
        }
        None if node.get("defaultAction").is_some() || is_list_of_calls(node) => {
            Ok(vec![boxed(seccomp::plain(input, node, None)?)])
        }
        // Items of an API server's list have neither apiVersion nor kind.
        None if node.get("metadata").is_some() => {
            let pods = pods::of(node).into_iter().map(Manifest::of_kubernetes);
            Ok(pods.map(Subject::Manifest).collect())
        }
        // A config.json of the runtime-spec.
        None if let Some(seccomp) = node.at(&["linux", "seccomp"]) => {
            Ok(vec![boxed(seccomp::plain(input, seccomp, None)?)])
        }
        None => Ok(engines::of(input, node)?.unwrap_or_default()),
    }
}

/// Profiles as texts: in the data of a ConfigMap or a Secret, or in annotations.
fn embedded(input: &Input, object: &Node) -> Result<Vec<Subject>, ParseError> {
    let places: [&[&str]; 4] = [
        &["data"],
        &["stringData"],
        &["metadata", "annotations"],
        &["spec", "template", "metadata", "annotations"],
    ];
    let maps = places.iter().filter_map(|keys| object.at(keys));
    let mut subjects = Vec::new();
    for (key, value) in maps.flat_map(Node::pairs) {
        subjects.extend(of_text(input, (&key.text, &key.span), value, 0)?);
    }
    Ok(subjects)
}

/// The profiles of a text that is the value of a key, behind its first `skip` bytes. Places are those of the file, or the key's where the file
/// does not show the text as it is.
pub(super) fn of_text(
    input: &Input,
    (key, at): (&str, &Range<usize>),
    value: &Node,
    skip: usize,
) -> Result<Vec<Subject>, ParseError> {
    let Some(text) = value.text().and_then(|text| text.get(skip..)) else {
        return Ok(Vec::new());
    };
    let is_seccomp = text.contains("defaultAction") && text.contains("SCMP_ACT_");
    let is_apparmor = apparmor::is_text(text) && apparmor::has_profile(text);
    if !(is_seccomp || is_apparmor) {
        return Ok(Vec::new());
    }
    let within = Within::new(input, value, skip);
    let place = |span: &Range<usize>| match &within {
        Some(within) => within.span(span),
        None => at.clone(),
    };
    let inner =
        Input::new(key, text.into()).map_err(|malformed| malformed.within(input, key, at.start))?;
    let wrong = |malformed: ParseError| match (&within, malformed.position) {
        (Some(within), Some((line, column))) => {
            let begin = within.byte(inner.byte_at(line, column));
            input.malformed(begin, format!("{key}: {}", malformed.what))
        }
        _ => malformed.within(input, key, at.start),
    };
    if !is_seccomp {
        let read = AppArmor::from_text(&inner).map_err(wrong)?;
        return Ok(vec![Subject::AppArmor(read.named(key).moved(place))]);
    }
    let (documents, extensions) = if is_json(inner.text()) {
        let extensions = json::extensions(inner.text());
        (vec![json::read(&inner).map_err(wrong)?], extensions)
    } else {
        (yaml::read(&inner).map_err(wrong)?, Vec::new())
    };
    let mut subjects = Vec::new();
    for mut node in documents {
        // A helm value or a note may only speak of profiles.
        if node.get("defaultAction").is_none() {
            continue;
        }
        node.move_to(&place);
        let read = seccomp::plain(input, &node, Some(key))?;
        let extensions = extensions.iter().cloned().map(|mut it| {
            it.span = place(&it.span);
            it
        });
        subjects.push(Subject::Seccomp(Box::new(Seccomp {
            is_embedded: true,
            extensions: extensions.collect(),
            ..read
        })));
    }
    Ok(subjects)
}

/// A profile without `defaultAction` is a mistake, and no file of another kind.
fn is_list_of_calls(node: &Node) -> bool {
    let mut entries = node.get("syscalls").into_iter().flat_map(Node::items);
    entries.any(|entry| entry.get("action").is_some())
}

//! What has to be known of a container, and what could not be found out.

use tracer_core::recording::{ConfigType, Unresolved, Warning, plain_text::plain};

/// A warning, without a stop.
pub fn warning(warning: &Warning) -> String {
    match warning {
        Warning::Privileged { inferred } => {
            let why = if *inferred {
                " (all capabilities, no filter, nothing masked)"
            } else {
                ""
            };
            format!(
                "the container is privileged{why}: its engine ignores a seccomp profile; remove privileged first"
            )
        }
        Warning::RootUser {} => {
            "the container runs as root: give it a user of its own (runAsNonRoot, --user)"
                .to_owned()
        }
        Warning::SeccompUnconfined {} => "the container runs without a seccomp filter".to_owned(),
        Warning::FilterAllowsAll {} => {
            "the container runs under a seccomp filter that allows everything".to_owned()
        }
        Warning::FilterInPlace { default_action } => format!(
            "a seccomp filter was active while recording (default action {}); what the program would have done after a blocked call is unknown",
            plain(default_action)
        ),
        Warning::Other { text, .. } => text.clone(),
    }
}

/// What could not be found out, without a stop.
pub fn unresolved(unresolved: &Unresolved) -> String {
    match unresolved {
        Unresolved::InvalidId { id } => format!(
            "{} is not a valid container id: ids have 1 to 255 letters, digits and _ + - . characters, and do not begin with a dot",
            plain(id)
        ),
        Unresolved::UnknownToRuntimes {} => {
            "no runtime metadata found for this container (already exited, or the runtime uses another state directory)"
                .to_owned()
        }
        Unresolved::NoConfig {} => "the bundle's config.json was not found".to_owned(),
        Unresolved::InvalidConfig {} => "config.json is not an object".to_owned(),
        Unresolved::InvalidConfigField { field, expected } => {
            format!("{field} of config.json is not {}", config_type(*expected))
        }
        Unresolved::UnsafePath { path } => format!(
            "the path {} in a runtime's state is not absolute or contains ..; it was not followed",
            plain(path)
        ),
        Unresolved::UnreadableFile { path, error } => {
            format!(
                "cannot read {}: {}; run tracer as root on the host",
                plain(path),
                plain(error)
            )
        }
        Unresolved::RefusedFile { path, found } => format!("{} is {}; it was not read", plain(path), plain(found)),
        Unresolved::InvalidJson { path, error } => {
            format!(
                "{} is not valid runtime state (JSON): {}",
                plain(path),
                plain(error)
            )
        }
        Unresolved::PodMismatch { cgroup, files } => {
            format!(
                "the cgroup belongs to pod {}, but the container's files say {}",
                plain(cgroup),
                plain(files)
            )
        }
        Unresolved::NoPodName { uid } => format!("the name of pod {} was not found", plain(uid)),
        Unresolved::GuessedOwner { kind, owner, .. } => format!(
            "the pod's labels are unknown; its owner {}/{} is guessed from its name",
            plain(kind),
            plain(owner)
        ),
        Unresolved::Other { text } => text.clone(),
    }
}

const fn config_type(expected: ConfigType) -> &'static str {
    match expected {
        ConfigType::Text => "text",
        ConfigType::Boolean => "true or false",
        ConfigType::Id => "an id",
        ConfigType::List => "a list",
        ConfigType::ListOfText => "a list of text",
        ConfigType::Object => "an object",
        ConfigType::ObjectOfText => "an object of text",
        ConfigType::SeccompFilter => "a filter with a defaultAction",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_on_one_line() {
        let default_action = "\u{1b}[2J\n".to_owned();
        let text = warning(&Warning::FilterInPlace { default_action });
        assert!(!text.contains(['\n', '\u{1b}']), "{text:?}");
    }
}

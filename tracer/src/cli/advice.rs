//! The flag that helps with an error. The libraries say what is wrong and name no flag: that is
//! the command line's own.

use std::ffi::OsStr;

use super::record_gvisor;
use anyhow::Error;
use tracer_core::{
    formats, patch,
    profile::{Remedy, TargetError},
};
use tracer_recorder::{bpf::ProbeError, record::RecordError};

/// What to give tracer so that an error goes away, if some flag helps.
pub(super) fn flag(error: &Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        cause
            .downcast_ref::<RecordError>()
            .and_then(of_recording)
            .or_else(|| cause.downcast_ref::<ProbeError>().and_then(of_kernel))
            .or_else(|| cause.downcast_ref::<TargetError>().map(of_target))
            .or_else(|| match cause.downcast_ref::<formats::Error>() {
                Some(formats::Error::Target(error)) => Some(of_target(error)),
                _ => None,
            })
            .or_else(|| cause.downcast_ref::<patch::Error>().and_then(of_patch))
    })
}

fn of_recording(error: &RecordError) -> Option<&'static str> {
    match error {
        // A whole command line in quotes is one word, and no program is called so.
        RecordError::NotFound(command) if is_command_line(command) => {
            Some("give the command and its arguments as separate words: tracer record -- ls -l")
        }
        RecordError::NotFound(command) if is_image(command) => {
            Some("to record a container, start it after: tracer record --container NAME --wait")
        }
        RecordError::NotFound(_) => {
            Some("a running container is recorded with --container NAME, a pod with --pod")
        }
        RecordError::NoContainer(_) => Some("--wait waits for a container that does not run yet"),
        RecordError::OneNameForSeveral(_) => Some("leave --name out"),
        RecordError::TooManyCgroups => Some("give a larger --max-cgroups"),
        RecordError::Probe(error) => of_kernel(error),
        other => record_gvisor::next_step(other),
    }
}

fn is_command_line(command: &OsStr) -> bool {
    let words = command.to_string_lossy();
    words.split_whitespace().nth(1).is_some()
}

/// Whether it looks like an image with a tag or a registry, and not like a path.
fn is_image(command: &OsStr) -> bool {
    let word = command.to_string_lossy();
    let registry = word.split_once('/').map(|(first, _)| first);
    let has_registry = registry.is_some_and(|first| first.contains('.'));
    !word.starts_with(['/', '.']) && (word.contains(':') || has_registry)
}

fn of_kernel(error: &ProbeError) -> Option<&'static str> {
    match error {
        ProbeError::RingSize(..) => Some("change --ring-size"),
        ProbeError::MaxRows(..) => Some("change --max-rows"),
        ProbeError::NoRow => Some("give a larger --max-rows"),
        ProbeError::Accesses { .. } => Some("leave --accesses out to take the best there is"),
        _ => None,
    }
}

pub(super) fn of_target(error: &TargetError) -> &'static str {
    let Some(remedy) = error.remedy() else {
        return "name it with --profile-name";
    };
    match remedy {
        Remedy::FewerArguments => "--arguments safe or --arguments off writes fewer",
        Remedy::FewerPaths => "--generalise wide writes fewer",
        Remedy::NameContainer => "name it with --container",
        _ => "--format patch writes the patch",
    }
}

fn of_patch(error: &patch::Error) -> Option<&'static str> {
    match error {
        patch::Error::Several { .. } => Some("name it with --container"),
        patch::Error::Unsafe { .. } => Some("tracer generate --format patch writes the patch"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_no_images() {
        for (word, expected) in [
            ("nginx:1.27", true),
            ("ghcr.io/owner/name", true),
            ("localhost:5000/name", true),
            ("target/debug/server", false),
            ("./server", false),
            ("/bin/a:b", false),
        ] {
            assert_eq!(is_image(OsStr::new(word)), expected, "{word}");
        }
    }

    #[test]
    fn an_error_of_a_library_gets_its_flag() {
        let cases: [(Error, &str); 4] = [
            (RecordError::TooManyCgroups.into(), "--max-cgroups"),
            (ProbeError::RingSize(3, 4096).into(), "--ring-size"),
            (
                Error::new(RecordError::from(ProbeError::MaxRows(1, 9))).context("record"),
                "--max-rows",
            ),
            (
                patch::Error::Several {
                    file: "pod.yaml".to_owned(),
                    known: vec!["a".to_owned()],
                }
                .into(),
                "--container",
            ),
        ];
        for (error, wanted) in cases {
            assert!(flag(&error).unwrap().contains(wanted), "{error:#}");
            assert!(!format!("{error:#}").contains("--"), "{error:#}");
        }
        assert_eq!(flag(&anyhow::anyhow!("another")), None);
    }
}

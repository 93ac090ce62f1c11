//! What differed between the recordings that one was merged from, in sentences.

use std::collections::BTreeSet;

use super::{Note, NoteCode, Recording};

/// Most values that a note names.
const MAX_NAMED: usize = 8;

/// The notes of a merged recording. They follow from it, so merging again changes none.
pub(super) fn notes(recording: &Recording) -> Vec<Note> {
    let hosts = |what: fn(&super::Host) -> &str| {
        let values: BTreeSet<_> = recording
            .hosts()
            .map(|host| what(host).to_owned())
            .collect();
        values
    };
    let mut notes = Vec::new();
    let mut differ = |code, values: BTreeSet<String>, what: &str, so: &str| {
        if values.len() > 1 {
            notes.push(Note {
                code,
                text: format!("{} {what}: {}; {so}", values.len(), named(values)),
            });
        }
    };
    differ(
        NoteCode::SeveralMachines,
        hosts(|host| &host.machine),
        "architectures were recorded on",
        "the profile allows each what was seen on any of them",
    );
    differ(
        NoteCode::SeveralKernels,
        hosts(|host| &host.kernel),
        "kernels were recorded on",
        "a libc may make other calls on another kernel",
    );
    differ(
        NoteCode::SeveralImages,
        images(recording),
        "images were recorded",
        "the profile allows each what was seen of any of them",
    );
    differ(
        NoteCode::SeveralCommands,
        recording.commands().map(|words| words.join(" ")).collect(),
        "commands were recorded",
        "the profile allows each what was seen of any of them",
    );
    if let Some(merged) = recording.merged.as_ref().filter(|it| !it.folded.is_empty()) {
        notes.push(Note {
            code: NoteCode::InstancesFolded,
            text: format!(
                "{} of {}{} instances are listed; of the others it is kept what was observed, and by which executables",
                recording.instances.len(),
                if merged.uncounted { "more than " } else { "" },
                recording.runs(),
            ),
        });
    }
    notes
}

/// The images, each with its digest: another digest is another image, whatever it is called.
fn images(recording: &Recording) -> BTreeSet<String> {
    recording
        .kinds()
        .into_iter()
        .filter_map(|kind| kind.container)
        .filter_map(
            |container| match (container.image, container.image_digest) {
                (Some(image), Some(digest)) => Some(format!("{image} ({digest})")),
                (image, digest) => image.or(digest),
            },
        )
        .collect()
}

fn named(values: BTreeSet<String>) -> String {
    let more = values.len().saturating_sub(MAX_NAMED);
    let mut named: Vec<_> = values
        .into_iter()
        .take(MAX_NAMED)
        // What a workload or an image is called, others chose.
        .map(|value| value.escape_debug().to_string())
        .collect();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named.join(", ")
}

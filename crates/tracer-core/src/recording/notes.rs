//! What differed between the recordings that one was merged from.

use std::collections::BTreeSet;

use super::{Host, Note, Recording};

/// Most values that a note names.
const MAX_NAMED: usize = 8;

/// The notes of a merged recording. They follow from it, so merging again changes none.
pub(super) fn notes(recording: &Recording) -> Vec<Note> {
    let hosts = |what: fn(&Host) -> &str| {
        let values: BTreeSet<_> = recording
            .hosts()
            .map(|host| what(host).to_owned())
            .collect();
        several(values)
    };
    let machines = hosts(|host| &host.machine);
    let kernels = hosts(|host| &host.kernel);
    let images = several(images(recording));
    let commands = several(recording.commands().map(|words| words.join(" ")).collect());
    let differing = [
        machines.map(|(count, values)| Note::SeveralMachines { count, values }),
        kernels.map(|(count, values)| Note::SeveralKernels { count, values }),
        images.map(|(count, values)| Note::SeveralImages { count, values }),
        commands.map(|(count, values)| Note::SeveralCommands { count, values }),
    ];
    let mut notes: Vec<_> = differing.into_iter().flatten().collect();
    if let Some(merged) = recording.merged.as_ref().filter(|it| !it.folded.is_empty()) {
        notes.push(Note::InstancesFolded {
            listed: recording.instances.len() as u64,
            instances: recording.runs() as u64,
            uncounted: merged.uncounted,
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

/// How many there are, and the first of them; `None` when they are not several.
fn several(values: BTreeSet<String>) -> Option<(u64, Vec<String>)> {
    let count = values.len() as u64;
    (count > 1).then(|| (count, values.into_iter().take(MAX_NAMED).collect()))
}

//! What is to be said of a profile that was read although not every reader takes it as it stands.

use std::ops::Range;

use super::{Extension, Input, ParseError, Subject, json_extensions, unread::UnreadKey};

/// A mark of JSON that standard readers refuse, what to say of it, and what to do.
pub(crate) fn not_standard(
    extensions: &[Extension],
    what: &str,
) -> Vec<(Range<usize>, String, &'static str)> {
    let kinds = [
        (
            true,
            format!("the {what} begins with a byte order mark (BOM)"),
            "Save it as UTF-8 without BOM.",
        ),
        (
            false,
            "JSON has no comments".to_owned(),
            "Remove the comments.",
        ),
    ];
    let found = kinds.into_iter().filter_map(|(is_bom, message, fix)| {
        let first = extensions.iter().find(|it| it.is_bom == is_bom)?;
        let message = format!("{message}: runtimes refuse the {what}");
        Some((first.span.clone(), message, fix))
    });
    found.collect()
}

impl UnreadKey {
    /// What to say of it.
    pub(crate) fn message(&self) -> String {
        let said = format!("no runtime reads the key {:?}", self.text);
        match self.meant {
            Some(meant) => format!("{said}; {meant:?} was probably meant"),
            None => said,
        }
    }
}

/// What `tracer audit` would say of how a profile is written: a byte order mark, comments, and keys that no runtime
/// reads, each with its place.
///
/// ```
/// use tracer_core::parse::{Input, remarks, subjects};
///
/// let profile = b"// mine\n{\"defaultAction\": \"SCMP_ACT_ERRNO\"}".to_vec();
/// let input = Input::new("p.json", profile).unwrap();
/// let said = remarks(&input, &subjects(&input).unwrap()[0]);
/// assert_eq!(said[0].to_string(), "p.json:1:1: JSON has no comments: runtimes refuse the file");
/// ```
pub fn remarks(input: &Input, subject: &Subject) -> Vec<ParseError> {
    let Subject::Seccomp(read) = subject else {
        return Vec::new();
    };
    let mut said = Vec::new();
    let marks = [
        not_standard(&json_extensions(input), "file"),
        not_standard(&read.extensions, "profile"),
    ];
    for (span, message, _) in marks.into_iter().flatten() {
        said.push(input.malformed(span.start, message));
    }
    for key in &read.unread {
        said.push(input.malformed(key.span.start, key.message()));
    }
    said
}

//! `--format` of commands that answer a question.

/// Output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum TextOrJson {
    /// Text
    #[default]
    Text,
    /// JSON
    Json,
}

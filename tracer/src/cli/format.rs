//! `--format`: the list of output formats as clap takes it.

use std::sync::LazyLock;

use clap::{ValueEnum, builder::PossibleValue};
use tracer_core::formats::{Selection, default_selections, list, selections};

/// A value of `--format`.
#[derive(Clone, Copy, Debug)]
pub(super) enum FormatArg {
    /// A format or a group of them.
    Selection(Selection),
    /// List them.
    Help,
}

static VALUES: LazyLock<Vec<FormatArg>> = LazyLock::new(|| {
    let all = selections().into_iter().map(FormatArg::Selection);
    all.chain([FormatArg::Help]).collect()
});

impl ValueEnum for FormatArg {
    fn value_variants<'a>() -> &'a [Self] {
        &VALUES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.help()))
    }
}

impl FormatArg {
    fn name(self) -> &'static str {
        match self {
            Self::Selection(selection) => selection.name(),
            Self::Help => "help",
        }
    }

    fn help(self) -> String {
        match self {
            Self::Selection(it) => format!("{}: {}", it.location(), it.help()),
            Self::Help => "Lists these".to_owned(),
        }
    }

    /// What is to be rendered; `None` when they are to be listed.
    pub(super) fn selected(values: &[Self]) -> Option<Vec<Selection>> {
        let selections = values.iter().map(|value| match value {
            Self::Selection(selection) => Some(*selection),
            Self::Help => None,
        });
        selections.collect()
    }
}

/// All of them with what they are, for people.
pub(super) fn table() -> String {
    let lines = VALUES
        .iter()
        .map(|it| format!("{:<17} {}\n", it.name(), it.help()));
    lines.collect()
}

/// The help of `--format`.
pub(super) fn help() -> String {
    let names: Vec<_> = default_selections()
        .into_iter()
        .map(Selection::name)
        .collect();
    format!(
        "What to render; `help` lists all [default: {}, as far as the recordings have something for them]",
        list(&names)
    )
}

/// Where the files of the default set are, in words.
pub(super) fn default_locations() -> String {
    let locations: Vec<_> = default_selections()
        .into_iter()
        .map(Selection::location)
        .collect();
    list(&locations)
}

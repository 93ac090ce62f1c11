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
            Self::Help => "list the formats".to_owned(),
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
        "Formats to write, comma-separated; `help` lists them [default: {}, as far as the recordings have data for them]",
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

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::formats::FORMATS;

    #[test]
    fn every_format_is_a_value_with_help() {
        let table = table();
        for name in FORMATS
            .iter()
            .map(|it| it.name())
            .chain(["kubernetes", "help"])
        {
            let value = FormatArg::from_str(name, false).unwrap();
            let possible = value.to_possible_value().unwrap();
            assert_eq!(possible.get_name(), name);
            let help = possible.get_help().unwrap().to_string();
            assert!(table.contains(&format!("{name:<17} {help}\n")), "{name}");
            let chosen = FormatArg::selected(&[value]);
            assert_eq!(chosen.is_none(), name == "help");
        }
        assert_eq!(table.lines().count(), VALUES.len());
        assert!(FormatArg::from_str("nothing", false).is_err());
    }

    #[test]
    fn the_default_set_is_in_the_help() {
        assert!(help().contains("[default: seccomp, apparmor, selinux,"));
        let expected = "seccomp.json, apparmor.profile, selinux.cil, capabilities.*, kubernetes/ and REVIEW.md";
        assert_eq!(default_locations(), expected);
    }
}

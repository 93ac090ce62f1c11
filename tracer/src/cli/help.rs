//! The command line as clap has it: what each command's help shows, and the tips for first mistakes.

use clap::{
    Command, CommandFactory as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Cli, profile};

/// The commands that take the profile options and do not describe them: `generate` does.
const ELSEWHERE: [&str; 3] = ["record", "explain", "report"];

/// The command line.
pub(super) fn command() -> Command {
    let mut command = Cli::command();
    for name in ELSEWHERE {
        command = command.mut_subcommand(name, |command| {
            let own: Vec<_> = command
                .get_arguments()
                .filter(|it| it.get_help_heading() == Some(profile::HEADING))
                .map(|it| it.get_id().clone())
                .collect();
            let command = own.iter().fold(command, |command, id| {
                command.mut_arg(id, |it| it.hide(true))
            });
            let after = command.get_after_help().map(ToString::to_string);
            command.after_help(format!(
                "Profile options: as described by \"tracer generate --help\"\n\n{}",
                after.unwrap_or_default()
            ))
        });
    }
    command
}

/// What helps with a mistake that clap has no words for.
pub(super) fn tip(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let argument = text(ContextKind::InvalidArg)?;
            // clap has found a similar one.
            if error.get(ContextKind::SuggestedArg).is_some() {
                return None;
            }
            Some(format!(
                "\"tracer help\" lists the commands, and \"tracer COMMAND --help\" the options; {argument} is not one of them"
            ))
        }
        ErrorKind::InvalidSubcommand if error.get(ContextKind::SuggestedSubcommand).is_none() => {
            let word = text(ContextKind::InvalidSubcommand)?;
            Some(format!(
                "to record a command, run: tracer record -- {word}; \"tracer help\" lists the commands"
            ))
        }
        _ => None,
    }
}

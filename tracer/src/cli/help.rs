//! The command line as clap has it: what each command's help shows, and the tips for first mistakes.

use clap::{
    Command, CommandFactory as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Cli, profile};

/// The commands that take the profile options and do not describe them: `generate` does.
const ELSEWHERE: [&str; 4] = ["record", "recover", "explain", "report"];

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

/// Whether clap has found something similar.
fn is_suggested(error: &clap::Error, kind: ContextKind) -> bool {
    match error.get(kind) {
        None | Some(ContextValue::None) => false,
        Some(ContextValue::Strings(similar)) => !similar.is_empty(),
        Some(_) => true,
    }
}

/// What helps with a mistake that clap has no words for.
pub(super) fn tip(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let argument = text(ContextKind::InvalidArg)?;
            if let Some(tip) = of_argument(argument, &usage) {
                return Some(tip);
            }
            if is_suggested(error, ContextKind::SuggestedArg) {
                return None;
            }
            Some(format!(
                "\"tracer help\" lists the commands, and \"tracer COMMAND --help\" the options; {argument} is not one of them"
            ))
        }
        ErrorKind::MissingRequiredArgument => of_missing(&usage).map(str::to_owned),
        ErrorKind::InvalidSubcommand if !is_suggested(error, ContextKind::SuggestedSubcommand) => {
            let word = text(ContextKind::InvalidSubcommand)?;
            Some(format!(
                "to record a command, run: tracer record -- {word}; \"tracer help\" lists the commands"
            ))
        }
        _ => None,
    }
}

/// What helps with an argument that a command does not have.
fn of_argument(argument: &str, usage: &str) -> Option<String> {
    match argument {
        "--json" => Some("use --format json".to_owned()),
        "--verbose" | "-v" | "--debug" => {
            Some("set RUST_LOG=debug for details of what tracer does".to_owned())
        }
        word if usage.contains("-- CMD") && !word.starts_with('-') => {
            Some(format!("put -- before the command: -- {word}"))
        }
        _ => None,
    }
}

/// What helps when something is missing that a command needs.
fn of_missing(usage: &str) -> Option<&'static str> {
    let commands = [
        (
            "tracer explain",
            "give the recording and the name, as in: tracer explain profiles-out/web ptrace",
        ),
        (
            "tracer diff",
            "give the older one and the newer one, as in: tracer diff old/recording.json profiles-out/web",
        ),
        (
            "tracer learn",
            "give the kernel's log, as in: journalctl -k | tracer learn profiles-out/web --from -",
        ),
        (
            "tracer merge",
            "give the file to write, as in: tracer merge a/recording.json b/recording.json --output both.json",
        ),
        (
            "tracer generate",
            "give a recording, as in: tracer generate profiles-out/web",
        ),
        (
            "tracer report",
            "give a recording, as in: tracer report profiles-out/web",
        ),
        (
            "tracer audit",
            "give a profile, a manifest, or a directory of them, as in: tracer audit profiles-out",
        ),
        (
            "tracer watch",
            "give a profile and what to watch, as in: tracer watch profiles-out --all",
        ),
        (
            "tracer verify",
            "give the profile and a command, as in: tracer verify profiles-out/web/seccomp.json -- CMD",
        ),
    ];
    let found = commands
        .into_iter()
        .find(|(command, _)| usage.contains(&format!("{command} ")));
    found.map(|(_, tip)| tip)
}

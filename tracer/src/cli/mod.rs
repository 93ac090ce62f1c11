//! The command line: one file a subcommand, each of which parses, calls and prints.

mod advice;
mod agent;
mod apparmor_includes;
mod apparmor_parser;
mod attach;
mod audit;
mod completions;
mod confinement;
mod diff;
mod doctor;
mod environment;
mod exit;
mod explain;
mod fleet;
mod format;
mod generate;
mod gvisor;
mod help;
mod host;
mod input;
mod kubernetes;
mod learn;
mod man;
mod manifest;
mod merge;
mod name;
mod output;
mod previous;
mod profile;
mod progress_line;
mod record;
mod record_gvisor;
mod recover;
mod report;
mod rollout;
mod runtime;
mod saving;
mod selinux;
mod since;
mod spool;
mod stderr;
mod targets;
mod text_or_json;
mod top;
mod verify;
mod version;
mod watch;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{FromArgMatches as _, Parser, Subcommand};

use confinement::Writes;
pub use exit::Exit;
use stderr::say;
use tracer_recorder::record::signals::ignore_file_size_signal;

/// Record what a workload does, and write the smallest profile that still lets it run.
///
/// tracer records the system calls, files, sockets and capabilities of a workload with eBPF, and writes
/// seccomp and AppArmor profiles with the evidence for each rule.
#[derive(Debug, Parser)]
#[command(name = "tracer", version, propagate_version = true, after_help = exit::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Record(record::Args),
    Top(Box<top::Args>),
    Recover(recover::Args),
    Generate(generate::Args),
    Merge(merge::Args),
    Learn(learn::Args),
    Verify(verify::Args),
    Watch(watch::Args),
    Diff(diff::Args),
    Explain(explain::Args),
    Report(report::Args),
    Audit(audit::Args),
    Agent(Box<agent::Args>),
    Spool(spool::Args),
    Rollout(rollout::Args),
    Fleet(Box<fleet::Args>),
    Kubernetes(kubernetes::Args),
    Doctor(doctor::Args),
    Gvisor(gvisor::Args),
    Selinux(selinux::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    Version(version::Args),
}

impl Command {
    /// What a command writes that does nothing but read and write files; `None` for one that does more.
    fn writes(&self) -> Option<Writes> {
        match self {
            Self::Generate(args) => args.writes(),
            Self::Merge(args) => Some(Writes::to_files([&args.output])),
            Self::Verify(args) => args.writes(),
            Self::Report(args) => Some(Writes::to_files(&args.output)),
            Self::Spool(args) => Some(args.writes()),
            Self::Diff(_) | Self::Explain(_) | Self::Audit(_) | Self::Rollout(_) => {
                Some(Writes::default())
            }
            Self::Record(_)
            | Self::Top(_)
            | Self::Recover(_)
            | Self::Doctor(_)
            | Self::Gvisor(_)
            | Self::Selinux(_)
            | Self::Completions(_)
            | Self::Learn(_)
            | Self::Watch(_)
            | Self::Version(_)
            | Self::Agent(_)
            | Self::Fleet(_)
            | Self::Kubernetes(_)
            | Self::Man(_) => None,
        }
    }
}

/// Runs the command line and says how the process should end.
pub fn main() -> ExitCode {
    let matches = help::command().try_get_matches();
    let cli = match matches.and_then(|it| Cli::from_arg_matches(&it)) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let filter = match &cli.command {
        Command::Record(args) => args.log_filter(),
        _ => "warn",
    };
    start_logging(filter);
    // A file size limit is then an error that can be reported.
    if let Err(error) = ignore_file_size_signal() {
        say!("cannot ignore SIGXFSZ: {error}");
    }
    if let Some(writes) = cli.command.writes() {
        confinement::confine(&writes);
    }
    let result = match cli.command {
        Command::Record(args) => record::run(args),
        Command::Top(args) => top::run(*args),
        Command::Recover(args) => recover::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Merge(args) => merge::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Agent(args) => agent::run(*args),
        Command::Spool(args) => spool::run(&args),
        Command::Rollout(args) => rollout::run(&args),
        Command::Fleet(args) => fleet::run(&args),
        Command::Kubernetes(args) => kubernetes::run(args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Gvisor(args) => gvisor::run(&args),
        Command::Selinux(args) => selinux::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Version(args) => version::run(&args),
    };
    match result {
        Ok(exit) => exit.into(),
        // Whoever read our output has seen enough.
        Err(failure) if is_closed_pipe(&failure.error) => Exit::Fine.into(),
        Err(failure) => {
            match advice::flag(&failure.error) {
                Some(flag) => say!("{:#}; {flag}", failure.error),
                None => say!("{:#}", failure.error),
            }
            failure.exit.into()
        }
    }
}

/// Messages of the libraries, which may quote what a workload chose.
fn start_logging(filter: &str) {
    let filter = env_logger::Env::default().default_filter_or(filter);
    env_logger::Builder::from_env(filter)
        .format(|line, record| {
            let text = record.args().to_string();
            if stderr::is_json() {
                let level = record.level().as_str().to_lowercase();
                return line.write_all(stderr::json_line(&level, &text).as_bytes());
            }
            writeln!(line, "[{}] {}", record.level(), stderr::plain(&text))
        })
        .target(env_logger::Target::Pipe(Box::new(stderr::AboveLine)))
        .init();
}

/// Help and version go to standard output and are fine; everything else is wrong usage.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is no error here either.
    if error.use_stderr() {
        // An argument may be a file's name, put there by a wildcard.
        let mut text = error.render().to_string();
        if let Some(tip) = help::tip(error) {
            text.push_str(&format!("\n  tip: {tip}\n"));
        }
        let lines: String = text
            .lines()
            .map(|line| stderr::plain(line) + "\n")
            .collect();
        let _ = io::stderr().write_all(lines.as_bytes());
        Exit::Usage.into()
    } else {
        let _ = error.print();
        Exit::Fine.into()
    }
}

/// Why a subcommand failed, and how the process ends for it.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }
}

/// What a subcommand may return by `?`: it could not be done.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Exit::Failed, error)
    }
}

/// Prints the output of a command. Whoever reads it may have seen enough: the status says the verdict all the same.
///
/// # Errors
/// When it cannot be written, except for a closed pipe.
fn print(text: &[u8]) -> io::Result<()> {
    print_to(&mut io::stdout().lock(), text)
}

fn print_to(out: &mut impl io::Write, text: &[u8]) -> io::Result<()> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error_of_printing() {
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        let raw = writer.write_all(b"finding").unwrap_err();
        assert_eq!(raw.kind(), io::ErrorKind::BrokenPipe);
        print_to(&mut writer, b"finding").unwrap();
        // Nor is it one that hides another.
        let mut full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        assert!(print_to(&mut full, b"finding").is_err());
    }
}

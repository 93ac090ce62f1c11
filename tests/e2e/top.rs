//! `tracer top`: the screen shows what is recorded, and the end saves what a recording saves.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tracer_tests::{
    Outcome,
    cgroup::Cgroup,
    needs,
    process::{self, Running},
    pty::OnTerminal,
    recording::Recording,
    requires::{Need, program},
    scratch::{Scratch, unique},
    tracer, wait,
};

/// Prints, makes a directory, needs a capability for something risky, and does the same for ever.
const WORK: &str = "echo begun; mkdir made; unshare --mount true; while :; do sleep 0.1; done";

fn top(output: &Path) -> Result<Command> {
    let mut command = tracer::command()?;
    command
        .args(["top", "--output-dir"])
        .arg(output)
        .env("TERM", "xterm");
    Ok(command)
}

/// A terminal with a recorded command, whose news are shown.
fn with_command(scratch: &Scratch) -> Result<OnTerminal> {
    let mut command = top(&scratch.join("out"))?;
    command
        .args(["--name", "work", "--", "sh", "-c", WORK])
        .current_dir(scratch.dir("work")?);
    let mut terminal = OnTerminal::spawn(&mut command)?;
    // High enough for all that a few programs do.
    terminal.resize(200, 200)?;
    terminal.until_shown("a risk", |shown| {
        shown.lines().any(|line| {
            line.contains("work") && line.contains("CAP_SYS_ADMIN") && line.contains("[high: ")
        })
    })?;
    Ok(terminal)
}

fn ended(terminal: &mut OnTerminal) -> Result<Option<i32>> {
    let status = wait::until("the end", || terminal.running.ended())?;
    terminal.screen()?;
    Ok(status.code())
}

#[test]
fn shows_news_with_their_risk_and_saves_at_q() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::UNSHARE);
    let scratch = Scratch::new()?;
    let mut terminal = with_command(&scratch)?;
    ensure!(
        terminal.is_on_other_screen(),
        "it draws on the first screen"
    );
    let shown = terminal.until_shown("a file", |shown| shown.contains("/made"))?;
    ensure!(shown.starts_with("tracer top  recording "), "{shown}");
    ensure!(shown.contains("1 workload  ·  last new "), "{shown}");
    ensure!(shown.contains("q save and quit"), "{shown}");
    // What the command prints is shown, and spoils nothing.
    ensure!(shown.lines().any(|line| line == "begun"), "{shown}");
    let row = shown
        .lines()
        .find(|line| line.starts_with("work "))
        .context("no row of the workload")?;
    let numbers: Vec<usize> = row
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    ensure!(
        matches!(numbers.as_slice(), [1, calls, accesses, high, ..] if *calls > 10 && *accesses > 5 && *high > 0),
        "{row}"
    );
    ensure!(row.ends_with("nothing"), "{row}");

    terminal.type_("r")?;
    terminal.until_shown("risks alone", |shown| {
        shown.contains("New and risky") && !shown.contains("/made")
    })?;
    terminal.type_("q")?;
    ensure!(ended(&mut terminal)? == Some(143), "{}", terminal.shown()?);
    ensure!(!terminal.is_on_other_screen(), "the other screen stays");
    let shown = terminal.shown()?;
    ensure!(shown.contains("tracer: recorded "), "{shown}");
    ensure!(shown.contains("work/seccomp.json"), "{shown}");
    let saved = scratch.join("out").join("work");
    let recording = Recording::read(&saved.join("recording.json"))?;
    ensure!(recording.calls().len() > 10, "little was recorded");
    ensure!(saved.join("REVIEW.md").is_file(), "no review");
    Ok(())
}

#[test]
fn ctrl_c_saves_and_a_new_size_is_drawn() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::UNSHARE);
    let scratch = Scratch::new()?;
    let mut terminal = with_command(&scratch)?;
    terminal.resize(12, 60)?;
    terminal.until_shown("the keys in the last line", |shown| {
        let lines: Vec<_> = shown.lines().collect();
        lines.len() == 12 && lines[11].starts_with("q save and quit")
    })?;
    terminal.type_("\x03")?;
    ensure!(ended(&mut terminal)? == Some(143), "{}", terminal.shown()?);
    Recording::read(&scratch.join("out/work/recording.json"))?;
    Ok(())
}

/// The terminal is what it was: a line that is typed is edited and shown again.
#[test]
fn gives_the_terminal_back() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::UNSHARE);
    let scratch = Scratch::new()?;
    let mut command = Command::new("sh");
    let script = "stty -g > before; \"$@\"; stty -g > after; echo back";
    let top = top(&scratch.join("out"))?;
    tracer::plain_environment(&mut command)
        .args(["-c", script, "sh"])
        .arg(top.get_program())
        .args(top.get_args())
        .args(["--", "sh", "-c", "echo begun; exit 5"])
        .env("TERM", "xterm")
        .current_dir(scratch.path());
    let mut terminal = OnTerminal::spawn(&mut command)?;
    terminal.until("back")?;
    let read = |name| fs::read_to_string(scratch.join(name));
    ensure!(
        read("before")? == read("after")?,
        "the terminal has changed"
    );
    // It was drawn at all, and what was printed meanwhile stays readable.
    ensure!(terminal.screen()?.contains("\x1b[?1049h"), "no screen");
    let shown = terminal.shown()?;
    ensure!(shown.contains("begun"), "{shown}");
    ensure!(shown.contains("the command failed"), "{shown}");
    Ok(())
}

#[test]
fn without_a_terminal_it_says_so_and_saves() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86);
    let scratch = Scratch::new()?;
    let mut command = top(&scratch.join("out"))?;
    command.args(["--name", "work", "--", "sh", "-c", "echo begun; mkdir made"]);
    let finished = process::run(command.current_dir(scratch.path()))?.success()?;
    let said = finished.stderr.as_str();
    ensure!(
        said.contains(
            "standard output is not a terminal, so there is no screen: one line a minute is printed"
        ),
        "{said}"
    );
    ensure!(finished.stdout == b"begun\n", "{finished:?}");
    Recording::read(&scratch.join("out/work/recording.json"))?;
    Ok(())
}

#[test]
fn prints_events_as_lines_of_json() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::UNSHARE);
    let scratch = Scratch::new()?;
    let cgroup = Cgroup::new(&unique("events"))?;
    let mut command = top(&scratch.join("out"))?;
    command
        .args(["--format", "json", "--name", "work", "--cgroup"])
        .arg(cgroup.path())
        .stdout(Stdio::piped());
    let mut recorder = Running::spawn(&mut command)?;
    recorder.until_stderr("recording")?;
    let script = format!(
        "echo $$ > {}; mkdir made; exec unshare --mount true",
        cgroup.procs().display()
    );
    let mut work = Command::new("sh");
    tracer::plain_environment(&mut work)
        .args(["-c", &script])
        .current_dir(scratch.path());
    process::run(&mut work)?.success()?;
    recorder.until_stdout("CAP_SYS_ADMIN")?;
    recorder.signal(Signal::SIGTERM)?;
    let finished = recorder.wait()?.success()?;
    let text = String::from_utf8(finished.stdout)?;
    let mut things = BTreeSet::new();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line)?;
        ensure!(
            event["event"] == "new" && event["workload"] == "work",
            "{line}"
        );
        ensure!(event["profile"].is_null(), "{line}");
        let severity = event["severity"].as_str().context("no severity")?;
        let what = event["what"].as_str().context("nothing")?;
        things.insert((what.to_owned(), severity.to_owned()));
    }
    let has = |what: &str, severity: &str| things.contains(&(what.to_owned(), severity.to_owned()));
    ensure!(has("CAP_SYS_ADMIN", "high"), "{things:?}");
    ensure!(
        things.iter().any(|(what, _)| what.contains("/made")),
        "{things:?}"
    );
    Recording::read(&scratch.join("out/work/recording.json"))?;
    cgroup.remove()?;
    Ok(())
}

//! The examples of the manual pages in `docs` run as they are written, and print what they say.
//!
//! A file that the text names (`` `deny.json`: ``, before a block of JSON, YAML or AppArmor text) is written. In a block of the
//! console, `$` begins a command; what follows is what it prints, on both streams. `…` stands for
//! anything: alone on a line for any lines, else for any text.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use tracer_tests::{
    Outcome, gvisor, needs,
    process::Running,
    requires::{Need, program},
    scratch::Scratch,
    tracer,
};

/// A command, and what it prints.
struct Example {
    command: String,
    expected: Vec<String>,
}

/// The commands of a page; the files that they use are written to `directory`.
fn examples(page: &str, directory: &Path) -> Result<Vec<Example>> {
    let mut examples: Vec<Example> = Vec::new();
    let mut named = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        match line {
            "```json" | "```yaml" | "```apparmor" => {
                let name: &str = named.take().context("a file without a name")?;
                let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
                fs::write(directory.join(name), text.join("\n") + "\n")?;
            }
            "```console" => {
                for line in lines.by_ref().take_while(|line| *line != "```") {
                    match line.strip_prefix("$ ") {
                        Some(command) => examples.push(Example {
                            command: command.to_owned(),
                            expected: Vec::new(),
                        }),
                        None => {
                            let last = examples.last_mut().context("output of no command")?;
                            last.expected.push(line.to_owned());
                        }
                    }
                }
            }
            _ => {
                let name = line
                    .strip_suffix("`:")
                    .and_then(|line| line.rsplit_once('`'));
                named = name
                    .map(|(_, name)| name)
                    .or(named.filter(|_| line.is_empty()));
            }
        }
    }
    Ok(examples)
}

/// Whether what was printed is what was expected.
fn is_as_expected(expected: &[String], printed: &[&str]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=printed.len()).any(|from| is_as_expected(rest, &printed[from..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, more)| fits(first, line) && is_as_expected(rest, more)),
    }
}

/// Whether a line is as expected.
fn fits(expected: &str, line: &str) -> bool {
    match expected.split_once('…') {
        None => expected == line,
        Some((before, after)) => line.strip_prefix(before).is_some_and(|rest| {
            let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            starts.into_iter().any(|at| fits(after, &rest[at..]))
        }),
    }
}

fn works(page: &str) -> Outcome {
    works_with(page, &[])
}

/// The same, with more programs on the `PATH`.
fn works_with(page: &str, programs: &[&Path]) -> Outcome {
    let scratch = Scratch::new()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs").join(page))?;
    std::os::unix::fs::symlink(
        root.join("examples").canonicalize()?,
        scratch.join("examples"),
    )?;
    let bin = scratch.dir("bin")?;
    std::os::unix::fs::symlink(tracer::binary()?, bin.join("tracer"))?;
    for program in programs {
        let name = program.file_name().context("a program without a name")?;
        std::os::unix::fs::symlink(program, bin.join(name))?;
    }
    let examples = examples(&text, scratch.path())?;
    ensure!(!examples.is_empty(), "{page} has no examples");
    let mut status = 0;
    for Example { command, expected } in examples {
        // One shell each, so that what it printed is known: `$?` is that of the one before.
        let script = format!("exec 2>&1; (exit {status}); {command}");
        let mut shell = Command::new("sh");
        tracer::plain_environment(&mut shell)
            .env("PATH", format!("{}:{}", bin.display(), tracer::PATH))
            .args(["-c", &script])
            .stdin(Stdio::null())
            .current_dir(scratch.path());
        let finished = Running::spawn(&mut shell)?.wait()?;
        status = finished.code();
        let printed = finished.text();
        let lines: Vec<_> = printed.lines().collect();
        ensure!(
            is_as_expected(&expected, &lines),
            "{page}: `{command}` printed\n{printed}\nand not\n{}",
            expected.join("\n")
        );
    }
    Ok(())
}

#[test]
fn verify_examples_print_what_they_show() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86);
    works("verify.md")
}

#[test]
fn gvisor_examples_print_what_they_show() -> Outcome {
    needs!(
        Need::Root,
        Need::X86,
        Need::Runsc,
        Need::SystemPython,
        program::BUSYBOX
    );
    works_with("gvisor.md", &[&gvisor::newest()?.program])
}

#[test]
fn watch_examples_print_what_they_show() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86);
    works("watch.md")
}

#[test]
fn diff_examples_print_what_they_show() -> Outcome {
    needs!(Need::X86);
    works("diff.md")
}

#[test]
fn explain_examples_print_what_they_show() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86);
    works("explain.md")
}

#[test]
fn kubernetes_examples_print_what_they_show() -> Outcome {
    needs!(Need::X86);
    works("kubernetes.md")
}

#[test]
fn enforce_examples_print_what_they_show() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86);
    works("enforce.md")
}

/// The shell commands of the ready workflow are shell, and its options of tracer are there.
#[test]
fn github_workflow_uses_valid_commands() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs/profiles.github.yaml"))?;
    let workflow: serde_json::Value = serde_saphyr::from_str(&text)?;
    let steps = workflow["jobs"]["record"]["steps"]
        .as_array()
        .context("steps")?;
    let mut commands = 0;
    for script in steps.iter().filter_map(|step| step["run"].as_str()) {
        let mut shell = Command::new("bash");
        shell.args(["-n", "-c", script]).stdin(Stdio::null());
        Running::spawn(&mut shell)?.wait()?.success()?;
        for line in script.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let Some(at) = words.iter().position(|word| *word == "tracer") else {
                continue;
            };
            let [subcommand, options @ ..] = &words[at + 1..] else {
                continue;
            };
            if !matches!(words.get(at.wrapping_sub(1)), None | Some(&"sudo")) {
                continue;
            }
            let mut help = tracer::command()?;
            help.args([subcommand, "--help"]);
            let help = Running::spawn(&mut help)?.wait()?.success()?.text();
            for option in options.iter().filter(|it| it.starts_with("--")) {
                ensure!(help.contains(option), "tracer {subcommand} has no {option}");
            }
            commands += 1;
        }
    }
    ensure!(commands == 6, "{commands} commands were looked at");
    Ok(())
}

#[test]
fn report_examples_print_what_they_show() -> Outcome {
    needs!(Need::X86);
    works("report.md")
}

#[test]
fn ellipsis_matches_any_text() {
    let expected: Vec<_> = ["a…c", "…", "end"].map(str::to_owned).to_vec();
    assert!(is_as_expected(&expected, &["abc", "end"]));
    assert!(is_as_expected(&expected, &["ac", "x", "y", "end"]));
    assert!(!is_as_expected(&expected, &["ab", "end"]));
    assert!(!is_as_expected(&expected, &["abc", "end", "more"]));
    assert!(!is_as_expected(&[], &["abc"]));
}

//! The composite GitHub Action: its steps are run as a runner runs them, in order, with the files of
//! this release and a `gh` that answers from this machine.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome, needs,
    process::{self, Finished},
    release,
    requires::Need,
    scratch::Scratch,
    tracer,
};

/// GitHub's client: `release download` copies files of the release, and `api` keeps what is written.
const GH: &str = r#"#!/bin/bash
set -euo pipefail
echo "$*" >> "$STATE/gh.log"
case "$1 $2" in
"release download")
    for word in "$@"; do
        if [ -f "$FILES/$word" ]; then cp "$FILES/$word" .; fi
    done ;;
"api --paginate")
    if [ -e "$STATE/comment.md" ]; then echo 77; fi ;;
"api --method")
    for word in "$@"; do
        case $word in body=@*) cp "${word#body=@}" "$STATE/comment.md" ;; esac
    done ;;
*) exit 1 ;;
esac
"#;

/// A runner with the action's text.
struct Runner {
    action: Value,
    scratch: Scratch,
    /// What expressions such as `inputs.name` stand for.
    values: BTreeMap<String, String>,
    /// What earlier steps added to `PATH`.
    path: String,
}

impl Runner {
    fn new(inputs: &[(&str, &str)]) -> Result<Self> {
        let text = fs::read_to_string(release::source().join("action.yml"))?;
        let action: Value = serde_saphyr::from_str(&text)?;
        let mut values = BTreeMap::from([
            ("github.token", "secret".to_owned()),
            ("github.action_ref", format!("v{}", release::VERSION)),
            ("github.action_repository", "someone/tracer".into()),
            ("github.repository", "someone/shop".into()),
            ("github.event.pull_request.number", "7".into()),
        ])
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect::<BTreeMap<_, _>>();
        let declared = action["inputs"].as_object().context("inputs")?;
        for (name, input) in declared {
            let default = input["default"].as_str().context("a default")?;
            let default = evaluate(default, &values)?;
            values.insert(format!("inputs.{name}"), default);
        }
        for (name, value) in inputs {
            let old = values.insert(format!("inputs.{name}"), (*value).to_owned());
            ensure!(old.is_some(), "the action has no input {name}");
        }
        let scratch = Scratch::new()?;
        let gh = scratch.dir("bin")?.join("gh");
        fs::write(&gh, GH)?;
        fs::set_permissions(&gh, Permissions::from_mode(0o755))?;
        let path = format!("{}:{}", scratch.join("bin").display(), tracer::PATH);
        Ok(Self {
            action,
            scratch,
            values,
            path,
        })
    }

    /// Runs all steps up to the first that fails, and returns its name and what it wrote; else
    /// `None`.
    fn run(&mut self) -> Result<Option<(String, Finished)>> {
        let steps = self.action["runs"]["steps"].as_array().context("steps")?;
        for step in steps.clone() {
            let name = step["name"].as_str().context("a name")?.to_owned();
            let finished = self.step(&step)?;
            if finished.code() != 0 {
                return Ok(Some((name, finished)));
            }
        }
        Ok(None)
    }

    fn step(&mut self, step: &Value) -> Result<Finished> {
        let script = step["run"].as_str().context("a script")?;
        // An expression there would be pasted into the shell's text, quotes and all.
        ensure!(!script.contains("${{"), "an expression in a script");
        let [output, path, summary] =
            ["output", "path", "summary.md"].map(|name| self.scratch.join(name));
        fs::write(&output, "")?;
        fs::write(&path, "")?;
        let mut bash = Command::new("bash");
        tracer::plain_environment(&mut bash)
            .args([
                "--noprofile",
                "--norc",
                "-e",
                "-o",
                "pipefail",
                "-c",
                script,
            ])
            .current_dir(self.scratch.path())
            .env("PATH", &self.path)
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_PATH", &path)
            .env("GITHUB_STEP_SUMMARY", summary)
            .env("RUNNER_TEMP", self.scratch.dir("temp")?)
            .env("STATE", self.scratch.path())
            .env("FILES", release::files());
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            let value = value.as_str().context("text")?;
            bash.env(name, evaluate(value, &self.values)?);
        }
        let finished = process::run(&mut bash)?;
        for line in fs::read_to_string(path)?.lines() {
            self.path = format!("{line}:{}", self.path);
        }
        let id = step["id"].as_str().unwrap_or_default();
        for line in fs::read_to_string(output)?.lines() {
            let (key, value) = line.split_once('=').context("an output")?;
            let key = format!("steps.{id}.outputs.{key}");
            self.values.insert(key, value.to_owned());
        }
        Ok(finished)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.scratch.join(name)).unwrap_or_default()
    }
}

/// Replaces a `${{ … }}`; outputs of steps that set none are empty.
fn evaluate(text: &str, values: &BTreeMap<String, String>) -> Result<String> {
    let Some(expression) = text.strip_prefix("${{") else {
        return Ok(text.to_owned());
    };
    let key = expression.strip_suffix("}}").context("one expression")?;
    match values.get(key.trim()) {
        Some(value) => Ok(value.clone()),
        None if key.trim().starts_with("steps.") => Ok(String::new()),
        None => bail!("{key} is not known"),
    }
}

/// A recording of busybox to compare with.
fn baseline() -> Result<(Scratch, PathBuf)> {
    let scratch = Scratch::new()?;
    let mut record = tracer::command()?;
    record.args(["record", "--name=web", "--output"]);
    record.arg(scratch.path()).args(["--", "/bin/true"]);
    process::run(&mut record)?.success()?;
    let recording = scratch.join("web");
    Ok((scratch, recording))
}

#[test]
fn action_installs_records_compares_comments_and_audits() -> Outcome {
    needs!(Need::Packages, Need::Root, Need::Cgroup2);
    let (_kept, accepted) = baseline()?;
    let accepted = accepted.display().to_string();
    let inputs = [
        ("command", "sh -c 'ls / > /dev/null'"),
        ("name", "web"),
        ("baseline", &accepted),
        ("audit", &format!("{accepted}/seccomp.json\n")),
        ("fail-on", "never"),
    ];
    let mut runner = Runner::new(&inputs)?;
    if let Some((step, finished)) = runner.run()? {
        bail!("{step} failed: {}\n{}", finished.stderr, finished.text());
    }
    ensure!(runner.values["steps.diff.outputs.changed"] == "true");
    let recording = &runner.values["steps.record.outputs.recording"];
    ensure!(PathBuf::from(recording).join("seccomp.json").is_file());
    let comment = runner.read("comment.md");
    ensure!(comment.starts_with("<!-- tracer: web -->\n"), "{comment}");
    ensure!(comment.contains("getdents64"), "{comment}");
    ensure!(runner.read("summary.md") == comment);

    // The next push replaces the comment.
    runner.run()?;
    let log = runner.read("gh.log");
    let written: Vec<_> = log.lines().filter(|it| it.contains("--method")).collect();
    ensure!(written.len() == 2, "{log}");
    ensure!(written[0].contains("POST repos/someone/shop/issues/7/comments"));
    ensure!(written[1].contains("PATCH repos/someone/shop/issues/comments/77"));
    Ok(())
}

#[test]
fn action_fails_on_a_finding_and_says_nothing_of_no_change() -> Outcome {
    needs!(Need::Packages, Need::Root, Need::Cgroup2);
    let (_kept, accepted) = baseline()?;
    let accepted = accepted.display().to_string();
    let open = r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [] }"#;
    let scratch = Scratch::new()?;
    let profile = scratch.file("open.json", open)?;
    let inputs = [
        ("command", "/bin/true"),
        ("name", "web"),
        ("baseline", &accepted),
        ("audit", &profile.display().to_string()),
    ];
    let mut runner = Runner::new(&inputs)?;
    let (step, finished) = runner.run()?.context("the audit did not fail")?;
    ensure!(step == "Audit profiles", "{step}: {}", finished.stderr);
    ensure!(finished.code() == 3 && finished.text().contains("::error"));
    ensure!(runner.values["steps.diff.outputs.changed"] == "false");
    ensure!(!runner.read("gh.log").contains("--method"));
    Ok(())
}

#[test]
fn action_refuses_an_archive_with_another_sum() -> Outcome {
    needs!(Need::Packages);
    let mut runner = Runner::new(&[])?;
    let gh = runner.scratch.join("bin/gh");
    let text = GH.replace(
        "cp \"$FILES/$word\" .;",
        "cp \"$FILES/$word\" .; echo >> \"$word\";",
    );
    fs::write(gh, text)?;
    let (step, _) = runner.run()?.context("nothing failed")?;
    ensure!(step == "Install tracer", "{step}");
    Ok(())
}

/// The scripts of the release workflow are shell.
#[test]
fn release_workflow_has_valid_scripts() -> Outcome {
    let file = release::source().join(".github/workflows/release.yml");
    let workflow: Value = serde_saphyr::from_str(&fs::read_to_string(file)?)?;
    let jobs = workflow["jobs"].as_object().context("jobs")?;
    let steps = jobs.values().filter_map(|job| job["steps"].as_array());
    let scripts: Vec<_> = steps
        .flatten()
        .filter_map(|step| step["run"].as_str())
        .collect();
    ensure!(scripts.len() == 5, "{} scripts", scripts.len());
    for script in scripts {
        process::run(Command::new("bash").args(["-n", "-c", script]))?.success()?;
        ensure!(!script.contains("${{"), "an expression in a script");
    }
    Ok(())
}

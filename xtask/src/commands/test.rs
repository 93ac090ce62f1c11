//! `cargo xtask test`: installs what the tests use, builds everything once, runs all of them.
//!
//! A test that finds nothing to run with skips itself and adds a line `name: reason` to the file
//! that `TRACER_SKIP_LOG` names; with `TRACER_REQUIRE_ALL=1` it fails instead.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result};

use crate::cmd::{self, say};
use crate::commands::build::{self, Object, Progress};
use crate::commands::dist::Architecture;
use crate::commands::release;
use crate::commands::setup::{self, Tools};
use crate::commands::vm::{self, Checks};
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{packages, runsc, runtimes};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Installs no packages: tests that miss a program skip
    #[arg(long)]
    no_install: bool,
    /// Leaves out the test that boots another kernel in a virtual machine
    #[arg(long)]
    no_vm: bool,
    /// Runs only the tests whose names contain one of these; after `--`, options of the test
    /// programs such as `--nocapture`
    filter: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let tools = setup::ensure(workspace)?;
    let missing = packages::ensure(workspace, &packages::TESTS, !args.no_install)?;
    let object = build::kernel_object(workspace, &tools, Object::Tracer)?;
    let bench_object = build::kernel_object(workspace, &tools, Object::Bench)?;
    let tracer = build::tracer(workspace, &object, Progress::Shown)?;

    let fetch = !args.no_install && cmd::is_root();
    let runtimes = runtimes::all(workspace, fetch)?;
    let runtimes = path_list(runtimes.into_iter().map(|runtime| runtime.path))?;
    let runsc = path_list(runsc::all(workspace, fetch).into_iter().map(|it| it.path))?;
    let packages = wants_packages(args)
        .then(|| packages_of_this_machine(workspace, &tools))
        .transpose()?;
    let skip_log = SkipLog::new(workspace)?;
    let must_run_all = must_run_all(args, &missing);
    let cargo = || {
        let mut cargo = workspace.cargo();
        cargo
            .env("TRACER_EBPF_OBJECT", &object)
            .env("TRACER_BENCH_OBJECT", &bench_object);
        cargo
    };
    let mut tests = cargo();
    tests
        .args(["test", "--workspace", "--no-fail-fast", "--"])
        .args(&args.filter)
        .env("TRACER_BIN", &tracer)
        .env("TRACER_RUNTIMES", &runtimes)
        .env("TRACER_RUNSC", &runsc)
        .env("TRACER_SKIP_LOG", &skip_log.path);
    if must_run_all {
        tests.env("TRACER_REQUIRE_ALL", "1");
    }
    if let Some(packages) = packages {
        tests.env("TRACER_PACKAGES", packages);
    }

    let mut tally = Tally::default();
    let status = stream(&mut tests, |line| tally.line(line))?;
    tally.end();
    tally.skips(&skip_log.read()?);
    if wants_vm(args) {
        let checks = Checks {
            tracer,
            tests: vm::end_to_end(&mut cargo())?,
            must_run_all,
        };
        tally.add(vm::TEST, vm::test(workspace, &checks, !args.no_install)?);
    }
    report(&tally, status)
}

/// Programs in a list like `PATH`.
fn path_list(paths: impl Iterator<Item = PathBuf>) -> Result<OsString> {
    std::env::join_paths(paths).context("the target directory's path cannot be in a list of paths")
}

/// Whether the tests of a release's files are among those that were chosen. Their names begin with
/// `package`; building a static binary for any other test would be a waste.
fn wants_packages(args: &Args) -> bool {
    let mut filters = args.filter.iter().filter(|word| !word.starts_with('-'));
    filters.clone().count() == 0 || filters.any(|filter| filter.starts_with("package"))
}

/// Makes the files of a release for this machine alone, and returns their directory.
fn packages_of_this_machine(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    let directory = workspace.target.join("test-packages");
    let files = directory.join("files");
    // What an older version left would be taken for a part of this one.
    if files.exists() {
        fs::remove_dir_all(&files).with_context(|| format!("cannot remove {}", files.display()))?;
    }
    let native = Architecture::native(&tools.toolchain)?;
    release::make(
        workspace,
        tools,
        &[native],
        &directory.join("input"),
        &files,
    )?;
    Ok(directory)
}

/// Without root, tests record nothing on any kernel.
fn wants_vm(args: &Args) -> bool {
    let mut filters = args.filter.iter().filter(|word| !word.starts_with('-'));
    let chosen = filters.clone().count() == 0 || filters.any(|filter| vm::TEST.contains(filter));
    chosen && !args.no_vm && cmd::is_root()
}

/// Where everything is there, a test that cannot run is a failure; so it is in CI, always.
fn must_run_all(args: &Args, missing: &[&str]) -> bool {
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    ci || (cmd::is_root() && missing.is_empty() && !args.no_install)
}

/// Runs a command, passes its output on as it comes, and shows each line to `see`.
fn stream(command: &mut Command, mut see: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| cmd::not_started(command))?;
    let output = child.stdout.take().context("the output was asked for")?;
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    // Bytes, because a failed test may print anything.
    while output
        .read_until(b'\n', &mut line)
        .context("cannot read what the tests print")?
        > 0
    {
        std::io::stdout()
            .write_all(&line)
            .context("cannot write to stdout")?;
        see(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    child.wait().context("cannot wait for the tests")
}

fn report(tally: &Tally, status: ExitStatus) -> Result<ExitCode> {
    let mut text = String::new();
    for (name, reason) in tally.skipped() {
        text.push_str(&format!("SKIPPED {name}: {reason}\n"));
    }
    text.push_str(&format!("{tally}\n"));
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to stdout")?;

    if tally.ran_none() {
        say(format_args!(
            "no test ran: see the messages above, or choose another filter"
        ));
    } else if !status.success() && tally.failed() == 0 {
        say(format_args!(
            "every test that ran passed, but `cargo test` failed ({status})"
        ));
    }
    let fine = status.success() && tally.failed() == 0 && !tally.ran_none();
    Ok(if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The file in which tests say that they skipped: one of this process's own, gone with it.
struct SkipLog {
    path: PathBuf,
}

impl SkipLog {
    fn new(workspace: &Workspace) -> Result<Self> {
        let directory = workspace.target.join("log");
        let path = directory.join(format!("skipped.{}", std::process::id()));
        fs::create_dir_all(&directory)
            .and_then(|()| fs::write(&path, ""))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path })
    }

    fn read(&self) -> Result<String> {
        let bytes =
            fs::read(&self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for SkipLog {
    fn drop(&mut self) {
        // Left behind, it harms nobody.
        let _ = fs::remove_file(&self.path);
    }
}

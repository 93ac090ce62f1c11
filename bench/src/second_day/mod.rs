//! `second-day`: how many things that a program was not recorded doing fail under its profile, with and
//! without headroom.
//!
//! Each program is recorded once, doing little. Then it does what comes on another day: each operation in
//! a fresh folder, first without a filter, where it has to work, then under each profile. A failure under
//! a profile only is the profile's. It is done again under `tracer verify`, which says what was denied.

mod programs;
mod servers;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use tracer_core::profile::seccomp::{
    evaluate::{Filter, Host, Libseccomp, OciRuntime},
    oci::OciSeccomp,
};
use tracer_tests::{
    process::descendants,
    programs::{Build, compiled},
    scratch::Scratch,
};

use crate::{results, tracer};
use programs::{PROGRAMS, Program};

/// Options of `second-day`.
#[derive(Args)]
pub(crate) struct Options {
    /// Where the results are kept.
    #[arg(long, default_value = "target/bench/second-day.json")]
    json: PathBuf,
    /// Only these programs.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Longest that an operation may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often a process is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until a script succeeds.
const PRELUDE: &str = "ready() { i=0; until eval \"$1\" > /dev/null 2>&1; do i=$((i+1)); [ $i -lt 200 ] || exit 9; sleep 0.05; done; }\n";

/// The profiles that are compared: their titles and options of `tracer generate`.
const PROFILES: [(&str, &str); 2] = [("without", "none"), ("with", "safe")];

/// What came of one program.
#[derive(Serialize)]
struct Outcome {
    program: &'static str,
    /// Operations that work without a profile.
    operations: usize,
    /// Calls that each profile allows, in the order of [`PROFILES`].
    allowed: [usize; PROFILES.len()],
    /// The operations that fail under each.
    failed: [Vec<Failure>; PROFILES.len()],
    /// Operations that fail without a profile too.
    skipped: Vec<&'static str>,
}

#[derive(Serialize)]
struct Failure {
    operation: &'static str,
    /// What was denied.
    denied: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    results::prepare(&options.json)?;
    let mut outcomes = Vec::new();
    for program in PROGRAMS {
        let is_asked = options.only.is_empty() || options.only.iter().any(|it| it == program.name);
        if !is_asked {
            continue;
        }
        let missing = program.needs.iter().find(|it| !is_there(it));
        if let Some(missing) = missing {
            eprintln!("{}: skipped, there is no {missing}", program.name);
            continue;
        }
        eprintln!("{}", program.name);
        match measure(program) {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => eprintln!("{}: {error:#}", program.name),
        }
    }
    ensure!(!outcomes.is_empty(), "no program could be measured");
    println!("{}", report(&outcomes));
    results::write(&outcomes, &options.json)
}

fn is_there(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// How an operation is run.
enum Under<'a> {
    Nothing,
    Filter(&'a Path),
    Recorder(&'a Path),
    Verify { profile: &'a Path, report: &'a Path },
}

fn measure(program: &'static Program) -> Result<Outcome> {
    let scratch = Scratch::new()?;
    let recorded = scratch.join("recorded");
    attempt(program, program.base, &Under::Recorder(&recorded)).context("the base run failed")?;
    let mut profiles = Vec::new();
    for (title, headroom) in PROFILES {
        profiles.push(profile(&scratch, &recorded, title, headroom)?);
    }
    let mut outcome = Outcome {
        program: program.name,
        operations: 0,
        allowed: [0; PROFILES.len()],
        failed: Default::default(),
        skipped: Vec::new(),
    };
    for (allowed, (_, _, calls)) in outcome.allowed.iter_mut().zip(&profiles) {
        *allowed = *calls;
    }
    for (_, filter, _) in &profiles {
        let base = attempt(program, program.base, &Under::Filter(filter));
        base.context("the base run fails under its own profile")?;
    }
    for operation in program.operations {
        if let Err(error) = attempt(program, operation.script, &Under::Nothing) {
            eprintln!("  {}: fails without a profile: {error:#}", operation.name);
            outcome.skipped.push(operation.name);
            continue;
        }
        outcome.operations += 1;
        for ((json, filter, _), failed) in profiles.iter().zip(&mut outcome.failed) {
            if attempt(program, operation.script, &Under::Filter(filter)).is_ok() {
                continue;
            }
            let report = scratch.join("report.json");
            let under = Under::Verify {
                profile: json,
                report: &report,
            };
            // It fails again, which is known.
            let _ = attempt(program, operation.script, &under);
            let denied = denied(&report);
            eprintln!("  {}: {denied}", operation.name);
            failed.push(Failure {
                operation: operation.name,
                denied,
            });
        }
    }
    Ok(outcome)
}

/// The profile of a recording: its file, its filter, and how many calls it allows.
fn profile(
    scratch: &Scratch,
    recorded: &Path,
    title: &str,
    headroom: &str,
) -> Result<(PathBuf, PathBuf, usize)> {
    let output = scratch.join(title);
    let made = Command::new(tracer::binary()?)
        .args([
            "generate",
            "--format",
            "seccomp",
            "--headroom",
            headroom,
            "--output",
        ])
        .arg(&output)
        .arg(recorded.join("program"))
        .output()
        .context("cannot start tracer generate")?;
    ensure!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let file = output.join("program/seccomp.json");
    let text = fs::read_to_string(&file).context("reading the profile")?;
    let oci = OciSeccomp::from_json(&text).context("parsing the profile")?;
    let native = syscalls::Machine::this()
        .context("an unknown machine")?
        .native;
    let host = Host {
        native,
        runtime: OciRuntime::Runc,
        libseccomp: Libseccomp::Newest,
    };
    let filter = Filter::new(&oci, host).context("no runtime accepts the profile")?;
    let mut bytes = Vec::new();
    for instruction in filter.program().context("compiling the profile")? {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jump_true, instruction.jump_false]);
        bytes.extend(instruction.constant.to_ne_bytes());
    }
    let allowed = oci
        .syscalls
        .iter()
        .filter(|entry| entry.action == tracer_core::profile::seccomp::oci::Action::Allow);
    let names: std::collections::BTreeSet<_> = allowed.flat_map(|entry| &entry.names).collect();
    Ok((
        file,
        scratch.file(&format!("{title}.filter"), bytes)?,
        names.len(),
    ))
}

/// Runs a script of a program's in a fresh folder.
fn attempt(program: &Program, script: &str, under: &Under<'_>) -> Result<()> {
    let scratch = Scratch::new()?;
    let dir = scratch.dir("work")?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let shell = |command: &mut Command| {
        command
            .current_dir(&dir)
            .env("DIR", &dir)
            .env("HOME", &dir)
            .env("PORT", port.to_string())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
    };
    let mut setup = Command::new("/bin/sh");
    shell(setup.args(["-e", "-c", program.setup]));
    wait(setup.spawn()?).context("the setup")?;
    let Some(server) = program.server else {
        let mut tool = wrapped(under, &format!("set -e\n{script}"))?;
        shell(&mut tool);
        return wait(tool.spawn()?);
    };
    let mut command = wrapped(under, &format!("exec {server}"))?;
    shell(&mut command);
    let mut child = command.spawn().context("cannot start the server")?;
    let pid = server_pid(&mut child, under)?;
    let mut driver = Command::new("/bin/sh");
    let text = format!("{PRELUDE}set -e\n{script}");
    shell(driver.args(["-c", &text]).env("PID", pid.to_string()));
    let result = driver.spawn().map_err(Into::into).and_then(wait);
    // It may have ended by itself.
    let _ = tracer_tests::process::send(pid, nix::sys::signal::Signal::SIGTERM);
    let _ = wait(child);
    result
}

/// `sh -c SCRIPT`, under what is asked for.
fn wrapped(under: &Under<'_>, script: &str) -> Result<Command> {
    let mut command = match under {
        Under::Nothing => Command::new("/bin/sh"),
        Under::Filter(filter) => {
            let mut command = Command::new(compiled("under", Build::Static)?);
            command.arg(filter).arg("/bin/sh");
            command
        }
        Under::Recorder(output) => {
            let mut command = Command::new(tracer::binary()?);
            command
                .args(["record", "--quiet", "--name", "program", "--output"])
                .arg(output)
                .args(["--", "/bin/sh"]);
            command
        }
        Under::Verify { profile, report } => {
            let mut command = Command::new(tracer::binary()?);
            command
                .args(["verify", "--quiet", "--format", "json", "--report"])
                .arg(report)
                .arg(profile)
                .args(["--", "/bin/sh"]);
            command
        }
    };
    command.args(["-c", script]);
    Ok(command)
}

/// The server's own process: below tracer, when that started it.
fn server_pid(child: &mut Child, under: &Under<'_>) -> Result<u32> {
    if matches!(under, Under::Nothing | Under::Filter(_)) {
        return Ok(child.id());
    }
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(pid) = descendants(child.id()).first() {
            return Ok(*pid);
        }
        if let Some(status) = child.try_wait()? {
            bail!("tracer ended: {status}");
        }
        std::thread::sleep(INTERVAL);
    }
    bail!("tracer started nothing")
}

/// Waits for a process, and ends it when it takes too long.
fn wait(mut child: Child) -> Result<()> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{status}");
            return Ok(());
        }
        if begin.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!("it took longer than {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(INTERVAL);
    }
}

/// The names of the denied calls in a report of `tracer verify`.
fn denied(report: &Path) -> String {
    let names = || -> Option<Vec<String>> {
        let report: serde_json::Value = serde_json::from_slice(&fs::read(report).ok()?).ok()?;
        let denied = report.get("denied")?.as_array()?;
        let name = |it: &serde_json::Value| Some(it.get("call")?.as_str()?.to_owned());
        let mut names: Vec<_> = denied.iter().filter_map(name).collect();
        names.sort();
        names.dedup();
        Some(names)
    };
    match names() {
        Some(names) if !names.is_empty() => names.join(", "),
        _ => "unknown".to_owned(),
    }
}

/// The tables, as `docs/benchmarks.md` has them.
fn report(outcomes: &[Outcome]) -> String {
    let mut text = "| program | operations | fail without headroom | fail with | calls without | calls with |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    let mut sums = [0; 3];
    for it in outcomes {
        let [without, with] = &it.failed;
        text += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            it.program,
            it.operations,
            without.len(),
            with.len(),
            it.allowed[0],
            it.allowed[1]
        );
        sums[0] += it.operations;
        sums[1] += without.len();
        sums[2] += with.len();
    }
    text += &format!("| all | {} | {} | {} | | |\n\n", sums[0], sums[1], sums[2]);
    text += "| program | operation | denied | with headroom |\n| --- | --- | --- | --- |\n";
    for it in outcomes {
        let [without, with] = &it.failed;
        for failure in without {
            let still = with
                .iter()
                .find(|other| other.operation == failure.operation);
            let still =
                still.map_or_else(|| "works".to_owned(), |it| format!("denied: {}", it.denied));
            text += &format!(
                "| {} | {} | {} | {still} |\n",
                it.program, failure.operation, failure.denied
            );
        }
    }
    text
}

//! `second-day`: how many things that a program was not recorded doing fail under its profile, with and
//! without headroom.
//!
//! Each program is recorded once, doing little. Then it does what comes on another day: each operation in
//! a fresh directory, first without a filter, where it has to work, then under each profile. A failure under
//! a profile only is the profile's. It is done again under `tracer verify`, which says what was denied.
//!
//! What the AppArmor profile of the first recording lacks is not tried but computed: each operation is recorded
//! too, and each of its accesses looked up in the profile.
//!
//! Then the recording is topped up once: each operation that still fails with headroom is done under
//! `tracer verify --log-only --update`. Under the profile of that, all operations are done again.

mod files;
mod programs;
mod report;
mod servers;

use std::{
    fs, io,
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
use programs::{Operation, PROGRAMS, Program};
use report::report;

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

/// Longest that an operation may take, or tracer to write what it recorded.
const PATIENCE: Duration = Duration::from_secs(45);

/// How often a process is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until a script succeeds.
const PRELUDE: &str = "ready() { i=0; until eval \"$1\" > /dev/null 2>&1; do i=$((i+1)); [ $i -lt 400 ] || exit 9; sleep 0.05; done; }\n";

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
    /// Calls that the profile allows after the top-up, and the operations that fail then.
    topped_up: (usize, Vec<Failure>),
    /// Operations that need a rule which the AppArmor profile does not have.
    denied_by_apparmor: Vec<Failure>,
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
    let directories = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&directories).any(|directory| directory.join(program).is_file())
}

/// How an operation is run.
enum Under<'a> {
    Nothing,
    Filter(&'a Path),
    Recorder(&'a Path),
    Verify {
        profile: &'a Path,
        report: &'a Path,
    },
    /// Nothing; what a profile would deny is added to a recording.
    TopUp {
        profile: &'a Path,
        recording: &'a Path,
    },
}

fn measure(program: &'static Program) -> Result<Outcome> {
    let scratch = Scratch::new()?;
    let recorded = scratch.join("recorded");
    attempt(&scratch, program, program.base, &Under::Recorder(&recorded))
        .context("the base run failed")?;
    let mut profiles = Vec::new();
    for (title, headroom) in PROFILES {
        profiles.push(profile(&scratch, &recorded, title, headroom)?);
    }
    let mut outcome = Outcome {
        program: program.name,
        operations: 0,
        allowed: [0; PROFILES.len()],
        failed: Default::default(),
        topped_up: (0, Vec::new()),
        denied_by_apparmor: Vec::new(),
        skipped: Vec::new(),
    };
    for (allowed, profile) in outcome.allowed.iter_mut().zip(&profiles) {
        *allowed = profile.allowed;
    }
    for profile in &profiles {
        let base = attempt(
            &scratch,
            program,
            program.base,
            &Under::Filter(&profile.filter),
        );
        base.context("the base run fails under its own profile")?;
    }
    let mut working = Vec::new();
    for operation in program.operations {
        if let Err(error) = attempt(&scratch, program, operation.script, &Under::Nothing) {
            eprintln!("  {}: fails without a profile: {error:#}", operation.name);
            outcome.skipped.push(operation.name);
            continue;
        }
        outcome.operations += 1;
        working.push(operation);
        for (profile, failed) in profiles.iter().zip(&mut outcome.failed) {
            failed.extend(failure(&scratch, program, operation, profile));
        }
        let record = |output: &Path| {
            attempt(
                &scratch,
                program,
                operation.script,
                &Under::Recorder(output),
            )
        };
        match files::denied(&scratch, &recorded, record) {
            Ok(None) => {}
            Ok(Some(denied)) => outcome.denied_by_apparmor.push(Failure {
                operation: operation.name,
                denied,
            }),
            Err(error) => eprintln!("  {}: not measured: {error:#}", operation.name),
        }
    }
    if let [.., with] = profiles.as_slice() {
        outcome.topped_up = top_up(&scratch, &recorded, program, &working, with)?;
    }
    Ok(outcome)
}

/// How an operation fails under a profile, if it does.
fn failure(
    scratch: &Scratch,
    program: &Program,
    operation: &Operation,
    profile: &Profile,
) -> Option<Failure> {
    if attempt(
        scratch,
        program,
        operation.script,
        &Under::Filter(&profile.filter),
    )
    .is_ok()
    {
        return None;
    }
    let report = scratch.join("report.json");
    let under = Under::Verify {
        profile: &profile.json,
        report: &report,
    };
    // It fails again, which is known.
    let _ = attempt(scratch, program, operation.script, &under);
    let denied = denied(&report);
    eprintln!("  {}: {denied}", operation.name);
    Some(Failure {
        operation: operation.name,
        denied,
    })
}

/// Tops a recording up with the operations that fail under the profile of it, and does all of them again:
/// how many calls are allowed then, and what still fails.
fn top_up(
    scratch: &Scratch,
    recorded: &Path,
    program: &Program,
    operations: &[&Operation],
    with: &Profile,
) -> Result<(usize, Vec<Failure>)> {
    let failing = operations
        .iter()
        .filter(|it| attempt(scratch, program, it.script, &Under::Filter(&with.filter)).is_err());
    let failing: Vec<_> = failing.collect();
    if failing.is_empty() {
        return Ok((with.allowed, Vec::new()));
    }
    let recording = recorded.join("program");
    for operation in failing {
        let under = Under::TopUp {
            profile: &with.json,
            recording: &recording,
        };
        // Its status says that something would be denied.
        let _ = attempt(scratch, program, operation.script, &under);
    }
    let wider = profile(scratch, recorded, "topped-up", "safe")?;
    let failed = operations
        .iter()
        .filter_map(|it| failure(scratch, program, it, &wider));
    Ok((wider.allowed, failed.collect()))
}

/// A profile of a recording.
struct Profile {
    json: PathBuf,
    filter: PathBuf,
    /// How many calls it allows.
    allowed: usize,
}

/// Makes the profile of a recording.
fn profile(scratch: &Scratch, recorded: &Path, title: &str, headroom: &str) -> Result<Profile> {
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
    let json = output.join("program/seccomp.json");
    let text = fs::read_to_string(&json).context("reading the profile")?;
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
    Ok(Profile {
        json,
        filter: scratch.file(&format!("{title}.filter"), bytes)?,
        allowed: names.len(),
    })
}

/// Runs a script of a program's in a directory that has the same path each time, and is new each time.
fn attempt(scratch: &Scratch, program: &Program, script: &str, under: &Under<'_>) -> Result<()> {
    match fs::remove_dir_all(scratch.join("work")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
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
        Under::TopUp { profile, recording } => {
            let mut command = Command::new(tracer::binary()?);
            command
                .args(["verify", "--quiet", "--log-only", "--update"])
                .arg(recording)
                .arg(profile)
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
        // tracer has a helper of its own.
        let own = fs::read_link(format!("/proc/{}/exe", child.id())).ok();
        let is_other = |pid: &u32| {
            let executable = fs::read_link(format!("/proc/{pid}/exe")).ok();
            executable.is_some() && executable != own
        };
        if let Some(pid) = descendants(child.id()).into_iter().find(is_other) {
            return Ok(pid);
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

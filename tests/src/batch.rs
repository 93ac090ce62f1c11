//! Work in containers that tracer records from their first call: many containers, one recorder.

use std::{
    fmt,
    os::unix::fs::lchown,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    oci::{Container, Runtime},
    process::Running,
    scratch::Scratch,
    tracer::{self, Recorded},
    work::{Done, Work},
};

/// Other tests may make containers by the thousand meanwhile, and tracer has to look at each.
const PATIENCE: Duration = Duration::from_secs(180);

/// How a container is run.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// Which runtime.
    pub runtime: Runtime,
    /// Its version.
    pub version: String,
    /// Its program.
    pub program: PathBuf,
    /// Whether the filter is loaded last, by a runtime without privileges.
    pub no_new_privileges: bool,
    /// The user.
    pub uid: u32,
}

impl Configuration {
    /// The same, run by another program.
    #[must_use]
    pub fn by(&self, (runtime, version, program): &(Runtime, String, PathBuf)) -> Self {
        Self {
            runtime: *runtime,
            version: version.clone(),
            program: program.clone(),
            ..self.clone()
        }
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, uid, .. } = self;
        let gains = if self.no_new_privileges { "no" } else { "with" };
        write!(
            f,
            "{} {version}, uid {uid}, {gains} new privileges",
            self.runtime.name()
        )
    }
}

/// A container to be run.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// How.
    pub configuration: Configuration,
    /// Under what profile; none when it is null.
    pub profile: &'a Value,
}

/// What came of one.
#[derive(Debug)]
pub struct Ran {
    /// What the work did, if it could be done.
    pub done: Result<Done>,
    /// What a server wrote of itself.
    pub log: String,
    /// What tracer wrote of it.
    pub recorded: Recorded,
}

/// Does `work` in each of `cases`, one after the other, and records all of them. What is made of it
/// lies in `scratch`, in directories that begin with `name`.
///
/// # Errors
/// When a container cannot be described or tracer fails: not when the work does.
pub fn record(scratch: &Scratch, name: &str, work: Work, cases: &[Case]) -> Result<Vec<Ran>> {
    let output = scratch.join(format!("{name}-out"));
    let mut prepared = Vec::new();
    let mut command = tracer::command()?;
    command.args(["record", "--wait", "--output"]).arg(&output);
    for (index, case) in cases.iter().enumerate() {
        let dir = scratch.dir(&format!("{name}-{index}"))?;
        let container = prepare(work, &dir, case)?;
        command.args(["--container", container.id()]);
        prepared.push((dir, container));
    }
    let mut recorder = Running::spawn(&mut command)?;
    recorder.until_stderr("waiting for it to start")?;

    let mut runs = Vec::new();
    for (dir, container) in &prepared {
        let line = container.command_line()?;
        let done = work.run(dir, &line, Some(&container.pid_file()));
        runs.push(Ran {
            done,
            log: work.log(dir),
            recorded: Recorded {
                directory: output.join(container.id()),
            },
        });
    }
    // It waits for all of them: one that was never made is the likeliest reason not to end.
    let failed = || {
        let all = cases.iter().zip(&runs);
        all.filter(|(_, ran)| !matches!(&ran.done, Ok(done) if done.code == 0))
            .map(|(case, ran)| format!("{}: {:?}", case.configuration, ran.done))
            .collect::<Vec<_>>()
            .join("\n")
    };
    recorder
        .wait_within(PATIENCE)
        .with_context(|| format!("work that could not be done:\n{}", failed()))?
        .success()?;
    Ok(runs)
}

fn prepare(work: Work, dir: &Path, case: &Case) -> Result<Container> {
    let configuration = &case.configuration;
    let argv = work.prepare(dir)?;
    give(dir, configuration.uid)?;
    let container = Container::new(
        configuration.runtime,
        &argv,
        dir,
        case.profile,
        configuration.no_new_privileges,
    )?;
    Ok(container
        .by(&configuration.program)
        .as_user(configuration.uid)?
        .in_public())
}

/// Makes a directory and what is in it a user's own.
fn give(path: &Path, uid: u32) -> Result<()> {
    lchown(path, Some(uid), Some(uid))
        .with_context(|| format!("giving {} to {uid}", path.display()))?;
    if path.is_dir() && !path.is_symlink() {
        for entry in path.read_dir()? {
            give(&entry?.path(), uid)?;
        }
    }
    Ok(())
}

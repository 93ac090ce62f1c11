//! How long the tracer takes before and after a command that takes no time.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::{results::Startup, tracer};

/// Times `true` and `tracer record -- true` by turns, each time after `wait_until_alone`.
pub(crate) fn measure(
    rounds: usize,
    output: &Path,
    wait_until_alone: impl Fn() -> Result<()>,
) -> Result<Startup> {
    let binary = tracer::binary()?;
    let mut startup = Startup {
        plain: Vec::new(),
        recorded: Vec::new(),
    };
    for _ in 0..rounds {
        wait_until_alone()?;
        startup.plain.push(time(&mut Command::new("true"))?);
        let mut record = Command::new(&binary);
        record.args(["record", "--quiet", "--name", "true", "--output"]);
        record.arg(output).args(["--", "true"]);
        startup.recorded.push(time(&mut record)?);
    }
    Ok(startup)
}

/// Milliseconds that a command takes.
fn time(command: &mut Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    let took = start.elapsed();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(took.as_secs_f64() * 1e3)
}

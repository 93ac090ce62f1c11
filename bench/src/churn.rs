//! `churn`: containers that live for a few milliseconds, with and without a tracer that records all
//! of them.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use nix::sys::signal::Signal;
use serde::Serialize;
use tracer_tests::{churn::Churn, oci::Runtime, process::Running, recording::Recording};

use crate::{interrupt, machine::Machine, proc, results, table::Table, tracer};

/// Options of `churn`.
#[derive(Args)]
pub(crate) struct Options {
    /// How many containers.
    #[arg(long, default_value_t = 1_000)]
    containers: u32,
    /// How many at a time.
    #[arg(long, default_value_t = 8)]
    at_once: u32,
    /// Where the results are kept.
    #[arg(long, default_value = "target/bench/churn.json")]
    json: PathBuf,
}

/// A whole run of `churn`.
#[derive(Serialize)]
struct Results {
    machine: Machine,
    containers: u32,
    at_once: u32,
    rows: Vec<Row>,
}

/// The containers of one runtime.
#[derive(Serialize)]
struct Row {
    runtime: &'static str,
    /// Seconds that all containers take without a tracer, and with one.
    plain_s: f64,
    recorded_s: f64,
    /// CPU milliseconds of the tracer while they run.
    cpu_ms: f64,
    /// CPU milliseconds of the tracer from then to its end: the results are written.
    writing_ms: f64,
    /// KiB resident when all have run, and at the most, writing included.
    resident_kib: u64,
    peak_kib: u64,
    /// Containers in the recording, and those of them whose name and pod were found in time.
    found: usize,
    named: usize,
    /// Bytes of the recording.
    recording: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    results::prepare(&options.json)?;
    let machine = Machine::this();
    println!("{}\n", machine.sentence());
    let mut results = Results {
        machine,
        containers: options.containers,
        at_once: options.at_once,
        rows: Vec::new(),
    };
    for runtime in [Runtime::Crun, Runtime::Runc] {
        eprintln!("{} containers of {}", options.containers, runtime.name());
        results.rows.push(measure(runtime, options)?);
        interrupt::check()?;
    }
    print(&results);
    results::write(&results, &options.json)
}

fn measure(runtime: Runtime, options: &Options) -> Result<Row> {
    let churn = Churn::prepare(runtime, options.containers, true)?;
    let plain_s = time(&mut churn.command(options.at_once)?)?;

    let mut recorder = Running::spawn(
        Command::new(tracer::binary()?)
            .args(["record", "--all", "--output"])
            .arg(churn.output()?)
            .stdin(Stdio::null()),
    )?;
    recorder.until_stderr("recording all containers")?;
    let pid = recorder.pid();
    let before = proc::run_time(pid)?;
    let recorded_s = time(&mut churn.command(options.at_once)?)?;
    let cpu = proc::run_time(pid)? - before;
    let resident_kib = proc::status(pid, "VmRSS").context("no VmRSS")?;
    recorder.signal(Signal::SIGINT)?;
    // Its peak and its time are read as long as it is there.
    let (mut peak_kib, mut whole) = (resident_kib, cpu);
    while recorder.ended()?.is_none() {
        peak_kib = peak_kib.max(proc::status(pid, "VmHWM").unwrap_or(0));
        whole = whole.max(proc::run_time(pid).map_or(whole, |time| time - before));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    recorder.wait()?.success()?;

    let mut row = Row {
        runtime: runtime.name(),
        plain_s,
        recorded_s,
        cpu_ms: cpu.as_secs_f64() * 1e3,
        writing_ms: (whole - cpu).as_secs_f64() * 1e3,
        resident_kib,
        peak_kib,
        found: 0,
        named: 0,
        recording: 0,
    };
    for directory in fs::read_dir(churn.output()?)? {
        let path = directory?.path().join("recording.json");
        let recording = Recording::read(&path)?;
        let of_churn = recording.instances.iter().filter(|instance| {
            let mut parts = instance.cgroup.split('/');
            parts.any(|part| churn.has(part))
        });
        let before = row.found;
        for instance in of_churn {
            row.found += 1;
            let pod = instance.container.as_ref().and_then(|c| c.pod.as_ref());
            row.named += usize::from(pod.is_some());
        }
        if row.found > before {
            row.recording += fs::metadata(&path)?.len();
        }
    }
    Ok(row)
}

fn time(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "the containers failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(start.elapsed().as_secs_f64())
}

fn print(results: &Results) {
    let containers = f64::from(results.containers);
    let mut table = Table::new(&[
        "runtime",
        "plain, s",
        "recorded, s",
        "tracer's CPU a container, ms",
        "writing, ms",
        "resident, MiB",
        "at most, MiB",
        "found",
        "with name and pod",
        "recording, MiB",
    ]);
    for row in &results.rows {
        table.row(vec![
            row.runtime.to_owned(),
            format!("{:.1}", row.plain_s),
            format!("{:.1}", row.recorded_s),
            format!("{:.2}", row.cpu_ms / containers),
            format!("{:.0}", row.writing_ms),
            format!("{:.1}", mib(row.resident_kib)),
            format!("{:.1}", mib(row.peak_kib)),
            row.found.to_string(),
            row.named.to_string(),
            format!("{:.1}", mib(row.recording >> 10)),
        ]);
    }
    println!(
        "{} containers, {} at a time\n\n{}",
        results.containers,
        results.at_once,
        table.render()
    );
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

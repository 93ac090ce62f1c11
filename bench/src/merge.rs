//! `merge`: what `tracer merge` takes as recordings grow in number.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use tracer_tests::{process::Running, replicas::Replica, scratch::Scratch};

use crate::{interrupt, machine::Machine, proc, results, table::Table, tracer};

/// Options of `merge`.
#[derive(Args)]
pub(crate) struct Options {
    /// How many recordings, in turn.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 500, 5_000])]
    recordings: Vec<u32>,
    /// Where the results are kept.
    #[arg(long, default_value = "target/bench/merge.json")]
    json: PathBuf,
}

/// A whole run of `merge`.
#[derive(Serialize)]
struct Results {
    machine: Machine,
    rows: Vec<Row>,
}

/// One merge.
#[derive(Serialize)]
struct Row {
    recordings: u32,
    kind: Kind,
    /// Bytes of all recordings, and of the result.
    read: u64,
    written: u64,
    seconds: f64,
    /// KiB resident at the most.
    peak_kib: u64,
}

/// What the recordings have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// All but who they are: replicas.
    Replicas,
    /// Little: each has an executable and an image of its own.
    Own,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    results::prepare(&options.json)?;
    let machine = Machine::this();
    println!("{}\n", machine.sentence());
    let mut results = Results {
        machine,
        rows: Vec::new(),
    };
    for recordings in &options.recordings {
        for kind in [Kind::Replicas, Kind::Own] {
            eprintln!("{recordings} recordings, {kind:?}");
            results.rows.push(measure(*recordings, kind)?);
            interrupt::check()?;
        }
    }
    print(&results.rows);
    results::write(&results, &options.json)
}

fn measure(recordings: u32, kind: Kind) -> Result<Row> {
    let scratch = Scratch::new()?;
    let directory = scratch.dir("recordings")?;
    let mut paths = Vec::new();
    let mut read = 0;
    for number in 0..recordings {
        interrupt::check()?;
        let path = write(number, kind, &directory)?;
        read += fs::metadata(&path)?.len();
        paths.push(path);
    }
    let output = scratch.join("merged.json");
    let start = Instant::now();
    let mut running = Running::spawn(
        Command::new(tracer::binary()?)
            .arg("merge")
            .arg("--output")
            .arg(&output)
            .args(&paths)
            .stdin(Stdio::null()),
    )?;
    let pid = running.pid();
    // The peak is read as long as the process is there.
    let mut peak_kib = 0;
    while running.ended()?.is_none() {
        peak_kib = peak_kib.max(proc::status(pid, "VmHWM").unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    let seconds = start.elapsed().as_secs_f64();
    running.wait()?.success().context("the merge failed")?;
    Ok(Row {
        recordings,
        kind,
        read,
        written: fs::metadata(&output)?.len(),
        seconds,
        peak_kib,
    })
}

fn write(number: u32, kind: Kind, directory: &Path) -> Result<PathBuf> {
    let (executable, digest) = (
        format!("/tmp/build-{number}/a.out"),
        format!("sha256:{number:064x}"),
    );
    let replica = match kind {
        Kind::Replicas => Replica {
            number,
            digest: Some("sha256:a"),
            ..Replica::default()
        },
        Kind::Own => Replica {
            number,
            digest: Some(&digest),
            executable: Some(&executable),
            ..Replica::default()
        },
    };
    replica.write(directory)
}

fn print(rows: &[Row]) {
    let mut table = Table::new(&[
        "recordings",
        "read, MiB",
        "written, MiB",
        "seconds",
        "at most, MiB",
    ]);
    for row in rows {
        let kind = match row.kind {
            Kind::Replicas => "replicas",
            Kind::Own => "each its own executable and image",
        };
        table.row(vec![
            format!("{}, {kind}", row.recordings),
            format!("{:.1}", mib(row.read >> 10)),
            format!("{:.1}", mib(row.written >> 10)),
            format!("{:.2}", row.seconds),
            format!("{:.1}", mib(row.peak_kib)),
        ]);
    }
    println!("{}", table.render());
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

//! `report`: what `tracer report` takes to make a page, how large that is, and how long a browser takes to show it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use syscalls::Abi;
use tracer_tests::{process, replicas::Replica, requires, scratch::Scratch, tracer as program};

use crate::{interrupt, machine::Machine, results, table::Table};

/// Options of `report`.
#[derive(Args)]
pub(crate) struct Options {
    /// System calls in the large recording.
    #[arg(long, default_value_t = 400)]
    calls: usize,
    /// Paths in it.
    #[arg(long, default_value_t = 20_000)]
    paths: usize,
    /// How often each thing is measured: the median counts, of the browser's times the least.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Where the results are kept.
    #[arg(long, default_value = "target/bench/report.json")]
    json: PathBuf,
}

/// A whole run of `report`.
#[derive(Serialize)]
struct Results {
    machine: Machine,
    browser: Option<String>,
    rows: Vec<Row>,
}

/// One page.
#[derive(Serialize)]
struct Row {
    title: String,
    /// Seconds to make it, the start of the program included.
    made: f64,
    /// Bytes of the page.
    size: u64,
    /// Seconds from the start of the browser to the painted page, less those for an empty one.
    shown: Option<f64>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    results::prepare(&options.json)?;
    let machine = Machine::this();
    println!("{}\n", machine.sentence());
    let browser = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find_map(requires::which);
    if browser.is_none() {
        eprintln!("no Chromium is installed (apt-get install chromium): loading is not measured");
    }
    let scratch = Scratch::new()?;
    let small = Replica::default().recording()?;
    let large = large(small.clone(), options);
    let mut rows = Vec::new();
    for (title, recording) in [("nginx".to_owned(), small), (describe(options), large)] {
        eprintln!("{title}");
        rows.push(measure(
            title,
            &recording,
            browser.as_deref(),
            &scratch,
            options,
        )?);
        interrupt::check()?;
    }
    print(&rows);
    let browser = browser.as_deref().map(version).transpose()?;
    results::write(
        &Results {
            machine,
            browser,
            rows,
        },
        &options.json,
    )
}

fn describe(options: &Options) -> String {
    format!("{} calls, {} paths", options.calls, options.paths)
}

/// A recording with many calls of both ABIs of x86-64, and many paths in 40 directories.
fn large(mut recording: Value, options: &Options) -> Value {
    let who = |number: usize| json!({"path": format!("/usr/bin/program-{}", number % 4)});
    let calls = [Abi::X86_64, Abi::I386]
        .into_iter()
        .flat_map(|abi| abi.syscalls().map(move |(nr, name)| (abi, nr, name)));
    let calls = calls.take(options.calls).enumerate().map(|(at, (abi, nr, name))| {
        json!({
            "abi": abi, "nr": nr, "name": name, "phases": ["run"], "blocked": false,
            "evidence": [{
                "instance": 0, "phase": "run", "executable": who(at), "blocked": null,
                "first": {"after_ns": at * 1_000_000, "pid": 7, "tid": 7, "comm": "program", "args": [0, 0, 0, 0, 0, 0]},
            }],
        })
    });
    recording["syscalls"] = calls.collect();
    let files = (0..options.paths).map(|at| {
        let access = if at % 10 == 0 { "write" } else { "read" };
        json!({
            "what": {
                "path": format!("/srv/data/{:02}/document-{at:05}.{}", at % 40, ["json", "html"][at % 2]),
                "access": access,
                "owned": false,
            },
            "evidence": [{
                "phase": "run", "executable": who(at), "instances": [0],
                "first": {"after_ns": at * 100_000, "pid": 7, "comm": "program"},
            }],
        })
    });
    recording["files"] = files.collect();
    recording
}

fn measure(
    title: String,
    recording: &Value,
    browser: Option<&Path>,
    scratch: &Scratch,
    options: &Options,
) -> Result<Row> {
    let (input, page) = (scratch.join("recording.json"), scratch.join("report.html"));
    fs::write(&input, serde_json::to_vec(recording)?)?;
    let made = median(options.rounds, || {
        // Each path a rule: the most that a page can have to show.
        let finished = process::run(
            program::command()?
                .args(["report", "--generalise", "none", "--output"])
                .arg(&page)
                .arg(&input),
        )?;
        finished.success()?;
        Ok(())
    })?;
    let shown = browser
        .map(|browser| {
            let empty = scratch.join("empty.html");
            fs::write(&empty, "<!doctype html><title>empty</title>")?;
            // In turns, and the least of each: what else the machine does only adds.
            let (mut least, mut least_empty) = (f64::INFINITY, f64::INFINITY);
            for _ in 0..options.rounds.max(1) {
                least = least.min(median(1, || paint(browser, &page, scratch))?);
                least_empty = least_empty.min(median(1, || paint(browser, &empty, scratch))?);
            }
            Ok::<_, anyhow::Error>((least - least_empty).max(0.0))
        })
        .transpose()?;
    Ok(Row {
        title,
        made,
        size: fs::metadata(&page)?.len(),
        shown,
    })
}

/// Lets a browser load and paint a page.
fn paint(browser: &Path, page: &Path, scratch: &Scratch) -> Result<()> {
    let mut command = Command::new(browser);
    command
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1280,800",
        ])
        .arg(format!(
            "--user-data-dir={}",
            scratch.join("browser").display()
        ))
        .arg(format!(
            "--screenshot={}",
            scratch.join("page.png").display()
        ))
        .arg(format!("file://{}", page.display()))
        .env("HOME", scratch.path())
        .stdin(Stdio::null());
    process::run(&mut command)?.success()?;
    Ok(())
}

fn version(browser: &Path) -> Result<String> {
    let finished = process::run(Command::new(browser).arg("--version"))?.success()?;
    Ok(finished.text().trim().to_owned())
}

/// The median of how many seconds something takes.
fn median(rounds: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..rounds.max(1) {
        interrupt::check()?;
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times
        .get(times.len() / 2)
        .copied()
        .context("nothing was measured")
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn print(rows: &[Row]) {
    let mut table = Table::new(&["recording", "made, s", "page, MiB", "shown, s"]);
    for row in rows {
        table.row(vec![
            row.title.clone(),
            format!("{:.2}", row.made),
            format!("{:.2}", row.size as f64 / f64::from(1 << 20)),
            row.shown
                .map_or_else(|| "-".to_owned(), |it| format!("{it:.2}")),
        ]);
    }
    println!("{}", table.render());
}

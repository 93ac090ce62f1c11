//! `cargo xtask examples`: records well-known servers as they are installed, and renders what
//! `examples` holds.
//!
//! Each is recorded several times, as replicas would be, and the recordings are merged. They listen on the ports that they
//! are known for, in a network namespace of this program's own, and keep their files below `/srv`, so that
//! no path of the machine that made them is in a recording.

mod servers;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use nix::sched::{CloneFlags, unshare};
use tracer_tests::{
    process,
    scratch::Scratch,
    tracer::{self, Record},
    wait,
};

use servers::Example;

/// Records well-known servers; `cargo xtask examples` builds what it needs and starts it.
#[derive(Parser)]
#[command(name = "tracer-examples")]
struct Cli {
    /// The directory that holds a directory for each example.
    #[arg(long)]
    output: PathBuf,
    /// How often each is recorded.
    #[arg(long, default_value_t = 5)]
    times: u32,
    /// What to put behind each name, to tell these from others.
    #[arg(long, value_name = "WORD")]
    suffix: Option<String>,
    /// Which ones [default: all].
    names: Vec<String>,
}

/// The largest recording that is kept in a repository.
const MOST: u64 = 1 << 20;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracer-examples: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "recording loads BPF programs: run it as root"
    );
    // Before any thread is there, which would stay where it was.
    unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
    process::run(Command::new("ip").args(["link", "set", "lo", "up"]))?
        .success()
        .context("ip link set lo up: is iproute2 installed?")?;
    for example in Example::ALL {
        let name = example.name();
        if cli.names.is_empty() || cli.names.iter().any(|it| it == name) {
            make(example, cli).with_context(|| format!("the example {name}"))?;
        }
    }
    Ok(())
}

fn make(example: Example, cli: &Cli) -> Result<()> {
    let scratch = Scratch::new()?;
    let name = match &cli.suffix {
        Some(suffix) => format!("{}-{suffix}", example.name()),
        None => example.name().to_owned(),
    };
    let mut recordings = Vec::new();
    for number in 1..=cli.times {
        eprintln!("{name}, {number} of {}", cli.times);
        let output = scratch.dir(&number.to_string())?;
        recordings.push(record(example, &name, &output)?);
    }
    let directory = cli.output.join(&name);
    fs::create_dir_all(&directory)?;
    let merged = directory.join("recording.json");
    let merge = process::run(
        tracer::command()?
            .arg("merge")
            .arg("--output")
            .arg(&merged)
            .args(&recordings),
    )?;
    merge.success()?;
    let size = fs::metadata(&merged)?.len();
    ensure!(size <= MOST, "{size} bytes are too many to be committed");
    let generate = process::run(
        tracer::command()?
            .arg("generate")
            .arg("--output")
            .arg(&cli.output)
            .arg(&directory),
    )?;
    let written = generate.success()?;
    println!("{}\n{}", merged.display(), written.text().trim_end());
    Ok(())
}

/// Its directory, which goes away with it.
struct IsolatedNode(PathBuf);

impl IsolatedNode {
    fn new(name: &str) -> Result<Self> {
        let path = Path::new("/srv").join(name);
        // Whoever has something there wants to keep it.
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for IsolatedNode {
    fn drop(&mut self) {
        // Nothing is to be done about what cannot be removed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Records one run under a name, and tells where.
fn record(example: Example, name: &str, output: &Path) -> Result<PathBuf> {
    let place = IsolatedNode::new(example.name())?;
    let argv = example.prepare(&place.0)?;
    let mut record = Record::new(output, name)?.with(|command| {
        command.current_dir(&place.0);
    });
    if let Some(user) = example.user() {
        record = record.option("--user").option(user);
    }
    let mut recorder = record.of(&argv).start()?;
    example.exercise(&place.0, &mut recorder.running)?;
    let pid = wait::pid_in(&place.0.join("server.pid"))?;
    process::send(pid, example.stop_signal())?;
    let (finished, recorded) = recorder.finish()?;
    ensure!(finished.code() == 0, "{}", finished.stderr);
    Ok(recorded.directory)
}

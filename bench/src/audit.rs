//! `audit`: what `tracer audit` takes for a thousand profiles, beside reading and parsing them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use syscalls::Abi;
use tracer_tests::{process::Running, scratch::Scratch};

use crate::{
    interrupt, machine::Machine, proc, results, stats::Summary, table::Table, tracer as binary,
};

/// Options of `audit`.
#[derive(Args)]
pub(crate) struct Options {
    /// How many profiles of each kind.
    #[arg(long, default_value_t = 1_000)]
    profiles: u32,
    /// Rounds; the floor and the audit take turns.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// The recording of a directory that holds one, to audit with.
    #[arg(long, default_value = "examples/nginx")]
    recording: PathBuf,
    /// Where the results are kept.
    #[arg(long, default_value = "target/bench/audit.json")]
    json: PathBuf,
}

/// A whole run of `audit`.
#[derive(Serialize)]
struct Results {
    machine: Machine,
    profiles: u32,
    rows: Vec<Row>,
}

/// Profiles of one kind. Seconds for all of them, of each round.
#[derive(Serialize)]
struct Row {
    kind: Kind,
    /// Bytes of all profiles.
    bytes: u64,
    floor: Vec<f64>,
    audit: Vec<f64>,
    with_recording: Vec<f64>,
    /// KiB resident at the most, of the audits without a recording.
    peak_kib: u64,
}

/// What the profiles look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// A few calls denied, all else allowed: the most is found in these.
    DenyList,
    /// What tracer made for nginx.
    AllowList,
    /// Docker's form, with most calls of the machine and 40 conditions.
    Engine,
}

impl Kind {
    const ALL: [Self; 3] = [Self::DenyList, Self::AllowList, Self::Engine];

    const fn as_str(self) -> &'static str {
        match self {
            Self::DenyList => "deny-list of 3 calls",
            Self::AllowList => "allow-list that tracer made",
            Self::Engine => "Docker's form, 300 calls, 40 conditions",
        }
    }

    /// One profile; no two are the same bytes.
    fn profile(self, number: u32, recording: &Path) -> Result<Value> {
        let names: Vec<_> = Abi::X86_64.syscalls().map(|(_, name)| name).collect();
        let own = |at: u32| {
            let at = usize::try_from(at).unwrap_or_default() % names.len();
            names[at]
        };
        Ok(match self {
            Self::DenyList => json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{"names": ["chmod", "fchmodat", own(number)], "action": "SCMP_ACT_ERRNO"}],
            }),
            Self::AllowList => {
                let text = fs::read(recording.join("seccomp.json"))
                    .with_context(|| format!("reading the profile in {}", recording.display()))?;
                let mut profile: Value = serde_json::from_slice(&text)?;
                if let Some(entries) = profile["syscalls"].as_array_mut() {
                    entries.push(json!({"names": [own(number)], "action": "SCMP_ACT_ALLOW"}));
                }
                profile
            }
            Self::Engine => {
                let allowed: Vec<_> = names.iter().take(300).collect();
                let conditions = (0..40_u64).map(|value| {
                    json!({
                        "names": ["socket"],
                        "action": "SCMP_ACT_ALLOW",
                        "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}],
                    })
                });
                let entries = [json!({"names": allowed, "action": "SCMP_ACT_ALLOW"})]
                    .into_iter()
                    .chain(conditions)
                    .chain([json!({
                        "names": ["mount", "setns", own(number)],
                        "action": "SCMP_ACT_ALLOW",
                        "includes": {"caps": ["CAP_SYS_ADMIN"]},
                    })]);
                json!({
                    "defaultAction": "SCMP_ACT_ERRNO",
                    "defaultErrnoRet": 1,
                    "archMap": [{
                        "architecture": "SCMP_ARCH_X86_64",
                        "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
                    }],
                    "syscalls": entries.collect::<Vec<_>>(),
                })
            }
        })
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    results::prepare(&options.json)?;
    let machine = Machine::this();
    println!("{}\n", machine.sentence());
    let mut results = Results {
        machine,
        profiles: options.profiles,
        rows: Vec::new(),
    };
    for kind in Kind::ALL {
        eprintln!("{} profiles, {kind:?}", options.profiles);
        results.rows.push(measure(kind, options)?);
    }
    print(&results);
    results::write(&results, &options.json)
}

fn measure(kind: Kind, options: &Options) -> Result<Row> {
    let scratch = Scratch::new()?;
    let directory = scratch.dir("profiles")?;
    let mut bytes = 0;
    for number in 0..options.profiles {
        let text = serde_json::to_vec_pretty(&kind.profile(number, &options.recording)?)?;
        bytes += text.len() as u64;
        fs::write(directory.join(format!("{number}.json")), text)?;
    }
    let mut row = Row {
        kind,
        bytes,
        floor: Vec::new(),
        audit: Vec::new(),
        with_recording: Vec::new(),
        peak_kib: 0,
    };
    for _ in 0..options.rounds {
        interrupt::check()?;
        row.floor.push(floor(&directory)?);
        let (seconds, peak) = audit(&directory, None)?;
        row.audit.push(seconds);
        row.peak_kib = row.peak_kib.max(peak);
        let (seconds, _) = audit(&directory, Some(&options.recording))?;
        row.with_recording.push(seconds);
    }
    Ok(row)
}

/// Seconds to read each file and parse it as JSON.
fn floor(directory: &Path) -> Result<f64> {
    let start = Instant::now();
    let mut keys = 0;
    for entry in fs::read_dir(directory)? {
        let text = fs::read(entry?.path())?;
        let value: Value = serde_json::from_slice(&text)?;
        keys += value.as_object().map_or(0, serde_json::Map::len);
    }
    let seconds = start.elapsed().as_secs_f64();
    ensure!(keys > 0, "nothing was parsed");
    Ok(seconds)
}

/// Seconds for an audit of them, and KiB resident at the most.
fn audit(directory: &Path, recording: Option<&Path>) -> Result<(f64, u64)> {
    let mut command = Command::new(binary::binary()?);
    command
        .args([
            "audit",
            "--arch",
            "x86_64",
            "--format",
            "json",
            "--fail-on",
            "never",
        ])
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some(recording) = recording {
        command.arg("--recording").arg(recording);
    }
    let start = Instant::now();
    let mut running = Running::spawn(&mut command)?;
    let pid = running.pid();
    // The peak is read as long as the process is there.
    let mut peak_kib = 0;
    while running.ended()?.is_none() {
        peak_kib = peak_kib.max(proc::status(pid, "VmHWM").unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let seconds = start.elapsed().as_secs_f64();
    running.wait()?.success().context("the audit failed")?;
    Ok((seconds, peak_kib))
}

fn print(results: &Results) {
    let mut table = Table::new(&[
        "ms a profile",
        "floor",
        "audit",
        "× floor",
        "with a recording",
        "KiB a profile",
        "at most, MiB",
    ]);
    let median = |seconds: &[f64]| Summary::of(seconds).map_or(f64::NAN, |it| it.median);
    let each = |seconds: &[f64]| median(seconds) * 1e3 / f64::from(results.profiles);
    for row in &results.rows {
        let (floor, audit) = (each(&row.floor), each(&row.audit));
        table.row(vec![
            row.kind.as_str().to_owned(),
            format!("{floor:.3}"),
            format!("{audit:.2}"),
            format!("{:.0}", audit / floor),
            format!("{:.2}", each(&row.with_recording)),
            format!("{:.1}", kib(row.bytes) / f64::from(results.profiles)),
            format!("{:.1}", kib(row.peak_kib)),
        ]);
    }
    println!("{}", table.render());
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

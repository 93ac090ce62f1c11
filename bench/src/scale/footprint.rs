//! What the tracer takes: memory of its own and of its maps, and time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tempfile::TempDir;

use super::populate;
use crate::{
    cgroups::Cgroup,
    interrupt,
    load::{Load, Work},
    proc,
    tracer::Tracer,
    visit::visit,
};

/// Over how long the tracer's CPU time is taken.
const CPU_WINDOW: Duration = Duration::from_secs(5);

/// What the tracer takes with a number of recorded cgroups.
#[derive(Serialize)]
pub(super) struct Footprint {
    pub(super) cgroups: usize,
    pub(super) executables: Executables,
    /// Bytes of BPF maps.
    pub(super) maps: u64,
    /// KiB resident while it records.
    pub(super) resident_kib: u64,
    /// KiB resident at the most, writing the results included.
    pub(super) peak_kib: u64,
    /// Per cent of one CPU while a load makes calls that were all seen before.
    pub(super) cpu_steady: f64,
    /// CPU milliseconds while all cgroups were made and visited.
    pub(super) cpu_visits_ms: f64,
    /// Milliseconds that took.
    pub(super) visits_ms: f64,
    /// What the recording lost, by kind.
    pub(super) losses: BTreeMap<String, u64>,
}

/// What runs in the cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Executables {
    /// One program in all of them: replicas of one workload.
    Same,
    /// Another one in each: as much to tell apart as that many workloads are.
    Own,
}

/// What the tracer takes while it records `cgroups` cgroups that were all visited.
pub(super) fn measure(
    cgroups: usize,
    executables: Executables,
    output: &Path,
    load_cpu: usize,
) -> Result<Footprint> {
    let visitors = Visitors::make(cgroups, executables)?;
    let parent = Cgroup::top("scale")?;
    let mut load = Load::start(parent.path(), load_cpu, Path::new("/"))?;
    let options = match executables {
        Executables::Same => Vec::new(),
        // Besides one for each, a few are the tracer's and the load's.
        Executables::Own => vec![
            "--max-rows".to_owned(),
            (cgroups + 64).max(4096).to_string(),
        ],
    };
    let tracer = Tracer::record(parent.path(), output, &options)?;
    let pid = tracer.pid();
    let (start, ran) = (Instant::now(), proc::run_time(pid)?);
    for (index, member) in populate(&parent, cgroups)?.iter().enumerate() {
        interrupt::check()?;
        visit(member, Some(&visitors.program(index)))?;
    }
    let visits = start.elapsed();
    let cpu_visits = proc::run_time(pid)?.saturating_sub(ran);
    load.run(Work::Getppid, 1_000)?;
    let (start, ran) = (Instant::now(), proc::run_time(pid)?);
    while start.elapsed() < CPU_WINDOW {
        interrupt::check()?;
        load.run(Work::Getppid, 100_000)?;
    }
    let steady =
        proc::run_time(pid)?.saturating_sub(ran).as_secs_f64() / start.elapsed().as_secs_f64();
    let maps = proc::map_bytes(pid)?;
    let resident = proc::status(pid, "VmRSS").context("the tracer ended early")?;
    let finished = tracer.finish()?;
    ensure!(
        finished.calls >= load.calls(),
        "the load made {} calls, the tracer counted {}",
        load.calls(),
        finished.calls
    );
    Ok(Footprint {
        cgroups,
        executables,
        maps,
        resident_kib: resident,
        peak_kib: finished.peak_kib.unwrap_or(resident).max(resident),
        cpu_steady: steady * 100.0,
        cpu_visits_ms: cpu_visits.as_secs_f64() * 1e3,
        visits_ms: visits.as_secs_f64() * 1e3,
        losses: finished.losses,
    })
}

/// The programs that visit cgroups: `true` under one name or under many.
struct Visitors {
    directory: TempDir,
    executables: Executables,
}

impl Visitors {
    fn make(count: usize, executables: Executables) -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a directory for programs")?;
        let program = ["/usr/bin/true", "/bin/true"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .context("there is no /usr/bin/true")?;
        let visitors = Self {
            directory,
            executables,
        };
        let names = match executables {
            Executables::Same => 1,
            Executables::Own => count,
        };
        for index in 0..names {
            std::os::unix::fs::symlink(program, visitors.program(index))
                .context("cannot make a symbolic link")?;
        }
        Ok(visitors)
    }

    fn program(&self, index: usize) -> PathBuf {
        let index = match self.executables {
            Executables::Same => 0,
            Executables::Own => index,
        };
        self.directory.path().join(format!("program-{index}"))
    }
}

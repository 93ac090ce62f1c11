//! What a recorder takes of the machine that it records on.

use anyhow::ensure;
use tracer_tests::{
    Outcome, cgroup::Cgroup, needs, requires::Need, scratch::Scratch, tracer::Record, wait,
};

const MEGABYTE: u64 = 1 << 20;

/// Private memory of a recorder with one recorded cgroup. What the start takes, the kernel's types above all, has
/// been given back. The maps and rings are the kernel's memory, and do not count here.
fn takes_at_most(megabytes: u64, files: bool) -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    let cgroup = Cgroup::new("footprint")?;
    let mut record = Record::new(&scratch.join("out"), "idle")?;
    if files {
        record = record.with_files();
    }
    let mut recorder = record.of_cgroup(cgroup.path()).start()?;
    recorder.until_attached()?;
    wait::until("the recorder to give memory back", || {
        Ok((recorder.resident()? <= megabytes * MEGABYTE).then_some(()))
    })?;
    let taken = recorder.resident()?;
    ensure!(taken > 0, "nothing was measured");
    Ok(())
}

#[test]
fn recorder_of_calls_takes_at_most_8_megabytes() -> Outcome {
    takes_at_most(8, false)
}

#[test]
fn recorder_of_files_takes_at_most_12_megabytes() -> Outcome {
    takes_at_most(12, true)
}

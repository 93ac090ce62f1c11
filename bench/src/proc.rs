//! What /proc says of a process.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result};

/// One file of /proc/PID/fdinfo: lines of `key: value`.
pub(crate) struct FdInfo(String);

impl FdInfo {
    /// The number that stands behind `key`.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        number(&self.0, key)
    }
}

/// All of a process's open files.
pub(crate) fn fdinfo(pid: u32) -> Result<Vec<FdInfo>> {
    let directory = format!("/proc/{pid}/fdinfo");
    let mut infos = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {directory}"))? {
        // A file may be closed in the meantime.
        if let Ok(text) = fs::read_to_string(entry?.path()) {
            infos.push(FdInfo(text));
        }
    }
    Ok(infos)
}

/// A number of /proc/PID/status; sizes are in KiB.
pub(crate) fn status(pid: u32, key: &str) -> Option<u64> {
    number(
        &fs::read_to_string(format!("/proc/{pid}/status")).ok()?,
        key,
    )
}

/// Bytes that a process's BPF maps take, by the kernel's own account.
pub(crate) fn map_bytes(pid: u32) -> Result<u64> {
    let maps: BTreeMap<_, _> = fdinfo(pid)?
        .iter()
        .filter_map(|info| Some((info.number("map_id")?, info.number("memlock")?)))
        .collect();
    Ok(maps.values().sum())
}

/// Time that all threads of a process have run, from /proc/PID/task/TID/schedstat.
pub(crate) fn run_time(pid: u32) -> Result<Duration> {
    let directory = format!("/proc/{pid}/task");
    let mut nanoseconds = 0;
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {directory}"))? {
        let path = entry?.path().join("schedstat");
        nanoseconds += fs::read_to_string(&path)
            .with_context(|| format!("cannot read {path:?}"))?
            .split(' ')
            .next()
            .and_then(|time| time.parse::<u64>().ok())
            .with_context(|| format!("{path:?} holds no time"))?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// `key: NUMBER`, a unit after it not looked at.
fn number(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_reads_the_value_after_its_key() {
        let text = "VmHWM:\t    5120 kB\nVmRSS:\t    4096 kB\nmap_id:\t7\n";
        assert_eq!(number(text, "VmRSS"), Some(4096));
        assert_eq!(number(text, "map_id"), Some(7));
        assert_eq!(number(text, "map"), None);
    }
}

//! Whose process a record names. Its cgroup is read at once: a process that is gone has none. One that began after
//! the record was made is another, with the id of the one that is gone.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs, io,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::time::{ClockId, clock_gettime};
use procfs::process::Process;

use crate::container::{Container, MetadataSources, Selector, resolve};
use tracer_core::shadow::Attribution;

/// How long what a process id or a cgroup meant is believed: ids are given again, containers get names.
const BELIEVED: Duration = Duration::from_secs(2);

/// Answers that are kept.
const MAX_KEPT: usize = 4096;

/// How much later than a record its process may seem to have begun: the kernel takes the record's time from the
/// last tick (kernel/audit.c, `audit_get_stamp`: `ktime_get_coarse_real_ts64`), 10 ms at most.
const IMPRECISION: Duration = Duration::from_millis(20);

/// Tells whose process it is.
pub struct Attributor {
    sources: MetadataSources,
    /// What is asked for; none: everything.
    selectors: Vec<Selector>,
    /// Paths of cgroups that are asked for.
    cgroups: Vec<String>,
    clean: fn(&OsStr) -> String,
    /// By the path of the cgroup.
    known: HashMap<String, (Instant, Option<Attribution>)>,
}

impl Attributor {
    /// Of what is asked for; of everything when that is nothing. `clean` makes a safe name of any text.
    pub fn new(
        sources: MetadataSources,
        selectors: Vec<Selector>,
        cgroups: Vec<String>,
        clean: fn(&OsStr) -> String,
    ) -> Self {
        Self {
            sources,
            selectors,
            cgroups,
            clean,
            known: HashMap::new(),
        }
    }

    /// Whose process it is; `None` when it was not asked for. One that is gone is reported as gone: it may have
    /// been anybody's. `at` is the time of the record, since 1970: a process that began later is another.
    pub fn attribute(&mut self, pid: Option<u32>, at: Option<Duration>) -> Option<Attribution> {
        let gone = Attribution {
            is_gone: true,
            ..Attribution::default()
        };
        let Some((pid, path)) = pid.and_then(|pid| Some((pid, cgroup_of(pid)?))) else {
            return Some(gone);
        };
        // After the cgroup: when the process is the record's now, it was when the cgroup was read.
        if at.is_some_and(|at| !existed(pid, at)) {
            return Some(gone);
        }
        let now = Instant::now();
        if let Some((at, known)) = self.known.get(&path)
            && now.duration_since(*at) < BELIEVED
        {
            return known.clone();
        }
        let found = self.find(&path);
        if self.known.len() >= MAX_KEPT {
            self.known.clear();
        }
        self.known.insert(path, (now, found.clone()));
        found
    }

    fn find(&self, path: &str) -> Option<Attribution> {
        let is_asked_for = |container: &Container| {
            let mut selectors = self.selectors.iter();
            selectors.any(|selector| selector.matches(container))
        };
        let all = self.selectors.is_empty() && self.cgroups.is_empty();
        let in_cgroup = || {
            let mut cgroups = self.cgroups.iter();
            cgroups.any(|outer| {
                let rest = path.strip_prefix(outer.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        match resolve(path, &self.sources) {
            Some(container) if all || in_cgroup() || is_asked_for(&container) => {
                let clean = self.clean;
                Some(Attribution {
                    workload: Some(container.workload.directory(|text| clean(text.as_ref()))),
                    container: Some((container.id.clone(), container.name)),
                    is_gone: false,
                })
            }
            Some(_) => None,
            None => (all || in_cgroup()).then(|| Attribution {
                workload: Some((self.clean)(Path::new(path).as_os_str())),
                container: None,
                is_gone: false,
            }),
        }
    }
}

/// Whether a process had begun at a time since 1970. One whose start cannot be read is gone.
fn existed(pid: u32, at: Duration) -> bool {
    let Some(began) = began(pid) else {
        return false;
    };
    began <= at.saturating_add(IMPRECISION)
}

/// When a process began, since 1970.
fn began(pid: u32) -> Option<Duration> {
    let process = Process::new(i32::try_from(pid).ok()?).ok()?;
    // Ticks since the machine booted, sleep included: field 22 of /proc/PID/stat (proc_pid_stat(5)).
    let ticks = process.stat().ok()?.starttime;
    let milliseconds = u128::from(ticks) * 1000 / u128::from(procfs::ticks_per_second()).max(1);
    let since_boot = Duration::from_millis(u64::try_from(milliseconds).ok()?);
    booted()?.checked_add(since_boot)
}

/// When the machine booted, since 1970, by the clock as it is set now.
fn booted() -> Option<Duration> {
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    now.checked_sub(since_boot.into())
}

/// The path of a process's cgroup below the v2 hierarchy: the line `0::PATH` (cgroups(7)). On a hybrid machine
/// a container may be in v1's alone; then the first one that is no root.
fn cgroup_of(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"));
    let text = text
        .map_err(|error: io::Error| log::debug!("process {pid}: {error}"))
        .ok()?;
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let v2 = text.lines().find_map(|line| line.strip_prefix("0::"));
    let v2 = v2.filter(|path| *path != "/");
    v2.or_else(|| paths.into_iter().find(|path| *path != "/"))
        .or(Some("/"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_that_is_gone_is_told_as_gone() {
        let sources = MetadataSources::local();
        let clean = |text: &OsStr| text.to_string_lossy().into_owned();
        let mut all = Attributor::new(sources.clone(), Vec::new(), Vec::new(), clean);
        // Above the largest pid there can be (PID_MAX_LIMIT).
        let gone = all.attribute(Some(1 << 22 | 1), None).unwrap();
        assert!(gone.is_gone && gone.workload.is_none());
        assert!(all.attribute(None, None).unwrap().is_gone);
        let own = all.attribute(Some(std::process::id()), None).unwrap();
        assert!(!own.is_gone && own.workload.is_some());
        // A process that nobody asked for is left out.
        let none = vec!["/no-such-cgroup".to_owned()];
        let mut some = Attributor::new(sources, Vec::new(), none, clean);
        assert_eq!(some.attribute(Some(std::process::id()), None), None);
    }

    #[test]
    fn process_that_began_after_the_record_is_another() {
        let clean = |text: &OsStr| text.to_string_lossy().into_owned();
        let sources = MetadataSources::local();
        let mut all = Attributor::new(sources, Vec::new(), Vec::new(), clean);
        let own = std::process::id();
        let began = began(own).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(began <= now && now < began + Duration::from_secs(24 * 3600));
        let mut is_gone = |at| all.attribute(Some(own), Some(at)).unwrap().is_gone;
        assert!(!is_gone(now));
        assert!(!is_gone(began));
        assert!(is_gone(began - Duration::from_secs(1)));
        // The answer that is kept for the cgroup does not hide it.
        assert!(!is_gone(now));
        assert!(is_gone(Duration::from_secs(1)));
        assert!(!existed(1 << 22 | 1, now));
    }
}

//! Which paths of executables the kernel side keeps. A row and a process name their executable by an id; when
//! no row and no process has an id any more, its path makes room for others. On a node that starts containers
//! for months the table would be full for good otherwise.

use std::{
    collections::{HashMap as StdMap, HashSet},
    time::{Duration, Instant},
};

use aya::maps::{HashMap, MapError};
use tracer_abi::{CgroupEntry, ExecutablePath, ProcessEntry, ResolvedPath, maps as names};

use super::{Probe, ProbeError, pod::Plain};

/// How often it is looked for ids that nobody has, at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is kept of an executable.
#[derive(Clone, Copy)]
pub(super) struct KeptExecutable {
    /// The name that it was executed by.
    pub(super) named: ExecutablePath,
    /// Where it lies, when accesses are recorded.
    pub(super) resolved: Option<ResolvedPath>,
}

/// The state of the search for ids that nobody has.
pub(super) struct UnusedExecutables {
    /// Ids that nobody had at the last look. A program of the kernel may have looked one of them up just
    /// then, and be about to file a process under it.
    candidates: HashSet<u64>,
    /// What the last look took away, in case that this has happened.
    removed: StdMap<u64, KeptExecutable>,
    /// How many there is room for: all have a name, and as many may have a place.
    room: u64,
    /// How many paths must be kept for the next look.
    next: u64,
    looked_at: Instant,
}

impl UnusedExecutables {
    /// `room` is for how many there is room.
    pub(super) fn new(room: u32) -> Self {
        Self {
            candidates: HashSet::new(),
            removed: StdMap::new(),
            room: u64::from(room),
            next: u64::from(room) / 2,
            looked_at: Instant::now(),
        }
    }

    /// The next look is worth it when some more are kept, but not only when there is hardly room. Where programs
    /// come and go, some are unused at each look: that alone is no reason for the next.
    fn wait_for_more(&mut self, kept: u64, candidates: impl Iterator<Item = u64>) {
        let most = self.room / 4 * 3;
        self.next = (kept + kept / 4).clamp(self.room / 2, most.max(self.room / 2));
        self.candidates.clear();
        if kept >= self.room / 2 {
            self.candidates.extend(candidates);
        }
    }

    fn is_due(&self, kept: u64) -> bool {
        let has_begun = !self.candidates.is_empty() || !self.removed.is_empty();
        (has_begun || kept >= self.next) && self.looked_at.elapsed() >= INTERVAL
    }
}

impl Probe {
    /// Takes away the paths of executables that no row and no process has had for a second, when many are
    /// kept.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when a map cannot be read or changed.
    pub fn recycle_executables(&mut self) -> Result<(), ProbeError> {
        if !self
            .unused_executables
            .is_due(self.control.executables_kept())
        {
            return Ok(());
        }
        self.unused_executables.looked_at = Instant::now();
        let used = self.used_executables()?;
        self.put_back(&used)?;
        let unused = self.unused(&used)?;
        let before = std::mem::take(&mut self.unused_executables.candidates);
        let (gone, candidates): (Vec<u64>, Vec<u64>) =
            unused.into_iter().partition(|exe| before.contains(exe));
        for exe in gone {
            self.take_away(exe)?;
        }
        let kept = self.control.executables_kept();
        self.unused_executables
            .wait_for_more(kept, candidates.into_iter());
        Ok(())
    }

    /// What is kept of an executable, or was until just now.
    pub(super) fn kept_executable(
        &mut self,
        exe: u64,
    ) -> Result<Option<KeptExecutable>, ProbeError> {
        let executables: HashMap<_, u64, Plain<ExecutablePath>> =
            self.map_mut(names::EXECUTABLES)?;
        let named = match executables.get(&exe, 0) {
            Ok(Plain(named)) => named,
            Err(MapError::KeyNotFound) => {
                return Ok(self.unused_executables.removed.get(&exe).copied());
            }
            Err(error) => return Err(ProbeError::map("read", names::EXECUTABLES)(error.into())),
        };
        let resolved: HashMap<_, u64, Plain<ResolvedPath>> = self.map_mut(names::RESOLVED_PATHS)?;
        let resolved = match resolved.get(&exe, 0) {
            Ok(Plain(resolved)) => Some(resolved),
            Err(MapError::KeyNotFound) => None,
            Err(error) => return Err(ProbeError::map("read", names::RESOLVED_PATHS)(error.into())),
        };
        Ok(Some(KeptExecutable { named, resolved }))
    }

    /// The ids that a row, a process or a cgroup has.
    fn used_executables(&mut self) -> Result<HashSet<u64>, ProbeError> {
        // A process is filed before its row is: the other way round, one could be missed in both.
        let mut used = HashSet::new();
        let processes: HashMap<_, u32, Plain<ProcessEntry>> = self.map_mut(names::PROCESSES)?;
        for entry in processes.iter() {
            let (_, Plain(process)) =
                entry.map_err(|error| ProbeError::map("read", names::PROCESSES)(error.into()))?;
            used.insert(process.exe);
        }
        let cgroups: HashMap<_, u64, Plain<CgroupEntry>> = self.map_mut(names::CGROUPS)?;
        for entry in cgroups.iter() {
            let (_, Plain(cgroup)) =
                entry.map_err(|error| ProbeError::map("read", names::CGROUPS)(error.into()))?;
            used.insert(cgroup.first_exe);
        }
        used.extend(self.rows()?.iter().map(|row| row.key.exe));
        Ok(used)
    }

    /// The ids of which something is kept, and that nobody has.
    fn unused(&mut self, used: &HashSet<u64>) -> Result<HashSet<u64>, ProbeError> {
        let executables: HashMap<_, u64, Plain<ExecutablePath>> =
            self.map_mut(names::EXECUTABLES)?;
        let mut kept = executables
            .keys()
            .collect::<Result<HashSet<_>, _>>()
            .map_err(|error| ProbeError::map("read", names::EXECUTABLES)(error.into()))?;
        let resolved: HashMap<_, u64, Plain<ResolvedPath>> = self.map_mut(names::RESOLVED_PATHS)?;
        for exe in resolved.keys() {
            kept.insert(
                exe.map_err(|error| ProbeError::map("read", names::RESOLVED_PATHS)(error.into()))?,
            );
        }
        kept.retain(|exe| !used.contains(exe));
        Ok(kept)
    }

    fn take_away(&mut self, exe: u64) -> Result<(), ProbeError> {
        if let Some(kept) = self.kept_executable(exe)? {
            self.unused_executables.removed.insert(exe, kept);
        }
        let mut resolved: HashMap<_, u64, Plain<ResolvedPath>> =
            self.map_mut(names::RESOLVED_PATHS)?;
        // It may have none.
        let _ = resolved.remove(&exe);
        let mut executables: HashMap<_, u64, Plain<ExecutablePath>> =
            self.map_mut(names::EXECUTABLES)?;
        if executables.remove(&exe).is_ok() {
            self.control.forget_executables(1);
        }
        Ok(())
    }

    /// Puts back what was taken away at the last look, although somebody had just begun to use it.
    fn put_back(&mut self, used: &HashSet<u64>) -> Result<(), ProbeError> {
        const NO_OVERWRITE: u64 = 1; // BPF_NOEXIST
        for (exe, kept) in std::mem::take(&mut self.unused_executables.removed) {
            if !used.contains(&exe) {
                continue;
            }
            let mut executables: HashMap<_, u64, Plain<ExecutablePath>> =
                self.map_mut(names::EXECUTABLES)?;
            // It may have been kept anew by now.
            if executables
                .insert(exe, Plain(kept.named), NO_OVERWRITE)
                .is_ok()
            {
                self.control.keep_executable();
            }
            if let Some(place) = kept.resolved {
                let mut resolved: HashMap<_, u64, Plain<ResolvedPath>> =
                    self.map_mut(names::RESOLVED_PATHS)?;
                let _ = resolved.insert(exe, Plain(place), NO_OVERWRITE);
            }
        }
        Ok(())
    }
}

//! What the audit log of a workload under its profile adds to its recording.
//!
//! A profile that logs (seccomp's `SCMP_ACT_LOG`, AppArmor's complain mode) tells of each thing that it
//! would have denied. [`Learner`] takes the lines of such a log, whoever wrote it, keeps what is the
//! workload's, and gives a recording of that alone, to be merged into the old one.
//!
//! ```
//! use tracer_core::learn::{Learner, Selection};
//! # use tracer_core::recording::{Coverage, Host, Losses, Recording, SCHEMA, Workload};
//! # let recording = Recording {
//! #     schema: SCHEMA.to_owned(),
//! #     workload: Workload { name: "web".to_owned(), command: Vec::new() },
//! #     host: Host { kernel: "6.1".to_owned(), machine: "x86_64".to_owned(), tracer: "1".to_owned() },
//! #     instances: Vec::new(), providers: Vec::new(), syscalls: Vec::new(), files: Vec::new(),
//! #     capabilities: Vec::new(), sockets: Vec::new(), signals: Vec::new(), traces: Vec::new(),
//! #     mounts: Vec::new(), selinux: Vec::new(), coverage: Coverage::new(Vec::new(), Losses::default()), merged: None,
//! # };
//!
//! let selection = Selection {
//!     executables: vec!["/bin/web".to_owned()],
//!     ..Selection::default()
//! };
//! let mut learner = Learner::new(&recording, selection);
//! learner.line(r#"type=SECCOMP msg=audit(1700000000.1:2): pid=7 comm="web" exe="/bin/web" arch=c000003e syscall=83 code=0x7ffc0000"#);
//! let learned = learner.finish();
//! assert_eq!(learned.report.added.len(), 1);
//! assert_eq!(learned.seen.unwrap().syscalls[0].label(), "mkdir");
//! ```

mod apparmor;
mod denial;
mod record;
mod report;

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

pub use denial::{DeniedBy, LogLine, LoggedDenial};
pub use report::{Added, Report, What};

use crate::recording::{
    AccessRecord, Accesses, Blocked, Coverage, Executable, Instance, Losses, Observation,
    ObservationKind, Observations, Phase, Recording, SCHEMA, Source, Syscall, SyscallId,
};
use apparmor::Told;
pub(crate) use record::LostSinceBoot;
use record::{Kind, Line, Record};
use syscalls::Abi;

/// Which records are the workload's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Names of AppArmor profiles; their child profiles count too. Without any, the workload's name.
    pub profiles: Vec<String>,
    /// Paths of programs whose calls a seccomp filter logged. Without any, those that the recording
    /// has.
    pub executables: Vec<String>,
    /// Whether accesses that AppArmor denied are taken too. They did not take place, and who made them
    /// may have been an attacker.
    pub denied: bool,
}

/// Reads a log.
#[derive(Debug)]
pub struct Learner<'a> {
    recording: &'a Recording,
    selection: Selection,
    executables: BTreeSet<Vec<u8>>,
    calls: Observations,
    accesses: Accesses,
    times: Option<(i64, i64)>,
    since_boot: LostSinceBoot,
    report: Report,
}

/// What a log told.
#[derive(Clone, Debug)]
pub struct Learned {
    /// A recording of what is the workload's, to be merged into the old one; `None` when there is
    /// nothing.
    pub seen: Option<Recording>,
    /// What was new, and what was left out.
    pub report: Report,
}

impl<'a> Learner<'a> {
    /// A reader for the log of a recorded workload.
    pub fn new(recording: &'a Recording, selection: Selection) -> Self {
        let executables = if selection.executables.is_empty() {
            executables(recording)
        } else {
            let given = selection.executables.iter();
            given.map(|path| path.as_bytes().to_vec()).collect()
        };
        Self {
            recording,
            selection,
            executables,
            calls: Observations::default(),
            accesses: Accesses::default(),
            times: None,
            since_boot: LostSinceBoot::default(),
            report: Report::default(),
        }
    }

    /// Takes a line in. Lines that are no records of a filter or of AppArmor are passed over.
    pub fn line(&mut self, line: &str) {
        match Line::read(line) {
            Line::Record(record) => {
                let told = match record.kind {
                    Kind::Seccomp => self.seccomp(&record),
                    Kind::Avc if record.word("apparmor").is_some() => self.apparmor(&record),
                    // SELinux.
                    Kind::Avc => None,
                };
                if told.is_some() {
                    self.saw_at(record.time);
                }
            }
            Line::Lost(count) => self.lost(count),
            Line::LostSinceBoot(total) => {
                let count = self.since_boot.take(total);
                self.lost(count);
            }
            Line::Other => {}
        }
    }

    /// Notes that so many records are missing.
    pub const fn lost(&mut self, count: u64) {
        self.report.lost = self.report.lost.saturating_add(count);
    }

    /// What was told.
    pub fn finish(mut self) -> Learned {
        let is_empty = self.calls.is_empty() && self.accesses.is_empty();
        let seen = (!is_empty).then(|| {
            let calls = std::mem::take(&mut self.calls).into_syscalls();
            let accesses = std::mem::take(&mut self.accesses);
            self.seen(calls, accesses)
        });
        Learned {
            seen,
            report: self.report,
        }
    }

    fn saw_at(&mut self, time: Option<Duration>) {
        let seconds = time.and_then(|time| i64::try_from(time.as_secs()).ok());
        let Some(time) = seconds else { return };
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
    }

    /// Takes in what a filter answered. `None` when it is not the workload's, or not understood.
    fn seccomp(&mut self, record: &Record<'_>) -> Option<()> {
        let Some(executable) = record.text("exe") else {
            self.report.not_understood += 1;
            return None;
        };
        if !self.executables.contains(&executable) {
            self.report.of_another(&executable);
            return None;
        }
        let call = (|| {
            let abi = abi(record.hexadecimal("arch")?, record.number("syscall")?)?;
            let nr = record.number("syscall")?;
            let blocked = answer(record.hexadecimal("code")?)?;
            Some((SyscallId { abi, nr }, blocked))
        })();
        let Some((call, blocked)) = call else {
            self.report.not_understood += 1;
            return None;
        };
        self.report.taken += 1;
        let executable = Executable::Path(String::from_utf8_lossy(&executable).into_owned());
        let known = self.recording.syscalls.iter().any(|syscall| {
            let made = |it: &crate::recording::Evidence| it.blocked.is_none() && counts(it.phase);
            syscall.call() == call && syscall.evidence.iter().any(made)
        });
        if !known {
            let name = call.abi.syscall_name(call.nr);
            let name = name.map_or_else(|| format!("number {}", call.nr), str::to_owned);
            let stopped = blocked.is_some();
            self.report
                .add(What::Syscall { name, stopped }, &executable);
        }
        self.calls.add(Observation {
            call,
            instance: 0,
            phase: Phase::Run,
            executable,
            blocked,
            first: None,
        });
        Some(())
    }

    /// The same of AppArmor.
    fn apparmor(&mut self, record: &Record<'_>) -> Option<()> {
        // Loading a profile is told as well, and is nobody's access.
        let status = record.word("apparmor")?;
        if !matches!(status, "ALLOWED" | "DENIED") {
            return None;
        }
        let profile = record.text("profile")?;
        if !self.is_own_profile(&String::from_utf8_lossy(&profile)) {
            self.report.of_another(&profile);
            return None;
        }
        let Some(told) = apparmor::read(record) else {
            self.report.not_understood += 1;
            return None;
        };
        if !apparmor::was_allowed(record) && !self.selection.denied {
            self.report.denied += 1;
            return None;
        }
        self.report.taken += 1;
        // The record has the name of the thread; the file it runs is known for seccomp alone.
        let executable = Executable::Unknown;
        self.take(told, &executable);
        Some(())
    }

    fn take(&mut self, told: Told, executable: &Executable) {
        macro_rules! take {
            ($kind:ident, $observed:ident, $of:expr, $list:expr) => {
                for what in $list {
                    if !self.observes(ObservationKind::$observed) {
                        self.report.not_recorded += 1;
                        continue;
                    }
                    let known = self.recording.$kind.iter().any(|it| it.what == what);
                    if !known {
                        self.report.add($of(&what), executable);
                    }
                    self.accesses.$kind.add(AccessRecord {
                        what,
                        instance: 0,
                        who: (Phase::Run, executable.clone(), None),
                        first: None,
                    });
                }
            };
        }
        match told {
            Told::Files(list) => take!(files, Files, What::file, list),
            Told::Capability(one) => take!(capabilities, Capabilities, What::capability, [one]),
            Told::Socket(one) => take!(sockets, Sockets, What::socket, [one]),
            Told::Signals(list) => take!(signals, Signals, What::signal, list),
            Told::Traces(list) => take!(traces, Traces, What::trace, list),
        }
    }

    /// Whether the recording observed a kind. A profile that was made from denials alone would not let
    /// the workload run, so what it did not observe is not added.
    fn observes(&self, kind: ObservationKind) -> bool {
        self.recording.providers.iter().any(|it| it.kind == kind)
    }

    fn is_own_profile(&self, name: &str) -> bool {
        let is = |own: &str| {
            let rest = name.strip_prefix(own);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("//"))
        };
        if self.selection.profiles.is_empty() {
            return is(&self.recording.workload.name);
        }
        self.selection.profiles.iter().any(|own| is(own))
    }

    fn seen(&self, syscalls: Vec<Syscall>, accesses: Accesses) -> Recording {
        let time = |seconds: i64| {
            let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
            time.to_string()
        };
        let (first, last) = self.times.unwrap_or_default();
        let mut seen = Recording {
            schema: SCHEMA.to_owned(),
            workload: self.recording.workload.clone(),
            host: self.recording.host.clone(),
            instances: vec![Instance {
                failed: None,
                source: Source::Log,
                host: None,
                cgroup: String::new(),
                began: time(first),
                ended: time(last),
                start_observed: false,
                container: None,
                calls: None,
            }],
            // It observed no kind as a whole: that stays the old recording's to say.
            providers: self.recording.providers.clone(),
            syscalls,
            files: Vec::new(),
            capabilities: Vec::new(),
            sockets: Vec::new(),
            signals: Vec::new(),
            traces: Vec::new(),
            mounts: Vec::new(),
            selinux: Vec::new(),
            coverage: Coverage::new(Vec::new(), Losses::default()),
            merged: None,
        };
        seen.set_accesses(accesses);
        seen
    }
}

/// The programs that a workload ran.
fn executables(recording: &Recording) -> BTreeSet<Vec<u8>> {
    let evidence = recording.syscalls.iter().flat_map(|it| &it.evidence);
    evidence
        .filter(|evidence| counts(evidence.phase))
        .filter_map(|evidence| match &evidence.executable {
            Executable::Path(path) => Some(path.as_bytes().to_vec()),
            _ => None,
        })
        .collect()
}

/// Whether a phase is the workload's.
const fn counts(phase: Phase) -> bool {
    matches!(phase, Phase::Run | Phase::Exec | Phase::Terminal)
}

/// The ABI of an `AUDIT_ARCH_…` (include/uapi/linux/audit.h); x32 is told by a bit of the number.
const fn abi(arch: u32, nr: u32) -> Option<Abi> {
    Some(match arch {
        0xc000_003e if nr & (1 << 30) != 0 => Abi::X32,
        0xc000_003e => Abi::X86_64,
        0x4000_0003 => Abi::I386,
        0xc000_00b7 => Abi::Aarch64,
        0x4000_0028 => Abi::Arm,
        0xc000_00f3 => Abi::Riscv64,
        _ => return None,
    })
}

/// What the program saw of a filter's answer (`SECCOMP_RET_…`, include/uapi/linux/seccomp.h): `None`
/// inside when the call was made, outside when the answer is unknown.
fn answer(code: u32) -> Option<Option<Blocked>> {
    const ACTION: u32 = 0xffff_0000;
    let errno = u16::try_from(code & 0xffff).ok();
    Some(match code & ACTION {
        // LOG and ALLOW.
        0x7ffc_0000 | 0x7fff_0000 => None,
        // KILL_THREAD, KILL_PROCESS and TRAP.
        0 | 0x8000_0000 | 0x0003_0000 => Some(Blocked::Signal),
        // ERRNO.
        0x0005_0000 => match errno {
            Some(0) => Some(Blocked::Value),
            Some(number @ ..=200) => Some(Blocked::Errno(number)),
            _ => Some(Blocked::OtherErrno),
        },
        // TRACE and USER_NOTIF: somebody else answered.
        0x7ff0_0000 | 0x7fc0_0000 => Some(Blocked::Value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;

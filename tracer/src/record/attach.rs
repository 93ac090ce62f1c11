//! `record --cgroup PATH`: from now until it ends, time is up, or a signal says so.

use std::{fs, os::unix::ffi::OsStrExt as _, time::Duration};

use tokio::time;
use tracer_ebpf::EXE_UNKNOWN;

use super::{RecordError, Session, Subject, Watcher, signals::Signals};
use crate::{
    cgroup::{Cgroup, Hierarchy},
    probe::Settings,
    recording::{Reason, ReasonCode, Recording, Source, Workload},
};

/// How often the marks are read back.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// What to attach to, and until when.
#[derive(Clone, Debug)]
pub struct Request {
    /// The workload's name.
    pub name: String,
    /// The cgroup.
    pub cgroup: Cgroup,
    /// When to end.
    pub duration: Option<Duration>,
    /// For the kernel side.
    pub settings: Settings,
}

/// How a recording of a cgroup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By a signal or `--duration`.
    Asked,
    /// The cgroup was removed.
    Removed,
}

/// Finds the cgroup that a user named.
///
/// # Errors
/// [`RecordError::Cgroup`] when there is none.
pub fn find(given: &str) -> Result<(Hierarchy, Cgroup), RecordError> {
    let hierarchy = Hierarchy::open()?;
    let cgroup = hierarchy.find(given)?;
    Ok((hierarchy, cgroup))
}

/// Records the cgroup until it is told to end.
///
/// # Errors
/// [`RecordError`] when what happened cannot be told.
pub async fn run(
    request: Request,
    signals: &mut Signals,
    watcher: &mut dyn Watcher,
) -> Result<(Recording, Ended), RecordError> {
    let mut session = Session::start(&request.settings)?;
    let path = request.cgroup.path.display().to_string();
    let subject = Subject {
        source: Source::Cgroup,
        cgroup: path.clone(),
        // Until it is known better.
        start_observed: false,
    };
    session.watch(&request.cgroup, subject, EXE_UNKNOWN)?;
    // Only now: who came in before the cgroup was watched is in it, whoever comes later is seen.
    let start_observed = !request.cgroup.is_populated().unwrap_or(true);
    session.start_observed(start_observed);
    // Only now, too: who execs from now on is known to the kernel side, and stays so.
    introduce_processes(&mut session, &request.cgroup)?;
    let mut reasons = Vec::new();
    if !start_observed {
        reasons.push(Reason {
            code: ReasonCode::StartNotObserved,
            text: "the workload was running before the recording began: what it did at its start was not seen; record it from its start".to_owned(),
        });
    }

    watcher.began(&format!("cgroup {}", path.escape_debug()));
    let ended = follow(&mut session, &request, signals, watcher).await?;
    if ended == Ended::Asked && request.cgroup.is_populated().unwrap_or(false) {
        reasons.push(Reason {
            code: ReasonCode::StillRunning,
            text: "the recording ended while the workload was running: what it does later, at its end for one, was not seen".to_owned(),
        });
    }
    let recording = session.finish(
        Workload {
            name: request.name,
            command: Vec::new(),
        },
        reasons,
    )?;
    Ok((recording, ended))
}

async fn follow(
    session: &mut Session,
    request: &Request,
    signals: &mut Signals,
    watcher: &mut dyn Watcher,
) -> Result<Ended, RecordError> {
    let deadline = async {
        match request.duration {
            Some(duration) => time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(deadline);
    let mut checkpoint = time::interval(CHECKPOINT);
    loop {
        tokio::select! {
            waited = session.wait() => waited?,
            _ = checkpoint.tick() => session.reconcile()?,
            arrived = signals.next() => {
                let arrived = arrived.map_err(RecordError::process("read signals"))?;
                if arrived.asks_to_end() {
                    return Ok(Ended::Asked);
                }
            }
            () = &mut deadline => return Ok(Ended::Asked),
        }
        session.drain()?;
        session.tell(watcher)?;
        if !request.cgroup.exists() {
            return Ok(Ended::Removed);
        }
    }
}

/// Processes that exec'ed before the recording began are known by what /proc says of them.
fn introduce_processes(session: &mut Session, cgroup: &Cgroup) -> Result<(), RecordError> {
    // The kernel side counts pids as the initial namespace does; in another one these numbers
    // would name other processes. Their executables then stay unknown.
    if !in_initial_pid_namespace() {
        return Ok(());
    }
    for pid in cgroup.processes().unwrap_or_default() {
        let (Ok(executable), Ok(pid)) = (
            fs::read_link(format!("/proc/{pid}/exe")),
            u32::try_from(pid),
        ) else {
            continue; // It ended in the meantime, or it is a kernel thread.
        };
        session.introduce(pid, executable.as_os_str().as_bytes())?;
    }
    Ok(())
}

/// The initial pid namespace has a fixed inode number (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
fn in_initial_pid_namespace() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]")
}

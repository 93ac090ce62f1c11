//! `record --cgroup`, `--container`, `--pod`: from now until all of them end, time is up, or a
//! signal says so.

use std::{collections::BTreeMap, fs, os::unix::ffi::OsStrExt as _, time::Duration};

use tokio::time;
use tracer_ebpf::EXE_UNKNOWN;

use super::{Ending, RecordError, Session, Subject, Watcher, describe, signals::Signals};
use crate::{
    cgroup::{Cgroup, Hierarchy},
    container::{self, Container, Selector, Sources},
    probe::Settings,
    recording::{Reason, ReasonCode, Recording, Source, Workload},
};

/// How often the marks are read back.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// What to attach to, and until when.
#[derive(Clone, Debug)]
pub struct Request {
    /// The cgroups; those whose workload has one name are its instances.
    pub targets: Vec<Target>,
    /// When to end.
    pub duration: Option<Duration>,
    /// For the kernel side.
    pub settings: Settings,
}

/// One cgroup to attach to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The workload's name.
    pub name: String,
    /// The cgroup.
    pub cgroup: Cgroup,
    /// The container in it, if it is one.
    pub container: Option<Container>,
}

/// What a user asked for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// A cgroup, by its directory or path.
    Cgroup(String),
    /// Containers.
    Containers(Selector),
}

/// A cgroup that was found, and the container in it.
pub type Found = (Cgroup, Option<Container>);

/// How a recording of cgroups ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By a signal or `--duration`.
    Asked,
    /// All cgroups were removed.
    Removed,
}

/// Finds what was asked for. Asks the container runtimes' sockets, which takes some seconds at most.
///
/// # Errors
/// [`RecordError::Cgroup`], [`RecordError::NoContainer`] when something is not there.
pub async fn find(wanted: &[Wanted]) -> Result<(Hierarchy, Vec<Found>), RecordError> {
    let hierarchy = Hierarchy::open()?;
    let mut sources = Sources::local();
    if wanted
        .iter()
        .any(|wanted| matches!(wanted, Wanted::Containers(_)))
    {
        sources.refresh_cri(None).await;
    }
    let mut found: Vec<Found> = Vec::new();
    for wanted in wanted {
        let matches: Vec<Found> = match wanted {
            Wanted::Cgroup(given) => vec![(hierarchy.find(given)?, None)],
            Wanted::Containers(selector) => {
                let search = container::find(selector, &hierarchy, &sources)?;
                for problem in &search.problems {
                    log::warn!("{problem}");
                }
                search
                    .found
                    .into_iter()
                    .map(|found| (found.cgroup, Some(found.container)))
                    .collect()
            }
        };
        if matches.is_empty()
            && let Wanted::Containers(selector) = wanted
        {
            return Err(RecordError::NoContainer(selector.to_string()));
        }
        if let Wanted::Containers(Selector::Container(text)) = wanted {
            refuse_ambiguous(text, &matches)?;
        }
        for (cgroup, container) in matches {
            // Asked for twice is recorded once.
            if found.iter().all(|(known, _)| known.id != cgroup.id) {
                found.push((cgroup, container));
            }
        }
    }
    Ok((hierarchy, found))
}

/// Several containers may have one name: they are replicas. But the beginning of several ids means
/// one of them, and which one is not for tracer to say.
fn refuse_ambiguous(text: &str, matches: &[Found]) -> Result<(), RecordError> {
    let by_beginning: Vec<_> = matches
        .iter()
        .filter_map(|(_, container)| container.as_ref())
        .filter(|container| container.id != text && container.name.as_deref() != Some(text))
        .map(|container| format!("{:?}", container.id))
        .collect();
    if matches.len() > 1 && !by_beginning.is_empty() {
        return Err(RecordError::Ambiguous {
            given: text.to_owned(),
            ids: by_beginning.join(", "),
        });
    }
    Ok(())
}

/// Records the cgroups until they are gone or it is told to end; one recording for each workload.
///
/// # Errors
/// [`RecordError`] when what happened cannot be told.
pub async fn run(
    request: Request,
    signals: &mut Signals,
    watcher: &mut dyn Watcher,
) -> Result<(Vec<Recording>, Ended), RecordError> {
    let mut session = Session::start(&request.settings)?;
    let mut endings: BTreeMap<&str, Ending> = BTreeMap::new();
    for (index, target) in request.targets.iter().enumerate() {
        let start_observed = begin(&mut session, target)?;
        let ending = endings.entry(&target.name).or_insert_with(|| Ending {
            workload: Workload {
                name: target.name.clone(),
                command: Vec::new(),
            },
            instances: Vec::new(),
            reasons: Vec::new(),
        });
        ending.instances.push(index);
        if !start_observed {
            ending.reasons.push(Reason {
                code: ReasonCode::StartNotObserved,
                text: "the workload was running before the recording began: what it did at its start was not seen; record it from its start".to_owned(),
            });
        }
        watcher.began(&subject(target));
    }
    let ended = follow(&mut session, &request, signals, watcher).await?;
    for target in &request.targets {
        let runs = target.cgroup.exists() && target.cgroup.is_populated().unwrap_or(false);
        if runs && let Some(ending) = endings.get_mut(target.name.as_str()) {
            ending.reasons.push(Reason {
                code: ReasonCode::StillRunning,
                text: "the recording ended while the workload was running: what it does later, at its end for one, was not seen".to_owned(),
            });
        }
    }
    let recordings = session.finish(endings.into_values().collect())?;
    Ok((recordings, ended))
}

/// Begins to record one cgroup; returns whether it is recorded from its first call.
fn begin(session: &mut Session, target: &Target) -> Result<bool, RecordError> {
    let cgroup = &target.cgroup;
    let subject = Subject {
        source: Source::Cgroup,
        cgroup: cgroup.path.display().to_string(),
        // Until it is known better.
        start_observed: false,
        container: target.container.as_ref().map(describe::container),
    };
    session.watch(cgroup, subject, EXE_UNKNOWN)?;
    // Only now: who came in before the cgroup was watched is in it, whoever comes later is seen.
    let start_observed = !cgroup.is_populated().unwrap_or(true);
    session.start_observed(start_observed);
    // Only now, too: who execs from now on is known to the kernel side, and stays so.
    introduce_processes(session, cgroup)?;
    Ok(start_observed)
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
        if !request.targets.iter().any(|target| target.cgroup.exists()) {
            return Ok(Ended::Removed);
        }
    }
}

fn subject(target: &Target) -> String {
    let path = target.cgroup.path.display().to_string();
    match &target.container {
        Some(container) => format!(
            "container {} as {}",
            container
                .name
                .as_deref()
                .unwrap_or(&container.id)
                .escape_debug(),
            target.name
        ),
        None => format!("cgroup {}", path.escape_debug()),
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

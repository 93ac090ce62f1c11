//! A place where a test runs container engines as a node has them: on their default paths, which is
//! where tracer looks for them, and yet out of the way of the machine's own engines and of other
//! tests'.
//!
//! It is a mount namespace in which `/run` and `/var/lib` are the test's. Nothing on those paths
//! exists outside, so any number of places can be there at once, on a machine that has Docker, too;
//! and what an engine mounts there goes away with the last process. Daemons run in a cgroup of the
//! place's own, by which they and their shims are found again, whoever is their parent by then.
//!
//! Only cgroups are shared: the engines make `/docker/ID` and the like at the root. The ids are
//! unique, but two places may have the directory above them in common.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs::{self, File},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::signal::Signal,
};

use crate::{
    cgroup::{self, Cgroup},
    process::{Running, descendants, send},
    scratch::Scratch,
    tracer,
};

/// What the engines make for all their containers. It is taken away when it is empty and no place
/// is in use: an engine may be about to make a container in it.
const SHARED_CGROUPS: [&str; 4] = ["docker", "default", "kubepods/besteffort", "kubepods"];

/// How long what was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// The place.
#[derive(Debug)]
pub struct IsolatedNode {
    namespace: File,
    daemons: Cgroup,
    /// Cgroups to take away besides those of containers.
    cgroups: Mutex<BTreeSet<PathBuf>>,
    scratch: Scratch,
    /// The root of the v2 hierarchy, locked: shared while a place is in use. It is there already
    /// and stays, so that no file has to be made for this.
    lock: File,
}

impl IsolatedNode {
    /// Makes one.
    ///
    /// # Errors
    /// When the kernel refuses a mount namespace or a cgroup.
    pub fn new() -> Result<Self> {
        let root = cgroup::v2_mount()?;
        let lock = File::open(&root).with_context(|| format!("opening {}", root.display()))?;
        lock.lock_shared()
            .with_context(|| format!("locking {}", root.display()))?;
        let scratch = Scratch::new()?;
        let directories = [
            (scratch.dir("run")?, "/run"),
            (scratch.dir("var-lib")?, "/var/lib"),
        ];
        Ok(Self {
            namespace: namespace(directories)?,
            daemons: Cgroup::new("engine")?,
            cgroups: Mutex::default(),
            scratch,
            lock,
        })
    }

    /// A directory that is the same inside and outside, and goes away with the place.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// A command that runs inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        tracer::plain_environment(&mut command)
            .arg(self.namespace_option())
            .arg("--")
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// Starts a daemon inside.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn daemon(&self, program: &str, args: &[impl AsRef<OsStr>]) -> Result<Running> {
        const IN_CGROUP: &str = "echo $$ >\"$1\"; shift; exec \"$@\"";
        let mut command = self.command("sh");
        command
            .args(["-e", "-c", IN_CGROUP, "sh"])
            .arg(self.daemons.procs())
            .arg(program)
            .args(args);
        Running::spawn(&mut command)
    }

    /// Promises to take this cgroup away, by its path below each hierarchy's root.
    pub fn owns_cgroup(&self, path: &Path) {
        self.cgroups
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned());
    }

    /// Takes a cgroup away now, by its path below each hierarchy's root: nobody may be left in it.
    ///
    /// # Errors
    /// When the mount table cannot be read.
    pub fn remove_cgroup(&self, path: &Path) -> Result<()> {
        for root in cgroup::hierarchies()? {
            remove(&root.join(path));
        }
        Ok(())
    }

    fn namespace_option(&self) -> String {
        let fd = self.namespace.as_raw_fd();
        format!("--mount=/proc/{}/fd/{fd}", process::id())
    }

    /// Kills the daemons, their shims, and the containers, which are children of the shims.
    fn end_all(&self) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let daemons = pids(&self.daemons.procs());
            if daemons.is_empty() {
                return;
            }
            for daemon in daemons {
                for pid in descendants(daemon).into_iter().chain([daemon]) {
                    let _ = send(pid, Signal::SIGKILL);
                }
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The cgroups of the containers whose runtime was not there any more to take them away: the
    /// bundles tell, which containerd keeps as long.
    fn orphans(&self) -> Vec<PathBuf> {
        let tasks = self
            .scratch
            .join("run/containerd/io.containerd.runtime.v2.task");
        directories(&tasks)
            .flat_map(|namespace| directories(&namespace).collect::<Vec<_>>())
            .filter_map(|bundle| {
                let config = fs::read(bundle.join("config.json")).ok()?;
                let config: serde_json::Value = serde_json::from_slice(&config).ok()?;
                let path = config.pointer("/linux/cgroupsPath")?.as_str()?;
                Some(PathBuf::from(path.strip_prefix('/')?))
            })
            .collect()
    }
}

impl Drop for IsolatedNode {
    /// Also when the test panicked: nothing here relies on an engine that still answers.
    fn drop(&mut self) {
        self.end_all();
        let hierarchies = cgroup::hierarchies().unwrap_or_default();
        let orphans = self.orphans();
        let own = self
            .cgroups
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for path in orphans.iter().chain(own.iter()) {
            hierarchies.iter().for_each(|root| remove(&root.join(path)));
        }
        let _ = self.lock.unlock();
        if self.lock.try_lock().is_ok() {
            for path in SHARED_CGROUPS {
                for root in &hierarchies {
                    let _ = fs::remove_dir(root.join(path));
                }
            }
        }
    }
}

/// A mount namespace with a directory of the test's own at each of these paths.
fn namespace(directories: [(PathBuf, &'static str); 2]) -> Result<File> {
    // A namespace belongs to a thread: this one ends, and the open file keeps what it made.
    let made = thread::spawn(move || {
        let none = None::<&str>;
        let refused = "making a mount namespace";
        unshare(CloneFlags::CLONE_NEWNS).context(refused)?;
        let all = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(none, "/", none, all, none).context(refused)?;
        for (directory, path) in &directories {
            mount(Some(directory), *path, none, MsFlags::MS_BIND, none)
                .with_context(|| format!("mounting a directory on {path}"))?;
        }
        File::open("/proc/thread-self/ns/mnt").context(refused)
    });
    made.join()
        .map_err(|_| anyhow!("making a mount namespace panicked"))?
}

fn pids(procs: &Path) -> Vec<u32> {
    let text = fs::read_to_string(procs).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn directories(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

/// Removes a cgroup from which the processes are about to go. One that others live in stays.
fn remove(path: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while fs::remove_dir(path).is_err() && path.exists() && Instant::now() < deadline {
        let procs = path.join("cgroup.procs");
        if pids(&procs).is_empty() && fs::remove_dir(path).is_err() {
            // Cgroups of the container's own.
            directories(path).for_each(|below| remove(&below));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use super::*;
    use crate::{
        Outcome, docker::Docker, needs, process::is_alive, process::run, requires::Need,
        rootfs::Rootfs, scratch::unique,
    };

    /// What a test that panics may leave behind.
    struct Traces {
        pids: Vec<u32>,
        paths: Vec<PathBuf>,
    }

    fn start(name: &str) -> Result<(Docker, Traces)> {
        let rootfs = Scratch::new()?;
        let docker = Docker::start()?;
        docker.import(&Rootfs::new(rootfs.path())?)?;
        let options = ["--detach"];
        run(&mut docker.run(name, rootfs.path(), &options, &["sleep", "1000"]))?.success()?;
        let format = "--format={{.Id}} {{.State.Pid}}";
        let told = run(docker.command().args(["inspect", format, name]))?.success()?;
        let told = told.text();
        let (id, pid) = told.trim().split_once(' ').context("what is inspected")?;

        let place = docker.place();
        let mut traces = Traces {
            pids: pids(&place.daemons.procs()),
            paths: vec![place.daemons.path().into(), place.scratch.path().into()],
        };
        traces.pids.push(pid.parse()?);
        for root in cgroup::hierarchies()? {
            traces.paths.push(root.join("docker").join(id));
        }
        Ok((docker, traces))
    }

    #[test]
    fn leaves_nothing_when_a_test_panics() -> Outcome {
        needs!(Need::Root, Need::Cgroup2, Need::Docker);
        let (docker, traces) = start(&unique("left"))?;
        // Two daemons, a shim and the container.
        assert!(traces.pids.len() >= 4 && traces.pids.iter().all(|pid| is_alive(*pid)));
        assert!(traces.paths.iter().all(|path| path.exists()));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _docker = docker;
            resume_unwind(Box::new("a test fails"));
        }));
        assert!(panicked.is_err());
        assert!(!traces.pids.iter().any(|pid| is_alive(*pid)));
        let there: Vec<_> = traces.paths.iter().filter(|path| path.exists()).collect();
        assert!(there.is_empty(), "{there:?}");
        Ok(())
    }
}

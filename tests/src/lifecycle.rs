//! Containers that do what a test says, when it says so, and recordings of them.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use serde_json::{Value, json};

use crate::{
    cgroup,
    oci::{Container, Runtime},
    process::{self, Finished, Running},
    recording::Recording,
    requires, tracer, wait,
};

/// Does the lines that come through the pipe, each when it comes. In busybox, so that all of it is
/// one executable. The pipe is open for both ways, so that it has no end when a writer goes.
const SHELL: &str =
    "exec 3<>go; : >began; while read -r line <&3; do eval \"$line\"; : >done; done";

/// A container that waits for what it is told to do.
#[derive(Debug)]
pub struct ScriptedContainer {
    // Before the container, which is then deleted.
    running: Option<Running>,
    /// The container.
    pub container: Container,
    dir: PathBuf,
}

impl ScriptedContainer {
    /// Describes one in `dir`, a directory of its own, under a filter that stops nothing.
    ///
    /// # Errors
    /// When the bundle cannot be written.
    pub fn new(runtime: Runtime, dir: &Path) -> Result<Self> {
        let pipe = dir.join("go");
        if !pipe.exists() {
            mkfifo(&pipe, Mode::S_IRWXU).context("making a pipe")?;
        }
        let busybox = requires::which("busybox").context("busybox is not installed")?;
        let argv = [busybox, "sh".into(), "-c".into(), SHELL.into()];
        let open = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
        Ok(Self {
            running: None,
            container: Container::new(runtime, &argv, dir, &open, true)?.in_public(),
            dir: dir.to_owned(),
        })
    }

    /// With another container than the usual.
    ///
    /// # Errors
    /// As `change`.
    pub fn with(self, change: impl FnOnce(Container) -> Result<Container>) -> Result<Self> {
        Ok(Self {
            container: change(self.container)?,
            ..self
        })
    }

    /// With a `config.json` that `edit` has changed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn edited(self, edit: impl FnOnce(&mut Value)) -> Result<Self> {
        self.with(|container| container.edited(edit))
    }

    /// As the container `name` of a pod, in containerd's words.
    ///
    /// # Errors
    /// When the bundle cannot be written.
    pub fn of_pod(self, namespace: &str, pod: &str, name: &str) -> Result<Self> {
        self.with(|container| {
            container.annotated(&[
                ("io.kubernetes.cri.container-type", "container"),
                ("io.kubernetes.cri.container-name", name),
                ("io.kubernetes.cri.sandbox-name", pod),
                ("io.kubernetes.cri.sandbox-namespace", namespace),
                ("io.kubernetes.cri.sandbox-id", "0123456789abcdef"),
            ])
        })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.container.id()
    }

    /// Runs it; returns when its program does.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self) -> Result<()> {
        let id = self.id().to_owned();
        let pid_file = self.container.pid_file();
        let mut command = self.container.tool(&["run", "--pid-file"])?;
        command
            .arg(pid_file)
            .arg("--bundle")
            .arg(self.container.config().with_file_name(""))
            .arg(id);
        for of_last_time in [self.dir.join("began"), self.container.pid_file()] {
            let _ = fs::remove_file(of_last_time);
        }
        self.running = Some(Running::spawn(&mut command)?);
        self.until("began")
    }

    /// The runtime makes it and does not start it yet.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn create(&self) -> Result<()> {
        let mut command = self.container.tool(&["create", "--pid-file"])?;
        command
            .arg(self.container.pid_file())
            .arg("--bundle")
            .arg(self.container.config().with_file_name(""))
            .arg(self.id());
        // What is created keeps the streams.
        process::run(&mut command)?.success()?;
        Ok(())
    }

    /// The runtime starts what it made; returns when the program runs.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn release(&mut self) -> Result<()> {
        process::run(&mut self.container.tool(&["start", self.id()])?)?.success()?;
        self.until("began")
    }

    /// Deletes it, however it is.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn delete(&self) -> Result<()> {
        process::run(&mut self.container.tool(&["delete", "--force", self.id()])?)?.success()?;
        Ok(())
    }

    /// The runtime puts a program into it, and it ends.
    ///
    /// # Errors
    /// When it fails.
    pub fn exec<S: AsRef<OsStr>>(&self, argv: &[S]) -> Result<()> {
        let mut command = self.container.tool(&["exec", self.id()])?;
        process::run(command.args(argv))?.success()?;
        Ok(())
    }

    /// Its first process, as seen from outside.
    ///
    /// # Errors
    /// When the runtime does not write it.
    pub fn pid(&self) -> Result<u32> {
        // runc does that after it has started the program.
        wait::until("the process id", || {
            let text = fs::read_to_string(self.container.pid_file()).unwrap_or_default();
            Ok(text.trim().parse().ok())
        })
    }

    /// Its cgroup, by the word of the kernel.
    ///
    /// # Errors
    /// When it does not run.
    pub fn cgroup(&self) -> Result<PathBuf> {
        let text = fs::read_to_string(format!("/proc/{}/cgroup", self.pid()?))?;
        let path = text
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .context("no v2 line")?;
        Ok(cgroup::v2_mount()?.join(path))
    }

    /// Has it do a line of shell; returns when that is done.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn does(&mut self, line: &str) -> Result<()> {
        self.tell(line)?;
        self.until("done")?;
        Ok(fs::remove_file(self.dir.join("done"))?)
    }

    /// Returns when it waits for what it is told.
    ///
    /// # Errors
    /// When it does not come to that.
    pub fn waits(&self) -> Result<()> {
        let call = format!("/proc/{}/syscall", self.pid()?);
        wait::until("the container to wait", || {
            // In poll(2) or read(2), of the pipe.
            let now = fs::read_to_string(&call)?;
            Ok((now.starts_with("7 ") || now.starts_with("0 0x0 ")).then_some(()))
        })
    }

    /// Has it end, and waits for that.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn ends(&mut self) -> Result<()> {
        self.tell("exit 0")?;
        if let Some(running) = self.running.take() {
            running.wait()?.success()?;
        }
        Ok(())
    }

    /// Kills its first process, and waits for its runtime.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn is_killed(&mut self) -> Result<()> {
        process::send(self.pid()?, Signal::SIGKILL)?;
        if let Some(running) = self.running.take() {
            running.wait()?;
        }
        Ok(())
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        // Fails while nobody reads, instead of waiting for someone who may be dead.
        let pipe = self.dir.join("go");
        let mut pipe: File = wait::until("a reader of the pipe", || {
            let opened = OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(&pipe);
            self.is_alive()?;
            Ok(opened.ok())
        })?;
        Ok(pipe.write_all(format!("{line}\n").as_bytes())?)
    }

    fn until(&mut self, file: &str) -> Result<()> {
        let path = self.dir.join(file);
        wait::until(file, || {
            if path.exists() {
                return Ok(Some(()));
            }
            self.is_alive()?;
            Ok(None)
        })
    }

    fn is_alive(&mut self) -> Result<()> {
        if let Some(running) = &mut self.running {
            let ended = running.ended()?;
            ensure!(
                ended.is_none(),
                "the container ended: {}",
                running.stderr()?
            );
        } else if let Ok(pid) = fs::read_to_string(self.container.pid_file())?
            .trim()
            .parse()
        {
            ensure!(
                process::is_alive(pid),
                "the container's process {pid} is gone"
            );
        }
        Ok(())
    }
}

/// A `tracer record` of containers.
#[derive(Debug)]
pub struct Watch {
    /// The process.
    pub running: Running,
    output: PathBuf,
}

/// What it left.
#[derive(Debug)]
pub struct Watched {
    /// How it ended.
    pub finished: Finished,
    /// The directories that it wrote.
    pub directories: Vec<(PathBuf, Recording)>,
}

impl Watch {
    /// Starts it; returns when it records or waits.
    ///
    /// # Errors
    /// When it refuses.
    pub fn start(output: &Path, options: &[&str]) -> Result<Self> {
        let mut running = Running::spawn(
            tracer::command()?
                .args(["record", "--output"])
                .arg(output)
                .args(options),
        )?;
        running.until_stderr("recording")?;
        Ok(Self {
            running,
            output: output.to_owned(),
        })
    }

    /// Waits until it has said of so many containers that it records them.
    ///
    /// # Errors
    /// When it ends before.
    pub fn until_containers(&mut self, count: usize) -> Result<()> {
        let running = &mut self.running;
        let waited = wait::until("the containers to be recorded", || {
            let stderr = running.stderr()?;
            ensure!(running.ended()?.is_none(), "tracer ended: {stderr}");
            Ok((stderr.matches("recording container").count() >= count).then_some(()))
        });
        waited.with_context(|| running.stderr().unwrap_or_default())
    }

    /// Waits for its end, which it comes to by itself.
    ///
    /// # Errors
    /// When it fails.
    pub fn ends(self) -> Result<Watched> {
        let finished = self.running.wait()?.success()?;
        let mut directories = Vec::new();
        for directory in fs::read_dir(&self.output)? {
            let directory = directory?.path();
            let recording = Recording::read(&directory.join("recording.json"))?;
            directories.push((directory, recording));
        }
        Ok(Watched {
            finished,
            directories,
        })
    }

    /// Waits for its end, with nothing recorded.
    ///
    /// # Errors
    /// When it recorded something.
    pub fn ends_with_nothing(self) -> Result<Finished> {
        let finished = self.running.wait()?;
        ensure!(finished.code() == 4, "something was recorded: {finished:?}");
        Ok(finished)
    }

    /// Tells it to end.
    ///
    /// # Errors
    /// When it fails.
    pub fn stop(self, signal: Signal) -> Result<Watched> {
        self.running.signal(signal)?;
        self.ends()
    }
}

impl Watched {
    /// The only recording.
    ///
    /// # Errors
    /// When there are none, or several.
    pub fn only(&self) -> Result<(&Path, &Recording)> {
        match self.directories.as_slice() {
            [(directory, recording)] => Ok((directory, recording)),
            directories => anyhow::bail!(
                "{} recordings: {:?}\n{}",
                directories.len(),
                directories
                    .iter()
                    .map(|(directory, _)| directory)
                    .collect::<Vec<_>>(),
                self.finished.stderr
            ),
        }
    }

    /// The recording with that container among its instances.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(&self, id: &str) -> Result<(&Path, &Recording)> {
        self.directories
            .iter()
            .find(|(_, recording)| recording.instances_of(id).next().is_some())
            .map(|(directory, recording)| (directory.as_path(), recording))
            .with_context(|| format!("{id} was not recorded:\n{}", self.finished.stderr))
    }
}

//! Names of containers from the API server. A process without capabilities reads them and writes them to a pipe.
//!
//! The thread that records reads the pipe and makes no connection. Another thread restarts the process when it ends,
//! and never reads its output.

use std::{
    io::{self, Read as _},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::cli::stderr::say;
use tracer_core::agent::Kubernetes;
use tracer_kubernetes::names::{NamedContainer, Owner as NamedOwner, Role as NamedRole};
use tracer_recorder::{
    container::{Owner, OwnerKind, Role, cri::CriContainer},
    record::NameSource,
};

/// Maximum length of a line. A line has one container, and an object of Kubernetes has at most 3 MiB.
const MAX_LINE: usize = 4 << 20;

/// Shortest and longest wait before the process is restarted.
const RESTART: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A process that ran for that long has worked, so the wait is short again.
const WORKED: Duration = Duration::from_secs(60);

/// The end of the pipe that the recorder reads.
pub(super) struct ApiNames {
    pipes: Receiver<ChildStdout>,
    pipe: Option<ChildStdout>,
    unread: Vec<u8>,
    /// Whether the current line is too long, so that the rest of it is skipped.
    skips: bool,
}

/// Starts the process, and restarts it.
pub(super) struct NamesProcess {
    settings: Kubernetes,
    pipes: Sender<ChildStdout>,
}

/// Both ends, if the settings name a node of Kubernetes.
pub(super) fn of(settings: &Kubernetes) -> Option<(ApiNames, NamesProcess)> {
    if !settings.is_used() {
        return None;
    }
    let (sender, receiver) = mpsc::channel();
    let names = ApiNames {
        pipes: receiver,
        pipe: None,
        unread: Vec::new(),
        skips: false,
    };
    let process = NamesProcess {
        settings: settings.clone(),
        pipes: sender,
    };
    Some((names, process))
}

impl NamesProcess {
    /// Starts a thread for it, which keeps the right to start programs.
    pub(super) fn start(self) -> io::Result<()> {
        let named = thread::Builder::new().name("tracer-names".to_owned());
        named.spawn(move || {
            let mut pause = RESTART.0;
            loop {
                let began = Instant::now();
                match self.run() {
                    Ok(false) => return,
                    Ok(true) => {
                        say!(
                            "the process that reads names from the API server ended; restarting it"
                        );
                    }
                    Err(error) => {
                        say!(
                            "cannot start the process that reads names from the API server: {error}"
                        )
                    }
                }
                if began.elapsed() >= WORKED {
                    pause = RESTART.0;
                }
                thread::sleep(pause);
                pause = (pause * 2).min(RESTART.1);
            }
        })?;
        Ok(())
    }

    /// Runs it to its end. Returns whether the recorder still reads.
    fn run(&self) -> io::Result<bool> {
        let mut child = self.spawn()?;
        let Some(pipe) = child.stdout.take() else {
            return Ok(true);
        };
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        let is_wanted = self.pipes.send(pipe).is_ok();
        child.wait()?;
        Ok(is_wanted)
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new("/proc/self/exe");
        command.args(["kubernetes", "names", "--node", &self.settings.node]);
        if !self.settings.kubeconfig.is_empty() {
            command.args(["--kubeconfig", &self.settings.kubeconfig]);
        }
        for namespace in &self.settings.namespaces {
            command.args(["--namespace", namespace]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
    }
}

impl ApiNames {
    fn read(&mut self) -> io::Result<()> {
        let mut bytes = [0; 16 << 10];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut bytes) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self
                    .unread
                    .extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.skip();
            // The rest is read next time.
            if self.unread.len() > MAX_LINE {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Skips a line that is too long: its container gets no name, which is counted. Other containers get theirs.
    fn skip(&mut self) {
        let end = self.unread.iter().position(|byte| *byte == b'\n');
        match end {
            Some(end) if self.skips => {
                self.unread.drain(..=end);
                self.skips = false;
            }
            None if self.skips || self.unread.len() > MAX_LINE => {
                if !self.skips {
                    say!(
                        "left out a container: its entry from the API server is larger than 4 MiB"
                    );
                }
                self.unread.clear();
                self.skips = true;
            }
            _ => {}
        }
    }

    /// Takes the complete lines.
    fn lines(&mut self) -> Vec<u8> {
        let end = self.unread.iter().rposition(|byte| *byte == b'\n');
        let rest = self.unread.split_off(end.map_or(0, |end| end + 1));
        std::mem::replace(&mut self.unread, rest)
    }
}

impl NameSource for ApiNames {
    fn take_named(&mut self) -> Vec<CriContainer> {
        if let Some(pipe) = self.pipes.try_iter().last() {
            self.pipe = Some(pipe);
            self.unread.clear();
            self.skips = false;
        }
        // Lines from before its end are used.
        if self.read().is_err() {
            self.pipe = None;
        }
        let lines = self.lines();
        let mut named = Vec::new();
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|it| !it.is_empty())
        {
            match serde_json::from_slice::<Vec<NamedContainer>>(line) {
                Ok(containers) => named.extend(containers.into_iter().map(converted)),
                Err(error) => say!("invalid line from the process that reads names: {error}"),
            }
        }
        named
    }
}

fn converted(container: NamedContainer) -> CriContainer {
    CriContainer {
        id: container.id,
        name: container.name,
        pod: container.pod,
        namespace: container.namespace,
        pod_uid: container.pod_uid,
        pod_labels: container.labels,
        image: container.image,
        digest: container.digest,
        attempt: container.attempt,
        role: Some(match container.role {
            NamedRole::Main => Role::Main,
            NamedRole::Init => Role::Init,
            NamedRole::Sidecar => Role::Sidecar,
            NamedRole::Ephemeral => Role::Ephemeral,
        }),
        owner: container.owner.map(owner),
        ..CriContainer::default()
    }
}

fn owner(owner: NamedOwner) -> Owner {
    let kind = match owner.kind.as_str() {
        "deployment" => OwnerKind::Deployment,
        "statefulset" => OwnerKind::StatefulSet,
        "daemonset" => OwnerKind::DaemonSet,
        "job" => OwnerKind::Job,
        "cronjob" => OwnerKind::CronJob,
        "rollout" => OwnerKind::Rollout,
        "replicaset" => OwnerKind::ReplicaSet,
        "staticpod" => OwnerKind::StaticPod,
        "pod" => OwnerKind::Pod,
        _ => OwnerKind::Other,
    };
    let name = match kind {
        OwnerKind::Other => format!("{}-{}", owner.kind, owner.name),
        _ => owner.name,
    };
    Owner {
        kind,
        name,
        certain: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn line(id: &str, kind: &str) -> String {
        let container = NamedContainer {
            id: id.to_owned(),
            name: "main".to_owned(),
            owner: Some(NamedOwner {
                kind: kind.to_owned(),
                name: "db".to_owned(),
            }),
            ..NamedContainer::default()
        };
        serde_json::to_string(&[container]).unwrap() + "\n"
    }

    /// A pipe that a process writes `text` to, as the recorder reads it.
    fn pipe_of(text: &str) -> ChildStdout {
        let mut cat = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        cat.stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let pipe = cat.stdout.take().unwrap();
        cat.wait().unwrap();
        pipe
    }

    #[test]
    fn names_are_read_from_the_process_that_runs_now() {
        let used = Kubernetes {
            node: "n1".to_owned(),
            ..Kubernetes::default()
        };
        assert!(of(&Kubernetes::default()).is_none());
        let (mut names, process) = of(&used).unwrap();
        assert!(names.take_named().is_empty());
        // It ended within a line.
        let cut = format!("{}{}", line("a", "deployment"), "[{\"id\"");
        process.pipes.send(pipe_of(&cut)).unwrap();
        let named = names.take_named();
        assert_eq!(named.len(), 1);
        let owner = named[0].owner.clone().unwrap();
        assert_eq!(
            (owner.kind, owner.name.as_str()),
            (OwnerKind::Deployment, "db")
        );
        // The next process begins a new line. An invalid line is skipped.
        let next = format!("nonsense\n{}", line("b", "cluster"));
        process.pipes.send(pipe_of(&next)).unwrap();
        let named = names.take_named();
        let owner = named[0].owner.clone().unwrap();
        assert_eq!(
            (named[0].id.as_str(), owner.kind, owner.name.as_str()),
            ("b", OwnerKind::Other, "cluster-db")
        );
    }
}

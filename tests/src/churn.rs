//! Very many containers that live for a few milliseconds each, several at a time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    oci::Runtime,
    programs::{self, Build},
    scratch::{Scratch, unique},
    tracer,
};

/// The first of the numbers that containers call: of no ABI and no kernel.
const FIRST_NUMBER: u32 = 100_000;

/// Containers to be run.
#[derive(Debug)]
pub struct Churn {
    runtime: Runtime,
    scratch: Scratch,
    prefix: String,
    count: u32,
}

impl Churn {
    /// Describes `count` containers of `runtime`. With `pods`, each is the container `web` of a pod
    /// of its own, all pods being of one Deployment, as containerd would annotate it.
    ///
    /// # Errors
    /// When the bundles cannot be written.
    pub fn prepare(runtime: Runtime, count: u32, pods: bool) -> Result<Self> {
        let scratch = Scratch::new()?;
        let root = scratch.dir("root")?;
        for dir in ["proc", "dev", "sys"] {
            fs::create_dir_all(root.join(dir))?;
        }
        fs::copy(
            programs::compiled("unique_calls", Build::Static)?,
            root.join("unique_calls"),
        )?;
        let churn = Self {
            runtime,
            prefix: unique("churn"),
            scratch,
            count,
        };
        for index in 0..count {
            let bundle = churn.scratch.dir(&format!("bundles/{index}"))?;
            let spec = churn.spec(&root, index, pods);
            fs::write(bundle.join("config.json"), serde_json::to_vec(&spec)?)?;
        }
        Ok(churn)
    }

    /// The id of each container, with the two numbers that it and no other container calls (the
    /// second one it shares with every thirtieth).
    pub fn members(&self) -> impl Iterator<Item = (String, [u32; 2])> {
        (0..self.count).map(|index| (self.id(index), Self::numbers(index)))
    }

    /// Whether a container of that id is one of these: others may be there at the same time.
    pub fn has(&self, id: &str) -> bool {
        id.rsplit_once('-')
            .is_some_and(|(prefix, _)| prefix == self.prefix)
    }

    fn id(&self, index: u32) -> String {
        format!("{}-{index}", self.prefix)
    }

    fn numbers(index: u32) -> [u32; 2] {
        let number = FIRST_NUMBER + index;
        [number, 480 + number % 30]
    }

    fn spec(&self, root: &Path, index: u32, pods: bool) -> Value {
        let annotations = if pods {
            // A Deployment's pods are called <name>-<hash>-<5 of an alphabet without vowels>.
            let alphabet = b"bcdfghjklmnpqrstvwxz2456789";
            let letter = |power: u32| {
                let at = index / 27_u32.pow(power) % 27;
                char::from(alphabet[at as usize])
            };
            let suffix: String = (0..5).map(letter).collect();
            json!({
                "io.kubernetes.cri.container-type": "container",
                "io.kubernetes.cri.container-name": "web",
                "io.kubernetes.cri.sandbox-name": format!("{}-5d8f9c7b6d-{suffix}", self.prefix),
                "io.kubernetes.cri.sandbox-namespace": "shop",
                "io.kubernetes.cri.sandbox-id": "0123456789abcdef",
            })
        } else {
            json!({})
        };
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": 0, "gid": 0 },
                "args": ["/unique_calls", Self::numbers(index)[0].to_string()],
                "cwd": "/",
                "noNewPrivileges": true,
            },
            "root": { "path": root, "readonly": true },
            "annotations": annotations,
            // A /dev of its own: runtimes make links in it, and the root is everyone's.
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
            ],
            "linux": {
                "namespaces": [{ "type": "pid" }, { "type": "mount" }],
            },
        })
    }

    /// The command that runs all of them, `at_once` at a time, and ends when all have.
    ///
    /// # Errors
    /// When the mount table cannot be read.
    pub fn command(&self, at_once: u32) -> Result<Command> {
        let only_v2 = self.runtime.mount_only_v2()?;
        let manager = self.runtime.manager_flag();
        let script = format!(
            "set -e; {only_v2} seq 0 {last} |
             xargs -P {at_once} -I@ {runtime} {manager} run -b \"$1/bundles/@\" {prefix}-@",
            last = self.count.saturating_sub(1),
            runtime = self.runtime.name(),
            prefix = self.prefix,
        );
        let mut command = Command::new("unshare");
        tracer::plain_environment(&mut command)
            .args(["-m", "sh", "-c", &script, "sh"])
            .arg(self.scratch.path());
        Ok(command)
    }

    /// A directory for what is recorded, gone with the containers.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn output(&self) -> Result<PathBuf> {
        self.scratch.dir("out")
    }
}

impl Drop for Churn {
    /// Deletes what a run that was given up has left.
    fn drop(&mut self) {
        let state = Path::new("/run").join(self.runtime.name());
        for (id, _) in self.members() {
            if state.join(&id).exists() {
                let _ = Command::new(self.runtime.name())
                    .args(["delete", "--force", &id])
                    .output();
            }
        }
    }
}

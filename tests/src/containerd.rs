//! containerd, started for one test in a [`IsolatedNode`] of its own, with `ctr` and CRI.
//!
//! On a node it is a service with a configuration like this; what differs is said beside it.

use std::{
    collections::HashMap,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    cri::{
        Client, ContainerConfig, ContainerMetadata, ImageSpec, LinuxContainerConfig,
        LinuxContainerSecurityContext, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, Mount,
        NODE, NamespaceOption, PodSandboxConfig, PodSandboxMetadata, SecurityProfile,
    },
    isolated_node::IsolatedNode,
    process::{self, Running},
    rootfs::Rootfs,
    scratch::{Scratch, unique},
    wait,
};

/// The image of every container.
pub const IMAGE: &str = "localhost/tracer-e2e/work:1";

/// The image of a pod's sandbox; in place of kubelet's `pause`, busybox sleeps.
const PAUSE: &str = "localhost/tracer-e2e/pause:1";

const SOCKET: &str = "/run/containerd/containerd.sock";

/// A test machine may lack the capability to lower an OOM score, and the huge page hierarchy; and
/// one that is a container itself has no overlayfs.
const CONFIG: &str = r#"version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/tracer-e2e/pause:1"
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "/run/no-cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
"#;

/// A running containerd. Its containers end with it.
#[derive(Debug)]
pub struct Containerd {
    // Before the place: it is killed and waited for first.
    daemon: Running,
    place: IsolatedNode,
}

impl Containerd {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it does not: with what it said.
    pub fn start() -> Result<Self> {
        let place = IsolatedNode::new()?;
        let config = place.scratch().file("containerd.toml", CONFIG)?;
        let config = ["--config".into(), config];
        let mut containerd = Self {
            daemon: place.daemon("containerd", &config)?,
            place,
        };
        let socket = containerd.socket();
        let ready = wait::until("containerd to listen", || {
            ensure!(containerd.daemon.ended()?.is_none(), "containerd ended");
            Ok(UnixStream::connect(&socket).ok())
        });
        ready.with_context(|| last_words(&containerd.daemon))?;
        Ok(containerd)
    }

    /// Where it is.
    pub fn place(&self) -> &IsolatedNode {
        &self.place
    }

    /// Its socket, as seen from outside.
    fn socket(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.daemon.pid()));
        root.join(SOCKET.trim_start_matches('/'))
    }

    /// `ctr`, containerd's own client.
    pub fn ctr(&self) -> Command {
        self.place.command("ctr")
    }

    /// A command that runs `argv` in a container of that id, with `dir` as a directory that it shares
    /// with the test, and ends when that does.
    pub fn ctr_run(&self, id: &str, rootfs: &Rootfs, dir: &Path, argv: &[&str]) -> Command {
        let mut command = self.ctr();
        let directory = dir.display();
        command
            // Without an image there is no path to look for a program.
            .args(["run", "--rm", "--net-host", "--env=PATH=/bin", "--cwd"])
            .arg(dir)
            .arg(format!(
                "--mount=type=bind,src={directory},dst={directory},options=rbind:rw"
            ))
            .arg("--rootfs")
            .arg(rootfs.path())
            .arg(id)
            .args(argv);
        command
    }

    /// Gives CRI the image that its containers are of.
    ///
    /// # Errors
    /// When containerd refuses it.
    pub fn import(&self, rootfs: &Rootfs) -> Result<()> {
        let scratch = Scratch::new()?;
        let images = [(PAUSE, &["sleep", "1d"][..]), (IMAGE, &["sh"])];
        for (name, command) in images {
            let archive = scratch.join("image.tar");
            rootfs.archive(&scratch.join("image"), name, command, &archive)?;
            process::run(
                self.ctr()
                    .args(["--namespace=k8s.io", "images", "import"])
                    .arg("--snapshotter=native")
                    .arg(archive),
            )?
            .success()
            .with_context(|| format!("importing {name}"))?;
        }
        Ok(())
    }

    /// Connects to the CRI socket.
    ///
    /// # Errors
    /// When CRI is not served.
    pub fn cri(&self) -> Result<Client> {
        let mut client = Client::connect(self.socket())?;
        // Right after its start it says that it is not ready.
        wait::until("CRI to be served", || Ok(client.version().ok()))?;
        Ok(client)
    }

    /// Stops and removes a pod, and then its cgroup, which is kubelet's to make and to take away.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub fn remove_pod(&self, cri: &mut Client, id: &str, pod: &PodSandboxConfig) -> Result<()> {
        cri.remove_pod(id)?;
        let linux = pod.linux.as_ref().context("a pod without a cgroup")?;
        self.place
            .remove_cgroup(Path::new(linux.cgroup_parent.trim_start_matches('/')))
    }

    /// A pod in the host's network, with a name of its own and the cgroup that kubelet gives one.
    pub fn pod(&self, namespace: &str, name: &str) -> PodSandboxConfig {
        let uid = unique("e2e");
        let cgroup = PathBuf::from("kubepods/besteffort").join(format!("pod{uid}"));
        self.place.owns_cgroup(&cgroup);
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.to_owned(),
                uid: uid.clone(),
                namespace: namespace.to_owned(),
            }),
            // As kubelet labels them.
            labels: labels([
                ("io.kubernetes.pod.name", name),
                ("io.kubernetes.pod.namespace", namespace),
                ("io.kubernetes.pod.uid", &uid),
            ]),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("/{}", cgroup.display()),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(NamespaceOption { network: NODE }),
                }),
            }),
        }
    }
}

/// A container of [`IMAGE`] in a pod, with `dir` as a directory that it shares with the test.
pub fn container(
    pod: &PodSandboxConfig,
    name: &str,
    dir: &Path,
    argv: &[&str],
    seccomp: Option<SecurityProfile>,
) -> ContainerConfig {
    let directory = dir.display().to_string();
    let mut container = ContainerConfig {
        metadata: Some(ContainerMetadata { name: name.into() }),
        image: Some(ImageSpec {
            image: IMAGE.into(),
        }),
        command: argv.iter().map(|word| (*word).to_owned()).collect(),
        working_dir: directory.clone(),
        mounts: vec![Mount {
            container_path: directory.clone(),
            host_path: directory,
        }],
        labels: labels([("io.kubernetes.container.name", name)]),
        linux: Some(LinuxContainerConfig {
            security_context: Some(LinuxContainerSecurityContext {
                namespace_options: Some(NamespaceOption { network: NODE }),
                seccomp,
            }),
        }),
    };
    container.labels.extend(pod.labels.clone());
    container
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> HashMap<String, String> {
    labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
}

/// The end of what a daemon said.
pub(crate) fn last_words(daemon: &Running) -> String {
    let said = daemon.stderr().unwrap_or_default();
    let mut last: Vec<_> = said.lines().rev().take(5).collect();
    last.reverse();
    last.join("\n")
}

//! A real Kubernetes for one test, without a daemon or a virtual machine: etcd, the control plane, and
//! nodes with containerd and kubelet, each in a network namespace of its own. All of it ends with
//! [`Cluster`], when a test panics too.
//!
//! The programs are built by `cargo xtask kubernetes` from the Go modules in `tests/kubernetes`. Each
//! node has the host's kernel, mounts and cgroups; its pods are in a cgroup of the node's own.

mod certificates;
mod network;
mod node;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use crate::{
    process::{self, Running},
    programs::target_dir,
    rootfs::Rootfs,
    scratch::{Scratch, unique},
    wait,
};
use certificates::Authority;
use network::Network;
use node::Node;

/// Where the API server listens, in the control plane's network.
const API_SERVER: &str = "10.77.0.1";

/// The image of the containers: busybox with its applets in `/bin`.
pub const IMAGE: &str = "localhost/box:1";

/// The image of a pod's sandbox.
const PAUSE: &str = "localhost/pause:1";

/// Where `cargo xtask kubernetes` puts the programs.
///
/// # Errors
/// When they are not there.
pub fn programs() -> Result<PathBuf> {
    let directory = target_dir().join("kubernetes");
    anyhow::ensure!(
        directory.join("kubelet").exists(),
        "no Kubernetes is built; `cargo xtask kubernetes` does that"
    );
    Ok(directory)
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order: who starts containers, the containers, the rest.
    kubelets: Vec<Running>,
    nodes: Vec<Node>,
    control_plane: Vec<Running>,
    network: Network,
    scratch: Scratch,
    programs: PathBuf,
}

impl Cluster {
    /// Starts one with so many nodes, and waits until all are ready.
    ///
    /// # Errors
    /// When a component does not come up.
    pub fn start(nodes: u8) -> Result<Self> {
        let programs = programs()?;
        let scratch = Scratch::new()?;
        let authority = Authority::new(&scratch.dir("pki")?)?;
        control_plane_certificates(&authority)?;
        let network = Network::new(&unique("k8s"), nodes)?;
        let mut cluster = Self {
            kubelets: Vec::new(),
            nodes: Vec::new(),
            control_plane: Vec::new(),
            network,
            scratch,
            programs,
        };
        cluster.start_api_server()?;
        for number in 1..=nodes {
            let node = Node::new(number, &cluster.network, cluster.scratch.path())?;
            authority.node(node.name(), &node.address())?;
            cluster.nodes.push(node);
        }
        wait::until("the API server to be ready", || {
            let mut ready = cluster.kubectl(&["get", "--raw", "/readyz"]);
            Ok(process::run(&mut ready)?.success().ok())
        })?;
        cluster.start_controllers()?;
        cluster.start_nodes(&authority)?;
        Ok(cluster)
    }

    /// `kubectl`, as an administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = self
            .network
            .control_plane()
            .command(self.program("kubectl"));
        command
            .arg("--kubeconfig")
            .arg(self.pki("admin.conf"))
            .args(arguments);
        command
    }

    /// Applies objects.
    ///
    /// # Errors
    /// When the API server refuses them.
    pub fn apply(&self, objects: &str) -> Result<()> {
        let file = self.scratch.file("objects.yaml", objects)?;
        let mut command = self.kubectl(&["apply", "-f"]);
        process::run(command.arg(file))?.success()?;
        Ok(())
    }

    /// Gives every node an image, from an archive as `docker save` makes one.
    ///
    /// # Errors
    /// When containerd refuses it.
    pub fn load(&self, image: &Path) -> Result<()> {
        self.nodes
            .iter()
            .try_for_each(|node| node.import(&self.programs, image))
    }

    /// Where kubelet of a node, counted from 1, looks for seccomp profiles.
    pub fn seccomp_profiles(&self, number: u8) -> PathBuf {
        let home = self.scratch.join(format!("node-{number}"));
        home.join("kubelet/seccomp")
    }

    /// Stops the API server's process without ending it: connections stay, and nothing is answered.
    ///
    /// # Errors
    /// When it is not there.
    pub fn pause_api_server(&self) -> Result<()> {
        self.signal_api_server(Signal::SIGSTOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it is not there.
    pub fn continue_api_server(&self) -> Result<()> {
        self.signal_api_server(Signal::SIGCONT)
    }

    fn signal_api_server(&self, signal: Signal) -> Result<()> {
        // After etcd.
        let api_server = self.control_plane.get(1).context("no API server")?;
        api_server.signal(signal)
    }

    /// A kubeconfig of the cluster's administrator. The API server is in the control plane's network.
    pub fn kubeconfig(&self) -> PathBuf {
        self.pki("admin.conf")
    }

    /// A command in the control plane's network, from which the API server can be reached.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.network.control_plane().command(program)
    }

    /// What an object's path says, as `kubectl get -o jsonpath` has it.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn get(&self, what: &[&str], path: &str) -> Result<String> {
        let output = format!("jsonpath={path}");
        let mut command = self.kubectl(&["get"]);
        command.args(what).args(["-o", &output]);
        Ok(process::run(&mut command)?.success()?.text())
    }

    /// Whether a cgroup is one of its pods'.
    pub fn owns(&self, cgroup: &str) -> bool {
        let first = cgroup.trim_start_matches('/').split('/').next();
        self.nodes.iter().any(|node| first == Some(node.cgroup()))
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    fn pki(&self, name: &str) -> PathBuf {
        self.scratch.join("pki").join(name)
    }

    fn start_api_server(&mut self) -> Result<()> {
        let place = self.network.control_plane();
        let data = self.scratch.dir("etcd")?;
        let mut etcd = place.command(self.program("etcd"));
        etcd.arg("--data-dir")
            .arg(data)
            // A test's objects need not outlive the machine.
            .arg("--unsafe-no-fsync")
            .args(["--listen-client-urls", "http://127.0.0.1:2379"])
            .args(["--advertise-client-urls", "http://127.0.0.1:2379"])
            .args(["--listen-peer-urls", "http://127.0.0.1:2380"]);
        let mut api_server = place.command(self.program("kube-apiserver"));
        api_server.args([
            "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=0.0.0.0",
            "--secure-port=443",
            &format!("--advertise-address={API_SERVER}"),
            // 10.96.0.1 is an address of this namespace itself, so that no kube-proxy is needed.
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.96.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
        ]);
        for (flag, file) in [
            ("client-ca-file", "ca.crt"),
            ("tls-cert-file", "apiserver.crt"),
            ("tls-private-key-file", "apiserver.key"),
            ("service-account-key-file", "sa.pub"),
            ("service-account-signing-key-file", "sa.key"),
            ("kubelet-client-certificate", "kubelet-client.crt"),
            ("kubelet-client-key", "kubelet-client.key"),
        ] {
            api_server.arg(format!("--{flag}={}", self.pki(file).display()));
        }
        self.control_plane.push(Running::spawn(&mut etcd)?);
        self.control_plane.push(Running::spawn(&mut api_server)?);
        Ok(())
    }

    fn start_controllers(&mut self) -> Result<()> {
        let place = self.network.control_plane();
        let mut controllers = place.command(self.program("kube-controller-manager"));
        controllers
            .arg("--kubeconfig")
            .arg(self.pki("controllers.conf"))
            .arg("--service-account-private-key-file")
            .arg(self.pki("sa.key"))
            .arg("--root-ca-file")
            .arg(self.pki("ca.crt"))
            .args(["--leader-elect=false", "--use-service-account-credentials"]);
        let mut scheduler = place.command(self.program("kube-scheduler"));
        scheduler
            .arg("--kubeconfig")
            .arg(self.pki("scheduler.conf"))
            .arg("--leader-elect=false");
        self.control_plane.push(Running::spawn(&mut controllers)?);
        self.control_plane.push(Running::spawn(&mut scheduler)?);
        Ok(())
    }

    fn start_nodes(&mut self, authority: &Authority) -> Result<()> {
        let images = self.images()?;
        for node in &mut self.nodes {
            node.start_containerd(&self.network, &self.programs)?;
            for image in &images {
                node.import(&self.programs, image)?;
            }
            let kubelet = node.kubelet(&self.network, &self.programs, authority)?;
            self.kubelets.push(kubelet);
        }
        for node in &self.nodes {
            let name = format!("node/{}", node.name());
            wait::until(&format!("{name} to be ready"), || {
                let mut ready = self.kubectl(&["wait", "--for=condition=Ready", &name]);
                ready.arg("--timeout=1s");
                Ok(process::run(&mut ready)?.success().ok())
            })?;
        }
        // Until it is there, pods are refused.
        wait::until("the default service account", || {
            let mut account = self.kubectl(&["get", "serviceaccount", "default"]);
            Ok(process::run(&mut account)?.success().ok())
        })?;
        Ok(())
    }

    /// The images that every node has.
    fn images(&self) -> Result<Vec<PathBuf>> {
        let rootfs = Rootfs::new(&self.scratch.dir("box")?)?;
        let images = [(PAUSE, &["sleep", "1d"][..]), (IMAGE, &["sh"])];
        images
            .iter()
            .zip(0..)
            .map(|((name, command), number)| {
                let archive = self.scratch.join(format!("image-{number}.tar"));
                let scratch = self.scratch.join(format!("image-{number}"));
                rootfs.archive(&scratch, name, command, &archive)?;
                Ok(archive)
            })
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nobody starts a container again.
        self.kubelets.clear();
        self.nodes.clear();
    }
}

fn control_plane_certificates(authority: &Authority) -> Result<()> {
    let names = format!("DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.96.0.1,IP:{API_SERVER}");
    authority.certificate("apiserver", "/CN=kube-apiserver", &names)?;
    authority.user("admin", "/O=system:masters/CN=admin")?;
    authority.user("controllers", "/CN=system:kube-controller-manager")?;
    authority.user("scheduler", "/CN=system:kube-scheduler")?;
    let kubelet_client = "/O=system:masters/CN=apiserver-kubelet";
    authority.certificate("kubelet-client", kubelet_client, "DNS:kubelet-client")?;
    authority.service_account_key()
}

/// Fails with what a directory is for, when it cannot be made.
fn directory(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))
}

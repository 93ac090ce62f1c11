//! A node: containerd and kubelet, and the cgroup that its pods are in.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    mount::{MntFlags, umount2},
    sys::signal::Signal,
};

use super::{
    PAUSE,
    certificates::Authority,
    directory,
    network::{self, Network},
};
use crate::{
    containerd::last_words,
    process::{self, Running, send},
    wait,
};

/// How long what was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node. Its containers, mounts, namespaces and cgroups end with it.
#[derive(Debug)]
pub(super) struct Node {
    number: u8,
    name: String,
    home: PathBuf,
    /// The name of its cgroup, below the root of each hierarchy.
    cgroup: String,
    containerd: Option<Running>,
}

impl Node {
    /// Makes what it needs; nothing runs yet.
    pub(super) fn new(number: u8, network: &Network, scratch: &Path) -> Result<Self> {
        let place = network.node(number).context("a node without a network")?;
        let node = Self {
            number,
            name: format!("node-{number}"),
            home: scratch.join(format!("node-{number}")),
            cgroup: place.name().to_owned(),
            containerd: None,
        };
        directory(&node.home.join("cni"))?;
        node.make_cgroups()?;
        fs::write(node.home.join("cni/10-pods.conflist"), node.cni())?;
        fs::write(
            node.home.join("containerd.toml"),
            node.containerd_settings(),
        )?;
        Ok(node)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn address(&self) -> String {
        network::address(self.number)
    }

    /// The name of its cgroup, below the root of each hierarchy.
    pub(super) fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// The socket of its containerd, which is not in the usual place.
    fn socket(&self) -> PathBuf {
        self.home.join("containerd.sock")
    }

    pub(super) fn start_containerd(&mut self, network: &Network, programs: &Path) -> Result<()> {
        let place = network
            .node(self.number)
            .context("a node without a network")?;
        let mut command = place.command(programs.join("containerd"));
        command
            .arg("--config")
            .arg(self.home.join("containerd.toml"));
        command.env("PATH", path_with(programs));
        let daemon = self.containerd.insert(Running::spawn(&mut command)?);
        let socket = self.home.join("containerd.sock");
        let ready = wait::until("containerd to listen", || {
            anyhow::ensure!(daemon.ended()?.is_none(), "containerd ended");
            Ok(std::os::unix::net::UnixStream::connect(&socket).ok())
        });
        ready.with_context(|| last_words(daemon))?;
        Ok(())
    }

    /// Gives it an image.
    pub(super) fn import(&self, programs: &Path, image: &Path) -> Result<()> {
        let mut command = Command::new(programs.join("ctr"));
        command.arg("--address").arg(self.socket());
        command.args(["--namespace=k8s.io", "images", "import"]);
        process::run(command.arg(image))?.success()?;
        Ok(())
    }

    /// Starts its kubelet.
    pub(super) fn kubelet(
        &self,
        network: &Network,
        programs: &Path,
        authority: &Authority,
    ) -> Result<Running> {
        let settings = self.home.join("kubelet.yaml");
        fs::write(&settings, self.kubelet_settings(authority))?;
        let place = network
            .node(self.number)
            .context("a node without a network")?;
        let mut command = place.command(programs.join("kubelet"));
        command.env("PATH", path_with(programs));
        command
            .arg("--config")
            .arg(settings)
            .arg("--kubeconfig")
            .arg(authority.file(&format!("{}.conf", self.name)))
            .args([
                "--hostname-override",
                &self.name,
                "--node-ip",
                &self.address(),
            ])
            .arg("--root-dir")
            .arg(self.home.join("kubelet"));
        Running::spawn(&mut command)
    }

    fn cni(&self) -> String {
        let data = self.home.join("ipam");
        format!(
            r#"{{"cniVersion": "1.0.0", "name": "pods", "plugins": [{{"type": "bridge", "bridge": "cni0", "isGateway": true,
 "ipMasq": false, "ipam": {{"type": "host-local", "dataDir": {data:?}, "ranges": [[{{"subnet": "{}"}}]],
 "routes": [{{"dst": "0.0.0.0/0"}}]}}}}]}}
"#,
            network::pods(self.number)
        )
    }

    fn containerd_settings(&self) -> String {
        let home = self.home.display();
        format!(
            r#"version = 3
root = "{home}/containerd"
state = "{home}/containerd.state"
[grpc]
address = "{home}/containerd.sock"
[ttrpc]
address = "{home}/containerd.sock.ttrpc"
[plugins."io.containerd.cri.v1.images"]
snapshotter = "native"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"
[plugins."io.containerd.cri.v1.runtime"]
disable_apparmor = true
# Where root may not lower oom_score_adj (no CAP_SYS_RESOURCE), a sandbox's -998 is refused without this.
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "{home}/cni"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"#
        )
    }

    fn kubelet_settings(&self, authority: &Authority) -> String {
        let home = self.home.display();
        let root = authority.root();
        let certificate = authority.file(&format!("{}.crt", self.name));
        let key = authority.file(&format!("{}.key", self.name));
        format!(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\
             # A host with cgroup v1, or both, is refused without this from 1.35 on.\n\
             failCgroupV1: false\n\
             failSwapOn: false\n\
             cgroupDriver: cgroupfs\n\
             cgroupRoot: /{}\n\
             containerRuntimeEndpoint: unix://{home}/containerd.sock\n\
             authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: {root:?}}}}}\n\
             authorization: {{mode: Webhook}}\n\
             tlsCertFile: {certificate:?}\n\
             tlsPrivateKeyFile: {key:?}\n\
             clusterDNS: [10.96.0.10]\n\
             clusterDomain: cluster.local\n\
             podLogsDir: {home}/pod-logs\n\
             evictionHard: {{}}\n\
             imageGCHighThresholdPercent: 100\n\
             makeIPTablesUtilChains: false\n",
            self.cgroup
        )
    }

    /// Its cgroups, one in each hierarchy.
    fn cgroups(&self) -> impl Iterator<Item = PathBuf> {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
        let mut roots: Vec<_> = hierarchies
            .flatten()
            .map(|it| it.path())
            .filter(|path| path.join("cgroup.procs").exists())
            .collect();
        // With v2 alone, this is the hierarchy itself.
        if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
            roots = vec!["/sys/fs/cgroup".into()];
        }
        roots.into_iter().map(|root| root.join(&self.cgroup))
    }

    /// Each node's pods are in cgroups of their own, as the kernel is one.
    fn make_cgroups(&self) -> Result<()> {
        for cgroup in self.cgroups() {
            directory(&cgroup)?;
            // A new cpuset has no processor, and nothing can be put into it.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let parent = cgroup.with_file_name(file);
                if let (Ok(value), true) = (fs::read(parent), cgroup.join(file).exists()) {
                    fs::write(cgroup.join(file), value)?;
                }
            }
        }
        Ok(())
    }

    fn subtree(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = self.cgroups().collect();
        let mut next = 0;
        while let Some(cgroup) = found.get(next) {
            let below = fs::read_dir(cgroup).into_iter().flatten().flatten();
            let below: Vec<_> = below
                .filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|it| it.path())
                .collect();
            found.extend(below);
            next += 1;
        }
        found
    }

    /// The processes of its pods.
    fn processes(&self) -> BTreeSet<u32> {
        let cgroups = self.subtree();
        let lists = cgroups.iter().map(|cgroup| cgroup.join("cgroup.procs"));
        let texts = lists.filter_map(|list| fs::read_to_string(list).ok());
        let pids: Vec<u32> = texts
            .flat_map(|text| {
                text.lines()
                    .filter_map(|pid| pid.parse().ok())
                    .collect::<Vec<_>>()
            })
            .collect();
        pids.into_iter().collect()
    }

    /// The processes that supervise its containers: they name the node's socket.
    fn shims(&self) -> Vec<u32> {
        let socket = self.socket();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter_map(|it| {
                let command = fs::read(it.path().join("cmdline")).ok()?;
                let command = String::from_utf8_lossy(&command).into_owned();
                let is_shim = command.contains("containerd-shim");
                (is_shim && command.contains(&*socket.to_string_lossy()))
                    .then(|| it.file_name().to_str()?.parse().ok())?
            })
            .collect()
    }

    fn unmount(&self) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mut points: Vec<_> = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .map(PathBuf::from)
            .filter(|point| point.starts_with(&self.home))
            .collect();
        points.sort();
        for point in points.iter().rev() {
            let _ = umount2(point, MntFlags::MNT_DETACH);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let pods: BTreeSet<_> = self.processes();
        let namespaces: BTreeSet<String> = pods.iter().filter_map(|pid| namespace(*pid)).collect();
        for pid in pods.into_iter().chain(self.shims()) {
            let _ = send(pid, Signal::SIGKILL);
        }
        self.containerd = None;
        let _ = wait::within(PATIENCE, "pods to end", || {
            Ok(self.processes().is_empty().then_some(()))
        });
        self.unmount();
        for namespace in namespaces {
            let _ = process::run(Command::new("ip").args(["netns", "del", &namespace]));
        }
        for cgroup in self.subtree().iter().rev() {
            let _ = fs::remove_dir(cgroup);
        }
    }
}

/// The name of the network namespace that a process is in, which CNI made for its pod.
fn namespace(pid: u32) -> Option<String> {
    let mut command = Command::new("ip");
    let found = process::run(command.args(["netns", "identify", &pid.to_string()])).ok()?;
    let name = found.text().trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// The PATH of this process with a directory before it.
fn path_with(programs: &Path) -> std::ffi::OsString {
    let mut path = programs.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path
}

//! The network of a cluster: a namespace for the control plane with a bridge, and one for each node,
//! joined to it by a pair of devices.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::API_SERVER;
use crate::process;

/// The namespaces. They are taken away at the end, those of pods too.
#[derive(Debug)]
pub(super) struct Network {
    control_plane: Namespace,
    nodes: Vec<Namespace>,
}

/// A named network namespace.
#[derive(Debug)]
pub(super) struct Namespace(String);

impl Network {
    /// Makes it, for so many nodes.
    pub(super) fn new(prefix: &str, nodes: u8) -> Result<Self> {
        let control_plane = Namespace::new(format!("{prefix}-c"))?;
        // The Service `kubernetes` is an address of the control plane itself.
        control_plane.ip("addr add 10.96.0.1/32 dev lo")?;
        control_plane.ip("link add br0 type bridge")?;
        control_plane.ip(&format!("addr add {API_SERVER}/24 dev br0"))?;
        control_plane.ip("link set br0 up")?;
        control_plane.forward()?;
        let mut network = Self {
            control_plane,
            nodes: Vec::new(),
        };
        for number in 1..=nodes {
            network.add_node(prefix, number)?;
        }
        Ok(network)
    }

    pub(super) fn control_plane(&self) -> &Namespace {
        &self.control_plane
    }

    /// The namespace of a node, counted from 1.
    pub(super) fn node(&self, number: u8) -> Option<&Namespace> {
        self.nodes.get(usize::from(number).checked_sub(1)?)
    }

    fn add_node(&mut self, prefix: &str, number: u8) -> Result<()> {
        let node = Namespace::new(format!("{prefix}-{number}"))?;
        let control = &self.control_plane;
        let name = &node.0;
        let address = address(number);
        control.ip(&format!(
            "link add leg{number} type veth peer name eth0 netns {name}"
        ))?;
        control.ip(&format!("link set leg{number} master br0 up"))?;
        node.ip(&format!("addr add {address}/24 dev eth0"))?;
        node.ip("link set eth0 up")?;
        node.ip(&format!("route add default via {API_SERVER}"))?;
        control.ip(&format!("route add {} via {address}", pods(number)))?;
        node.forward()?;
        self.nodes.push(node);
        Ok(())
    }
}

/// The address of a node.
pub(super) fn address(number: u8) -> String {
    format!("10.77.0.{}", 10 + number)
}

/// The addresses of a node's pods.
pub(super) fn pods(number: u8) -> String {
    format!("10.88.{number}.0/24")
}

impl Namespace {
    fn new(name: String) -> Result<Self> {
        process::run(Command::new("ip").args(["netns", "add", &name]))?.success()?;
        let namespace = Self(name);
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// A command that runs in it. `ip netns exec` would hide the cgroups with a new /sys.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let file: PathBuf = Path::new("/run/netns").join(&self.0);
        let mut net = std::ffi::OsString::from("--net=");
        net.push(file);
        let mut command = Command::new("nsenter");
        command.arg(net).arg("--").arg(program.as_ref());
        command
    }

    fn ip(&self, arguments: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.0]).args(arguments.split(' '));
        process::run(&mut command)?.success()?;
        Ok(())
    }

    fn forward(&self) -> Result<()> {
        let mut command = self.command("sysctl");
        process::run(command.args(["-qw", "net.ipv4.ip_forward=1"]))?.success()?;
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = process::run(Command::new("ip").args(["netns", "del", &self.0]));
    }
}

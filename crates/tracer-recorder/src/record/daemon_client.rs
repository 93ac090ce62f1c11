//! Commands that only ask a daemon: the work is done by processes that the command does not start, so a
//! recording of the command does not show it.

use std::{ffi::OsString, os::unix::ffi::OsStrExt as _, path::Path};

/// What does the work for a client, and how to record that.
struct Client {
    names: &'static [&'static str],
    /// Whose processes do the work.
    server: &'static str,
    /// What to record instead.
    instead: &'static str,
}

const CLIENTS: &[Client] = &[
    Client {
        names: &["docker", "docker-compose", "nerdctl"],
        server: "its daemon starts the containers",
        instead: "tracer record --container NAME --wait, and then this command",
    },
    Client {
        // podman runs conmon and the runtime itself, but in cgroups of their own; podman-remote asks.
        names: &["podman", "podman-remote", "podman-compose"],
        server: "its containers run in cgroups of their own",
        instead: "tracer record --container NAME --wait, and then this command",
    },
    Client {
        names: &["crictl", "ctr"],
        server: "containerd or CRI-O starts the containers",
        instead: "tracer record --container ID --wait, and then this command",
    },
    Client {
        names: &["helm", "kubectl", "oc"],
        server: "the cluster's nodes start the pods",
        instead: "tracer record --pod NAMESPACE/NAME --wait on the node, and then this command",
    },
    Client {
        names: &["service", "systemctl", "systemd-run"],
        server: "systemd starts the services",
        instead: "tracer record --cgroup /system.slice/NAME.service",
    },
    Client {
        names: &["at", "batch", "lxc", "machinectl", "virsh"],
        server: "a daemon does the work",
        instead: "tracer record --cgroup PATH",
    },
];

/// What to say of a command that only asks a daemon.
pub(super) fn hint(command: &[OsString]) -> Option<String> {
    let program = Path::new(command.first()?);
    let name = program.file_name()?.as_bytes();
    let client = CLIENTS.iter();
    let client = client
        .clone()
        .find(|client| client.names.iter().any(|it| it.as_bytes() == name))?;
    Some(format!(
        "{} only asks: {}, and what they do is not recorded; record it by {}",
        name.escape_ascii(),
        client.server,
        client.instead
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &[&str]) -> Option<String> {
        let command: Vec<_> = command.iter().map(OsString::from).collect();
        hint(&command)
    }

    #[test]
    fn clients_of_daemons_get_a_hint() {
        for (command, expected) in [
            (&["docker", "run", "nginx"][..], "--container NAME --wait"),
            (
                &["/usr/bin/podman", "run", "nginx"],
                "--container NAME --wait",
            ),
            (
                &["kubectl", "apply", "-f", "x.yaml"],
                "--pod NAMESPACE/NAME --wait",
            ),
            (
                &["systemctl", "restart", "nginx"],
                "--cgroup /system.slice/NAME.service",
            ),
            (&["nerdctl", "run", "nginx"], "--container NAME --wait"),
            (&["crictl", "start", "x"], "--container ID --wait"),
        ] {
            let hint = of(command).unwrap();
            assert!(hint.contains(expected), "{hint}");
        }
        for command in [&["nginx"][..], &["dockerd"], &["./work", "docker"], &[]] {
            assert_eq!(of(command), None, "{command:?}");
        }
    }
}

//! Where engines that run keep their files: as their command lines and configuration say, not as it is usual.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::container::files::{Files, text};

/// Where containerd keeps its tasks' bundles, below its state directory.
pub(super) const TASKS: &str = "io.containerd.runtime.v2.task";

/// For how long processes are not looked at again: a node has thousands.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// Directories of engines, each with the user whose rootless engine it is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Docker's data roots.
    pub(super) docker: Vec<Place>,
    /// The state directories of containerd, Docker's own ones too.
    pub(super) containerd: Vec<Place>,
    /// The directories in which Docker's runc keeps its state.
    pub(super) runc: Vec<Place>,
}

/// A directory, and the user who may write to it, if that is not root.
pub(super) type Place = (PathBuf, Option<u32>);

impl Places {
    /// Those of the engines that run, and the usual ones.
    pub(super) fn find(files: &Files) -> Self {
        // Of the last look, for one root directory.
        static KNOWN: Mutex<Option<(PathBuf, Instant, Places)>> = Mutex::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((root, at, places)) = &*known
            && *root == files.root()
            && at.elapsed() < KNOWN_FOR
        {
            return places.clone();
        }
        let mut places = Self::usual(files);
        for daemon in daemons(files) {
            places.add(&daemon, files);
        }
        *known = Some((files.root().to_owned(), Instant::now(), places.clone()));
        places
    }

    fn usual(files: &Files) -> Self {
        let roots = |paths: &[&str]| paths.iter().map(|it| (PathBuf::from(it), None)).collect();
        let mut usual = Self {
            docker: roots(&["/var/lib/docker", "/var/snap/docker/common/var-lib-docker"]),
            containerd: roots(&[
                "/run/containerd",
                "/run/k3s/containerd",
                "/run/docker/containerd/daemon",
                "/run/snap.docker/containerd/daemon",
                "/var/snap/microk8s/common/run/containerd",
            ]),
            runc: roots(&["/run/docker/runtime-runc", "/run/snap.docker/runtime-runc"]),
        };
        // Its daemon may have ended, and its containers not (live-restore).
        let configured = setting(
            files,
            Path::new("/etc/docker/daemon.json"),
            None,
            &["data-root", "graph"],
        );
        usual.docker.extend(configured.map(|root| (root, None)));
        usual
    }

    fn add(&mut self, daemon: &Daemon, files: &Files) {
        let user = daemon.user;
        match daemon.kind {
            Kind::Docker => {
                let root = daemon
                    .option(&["--data-root", "--graph", "-g"])
                    .or_else(|| daemon.docker_setting(files, &["data-root", "graph"]))
                    .or_else(|| daemon.default_data_root());
                let exec = daemon
                    .option(&["--exec-root"])
                    .or_else(|| daemon.docker_setting(files, &["exec-root"]))
                    .or_else(|| user.map(|user| format!("/run/user/{user}/docker").into()));
                push(&mut self.docker, root.map(|it| (it, user)));
                push(
                    &mut self.containerd,
                    exec.as_ref().map(|it| (it.join("containerd/daemon"), user)),
                );
                push(
                    &mut self.runc,
                    exec.map(|it| (it.join("runtime-runc"), user)),
                );
            }
            Kind::Containerd => {
                let state = daemon
                    .option(&["--state"])
                    .or_else(|| daemon.containerd_state(files));
                push(&mut self.containerd, state.map(|it| (it, user)));
            }
        }
    }
}

fn push(places: &mut Vec<Place>, place: Option<Place>) {
    if let Some(place) = place
        && place.0.is_absolute()
        && !places.contains(&place)
    {
        places.push(place);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Docker,
    Containerd,
}

/// An engine that runs.
#[derive(Clone, Debug)]
struct Daemon {
    kind: Kind,
    arguments: Vec<String>,
    /// Variables of its environment, as `NAME=value`.
    environment: Vec<String>,
    /// Its user, if that is not root.
    user: Option<u32>,
}

impl Daemon {
    /// The path that one of these options gives, as `--option=value` or `--option value`; the last one counts.
    fn option(&self, names: &[&str]) -> Option<PathBuf> {
        let mut value = None;
        let mut arguments = self.arguments.iter().peekable();
        while let Some(argument) = arguments.next() {
            let (name, given) = match argument.split_once('=') {
                Some((name, given)) => (name, Some(given)),
                None => (&**argument, None),
            };
            if names.contains(&name) {
                value = given.or_else(|| arguments.peek().map(|it| &***it));
            }
        }
        value.filter(|it| !it.is_empty()).map(PathBuf::from)
    }

    fn variable(&self, name: &str) -> Option<PathBuf> {
        let mut values = self
            .environment
            .iter()
            .filter_map(|it| it.split_once('='))
            .filter(|(it, _)| *it == name);
        values.next().map(|(_, value)| PathBuf::from(value))
    }

    /// Of its `daemon.json`.
    fn docker_setting(&self, files: &Files, names: &[&str]) -> Option<PathBuf> {
        let file = self
            .option(&["--config-file"])
            .or_else(|| match self.user {
                None => Some(PathBuf::from("/etc/docker/daemon.json")),
                Some(_) => {
                    let home = || Some(self.variable("HOME")?.join(".config"));
                    let directory = self.variable("XDG_CONFIG_HOME").or_else(home)?;
                    Some(directory.join("docker/daemon.json"))
                }
            })?;
        setting(files, &file, self.user, names)
    }

    /// Rootless Docker's (moby, cmd/dockerd/config_unix.go); root's is among the usual ones.
    fn default_data_root(&self) -> Option<PathBuf> {
        self.user?;
        let home = || Some(self.variable("HOME")?.join(".local/share"));
        let data = self.variable("XDG_DATA_HOME").or_else(home)?;
        Some(data.join("docker"))
    }

    /// `state` at the top of its configuration.
    fn containerd_state(&self, files: &Files) -> Option<PathBuf> {
        let file = self
            .option(&["--config", "-c"])
            .unwrap_or_else(|| PathBuf::from("/etc/containerd/config.toml"));
        let text = files.text(&file).ok()??;
        let top = text
            .lines()
            .map(str::trim)
            .take_while(|line| !line.starts_with('['));
        let mut values = top.filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == "state").then(|| value.trim().trim_matches(['"', '\'']))
        });
        values.next().map(PathBuf::from)
    }
}

/// The path under one of these names in a JSON file.
fn setting(files: &Files, file: &Path, user: Option<u32>, names: &[&str]) -> Option<PathBuf> {
    let config: Value = files.json(file, user).ok()??;
    let value = |name: &&str| text(&config, &format!("/{name}")).map(PathBuf::from);
    names.iter().find_map(value)
}

/// The engines that run on this host. Anyone may be called like one: root's must see the files that tracer sees, and
/// of another user's only that user's files are read.
fn daemons(files: &Files) -> Vec<Daemon> {
    let processes = files.ids(Path::new("/proc"));
    processes
        .iter()
        .filter(|id| id.as_str().bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|id| daemon(files, &Path::new("/proc").join(id.as_str())))
        .collect()
}

fn daemon(files: &Files, process: &Path) -> Option<Daemon> {
    let read = |name: &str| files.text(&process.join(name)).ok().flatten();
    let kind = match read("comm")?.trim_end() {
        "dockerd" => Kind::Docker,
        "containerd" => Kind::Containerd,
        _ => return None,
    };
    let words = |text: String| -> Vec<String> {
        let words = text.split('\0').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let owner = fs::metadata(files.at(process).ok()?).ok()?.uid();
    let user = (owner != 0).then_some(owner);
    if user.is_none() {
        let namespace =
            |process: &Path| fs::read_link(files.at(&process.join("ns/mnt")).ok()?).ok();
        if namespace(process) != namespace(Path::new("/proc/self")) {
            return None;
        }
    }
    Some(Daemon {
        kind,
        arguments: words(read("cmdline")?),
        environment: read("environ").map(words).unwrap_or_default(),
        user,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docker(arguments: &[&str], user: Option<u32>, environment: &[&str]) -> Daemon {
        let owned = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
        Daemon {
            kind: Kind::Docker,
            arguments: owned(arguments),
            environment: owned(environment),
            user,
        }
    }

    fn root_of(daemon: &Daemon, files: &Files) -> Vec<PathBuf> {
        let mut places = Places::default();
        places.add(daemon, files);
        places.docker.into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn data_root_is_what_the_daemon_was_told() {
        let root = tempfile::tempdir().unwrap();
        let files = Files::new(root.path());
        for arguments in [
            vec!["dockerd", "--data-root", "/data/docker"],
            vec!["dockerd", "--data-root=/data/docker"],
            vec!["dockerd", "-g", "/data/docker", "--debug"],
            vec!["dockerd", "--data-root=/old", "--data-root=/data/docker"],
        ] {
            let found = root_of(&docker(&arguments, None, &[]), &files);
            assert_eq!(found, [Path::new("/data/docker")], "{arguments:?}");
        }
        fs::create_dir_all(root.path().join("etc/docker")).unwrap();
        let config = r#"{"data-root": "/data/configured"}"#;
        fs::write(root.path().join("etc/docker/daemon.json"), config).unwrap();
        fs::write(
            root.path().join("etc/other.json"),
            r#"{"data-root": "/data/other"}"#,
        )
        .unwrap();
        let default = docker(&["dockerd"], None, &[]);
        assert_eq!(root_of(&default, &files), [Path::new("/data/configured")]);
        let other = docker(&["dockerd", "--config-file=/etc/other.json"], None, &[]);
        assert_eq!(root_of(&other, &files), [Path::new("/data/other")]);
        // Not a place that depends on where tracer runs.
        let relative = docker(&["dockerd", "--data-root=data"], None, &[]);
        assert!(root_of(&relative, &files).is_empty());
    }

    #[test]
    fn rootless_docker_has_its_files_at_home() {
        let files = Files::new(tempfile::tempdir().unwrap().path());
        let rootless = docker(&["dockerd"], Some(1000), &["HOME=/home/jo"]);
        let mut places = Places::default();
        places.add(&rootless, &files);
        let place = |path: &str| vec![(PathBuf::from(path), Some(1000))];
        assert_eq!(
            places,
            Places {
                docker: place("/home/jo/.local/share/docker"),
                containerd: place("/run/user/1000/docker/containerd/daemon"),
                runc: place("/run/user/1000/docker/runtime-runc"),
            }
        );
    }

    #[test]
    fn containerd_state_is_read_from_its_configuration() {
        let root = tempfile::tempdir().unwrap();
        let files = Files::new(root.path());
        let text = "version = 2\nstate = \"/run/k0s/containerd\"\n[plugins]\nstate = \"/no\"\n";
        fs::write(root.path().join("containerd.toml"), text).unwrap();
        let daemon = |arguments: &[&str]| Daemon {
            kind: Kind::Containerd,
            ..docker(arguments, None, &[])
        };
        for arguments in [
            &["containerd", "-c", "/containerd.toml"][..],
            &["containerd", "--config=/containerd.toml"],
            &["containerd", "--state", "/run/k0s/containerd"],
        ] {
            let mut places = Places::default();
            places.add(&daemon(arguments), &files);
            assert_eq!(
                places.containerd,
                [(PathBuf::from("/run/k0s/containerd"), None)]
            );
        }
    }
}

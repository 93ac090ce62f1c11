//! What an agent's configuration decides of containers, and what it does at each turn of the recording loop.

use std::{
    borrow::Cow,
    collections::HashSet,
    fs, io,
    path::Path,
    sync::{
        Arc, PoisonError, RwLock,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use super::{metrics::Metrics, notify::Notifier, settings::SettingsArgs};
use crate::cli::stderr::{plain, say};
use tracer_core::agent::{Configuration, Decision, Facts};
use tracer_recorder::{
    container::{Container, Role},
    record::{RecorderStatus, Selection, Supervisor, WorkloadAge},
};

/// How many workloads are remembered whose recording has ended by their settings. Beyond them one may be recorded
/// again.
const MAX_DONE: usize = 10_000;

/// The settings in force, for the threads that need them.
pub(super) type Settings = Arc<RwLock<Configuration>>;

/// A copy of the settings in force.
pub(super) fn in_force(settings: &Settings) -> Configuration {
    settings
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Reads the settings again when it is asked to.
pub(super) struct Reloader {
    asked: Receiver<()>,
    answers: Sender<Result<Configuration, String>>,
}

impl Reloader {
    /// Does so in a thread of its own, which keeps the right to.
    pub(super) fn start(self, args: SettingsArgs) -> io::Result<()> {
        let named = thread::Builder::new().name("tracer-settings".to_owned());
        named.spawn(move || {
            for () in self.asked {
                let loaded = args.load().map_err(|error| format!("{error:#}"));
                if self.answers.send(loaded).is_err() {
                    return;
                }
            }
        })?;
        Ok(())
    }
}

/// Decides by the configuration.
pub(super) struct Policy {
    settings: Configuration,
    shared: Settings,
    ask: Sender<()>,
    answer: Receiver<Result<Configuration, String>>,
    notifier: Arc<Notifier>,
    metrics: Arc<Metrics>,
    /// Workloads whose recording has ended by their settings.
    done: HashSet<String>,
    /// The cgroup that the agent itself is in.
    own: Option<String>,
}

impl Policy {
    /// `shared` has the settings in force. The reloader is to be started when other threads may be.
    pub(super) fn new(
        shared: Settings,
        notifier: Arc<Notifier>,
        metrics: Arc<Metrics>,
    ) -> (Self, Reloader) {
        let (ask, asked) = mpsc::channel();
        let (answers, answer) = mpsc::channel();
        let policy = Self {
            settings: in_force(&shared),
            shared,
            ask,
            answer,
            notifier,
            metrics,
            done: HashSet::new(),
            own: own_cgroup(),
        };
        (policy, Reloader { asked, answers })
    }

    fn use_settings(&mut self, new: Configuration) {
        let old = &self.settings;
        let fixed = [
            ("accesses", old.accesses != new.accesses),
            ("cri_socket", old.cri_socket != new.cri_socket),
            ("listen", old.listen != new.listen),
            ("kubernetes", old.kubernetes != new.kubernetes),
            ("ship", old.ship != new.ship),
            (
                "metrics_workloads",
                old.metrics_workloads != new.metrics_workloads,
            ),
            ("log_format", old.log_format != new.log_format),
            (
                "spool.directory",
                old.spool.directory != new.spool.directory,
            ),
        ];
        for (key, _) in fixed.into_iter().filter(|(_, differs)| *differs) {
            say!("{key} has changed; restart the agent to apply it");
        }
        if old.workload != new.workload {
            self.done.clear();
        }
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
        self.settings = new;
    }

    fn is_own(&self, cgroup: &str) -> bool {
        self.own
            .as_deref()
            .is_some_and(|own| own == slashed(cgroup))
    }
}

impl Supervisor for Policy {
    fn select(&self, cgroup: &str, container: Option<&Container>) -> Selection {
        if self.is_own(cgroup) {
            return Selection::Refused;
        }
        if self.settings.kubernetes.is_used() {
            match in_kubernetes(&self.settings.kubernetes.pod_uid, container) {
                Selection::Wanted => {}
                decided => return decided,
            }
        }
        let Some(container) = container else {
            // It came and went before anybody told what it is. What selects it by more is open, and is counted.
            let facts = Facts {
                cgroup: &slashed(cgroup),
                ..Facts::default()
            };
            return selection(self.settings.decide(&facts));
        };
        if !self.done.is_empty() && self.done.contains(&container.workload.to_string()) {
            return Selection::Refused;
        }
        with_facts(container, |facts| selection(self.settings.decide(facts)))
    }

    fn goes_on(&mut self, container: &Container, age: WorkloadAge) -> bool {
        let ends = with_facts(container, |facts| {
            let rule = self.settings.rule(facts)?;
            let is_over =
                |limit: Option<_>, time| limit.map(Duration::from).is_some_and(|it| time >= it);
            if is_over(rule.duration, age.recorded) {
                Some("its time is up")
            } else if is_over(rule.until_stable, age.quiet) {
                Some("nothing new came for long enough")
            } else {
                None
            }
        });
        let Some(why) = ends else {
            return true;
        };
        let workload = container.workload.to_string();
        if self.done.len() >= MAX_DONE {
            self.done.clear();
        }
        if self.done.insert(workload.clone()) {
            say!("{}: {why}; it is not recorded any more", plain(&workload));
        }
        false
    }

    fn name_patience(&self) -> Duration {
        let kubernetes = &self.settings.kubernetes;
        if kubernetes.is_used() {
            kubernetes.wait.into()
        } else {
            Duration::from_secs(60)
        }
    }

    fn reload(&mut self) {
        self.notifier.reloading();
        // Without the thread there is no answer, and the settings stay.
        let _ = self.ask.send(());
    }

    fn turn(&mut self) -> bool {
        self.metrics.turned();
        self.notifier.alive(Instant::now());
        let Ok(loaded) = self.answer.try_recv() else {
            return false;
        };
        self.notifier.ready();
        match loaded {
            Ok(new) => {
                let changes = new != self.settings;
                self.use_settings(new);
                self.metrics.reloaded("done");
                say!("the configuration was read again");
                changes
            }
            Err(error) => {
                self.metrics.reloaded("failed");
                say!("the configuration is wrong, and the settings stay as they are: {error}");
                false
            }
        }
    }

    fn checkpoint(&mut self, status: &RecorderStatus) {
        self.metrics.checkpoint(*status);
    }
}

/// Whether a container is one of a node of Kubernetes, whose API server names what it knows: of a pod, not the agent's
/// own, and neither a sandbox nor what a person put in. What has no name may be another node's, or a sandbox.
fn in_kubernetes(own_pod: &str, container: Option<&Container>) -> Selection {
    let Some(container) = container else {
        return Selection::Refused;
    };
    let Some(uid) = container.pod.as_ref().and_then(|pod| pod.uid.as_deref()) else {
        return Selection::Refused;
    };
    if uid == own_pod || matches!(container.role, Role::Sandbox | Role::Ephemeral) {
        Selection::Refused
    } else if container.is_named() {
        Selection::Wanted
    } else {
        Selection::Open
    }
}

const fn selection(decision: Decision) -> Selection {
    match decision {
        Decision::Yes => Selection::Wanted,
        Decision::No => Selection::Refused,
        Decision::Unknown => Selection::Open,
    }
}

/// What is known of a container, for selectors. What a runtime has still to tell of a pod's container is not known.
pub(super) fn with_facts<T>(container: &Container, use_them: impl FnOnce(&Facts<'_>) -> T) -> T {
    let is_named = container.is_named();
    let namespace = match &container.pod {
        None => Some(""),
        Some(pod) if pod.namespace.is_empty() => None,
        Some(pod) => Some(pod.namespace.as_str()),
    };
    let image = container
        .image
        .as_ref()
        .and_then(|image| image.name.as_deref());
    let name = container.name.as_deref();
    let mut runtimes = vec![container.engine.as_str()];
    runtimes.extend(container.runtime.map(|runtime| runtime.as_str()));
    use_them(&Facts {
        namespace,
        labels: is_named.then_some(&container.labels),
        image: image.or(is_named.then_some("")),
        runtimes,
        // Plain runc and crun have no other name for a container.
        name: name.or((container.pod.is_none()).then_some(container.id.as_str())),
        cgroup: &slashed(&container.cgroup),
    })
}

/// A cgroup's path as the kernel writes it.
fn slashed(path: &str) -> Cow<'_, str> {
    if path.starts_with('/') {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(format!("/{path}"))
    }
}

/// The cgroup of this process; `None` where it is not told, as in a cgroup namespace of its own.
fn own_cgroup() -> Option<String> {
    let text = fs::read_to_string(Path::new("/proc/self/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    (path != "/" && !path.contains("..")).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_recorder::container::{MetadataSources, resolve};

    fn container(path: &str) -> Container {
        resolve(path, &MetadataSources::local()).unwrap()
    }

    fn policy(text: &str) -> Policy {
        let settings = toml::from_str(text).unwrap();
        let shared = Arc::new(RwLock::new(settings));
        let metrics = Arc::new(Metrics::new(1));
        Policy::new(shared, Arc::default(), metrics).0
    }

    #[test]
    fn what_a_runtime_has_still_to_tell_decides_nothing_yet() {
        let uid = "11111111-2222-3333-4444-555555555555";
        let id = "a".repeat(64);
        let pod = container(&format!("/kubepods/pod{uid}/{id}"));
        let plain = container(&format!("/docker/{id}"));
        let shop = policy("include = [\"namespace=shop\"]");
        assert_eq!(shop.select("/a", Some(&pod)), Selection::Open);
        assert_eq!(shop.select("/a", Some(&plain)), Selection::Refused);
        assert_eq!(shop.select("/a", None), Selection::Open);
        let none = policy("exclude = [\"namespace=\"]");
        assert_eq!(none.select("/a", Some(&plain)), Selection::Refused);
        let docker = policy("include = [\"runtime=docker\"]");
        assert_eq!(docker.select("/a", Some(&plain)), Selection::Wanted);
        let mut here = policy("include = [\"cgroup=/machine/*\"]");
        assert_eq!(here.select("machine/a", None), Selection::Wanted);
        here.own = Some("/machine/a".to_owned());
        assert_eq!(here.select("machine/a", None), Selection::Refused);
    }

    #[test]
    fn in_kubernetes_only_named_containers_of_other_pods_are_recorded() {
        let policy = policy(
            "[kubernetes]\nnode = \"n1\"\npod_uid = \"22222222-2222-3333-4444-555555555555\"",
        );
        let id = "c".repeat(64);
        let of_pod = |uid: &str| container(&format!("/kubepods/pod{uid}/{id}"));
        let mut pod = of_pod("11111111-2222-3333-4444-555555555555");
        assert_eq!(policy.select("/a", Some(&pod)), Selection::Open);
        assert_eq!(policy.select("/a", None), Selection::Refused);
        let own = of_pod("22222222-2222-3333-4444-555555555555");
        assert_eq!(policy.select("/a", Some(&own)), Selection::Refused);
        let docker = container(&format!("/docker/{id}"));
        assert_eq!(policy.select("/a", Some(&docker)), Selection::Refused);
        pod.role = Role::Sandbox;
        assert_eq!(policy.select("/a", Some(&pod)), Selection::Refused);
        assert_eq!(policy.name_patience(), Duration::from_secs(600));
    }

    #[test]
    fn a_workload_whose_time_is_up_is_not_recorded_again() {
        let id = "b".repeat(64);
        let it = container(&format!("/docker/{id}"));
        let mut policy = policy(
            "[[workload]]\nselect = \"runtime=docker\"\nduration = \"10s\"\nuntil_stable = \"5s\"",
        );
        let age = |recorded, quiet| WorkloadAge {
            recorded: Duration::from_secs(recorded),
            quiet: Duration::from_secs(quiet),
        };
        assert!(policy.goes_on(&it, age(9, 4)));
        assert_eq!(policy.select("/a", Some(&it)), Selection::Wanted);
        assert!(!policy.goes_on(&it, age(9, 5)));
        assert_eq!(policy.select("/a", Some(&it)), Selection::Refused);
        // Other settings begin it again.
        policy.use_settings(Configuration::default());
        assert_eq!(policy.select("/a", Some(&it)), Selection::Wanted);
        assert_eq!(in_force(&policy.shared), Configuration::default());
    }
}

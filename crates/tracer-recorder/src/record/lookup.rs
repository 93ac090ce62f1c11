//! Which container a cgroup is: [`ContainerLookup`]. Runtimes' files and sockets say it; the simulation
//! has a model of its own.

use std::{path::PathBuf, sync::mpsc, time::Duration};

use tokio::task::AbortHandle;

use crate::container::{
    self, Container, MetadataSources,
    cri::{CriContainer, Snapshot},
};

/// How long the end of a recording waits for names that are still to come.
const LAST_NAMES: Duration = Duration::from_secs(1);

/// Tells who containers are, in place of their runtime: an API server's word. It is asked often, and must not
/// wait.
pub trait NameSource: Send {
    /// The containers that it learned of, or learned more of, since it was last asked.
    fn take_named(&mut self) -> Vec<CriContainer>;
}

/// Knows containers by the paths of their cgroups.
pub(super) trait ContainerLookup {
    /// The container at a path, as far as is known now.
    fn resolve(&self, path: &str) -> Option<Container>;

    /// The container with that id, when its path alone says so and its files are gone.
    fn by_id(&self, path: &str, id: &str) -> Option<Container>;

    /// Whether CRI has told of the container with that id.
    fn is_known_to_cri(&self, id: &str) -> bool;

    /// Asks CRI, in the background: an answer may take seconds, and recording does not wait.
    fn query_cri(&mut self);

    /// Whether an answer of CRI is under way.
    fn is_querying_cri(&self) -> bool;

    /// Takes in the answer of CRI when it has come, and what a [`NameSource`] has learned. Returns whether there
    /// is news.
    fn take_cri_answer(&mut self) -> bool;

    /// Whether a [`NameSource`] tells the names, which knows nothing of sandboxes.
    fn has_name_source(&self) -> bool {
        false
    }
}

/// The runtimes' files, and the CRI socket.
pub(super) struct RuntimeLookup {
    pub(super) sources: MetadataSources,
    /// The CRI socket to ask, instead of the known ones.
    cri_socket: Option<PathBuf>,
    query: Option<Query>,
    names: Option<Box<dyn NameSource>>,
}

/// An answer of CRI that is under way.
struct Query {
    task: AbortHandle,
    answer: mpsc::Receiver<MetadataSources>,
}

impl Drop for Query {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RuntimeLookup {
    pub(super) fn new(sources: MetadataSources, cri_socket: Option<PathBuf>) -> Self {
        Self {
            sources,
            cri_socket,
            query: None,
            names: None,
        }
    }

    /// The same, with a source of names. CRI is asked only where somebody gave its socket.
    pub(super) fn with_names(self, names: Option<Box<dyn NameSource>>) -> Self {
        let asks_api = names.is_some();
        Self {
            names,
            sources: MetadataSources {
                asks_api,
                ..self.sources
            },
            query: self.query,
            cri_socket: self.cri_socket,
        }
    }

    /// Asks CRI and waits for the answer: some seconds at most.
    pub(super) async fn refresh_cri(&mut self) {
        self.query = None;
        if self.asks_cri() {
            self.sources.refresh_cri(self.cri_socket.as_deref()).await;
        }
        if self.names.is_some() {
            // What has just ended is told of when kubelet has reported it.
            tokio::time::sleep(LAST_NAMES).await;
            self.take_named();
        }
    }

    fn asks_cri(&self) -> bool {
        self.names.is_none() || self.cri_socket.is_some()
    }

    fn take_named(&mut self) -> bool {
        let named = self.names.as_mut().map(|names| names.take_named());
        let named = named.unwrap_or_default();
        let is_news = !named.is_empty();
        self.sources.api.extend(Snapshot::from_containers(named));
        is_news
    }
}

impl ContainerLookup for RuntimeLookup {
    fn resolve(&self, path: &str) -> Option<Container> {
        container::resolve(path, &self.sources)
    }

    fn by_id(&self, path: &str, id: &str) -> Option<Container> {
        container::named(path, id, &self.sources)
    }

    fn is_known_to_cri(&self, id: &str) -> bool {
        self.sources.cri.knows(id) || self.sources.api.knows(id)
    }

    fn query_cri(&mut self) {
        if !self.asks_cri() {
            return;
        }
        let mut sources = self.sources.clone();
        let socket = self.cri_socket.clone();
        let (sender, answer) = mpsc::channel();
        let task = tokio::spawn(async move {
            sources.refresh_cri(socket.as_deref()).await;
            // The recording may have ended.
            let _ = sender.send(sources);
        });
        self.query = Some(Query {
            task: task.abort_handle(),
            answer,
        });
    }

    fn is_querying_cri(&self) -> bool {
        self.query.is_some()
    }

    fn take_cri_answer(&mut self) -> bool {
        let is_named = self.take_named();
        let Some(query) = &self.query else {
            return is_named;
        };
        match query.answer.try_recv() {
            Ok(sources) => {
                let api = std::mem::take(&mut self.sources.api);
                self.sources = MetadataSources { api, ..sources };
                for problem in &self.sources.problems {
                    log::debug!("{problem}");
                }
                self.query = None;
                true
            }
            Err(mpsc::TryRecvError::Empty) => is_named,
            Err(mpsc::TryRecvError::Disconnected) => {
                self.query = None;
                is_named
            }
        }
    }

    fn has_name_source(&self) -> bool {
        self.names.is_some()
    }
}

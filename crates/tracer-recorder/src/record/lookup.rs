//! Which container a cgroup is: [`ContainerLookup`]. Runtimes' files and sockets say it; the simulation
//! has a model of its own.

use std::{path::PathBuf, sync::mpsc};

use tokio::task::AbortHandle;

use crate::container::{self, Container, MetadataSources};

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

    /// Takes in the answer of CRI when it has come. Returns whether it has.
    fn take_cri_answer(&mut self) -> bool;
}

/// The runtimes' files, and the CRI socket.
pub(super) struct RuntimeLookup {
    pub(super) sources: MetadataSources,
    /// The CRI socket to ask, instead of the known ones.
    cri_socket: Option<PathBuf>,
    query: Option<Query>,
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
        }
    }
}

impl RuntimeLookup {
    /// Asks CRI and waits for the answer: some seconds at most.
    pub(super) async fn refresh_cri(&mut self) {
        self.query = None;
        self.sources.refresh_cri(self.cri_socket.as_deref()).await;
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
        self.sources.cri.knows(id)
    }

    fn query_cri(&mut self) {
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
        let Some(query) = &self.query else {
            return false;
        };
        match query.answer.try_recv() {
            Ok(sources) => {
                self.sources = sources;
                for problem in &self.sources.problems {
                    log::debug!("{problem}");
                }
                self.query = None;
                true
            }
            Err(mpsc::TryRecvError::Empty) => false,
            Err(mpsc::TryRecvError::Disconnected) => {
                self.query = None;
                false
            }
        }
    }
}

//! Watches the pods of one node.

use std::{
    collections::HashMap,
    io,
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream::select_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};

use super::{NamedContainer, containers::containers, owners::Owners};

/// Wait before an owner is requested again after a failure.
const RETRY: Duration = Duration::from_secs(2);

/// Shortest time between two reports that the API server does not answer.
const REPORT: Duration = Duration::from_secs(600);

/// Maximum number of pods whose owner is still unknown.
const MAX_PENDING: usize = 1_000;

/// Reports the containers of a node's pods until `tell` fails: first all of them, then each new or changed one. No
/// `namespaces` means all. If the API server does not answer, retries with growing waits.
///
/// # Errors
/// The error of `tell`.
pub async fn watch(
    client: Client,
    node: &str,
    namespaces: &[String],
    tell: impl FnMut(&[NamedContainer]) -> io::Result<()>,
) -> io::Result<()> {
    // The API server has an index for it (pkg/registry/core/pod/strategy.go: NodeNameTriggerFunc).
    let settings = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
    let apis: Vec<Api<Pod>> = match namespaces {
        [] => vec![Api::all(client.clone())],
        some => some
            .iter()
            .map(|namespace| Api::namespaced(client.clone(), namespace))
            .collect(),
    };
    let watch = |pods| watcher(pods, settings.clone()).default_backoff().boxed();
    let mut events = pin!(select_all(apis.into_iter().map(watch)));
    let mut watched = Watched {
        owners: Owners::new(client),
        tell,
        told: HashMap::new(),
        pending: HashMap::new(),
        reported: None,
    };
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = tokio::time::sleep(RETRY), if !watched.pending.is_empty() => {
                watched.retry().await?;
                continue;
            }
        };
        match event {
            Some(Ok(event)) => watched.take(event).await?,
            Some(Err(error)) => watched.report(&error),
            None => return Ok(()),
        }
    }
}

struct Watched<F> {
    owners: Owners,
    tell: F,
    /// The reported containers of each pod, by its uid.
    told: HashMap<String, Vec<NamedContainer>>,
    /// Pods whose owner is still unknown, by their uids.
    pending: HashMap<String, Pod>,
    /// When a failure of the API server was last reported.
    reported: Option<Instant>,
}

impl<F: FnMut(&[NamedContainer]) -> io::Result<()>> Watched<F> {
    async fn take(&mut self, event: Event<Pod>) -> io::Result<()> {
        match event {
            // The reader accepts a container that is reported twice.
            Event::Init => self.told.clear(),
            Event::InitDone => self.reported = None,
            Event::InitApply(pod) | Event::Apply(pod) => self.name(pod).await?,
            Event::Delete(pod) => {
                let uid = pod.metadata.uid.clone().unwrap_or_default();
                // Its last status may contain a container that has ended since.
                self.name(pod).await?;
                self.told.remove(&uid);
            }
        }
        Ok(())
    }

    async fn name(&mut self, pod: Pod) -> io::Result<()> {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let mut found = containers(&pod);
        if found.is_empty() {
            return Ok(());
        }
        match self.owners.of(&pod).await {
            Ok(owner) => {
                self.pending.remove(&uid);
                for container in &mut found {
                    container.owner.clone_from(&owner);
                }
            }
            Err(error) => {
                self.report(&error);
                if self.pending.len() < MAX_PENDING {
                    self.pending.insert(uid, pod);
                }
                return Ok(());
            }
        }
        let told = self.told.get(&uid).map(Vec::as_slice).unwrap_or_default();
        let is_new = |it: &&NamedContainer| !told.contains(it);
        let new: Vec<_> = found.iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            (self.tell)(&new)?;
        }
        self.told.insert(uid, found);
        Ok(())
    }

    async fn retry(&mut self) -> io::Result<()> {
        for (_, pod) in std::mem::take(&mut self.pending) {
            self.name(pod).await?;
        }
        Ok(())
    }

    fn report(&mut self, error: &dyn std::error::Error) {
        let is_recent = self.reported.is_some_and(|at| at.elapsed() < REPORT);
        if !is_recent {
            self.reported = Some(Instant::now());
            log::warn!(
                "{}; recording continues, and names come later",
                chain(error)
            );
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        // Many errors repeat their cause.
        if !text.contains(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}

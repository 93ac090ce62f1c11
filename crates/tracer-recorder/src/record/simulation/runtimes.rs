//! What runtimes' files say of the containers of a simulated machine, and what the recorder's decisions
//! mean to what may be expected of it.

use std::collections::BTreeMap;

use super::{
    fake::found,
    schedule::{Known, Use},
    world::{DirState, World},
};
use crate::{
    cgroup::Cgroup,
    container::{Container, Engine, Role, WorkloadKey},
};

impl World {
    /// The container at a path, as far as runtimes' files tell now.
    pub(super) fn look_up(&mut self, path: &str) -> Option<Container> {
        let (at, dir) = self.dirs.iter_mut().find(|(_, dir)| dir.path == path)?;
        dir.looked_up = true;
        // A container is one, wherever it lies; else it belongs to the one above.
        let is_one = matches!(dir.purpose, Use::Container(..));
        let (at, owner) = (*at, if is_one { *at } else { dir.owner });
        let answer = self.container(&self.dirs[&owner]);
        let is_wanted = answer.as_ref().is_some_and(|it| self.is_wanted(it));
        let is_known = answer.as_ref().is_some_and(|it| it.known);
        for dir in [at, owner] {
            let dir = self.dirs.get_mut(&dir)?;
            dir.matched |= is_wanted && !dir.left;
            dir.was_known |= is_known;
        }
        answer
    }

    fn is_wanted(&self, container: &Container) -> bool {
        match &self.wanted {
            None => true,
            Some(name) => container.name.as_ref() == Some(name),
        }
    }

    /// What is known of a cgroup's container now.
    fn container(&self, dir: &DirState) -> Option<Container> {
        let Use::Container(name, how) = dir.purpose else {
            return None;
        };
        let is_known = self.is_known(dir);
        if !is_known && !matches!(how, Known::IdThen(_)) {
            return None;
        }
        let id = format!("{:064x}", dir.id);
        let name = is_known.then(|| name_of(name));
        Some(Container {
            sandboxed: None,
            cgroup: dir.path.clone(),
            engine: Engine::Docker,
            driver: None,
            runtime: None,
            workload: WorkloadKey::Named(name.clone().unwrap_or_else(|| id.clone())),
            id,
            name,
            pod: None,
            image: None,
            labels: BTreeMap::new(),
            role: Role::Unknown,
            attempt: None,
            pid: None,
            args: Vec::new(),
            security: None,
            warnings: Vec::new(),
            user: None,
            known: is_known,
            unresolved: Vec::new(),
        })
    }

    /// The containers that run and are asked for.
    pub(super) fn running(&self) -> Vec<(Cgroup, Option<Container>)> {
        let dirs = self.dirs.values().filter(|dir| dir.exists);
        dirs.filter_map(|dir| Some((dir, self.container(dir)?)))
            .filter(|(_, container)| self.is_wanted(container))
            .map(|(dir, container)| (found(dir), Some(container)))
            .collect()
    }

    /// User space begins to record a cgroup: what happened there before need not be in the recording.
    pub(super) fn found_by_user(&mut self, id: u64) {
        let now = self.now_ns;
        if let Some(dir) = self.dirs.get_mut(&u32::try_from(id - 1000).unwrap()) {
            dir.watched_ns = Some(now);
            dir.left = false;
        }
        let kernel = &mut self.kernel;
        for flags in [
            &mut kernel.missed,
            &mut kernel.missed_early,
            &mut kernel.escaped,
            &mut kernel.escaped_early,
        ] {
            flags.remove(&id);
        }
        let facts = self.kernel.facts.iter_mut();
        for fact in facts.filter(|fact| fact.key.instance == id) {
            fact.is_optional = true;
        }
        let facts = self.kernel.access_facts.iter_mut();
        for fact in facts.filter(|fact| fact.key.instance == id) {
            fact.is_optional = true;
        }
    }

    /// The recorder has decided against an instance, or ends.
    pub(super) fn left(&mut self, id: u64) {
        let is_early = !self.kernel.ending;
        if let Some(dir) = self.dirs.get_mut(&u32::try_from(id - 1000).unwrap()) {
            dir.left |= is_early;
        }
    }
}

/// What containers are called.
pub(super) fn name_of(name: u32) -> String {
    format!("name{name}")
}

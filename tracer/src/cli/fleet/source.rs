//! A store as these commands read it: workload by workload, one object after the other. What cannot be used is counted
//! and named.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::super::{
    Exit, Failure,
    stderr::{plain, say},
};
use tracer_core::{
    agent::SpoolKey,
    fleet::{Gathering, Object, ObjectName},
    recording::plain_text::counted,
};
use tracer_fleet::{
    Listed, Store,
    object::{self, Unusable},
    open,
};

/// How many objects that cannot be used are named.
const MAX_NAMED: u64 = 20;

/// How often a workload is listed again because somebody compacted it.
const ROUNDS: usize = 10;

/// Which store.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// Address of the store: file:///DIRECTORY, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or azure://CONTAINER/PREFIX
    /// [variable: TRACER_STORE]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// A store, and what could not be used of it.
pub(super) struct Source {
    pub(super) store: Box<dyn Store>,
    problems: BTreeMap<&'static str, u64>,
}

/// The objects of one key.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    /// What their names begin with.
    pub(super) prefix: String,
    /// Whose they are, as far as the names tell.
    pub(super) key: SpoolKey,
    pub(super) objects: u64,
    pub(super) bytes: u64,
    /// When the last one was written.
    pub(super) last_ms: u64,
}

impl StoreArgs {
    pub(super) fn open(&self) -> Result<Source, Failure> {
        let variable = || std::env::var("TRACER_STORE").ok();
        let url = self.store.clone().or_else(variable);
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| {
            let error = anyhow::anyhow!("no store is given; use --store URL, or set TRACER_STORE");
            Failure::new(Exit::Usage, error)
        })?;
        let opened = open(&url, false);
        let store = opened.map_err(|error| match error {
            error @ tracer_fleet::StoreError::Address { .. } => Failure::new(Exit::Usage, error),
            error => Failure::new(Exit::Failed, error),
        })?;
        Ok(Source {
            store,
            problems: BTreeMap::new(),
        })
    }
}

impl Source {
    /// The workloads in the store, by what their names begin with.
    pub(super) fn summaries(&mut self) -> anyhow::Result<Vec<Summary>> {
        let mut found: BTreeMap<String, Summary> = BTreeMap::new();
        let mut foreign = Vec::new();
        let mut more = 0;
        self.store.list("", &mut |Listed {
                                       name,
                                       bytes,
                                       written_ms,
                                   }| {
            let Some(parsed) = ObjectName::parse(&name) else {
                if foreign.len() as u64 >= MAX_NAMED {
                    more += 1;
                } else {
                    foreign.push(name);
                }
                return ControlFlow::Continue(());
            };
            let summary = found
                .entry(parsed.prefix().to_owned())
                .or_insert_with(|| Summary {
                    prefix: parsed.prefix().to_owned(),
                    key: parsed.key(),
                    objects: 0,
                    bytes: 0,
                    last_ms: 0,
                });
            summary.objects += 1;
            summary.bytes = summary.bytes.saturating_add(bytes);
            summary.last_ms = summary.last_ms.max(written_ms);
            ControlFlow::Continue(())
        })?;
        for name in foreign {
            self.refuse(&name, &Unusable::Name);
        }
        if more > 0 {
            *self.problems.entry(Unusable::Name.kind()).or_default() += more;
        }
        Ok(found.into_values().collect())
    }

    /// Those that a person means; all without a name.
    pub(super) fn named(&mut self, workloads: &[String]) -> anyhow::Result<Vec<Summary>> {
        let mut all = self.summaries()?;
        for text in workloads {
            if !all.iter().any(|it| it.key.is_called(text)) {
                bail!("the store has no workload {text}; tracer fleet list prints those it has");
            }
        }
        all.retain(|it| {
            workloads.is_empty() || workloads.iter().any(|text| it.key.is_called(text))
        });
        Ok(all)
    }

    /// The one workload that a person means: of several images the latest, on all architectures, unless `all_images`.
    pub(super) fn one(&mut self, workload: &str, all_images: bool) -> anyhow::Result<Vec<Summary>> {
        let mut found = self.named(&[workload.to_owned()])?;
        let latest = self.latest(&found)?;
        let identity = |it: &Summary| SpoolKey {
            architecture: String::new(),
            ..it.key.without_image()
        };
        if let Some(other) = found.iter().find(|it| identity(it) != identity(&latest)) {
            let whole = |it: &Summary| format!("{}/{}", it.key.cluster, it.key.workload());
            bail!(
                "{workload} may be {} or {}; give more of the name",
                whole(&latest),
                whole(other)
            );
        }
        found.retain(|it| all_images || it.key.image == latest.key.image);
        Ok(found)
    }

    /// That of which something was observed last. When an object was written says nothing: whoever compacts writes old
    /// facts anew.
    fn latest(&mut self, found: &[Summary]) -> anyhow::Result<Summary> {
        let mut latest: Option<(u64, &Summary)> = None;
        for summary in found {
            let as_of_ms = if found.len() == 1 {
                0
            } else {
                let object = self.gather(&summary.prefix)?.finish();
                let nodes = object.into_iter().flat_map(|it| it.nodes.into_values());
                nodes.map(|node| node.as_of_ms).max().unwrap_or(0)
            };
            if latest.is_none_or(|(last, _)| as_of_ms >= last) {
                latest = Some((as_of_ms, summary));
            }
        }
        let (_, latest) = latest.context("the store has no such workload")?;
        Ok(latest.clone())
    }

    /// The names of the objects of a key, the oldest first.
    pub(super) fn names(&self, prefix: &str) -> anyhow::Result<Vec<(u64, String)>> {
        let mut names = Vec::new();
        self.store.list(prefix, &mut |listed| {
            let is_its = ObjectName::parse(&listed.name).is_some_and(|it| it.prefix() == prefix);
            if is_its {
                names.push((listed.written_ms, listed.name));
            }
            ControlFlow::Continue(())
        })?;
        names.sort();
        Ok(names)
    }

    /// Gives each object of a key to `each`. What somebody compacted meanwhile is found in what replaced it.
    pub(super) fn each(
        &mut self,
        prefix: &str,
        mut each: impl FnMut(u64, &str, Object),
    ) -> anyhow::Result<()> {
        let mut done = BTreeSet::new();
        for _ in 0..ROUNDS {
            let mut is_gone = false;
            for (written_ms, name) in self.names(prefix)? {
                if !done.insert(name.clone()) {
                    continue;
                }
                match object::read(self.store.as_ref(), &name) {
                    Ok(object) => each(written_ms, &name, object),
                    Err(error) if error.is_gone() => is_gone = true,
                    Err(error) => self.refused(&name, error)?,
                }
            }
            if !is_gone {
                return Ok(());
            }
        }
        bail!(
            "{} is being compacted all the time; try again",
            plain(prefix)
        )
    }

    /// Counts an object that cannot be used. A store that does not answer ends the command.
    pub(super) fn refused(&mut self, name: &str, error: Unusable) -> anyhow::Result<()> {
        if let Unusable::Store(error) = error {
            match error {
                tracer_fleet::StoreError::TooLarge { .. }
                | tracer_fleet::StoreError::Refused(_) => {
                    self.refuse(name, &Unusable::Store(error));
                    return Ok(());
                }
                error => return Err(error.into()),
            }
        }
        self.refuse(name, &error);
        Ok(())
    }

    fn refuse(&mut self, name: &str, error: &Unusable) {
        if self.problems.values().sum::<u64>() < MAX_NAMED {
            say!("left out {}: {}", plain(name), plain(&error.to_string()));
        }
        *self.problems.entry(error.kind()).or_default() += 1;
    }

    /// All objects of a key together.
    pub(super) fn gather(&mut self, prefix: &str) -> anyhow::Result<Gathering> {
        let mut gathering = Gathering::default();
        self.each(prefix, |_, _, object| gathering.add(object))?;
        Ok(gathering)
    }

    /// How the command ends: what was left out is a check that failed.
    pub(super) fn exit(&self) -> Exit {
        let all: u64 = self.problems.values().sum();
        if all == 0 {
            return Exit::Fine;
        }
        let kinds: Vec<_> = self
            .problems
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let all = usize::try_from(all).unwrap_or(usize::MAX);
        say!(
            "{} left out: {}",
            counted(all, "object was", "objects were"),
            kinds.join(", ")
        );
        Exit::No
    }

    /// The same, for machines.
    pub(super) const fn problems(&self) -> &BTreeMap<&'static str, u64> {
        &self.problems
    }
}

/// A time of the store's clock.
pub(super) fn time(milliseconds: u64) -> String {
    let time = i64::try_from(milliseconds)
        .ok()
        .map(Timestamp::from_millisecond);
    match time {
        Some(Ok(time)) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        _ => "-".to_owned(),
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

/// The image, as short as people write it.
pub(super) fn short_image(image: &str) -> String {
    match tracer_core::agent::short_image(image) {
        "" => "-".to_owned(),
        short => short.to_owned(),
    }
}

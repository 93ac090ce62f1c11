//! `tracer fleet compact` and `gc`: keep a store small.

use std::time::Duration;

use super::{
    super::{
        Exit, Failure, print,
        rollout::span,
        stderr::{plain, say},
    },
    source::{Source, StoreArgs, now_ms, time},
};
use tracer_core::{
    agent::Span,
    fleet::{Kept, MIN_AGE_OF_GARBAGE, Planner, split},
    recording::plain_text::counted,
};
use tracer_fleet::{
    Put,
    object::{self, pack},
};

/// Put the objects of each workload together, and delete those that others replace.
///
/// Anybody may run it at any time. It writes one object of all that a workload has. A later run deletes what that
/// object replaces, when it has been in the store for the grace time, so that readers have finished. Nothing
/// is deleted that no newer object says too.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer fleet compact\n",
    "  tracer fleet compact shop --grace 10m",
))]
pub(super) struct CompactArgs {
    #[command(flatten)]
    store: StoreArgs,

    /// How long an object must have been in the store before what it replaces is deleted; 0s for no time
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = grace)]
    grace: Duration,

    /// Maximum size of an object
    #[arg(long, value_name = "BYTES", default_value_t = 512 << 10, value_parser = clap::value_parser!(u64).range(16 << 10..=8 << 20))]
    max_bytes: u64,

    /// Only these workloads: NAMESPACE/OWNER or NAMESPACE/KIND/OWNER/CONTAINER
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<String>,
}

/// Delete workloads that nothing new came of for a long time.
///
/// All objects of a workload and image go, or none. Without --delete it only says which.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer fleet gc --older-than 90d\n",
    "  tracer fleet gc --older-than 90d --delete shop",
))]
pub(super) struct GcArgs {
    #[command(flatten)]
    store: StoreArgs,

    /// Time since the last object of the workload, 14d at least
    #[arg(long, value_name = "TIME", value_parser = age_of_garbage)]
    older_than: Span,

    /// Delete them
    #[arg(long)]
    delete: bool,

    /// Only these workloads: NAMESPACE/OWNER or NAMESPACE/KIND/OWNER/CONTAINER
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<String>,
}

fn age_of_garbage(text: &str) -> Result<Span, String> {
    let span: Span = text.parse()?;
    if Duration::from(span).as_millis() < u128::from(MIN_AGE_OF_GARBAGE) {
        return Err(
            "it is 14d at least: a workload that runs and does nothing new ships once a week"
                .into(),
        );
    }
    Ok(span)
}

fn grace(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") {
        return Ok(Duration::ZERO);
    }
    text.parse::<Span>().map(Duration::from)
}

pub(super) fn compact(args: &CompactArgs) -> Result<Exit, Failure> {
    let mut source = args.store.open()?;
    for summary in source.named(&args.workloads)? {
        let (written, deleted) = compact_one(args, &mut source, &summary.prefix)?;
        if written + deleted > 0 {
            let line = format!(
                "{}: {} written, {} deleted\n",
                plain(&summary.key.workload()),
                counted(written, "object", "objects"),
                counted(deleted, "object", "objects")
            );
            print(line.as_bytes())?;
        }
    }
    Ok(source.exit())
}

fn compact_one(
    args: &CompactArgs,
    source: &mut Source,
    prefix: &str,
) -> anyhow::Result<(usize, usize)> {
    let grace_ms = u64::try_from(args.grace.as_millis()).unwrap_or(u64::MAX);
    let mut planner = Planner::new(now_ms(), grace_ms);
    // The newest first.
    for (written_ms, id) in source.names(prefix)?.into_iter().rev() {
        match object::read(source.store.as_ref(), &id) {
            Ok(object) => planner.add(Kept {
                id,
                written_ms,
                object,
            }),
            // Another run deletes it: what replaced it is there.
            Err(error) if error.is_gone() => {}
            Err(error) => source.refused(&id, error)?,
        }
    }
    let todo = planner.finish();
    let mut written = 0;
    if let Some(object) = todo.write {
        let done = split(object, &mut |it| pack(it).len() as u64 <= args.max_bytes);
        for part in done.parts {
            let packed = pack(&part);
            let put = source
                .store
                .put(&object::name(&part.key, &packed), &packed)?;
            written += usize::from(put == Put::Written);
        }
    }
    for name in &todo.delete {
        source.store.delete(name)?;
    }
    Ok((written, todo.delete.len()))
}

pub(super) fn gc(args: &GcArgs) -> Result<Exit, Failure> {
    let mut source = args.store.open()?;
    let older_than = Duration::from(args.older_than);
    let limit = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
    let mut count = 0;
    for summary in source.named(&args.workloads)? {
        if now_ms().saturating_sub(summary.last_ms) < limit {
            continue;
        }
        count += 1;
        let mut objects = summary.objects;
        if args.delete {
            let names = source.names(&summary.prefix)?;
            // Something may have come since.
            if names
                .iter()
                .any(|(written_ms, _)| now_ms().saturating_sub(*written_ms) < limit)
            {
                continue;
            }
            objects = names.len() as u64;
            for (_, name) in names {
                source.store.delete(&name)?;
            }
        }
        let line = format!(
            "{}  {}  {}  last {}  {}\n",
            summary.key.workload(),
            super::source::short_image(&summary.key.image),
            tracer_report::words::counted(objects, "object", "objects"),
            time(summary.last_ms),
            if args.delete {
                "deleted"
            } else {
                "would be deleted"
            }
        );
        print((plain(line.trim_end()) + "\n").as_bytes())?;
    }
    if count == 0 {
        say!("nothing is older than {}", span(older_than));
    } else if !args.delete {
        say!("nothing was deleted; give --delete to do so");
    }
    Ok(source.exit())
}

//! `tracer fleet diff`: what is new since a time or an object.

use anyhow::{Context as _, bail};
use jiff::Timestamp;

use super::{
    super::{Exit, Failure, print},
    list::Format,
    source::{StoreArgs, time},
};
use tracer_core::{diff::recordings, fleet::Gathering, recording::merge::Merge};

/// Show what is new in a workload since a time, or since an object was written.
///
/// Compares the objects from before that time with all objects. After `tracer fleet compact`, old facts may be shown as
/// new, since the merged object is newer than they are. If no older object is left, that is an error.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer fleet diff shop/cart --since 2026-11-01T00:00:00Z\n",
    "  tracer fleet diff shop/cart --since 3f2a91 --exit-code",
))]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,

    /// A time (RFC 3339), or the first digits of an object's digest
    #[arg(long, value_name = "TIME|OBJECT")]
    since: String,

    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// Exit with 3 when there is something new
    #[arg(long)]
    exit_code: bool,

    /// The workload: NAMESPACE/OWNER or NAMESPACE/KIND/OWNER/CONTAINER
    #[arg(value_name = "WORKLOAD")]
    workload: String,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut source = args.store.open()?;
    let summaries = source.one(&args.workload, false)?;
    let mut names = Vec::new();
    for summary in &summaries {
        names.extend(source.names(&summary.prefix)?);
    }
    let since = since(&args.since, &names)?;
    let (mut before, mut after) = (Merge::default(), Merge::default());
    let mut is_put_together = false;
    for summary in &summaries {
        let (mut old, mut all) = (Gathering::default(), Gathering::default());
        source.each(&summary.prefix, |written_ms, _, object| {
            if written_ms <= since {
                old.add(object.clone());
            } else {
                is_put_together |= object.compacted;
            }
            all.add(object);
        })?;
        old.finish()
            .into_iter()
            .for_each(|it| before.add(it.into_recording()));
        all.finish()
            .into_iter()
            .for_each(|it| after.add(it.into_recording()));
    }
    let since = time(since);
    let Some(before) = before.finish() else {
        return Err(Failure::from(anyhow::anyhow!(
            "the store has no object from before {since}{}",
            if is_put_together {
                "; it was compacted since then"
            } else {
                ""
            }
        )));
    };
    let after = after
        .finish()
        .context("the store has no usable object of this workload")?;
    let diff = recordings(&before, &after);
    let text = match args.format {
        Format::Text => tracer_report::diff_text(&diff, &since, "now"),
        Format::Json => serde_json::to_string_pretty(&diff)? + "\n",
    };
    print(text.as_bytes())?;
    let exit = source.exit();
    Ok(if args.exit_code && !diff.changes.is_empty() {
        Exit::No
    } else {
        exit
    })
}

/// The time given, or the time when the given object was written.
fn since(text: &str, names: &[(u64, String)]) -> anyhow::Result<u64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(u64::try_from(time.as_millisecond()).unwrap_or(0));
    }
    let is_meant = |name: &str| {
        name.rsplit('/')
            .next()
            .is_some_and(|it| it.starts_with(text))
            || name == text
    };
    let mut found = names.iter().filter(|(_, name)| is_meant(name));
    match (found.next(), found.next()) {
        (Some((written_ms, _)), None) => Ok(*written_ms),
        (Some(_), Some(_)) => bail!("several objects begin with {text}; give more digits"),
        (None, _) => bail!(
            "{text} is neither a time (2026-11-01T00:00:00Z) nor the first digits of an object's digest"
        ),
    }
}

//! `tracer rollout`: whether a workload's profile may be enforced.

use std::time::Duration;

use clap::Subcommand;
use jiff::SignedDuration;
use serde_json::json;

use super::{
    Exit, Failure, print,
    spool::{self, SpoolArgs, plain_lines, unseen},
    text_or_json::TextOrJson,
};
use tracer_core::agent::{Missing, Rollout, RolloutStatus, SpoolKey};
use tracer_report::words;

/// Say whether a workload's profile may be enforced.
///
/// Looks at what an agent has recorded and at the thresholds of its configuration. Nothing is changed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say "enforce" (exit status 0) or "not yet" and why (exit status 3)
    Status(StatusArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer rollout status shop/cart\n",
    "  tracer rollout status shop/cart && kubectl apply -f cart/",
))]
struct StatusArgs {
    #[command(flatten)]
    spool: SpoolArgs,

    /// Output format
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: TextOrJson,

    /// The workload: NAMESPACE/OWNER, or any part of what `tracer spool list` prints
    #[arg(value_name = "WORKLOAD")]
    workload: String,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let Command::Status(args) = &args.command;
    let settings = args.spool.settings()?;
    let spool = spool::open(&settings)?;
    let (entry, recording) = spool::find(&spool, &args.workload)?;
    let status = RolloutStatus::from_recording(&recording);
    let missing = status.missing(&settings.rollout);
    let text = match args.format {
        TextOrJson::Text => plain_lines(&text(&entry.key, &status, &settings.rollout, &missing)),
        TextOrJson::Json => json_text(&entry.key, &status, &missing)?,
    };
    print(text.as_bytes())?;
    Ok(if missing.is_empty() {
        Exit::Fine
    } else {
        Exit::No
    })
}

fn text(
    key: &SpoolKey,
    status: &RolloutStatus,
    thresholds: &Rollout,
    missing: &[Missing],
) -> String {
    let quiet = status.quiet.map_or_else(|| "not known".to_owned(), span);
    let verdict = match missing {
        [] => "enforce".to_owned(),
        missing => {
            let missing: Vec<_> = missing.iter().map(sentence).collect();
            format!("not yet: {}", missing.join("; "))
        }
    };
    format!(
        "{}: {verdict}\n\
         image: {}\n\
         instances: {} ({} needed), {} from the start\n\
         calls: {}\n\
         nothing new for: {quiet} ({} needed)\n\
         unseen: {} (at most {} allowed)\n\
         losses: {} (at most {} allowed)\n",
        key.workload(),
        if key.image.is_empty() {
            "not known"
        } else {
            &key.image
        },
        status.instances,
        thresholds.instances,
        status.from_start,
        status.calls,
        span(thresholds.quiet.into()),
        unseen(&status.unseen),
        thresholds.unseen,
        words::losses(&status.losses),
        thresholds.losses,
    )
}

fn json_text(
    key: &SpoolKey,
    status: &RolloutStatus,
    missing: &[Missing],
) -> anyhow::Result<String> {
    let verdict = if missing.is_empty() {
        "enforce"
    } else {
        "not-yet"
    };
    let value = json!({
        "workload": key.workload(),
        "key": key,
        "verdict": verdict,
        "missing": missing.iter().map(sentence).collect::<Vec<_>>(),
        "instances": status.instances,
        "instances_from_start": status.from_start,
        "calls": status.calls,
        "quiet_s": status.quiet.map(|quiet| quiet.as_secs()),
        "unseen": status.unseen,
        "losses": status.losses,
        "unnamed": status.unnamed,
    });
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// One thing that is missing, in words.
fn sentence(missing: &Missing) -> String {
    match missing {
        Missing::Instances { seen, needed } => format!(
            "{} seen, {needed} needed",
            words::counted(*seen, "instance", "instances")
        ),
        Missing::NoStart => "no instance was recorded from its start; restart one".to_owned(),
        Missing::Quiet { quiet, needed } => match quiet {
            Some(quiet) => format!("quiet for {}, {} needed", span(*quiet), span(*needed)),
            None => "it is not known for how long nothing new came".to_owned(),
        },
        Missing::Unseen { high, allowed } => {
            format!(
                "up to {} may be unseen, {allowed} allowed",
                words::counted(*high, "call", "calls")
            )
        }
        Missing::NoEstimate(refusal) => words::refusal(refusal),
        Missing::Losses { lost, allowed } => {
            format!(
                "{} lost, {allowed} allowed",
                words::counted(*lost, "observation was", "observations were")
            )
        }
        Missing::Unnamed(count) => format!(
            "{} of its pods could not be named",
            words::counted(*count, "container", "containers")
        ),
        Missing::Reason(reason) => words::reason(reason),
    }
}

/// A span as people write it, in whole seconds.
pub(super) fn span(span: Duration) -> String {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::profile::apparmor::fixture::web;

    #[test]
    fn says_why_not_yet_in_one_line() {
        let status = RolloutStatus::from_recording(&web());
        let thresholds = Rollout::default();
        let missing = status.missing(&thresholds);
        let text = text(&SpoolKey::default(), &status, &thresholds, &missing);
        let first = text.lines().next().unwrap();
        assert!(
            first.contains("not yet: ") && first.contains("5 needed"),
            "{text}"
        );
        assert!(
            text.contains("nothing new for: ") && text.contains("24h needed"),
            "{text}"
        );
        for missing in [
            Missing::NoStart,
            Missing::Unseen {
                high: 1,
                allowed: 0,
            },
            Missing::Losses {
                lost: 1,
                allowed: 0,
            },
            Missing::Unnamed(2),
        ] {
            let said = sentence(&missing);
            assert!(
                !said.is_empty() && !said.contains('\n') && !said.ends_with('.'),
                "{said}"
            );
        }
    }
}

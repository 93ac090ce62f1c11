//! `tracer learn`: adds to a recording what a log says that its profile would have denied.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{Exit, Failure, input, stderr::say};
use crate::store::{self, OutputFile};
use tracer_core::{
    learn::{Learned, Learner, Selection},
    recording::{json, merge::Merge},
};
use tracer_recorder::{
    denials::{AuditLog, AuditMessage},
    record::signals::Signals,
};

/// What stands for the kernel's audit records.
const LIVE: &str = "live";

/// How long to wait for records before signals are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// The longest log that is read.
const MAX_LOG: u64 = 1 << 30;

/// Add to a recording what the log of its profile denied or would have denied.
///
/// Apply the profile in a mode that only logs: AppArmor with --complain, seccomp with SCMP_ACT_LOG as its
/// default action. Let the workload do what the recording lacks. Then give tracer the log: the file of
/// auditd, or the output of journalctl or dmesg. Root is not required.
///
/// Accesses that AppArmor denied are left out without --denied. Calls that a seccomp filter blocked are
/// recorded as blocked; `tracer generate --allow-blocked` allows them.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer learn profiles-out/web --from /var/log/audit/audit.log\n",
    "  journalctl --dmesg --output=short | tracer learn profiles-out/web --from -\n",
    "  tracer learn profiles-out/web --from live --duration 1h\n",
    "  tracer learn profiles-out/web --from audit.log --profile web --dry-run\n",
    "  tracer generate profiles-out/web",
))]
pub(super) struct Args {
    /// The recording to add to: a recording.json, or its directory
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,

    /// The log, `-` for standard input, `live` for the kernel's audit records from now on (repeatable)
    #[arg(long, value_name = "FILE", required = true, num_args = 1)]
    from: Vec<PathBuf>,

    /// End `--from live` after this time (90, 90s, 10m, 1h30m, 1d) [default: at Ctrl-C]
    #[arg(long, value_name = "TIME", value_parser = super::record::duration)]
    duration: Option<Duration>,

    /// The workload's AppArmor profile; its child profiles count too [default: the workload's name]
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,

    /// A program of the workload, by its path in the container, which is all that seccomp records name
    /// [default: all programs in the recording]
    #[arg(long, value_name = "PATH")]
    executable: Vec<String>,

    /// Also add accesses that AppArmor denied; they may have been an attack
    #[arg(long)]
    denied: bool,

    /// Print what would be added, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Print errors only
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let before =
        store::read(&args.recording).map_err(|error| input::what_it_is(&args.recording, error))?;
    let output = (!args.dry_run)
        .then(|| OutputFile::open(&args.recording, store::RECORDING_FILE))
        .transpose()?;
    let selection = Selection {
        profiles: args.profile.clone(),
        executables: args.executable.clone(),
        denied: args.denied,
    };
    let mut learner = Learner::new(&before, selection);
    for path in &args.from {
        if path.as_os_str() == LIVE {
            live(args, &mut learner)?;
            continue;
        }
        let path = if path.as_os_str() == "-" {
            "/dev/stdin".as_ref()
        } else {
            path.as_path()
        };
        let bytes = store::read_up_to(path, MAX_LOG)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if bytes.len() as u64 > MAX_LOG {
            return Err(anyhow::anyhow!(
                "{} is longer than 1 GiB: give a part of it",
                path.display()
            )
            .into());
        }
        for line in bytes.split(|byte| *byte == b'\n') {
            learner.line(&String::from_utf8_lossy(line));
        }
    }
    let Learned { seen, report } = learner.finish();
    if !args.quiet {
        for line in tracer_report::learned(&report).lines() {
            say!("{line}");
        }
    }
    if let (Some(seen), Some(output)) = (seen, output) {
        let mut merge = Merge::default();
        merge.add(before);
        merge.add(seen);
        let merged = merge.finish().context("nothing to merge")?;
        output.write(json::to_json(&merged).as_bytes())?;
        if !args.quiet {
            say!(
                "added to {}; next: tracer generate {}",
                args.recording.display(),
                args.recording.display()
            );
        }
    }
    Ok(Exit::Fine)
}

/// Reads the kernel's records until asked to stop.
fn live(args: &Args, learner: &mut Learner<'_>) -> Result<(), Failure> {
    let runtime = crate::cli::runtime::one_thread()?;
    runtime.block_on(async {
        let mut signals = Signals::catch_without_command().context("cannot catch signals")?;
        let mut source = AuditLog::open()?;
        if !args.quiet {
            say!("reading {} (Ctrl-C to stop)", source.name());
        }
        super::watch::warn_of_unlogged();
        let end = args
            .duration
            .and_then(|span| Instant::now().checked_add(span));
        loop {
            for told in source.read(LOOK).context("cannot read audit records")? {
                match told {
                    AuditMessage::Line(line) => learner.line(&line),
                    // At least one: the kernel does not say how many.
                    AuditMessage::Overflow(_) => learner.lost(1),
                }
            }
            let is_over = signals.pending().is_some_and(|it| it.asks_to_end())
                || end.is_some_and(|end| Instant::now() >= end);
            if is_over {
                learner.lost(source.lost().unwrap_or_default());
                return Ok(());
            }
        }
    })
}

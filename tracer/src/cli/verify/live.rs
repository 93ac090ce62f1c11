//! `tracer verify PROFILE -- CMD`: the command under the profile.

use std::{collections::BTreeSet, ffi::OsString, fs};

use tracer_core::recording::json;

use anyhow::Context as _;

use super::{Args, Exit, Failure, TextOrJson, input, label, write};
use crate::cli::{
    name, output,
    record::{failed, record_failure},
    stderr::say,
};
use crate::store::{self, OutputFile, StoreError};
use syscalls::{Abi, Machine, runtime_init::RuntimeSelection};
use tracer_core::{
    profile::seccomp::evaluate::{Filter, Host, OciRuntime},
    recording::{Blocked, Executable, Recording, SyscallId, merge::Merge, plain_text::plain},
    verify::{Answerer, Denials, Denied, Enforced, StoppedCall, VerifyInput, verify},
};
use tracer_recorder::{
    bpf::Settings,
    record::{Denial, NoSnapshots, Progress, ProgressListener, RunAs, command, signals::Signals},
};

/// Bytes of the ring: room for some 30,000 denials in the tenth of a second until it is looked at.
const RING: u32 = 4 << 20;

/// Runs the command, and says what was denied, or would have been.
pub(super) fn run(args: &Args, choice: &RuntimeSelection) -> Result<Exit, Failure> {
    if args.format == TextOrJson::Json && args.report.is_none() {
        let error = anyhow::anyhow!(
            "the command writes to standard output; give a file for the result with --output"
        );
        return Err(Failure::new(Exit::Usage, error));
    }
    if args.host.asked_for().is_some() {
        let error = anyhow::anyhow!("a command runs on this machine; remove --arch");
        return Err(Failure::new(Exit::Usage, error));
    }
    let enforced = enforced(args, choice).map_err(failed)?;
    let filter = Filter::new(&enforced.profile, enforced.host)
        .with_context(|| format!("no container starts under {}", args.profile.display()))
        .map_err(failed)?;
    // What cannot be updated is said before the command is run.
    let before = args
        .update
        .as_deref()
        .map(|path| {
            let before = store::read(path)?;
            Ok((OutputFile::open(path, store::RECORDING_FILE)?, before))
        })
        .transpose()
        .map_err(|error: StoreError| failed(error))?;
    let runtime = crate::cli::runtime::one_thread().map_err(failed)?;
    runtime.block_on(async {
        let mut signals = Signals::catch()
            .context("cannot catch signals")
            .map_err(failed)?;
        let mut told = DenialCollector {
            what: label(&args.profile),
            log_only: args.log_only,
            quiet: args.quiet,
            filter: filter.clone(),
            denials: Denials::default(),
            filters: own_filters().map(|own| own.saturating_add(1)),
            told: BTreeSet::new(),
        };
        let request = request(args, &filter, enforced.host.native)?;
        let (recording, status) = command::run(request, &mut signals, &mut NoSnapshots, &mut told)
            .await
            .map_err(record_failure)?;
        if let Some((output, before)) = before {
            update(output, before, recording.clone()).map_err(failed)?;
        }
        let denies = if args.log_only {
            would_be_denied(args, &recording, enforced).map_err(failed)?
        } else {
            were_denied(args, told, &recording).map_err(failed)?
        };
        let command = Exit::from_status(status);
        if !args.quiet {
            output::coverage(&recording, false);
            say!("the command exited with status {}", command.code());
            if denies {
                next_step(args);
            }
        }
        Ok(if denies { Exit::No } else { command })
    })
}

/// The commands that allow what was denied.
fn next_step(args: &Args) {
    let recording = args.update.as_deref().map(label);
    let recording = recording.as_deref();
    let command = shell_words(&args.command);
    if args.log_only
        && let Some(recording) = recording
    {
        say!(
            "next: to allow the calls, run: tracer generate {}",
            plain(recording)
        );
        return;
    }
    say!(
        "next: to allow the calls, run: tracer verify {} --log-only --update {} -- {} && tracer generate {}",
        plain(&label(&args.profile)),
        plain(recording.unwrap_or("RECORDING")),
        plain(&command),
        plain(recording.unwrap_or("RECORDING"))
    );
}

fn shell_words(command: &[OsString]) -> String {
    let words: Vec<_> = command
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    tracer_report::escape::shell_words(&words)
}

/// The profile as it is enforced here.
fn enforced(args: &Args, choice: &RuntimeSelection) -> anyhow::Result<Enforced> {
    let native = Machine::this()
        .context("tracer does not know this architecture")?
        .native;
    let read = input::seccomp(&args.profile)?;
    let runtime = super::runtimes(choice)
        .first()
        .copied()
        .unwrap_or(OciRuntime::Runc);
    Ok(Enforced {
        profile: args.host.resolve(&read, native, &[])?,
        host: Host {
            native,
            ..args.host.host(native, runtime)
        },
    })
}

fn request(args: &Args, filter: &Filter, native: Abi) -> Result<command::Request, Failure> {
    let program = if args.log_only {
        None
    } else {
        starts(filter, native).map_err(failed)?;
        Some(filter.program().map_err(failed)?)
    };
    let user = args.user.as_deref().map(RunAs::resolve).transpose();
    let user = user.map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(command::Request {
        name: name::from_command(&args.command),
        command: args.command.clone(),
        user,
        follow: false,
        duration: None,
        until_stable: None,
        settings: Settings {
            report_every_blocked: program.is_some(),
            ring_bytes: RING,
            ..Settings::default()
        },
        filter: program,
    })
}

/// A filter that denies the call by which the command is started leaves nothing to run; and one that lets
/// nobody exit would leave a process that cannot even fail.
fn starts(filter: &Filter, native: Abi) -> anyhow::Result<()> {
    for name in ["execve", "exit_group"] {
        let nr = native.syscall_number(name).unwrap_or_default();
        let verdict = filter
            .evaluate(SyscallId { abi: native, nr }, [0; 6])
            .verdict;
        anyhow::ensure!(
            verdict.allows(),
            "the profile answers {name} with {verdict}, so no program can run under it; allow {name}, or use --log-only"
        );
    }
    Ok(())
}

/// Tells what the filter stopped, in the end.
fn were_denied(args: &Args, told: DenialCollector, recording: &Recording) -> anyhow::Result<bool> {
    let report = told.denials.finish(recording, &told.filter);
    if let Some(file) = &args.report {
        let text = match args.format {
            TextOrJson::Json => serde_json::to_string_pretty(&report)? + "\n",
            TextOrJson::Text => tracer_report::denials(&report, &told.what),
        };
        write(file, &text)?;
    }
    if !args.quiet {
        for line in tracer_report::denials(&report, &told.what)
            .lines()
            .filter(|it| !it.is_empty())
        {
            say!("{line}");
        }
        if recording.coverage.losses.events > 0 && !report.denied.is_empty() {
            say!("some events were lost: the numbers are lower bounds");
        }
    }
    if args.quiet {
        // Denials, and what may be one, are told whatever --quiet says.
        let late = report.denied.iter();
        for denied in late.filter(|it| !told.told.contains(&kind(it))) {
            say!("denied: {}", denied.describe());
        }
        for undecided in &report.undecided {
            say!("{}", tracer_report::undecided_call(undecided));
        }
    }
    Ok(!report.denied.is_empty() || args.require_decided && !report.undecided.is_empty())
}

/// Tells what the filter would have stopped.
fn would_be_denied(args: &Args, recording: &Recording, enforced: Enforced) -> anyhow::Result<bool> {
    let report = verify(&VerifyInput {
        profiles: vec![enforced],
        recordings: vec![("this run".to_owned(), recording)],
        runtime_init: RuntimeSelection::None,
        no_new_privileges: Some(true),
        terminal: true,
    });
    let text = match args.format {
        TextOrJson::Text => tracer_report::verification(&report, &label(&args.profile)),
        TextOrJson::Json => serde_json::to_string_pretty(&report)? + "\n",
    };
    if let Some(file) = &args.report {
        write(file, &text)?;
    }
    // Denials are told whatever --quiet says.
    let denies = super::verdict(args, &report) == Exit::No;
    if denies || !args.quiet {
        for line in tracer_report::verification(&report, &label(&args.profile))
            .lines()
            .filter(|it| !it.is_empty())
        {
            say!("{line}");
        }
    }
    Ok(denies)
}

/// Merges what was seen into a recording that there was before.
fn update(output: OutputFile, before: Recording, mut seen: Recording) -> anyhow::Result<()> {
    seen.workload.name.clone_from(&before.workload.name);
    let mut merge = Merge::default();
    merge.add(before);
    merge.add(seen);
    let merged = merge.finish().context("nothing to merge")?;
    Ok(output.write(json::to_json(&merged).as_bytes())?)
}

/// Who is told, while it runs.
struct DenialCollector {
    what: String,
    log_only: bool,
    quiet: bool,
    filter: Filter,
    denials: Denials,
    /// How many filters the command is under when it starts: the profile, and tracer's own.
    filters: Option<u8>,
    /// The denials that were told at once.
    told: BTreeSet<DenialKind>,
}

/// What was denied, to whom, and what it saw: denials that are alike in it are told once.
type DenialKind = (String, Abi, Executable, Blocked);

fn kind(it: &Denied) -> DenialKind {
    (it.call.clone(), it.abi, it.executable.clone(), it.saw)
}

/// How many filters tracer itself is under, which the command inherits (`Seccomp_filters`, since Linux 5.9).
fn own_filters() -> Option<u8> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let count = lines.find_map(|line| line.strip_prefix("Seccomp_filters:"))?;
    count.trim().parse().ok()
}

impl ProgressListener for DenialCollector {
    fn began(&mut self, what: &str) {
        if !self.quiet {
            let how = if self.log_only {
                "recording"
            } else {
                "running"
            };
            say!("{how} {what}, to verify {}", plain(&self.what));
        }
    }

    fn note(&mut self, text: &str) {
        say!("{text}");
    }

    fn ends(&mut self, why: &str) {
        say!("{why}");
    }

    fn progress(&mut self, _: &Progress) {}

    fn denied(&mut self, denial: Denial) {
        let Denial {
            call,
            executable,
            saw,
            seen,
            filters,
        } = denial;
        let others = filters.zip(self.filters).map(|(all, first)| all > first);
        let stopped = StoppedCall {
            call,
            executable,
            saw,
            seen,
            others,
        };
        let Some(first) = self.denials.add(stopped, &self.filter) else {
            return;
        };
        // In the end only it is known whether its caller falls back, and whether filters were loaded.
        let is_denied = matches!(first.answerer, Answerer::Profile | Answerer::Either);
        if is_denied && !first.may_fall_back(&self.filter) {
            say!("denied: {}", first.describe());
            self.told.insert(kind(&first));
        }
    }
}

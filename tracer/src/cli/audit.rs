//! `tracer audit`: gaps, needless permissions and breakage in profiles.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    Exit, Failure,
    apparmor_includes::AppArmorIncludes,
    host::{self, CapabilityEntry, arch},
    input,
    stderr::{plain, say},
};
use syscalls::{Abi, Machine};
use tracer_core::{
    audit::{
        self, Context, Finding, Input, Known, Lookup, ParseError, Report, Severity, output,
        rules::{self, Rule},
    },
    parse::{self, Subject},
    profile::seccomp::read::KernelVersion,
    recording::Recording,
};

/// Find gaps, needless permissions and breakage in existing profiles and manifests.
///
/// Reads seccomp profiles (runtime-spec, Docker, Podman; JSON or YAML), SeccompProfile and AppArmorProfile
/// objects, ConfigMaps with profiles, pod manifests with the profiles that they name, Compose files, the output of
/// docker inspect, config.json of the runtime-spec, and AppArmor text; directories are searched. Rules are evaluated as the runtime and libseccomp do, for each ABI.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer audit seccomp.json\n",
    "  tracer audit --recording profiles-out/nginx seccomp.json\n",
    "  tracer audit --baseline /usr/share/containers/seccomp.json --fail-on medium profiles/\n",
    "  tracer audit --format sarif deploy/ > audit.sarif\n",
    "  tracer audit --fix deny.json > fixed.json\n",
    "  tracer audit --explain equivalent-syscall-allowed",
))]
pub(super) struct Args {
    /// Profiles and manifests, or directories of them
    #[arg(required_unless_present = "explain", value_name = "PROFILE")]
    profiles: Vec<PathBuf>,

    /// A recording of the workload, to find breakage and needless rules (repeatable)
    #[arg(long, value_name = "RECORDING")]
    recording: Vec<PathBuf>,

    /// Report calls that this seccomp profile blocks and the audited one allows; FILE#NAME selects one
    #[arg(long, value_name = "PROFILE")]
    baseline: Option<PathBuf>,

    /// Directory in which a manifest's localhostProfile is looked up
    #[arg(long, default_value = "/var/lib/kubelet/seccomp", value_name = "DIR")]
    profile_root: PathBuf,

    /// Directory of the files that AppArmor profiles include
    #[arg(long, default_value = "/etc/apparmor.d", value_name = "DIR")]
    apparmor_root: PathBuf,

    /// Capabilities of the container (comma-separated, `all` or `none`), which select entries of Docker's
    /// form; a manifest's own win [default: Docker's]
    #[arg(long, alias = "capability", value_delimiter = ',', value_name = "CAP")]
    capabilities: Option<Vec<CapabilityEntry>>,

    /// Kernels that the profiles are for: 5.10, or 5.10..6.8; newer system calls are not reported [default:
    /// any kernel]
    #[arg(long, value_name = "A..B", value_parser = kernels)]
    kernel: Option<(KernelVersion, KernelVersion)>,

    /// Architecture: x86_64 (amd64), i386, aarch64 (arm64), arm or riscv64 [default: this machine]
    #[arg(long, value_name = "MACHINE", value_parser = arch)]
    arch: Option<Abi>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    format: Format,

    /// Exit with 3 if a finding has at least this severity: info, low, medium, high, critical or never
    #[arg(long, default_value = "high", value_parser = fail_on, value_name = "SEVERITY")]
    fail_on: FailOn,

    /// Ignore the findings of a rule (repeatable, comma-separated); in YAML and AppArmor also by a comment:
    /// # tracer:ignore RULE reason
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = rule)]
    ignore: Vec<&'static str>,

    /// Ignore findings that are in this earlier report (--format json)
    #[arg(long, value_name = "FILE")]
    baseline_findings: Option<PathBuf>,

    /// Print the fixed profile instead of the findings; takes one file
    #[arg(long, conflicts_with_all = ["format", "baseline_findings"])]
    fix: bool,

    /// Print the explanation of a rule and how to fix its findings; `all` for all rules
    #[arg(long, value_name = "ID", conflicts_with = "profiles")]
    explain: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

/// What makes the answer no; `None`: nothing.
#[derive(Clone, Copy, Debug)]
struct FailOn(Option<Severity>);

fn fail_on(text: &str) -> Result<FailOn, String> {
    if text == "never" {
        return Ok(FailOn(None));
    }
    let severity = text
        .parse()
        .map_err(|known| format!("{known}, and never"))?;
    Ok(FailOn(Some(severity)))
}

fn rule(id: &str) -> Result<&'static str, String> {
    let rule = rules::named(id).map(|rule| rule.id);
    rule.ok_or_else(|| "not a rule; tracer audit --explain all lists them".to_owned())
}

/// One version, or the oldest and the newest.
fn kernels(text: &str) -> Result<(KernelVersion, KernelVersion), String> {
    let one = |text: &str| {
        text.parse::<KernelVersion>()
            .map_err(|error| error.to_string())
    };
    let Some((oldest, newest)) = text.split_once("..") else {
        let only = one(text)?;
        return Ok((only, only));
    };
    let (oldest, newest) = (one(oldest)?, one(newest)?);
    if oldest > newest {
        return Err(format!(
            "{oldest} is newer than {newest}; write the older one first"
        ));
    }
    Ok((oldest, newest))
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    if let Some(id) = &args.explain {
        return explain(id);
    }
    let Files {
        inputs,
        mut malformed,
        passed_over,
    } = inputs(&args.profiles)?;
    let capabilities = match &args.capabilities {
        Some(list) => host::capabilities(list),
        None => Context::usual_capabilities(),
    };
    let recordings = args.recording.iter().map(|path| input::recording(path));
    let recordings: Vec<Recording> = recordings.collect::<Result<_, _>>()?;
    let lookup = |name: &str| lookup(&args.profile_root, name);
    let includes = AppArmorIncludes::new(&args.apparmor_root);
    let mut context = Context {
        native: args
            .arch
            .or(Machine::this().map(|machine| machine.native))
            .unwrap_or(Abi::X86_64),
        capabilities: &capabilities,
        kernel_version: kernel(args),
        kernels: args.kernel,
        recordings: &recordings,
        in_container: false,
        no_new_privileges: None,
        baseline: None,
        lookup: &lookup,
        includes: &|name| includes.find(name),
    };
    let baseline = args
        .baseline
        .as_deref()
        .map(|path| baseline(path, &context));
    let baseline = baseline.transpose()?;
    context.baseline = baseline
        .as_ref()
        .map(|(name, profile)| (name.as_str(), profile));
    if args.fix {
        return fix(args, &inputs, malformed, &context);
    }
    let mut report = audit::run(&inputs, &context);
    malformed.append(&mut report.malformed);
    report.malformed = malformed;
    report.unrecognized.extend(passed_over);
    let before = report.findings.len();
    report
        .findings
        .retain(|finding| !args.ignore.contains(&finding.id));
    report.ignored += before - report.findings.len();
    if let Some(path) = &args.baseline_findings {
        let failed = || format!("cannot read {}", path.display());
        let text = fs::read_to_string(path).with_context(failed)?;
        let known = Known::from_json(&text).with_context(failed)?;
        report.ignored += known.take_from(&mut report);
    }
    print(args, &inputs, &report)?;
    Ok(exit(args, &report))
}

/// Prints a file with its findings fixed.
fn fix(
    args: &Args,
    inputs: &[Input],
    malformed: Vec<ParseError>,
    context: &Context<'_>,
) -> Result<Exit, Failure> {
    if let Some(malformed) = malformed.into_iter().next() {
        return Err(anyhow::Error::from(malformed).into());
    }
    let [input] = inputs else {
        let error = anyhow::anyhow!("--fix takes one file; {} were given", inputs.len());
        return Err(Failure::new(Exit::Usage, error));
    };
    let fixed = audit::fixed(input, context, &|id| args.ignore.contains(&id))
        .map_err(anyhow::Error::from)?;
    super::print(fixed.text.as_bytes())?;
    match fixed.changes {
        0 => say!("{}: nothing to fix", plain(input.name())),
        1 => say!("{}: 1 change", plain(input.name())),
        count => say!("{}: {count} changes", plain(input.name())),
    }
    Ok(Exit::Fine)
}

fn exit(args: &Args, report: &Report) -> Exit {
    let FailOn(least) = args.fail_on;
    let mut severities = report.findings.iter().map(|finding| finding.severity);
    if !report.malformed.is_empty() || report.profiles == 0 {
        Exit::Failed
    } else if least.is_some_and(|least| severities.any(|severity| severity >= least)) {
        Exit::No
    } else {
        Exit::Fine
    }
}

fn print(args: &Args, inputs: &[Input], report: &Report) -> anyhow::Result<()> {
    for malformed in &report.malformed {
        say!("{}", plain(&malformed.to_string()));
    }
    passed_over(&report.unrecognized);
    let text = match args.format {
        Format::Text => {
            let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            output::text(report, inputs, colour)
        }
        Format::Json => output::json(report),
        Format::Sarif => output::sarif(report),
        Format::Github => output::github(report),
    };
    super::print(text.as_bytes())?;
    if matches!(args.format, Format::Text) {
        say!("{}", output::summary(report));
        next_step(args, inputs, report);
    }
    Ok(())
}

/// The command that closes what was found.
fn next_step(args: &Args, inputs: &[Input], report: &Report) {
    let can_be_fixed = report.findings.iter().any(Finding::is_fixable);
    if let (true, [input]) = (can_be_fixed, inputs) {
        say!(
            "next: to close the gaps, run: tracer audit --fix {}",
            plain(input.name())
        );
    } else if args.recording.is_empty() && !report.findings.is_empty() {
        say!("next: to see what the workload needs, add --recording RECORDING");
    }
}

/// Reports which files of directories were not audited, and why.
fn passed_over(files: &[ParseError]) {
    const MAX_SHOWN: usize = 20;
    for file in files.iter().take(MAX_SHOWN) {
        say!("skipped {}", plain(&file.to_string()));
    }
    match files.len().saturating_sub(MAX_SHOWN) {
        0 => {}
        1 => say!("skipped 1 more file"),
        more => say!("skipped {more} more files"),
    }
}

fn explain(id: &str) -> Result<Exit, Failure> {
    let chosen: Vec<&Rule> = if id == "all" {
        rules::ALL.to_vec()
    } else {
        let Some(rule) = rules::named(id) else {
            return Err(Failure::new(Exit::Usage, unknown_rule(id)));
        };
        vec![rule]
    };
    let texts: Vec<_> = chosen.into_iter().map(rules::explain).collect();
    super::print(texts.join("\n").as_bytes())?;
    Ok(Exit::Fine)
}

/// The nearest rule, or all of them.
fn unknown_rule(id: &str) -> anyhow::Error {
    let known = rules::ALL.iter().map(|rule| rule.id);
    let nearest = known
        .clone()
        .map(|it| (syscalls::distance(id, it), it))
        .min();
    match nearest {
        Some((distance, nearest)) if distance <= id.len() / 3 => {
            anyhow::anyhow!("unknown rule {id}; did you mean {nearest}?")
        }
        _ => {
            let known: Vec<_> = known.collect();
            anyhow::anyhow!("unknown rule {id}; the rules are {}", known.join(", "))
        }
    }
}

/// What was read of files and directories.
#[derive(Default)]
struct Files {
    inputs: Vec<Input>,
    /// Named files that are no text.
    malformed: Vec<ParseError>,
    /// Those of directories.
    passed_over: Vec<ParseError>,
}

/// The files to look at: those that are named, and what is below directories, by name.
fn inputs(paths: &[PathBuf]) -> anyhow::Result<Files> {
    let mut files_read = Files::default();
    let mut seen = BTreeSet::new();
    for path in paths {
        let is_directory = path.is_dir();
        let mut files = Vec::new();
        if is_directory {
            walk(path, 0, &mut files)?;
            files.sort();
        } else {
            files.push(path.clone());
        }
        for file in files {
            if !seen.insert(file.clone()) {
                continue;
            }
            match input::file(&file)? {
                Ok(input) if is_directory => files_read.inputs.push(input.found()),
                Ok(input) => files_read.inputs.push(input),
                // What lies about in a directory may be anything.
                Err(error) if is_directory => files_read.passed_over.push(error),
                Err(error) => files_read.malformed.push(error),
            }
        }
    }
    Ok(files_read)
}

/// Files that may hold a profile; links are not followed, so there are no circles.
fn walk(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    const MAX_WALK_DEPTH: usize = 32;
    let failed = || format!("cannot read the directory {}", directory.display());
    for entry in fs::read_dir(directory).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let kind = entry.file_type().with_context(failed)?;
        let path = entry.path();
        if kind.is_dir() && depth < MAX_WALK_DEPTH {
            walk(&path, depth + 1, files)?;
        } else if kind.is_file() {
            let extension = path.extension().and_then(|it| it.to_str());
            if matches!(
                extension,
                None | Some("json" | "yaml" | "yml" | "profile" | "apparmor")
            ) {
                files.push(path);
            }
        }
    }
    Ok(())
}

/// The profile that a manifest names. Kubernetes itself refuses a path that leads out of the directory.
fn lookup(root: &Path, name: &str) -> Lookup {
    let path = root.join(name);
    let leads_out = Path::new(name)
        .components()
        .any(|part| !matches!(part, std::path::Component::Normal(_)));
    if leads_out || !path.is_file() {
        return Lookup::Missing(path.display().to_string());
    }
    match input::file(&path) {
        Ok(Ok(input)) => Lookup::Found(input),
        Ok(Err(malformed)) => Lookup::ParseError(malformed),
        Err(error) => Lookup::ParseError(ParseError {
            file: path.display().to_string(),
            position: None,
            what: format!("{error:#}"),
        }),
    }
}

fn kernel(args: &Args) -> KernelVersion {
    let release = || {
        let uname = nix::sys::utsname::uname().ok()?;
        uname.release().to_str()?.parse().ok()
    };
    // A kernel that says nothing of itself is no older than those that tracer runs on.
    let oldest = KernelVersion::new(5, 8);
    // An entry with minKernel counts on the oldest kernel only when that has it.
    let asked = args.kernel.map(|(from, _)| from);
    asked.or_else(release).unwrap_or(oldest)
}

fn baseline(
    path: &Path,
    context: &Context<'_>,
) -> anyhow::Result<(String, tracer_core::profile::seccomp::oci::OciSeccomp)> {
    let (file, name) = input::split(path);
    let file = input::file(&file)??;
    let profile = audit::plain(&file, name.as_deref(), context)?;
    let read = parse::choose_seccomp(&file, name.as_deref())?;
    input::remark(&file, &Subject::Seccomp(Box::new(read)));
    Ok((path.display().to_string(), profile))
}

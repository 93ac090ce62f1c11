//! gVisor's runtime: its command line, its running sandboxes, and what it can report.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use super::{
    GvisorError,
    session::{Points, SESSION},
    trusted::{Runsc, trusted},
};

/// The option that makes a sandbox report from its first call.
pub(super) const POD_INIT_CONFIG: &str = "pod-init-config";

/// The option without which runsc ignores a container's seccomp profile.
const OCI_SECCOMP: &str = "oci-seccomp";

/// Subcommands that make a sandbox.
const STARTS: [&str; 3] = ["run", "create", "do"];

/// Options before the subcommand that take no value, so that the word after one is the next option or the
/// subcommand (runsc/config/flags.go: booleans of both versions that a person types).
const BOOLEANS: [&str; 21] = [
    "EXPERIMENTAL-afxdp",
    "TESTONLY-unsafe-nonroot",
    "allow-flag-override",
    "alsologtostderr",
    "buffer-pooling",
    "cgroupfs",
    "debug",
    "directfs",
    "enable-core-tags",
    "gso",
    "ignore-cgroups",
    "log-packets",
    "net-raw",
    "oci-seccomp",
    "overlay",
    "profile",
    "rootless",
    "strace",
    "strace-event",
    "systemd-cgroup",
    "host-settings",
];

/// A command line of runsc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunscCommand {
    /// What to run: the given words, and the option that makes it report.
    pub(super) words: Vec<OsString>,
    /// `run`, `create` or `do`.
    pub(super) subcommand: String,
    /// The bundle; `None` for `do`, whose container has this machine's files.
    pub(super) bundle: Option<PathBuf>,
    /// Whether a profile in the bundle is in force.
    pub(super) applies_seccomp: bool,
}

/// An option as Go's package flag reads it: one dash or two, its value after `=` or in the next word.
fn option(word: &OsStr) -> Option<(&str, Option<&OsStr>)> {
    let bytes = word.as_bytes();
    let bare = bytes.strip_prefix(b"-")?;
    let bare = bare.strip_prefix(b"-").unwrap_or(bare);
    let end = bare.iter().position(|byte| *byte == b'=');
    let (name, rest) = bare.split_at(end.unwrap_or(bare.len()));
    let value = end.and_then(|_| rest.get(1..)).map(OsStr::from_bytes);
    Some((std::str::from_utf8(name).ok()?, value))
}

impl RunscCommand {
    /// Reads a command line whose first word is runsc's program, and adds the option that makes the sandbox
    /// report to `config`.
    ///
    /// # Errors
    /// When it starts no sandbox, or has the option already.
    pub(super) fn parse(given: &[OsString], config: &Path) -> Result<Self, GvisorError> {
        let no_start = || GvisorError::NoStart {
            command: given.join(OsStr::new(" ")),
        };
        let (program, rest) = given.split_first().ok_or_else(no_start)?;
        let mut words = rest.iter();
        let mut applies_seccomp = false;
        let subcommand = loop {
            let word = words.next().ok_or_else(no_start)?;
            let Some((name, value)) = option(word) else {
                break word.to_str().ok_or_else(no_start)?;
            };
            if name == POD_INIT_CONFIG {
                return Err(GvisorError::HasConfig);
            }
            if name == OCI_SECCOMP {
                applies_seccomp = value.is_none_or(|value| value != "false");
            }
            if value.is_none() && !BOOLEANS.contains(&name) {
                words.next();
            }
        };
        if !STARTS.contains(&subcommand) {
            return Err(no_start());
        }
        let bundle = (subcommand != "do").then(|| bundle_of(words).unwrap_or_else(|| ".".into()));
        let mut option = OsString::from(format!("--{POD_INIT_CONFIG}="));
        option.push(config);
        let head = [program.clone(), option];
        Ok(Self {
            words: head.into_iter().chain(rest.iter().cloned()).collect(),
            subcommand: subcommand.to_owned(),
            bundle,
            applies_seccomp,
        })
    }
}

/// What `--bundle` says among the words after the subcommand.
fn bundle_of<'a>(mut words: impl Iterator<Item = &'a OsString>) -> Option<PathBuf> {
    while let Some(word) = words.next() {
        match option(word) {
            Some(("bundle", Some(value))) => return Some(value.into()),
            Some(("bundle", None)) => return words.next().map(PathBuf::from),
            _ => {}
        }
    }
    None
}

/// A sandbox that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunningSandbox {
    /// The id of the container.
    pub(super) container: String,
    /// runsc's directory of state: a whole path that only root can change.
    pub(super) root: PathBuf,
    /// The program that is executed to speak to the sandbox. A sandbox's own word for it never counts.
    pub(super) program: PathBuf,
    /// Its bundle, where the sandbox's command line names it.
    pub(super) bundle: Option<PathBuf>,
    /// Whether profiles in bundles are in force in it.
    pub(super) applies_seccomp: bool,
}

/// What was found among the processes.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The containers that are meant.
    pub(super) sandboxes: Vec<RunningSandbox>,
    /// Why a process that calls itself a sandbox is none.
    pub(super) refused: Option<String>,
}

/// The name that a sandbox has as its first word (runsc/sandbox/sandbox.go). Any process can have it.
const SANDBOX: &str = "runsc-sandbox";

/// Whether any process calls itself a sandbox.
pub(super) fn is_any_called_sandbox(proc: &Path) -> bool {
    processes_of(proc).any(|process| command_line(&process).is_some())
}

/// The running containers of `runsc` that `given` means: those whose id it is, else those whose id begins
/// with it.
///
/// The directory of state is the one that the sandbox's own command line names (runsc/sandbox/sandbox.go); its
/// files are called `SANDBOX_sandbox:CONTAINER.state` (runsc/container/state_file.go).
pub(super) fn find_running(proc: &Path, given: &str, runsc: &Runsc) -> Found {
    let mut found = Found::default();
    for process in processes_of(proc) {
        let Some(words) = command_line(&process) else {
            continue;
        };
        match of_process(&process, &words, runsc) {
            Ok(sandboxes) => found.sandboxes.extend(sandboxes),
            Err(why) => found.refused = Some(why),
        }
    }
    let sandboxes = &mut found.sandboxes;
    sandboxes.retain(|it| it.container.starts_with(given));
    if sandboxes.iter().any(|it| it.container == given) {
        sandboxes.retain(|it| it.container == given);
    }
    sandboxes.sort_by(|a, b| (&a.root, &a.container).cmp(&(&b.root, &b.container)));
    sandboxes.dedup();
    found
}

fn processes_of(proc: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// The options and the id of what calls itself a sandbox.
fn command_line(process: &Path) -> Option<Vec<OsString>> {
    let line = fs::read(process.join("cmdline")).ok()?;
    let mut words = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(OsStr::from_bytes);
    let program = Path::new(words.next()?).file_name()?;
    (program == SANDBOX).then(|| words.map(OsStr::to_owned).collect())
}

/// The containers of a process that calls itself a sandbox, or why it is none.
fn of_process(
    process: &Path,
    options: &[OsString],
    runsc: &Runsc,
) -> Result<Vec<RunningSandbox>, String> {
    if !runsc.is_run_by(process) {
        return Err(format!(
            "process {} calls itself a sandbox and does not run {:?}",
            process.file_name().unwrap_or_default().display(),
            runsc.path
        ));
    }
    let value = |wanted: &str| {
        let mut found = options.iter().filter_map(|word| option(word));
        found.find_map(|(name, value)| (name == wanted).then_some(value))
    };
    let no_state = || "a sandbox names no directory of state".to_owned();
    let sandbox = options.last().and_then(|word| word.to_str());
    let sandbox = sandbox.ok_or_else(no_state)?;
    let root = value("root")
        .flatten()
        .and_then(|root| whole_path(process, root.into()));
    let root = root.ok_or_else(no_state)?;
    let root = trusted(&root)
        .map_err(|cause| format!("the directory of state {root:?} is not used: {cause}"))?;
    let bundle = value("bundle").flatten();
    let bundle = bundle.and_then(|bundle| whole_path(process, bundle.into()));
    let of_container = |container: String| RunningSandbox {
        bundle: bundle.clone().filter(|_| container == sandbox),
        container,
        root: root.clone(),
        program: runsc.path.clone(),
        applies_seccomp: value(OCI_SECCOMP).is_some_and(|it| it.is_none_or(|it| it != "false")),
    };
    let mut containers = containers_of(&root, sandbox);
    if containers.is_empty() {
        containers.push(sandbox.to_owned());
    }
    Ok(containers.into_iter().map(of_container).collect())
}

/// A directory as a whole path. A relative one begins where runsc was started: the sandbox itself is in a
/// directory without files, but its parent, if that is still there, is not.
fn whole_path(process: &Path, given: PathBuf) -> Option<PathBuf> {
    if given.is_absolute() {
        return Some(given);
    }
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The name in brackets may have any characters (proc_pid_stat(5)).
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
    let started = fs::read_link(process.parent()?.join(parent).join("cwd"));
    let directories = started.into_iter().chain(std::env::current_dir());
    let mut paths = directories.map(|directory| directory.join(&given));
    paths.find(|path| path.is_dir())
}

fn containers_of(root: &Path, sandbox: &str) -> Vec<String> {
    let prefix = format!("{sandbox}_sandbox:");
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries
        .take(crate::container::MAX_ENTRIES)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let id = name.strip_prefix(&prefix)?.strip_suffix(".state")?;
            Some(id.to_owned())
        })
        .collect()
}

impl RunningSandbox {
    fn trace(&self, words: &[&OsStr]) -> Result<Output, GvisorError> {
        run(Command::new(&self.program)
            .arg("--root")
            .arg(&self.root)
            .arg("trace")
            .args(words)
            .arg(&self.container))
    }

    /// Makes it report as the file `config` says.
    pub(super) fn start_session(&self, config: &Path) -> Result<(), GvisorError> {
        self.trace(&["create".as_ref(), "--config".as_ref(), config.as_ref()])
            .map(drop)
    }

    /// Makes it report no more.
    pub(super) fn end_session(&self) -> Result<(), GvisorError> {
        self.trace(&["delete".as_ref(), "--name".as_ref(), SESSION.as_ref()])
            .map(drop)
    }

    /// Its processes, with the file that each runs.
    pub(super) fn processes(&self) -> Result<Vec<(i32, String)>, GvisorError> {
        let output = self.trace(&["procfs".as_ref()])?;
        Ok(processes(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// Reads what `runsc trace procfs` prints: a title, then a line of JSON for each process. The first process
/// comes first.
fn processes(text: &str) -> Vec<(i32, String)> {
    let process = |line: &str| {
        let process: Value = serde_json::from_str(line).ok()?;
        let pid = process.pointer("/status/pid")?.as_i64()?;
        let exe = process.get("exe")?.as_str()?;
        Some((i32::try_from(pid).ok()?, exe.to_owned()))
    };
    let mut processes: Vec<_> = text.lines().filter_map(process).collect();
    processes.sort();
    processes
}

/// The calls that a runsc can report. One that cannot be asked has those that were known when this was written.
pub fn points_of(program: &Path) -> Points {
    let asked = run(Command::new(program).args(["trace", "metadata"]));
    asked
        .ok()
        .and_then(|output| Points::parse(&String::from_utf8_lossy(&output.stdout)))
        .unwrap_or_default()
}

fn run(command: &mut Command) -> Result<Output, GvisorError> {
    let line = words(command).to_string_lossy().into_owned();
    let failed = |why: String| GvisorError::Runsc { command: line, why };
    let output = match command_output(command) {
        Ok(output) if output.status.success() => return Ok(output),
        Ok(output) => output,
        Err(error) => return Err(failed(error.to_string())),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    Err(failed(if said.is_empty() {
        output.status.to_string()
    } else {
        said.chars().take(1000).collect()
    }))
}

fn command_output(command: &mut Command) -> io::Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
}

fn words(command: &Command) -> OsString {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::as_bytes).collect();
    OsString::from_vec(words.join(&b' '))
}

#[cfg(test)]
mod tests;

//! `cargo xtask examples`: records well-known servers on this machine, or in a virtual one whose kernel lets
//! tracer use the security modules' hooks, and writes `examples/` anew.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::cmd::{self, say};
use crate::commands::build::{self, Object, Progress};
use crate::commands::{dist, setup};
use crate::kernels::{Kernel, Release};
use crate::machine::{self, Boot};
use crate::packages;
use crate::workspace::{self, Workspace};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Records in a virtual machine with this kernel; the examples' names end in `-lsm` then
    #[arg(long, value_enum)]
    kernel: Option<Release>,
    /// Which ones, and other options of `tracer-examples` [default: all]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

const DIRECTORY: &str = "examples";

/// How long the machine may run: each recording loads its programs for half a minute there.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The line before the recordings, which come out of the machine as text: it changes no file of the host's.
const RECORDINGS: &str = "-----RECORDINGS-----";

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    packages::ensure(workspace, &packages::TESTS, true)?;
    let object = build::kernel_object(workspace, &tools, Object::Tracer)?;
    let examples = build::program(workspace, &object, "tracer-tests", "tracer-examples")?;
    let mut examples = Command::new(examples);
    if let Some(release) = args.kernel {
        packages::ensure(workspace, &machine::PACKAGES, true)?;
        let kernel = Kernel::of(workspace, release)?;
        let tracer = dist::native(workspace, &tools)?;
        examples.env("TRACER_BIN", &tracer).args(&args.args);
        return in_machine(workspace, &kernel, &mut examples, &tracer);
    }
    let tracer = build::tracer(workspace, &object, Progress::Shown)?;
    workspace::without_toolchain(&mut examples)
        .arg("--output")
        .arg(workspace.root.join(DIRECTORY))
        .args(&args.args)
        .env("TRACER_BIN", tracer);
    Err(cmd::exec_as_root("recording", &mut examples))
}

fn in_machine(
    workspace: &Workspace,
    kernel: &Kernel,
    examples: &mut Command,
    tracer: &Path,
) -> Result<()> {
    examples.args(["--suffix", "lsm", "--output", "/run/examples"]);
    let command = format!(
        "{} && cd /run/examples && tar -czf all */recording.json && echo {RECORDINGS} && base64 all",
        cmd::describe(examples)
    );
    say(format_args!("boots Linux {}", kernel.version));
    let mut recordings = Vec::new();
    let mut are_there = false;
    let status = machine::run(
        workspace,
        kernel,
        Boot::Configured,
        &command,
        PATIENCE,
        |line| {
            if are_there {
                recordings.extend_from_slice(line);
                return Ok(());
            }
            are_there = line.trim_ascii() == RECORDINGS.as_bytes();
            let mut stdout = std::io::stdout();
            stdout.write_all(line).context("cannot write to stdout")
        },
    )?;
    ensure!(status == 0, "recording failed in the machine");
    for name in unpack(workspace, &recordings)? {
        cmd::run(
            Command::new(tracer)
                .args(["generate", "--output", DIRECTORY])
                .arg(Path::new(DIRECTORY).join(name))
                .current_dir(&workspace.root),
        )?;
    }
    Ok(())
}

/// Puts the recordings where they belong, and returns their directories' names.
fn unpack(workspace: &Workspace, recordings: &[u8]) -> Result<Vec<String>> {
    let mut tar = Command::new("sh");
    tar.args(["-c", "base64 -d | tar -xzv"])
        .current_dir(workspace.root.join(DIRECTORY))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = tar.spawn().with_context(|| cmd::not_started(&tar))?;
    let mut stdin = child.stdin.take().context("the input was asked for")?;
    stdin.write_all(recordings)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    cmd::check(&tar, output.status)?;
    let names = String::from_utf8(output.stdout)?;
    let directories = names.lines().filter_map(|line| line.split_once('/'));
    Ok(directories
        .map(|(directory, _)| directory.to_owned())
        .collect())
}

//! `cargo xtask release`: the files of a release, the same bytes from the same commit.
//!
//! Here everything is built and collected; `tracer-packaging` makes archives and packages of it. The
//! files' paths are the lines on stdout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd::{self, say};
use crate::commands::build::{self, Object};
use crate::commands::dist::{self, Architecture};
use crate::commands::setup::{self, Tools};
use crate::workspace::Workspace;
use crate::{files, reproducible};

/// The shells that get a script, with its file's name as each looks for it.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "tracer.bash"),
    ("fish", "tracer.fish"),
    ("zsh", "_tracer"),
];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write the files to this directory [default: release-files in the target directory]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Build this architecture only [default: all]
    #[arg(long)]
    arch: Option<Architecture>,
    /// Build everything again from a clone in another directory, and compare the files
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    let architectures = args
        .arch
        .map_or_else(|| Architecture::ALL.to_vec(), |one| vec![one]);
    let out = match &args.out {
        Some(out) => std::path::absolute(out).context("--out names no directory")?,
        None => workspace.target.join("release-files"),
    };
    let input = workspace.target.join("release-input");
    let made = make(workspace, &tools, &architectures, &input, &out)?;
    if args.check {
        check(workspace, args, &out)?;
    }
    print!("{made}");
    Ok(())
}

/// Builds and packages for some architectures. Returns the paths of the files, one a line.
pub(crate) fn make(
    workspace: &Workspace,
    tools: &Tools,
    architectures: &[Architecture],
    input: &Path,
    out: &Path,
) -> Result<String> {
    // What an earlier run left must not become a part of this release.
    match fs::remove_dir_all(input) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(input),
    }
    .with_context(|| format!("cannot empty {}", input.display()))?;
    let object = build::kernel_object(workspace, tools, Object::Tracer)?;
    for architecture in architectures {
        let binary = dist::build(workspace, tools, &object, *architecture)?;
        let place = input.join(architecture.name());
        files::copy_if_changed(&binary, &place.join("tracer"))?;
        dependencies(workspace, *architecture, &place)?;
    }
    // Pages and scripts are the same for every machine; this one's binary can be run.
    let native = dist::native(workspace, tools)?;
    generated(&native, input)?;
    let epoch = reproducible::source_date_epoch(workspace)?;
    write(&input.join("source-date-epoch"), &format!("{epoch}\n"))?;
    cmd::read(
        workspace
            .cargo()
            .args(["run", "--quiet", "--locked", "-p", "tracer-packaging", "--"])
            .arg("--input")
            .arg(input)
            .arg("--source")
            .arg(&workspace.root)
            .arg("--out")
            .arg(out),
    )
}

/// Man pages and completions, by the program itself.
fn generated(tracer: &Path, input: &Path) -> Result<()> {
    let man = input.join("man");
    cmd::run(Command::new(tracer).args(["man", "--output"]).arg(&man))?;
    for (shell, name) in SHELLS {
        let script = cmd::read(Command::new(tracer).args(["completions", shell]))?;
        write(&input.join("completions").join(name), &script)?;
    }
    Ok(())
}

/// What is linked into a binary: cargo's lists for the program and for the kernel object in it.
fn dependencies(workspace: &Workspace, architecture: Architecture, place: &Path) -> Result<()> {
    let triple = architecture.triple();
    let mut metadata = workspace.cargo();
    metadata.args(["metadata", "--format-version=1", "--locked"]);
    // The kernel side's crates are optional.
    metadata.args(["--all-features", "--filter-platform", triple]);
    metadata.args(["--filter-platform", build::TARGET]);
    write(&place.join("metadata.json"), &cmd::read(&mut metadata)?)?;
    let tree = |package: &str, more: &[&str]| {
        let mut tree = workspace.cargo();
        tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro"]);
        tree.args(["--prefix", "none", "--package", package])
            .args(more);
        cmd::read(&mut tree)
    };
    let linked = tree("tracer", &["--target", triple])?;
    write(&place.join("crates.txt"), &linked)?;
    let kernel = ["--features", "kernel", "--target", build::TARGET];
    let kernel = tree("tracer-ebpf", &kernel)?;
    write(&place.join("kernel-crates.txt"), &kernel)?;
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let rustc = cmd::read(workspace.program(rustc).arg("--version"))?;
    write(&place.join("rustc.txt"), &rustc)
}

/// Makes the release again, from a clone of the commit in another directory with a target directory
/// of its own, and compares.
fn check(workspace: &Workspace, args: &Args, out: &Path) -> Result<()> {
    let directory = workspace.target.join("release-check");
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    let clone = directory.join("clone");
    say(format_args!(
        "builds the commit again in {}",
        workspace.short(&clone)
    ));
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        cmd::run(git.args(args).current_dir(&workspace.root))
    };
    if git(&["diff", "--quiet", "HEAD"]).is_err() {
        bail!("the checkout has changes that are not committed: the clone would not have them");
    }
    let path = clone
        .to_str()
        .context("the target directory's path is not UTF-8")?;
    git(&["clone", "--quiet", "--no-hardlinks", ".", path])?;
    let again = directory.join("files");
    let target = clone.join("target");
    // The linker is a tool and no part of the product; building it takes a minute.
    fs::create_dir_all(&target)
        .and_then(|()| {
            let tools = workspace.target.join("tools");
            std::os::unix::fs::symlink(tools, target.join("tools"))
        })
        .with_context(|| format!("cannot prepare {}", target.display()))?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    crate::workspace::without_cargo(&mut cargo)
        .env_remove("CARGO_TARGET_DIR")
        .current_dir(&clone)
        .args(["xtask", "release", "--out"])
        .arg(&again);
    if let Some(architecture) = args.arch {
        cargo.args(["--arch", architecture.name()]);
    }
    cmd::run(&mut cargo)?;
    // The sums name every file of the release.
    let sums = [out, &again].map(|of| of.join("SHA256SUMS"));
    cmd::run(Command::new("diff").args(sums)).context("two builds of one commit differ")?;
    say(format_args!("both builds gave the same bytes"));
    fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}

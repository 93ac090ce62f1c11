//! `cargo xtask build`: the kernel object, then tracer with it inside.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::commands::setup::{self, Tools};
use crate::reproducible;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;
use crate::{cmd, files};

/// The BPF target of the machines that tracer runs on.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Optimizes, as `run`, `test` and `dist` do
    #[arg(long)]
    release: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    let object = kernel_object(workspace, &tools, Object::Tracer)?;
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "-p", "tracer"])
        .env("TRACER_EBPF_OBJECT", object);
    if args.release {
        cargo.arg("--release");
    }
    cmd::run(&mut cargo)
}

/// An object file for the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    /// tracer's own programs.
    Tracer,
    /// What the bench compares them with.
    Bench,
}

impl Object {
    pub(crate) fn binary(self) -> &'static str {
        match self {
            Self::Tracer => "tracer-kernel",
            Self::Bench => "tracer-bench-kernel",
        }
    }

    fn feature(self) -> &'static str {
        match self {
            Self::Tracer => "kernel",
            Self::Bench => "bench",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Tracer => "tracer.bpf.o",
            Self::Bench => "bench.bpf.o",
        }
    }
}

/// How much cargo says of a build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// What it compiles, and that it is done.
    Shown,
    /// Warnings and errors only.
    Quiet,
}

impl Progress {
    /// Shows the first build, which takes long; after it, silence is what a user of `run` wants.
    pub(crate) fn of(product: &Path) -> Self {
        if product.exists() {
            Self::Quiet
        } else {
            Self::Shown
        }
    }

    fn apply(self, cargo: &mut Command) {
        if self == Self::Quiet {
            cargo.arg("--quiet");
        }
    }
}

/// Builds an object for the kernel and returns its path.
pub(crate) fn kernel_object(
    workspace: &Workspace,
    tools: &Tools,
    object: Object,
) -> Result<PathBuf> {
    let product = workspace.target.join("ebpf").join(object.file());
    let mut cargo = kernel_cargo(workspace, tools, object, "build");
    Progress::of(&product).apply(&mut cargo);
    cmd::run(&mut cargo)?;
    let built = kernel_target(workspace)
        .join(TARGET)
        .join("release")
        .join(object.binary());
    // What is left of the debugging information is BTF, which the kernel wants of programs with
    // callbacks; the rest would be most of tracer's own size.
    let stripped = built.with_extension("stripped");
    cmd::run(
        Command::new(Toolchain::active(workspace)?.objcopy())
            .arg("--strip-debug")
            .args([&built, &stripped]),
    )?;
    files::copy_if_changed(&stripped, &product)?;
    Ok(product)
}

/// The cargo command that works on an object for the kernel: the only one that gets
/// `RUSTC_BOOTSTRAP`, for `build-std` and the few unstable features that BPF needs.
pub(crate) fn kernel_cargo(
    workspace: &Workspace,
    tools: &Tools,
    object: Object,
    subcommand: &str,
) -> Command {
    let mut cargo = workspace.cargo();
    // Profile settings from the environment are meant for the host's programs.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
            cargo.env_remove(name);
        }
    }
    let mut flags = reproducible::flags(workspace, &tools.toolchain);
    // BTF of the programs is made from debugging information.
    flags.extend(["-Cdebuginfo=2".into(), "-Clink-arg=--btf".into()]);
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &tools.linker)
        // All there are: this keeps out RUSTFLAGS and those of the user's cargo configuration.
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            flags.join(reproducible::SEPARATOR),
        )
        // Build scripts look at RUSTC_BOOTSTRAP, so in one directory each of the two builds would
        // compile the other's macros again.
        .env("CARGO_TARGET_DIR", kernel_target(workspace))
        .args([subcommand, "--release", "--package", "tracer-ebpf"])
        .args(["--bin", object.binary(), "--features", object.feature()])
        .args(["-Z", "build-std=core", "--target", TARGET]);
    cargo
}

fn kernel_target(workspace: &Workspace) -> PathBuf {
    workspace.target.join("ebpf").join("build")
}

/// Builds tracer for release with the object inside and returns its path.
pub(crate) fn tracer(workspace: &Workspace, object: &Path, progress: Progress) -> Result<PathBuf> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--release", "-p", "tracer"])
        .env("TRACER_EBPF_OBJECT", object);
    progress.apply(&mut cargo);
    cmd::run(&mut cargo)?;
    Ok(workspace.release("tracer"))
}

/// Builds a program of a package for release and returns its path.
pub(crate) fn program(
    workspace: &Workspace,
    object: &Path,
    package: &str,
    name: &str,
) -> Result<PathBuf> {
    cmd::run(
        workspace
            .cargo()
            .args(["build", "--release", "-p", package, "--bin", name])
            .env("TRACER_EBPF_OBJECT", object),
    )?;
    Ok(workspace.release(name))
}

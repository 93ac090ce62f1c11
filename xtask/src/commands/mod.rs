//! One file a subcommand, each with an `Args` and a `run`.

pub(crate) mod bench;
pub(crate) mod book;
pub(crate) mod build;
pub(crate) mod dist;
pub(crate) mod examples;
pub(crate) mod fuzz;
pub(crate) mod kubernetes;
pub(crate) mod lint;
pub(crate) mod measure_runtime;
pub(crate) mod picture;
pub(crate) mod release;
pub(crate) mod run;
pub(crate) mod runtimes;
pub(crate) mod setup;
pub(crate) mod test;
pub(crate) mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::workspace::Workspace;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Finds or installs what the build needs; the other commands do so by themselves
    Setup,
    /// Builds the kernel object and tracer with it inside
    Build(build::Args),
    /// Builds tracer and runs it: `cargo xtask run -- record -- ls -l /`
    Run(run::Args),
    /// Installs what the tests use and runs all of them
    Test(test::Args),
    /// Runs a command on other kernels, each in a virtual machine over this one's files
    Vm(vm::Args),
    /// Fetches newer OCI runtimes from Debian, and prints name, version and path of each
    Runtimes(runtimes::Args),
    /// Measures what an OCI runtime calls under a workload's seccomp filter
    MeasureRuntime(measure_runtime::Args),
    /// Measures what tracer costs
    Bench(bench::Args),
    /// Records well-known servers, and writes examples/ anew
    Examples(examples::Args),
    /// Makes a book of docs/, with mdBook
    Book,
    /// Draws README's picture of a review
    Picture,
    /// Feeds the readers of profiles and recordings what nobody would write
    Fuzz(fuzz::Args),
    /// Builds a Kubernetes for the tests that start a cluster: nine minutes, once
    Kubernetes,
    /// Checks format, lints, the purity of crates, and licences
    Lint,
    /// Makes one static binary with the kernel object inside, and prints its path
    Dist,
    /// Makes the files of a release: archives, packages, images, SBOMs and their checksums
    Release(release::Args),
}

impl Command {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<ExitCode> {
        match self {
            Self::Setup => setup::ensure(workspace).map(|_| ())?,
            Self::Build(args) => build::run(workspace, &args)?,
            Self::Run(args) => run::run(workspace, &args)?,
            Self::Test(args) => return test::run(workspace, &args),
            Self::Vm(args) => return vm::run(workspace, &args),
            Self::Runtimes(args) => return runtimes::run(workspace, &args),
            Self::MeasureRuntime(args) => measure_runtime::run(workspace, &args)?,
            Self::Bench(args) => bench::run(workspace, &args)?,
            Self::Examples(args) => examples::run(workspace, &args)?,
            Self::Book => book::run(workspace)?,
            Self::Picture => picture::run(workspace)?,
            Self::Fuzz(args) => return fuzz::run(workspace, &args),
            Self::Kubernetes => kubernetes::run(workspace)?,
            Self::Lint => lint::run(workspace)?,
            Self::Dist => dist::run(workspace)?,
            Self::Release(args) => release::run(workspace, &args)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

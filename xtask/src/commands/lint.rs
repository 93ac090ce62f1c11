//! `cargo xtask lint`: format, clippy for user space and for the kernel, purity, licences.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cmd::{self, say};
use crate::commands::build::{self, Object};
use crate::commands::setup::{self, Tools};
use crate::error_texts;
use crate::licences;
use crate::purity;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let tools = setup::ensure(workspace)?;
    let kernel = |object| kernel_clippy(workspace, &tools, object);
    // All of them, so that one run tells everything there is to mend.
    let results = [
        format(workspace),
        kernel(Object::Tracer),
        kernel(Object::Bench),
        clippy(workspace, &tools),
        purity::dependencies(workspace),
        error_texts::check(workspace),
        pure_builds(workspace, &tools),
        dependencies(workspace),
    ];
    let failures: Vec<String> = results
        .into_iter()
        .filter_map(|result| Some(format!("{:#}", result.err()?)))
        .collect();
    if !failures.is_empty() {
        bail!(
            "{} of the checks failed:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }
    Ok(())
}

fn format(workspace: &Workspace) -> Result<()> {
    say(format_args!("checks the format"));
    cmd::run(workspace.cargo().args(["fmt", "--all", "--check"]))
        .context("`cargo fmt --all` fixes it")
}

fn kernel_clippy(workspace: &Workspace, tools: &Tools, object: Object) -> Result<()> {
    say(format_args!("checks {} with clippy", object.binary()));
    let mut cargo = build::kernel_cargo(workspace, tools, object, "clippy");
    cmd::run(cargo.args(["--", "-D", "warnings"]))
}

fn clippy(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let object = build::kernel_object(workspace, tools, Object::Tracer)?;
    say(format_args!("checks everything else with clippy"));
    cmd::run(
        workspace
            .cargo()
            .args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--keep-going",
                "--",
                "-D",
                "warnings",
            ])
            .env("TRACER_EBPF_OBJECT", object),
    )
}

fn pure_builds(workspace: &Workspace, tools: &Tools) -> Result<()> {
    setup::target(workspace, &tools.toolchain, purity::TARGET)?;
    purity::build(workspace)
}

/// cargo-deny where it is installed; else our own reading of deny.toml, which needs no installation.
fn dependencies(workspace: &Workspace) -> Result<()> {
    if cmd::find("cargo-deny").is_none() {
        let summary = licences::check(workspace)?;
        say(format_args!(
            "{summary} (built-in check of deny.toml; bans and advisories were not checked: \
             cargo-deny is not installed)"
        ));
        return Ok(());
    }
    say(format_args!(
        "checks licences, bans and sources with cargo-deny"
    ));
    let deny = |args: &[&str]| cmd::run(workspace.cargo().arg("deny").args(args));
    // Not --offline: cargo may have to download crates of other platforms to read their licences.
    deny(&["check", "licenses", "bans", "sources"])?;
    if !advisory_database() {
        say(format_args!(
            "advisories were not checked: no copy of their database is here (`cargo deny fetch`)"
        ));
        return Ok(());
    }
    say(format_args!(
        "checks advisories with cargo-deny's copy of their database"
    ));
    deny(&["--offline", "check", "advisories"])
}

/// Whether cargo-deny has fetched its database once: this check does not go to the network.
fn advisory_database() -> bool {
    std::env::var_os("CARGO_HOME").is_some_and(|home| {
        let directory = Path::new(&home).join("advisory-dbs");
        directory
            .read_dir()
            .is_ok_and(|mut entries| entries.next().is_some())
    })
}

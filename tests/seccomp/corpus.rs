//! Seccomp profiles that distributions ship, audited: each one is read, and each finding that is high has its reason
//! here.
//!
//! `TRACER_SECCOMP_CORPUS` names directories, with colons between them, such as packages of Debian that were unpacked.
//! Without it the profile of containers-common is audited, where it is installed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use syscalls::Abi;
use tracer_core::{
    audit::{self, Context, Finding, Input, Severity},
    profile::seccomp::read::KernelVersion,
};
use tracer_tests::Outcome;

/// Where containers-common of Debian has Podman's default.
const INSTALLED: &str = "/usr/share/containers/seccomp.json";

const DEFAULT: &str = "weaker-than-default";
const DENIED: &str = "exit-denied";
const OLD: &str = "legacy-name-key";
const RING: &str = "io-uring";

/// Files with high findings, the rules, and why the findings are true.
const JUSTIFIED: [(&str, &[&str], &str); 7] = [
    (
        "docker/profiles/seccomp/default.json",
        &[RING, DEFAULT],
        "sources of Docker 20.10, whose default lets io_uring and AF_VSOCK through; Docker 25 denies both",
    ),
    (
        "docker/oci/fixtures/default.json",
        &[DEFAULT],
        "a fixture of a test, from before Docker denied namespaces by clone",
    ),
    (
        "docker/oci/fixtures/default-old-format.json",
        &[OLD, DEFAULT],
        "a fixture in the form of Docker 1.10",
    ),
    (
        "docker/profiles/seccomp/fixtures/default-old-format.json",
        &[OLD, DEFAULT],
        "a fixture in the form of Docker 1.10",
    ),
    (
        "fixtures/example.json",
        &[DENIED, OLD, DEFAULT],
        "a fixture that allows clone, open and close, in the old form",
    ),
    (
        "fixtures/conditional_include.json",
        &[DENIED],
        "a fixture that allows one call",
    ),
    (
        "runc/tests/integration/testdata/",
        &[RING, DEFAULT, "unchecked-argument-bits"],
        "runc's tests: Docker's default of 2020, with a rule for an argument",
    ),
];

/// The profiles below a directory.
fn profiles(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            profiles(&path, into);
        } else if kind.is_file() && path.extension().is_some_and(|it| it == "json") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            // A schema has the names of actions, too.
            if text.contains("\"defaultAction\": \"") || text.contains("\"defaultAction\":\"") {
                into.push(path);
            }
        }
    }
}

fn is_justified(path: &Path, finding: &Finding) -> bool {
    let path = path.display().to_string();
    JUSTIFIED
        .iter()
        .any(|(file, rules, _)| path.contains(file) && rules.contains(&finding.id))
}

#[test]
fn every_shipped_seccomp_profile_is_read() -> Outcome {
    let roots = env::var("TRACER_SECCOMP_CORPUS").unwrap_or_default();
    let mut all: Vec<PathBuf> = Vec::new();
    for root in roots.split(':').filter(|root| !root.is_empty()) {
        profiles(Path::new(root), &mut all);
    }
    if Path::new(INSTALLED).exists() {
        all.push(INSTALLED.into());
    }
    let capabilities = Context::usual_capabilities();
    let context = Context {
        capabilities: &capabilities,
        ..Context::new(Abi::X86_64, KernelVersion::new(6, 1))
    };
    let mut counts: BTreeMap<(Severity, &str), usize> = BTreeMap::new();
    let mut unjustified = BTreeSet::new();
    let mut rules = 0;
    for path in &all {
        let bytes = fs::read(path)?;
        rules += entries(&bytes)?;
        let report = audit::run(&[Input::new(path.display().to_string(), bytes)?], &context);
        ensure!(report.malformed.is_empty(), "{:?}", report.malformed);
        ensure!(report.profiles > 0, "{} has no profile", path.display());
        for finding in &report.findings {
            *counts.entry((finding.severity, finding.id)).or_default() += 1;
            if finding.severity >= Severity::High && !is_justified(path, finding) {
                unjustified.insert(format!("{}: {}", path.display(), finding.message));
            }
        }
    }
    println!("{} files, {rules} entries", all.len());
    for ((severity, id), count) in &counts {
        println!("{severity} {id}: {count}");
    }
    ensure!(unjustified.is_empty(), "{unjustified:#?}");
    Ok(())
}

fn entries(bytes: &[u8]) -> Result<usize> {
    let value: serde_json::Value = serde_json::from_slice(bytes).context("reading a profile")?;
    Ok(value["syscalls"].as_array().map_or(0, Vec::len))
}

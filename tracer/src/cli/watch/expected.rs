//! From what was typed as PROFILE to what workloads are held against.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::Args;
use crate::{
    cli::{
        apparmor_includes::AppArmorIncludes,
        input::{Chosen, Input, Profile, label},
        name, verify,
    },
    store::{self, RECORDING_FILE},
};
use syscalls::{Machine, capability::Capability, runtime_init::RuntimeSelection};
use tracer_core::{
    audit::apparmor_policy::Policy,
    formats,
    profile::seccomp::evaluate::{Filter, Host},
    shadow::{Baseline, Expectation, Expected},
};

/// The file of a workload's directory that has its capabilities in the form that is simplest to read.
const CAPABILITIES: &str = "capabilities.engine.args";

/// The longest of these.
const MAX_CAPABILITIES: u64 = 1 << 16;

/// Everything that was given.
pub(super) fn read(args: &Args) -> anyhow::Result<Vec<Expected>> {
    let reader = Reader {
        args,
        runtimes: RuntimeSelection::union(args.runtime.iter().cloned())?,
        includes: AppArmorIncludes::new(&args.apparmor_root),
    };
    let mut all = Vec::new();
    for path in &args.profile {
        reader.path(path, &mut all)?;
    }
    if let Some(set) = args.host.capability_set() {
        all.push(Expected {
            label: "--capabilities".to_owned(),
            workload: None,
            what: Expectation::Capabilities(set),
        });
    }
    Ok(all)
}

struct Reader<'a> {
    args: &'a Args,
    runtimes: RuntimeSelection,
    includes: AppArmorIncludes,
}

impl Reader<'_> {
    /// What a path stands for: a file, a workload's directory, or a directory of those.
    fn path(&self, path: &Path, all: &mut Vec<Expected>) -> anyhow::Result<()> {
        if !path.is_dir() {
            return self.file(path, None, all);
        }
        if self.directory(path, None, all)? {
            return Ok(());
        }
        let mut below: Vec<PathBuf> = fs::read_dir(path)
            .with_context(|| format!("cannot read the directory {}", path.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .with_context(|| format!("cannot read the directory {}", path.display()))?;
        below.sort();
        let mut found = false;
        for directory in below.iter().filter(|it| it.is_dir()) {
            let name = directory.file_name().and_then(|name| name.to_str());
            if let Some(name) = name.filter(|name| name::parse(name).is_ok()) {
                found |= self.directory(directory, Some(name), all)?;
            }
        }
        anyhow::ensure!(
            found,
            "{} has neither profiles nor directories of workloads with profiles; tracer generate writes them",
            path.display()
        );
        Ok(())
    }

    /// The profiles in a workload's directory; the recording where there are none. Whether there is anything.
    fn directory(
        &self,
        directory: &Path,
        workload: Option<&str>,
        all: &mut Vec<Expected>,
    ) -> anyhow::Result<bool> {
        let before = all.len();
        for file in [formats::seccomp::FILE, formats::apparmor::FILE] {
            let path = directory.join(file);
            if path.is_file() {
                self.file(&path, workload, all)?;
            }
        }
        let path = directory.join(CAPABILITIES);
        if path.is_file() {
            all.push(capabilities(&path, workload)?);
        }
        let recording = directory.join(RECORDING_FILE);
        if all.len() == before && recording.is_file() {
            self.file(&recording, workload, all)?;
        }
        Ok(all.len() > before)
    }

    fn file(
        &self,
        path: &Path,
        workload: Option<&str>,
        all: &mut Vec<Expected>,
    ) -> anyhow::Result<()> {
        let what = match Input::read(path)? {
            Input::Recording(recording) => {
                let baseline = Baseline::new(&recording);
                let missing: Vec<_> = baseline.not_observed().map(|it| it.as_str()).collect();
                if !missing.is_empty() && !self.args.quiet {
                    crate::cli::stderr::say!(
                        "{} did not observe {}: nothing of that kind is drift",
                        path.display(),
                        missing.join(", ")
                    );
                }
                Expectation::Recording(Box::new(baseline))
            }
            Input::Profile(Profile::Seccomp(chosen)) => self.seccomp(path, &chosen)?,
            Input::Profile(Profile::AppArmor(read)) => {
                let includes = |name: &str| self.includes.find(name);
                Expectation::AppArmor(Box::new(Policy::new(&read, &includes)))
            }
        };
        all.push(Expected {
            label: label(path),
            workload: workload.map(str::to_owned),
            what,
        });
        Ok(())
    }

    fn seccomp(&self, path: &Path, chosen: &Chosen) -> anyhow::Result<Expectation> {
        let native = Machine::this()
            .context("tracer does not know this architecture")?
            .native;
        let profile = self.args.host.resolve(chosen, native, &[])?;
        let mut filters: Vec<(Host, Filter)> = Vec::new();
        let mut refused = None;
        for runtime in verify::runtimes(&self.runtimes) {
            let host = self.args.host.host(native, runtime);
            match Filter::new(&profile, host) {
                Ok(filter) => filters.push((host, filter)),
                Err(refusal) => refused = Some((runtime, refusal)),
            }
        }
        match refused {
            Some((_, refusal)) if filters.is_empty() => Err(refusal)
                .with_context(|| format!("no container starts under {}", path.display())),
            Some((runtime, refusal)) => {
                crate::cli::stderr::say!(
                    "{}: {} refuses it: {refusal}",
                    path.display(),
                    runtime.as_str()
                );
                Ok(Expectation::Seccomp(filters))
            }
            None => Ok(Expectation::Seccomp(filters)),
        }
    }
}

/// `--cap-drop=ALL --cap-add=SETUID …`, as `tracer generate` writes it.
fn capabilities(path: &Path, workload: Option<&str>) -> anyhow::Result<Expected> {
    let bytes = store::read_up_to(path, MAX_CAPABILITIES)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let added = text
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("--cap-add="));
    let set = added
        .map(str::parse::<Capability>)
        .collect::<Result<_, _>>()
        .with_context(|| path.display().to_string())?;
    Ok(Expected {
        label: label(path),
        workload: workload.map(str::to_owned),
        what: Expectation::Capabilities(set),
    })
}

//! Files that are a recording or a profile: which, and what they mean on a host.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use tracer_core::recording::json;

use anyhow::Context as _;
use serde::Deserialize;

use super::{
    host::{CapabilityEntry, capabilities},
    name,
    stderr::{plain, say},
};
use crate::store::{self, StoreError};
use syscalls::{Abi, Machine, capability::Capability};
use tracer_core::{
    formats,
    parse::{self, AppArmor, ParseError, Seccomp, Subject},
    profile::seccomp::{
        evaluate::{Filter, Host, Libseccomp, OciRuntime, Refusal},
        oci::OciSeccomp,
        read::{KernelVersion, Target},
    },
    recording::Recording,
};
use tracer_recorder::bpf::support;

/// A recording or a profile.
pub(super) enum Input {
    Recording(Box<Recording>),
    Profile(Profile),
}

/// A profile of some kind, and where it is from.
pub(super) enum Profile {
    Seccomp(Chosen),
    AppArmor(AppArmor),
}

/// A seccomp profile and the file that it is from.
pub(super) struct Chosen {
    file: parse::Input,
    read: Box<Seccomp>,
}

impl Chosen {
    /// An error with the place of the entry that it names.
    fn malformed(&self, error: &impl ToString) -> ParseError {
        let error = error.to_string();
        self.file.malformed(self.read.place_of(&error).start, error)
    }
}

impl Input {
    /// Reads one. A directory stands for the recording in it.
    pub(super) fn read(named: &Path) -> anyhow::Result<Self> {
        if named.is_dir() {
            return Ok(Self::Recording(Box::new(recording(named)?)));
        }
        let (path, name) = split(named);
        let bytes = bytes(&path)?;
        if kind(&bytes).schema.is_some() {
            return Ok(Self::Recording(Box::new(store::parse(&bytes, &path)?)));
        }
        let file = text(&path, bytes)?;
        let subject = parse::choose(&file, name.as_deref())?;
        remark(&file, &subject);
        let profile = match subject {
            Subject::Seccomp(read) => Profile::Seccomp(Chosen { file, read }),
            Subject::AppArmor(read) => Profile::AppArmor(read),
            Subject::Selinux(_) => anyhow::bail!(
                "{} is an SELinux profile; tracer audit reads those",
                path.display()
            ),
            Subject::Manifest(_) => anyhow::bail!("{} contains no profile", path.display()),
        };
        Ok(Self::Profile(profile))
    }
}

/// Reads a recording. A directory stands for the recording in it, or below it when that is the only one;
/// what tracer wrote beside a recording stands for that too; `-` is standard input.
pub(super) fn recording(named: &Path) -> anyhow::Result<Recording> {
    let path = recording_of(named)?;
    let recording = store::read(&path).map_err(|error| what_it_is(&path, error))?;
    name::check(&recording, &path)?;
    Ok(recording)
}

/// All recordings that a path stands for: of a directory without one, those of its workloads.
pub(super) fn recordings_of(named: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let below = below(named)?;
    if below.len() > 1 {
        return Ok(below);
    }
    Ok(vec![recording_of(named)?])
}

/// The directories of workloads in a directory that is none itself.
fn below(named: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut below = Vec::new();
    if !named.is_dir() || named.join(store::RECORDING_FILE).exists() {
        return Ok(below);
    }
    let failed = || format!("cannot read the directory {}", named.display());
    for entry in fs::read_dir(named).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.join(store::RECORDING_FILE).is_file() {
            below.push(path);
        }
    }
    below.sort();
    Ok(below)
}

fn recording_of(named: &Path) -> anyhow::Result<PathBuf> {
    if let Some(beside) = recording_beside(named) {
        return Ok(beside);
    }
    match below(named)?.as_slice() {
        // The reader says that there is none.
        [] => Ok(named.to_owned()),
        [only] => Ok(only.clone()),
        several => {
            let several: Vec<_> = several.iter().map(|path| label(path)).collect();
            anyhow::bail!(
                "{} has recordings of {} workloads; give one of them: {}",
                named.display(),
                several.len(),
                several.join(", ")
            )
        }
    }
}

/// Says of a file that is not a recording what it is, where that is known.
pub(super) fn what_it_is(path: &Path, error: StoreError) -> anyhow::Error {
    if !matches!(error, StoreError::ParseError { .. }) || path.as_os_str() == "-" {
        return error.into();
    }
    let read = file(path).ok().and_then(Result::ok);
    let Some(read) = read else {
        return error.into();
    };
    let name = path.display();
    let text = read.text().trim_start_matches('\u{feff}').trim_start();
    if text.is_empty() {
        return anyhow::anyhow!("{name} is empty; record again, or restore the file");
    }
    let subjects = parse::subjects(&read).ok();
    let is_manifest = |it: &&Subject| matches!(it, Subject::Manifest(it) if it.is_kubernetes());
    let manifest = subjects.iter().flatten().find(is_manifest);
    let subject = manifest.or_else(|| subjects.iter().flatten().next());
    let has_version = || text.lines().any(|line| line.starts_with("apiVersion:"));
    if manifest.is_some() || subject.is_none() && has_version() {
        return anyhow::anyhow!(
            "{name} is a Kubernetes manifest, not a recording; to put a profile into it, run tracer generate --for {name} RECORDING"
        );
    }
    let what = subject.map(|subject| match subject {
        Subject::Seccomp(_) => "a seccomp profile",
        Subject::AppArmor(_) => "an AppArmor profile",
        Subject::Selinux(_) => "an SELinux profile",
        Subject::Manifest(_) => "a file of a container engine",
    });
    match what {
        Some(what) => anyhow::anyhow!("{name} is {what}, not a recording; pass recording.json"),
        None if text.starts_with(|c: char| c.is_alphanumeric() || "#-<".contains(c)) => {
            anyhow::anyhow!("{name} is not a recording, which is JSON; pass recording.json")
        }
        None => error.into(),
    }
}

/// The recording that an output file is made of: it is in the workload's directory.
fn recording_beside(named: &Path) -> Option<PathBuf> {
    let output = formats::files().find(|file| named.ends_with(file) && !file.ends_with('/'))?;
    let workload = named
        .ancestors()
        .nth(Path::new(output).components().count())?;
    let recording = workload.join(store::RECORDING_FILE);
    (named.is_file() && recording.is_file()).then_some(recording)
}

/// Reads a seccomp profile. A directory stands for the `seccomp.json` in it.
pub(super) fn seccomp(named: &Path) -> anyhow::Result<Chosen> {
    let inner = named.join(formats::seccomp::FILE);
    let (path, name) = match named.is_dir() {
        true if inner.is_file() => (inner, None),
        _ => split(named),
    };
    let bytes = bytes(&path)?;
    if kind(&bytes).schema.is_some() {
        anyhow::bail!(
            "{} is a recording; give the profile first, and recordings with --recording",
            path.display()
        );
    }
    let file = text(&path, bytes)?;
    let read = Box::new(parse::choose_seccomp(&file, name.as_deref())?);
    remark(&file, &Subject::Seccomp(read.clone()));
    Ok(Chosen { file, read })
}

/// Says what `tracer audit` says of how a profile is written.
pub(super) fn remark(file: &parse::Input, subject: &Subject) {
    for said in parse::remarks(file, subject) {
        say!("{}", plain(&said.to_string()));
    }
}

/// `FILE#NAME` in its parts, when there is no file of that whole name.
pub(super) fn split(named: &Path) -> (PathBuf, Option<String>) {
    let whole = || (named.to_owned(), None);
    if named.exists() {
        return whole();
    }
    let Some((path, name)) = named.to_str().and_then(|text| text.rsplit_once('#')) else {
        return whole();
    };
    (PathBuf::from(path), Some(name.to_owned()))
}

/// What is in a file, as far as it is read: too much, and what is no text, are errors of the reader.
pub(super) fn file(path: &Path) -> anyhow::Result<Result<parse::Input, ParseError>> {
    let limit = u64::try_from(parse::MAX_BYTES).unwrap_or(u64::MAX);
    let bytes = store::read_up_to(path, limit)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(parse::Input::new(label(path), bytes))
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<parse::Input, ParseError> {
    parse::Input::new(label(path), bytes)
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = store::read_up_to(path, json::MAX_BYTES).map_err(|error| {
        anyhow::anyhow!(
            "cannot read {}: {error}; give a recording.json, its directory, or a profile",
            path.display()
        )
    })?;
    // As a spool has them.
    let bytes = store::unpack(bytes, json::MAX_BYTES)
        .with_context(|| format!("cannot unpack {}; it is damaged", path.display()))?;
    anyhow::ensure!(
        bytes.len() as u64 <= json::MAX_BYTES,
        "{} has more than {} bytes; it is neither a recording nor a profile",
        path.display(),
        json::MAX_BYTES
    );
    Ok(bytes)
}

#[derive(Default, Deserialize)]
struct Kind {
    schema: Option<serde::de::IgnoredAny>,
}

/// What tells a recording; what is no JSON at all is told when it is read.
fn kind(bytes: &[u8]) -> Kind {
    let bytes = bytes.strip_prefix(store::BYTE_ORDER_MARK).unwrap_or(bytes);
    // A list would be taken for the fields in their order.
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Kind::default();
    }
    serde_json::from_slice(bytes).unwrap_or_default()
}

/// The host that a profile is read for.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Host options")]
pub(super) struct HostArgs {
    /// Architecture: x86_64 (amd64), i386, aarch64 (arm64), arm or riscv64 [default: that of the recordings,
    /// or this machine]
    #[arg(long, value_name = "MACHINE", value_parser = super::host::arch)]
    arch: Option<Abi>,

    /// Capabilities of the container, for profiles that depend on them (Docker's, Podman's): comma-separated,
    /// `all` or `none` [default: those of all recorded containers, or none]
    #[arg(long, alias = "capability", value_name = "CAP", value_delimiter = ',')]
    capabilities: Vec<CapabilityEntry>,

    /// Kernel version, for profiles that depend on it [default: that of the recordings, or this machine's]
    #[arg(long, value_name = "VERSION")]
    kernel: Option<KernelVersion>,

    /// The runtime's libseccomp, which ignores names that it does not know
    #[arg(long, value_enum, default_value_t, value_name = "VERSION")]
    libseccomp: Library,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Library {
    /// Every call that tracer knows
    #[default]
    Newest,
    /// Debian 12: the calls of Linux 6.7
    Debian12,
    /// Upstream 2.5.4: the calls of Linux 5.17
    #[value(name = "2.5.4")]
    V2_5_4,
}

impl HostArgs {
    /// The machines that a profile is to be in force on.
    pub(super) fn natives(&self, recordings: &[Recording]) -> anyhow::Result<Vec<Abi>> {
        if let Some(arch) = self.arch {
            return Ok(vec![arch]);
        }
        let hosts = recordings.iter().flat_map(Recording::hosts);
        let mut natives: Vec<_> = hosts
            .filter_map(|host| Machine::native_abi(&host.machine))
            .collect();
        natives.sort_unstable();
        natives.dedup();
        if natives.is_empty() {
            let this =
                Machine::this().context("tracer does not know this architecture; give --arch")?;
            natives.push(this.native);
        }
        Ok(natives)
    }

    /// The capabilities of the container, where they were given.
    pub(super) fn capability_set(&self) -> Option<BTreeSet<Capability>> {
        let given = self.capabilities.iter().flat_map(CapabilityEntry::iter);
        (!self.capabilities.is_empty()).then(|| given.collect())
    }

    /// The machine that was asked for.
    pub(super) const fn asked_for(&self) -> Option<Abi> {
        self.arch
    }

    /// The profile in plain form for one of them.
    pub(super) fn resolve(
        &self,
        chosen: &Chosen,
        native: Abi,
        recordings: &[Recording],
    ) -> anyhow::Result<OciSeccomp> {
        let target = Target {
            native,
            capabilities: if self.capabilities.is_empty() {
                common_capabilities(recordings)
            } else {
                capabilities(&self.capabilities)
            },
            kernel_version: match self.kernel {
                Some(kernel) => kernel,
                None => kernel(recordings)?,
            },
        };
        let resolved = chosen.read.document().resolve(&target);
        Ok(resolved.map_err(|error| chosen.malformed(&error))?)
    }

    /// A runtime on such a machine.
    pub(super) const fn host(&self, native: Abi, runtime: OciRuntime) -> Host {
        let libseccomp = match self.libseccomp {
            Library::Newest => Libseccomp::Newest,
            Library::Debian12 => Libseccomp::Debian12,
            Library::V2_5_4 => Libseccomp::V2_5_4,
        };
        Host {
            native,
            runtime,
            libseccomp,
        }
    }

    /// What the profile says by itself: as crun has it, which adds nothing of its own, or as runc, where
    /// crun refuses it.
    pub(super) fn filter(&self, chosen: &Chosen, native: Abi) -> anyhow::Result<Filter> {
        let profile = self.resolve(chosen, native, &[])?;
        let of = |runtime| Filter::new(&profile, self.host(native, runtime));
        let refused = |refusal: Refusal| chosen.malformed(&refusal);
        let filter =
            of(OciRuntime::Crun).or_else(|refusal| of(OciRuntime::Runc).map_err(|_| refusal));
        Ok(filter.map_err(refused)?)
    }
}

/// The capabilities that the processes of every recorded container could have.
fn common_capabilities(recordings: &[Recording]) -> BTreeSet<String> {
    let kinds = recordings.iter().flat_map(Recording::kinds);
    kinds
        .map(|kind| {
            let security = kind.container.and_then(|container| container.security);
            security.map_or_else(Default::default, |it| it.capabilities)
        })
        .reduce(|one, other| one.intersection(&other).cloned().collect())
        .unwrap_or_default()
}

/// The oldest kernel that was recorded on, else this one.
fn kernel(recordings: &[Recording]) -> anyhow::Result<KernelVersion> {
    let hosts = recordings.iter().flat_map(Recording::hosts);
    let oldest = hosts.filter_map(|host| host.kernel.parse().ok()).min();
    oldest.map_or_else(
        || {
            let this = support::kernel_release();
            this.parse().context("give a kernel with --kernel")
        },
        Ok,
    )
}

/// What a path is called in what is printed.
pub(super) fn label(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_output_file_stands_for_the_recording_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let workload = directory.path().join("web");
        fs::create_dir_all(workload.join("other")).unwrap();
        let recording = workload.join(store::RECORDING_FILE);
        fs::write(&recording, "{}").unwrap();
        for file in formats::files().filter(|file| !file.ends_with('/')) {
            let path = workload.join(file);
            assert_eq!(recording_beside(&path), None, "{file} is not there");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            assert_eq!(recording_beside(&path), Some(recording.clone()), "{file}");
        }
        for other in ["other/seccomp.json", "notes.md", "patch.yaml"] {
            fs::write(workload.join(other), "").unwrap();
            assert_eq!(recording_beside(&workload.join(other)), None, "{other}");
        }
    }
}

//! What is written to a workload's folder, and what is said about it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tracer_core::recording::json;

use anyhow::{Context as _, bail};

use super::{
    apparmor_parser,
    profile::Settings,
    progress_line,
    stderr::{plain, say},
    targets::{self, Models},
};
use crate::store;
use tracer_core::{
    profile::{
        Omission, TargetError,
        apparmor::{AppArmorProfile, Division, kind},
        capabilities::Capabilities,
        seccomp::{SeccompProfile, oci::OciSeccomp},
    },
    recording::{Discovery, Executable, Recording},
};

/// The default `--output`.
pub(super) const DEFAULT_DIRECTORY: &str = "profiles-out";

/// The seccomp profile.
pub(super) const SECCOMP: &str = "seccomp.json";
/// The AppArmor profile.
pub(super) const APPARMOR: &str = "apparmor.profile";
/// What a reviewer reads.
pub(super) const REVIEW: &str = "REVIEW.md";

const CAPABILITIES: [&str; 3] = [
    "capabilities.kubernetes.yaml",
    "capabilities.engine.args",
    "capabilities.systemd.conf",
];

/// A file, or several, that can be rendered from recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Format {
    /// seccomp.json: the OCI runtime's seccomp profile (Docker, containerd, CRI-O, Podman)
    Seccomp,
    /// apparmor.profile: the AppArmor profile
    Apparmor,
    /// capabilities.*: the capabilities it needs, for Kubernetes (a security context), for Docker and
    /// Podman (flags), and for systemd (a drop-in)
    Capabilities,
    /// kubernetes/: seccomp-profile, apparmor-profile, security-context, and as far as the recording knows
    /// the pod and its image patch and profile-binding
    Kubernetes,
    /// kubernetes/seccompprofile.yaml: SeccompProfile of the Security Profiles Operator
    SeccompProfile,
    /// kubernetes/apparmorprofile.yaml: its AppArmorProfile
    ApparmorProfile,
    /// kubernetes/profilebinding.yaml: its ProfileBinding, which puts the profiles into new pods by image
    ProfileBinding,
    /// kubernetes/securitycontext.yaml: a container's securityContext, each setting with its reason
    SecurityContext,
    /// kubernetes/patch.yaml: the same as a strategic-merge patch for kubectl and kustomize
    Patch,
    /// kubernetes/kubescape.yaml: SeccompProfile of Kubescape
    Kubescape,
    /// seccomp-artifact/: the seccomp profile as an OCI artifact in an image layout (KEP-6061, CRI-O)
    Artifact,
    /// engine.args: flags of docker run and podman run
    Engine,
    /// compose.yaml: the same as keys of a compose file
    Compose,
    /// systemd.conf: a drop-in for a service of systemd's
    Systemd,
    /// REVIEW.md: every rule with its reason and its evidence, for a person
    Review,
    /// Lists these
    Help,
}

impl Format {
    /// What is rendered when nothing is asked for.
    const DEFAULT: [Self; 5] = [
        Self::Seccomp,
        Self::Apparmor,
        Self::Capabilities,
        Self::Kubernetes,
        Self::Review,
    ];

    /// All of them with what they are, for people.
    pub(super) fn list() -> String {
        use clap::ValueEnum as _;

        let mut list = String::new();
        for value in Self::value_variants()
            .iter()
            .filter_map(Self::to_possible_value)
        {
            let help = value.get_help().map(ToString::to_string);
            let name = value.get_name();
            list += &format!("{name:<17} {}\n", help.unwrap_or_default());
        }
        list
    }
}

/// What there is only for a recording that has files.
const OF_FILES: [&str; 5] = [
    APPARMOR,
    CAPABILITIES[0],
    CAPABILITIES[1],
    CAPABILITIES[2],
    "kubernetes/apparmorprofile.yaml",
];

/// What was rendered.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    /// Names, with the folders in the workload's, and texts.
    pub(super) files: Vec<(String, String)>,
    /// What the form of a file cannot say.
    pub(super) omissions: Vec<(String, Omission)>,
    /// What is not there though nothing was asked for, and why.
    pub(super) skipped: Vec<(&'static str, TargetError)>,
}

impl Rendered {
    fn add(&mut self, name: &str, text: String) {
        self.files.push((name.to_owned(), text));
    }
}

/// What the files are made of.
pub(super) struct ProfileModels {
    pub(super) seccomp: SeccompProfile,
    pub(super) apparmor: Option<AppArmorProfile>,
    pub(super) capabilities: Option<Capabilities>,
}

impl ProfileModels {
    pub(super) fn new(recording: &Recording, settings: &Settings) -> anyhow::Result<Self> {
        let recordings = std::slice::from_ref(recording);
        // Its rules are paths, and those of another machine's libraries are not known.
        let at_home = settings.seccomp.arch.is_none();
        let apparmor = AppArmorProfile::from_recordings(recordings, &settings.apparmor);
        let apparmor = apparmor.filter(|_| at_home);
        Ok(Self {
            seccomp: SeccompProfile::from_recordings(recordings, &settings.seccomp)?,
            capabilities: apparmor.as_ref().and_then(Capabilities::needed_by),
            apparmor,
        })
    }

    pub(super) fn as_models<'a>(
        &'a self,
        recording: &'a Recording,
        settings: &'a Settings,
    ) -> Models<'a> {
        Models {
            recording,
            settings,
            seccomp: &self.seccomp,
            apparmor: self.apparmor.as_ref(),
            capabilities: self.capabilities.as_ref(),
        }
    }
}

/// Renders the files of the formats that were asked for from the recording of a workload; when none
/// was, of all that the recording has something for.
pub(super) fn render(
    recording: &Recording,
    asked: &[Format],
    settings: &Settings,
) -> anyhow::Result<Rendered> {
    let owned = ProfileModels::new(recording, settings)?;
    let models = owned.as_models(recording, settings);
    let ProfileModels {
        seccomp,
        apparmor,
        capabilities,
    } = &owned;
    let formats = if asked.is_empty() {
        &Format::DEFAULT
    } else {
        asked
    };
    let mut rendered = Rendered::default();
    for format in formats {
        match format {
            Format::Seccomp => rendered.add(SECCOMP, OciSeccomp::from(seccomp).to_json()?),
            Format::Apparmor => match apparmor {
                Some(profile) => {
                    if let Division::Impossible(why) = profile.division() {
                        let omissions = Omission::new("child profiles (--children)", *why);
                        rendered.omissions.push((APPARMOR.to_owned(), omissions));
                    }
                    rendered.add(APPARMOR, profile.to_text());
                }
                None if asked.is_empty() => {}
                None => bail!(models.missing("files")),
            },
            Format::Capabilities => match capabilities {
                Some(needed) => {
                    rendered.add(CAPABILITIES[0], needed.to_kubernetes());
                    rendered.add(CAPABILITIES[1], needed.to_engine_flags());
                    rendered.add(CAPABILITIES[2], needed.to_systemd());
                }
                None if asked.is_empty() => {}
                None => bail!(models.missing("capabilities")),
            },
            Format::Review => {
                let mut text = tracer_report::review(std::slice::from_ref(recording), seccomp);
                if let Some(profile) = apparmor {
                    text.push('\n');
                    text.push_str(&tracer_report::apparmor(profile, capabilities.as_ref()));
                }
                rendered.add(REVIEW, text);
            }
            Format::Kubernetes => targets::kubernetes(&models, asked.is_empty(), &mut rendered)?,
            Format::Help => {}
            other => targets::render(*other, &models, &mut rendered)?,
        }
    }
    Ok(rendered)
}

/// Has AppArmor's parser look at the AppArmor profile, if there is one. Returns false when the parser
/// is not installed.
///
/// # Errors
/// When the parser refuses it.
pub(super) fn check(rendered: &Rendered) -> anyhow::Result<bool> {
    for (name, text) in &rendered.files {
        if name == APPARMOR
            && apparmor_parser::apparmor(text)? == apparmor_parser::Checked::NoParser
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes a new recording and all that is rendered from it.
pub(super) fn write(
    directory: &Path,
    recording: &Recording,
    settings: &Settings,
) -> anyhow::Result<()> {
    let rendered =
        render(recording, &[], settings).context("cannot make a profile from the recording");
    let mut files = vec![(store::RECORDING_FILE.to_owned(), json::to_json(recording))];
    match rendered {
        Ok(mut rendered) => {
            let checked = check(&rendered);
            // What was asked for by an option, and is not there.
            for (name, omissions) in rendered
                .omissions
                .iter()
                .filter(|(name, _)| name == APPARMOR)
            {
                say!(
                    "{} cannot say {}: {}",
                    directory.join(name).display(),
                    plain(&omissions.what),
                    plain(&omissions.instead)
                );
            }
            files.append(&mut rendered.files);
            // Written all the same: what is wrong with it can be read in it.
            store::write(directory, &files)?;
            // What an earlier recording had and this one has nothing for would speak for this one.
            let is_there = |name: &str| files.iter().any(|(file, _)| file == name);
            store::remove(
                directory,
                OF_FILES.into_iter().filter(|name| !is_there(name)),
            )?;
            checked.with_context(|| directory.join(APPARMOR).display().to_string())?;
            Ok(())
        }
        Err(error) => {
            // The recording itself is the dearer part: never lose it to a profile's trouble.
            store::write(directory, &files)?;
            Err(error)
        }
    }
}

/// The folder and the name of the file that was asked for; `usual` is its name when that is a folder.
pub(super) fn place(output: &Path, usual: &str) -> anyhow::Result<(PathBuf, String)> {
    if output.is_dir() {
        return Ok((output.to_owned(), usual.to_owned()));
    }
    let file = output
        .file_name()
        .and_then(|file| file.to_str())
        .with_context(|| {
            format!(
                "cannot write to {}: it names no file; give one with --output",
                output.display()
            )
        })?;
    let directory = output.parent().filter(|it| !it.as_os_str().is_empty());
    Ok((
        directory.unwrap_or(Path::new(".")).to_owned(),
        file.to_owned(),
    ))
}

/// Tells on standard error what came of a recording. What makes it incomplete is told even when
/// `quiet`.
pub(super) fn summary(directory: &Path, recording: &Recording, quiet: bool) {
    if !quiet {
        let executables = recording
            .syscalls
            .iter()
            .flat_map(|syscall| &syscall.evidence)
            .map(|evidence| &evidence.executable)
            .filter(|executable| {
                matches!(executable, Executable::Path(_) | Executable::Truncated(_))
            })
            .collect::<std::collections::BTreeSet<_>>()
            .len();
        say!(
            "recorded {} system calls by {executables} {}; {}",
            recording.syscalls.len(),
            if executables == 1 {
                "executable"
            } else {
                "executables"
            },
            verdict(recording)
        );
    }
    coverage(recording, quiet);
    if !quiet {
        say!("profile  {}", directory.join(SECCOMP).display());
        if recording.providers.iter().any(|it| it.kind == kind::FILES) {
            say!("profile  {}", directory.join(APPARMOR).display());
        }
        say!("review   {}", directory.join(REVIEW).display());
    }
}

/// Whether a recording is complete, in a few words.
pub(super) fn verdict(recording: &Recording) -> &'static str {
    if recording.coverage.complete {
        "the recording is complete"
    } else {
        "the recording is NOT complete"
    }
}

/// Tells what can be said of a recording: what makes it incomplete always, the rest unless `quiet`.
pub(super) fn coverage(recording: &Recording, quiet: bool) {
    let coverage = &recording.coverage;
    for reason in &coverage.reasons {
        say!("not complete: {}", plain(&reason.text));
    }
    if !coverage.losses.is_none() {
        say!("losses: {}", progress_line::losses(&coverage.losses));
    }
    if quiet {
        return;
    }
    for note in &coverage.notes {
        say!("note: {}", plain(&note.text));
    }
    if let Some(discovery) = coverage.discovery.as_ref().and_then(discovered) {
        say!("{discovery}");
    }
}

/// How far discovery had come; `None` when there is nothing to tell.
fn discovered(discovery: &Discovery) -> Option<String> {
    let quiet = match (discovery.recorded_s, discovery.quiet_s) {
        // A command that ran for a moment is no surprise.
        (Some(60..), Some(seconds)) => format!(
            "the last new one came {} before the end",
            progress_line::short(Duration::from_secs(seconds))
        ),
        _ => String::new(),
    };
    let parts: Vec<_> = [discovery.brief(), quiet]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| format!("calls: {}", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscalls::Abi;
    use tracer_core::profile::{
        apparmor::fixture,
        seccomp::{Options, fixture::mixed},
    };

    fn names(recording: &Recording, asked: &[Format], arch: Option<Abi>) -> Result<String, String> {
        let settings = Settings {
            seccomp: Options {
                arch,
                ..Options::default()
            },
            ..Settings::default()
        };
        let rendered = render(recording, asked, &settings).map_err(|error| error.to_string())?;
        assert!(check(&rendered).is_ok());
        let names: Vec<_> = rendered.files.into_iter().map(|(name, _)| name).collect();
        Ok(names.join(" "))
    }

    #[test]
    fn renders_only_formats_with_content() {
        let all = "seccomp.json apparmor.profile capabilities.kubernetes.yaml capabilities.engine.args capabilities.systemd.conf kubernetes/seccompprofile.yaml kubernetes/apparmorprofile.yaml kubernetes/securitycontext.yaml REVIEW.md";
        assert_eq!(names(&fixture::web(), &[], None).as_deref(), Ok(all));
        let without =
            "seccomp.json kubernetes/seccompprofile.yaml kubernetes/securitycontext.yaml REVIEW.md";
        assert_eq!(names(&mixed(), &[], None).as_deref(), Ok(without));
        let abroad = "seccomp.json kubernetes/seccompprofile.yaml REVIEW.md";
        assert_eq!(
            names(&fixture::web(), &[], Some(Abi::Aarch64)).as_deref(),
            Ok(abroad)
        );
    }

    #[test]
    fn hostile_recording_is_harmless_in_every_format() {
        let rendered = render(
            &tracer_report::hostile::hostile(),
            &[],
            &Settings::default(),
        )
        .unwrap();
        assert!(rendered.files.len() >= 6);
        for (name, text) in rendered.files {
            tracer_report::hostile::is_harmless(&name, &text);
        }
    }

    #[test]
    fn missing_requested_format_is_an_error() {
        let error = names(&mixed(), &[Format::Apparmor], None).unwrap_err();
        assert!(error.contains("nothing about files"), "{error}");
        let abroad = Some(Abi::Aarch64);
        let error = names(&fixture::web(), &[Format::Capabilities], abroad).unwrap_err();
        assert!(error.contains("without --arch"), "{error}");
    }
}

//! What is written to a workload's directory, and what is said about it.

use std::{path::Path, time::Duration};
use tracer_core::recording::json;

use anyhow::Context as _;

use super::{
    apparmor_parser::{self, Checked},
    previous::ToWrite,
    progress_line,
    stderr::{plain, say},
};
use crate::store::{self, FileSet, OutputDirectory, StoreError};
use tracer_core::{
    formats::{
        self, Error, Models, Profiles, Rendered, Selection, Settings, apparmor, review, seccomp,
        selinux,
    },
    recording::{Discovery, Executable, ObservationKind, Recording, Source, plain_text::counted},
};
use tracer_report::words;

/// The default `--output`.
pub(super) const DEFAULT_DIRECTORY: &str = "profiles-out";

/// What formats take.
pub(super) const fn models<'a>(
    profiles: &'a Profiles,
    recording: &'a Recording,
    settings: &'a Settings,
) -> Models<'a> {
    profiles.models(recording, settings, tracer_report::full_review)
}

/// Renders the files of the formats that were asked for from the recording of a workload; when none
/// was, of all that the recording has something for.
pub(super) fn render(
    recording: &Recording,
    asked: &[Selection],
    settings: &Settings,
) -> anyhow::Result<Rendered> {
    let profiles = Profiles::from_recording(recording, settings)?;
    let models = models(&profiles, recording, settings);
    formats::render(&models, asked).map_err(with_advice)
}

/// What to do about an error, by the names of commands and options.
fn with_advice(error: Error) -> anyhow::Error {
    match &error {
        Error::NotObserved(_) => anyhow::anyhow!(
            "{error}: record again on a kernel that can observe them; `tracer doctor` shows what this one can"
        ),
        Error::OnlySandbox(_) => anyhow::anyhow!("{error}; use --format seccomp"),
        Error::OtherMachine(_) => anyhow::anyhow!("{error}: run without --arch"),
        _ => error.into(),
    }
}

/// Has AppArmor's parser look at the AppArmor profile at `path`, if there is one, and reports when that was not done.
/// `ends` says whether somebody wants tracer to end. That the parser is missing is said when `missing_is_told`: who asked
/// for the check has to know.
///
/// # Errors
/// When the parser refuses it.
pub(super) fn check(
    path: &Path,
    rendered: &Rendered,
    missing_is_told: bool,
    ends: &mut dyn FnMut() -> bool,
) -> anyhow::Result<Checked> {
    let mut files = rendered.files.iter();
    let Some((_, text)) = files.find(|(name, _)| name == apparmor::FILE) else {
        return Ok(Checked::Taken);
    };
    let checked =
        apparmor_parser::apparmor(text, ends).with_context(|| path.display().to_string())?;
    if checked == Checked::NoParser && missing_is_told {
        say!(
            "{}: not checked: apparmor_parser is not installed (apt-get install apparmor)",
            path.display()
        );
    }
    if let Checked::Skipped(why) = &checked {
        say!(
            "{} was not checked: {why}; to check it, run apparmor_parser --skip-kernel-load {}",
            path.display(),
            path.display()
        );
    }
    Ok(checked)
}

/// The directories of blobs that some of these files are in: blobs of an earlier time have names of their own, and no
/// index leads to them any more.
pub(super) fn blobs(files: &[(String, String)]) -> Vec<&'static str> {
    let directories = formats::files().filter(|name| name.ends_with('/'));
    directories
        .filter(|name| files.iter().any(|(file, _)| file.starts_with(name)))
        .collect()
}

/// The files of a new recording.
pub(super) struct NewFiles {
    files: Vec<(String, String)>,
    /// Files of an earlier recording that would speak for this one.
    stale: Vec<&'static str>,
    /// What was rendered besides the recording; `None` when that was left out.
    rendered: Option<anyhow::Result<Rendered>>,
}

impl NewFiles {
    /// The recording and all that is rendered from it.
    pub(super) fn render(to_write: &ToWrite, settings: &Settings) -> Self {
        let recording = &to_write.recording;
        let mut files = recordings(to_write);
        let made =
            render_all(recording, settings).context("cannot make a profile from the recording");
        // The recording itself is the dearer part: never lose it to a profile's trouble.
        let (rendered, stale) = match made {
            Ok((rendered, stale)) => (Ok(rendered), stale),
            Err(error) => (Err(error), Vec::new()),
        };
        if let Ok(rendered) = &rendered {
            files.extend(rendered.files.iter().cloned());
        }
        Self {
            files,
            stale,
            rendered: Some(rendered),
        }
    }

    /// The recording alone. What an earlier run wrote by default goes: it would speak for this one.
    pub(super) fn recording_alone(to_write: &ToWrite) -> Self {
        let by_default = formats::FORMATS.iter().filter(|format| format.by_default());
        Self {
            files: recordings(to_write),
            stale: by_default
                .flat_map(|format| format.files())
                .copied()
                .collect(),
            rendered: None,
        }
    }

    /// Writes them to the directory `name`, and reports what they cannot say.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn write(&self, output: &OutputDirectory, name: &str) -> Result<(), StoreError> {
        let directory = output.path().join(name);
        // What was asked for by an option, and is not there.
        let rendered = self.rendered.iter().flatten();
        let lost = rendered.flat_map(|it| it.omissions.iter());
        for (file, omission) in lost.filter(|(file, _)| file == apparmor::FILE) {
            say!(
                "{}: cannot express {}",
                directory.join(file).display(),
                plain(&omission.to_string())
            );
        }
        output.replace(
            name,
            &FileSet {
                files: &self.files,
                stale: self.stale.clone(),
            },
        )?;
        if let Some(now) = output.moved_to() {
            say!(
                "{} was moved or replaced while tracer ran; the files are in {}",
                output.path().display(),
                now.join(name).display()
            );
        }
        Ok(())
    }

    /// Has AppArmor's parser look at what was written to `directory`: what is wrong with it can be read there.
    ///
    /// # Errors
    /// When nothing could be rendered, or the parser refuses it.
    pub(super) fn check(
        self,
        directory: &Path,
        ends: &mut dyn FnMut() -> bool,
    ) -> anyhow::Result<()> {
        if let Some(rendered) = self.rendered {
            check(&directory.join(apparmor::FILE), &rendered?, false, ends)?;
        }
        Ok(())
    }
}

/// The recording, and the one that was there.
fn recordings(to_write: &ToWrite) -> Vec<(String, String)> {
    let text = json::to_json(&to_write.recording);
    let mut files = vec![(store::RECORDING_FILE.to_owned(), text)];
    files.extend(to_write.kept.clone());
    files
}

/// The default set, and the files of an earlier recording that would speak for this one.
fn render_all(
    recording: &Recording,
    settings: &Settings,
) -> anyhow::Result<(Rendered, Vec<&'static str>)> {
    let profiles = Profiles::from_recording(recording, settings)?;
    let models = models(&profiles, recording, settings);
    let rendered = formats::render(&models, &[]).map_err(with_advice)?;
    let outdated = formats::outdated(&models, &rendered);
    Ok((rendered, outdated))
}

/// Says that nothing of a workload was recorded, so that no profile of it is made.
pub(super) fn nothing(recording: &Recording) {
    let name = plain(&recording.workload.name);
    let calls = recording.syscalls.len();
    let why = if calls == 0 {
        "no system call was observed; it may not have run while it was recorded".to_owned()
    } else {
        format!(
            "{calls} system calls of what starts it were observed, and no program of its own; it may never have started"
        )
    };
    say!("nothing recorded of {name}: {why}. No profile was written");
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
        let calls = words::calls(recording);
        let mut others = Vec::new();
        if calls.runtime > 0 {
            others.push(format!("{} of the container runtime", calls.runtime));
        }
        if calls.blocked > 0 {
            others.push(format!("{} that a filter blocked", calls.blocked));
        }
        let others = match others.as_slice() {
            [] => String::new(),
            some => format!(" (and {})", some.join(", ")),
        };
        say!(
            "recorded {}{others} by {}; {}",
            counted(calls.own, "system call", "system calls"),
            counted(executables, "executable", "executables"),
            verdict(recording)
        );
    }
    coverage(recording, quiet);
    if !quiet {
        say!("profile  {}", directory.join(seccomp::FILE).display());
        if recording
            .providers
            .iter()
            .any(|it| it.kind == ObservationKind::Files)
        {
            say!("profile  {}", directory.join(apparmor::FILE).display());
        }
        if recording
            .providers
            .iter()
            .any(|it| it.kind == ObservationKind::Selinux)
        {
            say!("profile  {}", directory.join(selinux::FILE).display());
        }
        say!("review   {}", directory.join(review::FILE).display());
        next_step(directory, recording);
    }
}

/// The command to run now.
fn next_step(directory: &Path, recording: &Recording) {
    let seccomp = directory.join(seccomp::FILE);
    let settings = Settings::default();
    let Ok(profiles) = Profiles::from_recording(recording, &settings) else {
        return;
    };
    let models = models(&profiles, recording, &settings);
    if let Some(why) = tracer_report::record_longer(&models) {
        say!("next     {}", plain(&why));
    } else if recording
        .instances
        .iter()
        .any(|it| it.source == Source::Command)
    {
        say!(
            "next     read the review, then: tracer verify {} -- CMD",
            seccomp.display()
        );
    } else {
        say!(
            "next     read the review, then: docker run --security-opt seccomp={} ...",
            seccomp.display()
        );
    }
}

/// Whether a recording is complete, in a few words.
pub(super) fn verdict(recording: &Recording) -> &'static str {
    if recording.coverage.complete {
        "nothing was lost"
    } else {
        "incomplete"
    }
}

/// Tells what can be said of a recording: what makes it incomplete always, the rest unless `quiet`.
pub(super) fn coverage(recording: &Recording, quiet: bool) {
    let coverage = &recording.coverage;
    for reason in &coverage.reasons {
        say!("incomplete: {}", plain(&words::reason(reason)));
    }
    if !coverage.losses.is_none() {
        say!("losses: {}", words::losses(&coverage.losses));
    }
    if quiet {
        return;
    }
    for note in &coverage.notes {
        say!("note: {}", plain(&words::note(note)));
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
    let parts: Vec<_> = [words::discovery(discovery), quiet]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| format!("calls: {}", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use syscalls::Abi;
    use tracer_core::{
        formats::Need,
        profile::{
            apparmor::fixture,
            seccomp::{Options, fixture::mixed},
        },
    };

    fn names(recording: &Recording, asked: &[&str], arch: Option<Abi>) -> Result<String, String> {
        let settings = Settings {
            seccomp: Options {
                arch,
                ..Options::default()
            },
            ..Settings::default()
        };
        let asked: Vec<_> = asked.iter().filter_map(|it| Selection::named(it)).collect();
        let rendered = render(recording, &asked, &settings).map_err(|error| error.to_string())?;
        assert!(check(Path::new(apparmor::FILE), &rendered, false, &mut || false).is_ok());
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
        let recording = tracer_report::hostile::hostile();
        let mut settings = Settings::default();
        // Its own names are none that a cluster takes.
        settings.apparmor.name = Some("web".to_owned());
        settings.targets.container = Some("web".to_owned());
        for format in formats::FORMATS {
            let rendered = match render(&recording, &[Selection::Format(*format)], &settings) {
                Err(_) if format.needs().contains(&Need::Selinux) => continue,
                // Nor is the name of its image.
                Err(error) if format.needs().contains(&Need::Image) => {
                    assert!(error.to_string().contains("image"), "{error}");
                    continue;
                }
                rendered => rendered.unwrap(),
            };
            assert!(!rendered.files.is_empty());
            for (name, text) in rendered.files {
                // A letter, which may stay.
                let text = text.replace('é', "");
                tracer_report::hostile::is_harmless(&name, &text);
            }
        }
    }

    /// What an earlier recording left, and the new one has nothing for, is removed.
    #[test]
    fn writing_a_recording_removes_outdated_files() {
        const OLD: &str = "made by tracer from an earlier recording";
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("No_Name");
        let mut recording = mixed();
        recording.workload.name = "No_Name".to_owned();
        for file in formats::files().filter(|file| !file.ends_with('/')) {
            let path = directory.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, OLD).unwrap();
        }
        let output = OutputDirectory::open(scratch.path()).unwrap();
        let to_write = ToWrite {
            recording,
            kept: None,
        };
        let new = NewFiles::render(&to_write, &Settings::default());
        new.write(&output, "No_Name").unwrap();
        new.check(&directory, &mut || false).unwrap();
        let is_old = |file: &&str| {
            let text = fs::read_to_string(directory.join(file));
            text.is_ok_and(|text| text == OLD)
        };
        let old: Vec<_> = formats::files().filter(is_old).collect();
        // They were asked for by name, and can be made again.
        let kept = [
            "seccomp-artifact/index.json",
            "seccomp-artifact/oci-layout",
            "engine.args",
            "compose.yaml",
            "systemd.conf",
        ];
        assert_eq!(old, kept);
        let there = || formats::files().filter(|file| directory.join(file).is_file());
        let new: Vec<_> = there().filter(|file| !old.contains(file)).collect();
        assert_eq!(new, ["seccomp.json", "REVIEW.md"]);
        // Without time for more, no profile of another recording is beside the recording.
        let alone = NewFiles::recording_alone(&to_write);
        alone.write(&output, "No_Name").unwrap();
        assert_eq!(there().collect::<Vec<_>>(), kept);
        assert!(directory.join(store::RECORDING_FILE).is_file());
    }

    #[test]
    fn missing_requested_format_is_an_error() {
        let error = names(&mixed(), &["apparmor"], None).unwrap_err();
        assert!(error.contains("nothing about files"), "{error}");
        let abroad = Some(Abi::Aarch64);
        let error = names(&fixture::web(), &["capabilities"], abroad).unwrap_err();
        assert!(error.contains("without --arch"), "{error}");
    }
}

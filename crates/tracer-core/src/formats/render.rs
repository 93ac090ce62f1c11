//! Renders what was asked for.

use super::{Error, FORMATS, Models, Output, OutputFormat, Selection, default_selections};
use crate::profile::{Omission, TargetError};

/// What was rendered.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// Names, below the workload's directory, and texts.
    pub files: Vec<(String, String)>,
    /// What a file does not express, by the file's name.
    pub omissions: Vec<(String, Omission)>,
    /// Files that were not asked for by name and do not fit their target, and why.
    pub skipped: Vec<(&'static str, TargetError)>,
}

/// How a format was asked for.
#[derive(Clone, Copy)]
enum Asked {
    /// By its name: what it lacks is an error.
    Named,
    /// By the name of its group: what it lacks is told.
    InGroup,
    /// Not at all: what it lacks is no news, and what does not fit is told.
    Default,
}

/// Renders the formats that were asked for; when none was, the default set, as far as the recording has
/// something for it.
///
/// # Errors
/// When a format that was asked for cannot be rendered.
///
/// ```
/// use tracer_core::formats::{Profiles, Selection, Settings, render};
/// # let recording = tracer_core::profile::apparmor::fixture::web();
///
/// let settings = Settings::default();
/// let profiles = Profiles::from_recording(&recording, &settings).unwrap();
/// let models = profiles.models(&recording, &settings, |_| String::new());
/// let rendered = render(&models, &[Selection::named("seccomp").unwrap()]).unwrap();
/// assert_eq!(rendered.files[0].0, "seccomp.json");
/// ```
pub fn render(models: &Models<'_>, asked: &[Selection]) -> Result<Rendered, Error> {
    let mut rendered = Rendered::default();
    let by_default = asked.is_empty();
    let selections = if by_default {
        default_selections()
    } else {
        asked.to_vec()
    };
    for selection in selections {
        match selection {
            Selection::Format(format) if by_default => {
                rendered.add(format, models, Asked::Default)?;
            }
            Selection::Format(format) => rendered.add(format, models, Asked::Named)?,
            Selection::Group(group) => {
                let formats = group.formats().filter(|it| !by_default || it.by_default());
                let how = if by_default {
                    Asked::Default
                } else {
                    Asked::InGroup
                };
                for format in formats {
                    rendered.add(format, models, how)?;
                }
            }
        }
    }
    Ok(rendered)
}

impl Rendered {
    fn add(
        &mut self,
        format: &'static dyn OutputFormat,
        models: &Models<'_>,
        asked: Asked,
    ) -> Result<(), Error> {
        let error = match one(format, models) {
            Ok(output) => {
                self.files.extend(output.files);
                self.omissions.extend(output.omissions);
                return Ok(());
            }
            Err(error) => error,
        };
        match (asked, error) {
            (Asked::Named, error) => Err(error),
            (_, Error::NotObserved(_) | Error::OnlySandbox(_) | Error::OtherMachine(_)) => Ok(()),
            // A command that was recorded is in no pod.
            (Asked::Default, Error::Target(TargetError::Missing { .. })) => Ok(()),
            (Asked::Default, Error::Target(error))
            | (Asked::InGroup, Error::Target(error @ TargetError::Missing { .. })) => {
                let files = format.files().iter();
                self.skipped
                    .extend(files.map(|file| (*file, error.clone())));
                Ok(())
            }
            (_, error) => Err(error),
        }
    }
}

fn one(format: &dyn OutputFormat, models: &Models<'_>) -> Result<Output, Error> {
    check(format, models)?;
    format.render(models)
}

fn check(format: &dyn OutputFormat, models: &Models<'_>) -> Result<(), Error> {
    format
        .needs()
        .iter()
        .try_for_each(|need| need.check(models))
}

/// Files of an earlier recording that would speak for this one, though it has nothing for them: those of
/// the default set that were not rendered, and those of other formats whose needs are not met.
pub fn outdated(models: &Models<'_>, rendered: &Rendered) -> Vec<&'static str> {
    let is_rendered = |file: &str| rendered.files.iter().any(|(name, _)| name == file);
    FORMATS
        .iter()
        .filter(|format| format.by_default() || check(**format, models).is_err())
        .flat_map(|format| format.files())
        .copied()
        .filter(|file| !is_rendered(file))
        .collect()
}

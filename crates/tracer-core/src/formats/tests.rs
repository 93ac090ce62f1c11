//! What the list promises: distinct names and files, help, needs, omissions, removal.

use std::collections::BTreeSet;

use super::*;
use crate::{
    profile::{
        apparmor::fixture,
        hardening::tests::in_container,
        kubernetes::{Localhost, Operator},
        seccomp::fixture::mixed,
        selinux::tests::with_selinux,
    },
    recording::{ObservationKind, Provider, Recording, Security},
};
use syscalls::Abi;

/// A stand-in for tracer-report.
fn review_writer(models: &Models<'_>) -> String {
    format!("# {}\n", models.workload())
}

/// A server in a pod, of which everything was observed.
fn server() -> Recording {
    let mut recording = in_container(fixture::web(), Security::default());
    recording.workload.name = "web".to_owned();
    with_selinux(recording)
}

fn with_models<T>(
    recording: &Recording,
    settings: &Settings,
    test: impl FnOnce(&Models<'_>) -> T,
) -> T {
    let profiles = Profiles::from_recording(recording, settings).unwrap();
    test(&profiles.models(recording, settings, review_writer))
}

fn render_by_name(recording: &Recording, settings: &Settings, name: &str) -> Result<Output, Error> {
    let selection = Selection::named(name).unwrap();
    with_models(recording, settings, |models| {
        let rendered = render(models, &[selection])?;
        Ok(Output {
            files: rendered.files,
            omissions: rendered.omissions,
        })
    })
}

fn abroad() -> Settings {
    let mut settings = Settings::default();
    settings.seccomp.arch = Some(Abi::Aarch64);
    settings
}

#[test]
fn names_are_distinct_and_have_one_line_of_help() {
    let mut names = BTreeSet::new();
    for selection in selections() {
        let (name, help) = (selection.name(), selection.help());
        assert!(names.insert(name), "{name} is there twice");
        let is_kebab = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(!name.is_empty() && name.chars().all(is_kebab), "{name}");
        assert_ne!(name, "help", "--format help lists them");
        assert!(!help.is_empty() && !help.contains('\n'), "{name}: {help}");
        assert!(!help.ends_with('.'), "{name}: {help}");
        assert!(!selection.location().is_empty(), "{name}");
    }
    assert_eq!(names.len(), FORMATS.len() + 1, "formats and one group");
}

#[test]
fn no_two_formats_write_one_file() {
    let mut seen = BTreeSet::new();
    for format in FORMATS {
        assert!(!format.files().is_empty(), "{}", format.name());
        for file in format.files() {
            assert!(seen.insert(*file), "{file} is written twice");
            assert!(!file.starts_with('/') && !file.contains(".."), "{file}");
        }
    }
    assert!(!seen.contains("recording.json"));
    assert_eq!(files().count(), seen.len());
}

#[test]
fn each_format_writes_the_files_that_it_declares() {
    for format in FORMATS {
        let output = render_by_name(&server(), &Settings::default(), format.name()).unwrap();
        for (file, text) in &output.files {
            let declared = format
                .files()
                .iter()
                .any(|it| it == file || (it.ends_with('/') && file.starts_with(it)));
            assert!(declared, "{} writes {file}", format.name());
            assert!(!text.is_empty(), "{file}");
        }
        for file in format.files() {
            let written = output.files.iter().any(|(it, _)| it.starts_with(file));
            assert!(written, "{} does not write {file}", format.name());
        }
    }
}

#[test]
fn default_formats_are_rendered_when_none_is_named() {
    let settings = Settings::default();
    let rendered = with_models(&server(), &settings, |models| render(models, &[])).unwrap();
    let written: BTreeSet<_> = rendered
        .files
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let expected: BTreeSet<_> = FORMATS
        .iter()
        .filter(|format| format.by_default())
        .flat_map(|format| format.files())
        .copied()
        .collect();
    assert_eq!(written, expected);
    assert!(rendered.skipped.is_empty());
}

/// Every need is some format's, can be met and can fail; what fails is told when it is asked for.
#[test]
fn needs_are_checked_before_a_format_is_rendered() {
    let mut nameless = mixed();
    nameless.workload.name = "No_Name".to_owned();
    for need in Need::ALL {
        let of_need = |format: &&&dyn OutputFormat| format.needs().contains(&need);
        assert!(FORMATS.iter().any(|it| of_need(&it)), "{need:?}");
        let settings = Settings::default();
        with_models(&server(), &settings, |models| need.check(models)).unwrap();
        let settings = match need {
            Need::SameMachine => abroad(),
            _ => Settings::default(),
        };
        let failed = with_models(&nameless, &settings, |models| need.check(models));
        assert!(failed.is_err(), "{need:?}");
        for format in FORMATS.iter().filter(of_need) {
            let error = render_by_name(&nameless, &settings, format.name());
            assert!(error.is_err(), "{} without {need:?}", format.name());
        }
    }
}

#[test]
fn what_a_format_leaves_out_is_among_what_it_cannot_express() {
    let mut incomplete = server();
    incomplete.coverage.complete = false;
    let strict = Security {
        no_new_privileges: Some(true),
        ..Security::default()
    };
    let strict = in_container(fixture::web(), strict);
    let mut children = Settings::default();
    children.apparmor.children = true;
    let mut old = Settings::default();
    old.targets.operator = Operator::V0_10;
    old.targets.localhost = Localhost::File("profiles/web.json".to_owned());
    let cases = [
        (&incomplete, Settings::default()),
        (&strict, children),
        (&incomplete, old),
    ];
    for format in FORMATS {
        let omits = cases.iter().any(|(recording, settings)| {
            let output = render_by_name(recording, settings, format.name()).unwrap();
            !output.omissions.is_empty()
        });
        assert_eq!(
            omits,
            !format.cannot_express().is_empty(),
            "{}",
            format.name()
        );
    }
}

/// A new recording that has nothing for a format takes the files away that an earlier one left.
#[test]
fn outdated_files_are_those_that_a_recording_has_nothing_for() {
    let settings = Settings::default();
    let mut bare = mixed();
    bare.workload.name = "No_Name".to_owned();
    let outdated_of = |recording: &Recording, settings: &Settings| {
        with_models(recording, settings, |models| {
            let rendered = render(models, &[]).unwrap();
            outdated(models, &rendered)
        })
    };
    let kept: Vec<_> = files()
        .filter(|file| !outdated_of(&server(), &settings).contains(file))
        .collect();
    assert_eq!(
        kept,
        files().collect::<Vec<_>>(),
        "it has something for all"
    );
    let removed: BTreeSet<_> = outdated_of(&bare, &abroad()).into_iter().collect();
    for format in FORMATS {
        // These can be made from every recording, so there is never nothing for them.
        let always = format.needs().is_empty();
        for file in format.files() {
            assert_eq!(removed.contains(file), !always, "{file}");
        }
    }
}

#[test]
fn a_default_format_that_was_not_rendered_is_outdated() {
    let settings = Settings::default();
    let nothing = Rendered::default();
    let outdated: BTreeSet<_> =
        with_models(&server(), &settings, |models| outdated(models, &nothing))
            .into_iter()
            .collect();
    for format in FORMATS {
        for file in format.files() {
            assert_eq!(outdated.contains(file), format.by_default(), "{file}");
        }
    }
}

#[test]
fn a_group_skips_what_was_not_observed_and_tells_what_is_not_known() {
    let settings = Settings::default();
    let group = Selection::named("kubernetes").unwrap();
    let rendered = |recording: &Recording, asked: &[Selection]| {
        with_models(recording, &settings, |models| render(models, asked)).unwrap()
    };
    let mut command = fixture::web();
    command.workload.name = "web".to_owned();
    command
        .providers
        .retain(|it: &Provider| it.kind != ObservationKind::Files);
    let asked = rendered(&command, &[group]);
    let skipped: Vec<_> = asked.skipped.iter().map(|(file, _)| *file).collect();
    assert_eq!(
        skipped,
        ["kubernetes/patch.yaml", "kubernetes/profilebinding.yaml"]
    );
    assert!(rendered(&command, &[]).skipped.is_empty());
    command.workload.name = "No_Name".to_owned();
    let skipped: BTreeSet<_> = rendered(&command, &[])
        .skipped
        .into_iter()
        .map(|(file, _)| file)
        .collect();
    assert!(skipped.contains("kubernetes/seccompprofile.yaml"));
    let error = with_models(&command, &settings, |models| render(models, &[group]));
    assert!(matches!(error, Err(Error::Target(_))));
}

#[test]
fn the_page_has_a_row_for_each_format() {
    let page = page();
    for format in FORMATS {
        let row = format!("| `{}` | ", format.name());
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with(&row)).collect();
        let [row] = rows.as_slice() else {
            panic!("{}: {rows:?}", format.name());
        };
        assert_eq!(row.matches(" | ").count(), 6, "{row}");
        for file in format.files() {
            assert!(row.contains(&format!("`{file}`")), "{row}");
        }
    }
}

#[test]
fn locations_are_files_directories_or_patterns() {
    let location = |name| Selection::named(name).unwrap().location();
    assert_eq!(location("seccomp"), "seccomp.json");
    assert_eq!(location("capabilities"), "capabilities.*");
    assert_eq!(location("artifact"), "seccomp-artifact/");
    assert_eq!(location("kubernetes"), "kubernetes/");
    assert!(Selection::named("SECCOMP").is_none());
}

//! One run is recorded, and its random names are drawn again and again, a thousand times for each program:
//! the profile must fit each draw, with no more rules than the names have kinds, and must open nothing
//! that lies beside them.

use std::collections::BTreeSet;

use super::redraw_cases::{CASES, Case, Draw, Run};
use crate::{
    profile::apparmor::{AppArmorProfile, Options, Permissions, fixture},
    recording::{FileAccess, FilePath, FileUse, ObservedAccess, Phase, Recording},
};

/// Recordings of each program, and how often the names of each are drawn again.
const RECORDINGS: u64 = 250;
const REDRAWS: u64 = 4;

fn recording(case: &Case, files: Run) -> Recording {
    let mut recording = fixture::empty();
    recording.workload.command = case.command.iter().map(|word| (*word).to_owned()).collect();
    let unique: BTreeSet<_> = files.into_iter().collect();
    let seen = unique
        .into_iter()
        .map(|what| fixture::seen(what, Phase::Run, "/proc/self/exe"));
    recording.files = seen.collect::<Vec<ObservedAccess<FileUse>>>();
    recording
}

fn profile(case: &Case, files: Run) -> AppArmorProfile {
    AppArmorProfile::from_recordings(&[recording(case, files)], &Options::default()).unwrap()
}

fn rules(profile: &AppArmorProfile) -> Vec<String> {
    let patterns = profile.files().map(|(pattern, _)| pattern);
    patterns.filter_map(|pattern| pattern.token()).collect()
}

/// What a run does that a profile denies.
fn denied(profile: &AppArmorProfile, run: Run) -> Vec<(FilePath, FileAccess)> {
    let denied = run.into_iter().filter_map(|used| {
        let path = if used.more {
            FilePath::new([used.path.as_bytes(), b"one"].concat())
        } else {
            used.path
        };
        let needed = Permissions::needed_by(used.access);
        (!profile.allows(&path, needed, used.owned)).then_some((path, used.access))
    });
    denied.collect()
}

#[test]
fn profile_fits_a_thousand_redraws_of_its_random_names() {
    let mut failures = Vec::new();
    for case in CASES {
        let mut misfits = BTreeSet::new();
        let mut most = 0;
        for draw in 0..RECORDINGS {
            let profile = profile(case, (case.run)(&mut Draw::new(draw)));
            most = most.max(profile.files().count());
            for redraw in 0..REDRAWS {
                let seed = RECORDINGS + draw * REDRAWS + redraw;
                let denied = denied(&profile, (case.run)(&mut Draw::new(seed)));
                if !denied.is_empty() && misfits.insert(seed) && misfits.len() < 3 {
                    failures.push(format!(
                        "{}: {denied:?} by {:?}",
                        case.name,
                        rules(&profile)
                    ));
                }
            }
            for path in case.beside {
                let path = FilePath::from(*path);
                for one in [Permissions::READ, Permissions::WRITE] {
                    if profile.allows(&path, one, true) && failures.len() < 10 {
                        failures.push(format!(
                            "{}: {path} is open by {:?}",
                            case.name,
                            rules(&profile)
                        ));
                    }
                }
            }
        }
        println!(
            "| {} | {} of {} | {most} rules, {} expected |",
            case.name,
            misfits.len(),
            RECORDINGS * REDRAWS,
            case.rules
        );
        if most > case.rules + 1 {
            let profile = profile(case, (case.run)(&mut Draw::new(0)));
            failures.push(format!(
                "{}: {most} rules: {:?}",
                case.name,
                rules(&profile)
            ));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

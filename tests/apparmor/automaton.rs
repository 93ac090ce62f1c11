//! What `AppArmorProfile::allows` answers, against the automaton.

use anyhow::{Context as _, Result, ensure};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tracer_core::{
    profile::apparmor::{AppArmorProfile, Options, Permissions, Policy},
    recording::{FileAccess, FilePath, FileUse, ObservedAccess},
};
use tracer_tests::{Outcome, needs};

use super::{
    fixture::{recording, used},
    parser::{PARSER, compile},
    policy::{Files, bit},
};

const PROFILES: usize = 150;

/// Paths that meet every rule of generalisation.
fn file() -> impl Strategy<Value = ObservedAccess<FileUse>> {
    let directory = select(vec![
        "/tmp/",
        "/data/",
        "/proc/",
        "/proc/12/fd/",
        "/usr/lib/",
        "/etc/",
        "/srv/a/b/",
    ]);
    let name = prop_oneof![
        "[a-c]{1,2}",
        "seg-[0-9]{1,2}",
        "tmp[a-z0-9_]{8}",
        "x\\.[A-Za-z0-9]{6}",
        "[0-9]{1,3}",
        "lib[ab]\\.so\\.[0-9]\\.[0-9]",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[ab]/[0-9a-f]{32}",
        "pod-[a-z0-9]{5}/state",
        Just(String::new()),
    ];
    let access = select(vec![
        FileAccess::Read,
        FileAccess::Write,
        FileAccess::Append,
        FileAccess::Create,
        FileAccess::Remove,
        FileAccess::Lock,
        FileAccess::Execute,
        FileAccess::MapExecutable,
    ]);
    (directory, name, access, any::<bool>(), 0_u32..3).prop_map(
        |(directory, name, access, owned, run)| {
            let mut file = used(format!("{directory}{name}").as_bytes(), access, &[run]);
            file.what.owned = owned;
            file.what.more = name.is_empty() && run == 0;
            file
        },
    )
}

/// A path, and some that are like it.
fn asked(path: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![
        path.to_vec(),
        [path, b"/"].concat(),
        [path, b"7"].concat(),
        [path, b"/z"].concat(),
    ];
    for at in 1..path.len() {
        for byte in *b"7z/" {
            let mut other = path.to_vec();
            other[at] = byte;
            all.push(other);
        }
    }
    all
}

fn agree(profile: &AppArmorProfile, files: &Files, path: &[u8]) -> Result<()> {
    let kinds = [
        (Permissions::READ, bit::READ),
        (Permissions::WRITE, bit::WRITE),
        (Permissions::LOCK, bit::LOCK),
        (Permissions::MAP, bit::MAP),
    ];
    let (owner, others) = files.permissions(path);
    let path = FilePath::new(path);
    for (permission, bit) in kinds {
        for (allowed, as_owner) in [(owner, true), (others, false)] {
            ensure!(
                profile.allows(&path, permission, as_owner) == (allowed & bit != 0),
                "{path}: {permission} as owner: {as_owner}; the automaton has {allowed:#x} in {}",
                profile.to_text()
            );
        }
    }
    Ok(())
}

#[test]
fn allows_agrees_with_the_compiled_automaton() -> Outcome {
    needs!(PARSER);
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    let mut count = 0;
    for at in 0..PROFILES {
        let tree = vec(file(), 1..40)
            .new_tree(&mut runner)
            .map_err(|why| anyhow::anyhow!("{why}"))?;
        let seen = tree.current();
        let options = Options {
            generalise: [Policy::None, Policy::Safe, Policy::Wide][at % 3],
            ..Options::default()
        };
        let profile = AppArmorProfile::from_recordings(&[recording(3, seen.clone())], &options)
            .context("there is a profile")?;
        let policy = compile(&profile.to_text()).with_context(|| profile.to_text())?;
        let files = Files::read(&policy)?;
        for file in &seen {
            // What was seen is allowed, however it was generalised.
            let needed = Permissions::needed_by(file.what.access);
            let path = &file.what.path;
            ensure!(
                file.what.more || profile.allows(path, needed, file.what.owned),
                "{path} is not allowed {needed} in {}",
                profile.to_text()
            );
            for path in asked(path.as_bytes()) {
                agree(&profile, &files, &path)?;
                count += 1;
            }
        }
    }
    println!("{PROFILES} profiles, {count} paths asked for, each answer the automaton's");
    Ok(())
}

#[test]
fn link_rule_allows_only_its_own_pair() -> Outcome {
    needs!(PARSER);
    let mut link = used(b"/new *", FileAccess::Link, &[0]);
    link.what.target = Some(FilePath::from("/old\"x"));
    let profile =
        AppArmorProfile::from_recordings(&[recording(1, vec![link])], &Options::default())
            .context("there is a profile")?;
    let files = Files::read(&compile(&profile.to_text())?)?;
    // The kernel goes from the new name over a NUL to the old one.
    let may = |pair: &[u8]| files.permissions(pair).0 & bit::LINK != 0;
    ensure!(
        may(b"/new *") && may(b"/new *\0/old\"x"),
        "{}",
        profile.to_text()
    );
    ensure!(
        !may(b"/new *\0/old\"y") && !may(b"/new x\0/old\"x"),
        "{}",
        profile.to_text()
    );
    Ok(())
}

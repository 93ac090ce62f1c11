//! Profiles that the audit resolves, against the automaton that apparmor_parser makes of the same text.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tracer_core::audit::{Included, Input, apparmor_policy::Policy};
use tracer_tests::{Outcome, needs};

use super::{
    parser::{PARSER, compile},
    policy::{Files, bit},
};

/// Where the machine has its profiles.
pub(super) const ROOT: &str = "/etc/apparmor.d";

const PROFILES: usize = 200;

/// The files of a machine's directory that a profile includes.
pub(super) fn includes(root: &Path, name: &str) -> Included {
    let path = root.join(name);
    let read = |path: &Path| {
        let bytes = fs::read(path).unwrap_or_default();
        Input::new(path.display().to_string(), bytes).ok()
    };
    if path.is_dir() {
        let entries = fs::read_dir(&path).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.is_file() && !path.ends_with("README"));
        paths.sort();
        return Included::Files(paths.iter().filter_map(|path| read(path)).collect());
    }
    match path.is_file() {
        true => Included::Files(read(&path).into_iter().collect()),
        false => Included::Missing,
    }
}

/// Rules with every kind of pattern, for a few directories, so that they meet.
fn rule() -> impl Strategy<Value = String> {
    let directory = select(vec![
        "/a/",
        "/a/b/",
        "/{a,b}/",
        "@{HOME}/",
        "@{PROC}/",
        "@{run}/x/",
        "/a*/",
        "/**/",
    ]);
    let name = select(vec![
        "*",
        "**",
        "x",
        "[ab]",
        "[^a]",
        "?",
        "{,x}",
        "*.d/",
        "{a,b{c,}}*",
        "x\\*",
        "@{pid}/y",
        "**/z",
        "[a-c]*",
        "a\\040b",
        "***",
        "*x*",
    ]);
    let permissions = select(vec!["r", "w", "rw", "k", "m", "rl", "a", "rwlkm", "mr"]);
    let qualifiers = select(vec!["", "", "", "deny ", "owner ", "deny owner ", "audit "]);
    (directory, name, permissions, qualifiers).prop_map(
        |(directory, name, permissions, qualifiers)| {
            format!("  {qualifiers}{directory}{name} {permissions},\n")
        },
    )
}

/// Paths that such rules may be about, and some beside them.
fn paths() -> Vec<Vec<u8>> {
    let directories = [
        "/a/",
        "/b/",
        "/a/b/",
        "/ab/",
        "/root/",
        "/home/u/",
        "/home/",
        "/proc/",
        "/run/x/",
        "/var/run/x/",
        "/c/",
        "/",
    ];
    let names = [
        "",
        "x",
        "a",
        "b",
        "c",
        "bc",
        "x*",
        "xy",
        "q.d/",
        ".d/",
        "12/y",
        "0/y",
        "x/z",
        "x/y/z",
        "z",
        "a b",
        "ax",
        "/",
        "12345678/y",
        "b/x",
        "d",
    ];
    let all = directories
        .iter()
        .flat_map(|directory| names.map(|name| format!("{directory}{name}").into_bytes()));
    all.collect()
}

/// Compares what both say of a path; the number of answers.
fn agree(policy: &Policy, files: &Files, path: &[u8], text: &str) -> Result<usize> {
    let kinds = [
        ('r', bit::READ),
        ('w', bit::WRITE),
        ('k', bit::LOCK),
        ('m', bit::MAP),
    ];
    // A denial of links is about the pair of the new name and the old one.
    let pair = files.permissions(&[path, b"\0/q"].concat());
    let name = policy.names().next().context("there is no profile")?;
    let (owner, others) = files.permissions(path);
    for (theirs, links, as_owner) in [(owner, pair.0, true), (others, pair.1, false)] {
        let ours = policy.allowed(name, path, as_owner);
        ensure!(
            ours.contains('l') == (links & bit::LINK != 0),
            "{}: l as owner: {as_owner}: {ours} and {links:#x} in {text}",
            String::from_utf8_lossy(path)
        );
        for (letter, bit) in kinds {
            ensure!(
                ours.contains(letter) == (theirs & bit != 0),
                "{}: {letter} as owner: {as_owner}: {ours} and {theirs:#x} in {text}",
                String::from_utf8_lossy(path)
            );
        }
    }
    Ok(2 * (kinds.len() + 1))
}

#[test]
fn resolved_rules_agree_with_the_automaton() -> Outcome {
    needs!(PARSER);
    let root = Path::new(ROOT);
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    let mut count = 0;
    let paths = paths();
    for _ in 0..PROFILES {
        let rules = vec(rule(), 1..12)
            .new_tree(&mut runner)
            .map_err(|why| anyhow::anyhow!("{why}"))?
            .current();
        let text = format!(
            "abi <abi/3.0>,\ninclude <tunables/global>\nprofile a {{\n{}}}\n",
            rules.concat()
        );
        let binary = compile(&text).with_context(|| text.clone())?;
        let files = Files::read(&binary)?;
        // With the machine's variables, and with what is known of them.
        let known = |_: &str| Included::Missing;
        let here = |name: &str| includes(root, name);
        for includes in [&known as &dyn Fn(&str) -> Included, &here] {
            let input = Input::new("a", text.clone().into())?;
            let policy = Policy::from_input(&input, includes)?;
            for path in &paths {
                count += agree(&policy, &files, path, &text)?;
            }
        }
    }
    println!("{PROFILES} profiles: {count} answers, each as the automaton's");
    Ok(())
}

/// Profiles of the machine, each with one profile in it: paths that its own rules name, and some beside them.
#[test]
fn shipped_profiles_agree_with_the_automaton() -> Outcome {
    needs!(PARSER);
    let root = Path::new(ROOT);
    let (mut profiles, mut count) = (0, 0);
    for entry in fs::read_dir(root)?
        .flatten()
        .filter(|it| it.path().is_file())
    {
        let path = entry.path();
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let input = Input::new(path.display().to_string(), text.clone().into())?;
        let here = |name: &str| includes(root, name);
        let Ok(policy) = Policy::from_input(&input, &here) else {
            continue;
        };
        // The automaton of the first profile is read; others come behind it.
        if policy.names().count() != 1 {
            continue;
        }
        let files = Files::read(&compile(&text)?)?;
        profiles += 1;
        for path in policy.literal_paths().into_iter().chain(paths()) {
            for path in [path.clone(), [&path[..], b"x"].concat()] {
                count += agree(&policy, &files, &path, input.name())?;
            }
        }
    }
    println!("{profiles} profiles of {ROOT}: {count} answers, each as the automaton's");
    Ok(())
}

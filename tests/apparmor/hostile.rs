//! Random hostile paths, each in a rule of its own, through the parser and back out of its automaton.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tracer_core::{
    profile::apparmor::{AppArmorProfile, Options, Policy},
    recording::FileAccess,
};
use tracer_tests::{Outcome, needs};

use super::{
    fixture::{recording, used},
    parser::{PARSER, compile},
    policy::{Files, bit},
};

/// Profiles, and paths in each.
const PROFILES: usize = 120;
const PATHS: usize = 40;

/// What may stand in a name: any byte, what means something to the parser, and rules.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        select(b"\n\r\t\"\\,{}*?[]^@#!()|+.$ -<>=&%~:;'`".to_vec()),
        1_u8..=255,
        select(b"abAB01x".to_vec()),
    ];
    let word = select(vec![
        &b"@{PROC}"[..],
        b"@{",
        b"**",
        b" r,\n/etc/shadow rw,",
        b"\\052",
        b"\\x2a",
        b"\\n",
        b"[a-z]",
        b"{a,b}",
        b"\"",
        b" -> ",
        b"#include <x>",
        b"\x1b[2J",
        b"\xe2\x80\xae",
        b".",
        b"..",
    ]);
    let part = prop_oneof![3 => vec(byte, 1..6), 2 => word.prop_map(<[u8]>::to_vec)];
    vec(part, 1..4).prop_map(|parts| {
        let mut name = parts.concat();
        name.iter_mut()
            .filter(|byte| **byte == b'/')
            .for_each(|byte| *byte = b'_');
        name.truncate(255);
        name
    })
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    (vec(name(), 1..4), any::<bool>()).prop_map(|(names, directory)| {
        let mut path = vec![b'/'];
        path.extend(names.join(&b'/'));
        if directory {
            path.push(b'/');
        }
        path
    })
}

/// Other paths that a rule for this one must not allow, because a sign in it was taken for a glob, an
/// escape, or an end.
fn neighbours(path: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![
        [path, b"x"].concat(),
        path[..path.len() - 1].to_vec(),
        b"/etc/shadow".to_vec(),
    ];
    for at in 1..path.len() {
        for byte in [b'x', b'/', b'*', b'\\'] {
            let mut other = path.to_vec();
            other[at] = byte;
            all.push(other);
        }
        all.push([&path[..at], b"yy", &path[at..]].concat());
        all.push([&path[..at], &path[at + 1..]].concat());
    }
    all.retain(|other| !other.is_empty());
    all
}

/// The rules of a profile for exactly these paths, compiled; `None` when one is lost.
fn compiled(paths: &BTreeSet<Vec<u8>>) -> Result<(AppArmorProfile, Result<Files>)> {
    let files = paths
        .iter()
        .map(|path| used(path, FileAccess::Read, &[0]))
        .collect();
    let options = Options {
        generalise: Policy::None,
        ..Options::default()
    };
    let profile = AppArmorProfile::from_recordings(&[recording(1, files)], &options)
        .ok_or_else(|| anyhow::anyhow!("no profile"))?;
    let files = compile(&profile.to_text()).and_then(|policy| Files::read(&policy));
    Ok((profile, files))
}

#[test]
fn rule_matches_only_its_own_path() -> Outcome {
    needs!(PARSER);
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    let (mut accepted, mut refused, mut lost, mut asked) = (0, 0, 0, 0);
    for _ in 0..PROFILES {
        let mut paths = BTreeSet::new();
        while paths.len() < PATHS {
            let tree = path()
                .new_tree(&mut runner)
                .map_err(|why| anyhow::anyhow!("{why}"))?;
            paths.insert(tree.current());
        }
        let (profile, files) = compiled(&paths)?;
        lost += profile.lost().count();
        let files = match files {
            Ok(files) => files,
            Err(error) => {
                refused += paths.len();
                println!("{error:#}\n{}", profile.to_text());
                continue;
            }
        };
        accepted += paths.len() - profile.lost().count();
        for path in &paths {
            let (owner, others) = files.permissions(path);
            ensure!(
                owner == bit::READ && others == bit::READ,
                "{:?} is not allowed in {}",
                String::from_utf8_lossy(path),
                profile.to_text()
            );
            for other in neighbours(path) {
                asked += 1;
                let is_meant = paths.contains(&other);
                ensure!(
                    (files.permissions(&other) != (0, 0)) == is_meant,
                    "{:?} beside {:?}: {}",
                    String::from_utf8_lossy(&other),
                    String::from_utf8_lossy(path),
                    profile.to_text()
                );
            }
        }
    }
    println!(
        "paths: {accepted} accepted, {refused} refused, {lost} that no rule can say; {asked} other paths asked for"
    );
    ensure!(refused == 0 && lost == 0, "{refused} refused, {lost} lost");
    Ok(())
}

#[test]
fn every_byte_in_a_path_matches_only_itself() -> Outcome {
    needs!(PARSER);
    for byte in (1..=255_u8).filter(|byte| *byte != b'/') {
        let path = |byte| vec![b'/', b'a', byte, b'b'];
        let (profile, files) = compiled(&[path(byte)].into())?;
        let files = files?;
        let allowed: Vec<_> = (1..=255)
            .filter(|other| files.permissions(&path(*other)) != (0, 0))
            .collect();
        ensure!(
            allowed == [byte],
            "{byte}: {allowed:?} by {}",
            profile.to_text()
        );
    }
    Ok(())
}

#[test]
fn longest_path_fits_whatever_its_bytes() -> Outcome {
    needs!(PARSER);
    // PATH_MAX holds the NUL too.
    for byte in [b'a', b'*', b' ', 0xff, b'\n'] {
        let path = [&b"/"[..], &[byte; 4094]].concat();
        let (profile, files) = compiled(&[path.clone()].into())?;
        ensure!(profile.lost().count() == 0, "{byte} is lost");
        let files = files?;
        ensure!(files.permissions(&path) == (bit::READ, bit::READ), "{byte}");
        ensure!(files.permissions(&path[..4094]) == (0, 0), "{byte}");
    }
    // AppArmor itself takes paths of twice the length; four bytes for each are too many for the parser.
    let long = [&b"/"[..], &[0xff; 4200]].concat();
    let (profile, files) = compiled(&[long.clone(), b"/a".to_vec()].into())?;
    ensure!(profile.lost().count() == 1, "it is not lost");
    ensure!(files?.permissions(&long) == (0, 0), "it is allowed");
    Ok(())
}

//! An AppArmorProfile, read back as `audit` and `diff` read it, says what the profile says, but for what
//! it tells that it cannot say.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{ObjectName, Operator, apparmor_profile};
use crate::{
    parse::{AppArmor, Input, Subject, apparmor::Rule, subjects},
    profile::{
        Rendering,
        apparmor::{AppArmorProfile, Options, Permissions, fixture},
    },
    recording::{Recording, json},
};

fn examples() -> Vec<Recording> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let names = ["nginx", "postgresql", "python-web", "redis"];
    names
        .map(|name| {
            json::parse(&std::fs::read(directory.join(name).join("recording.json")).unwrap())
                .unwrap()
        })
        .into()
}

fn read_back(text: &str) -> AppArmor {
    let input = Input::new("p.yaml", text.as_bytes().to_vec()).unwrap();
    match subjects(&input).unwrap().pop() {
        Some(Subject::AppArmor(read)) => read,
        other => panic!("{other:?}"),
    }
}

/// The letters of each path.
fn paths(read: &AppArmor) -> BTreeMap<&str, BTreeSet<char>> {
    let mut paths = BTreeMap::<_, BTreeSet<char>>::new();
    for rule in read.statements.iter().map(Rule::from_statement) {
        if let Some(path) = rule.path {
            paths
                .entry(path)
                .or_default()
                .extend(rule.permissions.chars());
        }
    }
    paths
}

fn names_after<'a>(read: &'a AppArmor, kind: &str) -> BTreeSet<&'a str> {
    let rules = read.statements.iter().map(Rule::from_statement);
    rules
        .filter(|rule| !rule.denies)
        .filter_map(|rule| match rule.words {
            [first, name] if first == kind => Some(name.as_str()),
            _ => None,
        })
        .collect()
}

fn same(recording: Recording, operator: Operator) {
    let name = ObjectName::of_workload(&recording.workload.name).unwrap();
    let workload = recording.workload.name.clone();
    let profile = AppArmorProfile::from_recordings(&[recording], &Options::default()).unwrap();
    let Rendering { text, omissions } =
        apparmor_profile(&name, &workload, &profile, operator).unwrap();
    let is_said = |word: &str, path: &str| {
        let mut told = omissions.iter();
        told.any(|it| it.instead().contains(word) && it.what().split(' ').any(|it| it == path))
    };
    let read = read_back(&text);
    let mut theirs = paths(&read);
    // What lies under one name there.
    let mut ours = BTreeMap::<String, Permissions>::new();
    for (pattern, rule) in profile.files() {
        let path = pattern
            .for_operator(operator == Operator::V1)
            .operator_text();
        *ours.entry(path).or_default() |= rule.permissions | rule.owner;
    }
    for (path, permissions) in &ours {
        let letters = theirs.remove(path.as_str()).unwrap_or_default();
        for (permission, letter, added) in [
            (
                Permissions::READ,
                'r',
                Permissions::MAP | Permissions::EXECUTE,
            ),
            (Permissions::WRITE, 'w', Permissions::NONE),
            (
                Permissions::LOCK,
                'k',
                Permissions::WRITE | Permissions::LINK,
            ),
            (Permissions::MAP, 'm', Permissions::NONE),
            (Permissions::EXECUTE, 'x', Permissions::NONE),
            (
                Permissions::LINK,
                'l',
                Permissions::WRITE | Permissions::LOCK,
            ),
        ] {
            let (has, is_there) = (permissions.has_any(permission), letters.contains(&letter));
            let fits = match (has, is_there) {
                (true, true) | (false, false) => true,
                (true, false) => is_said("denied", path),
                (false, true) => permissions.has_any(added) || is_said("it may be", path),
            };
            assert!(fits, "{path}: {permissions} and {letters:?}\n{text}");
        }
    }
    assert!(theirs.is_empty(), "{theirs:?}");

    let needed: BTreeSet<_> = profile
        .capabilities()
        .filter_map(|(one, _)| one.name())
        .map(str::to_ascii_lowercase)
        .collect();
    let given = names_after(&read, "capability");
    assert!(needed.iter().map(String::as_str).eq(given), "{text}");
    let has = |kind| {
        profile
            .networks()
            .any(|((family, it), _)| it == kind && family != 1)
    };
    let networks = names_after(&read, "network");
    for (kind, name) in [(1, "tcp"), (2, "udp"), (3, "raw")] {
        assert_eq!(networks.contains(name), has(kind), "{name}\n{text}");
    }
}

#[test]
fn operator_apparmor_profile_round_trips() {
    for operator in [Operator::V1, Operator::V0_10] {
        for recording in examples() {
            same(recording, operator);
        }
        same(fixture::web(), operator);
        same(fixture::sleep(), operator);
    }
}

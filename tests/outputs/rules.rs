//! What the targets take, written down: required fields, values, patterns, lists without duplicates. This
//! runs everywhere; `schemas` asks the same of the operator's own schemas where they are at hand.

use std::collections::BTreeSet;

use serde_json::Value;

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
];
const OPERATORS: [&str; 7] = [
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
];
/// The pattern of the operator's webhook for paths.
const PATH: &str = "/._*?+@{} -";

/// What is wrong with an object; nothing when it is fine.
pub(crate) fn wrong(object: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let kind = object["kind"].as_str().unwrap_or_default();
    let version = object["apiVersion"].as_str().unwrap_or_default();
    keys(
        object,
        "",
        &["apiVersion", "kind", "metadata", "spec"],
        &mut wrong,
    );
    name(&object["metadata"]["name"], &mut wrong);
    let spec = &object["spec"];
    let old = version.contains("alpha") || version.contains("beta");
    match (version.split('/').next(), kind) {
        (Some("security-profiles-operator.x-k8s.io"), "SeccompProfile") => calls(spec, &mut wrong),
        (Some("security-profiles-operator.x-k8s.io"), "AppArmorProfile") => {
            apparmor(spec, old, &mut wrong);
        }
        (Some("security-profiles-operator.x-k8s.io"), "ProfileBinding") => {
            keys(spec, "spec", &["profileRef", "image"], &mut wrong);
            if spec["image"].as_str().is_none_or(str::is_empty) {
                wrong.push("spec.image".to_owned());
            }
            name(&spec["profileRef"]["name"], &mut wrong);
        }
        (Some("kubescape.io"), "SeccompProfile") => {
            let containers = spec.as_object().into_iter().flatten();
            for container in containers.flat_map(|(_, list)| list.as_array().into_iter().flatten())
            {
                keys(
                    container,
                    "container",
                    &["name", "path", "spec"],
                    &mut wrong,
                );
                calls(&container["spec"], &mut wrong);
            }
        }
        other => wrong.push(format!("an object of no known kind: {other:?}")),
    }
    wrong
}

/// All of these keys are there, and no others.
fn keys(object: &Value, what: &str, known: &[&str], wrong: &mut Vec<String>) {
    let there: BTreeSet<_> = object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    let known: BTreeSet<_> = known.iter().copied().collect();
    for key in there.symmetric_difference(&known) {
        wrong.push(format!("{what}.{key}"));
    }
}

fn name(name: &Value, wrong: &mut Vec<String>) {
    let fine = name.as_str().is_some_and(|name| {
        name.len() <= 253
            && name.split('.').all(|part| {
                !part.is_empty()
                    && !part.starts_with('-')
                    && !part.ends_with('-')
                    && part
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            })
    });
    if !fine {
        wrong.push(format!("the name {name}"));
    }
}

fn set(list: &Value, what: &str, wrong: &mut Vec<String>) -> Vec<String> {
    let texts: Vec<_> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| it.as_str().unwrap_or("\0").to_owned())
        .collect();
    let unique: BTreeSet<_> = texts.iter().collect();
    if unique.len() != texts.len() || texts.iter().any(|text| text == "\0") {
        wrong.push(format!("{what} is no set of texts"));
    }
    texts
}

fn calls(spec: &Value, wrong: &mut Vec<String>) {
    let among =
        |value: &Value, known: &[&str]| value.as_str().is_some_and(|it| known.contains(&it));
    let number = |value: &Value, most: u64| {
        value.is_null() || value.as_u64().is_some_and(|number| number <= most)
    };
    for key in spec.as_object().into_iter().flatten().map(|(key, _)| key) {
        if !["defaultAction", "architectures", "syscalls"].contains(&key.as_str()) {
            wrong.push(format!("spec.{key}"));
        }
    }
    if !among(&spec["defaultAction"], &ACTIONS) {
        wrong.push("defaultAction".to_owned());
    }
    for architecture in set(&spec["architectures"], "architectures", wrong) {
        if !architecture.starts_with("SCMP_ARCH_") {
            wrong.push(architecture);
        }
    }
    for entry in spec["syscalls"].as_array().into_iter().flatten() {
        if set(&entry["names"], "names", wrong).is_empty() {
            wrong.push("an entry without names".to_owned());
        }
        if !among(&entry["action"], &ACTIONS) {
            wrong.push("action".to_owned());
        }
        if !number(&entry["errnoRet"], i32::MAX as u64) {
            wrong.push("errnoRet".to_owned());
        }
        let args = entry["args"].as_array().map_or(&[][..], Vec::as_slice);
        if args.len() > 6 {
            wrong.push("args".to_owned());
        }
        for argument in args {
            let fine = argument["index"].as_u64().is_some_and(|index| index < 6)
                && among(&argument["op"], &OPERATORS)
                && number(&argument["value"], i64::MAX as u64)
                && number(&argument["valueTwo"], i64::MAX as u64);
            if !fine {
                wrong.push(format!("the argument {argument}"));
            }
        }
    }
}

fn apparmor(spec: &Value, old: bool, wrong: &mut Vec<String>) {
    for key in spec.as_object().into_iter().flatten().map(|(key, _)| key) {
        let known: &[&str] = if old {
            &["abstract", "complainMode", "disabled"]
        } else {
            &["abstract", "mode", "state"]
        };
        if !known.contains(&key.as_str()) {
            wrong.push(format!("spec.{key}"));
        }
    }
    if !old && spec["mode"] != "Enforce" && spec["mode"] != "Complain" {
        wrong.push("mode".to_owned());
    }
    let rules = &spec["abstract"];
    for (group, list) in [
        ("executable", "allowedExecutables"),
        ("executable", "allowedLibraries"),
        ("filesystem", "readOnlyPaths"),
        ("filesystem", "writeOnlyPaths"),
        ("filesystem", "readWritePaths"),
    ] {
        for path in set(&rules[group][list], list, wrong) {
            let fine = |c: char| c.is_ascii_alphanumeric() || PATH.contains(c);
            let begins = path.starts_with('/') || path.starts_with("@{");
            if !begins || !path.chars().all(fine) || (old && path.contains(' ')) {
                wrong.push(format!("the path {path:?}"));
            }
        }
    }
    let lists = |list: &str| set(&rules["filesystem"][list], list, &mut Vec::new());
    let writable: BTreeSet<_> = lists("writeOnlyPaths")
        .into_iter()
        .chain(lists("readWritePaths"))
        .collect();
    for path in lists("readOnlyPaths") {
        if writable.contains(&path) {
            wrong.push(format!("{path:?} is denied writing and written"));
        }
    }
    for name in set(
        &rules["capability"]["allowedCapabilities"],
        "allowedCapabilities",
        wrong,
    ) {
        if !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') || name.starts_with("cap_") {
            wrong.push(format!("the capability {name:?}"));
        }
    }
}

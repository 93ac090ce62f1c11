//! Audits of the committed example, and the page about the rules.

use std::{env, fs, path::Path};

use syscalls::Abi;
use tracer::store;
use tracer_core::{
    audit::{self, Context, Finding, Input, Severity, rule_pages},
    profile::seccomp::{oci::OciSeccomp, read::KernelVersion},
    recording::Recording,
};

#[test]
fn rule_pages_are_up_to_date() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let pages = rule_pages::all();
    if env::var_os("TRACER_UPDATE").is_some() {
        fs::remove_dir_all(docs.join("rules")).ok();
        fs::create_dir(docs.join("rules")).unwrap();
        for (path, text) in &pages {
            fs::write(docs.join(path), text).unwrap();
        }
    }
    let summary = || fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let with_rules = rule_pages::with_rules(&summary());
    if env::var_os("TRACER_UPDATE").is_some() {
        fs::write(docs.join("SUMMARY.md"), &with_rules).unwrap();
    }
    let advice = "run: TRACER_UPDATE=1 cargo test -p tracer --test audit";
    for (path, text) in &pages {
        let found = fs::read_to_string(docs.join(path)).unwrap_or_default();
        assert!(
            found == *text,
            "docs/{path} is not what the rule says; {advice}"
        );
    }
    assert!(
        summary() == with_rules,
        "docs/SUMMARY.md has other rules; {advice}"
    );
    let files = fs::read_dir(docs.join("rules")).unwrap().count();
    assert_eq!(
        files + 1,
        pages.len(),
        "docs/rules has other files; {advice}"
    );
}

fn example() -> anyhow::Result<(Recording, OciSeccomp)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/nginx");
    let profile = fs::read_to_string(directory.join("seccomp.json"))?;
    let text = fs::read(directory.join("recording.json"))?;
    let mut recording: serde_json::Value = serde_json::from_slice(&text)?;
    // An example that was made before accesses were recorded is as good here.
    let losses = recording["coverage"]["losses"].as_object_mut();
    if let Some(losses) = losses {
        losses.entry("accesses").or_insert(0.into());
    }
    let recording = serde_json::to_vec(&recording)?;
    Ok((
        store::parse(&recording, &directory)?,
        OciSeccomp::from_json(&profile)?,
    ))
}

fn audited(profile: &OciSeccomp, recordings: &[Recording]) -> anyhow::Result<Vec<Finding>> {
    let context = Context {
        recordings,
        in_container: true,
        ..Context::new(Abi::X86_64, KernelVersion::new(6, 1))
    };
    let input = Input::new("seccomp.json", profile.to_json()?.into())?;
    Ok(audit::run(&[input], &context).findings)
}

#[test]
fn generated_profile_has_no_findings() {
    let (recording, profile) = example().unwrap();
    let found = audited(&profile, &[recording]).unwrap();
    let bad: Vec<_> = found
        .iter()
        .filter(|finding| finding.severity >= Severity::Low)
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn denying_a_recorded_call_is_critical() {
    let (recording, mut profile) = example().unwrap();
    for entry in &mut profile.syscalls {
        entry.names.retain(|name| name != "epoll_wait");
    }
    profile.syscalls.retain(|entry| !entry.names.is_empty());
    let found = audited(&profile, &[recording]).unwrap();
    let breaks: Vec<_> = found
        .iter()
        .filter(|it| it.id == "breaks-workload")
        .collect();
    assert_eq!(breaks.len(), 1, "{found:#?}");
    assert_eq!(breaks[0].severity, Severity::Critical);
    assert!(breaks[0].evidence[0].contains("epoll_wait (x86_64): while it ran by /usr/sbin/nginx"));
    assert!(breaks[0].evidence[0].ends_with("SCMP_ACT_ERRNO(38)"));
}

#[test]
fn unused_grants_are_reported() {
    let (recording, mut profile) = example().unwrap();
    let entry = profile
        .syscalls
        .iter_mut()
        .find(|entry| entry.names.iter().any(|name| name == "read"))
        .unwrap();
    entry
        .names
        .extend(["ptrace", "bpf", "sched_rr_get_interval"].map(str::to_owned));
    let found = audited(&profile, &[recording]).unwrap();
    let needless: Vec<_> = found
        .iter()
        .filter(|it| it.id == "unused-syscalls-allowed")
        .collect();
    let [finding] = needless.as_slice() else {
        panic!("{found:#?}");
    };
    assert!(
        finding
            .message
            .contains("3 can be removed, first bpf, ptrace"),
        "{finding:?}"
    );
    assert!(finding.evidence[0].starts_with("bpf: Loads programs"));
    assert_eq!(finding.severity, Severity::Medium);
}

/// What SARIF 2.1.0 requires (sarif-schema-2.1.0.json, `required`), and how its numbers count.
#[test]
fn sarif_has_all_required_fields() {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "chmod", "action": "SCMP_ACT_ERRNO"}]}"#;
    let context = Context::new(Abi::X86_64, KernelVersion::new(6, 1));
    let inputs =
        [text, "{\"defaultAction\": 7}"].map(|text| Input::new("a b.json", text.into()).unwrap());
    let report = audit::run(&inputs, &context);
    let sarif: serde_json::Value = serde_json::from_str(&audit::output::sarif(&report)).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(sarif["$schema"].is_string());
    let run = &sarif["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "tracer");
    let rules = driver["rules"].as_array().unwrap();
    for rule in rules {
        assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string());
    }
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    for result in results {
        assert!(result["message"]["text"].is_string());
        let level = result["level"].as_str().unwrap();
        assert!(["none", "note", "warning", "error"].contains(&level));
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b.json");
        for key in ["startLine", "startColumn", "endLine", "endColumn"] {
            assert!(place["region"][key].as_u64().unwrap() >= 1);
        }
    }
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert!(invocation["toolExecutionNotifications"][0]["message"]["text"].is_string());
    let json: serde_json::Value = serde_json::from_str(&audit::output::json(&report)).unwrap();
    assert_eq!(json["malformed"][0]["line"], 1);
    assert_eq!(
        json["findings"].as_array().unwrap().len(),
        report.findings.len()
    );
}

//! Every object is one that its API server takes: for the examples, and for whatever is recorded.

use anyhow::{Result, ensure};
use proptest::prelude::*;
use serde_json::{Value, json};
use tracer_core::recording::FileAccess;
use tracer_tests::Outcome;

use super::{
    fixture::{self, any_recording, file},
    renderers::{Models, OPERATORS, documents},
    rules, schemas,
};

/// The objects that are made of a recording.
pub(crate) fn objects(models: &Models) -> Result<Vec<Value>> {
    let mut texts = vec![models.kubescape()?.text];
    for operator in OPERATORS {
        texts.push(models.seccomp_profile(operator)?.text);
        texts.extend(models.apparmor_profile(operator)?.map(|made| made.text));
        texts.extend(models.binding(operator)?.map(|made| made.text));
    }
    let mut all = Vec::new();
    for text in texts {
        all.extend(documents(&text)?);
    }
    Ok(all)
}

fn check(models: &Models) -> Outcome {
    for object in objects(models)? {
        let wrong = rules::wrong(&object);
        ensure!(wrong.is_empty(), "{wrong:?}: {object:#}");
        schemas::check(&object)?;
    }
    Ok(())
}

#[test]
fn example_objects_are_valid() -> Outcome {
    let examples = fixture::examples();
    ensure!(!examples.is_empty());
    for recording in examples {
        check(&Models::new(recording)?)?;
    }
    check(&Models::new(fixture::empty())?)
}

#[test]
fn validation_rejects_broken_objects() -> Outcome {
    let models = Models::new(fixture::empty())?;
    let fine = objects(&models)?;
    let spoils: [(&str, &str, Value); 9] = [
        ("SeccompProfile", "/metadata/name", json!("A_b")),
        ("SeccompProfile", "/spec/defaultAction", json!("ALLOW")),
        ("SeccompProfile", "/spec/syscalls/0/names", json!([])),
        (
            "SeccompProfile",
            "/spec/syscalls/0/names",
            json!(["read", "read"]),
        ),
        ("SeccompProfile", "/spec/syscalls/0/action", json!(null)),
        ("SeccompProfile", "/spec/architectures", json!(["X86_64"])),
        ("AppArmorProfile", "/spec/mode", json!("enforce")),
        (
            "AppArmorProfile",
            "/spec/abstract/filesystem",
            json!({"readOnlyPaths": ["/a\n/etc/shadow rw,"]}),
        ),
        ("ProfileBinding", "/spec/image", json!("")),
    ];
    let with_file = |mut recording: tracer_core::recording::Recording| {
        recording.files = vec![file("/etc/x", FileAccess::Read)];
        Models::new(recording)
    };
    let all = objects(&with_file(fixture::empty())?)?;
    for (kind, place, value) in spoils {
        let current = |object: &&Value| {
            let version = object["apiVersion"].as_str().unwrap_or_default();
            object["kind"] == kind && version.starts_with("security") && version.ends_with("/v1")
        };
        let mut object = all.iter().find(current).cloned().unwrap_or_default();
        let Some(there) = object.pointer_mut(place) else {
            anyhow::bail!("{kind} has no {place}: {object:#}");
        };
        *there = value;
        ensure!(!rules::wrong(&object).is_empty(), "{kind} {place}");
    }
    ensure!(fine.iter().all(|object| rules::wrong(object).is_empty()));
    Ok(())
}

#[test]
fn read_only_glob_does_not_deny_written_files() -> Outcome {
    let mut recording = fixture::empty();
    // The directory of which more was read than is listed becomes a glob over the log.
    let mut read = file("/var/log/", FileAccess::Read);
    read.what.more = true;
    recording.files = vec![
        read,
        file("/var/log/web.log", FileAccess::Append),
        file("/etc/passwd", FileAccess::Read),
        file("/run/only.sock", FileAccess::Create),
    ];
    let models = Models::new(recording)?;
    let made = models.apparmor_profile(OPERATORS[0])?;
    let made = made.ok_or_else(|| anyhow::anyhow!("files were observed"))?;
    let object = &documents(&made.text)?[0];
    let files = &object["spec"]["abstract"]["filesystem"];
    ensure!(
        files["readOnlyPaths"] == json!(["/etc/passwd"]),
        "{files:#}"
    );
    ensure!(
        files["writeOnlyPaths"] == json!(["/run/only.sock"]),
        "{files:#}"
    );
    ensure!(
        files["readWritePaths"] == json!(["/var/log/*", "/var/log/web.log"]),
        "{files:#}"
    );
    ensure!(
        made.omissions
            .iter()
            .any(|it| it.what().contains("/var/log/*"))
    );
    Ok(())
}

#[test]
fn widened_path_denies_no_other_path() -> Outcome {
    let mut recording = fixture::empty();
    recording.files = vec![
        // Two bytes that the operator refuses, so any two, those of the next one too.
        file("/srv/\u{e9}", FileAccess::Read),
        file("/srv/ab", FileAccess::Write),
        // Both become the same.
        file("/run/a#", FileAccess::Read),
        file("/run/a!", FileAccess::Write),
    ];
    let made = Models::new(recording)?.apparmor_profile(OPERATORS[0])?;
    let made = made.ok_or_else(|| anyhow::anyhow!("files were observed"))?;
    let object = &documents(&made.text)?[0];
    let files = &object["spec"]["abstract"]["filesystem"];
    ensure!(
        *files == json!({"readWritePaths": ["/run/a?", "/srv/??", "/srv/ab"]}),
        "{files:#}"
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn objects_of_any_recording_are_valid(recording in any_recording()) {
        let models = Models::new(recording).unwrap();
        if let Err(error) = check(&models) {
            return Err(TestCaseError::fail(format!("{error:#}")));
        }
    }
}

//! What `tracer audit --format sarif` prints is SARIF 2.1.0: by the official JSON schema, and by a crate's
//! types without a field that they do not know.
//!
//! The schema is the copy in serde-sarif's package, from which that crate makes its types; cargo says
//! where the package is.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use serde_sarif::sarif::Sarif;
use tracer_tests::{Outcome, process, scratch::Scratch, tracer::plain_environment};

/// The official schema. Its formats (`uri-reference` and the like) are checked too.
fn schema() -> Result<jsonschema::Validator> {
    // Those of other machines have not been fetched.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = process::run(
        Command::new(env!("CARGO"))
            .args(["metadata", "--offline", "--format-version=1"])
            .arg(format!("--filter-platform={platform}"))
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    )?
    .success()?;
    let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let package = packages
        .iter()
        .find(|it| it["name"] == "serde-sarif")
        .and_then(|it| it["manifest_path"].as_str())
        .context("no serde-sarif")?;
    let path = PathBuf::from(package)
        .with_file_name("src")
        .join("schema.json");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    // A bracket that opens nothing is itself to JavaScript, and an error to others.
    let text = text.replace("[a-zA-Z]{2}]?$", r"[a-zA-Z]{2}\\]?$");
    let schema: Value = serde_json::from_str(&text)?;
    ensure!(
        schema["$id"]
            .as_str()
            .is_some_and(|id| id.ends_with("sarif-schema-2.1.0.json")),
        "another schema: {}",
        schema["$id"]
    );
    Ok(jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)?)
}

/// What is wrong with it by the schema and by the types.
fn faults(schema: &jsonschema::Validator, sarif: &Value) -> Vec<String> {
    let mut faults: Vec<_> = schema
        .iter_errors(sarif)
        .map(|error| format!("{} at {}", error, error.instance_path()))
        .collect();
    match serde_json::from_value::<Sarif>(sarif.clone()).and_then(serde_json::to_value) {
        Ok(again) if again == *sarif => {}
        Ok(again) => faults.push(format!("read back as {again}")),
        Err(error) => faults.push(error.to_string()),
    }
    faults
}

fn sarif_of(scratch: &Scratch, files: &[&str]) -> Result<Value> {
    let mut command = Command::new(tracer_tests::tracer::binary()?);
    let finished = process::run(
        plain_environment(&mut command)
            .args(["audit", "--format=sarif", "--fail-on=never"])
            .args(files)
            .current_dir(scratch.path()),
    )?;
    ensure!(finished.code() <= 1, "{finished:?}");
    serde_json::from_slice(&finished.stdout).with_context(|| format!("{finished:?}"))
}

#[test]
fn sarif_output_matches_the_schema() -> Outcome {
    let scratch = Scratch::new()?;
    let schema = schema()?;
    scratch.file("deny list.json", r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "chmod", "action": "SCMP_ACT_ERRNO"}, {"names": ["chmodat", "clone3"], "action": "SCMP_ACT_KILL"}]}"#)?;
    scratch.file(
        "a.profile",
        "profile a flags=(complain) {\n  file,\n  /proc/sys/** w,\n  /x ux,\n}\n",
    )?;
    scratch.file("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {annotations: {seccomp.security.alpha.kubernetes.io/pod: x}}\nspec:\n  containers:\n  - name: a\n    securityContext: {privileged: true}\n  - name: b\n    securityContext: {seccompProfile: {type: Localhost, localhostProfile: gone.json}}\n")?;
    scratch.file(
        "\u{f6} \u{1b}[2J %41.json",
        r#"{"defaultAction": "SCMP_ACT_LOG"}"#,
    )?;
    scratch.file("broken.json", "{\"defaultAction\": 7}")?;
    scratch.file("fine.json", r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [{"names": ["execve", "exit", "exit_group", "rt_sigreturn"], "action": "SCMP_ACT_ALLOW"}]}"#)?;
    for files in [
        &["deny list.json"][..],
        &["a.profile", "pod.yaml"],
        &["broken.json"],
        &["fine.json"],
        &["."],
    ] {
        let sarif = sarif_of(&scratch, files)?;
        let faults = faults(&schema, &sarif);
        ensure!(faults.is_empty(), "{files:?}: {faults:#?}\n{sarif:#}");
    }
    let all = sarif_of(&scratch, &["."])?;
    let results = all["runs"][0]["results"].as_array().context("no results")?;
    ensure!(results.len() > 15, "{all:#}");
    Ok(())
}

/// The check sees what a careless writer would write.
#[test]
fn schema_check_rejects_invalid_sarif() -> Outcome {
    let scratch = Scratch::new()?;
    let schema = schema()?;
    scratch.file("a.json", r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#)?;
    let good = sarif_of(&scratch, &["a.json"])?;
    ensure!(faults(&schema, &good).is_empty());
    let result = "/runs/0/results/0";
    for (place, wrong) in [
        (format!("{result}/level"), Value::from("fatal")),
        (
            format!("{result}/locations/0/physicalLocation/region/startLine"),
            Value::from(0),
        ),
        (
            format!("{result}/locations/0/physicalLocation/artifactLocation/uri"),
            Value::from("a b.json"),
        ),
        (format!("{result}/ruleIndex"), Value::from(-2)),
        (format!("{result}/message"), Value::from("text")),
        ("/version".to_owned(), Value::from("2.2")),
        ("/runs/0/tool/driver/name".to_owned(), Value::Null),
        ("/runs/0/columnKind".to_owned(), Value::from("bytes")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(&place).with_context(|| place.clone())? = wrong;
        ensure!(!faults(&schema, &bad).is_empty(), "{place} may be anything");
    }
    let mut more = good;
    more["runs"][0]["findings"] = Value::from(1);
    ensure!(!faults(&schema, &more).is_empty(), "a field of no standard");
    Ok(())
}

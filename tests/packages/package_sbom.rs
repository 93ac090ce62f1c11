//! The bill of materials, by the reader of the CycloneDX project, and beside Cargo.lock.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, ensure};
use cyclonedx_bom::{
    models::bom::{Bom, SpecVersion},
    validation::Validate,
};
use serde_json::Value;
use tracer_tests::{Outcome, needs, release, requires::Need};

#[test]
fn sbom_is_valid_and_names_what_is_linked() -> Outcome {
    needs!(Need::Packages);
    let text = fs::read(release::files().join(format!("{}.cdx.json", release::stem())))?;
    let bom = Bom::parse_from_json_v1_5(text.as_slice())?;
    let result = bom.validate_version(SpecVersion::V1_5);
    ensure!(result.passed(), "{result:?}");

    let bom: Value = serde_json::from_slice(&text)?;
    let components = bom["components"].as_array().context("components")?;
    let named: BTreeSet<_> = components
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    // Of the program, of the kernel object in it, and of neither.
    for name in ["aya", "tokio", "tracer-core", "aya-ebpf", "rust-std"] {
        ensure!(named.contains(name), "{name} is missing");
    }
    for name in ["proptest", "jsonschema", "xtask", "syn"] {
        ensure!(!named.contains(name), "{name} is not linked");
    }
    let lock = fs::read_to_string(release::source().join("Cargo.lock"))?;
    for component in components {
        let (name, version) = (&component["name"], &component["version"]);
        let entry = format!("name = {name}\nversion = {version}\n");
        ensure!(
            lock.contains(&entry) || name == "rust-std",
            "{name} {version} is not in Cargo.lock"
        );
        ensure!(component["licenses"].is_array(), "{name} has no licence");
    }
    // Each edge ends at something that is listed.
    let references: BTreeSet<_> = components.iter().map(|it| it["bom-ref"].as_str()).collect();
    for dependency in bom["dependencies"].as_array().context("dependencies")? {
        for on in dependency["dependsOn"].as_array().into_iter().flatten() {
            ensure!(references.contains(&on.as_str()), "{on} is not listed");
        }
    }
    Ok(())
}

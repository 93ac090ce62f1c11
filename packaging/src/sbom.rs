//! The bill of materials: CycloneDX 1.5, JSON (<https://cyclonedx.org/docs/1.5/json/>).

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::archive::sha256;
use crate::crates::Package;
use crate::input::{Binary, Input};
use crate::{LICENCE, VERSION};

/// Makes the document for one binary.
pub(crate) fn make(input: &Input, binary: &Binary) -> Result<Vec<u8>> {
    let crates = &binary.crates;
    let root = reference("tracer", VERSION);
    let mut components: Vec<Value> = crates
        .packages
        .values()
        .filter(|package| !is_root(package))
        .map(component)
        .collect();
    let standard_library = format!("pkg:generic/rust-std@{}", crates.rustc);
    components.push(json!({
        "type": "library",
        "bom-ref": standard_library,
        "name": "rust-std",
        "version": crates.rustc,
        "description": "Rust's standard library, with musl",
        "licenses": [{ "expression": LICENCE }],
        "purl": standard_library,
    }));
    let kernel_side = crates.packages.values();
    let kernel_side = kernel_side.filter(|package| package.name == "tracer-ebpf");
    let kernel_side: Vec<_> = kernel_side
        .map(|package| reference(&package.name, &package.version))
        .collect();
    let mut dependencies: Vec<Value> = crates
        .depends_on
        .iter()
        .map(|((name, version), on)| {
            let mut on: Vec<String> = on
                .iter()
                .map(|(name, version)| reference(name, version))
                .collect();
            if name == "tracer" {
                on.push(standard_library.clone());
                // The kernel object is not linked but embedded.
                on.extend(kernel_side.clone());
            }
            json!({ "ref": reference(name, version), "dependsOn": on })
        })
        .collect();
    dependencies.push(json!({ "ref": standard_library, "dependsOn": [] }));
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": input.time.to_string(),
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "tracer",
                "version": VERSION,
                "licenses": [{ "expression": LICENCE }],
                "purl": root,
                "hashes": [{ "alg": "SHA-256", "content": sha256(&binary.program) }],
                "properties": [{
                    "name": "tracer:architecture",
                    "value": binary.architecture.name(),
                }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    let mut bytes = serde_json::to_vec_pretty(&document).context("cannot make JSON")?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn component(package: &Package) -> Value {
    let reference = reference(&package.name, &package.version);
    let mut component = json!({
        "type": "library",
        "bom-ref": reference,
        "name": package.name,
        "version": package.version,
        "purl": reference,
    });
    if let Some(licence) = &package.license {
        // Before SPDX had expressions, a slash stood for OR in Cargo.toml.
        let expression = licence.replace('/', " OR ");
        component["licenses"] = json!([{ "expression": expression }]);
    }
    if let Some(description) = &package.description {
        let words: Vec<_> = description.split_whitespace().collect();
        component["description"] = words.join(" ").into();
    }
    if let Some(repository) = &package.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

fn is_root(package: &Package) -> bool {
    package.is_own() && package.name == "tracer"
}

/// A package URL (<https://github.com/package-url/purl-spec>).
fn reference(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

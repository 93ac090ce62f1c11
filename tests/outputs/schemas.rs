//! The operator's own schemas, from its CustomResourceDefinitions. They are not part of the project: they
//! are looked for in the directory that `TRACER_CRDS` names, or beside the project.

use std::{collections::BTreeMap, fs, sync::OnceLock};

use anyhow::{Context as _, Result, bail, ensure};
use jsonschema::Validator;
use serde_json::{Value, json};
use tracer_tests::{
    Outcome, needs,
    requires::{self, Need},
};

use super::{
    fixture,
    objects::objects,
    renderers::{Models, documents},
};

/// By group, version and kind.
type Schemas = BTreeMap<(String, String), (Value, Validator)>;

static SCHEMAS: OnceLock<Result<Schemas, String>> = OnceLock::new();

fn schemas() -> Result<&'static Schemas> {
    let read = SCHEMAS.get_or_init(|| read().map_err(|error| format!("{error:#}")));
    read.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn read() -> Result<Schemas> {
    let mut schemas = Schemas::new();
    let Ok(directory) = fs::read_dir(requires::crds()) else {
        return Ok(schemas);
    };
    for entry in directory {
        let text = fs::read_to_string(entry?.path())?;
        for definition in documents(&text)? {
            let spec = &definition["spec"];
            let group = spec["group"].as_str().context("a group")?;
            let kind = spec["names"]["kind"].as_str().context("a kind")?;
            for version in spec["versions"].as_array().context("versions")? {
                let name = version["name"].as_str().context("a version")?;
                let mut schema = version["schema"]["openAPIV3Schema"].clone();
                close(&mut schema);
                let validator = jsonschema::validator_for(&schema)
                    .map_err(|error| anyhow::anyhow!("{kind} {name}: {error}"))?;
                schemas.insert(
                    (format!("{group}/{name}"), kind.to_owned()),
                    (schema, validator),
                );
            }
        }
    }
    Ok(schemas)
}

/// As an API server checks it: a set has nothing twice, and a field that nobody knows is wrong (with
/// `kubectl --validate=strict`).
fn close(schema: &mut Value) {
    if schema["x-kubernetes-list-type"] == "set" {
        schema["uniqueItems"] = json!(true);
    }
    let is_open = schema["additionalProperties"].is_object();
    if schema["properties"].is_object() && !is_open {
        schema["additionalProperties"] = json!(false);
    }
    match schema {
        Value::Object(map) => map.values_mut().for_each(close_inner),
        Value::Array(list) => list.iter_mut().for_each(close_inner),
        _ => {}
    }
}

fn close_inner(schema: &mut Value) {
    if schema.is_object() || schema.is_array() {
        if schema.is_object() {
            close(schema);
        } else if let Value::Array(list) = schema {
            list.iter_mut().for_each(close_inner);
        }
    }
}

/// Checks an object, where its schema is at hand. Those of operators up to 0.10 are not: the newest
/// definitions serve the versions with the newest fields.
pub(crate) fn check(object: &Value) -> Outcome {
    let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let schemas = schemas()?;
    let is_newest = version == "security-profiles-operator.x-k8s.io/v1";
    if schemas.is_empty() || !is_newest {
        return Ok(());
    }
    let Some((_, validator)) = schemas.get(&(version.clone(), kind.clone())) else {
        bail!("no schema of {kind} {version}");
    };
    let wrong: Vec<_> = validator
        .iter_errors(object)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    ensure!(wrong.is_empty(), "{wrong:?}: {object:#}");
    Ok(())
}

#[test]
fn objects_match_the_operators_schemas() -> Outcome {
    needs!(Need::Definitions);
    let models = Models::new(fixture::empty())?;
    for mut object in objects(&models)? {
        check(&object)?;
        if object["apiVersion"] != "security-profiles-operator.x-k8s.io/v1" {
            continue;
        }
        object["spec"]["nonsense"] = json!(1);
        ensure!(
            check(&object).is_err(),
            "an unknown field is taken: {object:#}"
        );
        if object["kind"] == "SeccompProfile" {
            let spec = &mut object["spec"];
            spec.as_object_mut().context("a map")?.remove("nonsense");
            spec["syscalls"][0]["names"] = json!(["read", "read"]);
            ensure!(check(&object).is_err(), "a set has something twice");
        }
    }
    Ok(())
}

//! `docs/recording.schema.json` and `docs/agent.schema.json` are generated from the types; this is the drift check.

use std::{env, fs, path::Path};

use schemars::{JsonSchema, schema_for};

use tracer_core::{agent::Configuration, recording::Recording};

fn check<T: JsonSchema>(file: &str) -> Result<(), Box<dyn std::error::Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(file);
    let schema = schema_for!(T);
    let text = serde_json::to_string_pretty(&schema)? + "\n";
    if env::var_os("TRACER_UPDATE").is_some() {
        fs::write(&path, &text)?;
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/{file} is not what the types say; run: TRACER_UPDATE=1 cargo test -p tracer --test schema"
    );
    Ok(())
}

#[test]
fn committed_schema_is_up_to_date() {
    check::<Recording>("recording.schema.json").unwrap();
}

#[test]
fn committed_schema_of_the_agents_configuration_is_up_to_date() {
    check::<Configuration>("agent.schema.json").unwrap();
}

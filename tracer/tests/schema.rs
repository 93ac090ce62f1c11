//! `docs/recording.schema.json` is generated from the types; this is the drift check.

use std::{env, fs, path::Path};

use tracer_core::recording::Recording;

#[test]
fn committed_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recording.schema.json");
    let schema = schemars::schema_for!(Recording);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    if env::var_os("TRACER_UPDATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/recording.schema.json is not what the types say; run: TRACER_UPDATE=1 cargo test -p tracer --test schema"
    );
}

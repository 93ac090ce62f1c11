//! `docs/formats.md` is made from the list of output formats; this is the drift check.

use std::{env, fs, path::Path};

use tracer_core::formats;

#[test]
fn the_page_is_made_of_the_formats() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/formats.md");
    if env::var_os("TRACER_UPDATE").is_some() {
        fs::write(&path, formats::page()).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == formats::page(),
        "docs/formats.md is not what the formats say; run: TRACER_UPDATE=1 cargo test -p tracer --test formats"
    );
}

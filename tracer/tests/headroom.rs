//! The page about the layer `headroom`.

use std::{env, fs, path::Path};

#[test]
fn headroom_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/headroom.md");
    let page = tracer_report::headroom_page();
    if env::var_os("TRACER_UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/headroom.md is not what the table says; run: TRACER_UPDATE=1 cargo test -p tracer --test headroom"
    );
}

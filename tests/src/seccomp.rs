//! Changing a written profile, to see that it matters.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Reads a profile.
///
/// # Errors
/// When it is missing or not JSON.
pub fn read(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("parsing {}", path.display()))
}

/// An error that no call returns by itself on Linux, and what the C library says of it.
pub const DENIED: (u32, &str) = (118, "Not a XENIX named type file");

/// The profile without the permission for one call, which fails with [`DENIED`] instead.
///
/// # Errors
/// When there was no such permission.
pub fn without(profile: &Value, call: &str) -> Result<Value> {
    let mut profile = profile.clone();
    let mut removed = 0;
    let entries = profile["syscalls"]
        .as_array_mut()
        .context("a profile without a list of calls")?;
    for entry in entries.iter_mut() {
        if entry["action"] != "SCMP_ACT_ALLOW" {
            continue;
        }
        if let Some(names) = entry["names"].as_array_mut() {
            let before = names.len();
            names.retain(|name| name != call);
            removed += before - names.len();
        }
    }
    ensure!(removed > 0, "the profile does not allow {call}");
    // Runtimes refuse an entry without names.
    entries.retain(|entry| {
        entry["names"]
            .as_array()
            .is_none_or(|names| !names.is_empty())
    });
    entries.push(json!({
        "names": [call], "action": "SCMP_ACT_ERRNO", "errnoRet": DENIED.0,
    }));
    Ok(profile)
}

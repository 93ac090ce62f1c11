//! The licence texts of the crates in a binary: MIT, BSD and Apache-2.0 ask that they come with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::crates::Crates;

/// The name of the file.
pub(crate) const NAME: &str = "THIRD-PARTY-LICENSES.txt";

/// One text of all notices: a list of the crates, then each different text with the crates it is of.
pub(crate) fn text(crates: &Crates) -> Result<String> {
    let mut list = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in crates.packages.values().filter(|package| !package.is_own()) {
        let name = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see below");
        list.push_str(&format!("  {name}: {licence}\n"));
        if let Some(directory) = package.directory() {
            for text in notices(directory)? {
                texts.entry(text).or_default().push(name.clone());
            }
        }
    }
    let mut all = format!(
        "tracer is linked with the standard library of Rust {} (MIT OR Apache-2.0) and with these \
         crates, each under the licence beside it:\n\n{list}",
        crates.rustc
    );
    // By the crates and not by the text, so that the order is one that a reader can follow.
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
    for (text, of) in texts {
        let line = "-".repeat(80);
        all.push_str(&format!(
            "\n{line}\n{}:\n\n{}\n",
            of.join(", "),
            text.trim_end()
        ));
    }
    Ok(all)
}

/// The licence files of a crate, sorted by name. A directory that is gone has none: the list above
/// names the licence in any case.
fn notices(directory: &Path) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(Vec::new());
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && is_notice(path))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let bytes =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
        })
        .collect()
}

fn is_notice(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_uppercase();
    [
        "LICENSE",
        "LICENCE",
        "COPYING",
        "COPYRIGHT",
        "NOTICE",
        "UNLICENSE",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_with_one_text_share_it() {
        let text = text(&crate::crates::tests::two()).unwrap();
        assert!(text.contains("  nix 0.31.3: MIT\n"), "{text}");
        assert!(!text.contains("  tracer 0.1.0"), "{text}");
    }

    #[test]
    fn licence_files_are_found_by_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["LICENSE-MIT", "COPYRIGHT.txt", "README.md", "license"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        assert_eq!(
            notices(directory.path()).unwrap(),
            ["COPYRIGHT.txt", "LICENSE-MIT", "license"]
        );
    }
}

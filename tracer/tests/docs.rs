//! The documents say what is true: no placeholder is left, what they link to is there, and the book has all of them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Markdown files of a directory.
fn markdown(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(directory)).into_iter().flatten();
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("{directory}/{name}"))
        .collect()
}

fn documents() -> Vec<String> {
    [
        ".",
        "docs",
        "docs/rules",
        "profiles-out",
        "examples",
        "packaging",
    ]
    .into_iter()
    .flat_map(markdown)
    .collect()
}

/// The targets of the links of a text that is not in code blocks.
fn links(text: &str) -> Vec<&str> {
    let outside = text.split("```").step_by(2);
    outside
        .flat_map(|text| text.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .collect()
}

/// The anchor that GitHub and mdBook make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars()
        .filter(|it| it.is_alphanumeric() || matches!(it, '-' | '_'))
        .collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let outside: Vec<&str> = text.split("```").step_by(2).collect();
    let lines = outside.iter().flat_map(|text| text.lines());
    lines
        .filter_map(|line| line.strip_prefix('#'))
        .map(|heading| anchor(heading.trim_start_matches('#')))
        .collect()
}

#[test]
fn documents_have_no_placeholders_or_dead_links() {
    let documents = documents();
    assert!(documents.contains(&"./README.md".to_owned()));
    for document in documents {
        let path = root().join(&document);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{document}: {e}"));
        for placeholder in ["BENCH_", "EXCERPT", "KERNELS_TRIED", "TODO"] {
            assert!(!text.contains(placeholder), "{document}: {placeholder}");
        }
        for link in links(&text)
            .into_iter()
            .filter(|it| !it.starts_with("http"))
        {
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                _ => path.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{document} links to {link}");
            if !place.is_empty() && file.ends_with(".md") {
                let text = fs::read_to_string(&target).unwrap();
                assert!(anchors(&text).contains(place), "{document} links to {link}");
            }
        }
    }
}

/// It is read before anything else, and in two minutes.
#[test]
fn readme_is_short() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let words = text.split_whitespace().count();
    assert!(words < 900, "README.md has {words} words");
}

#[test]
fn the_book_has_every_document() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed: BTreeSet<String> = links(&summary)
        .into_iter()
        .map(|link| format!("docs/{link}"))
        .collect();
    let there: BTreeSet<String> = ["docs", "docs/rules"]
        .into_iter()
        .flat_map(markdown)
        .filter(|name| name != "docs/SUMMARY.md")
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn headings_become_the_anchors_that_pages_have() {
    assert_eq!(
        anchor("Files, capabilities, sockets, signals"),
        "files-capabilities-sockets-signals"
    );
    assert_eq!(
        anchor(" A 32-bit call: `in` disguise"),
        "a-32-bit-call-in-disguise"
    );
}

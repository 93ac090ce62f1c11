//! The committed examples are what this version renders from their recordings, byte for byte.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a failure is to end them"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The largest recording that is kept in a repository.
const MOST: u64 = 1 << 20;

fn examples() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = fs::read_dir(directory).unwrap();
    let mut examples: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    examples.retain(|path| path.is_dir());
    examples.sort();
    assert!(examples.len() >= 4, "{examples:?}");
    examples
}

fn tracer(arguments: &[&Path]) {
    let status = Command::new(env!("CARGO_BIN_EXE_tracer"))
        .args(arguments)
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "{arguments:?}");
}

/// Every file below a directory, by its path in it.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn examples_match_their_recordings() {
    for example in examples() {
        let output = tempfile::tempdir().unwrap();
        let option = Path::new("--output");
        tracer(&[Path::new("generate"), option, output.path(), &example]);
        let rendered = files(&output.path().join(example.file_name().unwrap()));
        let mut committed = files(&example);
        assert!(committed.remove(Path::new("recording.json")).is_some());
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&committed), names(&rendered), "{}", example.display());
        for (name, text) in committed {
            assert!(
                rendered.get(&name) == Some(&text),
                "{} is out of date; run: tracer generate --output examples {}",
                example.join(name).display(),
                example.display()
            );
        }
    }
}

#[test]
fn examples_name_no_machine() {
    for example in examples() {
        let recording = example.join("recording.json");
        assert!(fs::metadata(&recording).unwrap().len() <= MOST);
        let text = fs::read_to_string(&recording).unwrap();
        for place in ["\"/work", "\"/root", "\"/home", "\"/tmp/tracer"] {
            assert!(!text.contains(place), "{}: {place}", recording.display());
        }
    }
}

#[test]
fn each_example_renders_a_page() {
    for example in examples() {
        let directory = tempfile::tempdir().unwrap();
        let page = directory.path().join("report.html");
        let (since, output) = (Path::new("--since"), Path::new("--output"));
        tracer(&[
            Path::new("report"),
            &example,
            since,
            &example,
            output,
            &page,
        ]);
        let page = fs::read_to_string(page).unwrap();
        let name = example.file_name().unwrap().to_string_lossy().into_owned();
        assert!(page.contains(&format!("<h1>{name}</h1>")));
        assert!(page.contains("No difference."));
        for part in [
            "certainty",
            "surface",
            "calls",
            "files",
            "capabilities",
            "sockets",
            "apply",
        ] {
            assert!(
                page.contains(&format!("<section id=\"{part}\"")),
                "{name}: {part}"
            );
        }
    }
}

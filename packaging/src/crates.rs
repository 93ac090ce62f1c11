//! The crates that are linked into a binary, from what cargo says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A crate in a binary.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) description: Option<String>,
    /// A URL.
    pub(crate) repository: Option<String>,
    /// Absent for the crates of the workspace.
    source: Option<String>,
    manifest_path: PathBuf,
}

impl Package {
    /// Whether it is part of tracer itself.
    pub(crate) fn is_own(&self) -> bool {
        self.source.is_none()
    }

    /// The directory of its sources.
    pub(crate) fn directory(&self) -> Option<&std::path::Path> {
        self.manifest_path.parent()
    }
}

/// All crates of a binary, with their edges.
#[derive(Debug)]
pub(crate) struct Crates {
    /// By name and version.
    pub(crate) packages: BTreeMap<(String, String), Package>,
    /// What each depends on, by name and version.
    pub(crate) depends_on: BTreeMap<(String, String), BTreeSet<(String, String)>>,
    /// The version of rustc, whose standard library is linked in too.
    pub(crate) rustc: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

impl Crates {
    /// Reads `cargo metadata`, the lists of `cargo tree --prefix none` (which say what is linked; the
    /// metadata name what the tests use too), and `rustc --version`.
    pub(crate) fn parse(metadata: &str, trees: &[String], rustc: &str) -> Result<Self> {
        let metadata: Metadata = serde_json::from_str(metadata).context("cargo metadata")?;
        let linked: BTreeSet<_> = trees
            .iter()
            .flat_map(|tree| tree.lines())
            .filter(|line| !line.is_empty())
            .map(name_and_version)
            .collect::<Result<_>>()?;
        let mut packages = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for package in metadata.packages {
            let key = (package.name.clone(), package.version.clone());
            if linked.contains(&key) {
                keys.insert(package.id.clone(), key.clone());
                packages.insert(key, package);
            }
        }
        if let Some((name, version)) = linked.iter().find(|key| !packages.contains_key(key)) {
            bail!("cargo metadata does not name {name} {version}");
        }
        let mut depends_on = BTreeMap::new();
        for node in metadata.resolve.nodes {
            if let Some(key) = keys.get(&node.id) {
                let edges = node.dependencies.iter();
                let edges = edges.filter_map(|id| keys.get(id)).cloned().collect();
                depends_on.insert(key.clone(), edges);
            }
        }
        Ok(Self {
            packages,
            depends_on,
            rustc: rustc_version(rustc)?,
        })
    }
}

/// Reads `serde v1.0.2 (*)` or `tracer v0.1.0 (/path)`.
fn name_and_version(line: &str) -> Result<(String, String)> {
    let mut words = line.split(' ');
    let name = words.next().unwrap_or_default();
    let version = words.next().and_then(|word| word.strip_prefix('v'));
    let version = version.with_context(|| format!("`cargo tree` printed {line:?}"))?;
    Ok((name.to_owned(), version.to_owned()))
}

/// Reads `rustc 1.95.0 (59807616e 2026-04-14)`.
fn rustc_version(text: &str) -> Result<String> {
    let version = text.split(' ').nth(1);
    let version = version.with_context(|| format!("`rustc --version` printed {text:?}"))?;
    Ok(version.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "packages": [
            { "id": "1", "name": "tracer", "version": "0.1.0", "license": "MIT OR Apache-2.0",
              "manifest_path": "/w/tracer/Cargo.toml" },
            { "id": "2", "name": "nix", "version": "0.31.3", "license": "MIT",
              "source": "registry+https://github.com/rust-lang/crates.io-index",
              "repository": "https://github.com/nix-rust/nix", "manifest_path": "/r/nix/Cargo.toml" },
            { "id": "3", "name": "insta", "version": "1.49.0", "license": "Apache-2.0",
              "source": "registry+https://github.com/rust-lang/crates.io-index",
              "manifest_path": "/r/insta/Cargo.toml" }
        ],
        "resolve": { "nodes": [
            { "id": "1", "dependencies": ["2", "3"] },
            { "id": "2", "dependencies": [] },
            { "id": "3", "dependencies": [] }
        ] }
    }"#;

    /// tracer and one dependency.
    pub(crate) fn two() -> Crates {
        let trees = ["tracer v0.1.0 (/w/tracer)\nnix v0.31.3\nnix v0.31.3 (*)\n".to_owned()];
        Crates::parse(METADATA, &trees, "rustc 1.95.0 (5980 2026-04-14)\n").unwrap()
    }

    #[test]
    fn crates_of_tests_are_left_out() {
        let crates = two();
        let names: Vec<_> = crates.packages.keys().map(|(name, _)| name).collect();
        assert_eq!(names, ["nix", "tracer"]);
        let tracer = ("tracer".to_owned(), "0.1.0".to_owned());
        let edges: Vec<_> = crates.depends_on[&tracer].iter().collect();
        assert_eq!(edges, [&("nix".to_owned(), "0.31.3".to_owned())]);
        assert_eq!(crates.rustc, "1.95.0");
    }

    #[test]
    fn crate_without_metadata_is_an_error() {
        let trees = ["other v1.0.0\n".to_owned()];
        let error = Crates::parse(METADATA, &trees, "rustc 1.95.0 (x)").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cargo metadata does not name other 1.0.0"
        );
    }
}

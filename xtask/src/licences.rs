//! The licences and the sources of all dependencies, checked against deny.toml.
//!
//! The file is cargo-deny's, of which this understands `graph.targets`, `licenses.allow` and
//! `licenses.exceptions`: enough to keep the promise where cargo-deny is not installed.

use std::fmt;
use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use spdx::{Expression, Licensee, ParseMode};

use crate::cmd;
use crate::workspace::Workspace;

/// Where a dependency may come from, as cargo writes it; a mirror in its place keeps this name.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What was checked and found fine.
pub(crate) struct Summary {
    packages: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "licences and sources of {} packages are fine",
            self.packages
        )
    }
}

pub(crate) fn check(workspace: &Workspace) -> Result<Summary> {
    let path = workspace.root.join("deny.toml");
    let rules = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))
        .and_then(|text| Rules::parse(&text).context("deny.toml is not usable"))?;
    // All features: the kernel's programs have theirs. --locked: what is checked is what is built.
    let mut metadata = workspace.cargo();
    metadata.args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--all-features",
    ]);
    for target in &rules.targets {
        metadata.args(["--filter-platform", target]);
    }
    let metadata: Value = serde_json::from_str(&cmd::read(&mut metadata)?)
        .context("`cargo metadata` did not print JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("`cargo metadata` names no packages")?;
    let refused: Vec<String> = packages
        .iter()
        .filter_map(|package| rules.refuse(package))
        .collect();
    if !refused.is_empty() {
        bail!(
            "deny.toml does not allow:\n{}\nchoose another crate, or allow the licence in deny.toml \
             after reading it",
            refused.join("\n")
        );
    }
    Ok(Summary {
        packages: packages.len(),
    })
}

/// What deny.toml allows.
#[derive(Debug)]
struct Rules {
    targets: Vec<String>,
    allow: Vec<Licensee>,
    /// A crate's name, and what is allowed for it alone.
    exceptions: Vec<(String, Vec<Licensee>)>,
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let table: toml::Table = text.parse()?;
        let section = |name: &str| table.get(name).and_then(toml::Value::as_table);
        let licenses = section("licenses").context("it has no [licenses]")?;
        let mut exceptions = Vec::new();
        for entry in licenses
            .get("exceptions")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = entry.get("crate").and_then(toml::Value::as_str);
            let name = name.context("an exception names no `crate`")?;
            let allow = entry.get("allow").context("an exception has no `allow`")?;
            exceptions.push((name.to_owned(), licensees(allow)?));
        }
        Ok(Self {
            targets: section("graph")
                .and_then(|graph| graph.get("targets"))
                .map_or_else(|| Ok(Vec::new()), strings)?,
            allow: licensees(licenses.get("allow").context("[licenses] has no `allow`")?)?,
            exceptions,
        })
    }

    /// Why a package of `cargo metadata` is not allowed.
    fn refuse(&self, package: &Value) -> Option<String> {
        let name = package["name"].as_str().unwrap_or("?");
        let version = package["version"].as_str().unwrap_or("?");
        let reason = match package["license"].as_str() {
            None => "it states no licence".to_owned(),
            Some(text) => match Expression::parse_mode(text, ParseMode::LAX) {
                Err(error) => format!(
                    "its licence {text:?} is no SPDX expression ({})",
                    error.reason
                ),
                Ok(licence) if self.allows(name, &licence) => {
                    return foreign(package, name, version);
                }
                Ok(_) => format!("its licence is {text}"),
            },
        };
        Some(format!("  {name} {version}: {reason}"))
    }

    fn allows(&self, name: &str, licence: &Expression) -> bool {
        let own = self
            .exceptions
            .iter()
            .filter(|(of, _)| of == name)
            .flat_map(|(_, allow)| allow);
        let allowed: Vec<&Licensee> = self.allow.iter().chain(own).collect();
        licence.evaluate(|required| allowed.iter().any(|licensee| licensee.satisfies(required)))
    }
}

/// Why a package's source is not allowed: it is neither in this workspace nor in the registry.
fn foreign(package: &Value, name: &str, version: &str) -> Option<String> {
    let source = package["source"].as_str()?;
    (source != REGISTRY).then(|| format!("  {name} {version}: it comes from {source}"))
}

fn licensees(value: &toml::Value) -> Result<Vec<Licensee>> {
    strings(value)?
        .iter()
        .map(|text| Licensee::parse(text).with_context(|| format!("{text:?} is no licence's name")))
        .collect()
}

fn strings(value: &toml::Value) -> Result<Vec<String>> {
    let list = value.as_array().context("a list of names is wanted")?;
    list.iter()
        .map(|item| Ok(item.as_str().context("a name is wanted")?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DENY: &str = r#"
        [graph]
        targets = ["x86_64-unknown-linux-gnu"]
        [licenses]
        allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
        exceptions = [{ crate = "odd", allow = ["Zlib"] }]
    "#;

    fn refusal(name: &str, licence: Option<&str>) -> Option<String> {
        let rules = Rules::parse(DENY).unwrap();
        rules.refuse(&json!({ "name": name, "version": "1.0.0", "license": licence }))
    }

    #[test]
    fn evaluates_licence_expressions() {
        for fine in [
            "MIT",
            "MIT OR GPL-3.0-only",
            "MIT/Apache-2.0",
            "MIT AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR Zlib",
        ] {
            assert_eq!(refusal("some", Some(fine)), None, "{fine}");
        }
        for not in ["GPL-3.0-only", "MIT AND Zlib", "Zlib OR ISC"] {
            let expected = format!("  some 1.0.0: its licence is {not}");
            assert_eq!(refusal("some", Some(not)), Some(expected));
        }
    }

    #[test]
    fn exception_applies_to_one_crate() {
        assert_eq!(refusal("odd", Some("Zlib")), None);
        assert!(refusal("other", Some("Zlib")).is_some());
    }

    #[test]
    fn missing_or_invalid_licence_is_refused() {
        assert_eq!(
            refusal("some", None).unwrap(),
            "  some 1.0.0: it states no licence"
        );
        assert!(
            refusal("some", Some("do what you like"))
                .unwrap()
                .contains("no SPDX expression")
        );
    }

    #[test]
    fn only_registry_sources_are_allowed() {
        let rules = Rules::parse(DENY).unwrap();
        let package = |source: Value| json!({ "name": "a", "version": "1.0.0", "license": "MIT", "source": source });
        assert_eq!(rules.refuse(&package(Value::Null)), None);
        assert_eq!(rules.refuse(&package(REGISTRY.into())), None);
        assert!(
            rules
                .refuse(&package("git+https://example.org/a".into()))
                .is_some()
        );
    }

    #[test]
    fn empty_allow_list_is_an_error() {
        assert!(Rules::parse("[licenses]").is_err());
        assert!(Rules::parse("[licenses]\nallow = ['no such licence']").is_err());
    }
}

//! The crates without I/O: what they depend on, and that they build for a machine without a kernel.
//!
//! ARCHITECTURE.md says which crates are pure. Here cargo proves it.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::cmd::{self, say};
use crate::workspace::Workspace;

/// The crates that do no I/O.
const PURE: [&str; 3] = ["syscalls", "tracer-core", "tracer-report"];

/// The crate that kernel and user space share. The kernel side has no allocator and no `std`, so it
/// depends on nothing.
const SHARED: &str = "tracer-abi";

/// Crates that reach for the kernel, the network or the file system. A member of their family counts
/// too: `aya-obj`, `tokio-util`.
const IMPURE: [&str; 8] = [
    "aya", "libc", "nix", "procfs", "rustix", "tempfile", "tokio", "tonic",
];

/// The machines that tracer is released for. A crate may have dependencies on one of them alone.
const RELEASED: [&str; 2] = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"];

/// A target without an operating system: what calls one does not compile.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Checks the dependencies of the pure crates.
pub(crate) fn dependencies(workspace: &Workspace) -> Result<()> {
    say(format_args!("checks the dependencies of the pure crates"));
    // One for both machines is named once.
    let mut faults = BTreeSet::new();
    for target in RELEASED {
        for package in PURE {
            faults.extend(impure(&tree(workspace, package, target)?));
        }
        faults.extend(any(&tree(workspace, SHARED, target)?));
    }
    if !faults.is_empty() {
        let faults: Vec<String> = faults.into_iter().collect();
        bail!(
            "crates that must be pure have dependencies that they may not have:\n{}\nmove the code \
             to tracer-recorder or tracer, or choose another dependency",
            faults.join("\n")
        );
    }
    Ok(())
}

/// Builds the pure crates for [`TARGET`], which must be installed.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    say(format_args!(
        "checks that the pure crates build for {TARGET}"
    ));
    let mut cargo = workspace.cargo();
    cargo.args(["check", "--lib", "--target", TARGET]);
    for package in PURE.into_iter().chain([SHARED]) {
        cargo.args(["--package", package]);
    }
    cmd::run(&mut cargo)
}

/// What a package depends on, outside its tests and build scripts.
fn tree(workspace: &Workspace, package: &str, target: &str) -> Result<Vec<Dependency>> {
    let mut cargo = workspace.cargo();
    cargo.args(["tree", "--edges", "normal", "--prefix", "depth"]);
    cargo.args(["--format", " {p}", "--package", package, "--target", target]);
    parse(&cmd::read(&mut cargo)?)
}

/// A line of `cargo tree`: the names from the package itself down to the dependency.
#[derive(Debug, PartialEq, Eq)]
struct Dependency(Vec<String>);

impl Dependency {
    fn name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    fn path(&self) -> String {
        self.0.join(" > ")
    }
}

/// Reads what `cargo tree --prefix depth --format ' {p}'` prints, such as
/// `2 cpufeatures v0.3.1 (*)`.
fn parse(tree: &str) -> Result<Vec<Dependency>> {
    let mut path: Vec<String> = Vec::new();
    let mut dependencies = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split(' ');
        let depth = words.next().and_then(|depth| depth.parse::<usize>().ok());
        let (Some(depth), Some(name)) = (depth, words.next()) else {
            bail!("`cargo tree` printed {line:?}, which has no depth and name");
        };
        if depth > path.len() {
            bail!("`cargo tree` printed {line:?} without the line above it");
        }
        path.truncate(depth);
        path.push(name.to_owned());
        dependencies.push(Dependency(path.clone()));
    }
    if dependencies.is_empty() {
        bail!("`cargo tree` printed nothing");
    }
    Ok(dependencies)
}

/// How the dependencies that are not pure get in.
fn impure(tree: &[Dependency]) -> Vec<String> {
    let family = |name: &str| name.split('-').next().unwrap_or(name).to_owned();
    let impure = |dependency: &&Dependency| IMPURE.contains(&&*family(dependency.name()));
    let faults = tree.iter().filter(impure);
    faults.map(|it| format!("  {}", it.path())).collect()
}

/// Every direct dependency, for a crate that may have none.
fn any(tree: &[Dependency]) -> Vec<String> {
    let direct = tree.iter().filter(|it| it.0.len() == 2);
    direct.map(|it| format!("  {}", it.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0 tracer-core v0.1.0 (/src/crates/tracer-core)
1 sha2 v0.11.1
2 cpufeatures v0.3.1
3 libc v0.2.191
2 digest v0.11.3
1 serde v1.0.229 (*)
1 strum_macros v0.27.2 (proc-macro)
2 aya-obj v0.2.0

";

    #[test]
    fn each_line_is_a_path_from_the_package() {
        let paths: Vec<_> = parse(TREE).unwrap().iter().map(Dependency::path).collect();
        assert_eq!(
            paths,
            [
                "tracer-core",
                "tracer-core > sha2",
                "tracer-core > sha2 > cpufeatures",
                "tracer-core > sha2 > cpufeatures > libc",
                "tracer-core > sha2 > digest",
                "tracer-core > serde",
                "tracer-core > strum_macros",
                "tracer-core > strum_macros > aya-obj",
            ]
        );
    }

    #[test]
    fn impure_dependencies_are_found_at_any_depth() {
        assert_eq!(
            impure(&parse(TREE).unwrap()),
            [
                "  tracer-core > sha2 > cpufeatures > libc",
                "  tracer-core > strum_macros > aya-obj",
            ]
        );
        let pure = "0 a v1\n1 libcat v1\n2 nixie v1\n1 serde-aya v1\n";
        assert_eq!(impure(&parse(pure).unwrap()), [""; 0]);
    }

    #[test]
    fn a_crate_without_dependencies_has_one_line() {
        let alone = parse("0 tracer-abi v0.1.0 (/src/tracer-ebpf/abi)\n").unwrap();
        assert_eq!(any(&alone), [""; 0]);
        let more = parse("0 tracer-abi v0.1.0\n1 bytemuck v1.0.0\n2 syn v2\n").unwrap();
        assert_eq!(any(&more), ["  tracer-abi > bytemuck"]);
    }

    #[test]
    fn other_text_is_refused() {
        for wrong in [
            "",
            "tracer-core v0.1.0",
            "0",
            "0 a v1\n2 b v1",
            "├── serde v1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

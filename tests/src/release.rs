//! The files of a release, which `cargo xtask test` makes for this machine before the tests.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::programs::target_dir;

/// Names the directory with `files` and the `input` they were made from.
pub const PACKAGES: &str = "TRACER_PACKAGES";

/// The version of the release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The machine's name for Rust and RPM.
pub const ARCHITECTURE: &str = env::consts::ARCH;

/// The machine's name for Debian and for images.
#[must_use]
pub fn debian_architecture() -> &'static str {
    match ARCHITECTURE {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn directory() -> PathBuf {
    env::var_os(PACKAGES).map_or_else(|| target_dir().join("test-packages"), PathBuf::from)
}

/// The directory of the files.
#[must_use]
pub fn files() -> PathBuf {
    directory().join("files")
}

/// The directory of what they were made from.
#[must_use]
pub fn input() -> PathBuf {
    directory().join("input")
}

/// The root of the checkout.
#[must_use]
pub fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The name of the package for Debian.
#[must_use]
pub fn deb() -> String {
    format!("tracer_{VERSION}-1_{}.deb", debian_architecture())
}

/// The name of the package for RPM.
#[must_use]
pub fn rpm() -> String {
    format!("tracer-{VERSION}-1.{ARCHITECTURE}.rpm")
}

/// What the names of the other files begin with.
#[must_use]
pub fn stem() -> String {
    format!("tracer-{VERSION}-{ARCHITECTURE}")
}

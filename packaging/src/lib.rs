//! Makes the files of a release from binaries that are already built.
//!
//! The same input gives the same bytes, on any machine: every time is that of the commit, every owner
//! is root, and every list is sorted. [`Input`] is what goes in. Each kind of file has a module of its
//! own.

mod archive;
mod crates;
mod deb;
mod image;
mod input;
mod layout;
mod notices;
mod rpm_package;
mod sbom;
mod tarball;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use crate::input::{Architecture, Binary, Input};

/// The version of the workspace, which is that of the release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Who answers for the packages: the contact that Debian's and RPM's formats ask for.
const MAINTAINER: &str = "The tracer authors <tracer@users.noreply.github.com>";

const SUMMARY: &str = "least-privilege profiles from what a workload does";

const DESCRIPTION: &str = "tracer records the system calls, files, sockets, capabilities and signals of \
    a command or a container with eBPF, and writes the smallest seccomp and AppArmor profiles that \
    still let it run, with the evidence for each rule. It also audits, verifies and compares profiles. \
    Recording needs root and Linux 5.8 or later with BTF.";

const LICENCE: &str = "MIT OR Apache-2.0";

/// A file of a release: its name and its bytes.
struct Product {
    name: String,
    bytes: Vec<u8>,
    executable: bool,
}

/// Writes all files of a release into `out`, `SHA256SUMS` last, and returns their paths.
///
/// # Errors
/// When a file of the input is missing or malformed, or `out` cannot be written to.
pub fn package(input: &Input, out: &Path) -> Result<Vec<PathBuf>> {
    let mut products = Vec::new();
    for binary in &input.binaries {
        products.extend(of_architecture(input, binary)?);
    }
    products.sort_by(|a, b| a.name.cmp(&b.name));
    products.push(checksums(&products));
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    products.iter().map(|product| write(out, product)).collect()
}

fn of_architecture(input: &Input, binary: &Binary) -> Result<Vec<Product>> {
    let of = binary.architecture;
    let stem = format!("tracer-{VERSION}-{}", of.name());
    let notices = notices::text(&binary.crates)?;
    let file = |name: String, bytes| Product {
        name,
        bytes,
        executable: false,
    };
    Ok(vec![
        Product {
            name: stem.clone(),
            bytes: binary.program.clone(),
            executable: true,
        },
        file(
            format!("{stem}.tar.gz"),
            tarball::make(input, binary, &notices, &stem)?,
        ),
        file(
            format!("tracer_{VERSION}-1_{}.deb", of.debian()),
            deb::make(input, binary, &notices)?,
        ),
        file(
            format!("tracer-{VERSION}-1.{}.rpm", of.name()),
            rpm_package::make(input, binary, &notices)?,
        ),
        file(
            format!("{stem}.oci.tar"),
            image::make(input, binary, &notices)?,
        ),
        file(format!("{stem}.cdx.json"), sbom::make(input, binary)?),
    ])
}

/// In the form that `sha256sum --check` reads.
fn checksums(products: &[Product]) -> Product {
    let lines: String = products
        .iter()
        .map(|product| format!("{}  {}\n", archive::sha256(&product.bytes), product.name))
        .collect();
    Product {
        name: "SHA256SUMS".into(),
        bytes: lines.into_bytes(),
        executable: false,
    }
}

fn write(out: &Path, product: &Product) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = out.join(&product.name);
    let mode = if product.executable { 0o755 } else { 0o644 };
    fs::write(&path, &product.bytes)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

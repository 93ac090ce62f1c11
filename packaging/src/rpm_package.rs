//! The package for Fedora, RHEL, openSUSE and their relatives.

use anyhow::{Context, Result};
use rpm::{BuildConfig, CompressionWithLevel, FileOptions, PackageBuilder};

use crate::input::{Binary, Input};
use crate::layout::{self, Directories, Role};
use crate::{DESCRIPTION, LICENCE, MAINTAINER, SUMMARY, VERSION, notices};

const DIRECTORIES: Directories = Directories {
    zsh: "usr/share/zsh/site-functions",
    fish: "usr/share/fish/vendor_completions.d",
    units: "usr/lib/systemd/system",
};

/// The licences' directory, which minimal installations keep when they leave documents out.
const LICENCES: &str = "/usr/share/licenses/tracer";

/// Makes the package.
pub(crate) fn make(input: &Input, binary: &Binary, notices: &str) -> Result<Vec<u8>> {
    let architecture = binary.architecture.name();
    let mut builder = PackageBuilder::new("tracer", VERSION, LICENCE, architecture, SUMMARY);
    builder
        // Version 4 is what all supported distributions read.
        .using_config(
            BuildConfig::v4()
                .source_date(input.epoch()?)
                .compression(CompressionWithLevel::Gzip(9)),
        )
        .release("1")
        .description(DESCRIPTION)
        .packager(MAINTAINER)
        // The name of the machine that built it would differ.
        .build_host("localhost");
    let mut files = layout::files(input, binary, &DIRECTORIES)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    for directory in ["usr/share/doc/tracer", "usr/share/doc/tracer/docs"] {
        builder.with_dir_entry(FileOptions::dir(format!("/{directory}")).permissions(0o755))?;
    }
    for file in files {
        let path = format!("/{}", file.path);
        let mut options = FileOptions::new(path.clone()).permissions(file.mode());
        if file.role == Role::Document {
            options = options.doc();
        }
        builder
            .with_file_contents(file.bytes, options)
            .with_context(|| format!("cannot package {path}"))?;
    }
    builder.with_dir_entry(FileOptions::dir(LICENCES).permissions(0o755))?;
    let licences = input.top.iter();
    let licences = licences.filter(|text| text.name.starts_with("LICENSE"));
    let licences = licences.map(|text| (text.name.as_str(), text.bytes.clone()));
    let notices = [(notices::NAME, notices.as_bytes().to_vec())];
    for (name, bytes) in licences.chain(notices) {
        let options = FileOptions::new(format!("{LICENCES}/{name}")).permissions(0o644);
        builder.with_file_contents(bytes, options.license())?;
    }
    let package = builder.build().context("cannot make the RPM package")?;
    let mut bytes = Vec::new();
    package
        .write(&mut bytes)
        .context("cannot write the RPM package")?;
    Ok(bytes)
}

//! The files as files: their names, their sums, and that the same input gives the same bytes.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tracer_packaging::{Input, package};
use tracer_tests::{Outcome, needs, process, release, requires::Need, scratch::Scratch};

fn names(directory: &Path) -> Result<BTreeSet<String>> {
    fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[test]
fn each_file_is_named_by_version_and_architecture() -> Outcome {
    needs!(Need::Packages);
    let stem = release::stem();
    let expected = [
        stem.clone(),
        format!("{stem}.tar.gz"),
        format!("{stem}.oci.tar"),
        format!("{stem}.cdx.json"),
        release::deb(),
        release::rpm(),
        "SHA256SUMS".to_owned(),
    ];
    ensure!(names(&release::files())? == BTreeSet::from(expected));
    let document = fs::read_to_string(release::source().join("docs/install.md"))?;
    if release::ARCHITECTURE == "x86_64" {
        for name in names(&release::files())? {
            ensure!(
                document.contains(&format!("`{name}`")),
                "docs/install.md: no {name}"
            );
        }
    }
    Ok(())
}

#[test]
fn sums_are_those_of_the_files() -> Outcome {
    needs!(Need::Packages);
    let mut check = Command::new("sha256sum");
    check
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(release::files());
    let checked = process::run(&mut check)?.success()?.text();
    let others = names(&release::files())?.len() - 1;
    ensure!(checked.lines().count() == others, "{checked}");
    Ok(())
}

/// Copies a directory in another order, with other times and permissions.
fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    let mut entries: Vec<_> = fs::read_dir(from)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
    for entry in entries {
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &place)?;
        } else {
            fs::write(&place, fs::read(entry.path())?)?;
            fs::set_permissions(&place, Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

#[test]
fn packaging_again_gives_the_same_bytes() -> Outcome {
    needs!(Need::Packages);
    let scratch = Scratch::new()?;
    let input = scratch.join("input");
    copy(&release::input(), &input)?;
    let again = scratch.join("again");
    package(&Input::read(&input, &release::source())?, &again)?;
    let first = release::files();
    ensure!(names(&first)? == names(&again)?);
    for name in names(&first)? {
        ensure!(
            fs::read(first.join(&name))? == fs::read(again.join(&name))?,
            "{name} differs"
        );
    }
    Ok(())
}

#[test]
fn another_commit_time_gives_other_packages() -> Outcome {
    needs!(Need::Packages);
    // Else the comparison above would compare nothing.
    let scratch = Scratch::new()?;
    let input = scratch.join("input");
    copy(&release::input(), &input)?;
    fs::write(input.join("source-date-epoch"), "1000000000\n")?;
    let later = scratch.join("later");
    package(&Input::read(&input, &release::source())?, &later)?;
    let differ = |name: &str| -> Result<bool> {
        Ok(fs::read(release::files().join(name))? != fs::read(later.join(name))?)
    };
    ensure!(differ(&release::deb())? && differ(&release::rpm())?);
    ensure!(!differ(&release::stem())?, "the program holds no time");
    Ok(())
}

#[test]
fn program_is_static_and_names_no_directory_of_its_builder() -> Outcome {
    needs!(Need::Packages, Need::Program("readelf", "binutils"));
    let program = release::files().join(release::stem());
    let mut readelf = Command::new("readelf");
    let headers = process::run(readelf.args(["--program-headers", "--wide"]).arg(&program))?
        .success()?
        .text();
    ensure!(headers.contains("LOAD"), "{headers}");
    ensure!(!headers.contains("INTERP"), "{headers}");
    let bytes = fs::read(&program)?;
    let source = release::source().canonicalize()?;
    let home = std::env::home_dir().context("a home directory")?;
    let places = [source, home.join(".cargo"), home.join(".rustup")];
    for place in places {
        let place = place.to_str().context("a path in UTF-8")?;
        let found = bytes
            .windows(place.len())
            .position(|window| window == place.as_bytes());
        ensure!(found.is_none(), "the program names {place}");
    }
    Ok(())
}

/// What `cargo binstall` would download is a file of the release, and holds the program where it
/// looks.
#[test]
fn binstall_finds_the_archive_and_the_program_in_it() -> Outcome {
    needs!(Need::Packages);
    let manifest = fs::read_to_string(release::source().join("tracer/Cargo.toml"))?;
    let value = |key: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(key));
        let line = line.and_then(|line| line.strip_prefix(" = \""));
        let text = line.and_then(|line| line.strip_suffix('"'));
        let text = text.with_context(|| format!("no {key} in tracer/Cargo.toml"))?;
        Ok::<_, anyhow::Error>(
            text.replace("{ version }", release::VERSION)
                .replace("{ target-arch }", release::ARCHITECTURE)
                .replace("{ bin }", "tracer")
                .replace("{ binary-ext }", ""),
        )
    };
    let url = value("pkg-url")?;
    let (before, file) = url.rsplit_once('/').context("a URL")?;
    ensure!(before.ends_with(&format!("/releases/download/v{}", release::VERSION)));
    ensure!(!file.contains('{'), "{file}");
    let mut tar = Command::new("tar");
    let listed = tar
        .arg("--list")
        .arg("--file")
        .arg(release::files().join(file));
    let listed = process::run(listed)?.success()?.text();
    let program = value("bin-dir")?;
    ensure!(
        listed.lines().any(|line| line == program),
        "no {program} in {file}"
    );
    Ok(())
}

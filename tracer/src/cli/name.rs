//! The name of a workload, which becomes the name of a folder and of files in other systems.

use std::{ffi::OsStr, path::Path};

use anyhow::Context as _;

use tracer_core::recording::Recording;

/// Longest name; Kubernetes object names may have 253 bytes, folders 255.
const MAX: usize = 200;

/// Checks a name that a user gave.
pub(super) fn parse(name: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._+@-".contains(c);
    if name.is_empty() || name.len() > MAX {
        Err(format!("a name has 1 to {MAX} characters"))
    } else if !name.chars().all(fine) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Err("a name is also the name of a directory: use only letters, digits and . _ + @ -, and begin with a letter or digit".to_owned())
    } else {
        Ok(name.to_owned())
    }
}

/// Checks the name in a recording, which is input like any other: it must not lead out of a folder.
pub(super) fn check(recording: &Recording, path: &Path) -> anyhow::Result<()> {
    let name = &recording.workload.name;
    parse(name).map_err(anyhow::Error::msg).with_context(|| {
        format!(
            "{}: the workload's name {name:?} cannot be used",
            path.display()
        )
    })?;
    Ok(())
}

/// The name that a command or a cgroup gets by itself: the last part of its path, with whatever a
/// name cannot hold replaced.
pub(super) fn from_command(path: &OsStr) -> String {
    let last = Path::new(path)
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let name: String = last
        .chars()
        .map(|c| {
            if parse(&format!("a{c}")).is_ok() {
                c
            } else {
                '_'
            }
        })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(MAX)
        .collect();
    if name.is_empty() {
        "workload".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_hostile_names() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "a\nb",
            "-a",
            "a b",
            "\u{202e}x",
            &"a".repeat(201),
        ] {
            assert!(parse(name).is_err(), "{name:?}");
        }
        for name in ["nginx", "redis-server", "a.b_c+d@1"] {
            assert_eq!(parse(name).as_deref(), Ok(name));
        }
    }

    #[test]
    fn every_command_gets_a_valid_name() {
        for (path, name) in [
            ("/usr/bin/ls", "ls"),
            ("./run me.sh", "run_me.sh"),
            ("/", "workload"),
            ("..", "workload"),
            ("/sys/fs/cgroup/unified/..\n", "workload"),
            ("-[", "workload"),
        ] {
            assert_eq!(from_command(path.as_ref()), name, "{path:?}");
            assert!(parse(&from_command(path.as_ref())).is_ok());
        }
    }
}

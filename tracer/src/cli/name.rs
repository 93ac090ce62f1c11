//! The name of a workload, which becomes the name of a directory and of files in other systems.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use anyhow::Context as _;

use tracer_core::recording::Recording;

/// Longest name; Kubernetes object names may have 253 bytes, directories 255.
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

/// Checks the name in a recording, which is input like any other: it must not lead out of a directory.
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

/// Programs that run another file, by the beginning of their names.
const INTERPRETERS: [&str; 14] = [
    "bash", "bun", "dash", "deno", "java", "ksh", "lua", "node", "perl", "php", "python", "ruby",
    "sh", "zsh",
];

/// The name that a command gets by itself: that of the script or archive for an interpreter, so that
/// two of them are told apart, else that of the program.
pub(super) fn from_command(command: &[OsString]) -> String {
    let program = command.first().map(OsString::as_os_str).unwrap_or_default();
    from_path(script(program, command.get(1..).unwrap_or_default()).unwrap_or(program))
}

/// What an interpreter is to run: `app.py` of `python3 -u app.py`, `http.server` of
/// `python3 -m http.server`, `x.jar` of `java -jar x.jar`. `None` for a program in an argument (`-c`).
fn script<'a>(program: &OsStr, arguments: &'a [OsString]) -> Option<&'a OsStr> {
    let name = Path::new(program).file_name()?.to_str()?;
    // python3.11 and the like.
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if !INTERPRETERS.contains(&bare) {
        return None;
    }
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            // A program in the command line has no name.
            Some("-c" | "-e" | "-E" | "-") => return None,
            Some("-m" | "-jar" | "--module") => return arguments.next().map(OsString::as_os_str),
            Some("-cp" | "-classpath" | "--class-path" | "-W" | "-X" | "-o" | "-r") => {
                arguments.next();
            }
            Some(option) if option.starts_with('-') => {}
            _ => return Some(argument),
        }
    }
    None
}

/// The name that a program or a cgroup gets by itself: the last part of its path, with whatever a
/// name cannot hold replaced.
pub(super) fn from_path(path: &OsStr) -> String {
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
            assert_eq!(from_path(path.as_ref()), name, "{path:?}");
            assert!(parse(&from_path(path.as_ref())).is_ok());
        }
    }

    #[test]
    fn interpreters_get_the_name_of_what_they_run() {
        for (command, name) in [
            ("python3 app.py --port 80", "app.py"),
            ("/usr/bin/python3.11 -u /srv/app.py", "app.py"),
            ("python3 -m http.server", "http.server"),
            ("java -Xmx1g -jar /opt/shop.jar", "shop.jar"),
            ("java -cp lib Main", "Main"),
            ("sh ./run.sh", "run.sh"),
            ("sh -c true", "sh"),
            ("node", "node"),
            ("nginx -c x.conf", "nginx"),
        ] {
            let command: Vec<_> = command.split(' ').map(OsString::from).collect();
            assert_eq!(from_command(&command), name, "{command:?}");
        }
    }
}

//! Running other programs: one way to start them, one sentence when they fail.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, anyhow, bail};

/// Says what is being done, in one line.
pub(crate) fn say(what: fmt::Arguments<'_>) {
    eprintln!("xtask: {what}");
}

/// Runs a program to its end. What it prints goes to stderr: stdout is for the product.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdout(std::io::stderr())
        .status()
        .with_context(|| not_started(command))?;
    check(command, status)
}

/// Runs a program and returns what it printed on stdout.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| not_started(command))?;
    check(command, output.status)?;
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` did not print UTF-8", describe(command)))
}

/// Becomes the program: its terminal, signals and exit status are then the caller's own.
/// Returns only when the program could not be started.
pub(crate) fn exec(command: &mut Command) -> anyhow::Error {
    let error = command.exec();
    anyhow!(error).context(not_started(command))
}

/// [`exec`] for what only root may do. Another user is told what to type: everything is built by
/// then, so that root needs no toolchain and leaves nothing of its own in the user's directories.
pub(crate) fn exec_as_root(what: &str, command: &mut Command) -> anyhow::Error {
    if is_root() {
        return exec(command);
    }
    let sets_variables = command.get_envs().any(|(_, value)| value.is_some());
    let sudo = if sets_variables { "sudo env" } else { "sudo" };
    anyhow!(
        "{what} needs root; all is built, so now run: {sudo} {}",
        describe(command)
    )
}

/// Turns a status that is not success into the sentence that every failed program gets.
pub(crate) fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status})", describe(command));
    }
    Ok(())
}

/// The sentence for a program that could not be started.
pub(crate) fn not_started(command: &Command) -> String {
    format!("cannot start `{}`", describe(command))
}

/// The first file of that name on `PATH` that may be executed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    // The effective user owns /proc/self: no libc crate is needed to ask.
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// The command as a person could type it, with the variables that were set for it and matter.
pub(crate) fn describe(command: &Command) -> String {
    let mut words: Vec<String> = command
        .get_envs()
        .filter(|(name, _)| *name != "PATH" && *name != "LD_LIBRARY_PATH")
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quote(value?))))
        .collect();
    // Which cargo of which toolchain it is, is cargo's business.
    let is_cargo = std::env::var_os("CARGO").is_some_and(|cargo| cargo == command.get_program());
    words.push(if is_cargo {
        "cargo".into()
    } else {
        quote(command.get_program())
    });
    words.extend(command.get_args().map(quote));
    words.join(" ")
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_the_command_and_its_status() {
        let error = run(Command::new("sh").env("A", "b c").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`A='b c' sh -c 'exit 3'` failed (exit status: 3)"
        );
    }

    #[test]
    fn missing_program_is_named() {
        let error = read(&mut Command::new("/nowhere/at all")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `'/nowhere/at all'`");
    }

    #[test]
    fn quoting_survives_a_shell() {
        for word in [
            "",
            "plain",
            "two words",
            "it's",
            "$HOME",
            "a\nb",
            "--flag=value",
        ] {
            let text = format!("printf %s {}", quote(OsStr::new(word)));
            assert_eq!(read(Command::new("sh").args(["-c", &text])).unwrap(), word);
        }
    }
}

//! Finding the program of a command, before anything else is done.

use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access};

use super::RecordError;

/// The file that `command` names, found as the shell would: with a slash as it stands, else in the
/// directories of PATH.
///
/// It is looked up here and not by `execvp`, which tries one `execve` after another inside the
/// recorded cgroup.
pub(crate) fn find(command: &OsStr) -> Result<PathBuf, RecordError> {
    if command.as_bytes().contains(&b'/') {
        return executable(Path::new(command)).map_err(|cause| refused(command, cause));
    }
    let mut refusal = None;
    let directories = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    for directory in env::split_paths(&directories) {
        // An empty entry is the current directory (POSIX, 8.3).
        let directory = if directory.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            directory
        };
        match executable(&directory.join(command)) {
            Ok(path) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.map_or_else(
        || RecordError::NotFound(command.to_owned()),
        |cause| refused(command, cause),
    ))
}

/// The refusal of a command that could not be started.
pub(super) fn refused(command: &OsStr, cause: io::Error) -> RecordError {
    match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            RecordError::NotFound(command.to_owned())
        }
        _ => RecordError::NotExecutable {
            command: command.to_owned(),
            cause,
        },
    }
}

fn executable(path: &Path) -> io::Result<PathBuf> {
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    access(path, AccessFlags::X_OK)?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs_like_a_shell() {
        assert!(find("sh".as_ref()).unwrap().ends_with("sh"));
        assert_eq!(find("/bin/sh".as_ref()).unwrap(), Path::new("/bin/sh"));
        assert!(matches!(
            find("no-such-program".as_ref()),
            Err(RecordError::NotFound(_))
        ));
        assert!(matches!(
            find("/no/such/program".as_ref()),
            Err(RecordError::NotFound(_))
        ));
        assert!(matches!(
            find("/etc/passwd".as_ref()),
            Err(RecordError::NotExecutable { .. })
        ));
        assert!(matches!(
            find("/etc".as_ref()),
            Err(RecordError::NotExecutable { .. })
        ));
    }
}

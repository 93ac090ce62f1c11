//! What tracer relies on as root: the program of runsc that it executes, and directories of state.
//!
//! Any process can call itself a sandbox, also one in a container. So its command line chooses no program,
//! and a directory that it names counts only where nobody but root can change it.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::GvisorError;

/// Device and inode: which file it is, by whatever path.
type FileId = (u64, u64);

/// The program of runsc that is executed.
#[derive(Clone, Debug)]
pub(super) struct Runsc {
    /// Its whole path, without links.
    pub(super) path: PathBuf,
    file: FileId,
}

impl Runsc {
    /// The program that the user named, else the first `runsc` in `directories`, a list like `PATH`.
    ///
    /// # Errors
    /// When there is none, or others may change the one in `directories`.
    pub(super) fn find(
        given: Option<&Path>,
        directories: Option<&OsStr>,
    ) -> Result<Self, GvisorError> {
        if let Some(given) = given {
            return fs::canonicalize(given)
                .and_then(Self::at)
                .map_err(|cause| no_runsc(given, &cause));
        }
        let mut files = env::split_paths(directories.unwrap_or_default())
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join("runsc"));
        let Some(file) = files.find(|file| file.is_file()) else {
            return Err(GvisorError::NoRunsc("there is none in PATH".to_owned()));
        };
        trusted(&file)
            .and_then(Self::at)
            .map_err(|cause| no_runsc(&file, &cause))
    }

    fn at(path: PathBuf) -> io::Result<Self> {
        let metadata = fs::metadata(&path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        let file = (metadata.dev(), metadata.ino());
        Ok(Self { path, file })
    }

    /// Whether a process runs this file. `exe` leads to the file itself, whatever the process's own
    /// directories have under that path (proc_pid_exe(5)).
    pub(super) fn is_run_by(&self, process: &Path) -> bool {
        let exe = fs::metadata(process.join("exe"));
        exe.is_ok_and(|exe| (exe.dev(), exe.ino()) == self.file)
    }
}

fn no_runsc(path: &Path, cause: &io::Error) -> GvisorError {
    GvisorError::NoRunsc(format!("{path:?} is not used: {cause}"))
}

/// The path without links, when nobody but root, or who runs tracer, can change what is there.
pub(super) fn trusted(path: &Path) -> io::Result<PathBuf> {
    let path = fs::canonicalize(path)?;
    let own = nix::unistd::geteuid().as_raw();
    for part in path.ancestors() {
        let metadata = fs::symlink_metadata(part)?;
        // Others cannot replace what is in a sticky directory and not theirs (inode(7)).
        let is_sticky = part != path && metadata.is_dir() && metadata.mode() & 0o1000 != 0;
        let is_owned = [0, own].contains(&metadata.uid());
        if !is_owned || (metadata.mode() & 0o022 != 0 && !is_sticky) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("others than root may change {part:?}"),
            ));
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_others_may_change_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let (parent, child) = (
            directory.path().join("parent"),
            directory.path().join("parent/child"),
        );
        fs::create_dir_all(&child).unwrap();
        let expected = fs::canonicalize(&child).unwrap();
        for (of_parent, of_child, is_trusted) in [
            (0o755, 0o700, true),
            (0o1777, 0o755, true),
            (0o777, 0o755, false),
            (0o775, 0o755, false),
            (0o755, 0o775, false),
            (0o755, 0o1777, false),
        ] {
            mode(&parent, of_parent);
            mode(&child, of_child);
            let found = trusted(&child).ok();
            let case = format!("{of_parent:o} {of_child:o}");
            assert_eq!(found, is_trusted.then(|| expected.clone()), "{case}");
        }
        mode(&child, 0o755);
        let link = directory.path().join("link");
        symlink(&child, &link).unwrap();
        assert_eq!(trusted(&link).unwrap(), expected);
        assert!(trusted(&directory.path().join("none")).is_err());
    }

    #[test]
    fn runsc_is_the_given_one_or_a_trusted_one_in_path() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("runsc");
        fs::write(&file, "").unwrap();
        mode(&file, 0o755);
        let whole = fs::canonicalize(&file).unwrap();
        let directories = directory.path().as_os_str();
        assert_eq!(Runsc::find(None, Some(directories)).unwrap().path, whole);
        mode(&file, 0o777);
        let refused = Runsc::find(None, Some(directories))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("may change"), "{refused}");
        // Who names it vouches for it.
        assert_eq!(Runsc::find(Some(&file), None).unwrap().path, whole);
        for directories in [None, Some("."), Some("/nowhere")] {
            let none = Runsc::find(None, directories.map(OsStr::new));
            assert!(
                matches!(none, Err(GvisorError::NoRunsc(_))),
                "{directories:?}"
            );
        }
        assert!(Runsc::find(Some(directory.path()), None).is_err());
    }
}

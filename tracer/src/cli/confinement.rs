//! What a command that reads others' files takes from itself before it reads them.

use std::{
    env,
    fs::File,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use super::stderr::say;
use tracer_recorder::confine::{self, attack};

/// What a command writes, by the paths that it was given.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// Directories with what is in them, which may not be there yet.
    pub(super) directories: Vec<PathBuf>,
    /// Files.
    pub(super) files: Vec<PathBuf>,
}

impl Writes {
    /// Of a command that writes files only.
    pub(super) fn to_files(files: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        Self {
            directories: Vec::new(),
            files: files.into_iter().map(|it| it.as_ref().to_owned()).collect(),
        }
    }
}

/// Confines this process: it starts no program, makes no connection, and writes only this. What the kernel does not
/// have is left out.
pub(super) fn confine(writes: &Writes) {
    let directories = writes.directories.iter().map(|it| existing(it));
    let files = writes
        .files
        .iter()
        .filter(|path| path.as_os_str() != "-")
        .map(|path| place(path));
    let places: Option<Vec<_>> = directories.chain(files).collect();
    // What cannot be told apart from the rest is not restricted.
    let opened = places.and_then(|places| {
        let open = |place: PathBuf| File::options().read(true).open(place).ok();
        places.into_iter().map(open).collect::<Option<Vec<_>>>()
    });
    let writes = opened
        .as_ref()
        .map(|opened| opened.iter().map(|it| it.as_fd()).collect::<Vec<_>>());
    report_confined("reader", &confine::reader(writes.as_deref()));
}

/// Reports what a thread could not give up. The tests ask for an attack by it then.
pub(super) fn report_confined(thread: &str, missing: &[String]) {
    for missing in missing {
        log::info!("{thread}: {missing}");
    }
    if let Some(victim) = env::var_os(attack::VARIABLE) {
        for (name, result) in attack::attempt(Path::new(&victim)) {
            match result {
                Ok(()) => say!("attack by the {thread}: {name}: done"),
                Err(error) => say!("attack by the {thread}: {name}: {error}"),
            }
        }
    }
}

/// The directory that a file is replaced in, or that it is made below.
fn place(path: &Path) -> Option<PathBuf> {
    match path.canonicalize() {
        // A pipe or a device, or what is open: written to as it is.
        Ok(real) if !real.is_file() && !real.is_dir() => None,
        Ok(real) if real.is_dir() => Some(real),
        Ok(real) => real.parent().map(Path::to_owned),
        // As `/dev/stdout` when it is a pipe.
        Err(_) if path.symlink_metadata().is_ok() => None,
        Err(_) => existing(path.parent()?),
    }
}

/// The directory itself, or the first one above it that is there.
fn existing(path: &Path) -> Option<PathBuf> {
    if path.symlink_metadata().is_ok() {
        return path.canonicalize().ok();
    }
    match path.parent() {
        None => None,
        Some(above) if above.as_os_str().is_empty() => env::current_dir().ok(),
        Some(above) => existing(above),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_before_it_is_there() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        assert_eq!(existing(&root.join("a/b")), Some(root.clone()));
        assert_eq!(existing(Path::new("no-such")), env::current_dir().ok());
        std::fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink("file", root.join("link")).unwrap();
        for name in ["file", "link", "new", "."] {
            assert_eq!(place(&root.join(name)), Some(root.clone()), "{name}");
        }
        assert_eq!(place(Path::new("/dev/null")), None);
    }
}

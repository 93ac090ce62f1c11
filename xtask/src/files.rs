//! Files written whole or not at all, and only when they change.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Makes `to` a copy of `from`, permissions included. Returns whether anything was written: a file
/// that is the same already keeps its time stamp, so that cargo does not build what embeds it again.
pub(crate) fn copy_if_changed(from: &Path, to: &Path) -> Result<bool> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if same(&bytes, to)? {
        return Ok(false);
    }
    let directory = to.parent().context("a file needs a directory")?;
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    // A name of this process's own: two builds at once must not write into one file.
    let name = to
        .file_name()
        .context("a file needs a name")?
        .to_string_lossy();
    let partial = directory.join(format!(".{name}.{}", std::process::id()));
    let written = write(&bytes, from, &partial).and_then(|()| fs::rename(&partial, to));
    if written.is_err() {
        // The copy's own failure is the one worth telling.
        let _ = fs::remove_file(&partial);
    }
    written.with_context(|| format!("cannot write {}", to.display()))?;
    Ok(true)
}

fn same(bytes: &[u8], file: &Path) -> Result<bool> {
    match fs::read(file) {
        Ok(old) => Ok(old == bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn write(bytes: &[u8], like: &Path, to: &Path) -> std::io::Result<()> {
    let mut file = fs::File::create(to)?;
    file.write_all(bytes)?;
    file.set_permissions(fs::metadata(like)?.permissions())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unchanged_file_is_not_rewritten() {
        let directory = std::env::temp_dir().join(format!("xtask-files-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (from, to) = (directory.join("from"), directory.join("deep/to"));
        fs::write(&from, "one").unwrap();
        assert!(copy_if_changed(&from, &to).unwrap());
        assert!(!copy_if_changed(&from, &to).unwrap());
        fs::write(&from, "two").unwrap();
        assert!(copy_if_changed(&from, &to).unwrap());
        assert_eq!(fs::read_to_string(&to).unwrap(), "two");
        assert_eq!(
            fs::read_dir(directory.join("deep")).unwrap().count(),
            1,
            "no partial file stays"
        );
        fs::remove_dir_all(&directory).unwrap();
    }
}

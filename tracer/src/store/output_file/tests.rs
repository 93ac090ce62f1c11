//! Every kind of thing that `--output FILE` may name.

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink},
};

use rustix::fs::{CWD, mknodat};

use super::*;

fn write(path: &Path, text: &str) -> Result<(), StoreError> {
    OutputFile::open(path, "usual.json")?.write(text.as_bytes())
}

#[test]
fn a_file_is_replaced_and_keeps_its_mode() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("new/file.json");
    write(&path, "1").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    write(&path, "2").unwrap();
    let now = fs::metadata(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "2");
    assert_eq!(now.permissions().mode() & 0o777, 0o640);
    assert_ne!(now.ino(), before, "it was written over, and not replaced");
    write(scratch.path(), "3").unwrap();
    assert_eq!(
        fs::read_to_string(scratch.path().join("usual.json")).unwrap(),
        "3"
    );
    assert_eq!(fs::read_dir(scratch.path().join("new")).unwrap().count(), 1);
}

#[test]
fn where_a_link_leads_is_replaced_and_not_the_link() {
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("target");
    fs::write(&target, "old").unwrap();
    symlink("target", scratch.path().join("one")).unwrap();
    symlink(scratch.path().join("one"), scratch.path().join("two")).unwrap();
    write(&scratch.path().join("two"), "new").unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "new");
    assert!(scratch.path().join("two").is_symlink() && scratch.path().join("one").is_symlink());
    symlink("loop", scratch.path().join("loop")).unwrap();
    assert!(write(&scratch.path().join("loop"), "x").is_err());
}

#[test]
fn a_pipe_is_written_to() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    symlink("pipe", scratch.path().join("link")).unwrap();
    for name in ["pipe", "link"] {
        let reader = thread::spawn({
            let path = path.clone();
            move || fs::read_to_string(path).unwrap()
        });
        write(&scratch.path().join(name), "text").unwrap();
        assert_eq!(reader.join().unwrap(), "text");
    }
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
}

#[test]
fn a_device_is_written_to() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("null");
    let null = rustix::fs::makedev(1, 3);
    // Only root can make one.
    if mknodat(
        CWD,
        &path,
        FileType::CharacterDevice,
        Mode::from_raw_mode(0o600),
        null,
    )
    .is_err()
    {
        return;
    }
    if let Err(error) = fs::OpenOptions::new().write(true).open(&path) {
        // A mount without devices.
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        return;
    }
    write(&path, "text").unwrap();
    let kind = fs::metadata(&path).unwrap();
    assert!(kind.file_type().is_char_device());
    assert_eq!(kind.rdev(), null);
}

#[test]
fn something_open_is_written_to() {
    let file = tempfile::tempfile().unwrap();
    use std::os::fd::AsRawFd as _;
    for directory in ["/proc/self/fd", "/dev/fd"] {
        let path = format!("{directory}/{}", file.as_raw_fd());
        write(Path::new(&path), directory).unwrap();
        let mut text = String::new();
        use std::io::{Read as _, Seek as _};
        (&file).rewind().unwrap();
        (&file).read_to_string(&mut text).unwrap();
        assert!(text.starts_with(directory), "{text}");
    }
}

#[test]
fn a_link_of_another_user_is_not_followed() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let target = scratch.path().join("target");
    fs::write(&target, "old").unwrap();
    for (link, named) in [("link", "link"), ("directory", "directory/target")] {
        let to = if link == named {
            target.clone()
        } else {
            scratch.path().to_owned()
        };
        symlink(to, scratch.path().join(link)).unwrap();
        std::os::unix::fs::lchown(scratch.path().join(link), Some(65534), Some(65534)).unwrap();
        let error = write(&scratch.path().join(named), "new")
            .unwrap_err()
            .to_string();
        assert!(error.contains("of another user"), "{error}");
        assert!(
            error.contains("the file ") && !error.contains("directory"),
            "{error}"
        );
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "old");
}

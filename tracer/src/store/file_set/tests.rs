//! Sets of files: replaced as one, and nothing else touched.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::*;

fn set(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn replace(
    output: &OutputDirectory,
    files: &[(&str, &str)],
    stale: &[&str],
) -> Result<(), StoreError> {
    let files = set(files);
    output.replace(
        "w",
        &FileSet {
            files: &files,
            stale: stale.to_vec(),
        },
    )
}

/// All files below a directory, hidden ones too.
fn content(directory: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            let inner = content(&path).into_iter();
            all.extend(inner.map(|(path, text)| (format!("{name}/{path}"), text)));
        } else if kind.is_symlink() {
            all.insert(
                name,
                format!("-> {}", fs::read_link(&path).unwrap().display()),
            );
        } else {
            all.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    all
}

fn is(directory: &Path, expected: &[(&str, &str)]) {
    let expected: BTreeMap<_, _> = set(expected).into_iter().collect();
    assert_eq!(content(directory), expected);
}

#[test]
fn a_set_replaces_its_own_files_and_keeps_all_others() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    replace(
        &output,
        &[
            ("recording.json", "1"),
            ("k/a.yaml", "1"),
            ("old", "tracer"),
        ],
        &[],
    )
    .unwrap();
    let w = scratch.path().join("w");
    fs::write(w.join("notes.txt"), "mine").unwrap();
    fs::write(w.join("k/b.yaml"), "mine").unwrap();
    symlink("/nowhere", w.join("link")).unwrap();
    fs::create_dir(w.join("empty")).unwrap();
    replace(
        &output,
        &[("recording.json", "2"), ("k/a.yaml", "2")],
        &["old"],
    )
    .unwrap();
    let expected = [
        ("w/recording.json", "2"),
        ("w/k/a.yaml", "2"),
        ("w/notes.txt", "mine"),
        ("w/k/b.yaml", "mine"),
        ("w/link", "-> /nowhere"),
    ];
    is(scratch.path(), &expected);
    assert!(w.join("empty").is_dir());
    assert_eq!(fs::metadata(w.join("notes.txt")).unwrap().nlink(), 1);
}

#[test]
fn only_what_tracer_wrote_is_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    let w = scratch.path().join("w");
    fs::create_dir(&w).unwrap();
    fs::write(w.join("apparmor.profile"), "# by hand").unwrap();
    fs::write(w.join("made"), "# Made by tracer for w.").unwrap();
    fs::create_dir_all(w.join("a/blobs/sha256")).unwrap();
    let blob = "0".repeat(64);
    fs::write(w.join("a/blobs/sha256").join(&blob), "{}").unwrap();
    fs::write(w.join("a/blobs/sha256/mine"), "{}").unwrap();
    let stale = ["apparmor.profile", "made", "a/blobs/sha256/"];
    replace(&output, &[("recording.json", "1")], &stale).unwrap();
    let expected = [
        ("recording.json", "1"),
        ("apparmor.profile", "# by hand"),
        ("a/blobs/sha256/mine", "{}"),
    ];
    is(&w, &expected);
}

#[test]
fn a_recording_is_for_its_owner_and_a_profile_for_all() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    let files = [
        ("recording.json", "1"),
        ("REVIEW.md", "1"),
        ("seccomp.json", "1"),
    ];
    let mode = |name: &str| {
        let path = scratch.path().join("w").join(name);
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    replace(&output, &files, &[]).unwrap();
    assert_eq!(mode("recording.json"), 0o600);
    assert_eq!(mode("REVIEW.md"), 0o600);
    assert_eq!(mode("seccomp.json") & 0o400, 0o400);
    // A mode that somebody chose stays.
    let path = scratch.path().join("w/recording.json");
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    replace(&output, &files, &[]).unwrap();
    assert_eq!(mode("recording.json"), 0o644);
}

#[test]
fn a_failure_leaves_the_old_files_and_nothing_else() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    replace(&output, &[("a", "old")], &[]).unwrap();
    for bad in ["a/b", "../escaped", "/tmp/escaped", "a//b"] {
        assert!(
            replace(&output, &[("a", "new"), (bad, "x")], &[]).is_err(),
            "{bad}"
        );
    }
    is(scratch.path(), &[("w/a", "old")]);
}

#[test]
fn links_below_the_output_are_not_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let target = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    symlink(target.path(), scratch.path().join("w")).unwrap();
    let error = replace(&output, &[("seccomp.json", "1")], &[]).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    // A recording cannot be made again: it is saved.
    let error = replace(&output, &[("recording.json", "1")], &[]).unwrap_err();
    let StoreError::Blocked { saved, .. } = &error else {
        panic!("{error}")
    };
    is(saved, &[("recording.json", "1")]);
    is(target.path(), &[]);
    // Nor is one in the workload's directory.
    fs::remove_file(scratch.path().join("w")).unwrap();
    fs::create_dir(scratch.path().join("w")).unwrap();
    symlink(target.path(), scratch.path().join("w/kubernetes")).unwrap();
    symlink(
        target.path().join("x"),
        scratch.path().join("w/seccomp.json"),
    )
    .unwrap();
    assert!(replace(&output, &[("kubernetes/a.yaml", "1")], &[]).is_err());
    replace(&output, &[("seccomp.json", "1")], &[]).unwrap();
    is(target.path(), &[]);
    assert_eq!(
        fs::read_to_string(scratch.path().join("w/seccomp.json")).unwrap(),
        "1"
    );
}

#[test]
fn a_directory_that_is_moved_is_written_where_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    let target = tempfile::tempdir().unwrap();
    let path = scratch.path().join("out");
    let output = OutputDirectory::open(&path).unwrap();
    assert_eq!(output.moved_to(), None);
    let moved = scratch.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    symlink(target.path(), &path).unwrap();
    replace(&output, &[("recording.json", "1")], &[]).unwrap();
    is(target.path(), &[]);
    is(&moved, &[("w/recording.json", "1")]);
    assert_eq!(output.moved_to(), moved.canonicalize().ok());
}

/// What a killed run left is removed by the next, whether it had come to the exchange or not, and what is not
/// tracer's is put back.
#[test]
fn the_next_run_cleans_up() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    replace(
        &output,
        &[("recording.json", "new"), ("seccomp.json", "new")],
        &[],
    )
    .unwrap();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let w = scratch.path().join("w");

    let before = scratch.path().join(".tracer-w.4000000-1");
    fs::create_dir_all(before.join("set")).unwrap();
    let staged = before.join(named(inode(&before.join("set"))));
    fs::rename(before.join("set"), &staged).unwrap();
    fs::write(staged.join("recording.json"), "never").unwrap();
    fs::write(staged.join("other.json"), "never").unwrap();

    let after = scratch.path().join(".tracer-w.4000000-2");
    let old = after.join(named(inode(&w)));
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("recording.json"), "old").unwrap();
    fs::write(old.join("late.txt"), "mine").unwrap();

    fs::create_dir(scratch.path().join(".tracer-check.4000000-3")).unwrap();
    fs::write(scratch.path().join(".tracer-file.4000000-4"), "half").unwrap();
    // Not a name of this kind.
    fs::write(scratch.path().join(".tracer-notes"), "mine").unwrap();

    OutputDirectory::open(scratch.path()).unwrap();
    let expected = [
        (".tracer-notes", "mine"),
        ("w/recording.json", "new"),
        ("w/seccomp.json", "new"),
        ("w/late.txt", "mine"),
    ];
    is(scratch.path(), &expected);
}

#[test]
fn what_a_running_tracer_has_locked_stays() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    let staged = Staged::new(&output, "w").unwrap();
    staged.write_one("a", "1", None).unwrap();
    OutputDirectory::open(scratch.path()).unwrap();
    staged
        .install(
            None,
            &FileSet {
                files: &[],
                stale: Vec::new(),
            },
        )
        .unwrap();
    drop(staged);
    is(scratch.path(), &[("w/a", "1")]);
}

#[test]
fn runs_at_once_for_one_workload_all_succeed() {
    let scratch = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let path = scratch.path();
            scope.spawn(move || {
                for round in 0..10 {
                    let output = OutputDirectory::open(path).unwrap();
                    let text = format!("{thread}-{round}");
                    replace(&output, &[("recording.json", &text), ("a/b", &text)], &[]).unwrap();
                }
            });
        }
    });
    let now = content(scratch.path());
    assert_eq!(now.len(), 2, "something is left over: {now:?}");
    assert_eq!(now["w/recording.json"], now["w/a/b"]);
}

#[test]
fn a_lock_is_not_waited_for_without_end() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    let held = lock::hold(&output.fd, std::time::Duration::ZERO).unwrap();
    let error = lock::hold(&output.fd, std::time::Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(held);
    lock::hold(&output.fd, std::time::Duration::ZERO).unwrap();
}

#[test]
fn a_directory_that_appears_meanwhile_is_replaced_too() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    let staged = Staged::new(&output, "w").unwrap();
    staged.write_one("a", "new", None).unwrap();
    fs::create_dir(scratch.path().join("w")).unwrap();
    fs::write(scratch.path().join("w/notes"), "mine").unwrap();
    let files = set(&[("a", "new")]);
    let set = FileSet {
        files: &files,
        stale: Vec::new(),
    };
    staged.install_again(None, &set).unwrap();
    drop(staged);
    is(scratch.path(), &[("w/a", "new"), ("w/notes", "mine")]);
}

/// A file where the old directory has a directory stops the removing, after the two have changed places.
#[test]
fn what_cannot_be_removed_after_the_exchange_is_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    fs::create_dir_all(scratch.path().join("w/d")).unwrap();
    fs::write(scratch.path().join("w/d/notes"), "mine").unwrap();
    let old = existing(&output.fd, "w").unwrap().unwrap();
    let staged = Staged::new(&output, "w").unwrap();
    staged.write_one("d", "new", None).unwrap();
    rustix::fs::renameat_with(
        &staged.outer,
        &staged.inner_name,
        &output.fd,
        "w",
        RenameFlags::EXCHANGE,
    )
    .unwrap();
    staged.retire_or_save(&old);
    drop(staged);
    is(
        scratch.path(),
        &[("w/d", "new"), ("w.saved-1/d/notes", "mine")],
    );
}

#[test]
fn only_the_new_directory_is_removed_when_it_is_not_used() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    replace(&output, &[("a", "old")], &[]).unwrap();
    fs::write(scratch.path().join("w/notes"), "mine").unwrap();
    let staged = Staged::new(&output, "w").unwrap();
    staged.write_one("a", "new", None).unwrap();
    let (outer, inner) = (staged.outer_name.clone(), staged.inner_name.clone());
    rustix::fs::renameat_with(
        &staged.outer,
        &staged.inner_name,
        &output.fd,
        "w",
        RenameFlags::EXCHANGE,
    )
    .unwrap();
    drop(staged);
    let left = scratch.path().join(outer).join(inner);
    is(&left, &[("a", "old"), ("notes", "mine")]);
    // The next run brings back what is not tracer's.
    OutputDirectory::open(scratch.path()).unwrap();
    is(scratch.path(), &[("w/a", "new"), ("w/notes", "mine")]);
}

/// One leftover that nobody can tell anything about does not keep the others from being removed.
#[test]
fn unclear_leftovers_are_saved_and_the_others_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    replace(&output, &[("a", "new")], &[]).unwrap();
    let make = |directory: &str, file: &str| {
        let directory = scratch.path().join(directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(file), "old").unwrap();
    };
    // No directory made here has the inode number 1.
    make(".tracer-w.4000000-1/set-1", "a");
    make(".tracer-gone.4000000-2/set-1", "b");
    // A file where a directory should be.
    make(".tracer-w.4000000-3", "set-1");
    make(".tracer-w.4000000-4", "set");
    fs::write(scratch.path().join(".tracer-file.4000000-5"), "half").unwrap();
    OutputDirectory::open(scratch.path()).unwrap();
    let expected = [
        (".tracer-w.4000000-3/set-1", "old"),
        ("w/a", "new"),
        ("w.saved-1/a", "old"),
        ("gone.saved-1/b", "old"),
    ];
    is(scratch.path(), &expected);
    assert!(!scratch.path().join(".tracer-w.4000000-1").exists());
}

#[test]
fn what_cannot_be_synced_is_no_error() {
    // fsync of a pipe is EINVAL, as of a directory on some file systems (fsync(2)).
    let (_reader, writer) = io::pipe().unwrap();
    assert_eq!(rustix::fs::fsync(&writer), Err(Errno::INVAL));
    sync(&writer).unwrap();
    // Other errors are: a descriptor that is only a path is EBADF.
    let path = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    sync(&path).unwrap_err();
}

#[test]
fn a_directory_in_the_place_of_a_file_is_named_before_anything_is_moved() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    replace(&output, &[("a", "old")], &[]).unwrap();
    fs::create_dir(scratch.path().join("w/seccomp.json")).unwrap();
    fs::write(scratch.path().join("w/seccomp.json/notes"), "mine").unwrap();
    let w = scratch.path().join("w");
    for (file, what) in [
        ("seccomp.json", "seccomp.json is a directory; move it away"),
        ("a/b", "a is not a directory; move it away"),
    ] {
        let error = replace(&output, &[("new", "1"), (file, "1")], &[]).unwrap_err();
        let expected = format!("{}/{what}", w.display());
        assert!(error.to_string().contains(&expected), "{error}");
    }
    is(
        scratch.path(),
        &[("w/a", "old"), ("w/seccomp.json/notes", "mine")],
    );
    // What is said helps.
    fs::rename(w.join("seccomp.json"), scratch.path().join("away")).unwrap();
    replace(&output, &[("new", "1"), ("seccomp.json", "1")], &[]).unwrap();
}

#[test]
fn it_is_said_which_files_are_new_when_not_all_are() {
    let scratch = tempfile::tempdir().unwrap();
    let output = OutputDirectory::open(scratch.path()).unwrap();
    let texts = [("recording.json", "old"), ("b", "old"), ("c", "old")];
    replace(&output, &texts, &[]).unwrap();
    let files = set(&[("recording.json", "new"), ("b", "new"), ("c", "new")]);
    let set = FileSet {
        files: &files,
        stale: Vec::new(),
    };
    let old = existing(&output.fd, "w").unwrap().unwrap();
    let staged = Staged::new(&output, "w").unwrap();
    // The rename of b fails.
    staged.write_one("recording.json", "new", None).unwrap();
    staged.write_one("c", "new", None).unwrap();
    let Failed::Partly { moved, left, cause } = staged.one_by_one(&old, &set).unwrap_err() else {
        panic!("it does not say that a file was moved")
    };
    let saved = staged.save_beside().ok();
    drop(staged);
    let expected = [
        ("w/recording.json", "new"),
        ("w/b", "old"),
        ("w/c", "old"),
        ("w.saved-1/c", "new"),
    ];
    is(scratch.path(), &expected);
    let path = Path::new("out/w").to_owned();
    let error = StoreError::Partly {
        path,
        moved,
        left,
        saved,
        cause,
    };
    let text = error.to_string();
    assert!(
        text.contains("new: recording.json; as before: b, c"),
        "{text}"
    );
    assert!(text.contains("w.saved-1"), "{text}");
}

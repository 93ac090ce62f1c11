//! Reading and writing, as a user meets them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tracer_core::recording::{Coverage, Host, SCHEMA, Workload, json::to_json};

use super::*;

fn sample() -> Recording {
    Recording {
        schema: SCHEMA.to_owned(),
        workload: Workload {
            name: "x".to_owned(),
            command: vec!["x".to_owned(), "\u{1b}[31m\n".to_owned()],
        },
        host: Host {
            kernel: "6.18".to_owned(),
            machine: "x86_64".to_owned(),
            tracer: "0.1.0".to_owned(),
        },
        instances: Vec::new(),
        providers: Vec::new(),
        syscalls: Vec::new(),
        files: Vec::new(),
        capabilities: Vec::new(),
        sockets: Vec::new(),
        signals: Vec::new(),
        traces: Vec::new(),
        mounts: Vec::new(),
        coverage: Coverage::default(),
        merged: None,
    }
}

fn refusal(text: &str) -> String {
    parse(text.as_bytes(), Path::new("r.json"))
        .unwrap_err()
        .to_string()
}

#[test]
fn written_recording_is_read_back() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[(RECORDING_FILE, to_json(&sample()))]).unwrap();
    assert_eq!(read(directory.path()).unwrap(), sample());
    assert_eq!(
        read(&directory.path().join(RECORDING_FILE)).unwrap(),
        sample()
    );
    let mode = fs::metadata(directory.path().join(RECORDING_FILE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o400, 0o400, "readable like any file");
}

#[test]
fn newer_schema_is_rejected() {
    let newer = to_json(&sample())
        .replace("recording/v2", "recording/v3")
        .replace("\"workload\"", "\"workloads\"");
    assert!(
        refusal(&newer).contains("this tracer reads tracer.recording/v1 and tracer.recording/v2")
    );
}

#[test]
fn malformed_files_are_rejected_with_a_position() {
    let text = to_json(&sample());
    let cut = &text[..text.len() / 2];
    assert!(refusal(cut).contains("line "), "{}", refusal(cut));
    let unknown = text.replacen("\"host\"", "\"surprise\": 1,\n  \"host\"", 1);
    assert!(refusal(&unknown).contains("unknown field `surprise`"));
    assert!(refusal(&unknown).contains("line "));
    let twice = text.replacen("\"instances\"", "\"providers\": [],\n  \"instances\"", 1);
    assert!(refusal(&twice).contains("duplicate field `providers`"));
    let call =
        r#"{"abi":"x86_64","nr":1,"name":"write","phases":["run"],"blocked":false,"evidence":[]}"#;
    let same = text.replacen(
        "\"syscalls\": []",
        &format!("\"syscalls\": [{call},\n{call}]"),
        1,
    );
    assert!(refusal(&same).contains("duplicate system call x86_64 1"));
    assert!(refusal(&same).contains("line "), "{}", refusal(&same));
}

#[test]
fn huge_file_is_rejected_unread() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("huge.json");
    File::create(&path).unwrap().set_len(200 << 20).unwrap();
    let error = read(&path).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
}

#[test]
fn failed_write_leaves_no_temporary_file() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("a", "old".to_owned())]).unwrap();
    let files = [("a", "new".to_owned()), ("a/b", "x".to_owned())];
    let result = write(directory.path(), &files);
    assert!(result.is_err());
    let names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a"], "no temporary file is left");
    assert_eq!(
        fs::read_to_string(directory.path().join("a")).unwrap(),
        "old"
    );
}

#[test]
fn missing_directories_are_created() {
    let directory = tempfile::tempdir().unwrap();
    for text in ["one", "two"] {
        write(directory.path(), &[("x/y/z", text.to_owned())]).unwrap();
        let path = directory.path().join("x/y/z");
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
}

#[test]
fn only_blobs_are_removed_from_a_directory_of_blobs() {
    let directory = tempfile::tempdir().unwrap();
    let blobs = directory.path().join("image/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let (old, new) = ("a".repeat(64), "b".repeat(64));
    for name in [old.as_str(), new.as_str(), "README"] {
        fs::write(blobs.join(name), "").unwrap();
    }
    let is_there = |name: &str| blobs.join(name).is_file();
    let names = ["seccomp.json", "image/blobs/"];
    remove_old_blobs(directory.path(), names, &[]).unwrap();
    assert!(is_there(&old), "no image was written, so none is outdated");
    let files = [(format!("image/blobs/{new}"), String::new())];
    remove_old_blobs(directory.path(), names, &files).unwrap();
    assert!(!is_there(&old) && is_there(&new));
    remove(directory.path(), names).unwrap();
    assert!(!is_there(&new) && is_there("README"));
    fs::remove_dir_all(&blobs).unwrap();
    remove(directory.path(), names).unwrap();
}

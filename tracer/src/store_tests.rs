//! Reading and writing, as a user meets them.

use std::{fs::File, path::Path};

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
        selinux: Vec::new(),
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
    let output = OutputDirectory::open(directory.path()).unwrap();
    let files = [(RECORDING_FILE.to_owned(), to_json(&sample()))];
    let stale = Vec::new();
    output
        .replace(
            "x",
            &FileSet {
                files: &files,
                stale,
            },
        )
        .unwrap();
    let directory = directory.path().join("x");
    assert_eq!(read(&directory).unwrap(), sample());
    assert_eq!(read(&directory.join(RECORDING_FILE)).unwrap(), sample());
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

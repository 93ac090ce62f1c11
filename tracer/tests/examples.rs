//! The committed examples are what this version renders from their recordings.

use std::{fs, path::Path};

use tracer::{
    profile::seccomp::{Options, SeccompProfile, oci::OciSeccomp},
    recording::store,
    report,
};

#[test]
fn the_examples_are_rendered_from_their_recordings() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles-out/examples");
    let folders: Vec<_> = fs::read_dir(&examples)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!folders.is_empty());
    for folder in folders {
        let recordings = [store::read(&folder).unwrap()];
        let profile = SeccompProfile::from_recordings(&recordings, &Options::default()).unwrap();
        for (name, text) in [
            (
                "seccomp.json",
                OciSeccomp::from(&profile).to_json().unwrap(),
            ),
            ("REVIEW.md", report::review(&recordings, &profile)),
        ] {
            let path = folder.join(name);
            assert!(
                fs::read_to_string(&path).unwrap() == text,
                "{} is out of date; run: tracer generate --output profiles-out/examples {}",
                path.display(),
                folder.display()
            );
        }
    }
}

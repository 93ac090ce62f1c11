//! crun's `status` (src/libcrun/status.c: libcrun_write_container_status).

use std::path::PathBuf;

use syscalls::OciRuntime;

use super::{State, of_users, pid, v2_path};
use crate::container::{
    ContainerError,
    files::{Files, Id},
};

const CGROUP: &str = "/cgroup-path";
const PID: &str = "/pid";
const BUNDLE: &str = "/bundle";

fn roots(files: &Files) -> Vec<(PathBuf, Option<u32>)> {
    let mut roots = vec![(PathBuf::from("/run/crun"), None)];
    roots.extend(of_users(files, "crun"));
    roots
}

pub(super) fn list(files: &Files) -> Vec<Id> {
    roots(files)
        .iter()
        .flat_map(|(root, _)| files.ids(root))
        .collect()
}

pub(super) fn find(files: &Files, id: &Id) -> Vec<Result<State, ContainerError>> {
    let mut found = Vec::new();
    for (root, user) in roots(files) {
        let file = root.join(id.as_str()).join("status");
        let status = files.fields(&file, user, &[CGROUP, PID, BUNDLE]);
        found.extend(status.transpose().map(|status| {
            status.map(|status| State {
                runtime: Some(OciRuntime::Crun),
                // It may name the sub-cgroup that crun puts the process in.
                cgroup: status
                    .text(CGROUP)
                    .map(|path| path.strip_suffix("/container").unwrap_or(path))
                    .and_then(v2_path),
                pid: pid(status.get(PID)),
                bundle: status.text(BUNDLE).map(PathBuf::from),
                user,
                ..State::new(id)
            })
        }));
    }
    found
}

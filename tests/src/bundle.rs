//! What a container is described by: its `config.json`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A `config.json` like `runc spec` writes it, without resource limits (raising one needs a
/// capability that test machines lack) and without a network namespace, and with the capabilities of
/// a server that changes its user.
pub(crate) fn spec(
    root: &Path,
    argv: &[PathBuf],
    writable: &Path,
    seccomp: &Value,
    no_new_privileges: bool,
) -> Value {
    let capabilities = [
        "CAP_AUDIT_WRITE",
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_KILL",
        "CAP_NET_BIND_SERVICE",
        "CAP_SETGID",
        "CAP_SETUID",
    ];
    let mut spec = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": argv,
            "env": [format!("PATH={}", crate::tracer::PATH), "HOME=/", "LANG=C"],
            "cwd": writable,
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities,
            },
            "noNewPrivileges": no_new_privileges,
        },
        "root": { "path": root, "readonly": true },
        "hostname": "tracer-e2e",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            {
                "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
            },
            {
                "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
            },
            {
                "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
            },
            {
                "destination": writable, "type": "none", "source": writable,
                "options": ["rbind", "rw"],
            },
        ],
        "linux": {
            "namespaces": [
                { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
            ],
        },
    });
    if !seccomp.is_null() {
        spec["linux"]["seccomp"] = seccomp.clone();
    }
    spec
}

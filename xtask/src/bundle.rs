//! Bundles of containers that are made to be measured: busybox under a filter that denies next to
//! nothing.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// What a runtime is measured under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) no_new_privs: bool,
    /// Whether the workload keeps capabilities.
    pub(crate) capabilities: bool,
    /// Its user and group.
    pub(crate) user: u32,
    pub(crate) variation: Variation,
}

impl Setting {
    pub(crate) fn has_terminal(self) -> bool {
        self.variation == Variation::Terminal
    }
}

/// What else makes a runtime go other ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variation {
    /// Nothing.
    Plain,
    /// The program is named without a directory, and there are users to be looked up.
    ByName,
    /// The workload has limits of its own.
    Limits,
    /// The soft limit of open files is below the hard one: Go's runtime raises it when it starts,
    /// and some versions set it back before they execute something (Go 1.20.4, syscall/exec_unix.go).
    LowSoftLimit,
    /// As on a kernel before 5.9: there is no close_range.
    NoCloseRange,
    /// It has a terminal.
    Terminal,
}

impl Variation {
    pub(crate) const ALL: [Self; 6] = [
        Self::Plain,
        Self::ByName,
        Self::Limits,
        Self::LowSoftLimit,
        Self::NoCloseRange,
        Self::Terminal,
    ];
}

/// How long a container's program goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Life {
    /// To be run.
    Ends,
    /// To be started, and something executed in it.
    Lasts,
}

/// The file in a bundle that describes what is executed in its container.
pub(crate) const PROCESS: &str = "process.json";

/// Writes a bundle to `directory`, which must not be there yet.
pub(crate) fn write(
    directory: &Path,
    busybox: &Path,
    cgroup: &str,
    setting: Setting,
    life: Life,
) -> Result<()> {
    let root = directory.join("root");
    let terminal = setting.has_terminal();
    let config = json!({
        "ociVersion": "1.0.2",
        "process": match life {
            Life::Ends => process(setting, terminal, &["true"]),
            // A terminal would need someone at the other end of a socket.
            Life::Lasts => process(setting, false, &["sleep", "1000"]),
        },
        "root": { "path": root, "readonly": true },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs" },
            {
                "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666"],
            },
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [
                { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" },
            ],
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{ "names": ["swapoff"], "action": "SCMP_ACT_ERRNO" }],
            },
        },
    });
    let write = || -> std::io::Result<()> {
        for name in ["bin", "etc", "proc", "dev"] {
            fs::create_dir_all(root.join(name))?;
        }
        fs::copy(busybox, root.join("bin/busybox"))?;
        fs::write(
            root.join("etc/passwd"),
            "user:x:1000:1000::/:/bin/busybox\n",
        )?;
        fs::write(root.join("etc/group"), "user:x:1000:\n")?;
        fs::write(directory.join("config.json"), config.to_string())?;
        let exec = process(setting, terminal, &["true"]);
        fs::write(directory.join(PROCESS), exec.to_string())
    };
    write().with_context(|| format!("cannot make a bundle in {}", directory.display()))
}

fn process(setting: Setting, terminal: bool, arguments: &[&str]) -> Value {
    let is = |variation| setting.variation == variation;
    let kept = if setting.capabilities {
        vec!["CAP_CHOWN", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"]
    } else {
        Vec::new()
    };
    let sets = [
        "bounding",
        "effective",
        "permitted",
        "inheritable",
        "ambient",
    ];
    let capabilities: serde_json::Map<_, _> = sets
        .iter()
        .map(|set| ((*set).to_owned(), json!(kept)))
        .collect();
    let limits = if is(Variation::Limits) {
        json!([{ "type": "RLIMIT_NOFILE", "soft": 128, "hard": 256 }])
    } else {
        json!([])
    };
    let program = if is(Variation::ByName) {
        "busybox"
    } else {
        "/bin/busybox"
    };
    let arguments: Vec<_> = [program].iter().chain(arguments).copied().collect();
    json!({
        "terminal": terminal,
        "user": {
            "uid": setting.user, "gid": setting.user,
            "additionalGids": if setting.user == 0 { vec![] } else { vec![2000] },
        },
        "args": arguments,
        "env": ["PATH=/sbin:/bin"],
        "cwd": "/",
        "capabilities": capabilities,
        "rlimits": limits,
        "noNewPrivileges": setting.no_new_privs,
    })
}

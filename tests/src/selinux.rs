//! A small SELinux policy for tests, and the kernel's side of it.
//!
//! All files have one type, but for those that a test labels; one domain may do everything. It says nothing
//! about the labels of a distribution, and all about what the kernel asks and a rule allows.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MsFlags, mount};
use tracer_core::profile::selinux::classes::{self, KernelOrder};

const ROOT: &str = "/sys/fs/selinux";

/// The domain that may do everything, in which the tests run.
pub const UNCONFINED: &str = "kernel_t";

/// The type of every file without a label of its own.
pub const FILE: &str = "obj_t";

/// The contexts that the kernel begins with, in its order (security/selinux/include/initial_sid_to_string.h).
const INITIAL: [&str; 27] = [
    "kernel",
    "security",
    "unlabeled",
    "fs",
    "file",
    "file_labels",
    "init",
    "any_socket",
    "port",
    "netif",
    "netmsg",
    "node",
    "igmp_packet",
    "icmp_socket",
    "tcp_socket",
    "sysctl_modprobe",
    "sysctl",
    "sysctl_fs",
    "sysctl_kernel",
    "sysctl_net",
    "sysctl_net_unix",
    "sysctl_vm",
    "sysctl_dev",
    "kmod",
    "policy",
    "scmp_packet",
    "devnull",
];

/// A policy in the making.
pub struct Policy {
    text: String,
}

impl Policy {
    /// One with these types for files and ports, besides its own, and these TCP ports.
    pub fn new(types: &[&str], ports: &[(u16, &str)]) -> Self {
        let mut text = String::from("(handleunknown allow)\n(mls true)\n");
        let order = KernelOrder::of_release("6.12");
        // Not in the kernel's order, which is not the policy's business.
        let mut names: Vec<_> = classes::known_classes().collect();
        names.sort_unstable();
        names.reverse();
        for class in &names {
            let mut permissions = classes::permissions(class, order).unwrap_or_default();
            permissions.sort_unstable();
            let _ = writeln!(text, "(class {class} ({}))", permissions.join(" "));
        }
        let _ = writeln!(text, "(classorder ({}))", names.join(" "));
        for sid in INITIAL {
            let _ = writeln!(text, "(sid {sid})");
        }
        let _ = writeln!(text, "(sidorder ({}))", INITIAL.join(" "));
        for capability in [
            "open_perms",
            "extended_socket_class",
            "nnp_nosuid_transition",
        ] {
            let _ = writeln!(text, "(policycap {capability})");
        }
        text += concat!(
            "(sensitivity s0)\n(sensitivityorder (s0))\n",
            "(category c0)\n(category c1)\n(categoryorder (c0 c1))\n",
            "(sensitivitycategory s0 (range c0 c1))\n",
            "(user system_u)\n(role system_r)\n",
            "(userrole system_u system_r)\n(userrole system_u object_r)\n",
            "(userlevel system_u (s0))\n(userrange system_u ((s0) (s0 (range c0 c1))))\n",
            // Without one the kernel does not empty its cache of decisions.
            "(boolean unused false)\n",
            "(role object_r)\n(typeattribute domain)\n(typeattribute everything)\n",
            "(typeattributeset everything (all))\n",
        );
        let own = [UNCONFINED, FILE, "node_t", "netif_t", "port_t"];
        for name in own.iter().chain(types) {
            let _ = writeln!(text, "(type {name})\n(roletype object_r {name})");
        }
        let _ = writeln!(
            text,
            "(roletype system_r {UNCONFINED})\n(typeattributeset domain ({UNCONFINED}))"
        );
        for class in &names {
            let _ = writeln!(text, "(allow {UNCONFINED} everything ({class} (all)))");
        }
        // That files of a type may lie in a file system of a type.
        text += "(allow everything everything (filesystem (associate)))\n";
        text += &contexts(ports);
        Self { text }
    }

    /// Adds CIL.
    #[must_use]
    pub fn with(mut self, cil: &str) -> Self {
        self.text += cil;
        self
    }

    /// The policy as the kernel takes it.
    ///
    /// # Errors
    /// What secilc says.
    pub fn compile(&self, directory: &Path) -> Result<PathBuf> {
        let source = directory.join("policy.cil");
        let binary = directory.join("policy.bin");
        fs::write(&source, &self.text)?;
        compile(&[&source], &binary)?;
        Ok(binary)
    }
}

/// Compiles CIL to a binary policy.
///
/// # Errors
/// What secilc says.
pub fn compile(sources: &[&Path], binary: &Path) -> Result<()> {
    let output = Command::new("secilc")
        .args(["-c", "33", "-f", "/dev/null", "-o"])
        .arg(binary)
        .args(sources)
        .output()
        .context("starting secilc")?;
    ensure!(
        output.status.success(),
        "secilc: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn contexts(ports: &[(u16, &str)]) -> String {
    let context = |role: &str, kind: &str| format!("(system_u {role} {kind} ((s0) (s0)))");
    let mut text = String::new();
    for sid in INITIAL {
        let (role, kind) = match sid {
            "kernel" | "init" | "kmod" => ("system_r", UNCONFINED),
            "port" => ("object_r", "port_t"),
            "node" => ("object_r", "node_t"),
            "netif" => ("object_r", "netif_t"),
            _ => ("object_r", FILE),
        };
        let _ = writeln!(text, "(sidcontext {sid} {})", context(role, kind));
    }
    let file = context("object_r", FILE);
    for kind in [
        "tmpfs",
        "devtmpfs",
        "devpts",
        "ramfs",
        "mqueue",
        "hugetlbfs",
        "shm",
    ] {
        let _ = writeln!(text, "(fsuse trans {kind} {file})");
    }
    for kind in ["pipefs", "sockfs"] {
        let _ = writeln!(text, "(fsuse task {kind} {file})");
    }
    for kind in [
        "proc",
        "sysfs",
        "selinuxfs",
        "cgroup2",
        "tracefs",
        "securityfs",
        "9p",
    ] {
        let _ = writeln!(text, "(genfscon {kind} \"/\" {file})");
    }
    for (port, kind) in ports {
        let _ = writeln!(text, "(portcon tcp {port} {})", context("object_r", kind));
    }
    text
}

/// Mounts selinuxfs, where it is not.
///
/// # Errors
/// When the kernel has none.
pub fn mount_selinuxfs() -> Result<()> {
    if Path::new(ROOT).join("load").exists() {
        return Ok(());
    }
    mount(
        None::<&str>,
        ROOT,
        Some("selinuxfs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .context("mounting selinuxfs")
}

/// Loads a policy, in one write as the kernel wants it.
///
/// # Errors
/// When the kernel refuses it.
pub fn load(binary: &Path) -> Result<()> {
    let bytes = fs::read(binary)?;
    fs::write(Path::new(ROOT).join("load"), bytes).context("loading the policy")
}

/// Whether the kernel denies what the policy does not allow, from now on.
///
/// # Errors
/// When it cannot be said.
pub fn enforce(on: bool) -> Result<()> {
    fs::write(Path::new(ROOT).join("enforce"), if on { "1" } else { "0" }).context("setenforce")
}

/// The context of a process of a type.
pub fn process_context(kind: &str) -> String {
    format!("system_u:system_r:{kind}:s0")
}

/// Gives a file a type.
///
/// # Errors
/// When its file system keeps no labels.
pub fn label(file: &Path, kind: &str) -> Result<()> {
    let path = std::ffi::CString::new(file.to_string_lossy().as_bytes())?;
    let value = format!("system_u:object_r:{kind}:s0");
    // SAFETY: two texts with a NUL, and as many bytes as there are.
    let done = unsafe {
        libc::setxattr(
            path.as_ptr(),
            c"security.selinux".as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    ensure!(
        done == 0,
        "labelling {}: {}",
        file.display(),
        std::io::Error::last_os_error()
    );
    Ok(())
}

/// One permission of a line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denied {
    /// The thread's command name.
    pub comm: String,
    /// The type of the source.
    pub source: String,
    /// The type of the target.
    pub target: String,
    /// The class.
    pub class: String,
    /// The permission.
    pub permission: String,
}

/// The permissions that a line of the log says were denied, or would have been.
pub fn denied(line: &str) -> Vec<Denied> {
    let field = |name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}="))?;
        let value = rest.split_whitespace().next()?;
        Some(value.trim_matches('"').to_owned())
    };
    let kind = |name: &str| {
        let context = field(name)?;
        context.split(':').nth(2).map(str::to_owned)
    };
    let Some((_, rest)) = line.split_once("avc:  denied  { ") else {
        return Vec::new();
    };
    let permissions = rest.split(" }").next().unwrap_or_default();
    let all = permissions.split(' ').map(|permission| {
        Some(Denied {
            comm: field("comm")?,
            source: kind("scontext")?,
            target: kind("tcontext")?,
            class: field("tclass")?,
            permission: permission.to_owned(),
        })
    });
    all.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::denied;

    #[test]
    fn audit_lines_are_read() {
        let line = "audit: type=1400 audit(1.2:3): avc:  denied  { read open } for  pid=9 comm=\"a b\" path=\"/x\" scontext=u:r:web_t:s0 tcontext=u:object_r:etc_t:s0 tclass=file permissive=1";
        let all = denied(line);
        assert_eq!(all.len(), 2);
        assert_eq!(
            (
                &*all[1].source,
                &*all[1].target,
                &*all[1].class,
                &*all[1].permission
            ),
            ("web_t", "etc_t", "file", "open")
        );
        assert!(denied("audit: type=1403 policy loaded").is_empty());
    }
}

//! Accesses that a reviewer has to see: what they reach, and why that matters.

/// How much an access reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// It leads to root on the host, or past SELinux.
    Severe(&'static str),
    /// It reaches secrets or other workloads, or changes programs.
    High(&'static str),
    /// It is often needed, and worth a look.
    Notable(&'static str),
}

impl Risk {
    /// Why it matters.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Severe(reason) | Self::High(reason) | Self::Notable(reason) => reason,
        }
    }
}

/// Types whose processes the policy does not restrict (reference policy, unconfined module; container-selinux,
/// `spc_t`; CRI-O and containerd give `spc_t` to privileged containers).
const UNCONFINED: [&str; 9] = [
    "spc_t",
    "unconfined_t",
    "unconfined_service_t",
    "kernel_t",
    "init_t",
    "initrc_t",
    "container_runtime_t",
    "super_t",
    "control_t",
];

/// Whether a domain is one that the policy leaves nearly unrestricted.
pub fn is_unconfined(domain: &str) -> bool {
    UNCONFINED.contains(&domain)
}

/// Permissions by which a file changes.
const WRITES: [&str; 10] = [
    "write",
    "append",
    "create",
    "unlink",
    "link",
    "rename",
    "setattr",
    "add_name",
    "remove_name",
    "relabelto",
];

const FILES: [&str; 7] = [
    "file",
    "dir",
    "lnk_file",
    "chr_file",
    "blk_file",
    "sock_file",
    "fifo_file",
];

/// Types of files that hold secrets.
const SECRETS: [&str; 10] = [
    "shadow_t",
    "security_t",
    "ssh_home_t",
    "sshd_key_t",
    "gpg_secret_t",
    "krb5_keytab_t",
    "cert_t",
    "auth_cache_t",
    "selinux_config_t",
    "kubernetes_file_t",
];

/// Types of the kernel's and the host's raw devices and memory.
const RAW: [&str; 6] = [
    "fixed_disk_device_t",
    "memory_device_t",
    "kmsg_device_t",
    "nvram_device_t",
    "proc_kcore_t",
    "docker_var_run_t",
];

/// What one permission reaches; `None` when nothing is known of it.
///
/// ```
/// use tracer_core::profile::selinux::{Risk, risk};
///
/// assert!(matches!(risk("shadow_t", "file", "read"), Some(Risk::High(_))));
/// assert_eq!(risk("usr_t", "file", "read"), None);
/// ```
pub fn risk(target: &str, class: &str, permission: &str) -> Option<Risk> {
    let writes = WRITES.contains(&permission);
    let is_file = FILES.contains(&class);
    match (class, permission) {
        ("security", _) => {
            return Some(Risk::Severe(
                "it changes or reads the SELinux policy itself",
            ));
        }
        ("process", "setcurrent" | "dyntransition") => {
            return Some(Risk::Severe("the process can change its own domain"));
        }
        ("process", "transition") if is_unconfined(target) => {
            return Some(Risk::Severe(
                "it starts programs in a domain that is not confined",
            ));
        }
        ("process", "ptrace") => {
            return Some(Risk::High("it takes over other processes of that type"));
        }
        ("process", "execmem" | "execheap" | "execstack") | (_, "execmod") => {
            return Some(Risk::Notable("memory can be written and executed"));
        }
        ("capability" | "cap_userns", name) => return capability(name),
        ("capability2" | "cap2_userns", "mac_admin" | "mac_override" | "bpf") => {
            return Some(Risk::Severe("it reaches the kernel's access control"));
        }
        ("system", "module_load" | "module_request") => {
            return Some(Risk::Severe("it loads kernel modules"));
        }
        ("unix_stream_socket", "connectto") if is_unconfined(target) => {
            return Some(Risk::Severe(
                "it talks to a process that is not confined, such as a container runtime",
            ));
        }
        _ => {}
    }
    if !is_file {
        return None;
    }
    if target == "security_t" && writes {
        return Some(Risk::Severe("it changes the SELinux policy itself"));
    }
    if target == "docker_var_run_t" || target == "container_var_run_t" {
        return Some(Risk::Severe(
            "it reaches the sockets of a container runtime, which starts programs as root",
        ));
    }
    if RAW.contains(&target) {
        return Some(Risk::Severe(
            "it reads or writes disks or memory past all file permissions",
        ));
    }
    if SECRETS.contains(&target) {
        return Some(Risk::High("it reaches secrets of the host"));
    }
    if (target.ends_with("_exec_t") || target == "bin_t") && writes {
        return Some(Risk::High("it changes programs that others execute"));
    }
    if matches!(
        target,
        "lib_t" | "textrel_shlib_t" | "boot_t" | "modules_object_t"
    ) && writes
    {
        return Some(Risk::High(
            "it changes libraries, the kernel or its modules",
        ));
    }
    if matches!(
        target,
        "etc_t" | "usr_t" | "proc_t" | "sysctl_t" | "sysfs_t" | "cgroup_t"
    ) && writes
    {
        return Some(Risk::Notable("it changes settings of the host"));
    }
    None
}

/// What a capability reaches.
fn capability(name: &str) -> Option<Risk> {
    Some(match name {
        "sys_admin" | "sys_module" | "sys_rawio" | "sys_ptrace" | "mac_admin" | "mac_override" => {
            Risk::Severe("the capability is close to root")
        }
        "dac_override" | "dac_read_search" => Risk::High(
            "it goes past the owner and mode of every file; give the file to the workload's user instead",
        ),
        "setuid" | "setgid" | "setfcap" | "fowner" | "chown" | "net_admin" | "net_raw"
        | "sys_chroot" => Risk::Notable("the capability changes users, owners or the network"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitive_accesses_are_known() {
        let severity = |target, class, permission| match risk(target, class, permission) {
            Some(Risk::Severe(_)) => 3,
            Some(Risk::High(_)) => 2,
            Some(Risk::Notable(_)) => 1,
            None => 0,
        };
        for (target, class, permission, expected) in [
            ("shadow_t", "file", "read", 2),
            ("bin_t", "file", "write", 2),
            ("sshd_exec_t", "file", "write", 2),
            ("sshd_exec_t", "file", "execute", 0),
            ("web.process", "capability", "dac_override", 2),
            ("web.process", "capability", "net_bind_service", 0),
            ("spc_t", "process", "transition", 3),
            ("web.process", "process", "signal", 0),
            ("security_t", "security", "load_policy", 3),
            ("http_port_t", "tcp_socket", "name_bind", 0),
        ] {
            assert_eq!(
                severity(target, class, permission),
                expected,
                "{target} {class} {permission}"
            );
        }
        assert!(is_unconfined("spc_t") && !is_unconfined("container_t"));
    }
}

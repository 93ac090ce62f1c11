//! What `tracer doctor` finds out about the host besides the kernel's programs: which security modules
//! enforce profiles, and which engines run containers.

use std::{env, ffi::OsStr, fs, io, path::Path};

use super::{
    apparmor_parser,
    doctor::{Check, State},
};
use tracer_recorder::bpf::selinux;
use tracer_recorder::gvisor::points_of;

/// Where engines listen. The user's own follow.
const SOCKETS: [(&str, &str); 8] = [
    ("Docker", "/run/docker.sock"),
    ("Docker (snap)", "/run/snap.docker/docker.sock"),
    ("Podman", "/run/podman/podman.sock"),
    ("containerd", "/run/containerd/containerd.sock"),
    ("CRI-O", "/run/crio/crio.sock"),
    ("cri-dockerd", "/run/cri-dockerd.sock"),
    ("k3s or RKE2", "/run/k3s/containerd/containerd.sock"),
    ("MicroK8s", "/var/snap/microk8s/common/run/containerd.sock"),
];

/// The sockets of rootless engines, below `XDG_RUNTIME_DIR`.
const ROOTLESS: [(&str, &str); 2] = [
    ("rootless Docker", "docker.sock"),
    ("rootless Podman", "podman/podman.sock"),
];

/// All of it.
pub(super) fn examine() -> Vec<Check> {
    let mut checks = vec![
        security_modules(fs::read_to_string("/sys/kernel/security/lsm")),
        apparmor(fs::read_to_string(
            "/sys/module/apparmor/parameters/enabled",
        )),
        selinux(fs::read_to_string("/sys/fs/selinux/enforce")),
        selinux_policy(),
        parser(),
        engines(),
    ];
    checks.extend(gvisor(env::var_os("PATH").as_deref()));
    checks
}

/// gVisor's runtime, where it is installed: few hosts have it, and nothing is missing without.
fn gvisor(path: Option<&OsStr>) -> Option<Check> {
    let mut files = env::split_paths(path?).map(|directory| directory.join("runsc"));
    let runsc = files.find(|file| file.is_file())?;
    let first = points_of(&runsc).first_unmonitored();
    let text = format!(
        "{}; tracer record --gvisor records its guests: system calls up to number {}",
        runsc.display(),
        first.saturating_sub(1)
    );
    Some(Check::new("gVisor", State::Ok, text))
}

/// `lsm=` of the kernel that runs (Documentation/admin-guide/LSM/index.rst).
fn security_modules(read: io::Result<String>) -> Check {
    const NAME: &str = "security modules";
    let Ok(list) = read else {
        let text = "could not be checked (is securityfs mounted at /sys/kernel/security?)";
        return Check::new(NAME, State::Unknown, text.to_owned());
    };
    let list = list.trim();
    if list.split(',').any(|module| module == "bpf") {
        return Check::new(NAME, State::Ok, list.to_owned());
    }
    let text = format!(
        "{list}; for exact recordings of files, set lsm={list},bpf on the kernel command line and reboot"
    );
    Check::new(NAME, State::Missing, text)
}

fn apparmor(read: io::Result<String>) -> Check {
    const NAME: &str = "AppArmor";
    match read {
        Ok(enabled) if enabled.trim() == "Y" => Check::new(NAME, State::Ok, "enabled".to_owned()),
        Ok(_) => Check::new(
            NAME,
            State::Missing,
            "built in, but not enabled: AppArmor profiles are not enforced on this host".to_owned(),
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Check::new(
            NAME,
            State::Missing,
            "not in this kernel: AppArmor profiles are not enforced on this host".to_owned(),
        ),
        Err(error) => Check::new(
            NAME,
            State::Unknown,
            format!("could not be checked ({error})"),
        ),
    }
}

fn selinux(read: io::Result<String>) -> Check {
    const NAME: &str = "SELinux";
    match read.as_deref().map(str::trim) {
        Ok("1") => Check::new(NAME, State::Ok, "enforcing".to_owned()),
        Ok("0") => Check::new(NAME, State::Ok, "permissive".to_owned()),
        Ok(_) => Check::new(NAME, State::Unknown, "in an unknown mode".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Check::new(NAME, State::Missing, "not enabled".to_owned())
        }
        Err(error) => Check::new(
            NAME,
            State::Unknown,
            format!("could not be checked ({error})"),
        ),
    }
}

/// Which policy is loaded, and whether it has what profiles for containers start from. A type is asked for by
/// its context; a block leaves none in a loaded policy.
fn selinux_policy() -> Check {
    const NAME: &str = "SELinux policy";
    if !selinux::is_enabled() {
        return Check::new(NAME, State::Missing, "not loaded".to_owned());
    }
    let has = |name: &str| selinux::context_of_type(name).is_some();
    let name = fs::read_to_string("/etc/selinux/config").ok();
    let name = name.as_deref().and_then(|text| {
        let mut values = text
            .lines()
            .filter_map(|it| it.strip_prefix("SELINUXTYPE="));
        values.next()
    });
    let version =
        selinux::policy_version().map_or_else(String::new, |it| format!(", version {it}"));
    let container = if has("container_t") {
        "container_t is loaded"
    } else {
        "no container_t: profiles need --standalone"
    };
    let domain = if has("tracer_record.process") {
        "tracer_record.process is loaded"
    } else {
        "no domain for recording (tracer selinux domain)"
    };
    let name = name.unwrap_or("policy of an unknown name");
    Check::new(
        NAME,
        State::Ok,
        format!("{name}{version}; {container}; {domain}"),
    )
}

fn parser() -> Check {
    const NAME: &str = "apparmor_parser";
    match apparmor_parser::find() {
        Some(path) => Check::new(NAME, State::Ok, path.display().to_string()),
        None => Check::new(
            NAME,
            State::Missing,
            "not installed (apt-get install apparmor): AppArmor profiles cannot be checked or loaded"
                .to_owned(),
        ),
    }
}

fn engines() -> Check {
    const NAME: &str = "container engines";
    let mut found: Vec<_> = SOCKETS
        .into_iter()
        .filter(|(_, socket)| Path::new(socket).exists())
        .map(|(name, socket)| format!("{name} ({socket})"))
        .collect();
    if let Some(own) = env::var_os("XDG_RUNTIME_DIR") {
        let sockets = ROOTLESS.map(|(name, socket)| (name, Path::new(&own).join(socket)));
        let there = sockets.into_iter().filter(|(_, socket)| socket.exists());
        found.extend(there.map(|(name, socket)| format!("{name} ({})", socket.display())));
    }
    if found.is_empty() {
        let text = "no socket of Docker, Podman, containerd, CRI-O, k3s or RKE2 found";
        return Check::new(NAME, State::Missing, text.to_owned());
    }
    Check::new(NAME, State::Ok, found.join(", "))
}

/// Where runtimes keep the state of containers, also those that no engine started.
const STATES: [&str; 4] = ["/run/runc", "/run/crun", "/run/containers", "/run/youki"];

/// Whether anything is there that could start a container.
pub(super) fn can_run_containers() -> bool {
    engines().state == State::Ok || STATES.iter().any(|state| Path::new(state).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_bpf_lsm_comes_with_the_command_line() {
        let without = security_modules(Ok("lockdown,capability,apparmor\n".to_owned()));
        assert_eq!(without.state, State::Missing);
        assert!(
            without
                .text
                .contains("lsm=lockdown,capability,apparmor,bpf"),
            "{}",
            without.text
        );
        let with = security_modules(Ok("capability,bpf".to_owned()));
        assert_eq!(with.state, State::Ok);
    }

    #[test]
    fn gvisor_is_named_where_it_is_installed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().as_os_str();
        assert!(gvisor(Some(path)).is_none());
        // What cannot be run has the calls that are known.
        let runsc = directory.path().join("runsc");
        fs::write(&runsc, "").unwrap();
        let check = gvisor(Some(path)).unwrap();
        assert!(
            check.text.contains(runsc.to_str().unwrap()),
            "{}",
            check.text
        );
        assert!(check.text.ends_with("up to number 441"), "{}", check.text);
    }

    #[test]
    fn unknown_is_not_ok() {
        let denied = || Err(io::Error::from(io::ErrorKind::PermissionDenied));
        for check in [
            security_modules(denied()),
            apparmor(denied()),
            selinux(denied()),
        ] {
            assert_eq!(check.state, State::Unknown, "{}", check.name);
        }
        let absent = || Err(io::Error::from(io::ErrorKind::NotFound));
        for check in [apparmor(absent()), selinux(absent())] {
            assert_eq!(check.state, State::Missing, "{}", check.name);
        }
    }
}

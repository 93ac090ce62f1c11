//! Rules for files that a reviewer should look at twice: known places, each with a sentence.

use super::{files::FileRule, pattern::Pattern, permissions::Permissions, secrets};
use crate::recording::FilePath;

/// The reason against a glob that only lets more files be written than the workload wrote.
pub const WIDER_WRITE: &str = "more files than were observed can be written";

impl FileRule {
    /// Why a reviewer should look at it twice, the worst that is known; `None` when nothing is known
    /// against it.
    pub fn review_reason(&self, pattern: &Pattern) -> Option<&'static str> {
        let all = self.permissions | self.owner;
        let place = || {
            let mut places = PLACES.iter();
            let worst = places.find(|place| all.has_any(place.needs) && (place.has)(pattern))?;
            Some(worst.why)
        };
        if all.has_any(Permissions::EXECUTE) && pattern.matches(&FilePath::from("/")) {
            Some(
                "a program in memory is executed, and the rule is for whatever the workload puts there",
            )
        } else if all.has_any(Permissions::WRITE)
            && all.has_any(Permissions::MAP | Permissions::EXECUTE)
        {
            Some("it can be written and then executed")
        } else if pattern.is_glob() && all.has_any(Permissions::EXECUTE) {
            Some("every file there can be executed")
        } else if let Some(why) = place() {
            Some(why)
        } else if pattern.is_glob() && all.has_any(Permissions::WRITE) {
            Some(WIDER_WRITE)
        } else {
            None
        }
    }
}

/// A place, and what an access there means.
struct Place {
    /// Any of these is worth a look.
    needs: Permissions,
    /// Whether a rule is about it.
    has: fn(&Pattern) -> bool,
    why: &'static str,
}

/// The worst first.
const PLACES: &[Place] = &[
    Place {
        needs: Permissions::WRITE,
        has: is_runtime_socket,
        why: "access to a container runtime is root on the machine",
    },
    Place {
        needs: Permissions::READ.and(Permissions::WRITE),
        has: secrets::is_secret,
        why: "it is, or may contain, a password, key or token",
    },
    Place {
        needs: Permissions::WRITE,
        has: is_cron,
        why: "cron runs it, usually as root",
    },
    Place {
        needs: Permissions::WRITE,
        has: is_device,
        why: "a device's driver acts on what is written to it",
    },
    Place {
        needs: Permissions::WRITE,
        has: |pattern| pattern.text_at(0) == Some(b"root"),
        why: "root's next session runs or trusts it",
    },
    Place {
        needs: Permissions::WRITE,
        has: is_program,
        why: "system programs are there: a changed one runs for every user",
    },
    Place {
        needs: Permissions::WRITE,
        has: is_system,
        why: "it changes the system configuration",
    },
];

/// Sockets of container runtimes, where they are and whatever they are mounted as.
const SOCKETS: &[&str] = &[
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/var/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/run/cri-dockerd.sock",
    "/run/buildkit/buildkitd.sock",
];

fn is_runtime_socket(pattern: &Pattern) -> bool {
    SOCKETS.iter().any(|socket| {
        let name = socket.rsplit('/').next().unwrap_or_default().as_bytes();
        pattern.text_at(pattern.segments().len() - 1) == Some(name)
            || pattern.matches(&FilePath::from(*socket))
    })
}

fn is_cron(pattern: &Pattern) -> bool {
    let names = |at| pattern.text_at(at).unwrap_or_default();
    match names(0) {
        b"etc" => names(1).starts_with(b"cron") || names(1) == b"anacrontab",
        b"var" => names(1) == b"spool" && matches!(names(2), b"cron" | b"anacron" | b"at"),
        _ => false,
    }
}

/// A device that is not one of those that every container has and that only its user is at.
fn is_device(pattern: &Pattern) -> bool {
    const USUAL: &[&[u8]] = &[
        b"console", b"fd", b"full", b"mqueue", b"null", b"ptmx", b"pts", b"random", b"shm",
        b"stderr", b"stdin", b"stdout", b"tty", b"urandom", b"zero",
    ];
    pattern.text_at(0) == Some(b"dev")
        && !pattern.text_at(1).is_some_and(|name| USUAL.contains(&name))
}

fn is_program(pattern: &Pattern) -> bool {
    let names = |at| pattern.text_at(at).unwrap_or_default();
    let at = match (names(0), names(1)) {
        (b"usr", b"local") => 2,
        (b"usr", _) => 1,
        _ => 0,
    };
    let name = names(at);
    matches!(name, b"bin" | b"sbin" | b"libexec") || name.starts_with(b"lib")
}

/// Whether a pattern is below a directory that configures the system.
fn is_system(pattern: &Pattern) -> bool {
    match pattern.text_at(0) {
        Some(b"proc") => matches!(pattern.text_at(1), Some(b"sys" | b"sysrq-trigger")),
        Some(first) => matches!(first, b"etc" | b"usr" | b"boot" | b"sys"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::apparmor::{AppArmorProfile, Options, fixture};
    use crate::recording::{FileAccess, Phase};

    /// Why the only rule that an access makes deserves a second look.
    fn why(path: &str, access: FileAccess) -> Option<&'static str> {
        let mut recording = fixture::empty();
        let file = fixture::file(path.as_bytes(), access);
        recording.files = vec![fixture::seen(file, Phase::Run, "/proc/self/exe")];
        let profile = AppArmorProfile::from_recordings(&[recording], &Options::default()).unwrap();
        let (pattern, rule) = profile.files().next().unwrap();
        rule.review_reason(pattern)
    }

    #[test]
    fn sensitive_places_are_flagged() {
        use FileAccess::{Connect, Read, Write};
        for (path, access, expected) in [
            ("/run/docker.sock", Connect, Some("container runtime")),
            ("/host/containerd.sock", Connect, Some("container runtime")),
            ("/run/crio/crio.sock", Connect, Some("container runtime")),
            ("/x/podman.sock", Connect, Some("container runtime")),
            ("/run/app.sock", Connect, None),
            ("/etc/shadow", Read, Some("password")),
            ("/etc/passwd", Read, None),
            ("/home/a/.ssh/config", Read, Some("password")),
            ("/srv/tls/server.key", Read, Some("password")),
            ("/srv/tls/privkey.pem", Read, Some("password")),
            ("/etc/ssl/certs/ca-certificates.crt", Read, None),
            ("/etc/pki/tls/certs/ca-bundle.crt", Read, None),
            ("/run/secrets/token", Read, Some("password")),
            ("/dev/sda", Write, Some("driver")),
            ("/dev/sda", Read, None),
            ("/dev/null", Write, None),
            ("/dev/pts/0", Write, None),
            ("/dev/shm/x", Write, None),
            ("/root/.profile", Write, Some("root's next session")),
            ("/root/.profile", Read, None),
            ("/bin/sh", Write, Some("programs")),
            ("/usr/local/sbin/x", Write, Some("programs")),
            ("/lib64/x.so", Write, Some("programs")),
            ("/etc/cron.d/x", Write, Some("cron")),
            ("/var/spool/cron/crontabs/root", Write, Some("cron")),
            ("/etc/hosts", Write, Some("changes the system")),
            ("/usr/share/x", Write, Some("changes the system")),
            (
                "/proc/sys/kernel/core_pattern",
                Write,
                Some("changes the system"),
            ),
            ("/sys/power/state", Write, Some("changes the system")),
            ("/srv/data", Write, None),
        ] {
            let why = why(path, access);
            let has = expected.is_none_or(|word| why.is_some_and(|why| why.contains(word)));
            assert!(has && why.is_some() == expected.is_some(), "{path} {why:?}");
        }
    }

    #[test]
    fn glob_over_a_socket_is_flagged() {
        let rule = FileRule {
            permissions: Permissions::READ | Permissions::WRITE,
            ..FileRule::empty()
        };
        let pattern = Pattern::of_others_in(&"/run/".into());
        let why = rule.review_reason(&pattern).unwrap();
        assert!(why.contains("container runtime"), "{why}");
    }
}

//! The part of `REVIEW.md` about capabilities: who used each, in which call, and what it opens.

use super::{
    escape::code,
    phrases::capability_notes,
    rules::{executables, list, or_dash},
};
use syscalls::capability::Capability;
use tracer_core::profile::apparmor::{AppArmorProfile, CapabilityRule};

/// What is said before a capability that was only checked for.
const CHECKED: &str = "not allowed (checked for, but not required): ";

/// What is said before one that may have been required, and is close to root.
const PERHAPS: &str = "not allowed (perhaps only checked for; try without it, and allow it when the call fails with EPERM): ";

/// What is said before one that nothing checked for.
const BY_EXEC: &str = "needed to execute the file, which has it as a file capability with the effective bit (`setcap -r` removes it): ";

/// Rows of what was used, of what executing a file demands, then of what was only checked for and is not
/// allowed.
pub(super) fn capabilities(profile: &AppArmorProfile) -> Vec<[String; 3]> {
    let used = profile.capabilities().map(|it| row(it, ""));
    let by_exec = profile.exec_capabilities().map(|it| row(it, BY_EXEC));
    let checked = profile.probes().map(|it| {
        let is_certain = it.1.certain;
        row(it, if is_certain { CHECKED } else { PERHAPS })
    });
    used.chain(by_exec).chain(checked).collect()
}

fn row((capability, rule): (Capability, &CapabilityRule), how: &str) -> [String; 3] {
    let calls = rule.calls.iter().map(|call| {
        let name = call.abi.syscall_name(call.nr);
        name.map_or_else(|| format!("{} {}", call.abi, call.nr), code)
    });
    let calls = list(calls);
    let calls = if calls.is_empty() {
        calls
    } else {
        format!("; in {calls}")
    };
    let close = if capability.is_nearly_root() {
        "**close to root**: "
    } else {
        ""
    };
    let notes: String = capability_notes(rule)
        .map(|note| format!("; {note}"))
        .collect();
    [
        code(&capability.to_string()),
        format!(
            "{how}{close}{}{notes}{calls}",
            capability.grants().unwrap_or("effect unknown")
        ),
        or_dash(executables(&rule.executables)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscalls::Abi;
    use tracer_core::{
        profile::{
            apparmor::{Options, fixture},
            capabilities::Capabilities,
            seccomp::fixture as seccomp_fixture,
        },
        recording::{
            Arguments, CapabilityUse, Combination, Container, Phase, Recording, Security, Source,
            SyscallId,
        },
    };

    /// What a recording of one capability comes to: what the container is given, and the review's words.
    fn outcome(change: impl FnOnce(&mut Recording)) -> (Vec<&'static str>, String) {
        let mut recording = fixture::empty();
        let what = CapabilityUse {
            capability: Capability::from_number(21),
            audited: Some(true),
            own_namespace: false,
            by_exec: false,
        };
        recording.capabilities = vec![fixture::seen(what, Phase::Run, "/bin/x")];
        change(&mut recording);
        let profile = AppArmorProfile::from_recordings(&[recording], &Options::default()).unwrap();
        let needed = Capabilities::needed_by(&profile).unwrap();
        let rows = capabilities(&profile)
            .into_iter()
            .map(|row| row.join(" | "));
        (needed.names().collect(), rows.collect())
    }

    fn call(recording: &mut Recording, name: &str, flags: Option<u64>) {
        let nr = Abi::X86_64.syscall_number(name).unwrap();
        let call = (Abi::X86_64, nr, Phase::Run, seccomp_fixture::path("/bin/x"));
        recording.syscalls = seccomp_fixture::recording(std::slice::from_ref(&call)).syscalls;
        recording.syscalls[0].arguments = flags.map(|flags| Arguments {
            indices: vec![0],
            seen: vec![Combination {
                phase: Phase::Run,
                values: vec![flags],
                executables: [seccomp_fixture::path("/bin/x")].into(),
            }],
            cut: [].into(),
        });
        let abi = Abi::X86_64;
        recording.capabilities[0].evidence[0].call = Some(SyscallId { abi, nr });
    }

    #[test]
    fn unaudited_but_enforced_capability_is_required() {
        for (name, expected) in [
            ("seccomp", true),
            ("prctl", true),
            ("landlock_restrict_self", true),
            ("mmap", false),
        ] {
            let (needed, _) = outcome(|recording| {
                call(recording, name, None);
                recording.capabilities[0].what.audited = Some(false);
            });
            assert_eq!(!needed.is_empty(), expected, "{name}");
        }
    }

    #[test]
    fn possible_probes_are_marked() {
        let may_be = "try without it";
        for (name, flags, cut, is_uncertain) in [
            ("openat", None, false, true),
            ("clone", None, false, true),
            ("clone", Some(17), false, false),
            ("clone", Some(17), true, true),
            ("clone", Some(0x2002_0011), false, true),
            ("clone", Some(0x80), false, false),
            ("clone3", Some(0x80), false, true),
            ("clone3", Some(0x100), false, false),
        ] {
            let (needed, review) = outcome(|recording| {
                call(recording, name, flags);
                recording.capabilities[0].what.audited = None;
                if let Some(arguments) = recording.syscalls[0].arguments.as_mut().filter(|_| cut) {
                    arguments.cut.insert(Phase::Run);
                }
            });
            // Close to root: not given unless that is certain.
            assert!(needed.is_empty(), "{name} {flags:?} {cut}");
            assert_eq!(review.contains(may_be), is_uncertain, "{review}");
        }
        assert!(!outcome(|_| ()).1.contains(may_be));
    }

    #[test]
    fn unclear_user_namespace_is_reported() {
        let unclear = "the container's, or one that the workload created";
        let container = |user_namespace: Option<bool>| {
            Some(Container {
                engine: "podman".to_owned(),
                runtime: None,
                id: "c".to_owned(),
                name: None,
                pod: None,
                owner: None,
                role: None,
                labels: [].into(),
                image: None,
                image_digest: None,
                security: user_namespace.map(|user_namespace| Security {
                    user_namespace,
                    ..Security::default()
                }),
                warnings: Vec::new(),
                unresolved: Vec::new(),
            })
        };
        let place = "/machine.slice/libpod-c.scope";
        let user = "/user.slice/user-1000.slice/user@1000.service/c.scope";
        for (source, container, cgroup, is_needed, is_unclear) in [
            (Source::Command, None, place, false, false),
            (Source::Cgroup, None, place, true, true),
            (Source::Container, container(None), place, true, true),
            (Source::Container, container(Some(true)), place, true, false),
            (
                Source::Container,
                container(Some(false)),
                place,
                false,
                false,
            ),
            (Source::Container, container(Some(false)), user, true, true),
        ] {
            let what = format!("{source:?} {container:?} {cgroup}");
            let (needed, review) = outcome(|recording| {
                recording.capabilities[0].what.own_namespace = true;
                recording.instances[0].source = source;
                recording.instances[0].container = container;
                recording.instances[0].cgroup = cgroup.to_owned();
            });
            assert_eq!(!needed.is_empty(), is_needed, "{what}");
            assert_eq!(review.contains(unclear), is_unclear, "{what}");
        }
    }
}

//! A drop-in for a service of systemd's (systemd.exec(5)).
//!
//! systemd loads its filter just before it executes the program, and itself allows what that takes, so a
//! profile for it has no window.
//!
//! The lists of a unit and of its drop-ins add up, and a list that begins as a deny-list stays one. So
//! each list is reset by an empty assignment before it is set (systemd.exec(5);
//! src/core/load-fragment.c, `config_parse_syscall_filter` and its neighbours).

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    Omission, Rendering, ServiceOmission,
    capabilities::Capabilities,
    hardening::{Hardening, Setting},
    seccomp::{ExecPolicy, SeccompProfile},
};
use crate::recording::{ObservationKind, Recording, plain_text::plain};
use syscalls::{Abi, condition::Conditions, errno};

/// The settings of a service.
#[derive(Clone, Debug)]
pub struct Service<'a> {
    /// The workload.
    pub workload: &'a str,
    /// The calls, made without a window.
    pub seccomp: &'a SeccompProfile,
    /// The families of its sockets by number, if sockets were observed.
    pub families: Option<&'a BTreeSet<u16>>,
    /// The capabilities that it needs, if they were observed.
    pub capabilities: Option<&'a Capabilities>,
    /// What else it may have.
    pub hardening: &'a Hardening,
}

/// The families of a workload's sockets, by number; `None` when sockets were not observed.
///
/// ```
/// use tracer_core::profile::{seccomp::ExecPolicy, systemd::families};
/// # let recording = tracer_core::profile::apparmor::fixture::web();
///
/// // AF_INET, and a family that has no name.
/// let families = families(&recording, ExecPolicy::default()).unwrap();
/// assert_eq!(families.into_iter().collect::<Vec<_>>(), [2, 99]);
/// ```
pub fn families(recording: &Recording, exec: ExecPolicy) -> Option<BTreeSet<u16>> {
    let observed = recording
        .providers
        .iter()
        .any(|it| it.kind == ObservationKind::Sockets);
    let used = recording
        .sockets
        .iter()
        .filter(|seen| seen.evidence.iter().any(|who| exec.counts(who.phase)));
    observed.then(|| used.map(|seen| seen.what.family).collect())
}

/// How long a line of names becomes.
const WIDTH: usize = 90;

impl Service<'_> {
    /// The drop-in.
    pub fn drop_in(&self) -> Rendering {
        let omissions = self.omissions();
        let mut text = format!(
            "# Made by tracer for {}. As /etc/systemd/system/NAME.service.d/tracer.conf, then\n# systemctl daemon-reload and systemctl restart NAME.\n",
            plain(self.workload)
        );
        if !omissions.is_empty() {
            text += "# This format cannot express:\n";
        }
        // Writing to a string does not fail.
        for omission in &omissions {
            let _ = writeln!(text, "# - {}", plain(&omission.to_string()));
        }
        text += "[Service]\n";
        if self.seccomp.complain() {
            text += &self.log_lines();
            return Rendering { text, omissions };
        }
        let architectures: Vec<_> = self.seccomp.architectures().map(architecture).collect();
        let _ = writeln!(
            text,
            "SystemCallArchitectures=\nSystemCallArchitectures={}",
            architectures.join(" ")
        );
        // After the reset, the first assignment makes it a list of what is allowed.
        text += "SystemCallFilter=\n";
        for line in lines(self.names()) {
            let _ = writeln!(text, "SystemCallFilter={line}");
        }
        let error = if self.seccomp.default_errno() == errno::EPERM {
            "EPERM"
        } else {
            "ENOSYS"
        };
        let _ = writeln!(text, "SystemCallErrorNumber={error}");
        match self.capabilities {
            Some(needed) => text += &needed.bounding_set(),
            None => text += "# No CapabilityBoundingSet: capabilities were not observed.\n",
        }
        text += &self.family_lines();
        let Setting { holds, reason } = &self.hardening.no_new_privileges;
        let reason = plain(reason);
        if *holds {
            let _ = writeln!(text, "# Because {reason}.\nNoNewPrivileges=yes");
        } else {
            let _ = writeln!(text, "# No NoNewPrivileges: {reason}.");
        }
        Rendering { text, omissions }
    }

    /// A service that logs all calls but those that the profile allows (systemd 247), and is denied none: what
    /// else would restrict it is left out.
    fn log_lines(&self) -> String {
        let mut text = "SystemCallArchitectures=\nSystemCallFilter=\nSystemCallLog=\n".to_owned();
        for line in lines(self.names()) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "SystemCallLog=~{line}");
        }
        text + "# Only logged (--complain): capabilities, socket families and new privileges are not restricted.\n"
    }

    /// The calls that it allows; see [`SeccompProfile::is_allowed_without_conditions`].
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let rules = self.seccomp.rules().map(|(name, _)| name);
        rules.filter(|name| self.seccomp.is_allowed_without_conditions(name))
    }

    fn family_lines(&self) -> String {
        let list = match self.allowed_families().as_ref().map(names) {
            Some(Ok(names)) if names.is_empty() => "none".to_owned(),
            Some(Ok(names)) => names.join(" "),
            Some(Err(number)) => {
                return format!("# No RestrictAddressFamilies: the family {number} has no name.\n");
            }
            None => {
                return "# No RestrictAddressFamilies: sockets were not observed.\n".to_owned();
            }
        };
        format!("RestrictAddressFamilies=\nRestrictAddressFamilies={list}\n")
    }

    /// The observed families, and those that the seccomp profile allows beside them: local sockets, and
    /// IPv4 where IPv6 was seen or the other way round. A setting that is narrower than the profile would
    /// deny what the profile was made to allow.
    fn allowed_families(&self) -> Option<BTreeSet<u16>> {
        const UNIX: u16 = 1;
        const INET: [u16; 2] = [2, 10];
        let mut families = self.families?.clone();
        let Some(rule) = self.seccomp.rule("socket") else {
            return Some(families);
        };
        if let Some(only) = rule.only() {
            let family = only.keys().flat_map(Conditions::iter);
            let family = family.filter(|condition| condition.index == 0);
            families.extend(family.filter_map(|condition| u16::try_from(condition.value).ok()));
        } else {
            families.insert(UNIX);
            if INET.iter().any(|family| families.contains(family)) {
                families.extend(INET);
            }
        }
        Some(families)
    }

    fn omissions(&self) -> Vec<Omission> {
        let mut omissions = Vec::new();
        let conditional = self.seccomp.rules();
        let conditional = conditional.filter(|(_, rule)| rule.only().is_some());
        let (conditional, left_out): (Vec<_>, Vec<_>) = conditional
            .map(|(name, _)| name.to_owned())
            .partition(|name| self.seccomp.is_allowed_without_conditions(name));
        if !conditional.is_empty() {
            omissions.push(ServiceOmission::Arguments { calls: conditional });
        }
        if !left_out.is_empty() {
            omissions.push(ServiceOmission::Headroom { calls: left_out });
        }
        if self.seccomp.default_errno() != errno::EPERM && !self.seccomp.complain() {
            omissions.push(ServiceOmission::ErrorForEachCall);
        }
        if self.families.is_some_and(|it| names(it).is_err()) {
            omissions.push(ServiceOmission::UnnamedSocketFamily);
        }
        if !self.hardening.complete {
            omissions.push(ServiceOmission::Incomplete);
        }
        omissions.into_iter().map(Omission::from).collect()
    }
}

/// Names in lines of a readable length.
fn lines<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + name.len() < WIDTH => {
                line.push(' ');
                line.push_str(name);
            }
            _ => lines.push(name.to_owned()),
        }
    }
    lines
}

/// systemd's name of an ABI (src/shared/seccomp-util.c, `seccomp_arch_from_string`).
const fn architecture(abi: Abi) -> &'static str {
    match abi {
        Abi::X86_64 => "x86-64",
        Abi::I386 => "x86",
        Abi::X32 => "x32",
        Abi::Aarch64 => "arm64",
        Abi::Arm => "arm",
        Abi::Riscv64 => "riscv64",
    }
}

/// The names of families, or a number that has none.
fn names(families: &BTreeSet<u16>) -> Result<Vec<String>, u16> {
    // In no profile of AppArmor's, so not in its table; include/linux/socket.h.
    const XDP: u16 = 44;
    families
        .iter()
        .map(
            |number| match (*number, super::apparmor::family_name(*number)) {
                (XDP, _) => Ok("AF_XDP".to_owned()),
                (_, Some(name)) => Ok(format!("AF_{}", name.to_ascii_uppercase())),
                (number, None) => Err(number),
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        profile::{
            apparmor::fixture::{self as files, seen},
            seccomp::{Options, fixture},
        },
        recording::{Arguments, Combination, Phase, SocketOperation, SocketUse},
    };

    const SOCKET: u32 = 41;

    /// The line that restricts families, for a program that made a stream socket of each of these.
    fn restriction(made: &[u16]) -> String {
        let path = fixture::path("/bin/web");
        let calls: &[_] = &[
            (Abi::X86_64, 0, Phase::Run, path.clone()),
            (Abi::X86_64, SOCKET, Phase::Run, path.clone()),
        ];
        let made_any = usize::from(!made.is_empty());
        let mut recording = fixture::recording(&calls[..=made_any]);
        let combination = |family: &u16| Combination {
            phase: Phase::Run,
            values: vec![u64::from(*family), 1, 0],
            executables: [path.clone()].into(),
        };
        if let Some(socket) = recording.syscalls.iter_mut().find(|it| it.nr == SOCKET) {
            socket.arguments = Some(Arguments {
                indices: vec![0, 1, 2],
                seen: made.iter().map(combination).collect(),
                cut: [].into(),
            });
        }
        recording.providers = files::empty().providers;
        recording.sockets = made
            .iter()
            .map(|family| {
                let socket = SocketUse {
                    family: *family,
                    kind: 1,
                    protocol: 0,
                    operation: SocketOperation::Create,
                    address: None,
                    more: false,
                };
                seen(socket, Phase::Run, "/bin/web")
            })
            .collect();
        let all = std::slice::from_ref(&recording);
        let seccomp = SeccompProfile::from_recordings(all, &Options::default()).unwrap();
        let families = families(&recording, ExecPolicy::default());
        let service = Service {
            workload: "web",
            seccomp: &seccomp,
            families: families.as_ref(),
            capabilities: None,
            hardening: &Hardening::from_recording(&recording, ExecPolicy::default(), None),
        };
        service.family_lines()
    }

    #[test]
    fn families_are_those_of_the_seccomp_profile() {
        let lines = |list| format!("RestrictAddressFamilies=\nRestrictAddressFamilies={list}\n");
        assert_eq!(restriction(&[]), lines("none"));
        assert_eq!(restriction(&[2]), lines("AF_UNIX AF_INET AF_INET6"));
        assert_eq!(restriction(&[17]), lines("AF_UNIX AF_PACKET"));
    }
}

//! A drop-in for a service of systemd's (systemd.exec(5)).
//!
//! systemd loads its filter just before it executes the program, and itself allows what that takes, so a
//! profile for it has no window.

use std::{collections::BTreeSet, fmt::Write as _};

use super::{
    Omission, Rendering,
    capabilities::Capabilities,
    hardening::{Hardening, Setting},
    seccomp::{ExecPolicy, SeccompProfile},
};
use crate::recording::{ObservationKind, Recording, plain_text::plain};
use syscalls::{Abi, errno};

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
            text += "# What this form cannot say:\n";
        }
        // Writing to a string does not fail.
        for Omission { what, instead } in &omissions {
            let _ = writeln!(text, "# - {}: {}", plain(what), plain(instead));
        }
        text += "[Service]\n";
        let architectures: Vec<_> = self.seccomp.architectures().map(architecture).collect();
        let _ = writeln!(text, "SystemCallArchitectures={}", architectures.join(" "));
        // The first assignment makes it a list of what is allowed.
        for line in lines(self.seccomp.rules().map(|(name, _)| name)) {
            let _ = writeln!(text, "SystemCallFilter={line}");
        }
        let error = if self.seccomp.default_errno() == errno::EPERM {
            "EPERM"
        } else {
            "ENOSYS"
        };
        let _ = writeln!(text, "SystemCallErrorNumber={error}");
        match self.capabilities {
            Some(needed) => {
                let names: Vec<_> = needed.names().map(|name| format!("CAP_{name}")).collect();
                let _ = writeln!(text, "CapabilityBoundingSet={}", names.join(" "));
            }
            None => text += "# No CapabilityBoundingSet: capabilities were not observed.\n",
        }
        match self.families.map(names) {
            Some(Ok(names)) if names.is_empty() => text += "RestrictAddressFamilies=none\n",
            Some(Ok(names)) => {
                let _ = writeln!(text, "RestrictAddressFamilies={}", names.join(" "));
            }
            Some(Err(number)) => {
                let _ = writeln!(
                    text,
                    "# No RestrictAddressFamilies: the family {number} has no name."
                );
            }
            None => text += "# No RestrictAddressFamilies: sockets were not observed.\n",
        }
        let Setting { holds, reason } = &self.hardening.no_new_privileges;
        let reason = plain(reason);
        if *holds {
            let _ = writeln!(text, "# Because {reason}.\nNoNewPrivileges=yes");
        } else {
            let _ = writeln!(text, "# No NoNewPrivileges: {reason}.");
        }
        Rendering { text, omissions }
    }

    fn omissions(&self) -> Vec<Omission> {
        let mut omissions = Vec::new();
        let conditional: Vec<_> = self
            .seccomp
            .rules()
            .filter(|(_, rule)| rule.only().is_some())
            .map(|(name, _)| name)
            .collect();
        if !conditional.is_empty() {
            omissions.push(Omission::new(
                format!("the arguments of {}", conditional.join(", ")),
                "these calls are allowed with any",
            ));
        }
        if self.seccomp.default_errno() != errno::EPERM {
            omissions.push(Omission::new(
                "an error for each call",
                "old calls return ENOSYS too, where seccomp.json has EPERM",
            ));
        }
        if self.families.is_some_and(|it| names(it).is_err()) {
            omissions.push(Omission::new(
                "a family of sockets without a name",
                "families are not restricted",
            ));
        }
        if !self.hardening.complete {
            omissions.push(Omission::new(
                "that the recording is not complete",
                "what it did not see may need more; REVIEW.md has the reasons",
            ));
        }
        omissions
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

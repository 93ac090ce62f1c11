//! A profile as a container runtime has libseccomp compile it, and what the filter then says.
//!
//! Written from runc's libcontainer/seccomp/seccomp_linux.go and crun's src/libcrun/seccomp.c,
//! without a look at how the evaluator does it: numbers and names are libseccomp's own here.

use anyhow::{Result, bail, ensure};
use syscalls::Abi;
use tracer_core::{
    profile::seccomp::{
        evaluate::{OciRuntime, Verdict},
        oci::{Action, Entry, OciSeccomp, Operator},
    },
    recording::SyscallId,
};
use tracer_tests::{
    filter::Filter,
    libseccomp::{Comparison, Libseccomp},
    pfc::Pseudo,
};

/// What a filter says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    /// As it runs in the kernel.
    pub(crate) compiled: u32,
    /// As libseccomp itself describes it. Another value shows that libseccomp compiled it wrongly.
    pub(crate) meant: u32,
}

/// A profile in force.
pub(crate) struct Enforced {
    filter: Filter,
    pseudo: Pseudo,
    /// `AUDIT_ARCH_*`, whether x32, and the largest number, where runc's stub has one.
    last: Vec<(u32, bool, u32)>,
}

impl Enforced {
    /// Compiles it.
    ///
    /// # Errors
    /// What the runtime or the library refuses.
    pub(crate) fn new(
        library: &Libseccomp,
        profile: &OciSeccomp,
        runtime: OciRuntime,
    ) -> Result<Self> {
        let default = action(profile.default_action, profile.default_errno_ret, runtime)?;
        let filter = library.filter(default)?;
        for name in &profile.architectures {
            filter.add_architecture(&architecture(name))?;
        }
        for (entry, name) in calls(profile) {
            let action = action(entry.action, entry.errno_ret, runtime)?;
            if runtime == OciRuntime::Runc {
                ensure!(!name.is_empty(), "an empty name");
                ensure!(
                    !(name == "write" && entry.action == Action::Notify),
                    "notify for write"
                );
            }
            if action == default {
                continue;
            }
            let comparisons = comparisons(entry, runtime);
            let mut indices: Vec<_> = comparisons.iter().map(|one| one.argument).collect();
            indices.sort_unstable();
            indices.dedup();
            if indices.len() < comparisons.len() {
                for one in &comparisons {
                    filter.add_rule(action, name, &[*one])?;
                }
            } else {
                filter.add_rule(action, name, &comparisons)?;
            }
        }
        ensure!(
            runtime == OciRuntime::Crun || profile.default_action != Action::Notify,
            "notify by default"
        );
        // Before the search by a tree, which would be in the text, too.
        let pseudo = filter.pseudo()?;
        if runtime == OciRuntime::Runc && calls(profile).count() > 32 {
            filter.optimize()?;
        }
        Ok(Self {
            filter: filter.compile()?,
            pseudo,
            last: stub(library, profile, runtime),
        })
    }

    /// The bytes of the filter, for a process to load.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.filter.to_bytes()
    }

    /// What the filter returns.
    ///
    /// # Errors
    /// When it is no filter.
    pub(crate) fn returns(&self, call: SyscallId, args: [u64; 6]) -> Result<Returned> {
        let arch = audit_arch(call.abi);
        let is_x32 = arch == audit_arch(Abi::X32) && call.nr & (1 << 30) != 0;
        let stub = self
            .last
            .iter()
            .find(|(of, x32, _)| (*of, *x32) == (arch, is_x32));
        if stub.is_some_and(|(_, _, last)| call.nr > *last) {
            let enosys = raw(Verdict::Errno(38));
            return Ok(Returned {
                compiled: enosys,
                meant: enosys,
            });
        }
        let abi = match call.abi {
            Abi::X86_64 | Abi::X32 if is_x32 && call.nr != u32::MAX => Abi::X32,
            Abi::X32 => Abi::X86_64,
            abi => abi,
        };
        let meant = self
            .pseudo
            .run(&architecture(abi.scmp_arch()), call.nr, args)?;
        Ok(Returned {
            compiled: self.filter.run(arch, call.nr, args)?.action,
            meant: meant.unwrap_or(raw(Verdict::KillThread)),
        })
    }
}

fn calls(profile: &OciSeccomp) -> impl Iterator<Item = (&Entry, &str)> {
    profile
        .syscalls
        .iter()
        .flat_map(|entry| entry.names.iter().map(move |name| (entry, name.as_str())))
}

/// libseccomp's name of an architecture.
fn architecture(name: &str) -> String {
    name.trim_start_matches("SCMP_ARCH_").to_lowercase()
}

/// `SCMP_ACT_*` of include/seccomp.h.in, which are the kernel's SECCOMP_RET_*.
fn action(action: Action, number: Option<u32>, runtime: OciRuntime) -> Result<u32> {
    let takes_number = matches!(action, Action::Errno | Action::Trace);
    if runtime == OciRuntime::Crun && number.is_some() && !takes_number {
        bail!("errno value specified for {action:?}");
    }
    let number = number.unwrap_or(1) & 0xffff;
    Ok(match action {
        Action::Kill | Action::KillThread => 0,
        Action::KillProcess => 0x8000_0000,
        Action::Trap => 0x0003_0000,
        Action::Errno => 0x0005_0000 | number,
        Action::Notify => 0x7fc0_0000,
        Action::Trace => 0x7ff0_0000 | number,
        Action::Log => 0x7ffc_0000,
        Action::Allow => 0x7fff_0000,
    })
}

/// What a filter returns for a verdict: include/uapi/linux/seccomp.h.
pub(crate) fn raw(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::KillThread => 0,
        Verdict::KillProcess => 0x8000_0000,
        Verdict::Trap => 0x0003_0000,
        Verdict::Errno(number) => 0x0005_0000 | u32::from(number),
        Verdict::Notify => 0x7fc0_0000,
        Verdict::Trace(number) => 0x7ff0_0000 | u32::from(number),
        Verdict::Log => 0x7ffc_0000,
        Verdict::Allow => 0x7fff_0000,
    }
}

fn comparisons(entry: &Entry, runtime: OciRuntime) -> Vec<Comparison> {
    let heeded = if runtime == OciRuntime::Crun {
        6
    } else {
        usize::MAX
    };
    entry
        .args
        .iter()
        .take(heeded)
        .map(|condition| Comparison {
            argument: condition.index,
            // enum scmp_compare.
            operator: match condition.op {
                Operator::Ne => 1,
                Operator::Lt => 2,
                Operator::Le => 3,
                Operator::Eq => 4,
                Operator::Ge => 5,
                Operator::Gt => 6,
                Operator::MaskedEq => 7,
            },
            datum_a: condition.value,
            datum_b: condition.value_two,
        })
        .collect()
}

/// The largest numbers, as runc's patchbpf finds them.
fn stub(library: &Libseccomp, profile: &OciSeccomp, runtime: OciRuntime) -> Vec<(u32, bool, u32)> {
    let permissive = matches!(
        profile.default_action,
        Action::Allow | Action::Log | Action::Trace
    );
    if runtime == OciRuntime::Crun || permissive {
        return Vec::new();
    }
    Abi::ALL
        .into_iter()
        .filter(|abi| {
            profile
                .architectures
                .iter()
                .any(|name| name == abi.scmp_arch())
        })
        .filter_map(|abi| {
            let largest = calls(profile)
                .filter_map(|(_, name)| library.number(name, &architecture(abi.scmp_arch())))
                .max()?;
            (largest > 0).then_some((audit_arch(abi), abi == Abi::X32, largest))
        })
        .collect()
}

/// include/uapi/linux/audit.h.
pub(crate) fn audit_arch(abi: Abi) -> u32 {
    match abi {
        Abi::X86_64 | Abi::X32 => 0xc000_003e,
        Abi::I386 => 0x4000_0003,
        Abi::Aarch64 => 0xc000_00b7,
        Abi::Arm => 0x4000_0028,
        Abi::Riscv64 => 0xc000_00f3,
    }
}

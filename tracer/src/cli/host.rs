//! What is typed of a host: its architecture, and the capabilities of the container.

use std::{collections::BTreeSet, str::FromStr};

use syscalls::{
    Abi,
    capability::{Capability, UnknownCapability},
};

/// A machine by any name of its native ABI.
pub(super) fn arch(name: &str) -> Result<Abi, String> {
    match name.parse() {
        // No machine has x32 for its own.
        Ok(abi) if abi != Abi::X32 => Ok(abi),
        _ => Err(
            "known architectures: x86_64 (amd64), i386, aarch64 (arm64), arm (armhf) and riscv64"
                .to_owned(),
        ),
    }
}

/// An entry of a list of capabilities: one, all of them, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CapabilityEntry(Vec<Capability>);

impl FromStr for CapabilityEntry {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(Vec::new()));
        }
        Capability::listed(text).map(Self)
    }
}

impl CapabilityEntry {
    /// Those that it stands for.
    pub(super) fn iter(&self) -> impl Iterator<Item = Capability> {
        self.0.iter().copied()
    }
}

/// The names of all that is listed, `CAP_…`.
pub(super) fn capabilities(list: &[CapabilityEntry]) -> BTreeSet<String> {
    let all = list.iter().flat_map(|CapabilityEntry(some)| some);
    all.map(Capability::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arch_accepts_only_native_abis() {
        for (name, abi) in [
            ("aarch64", Abi::Aarch64),
            ("arm64", Abi::Aarch64),
            ("amd64", Abi::X86_64),
            ("SCMP_ARCH_X86", Abi::I386),
        ] {
            assert_eq!(arch(name), Ok(abi), "{name}");
        }
        for wrong in ["x32", "SCMP_ARCH_X32", "s390x", ""] {
            assert!(
                arch(wrong)
                    .unwrap_err()
                    .contains("known architectures: x86_64")
            );
        }
    }

    #[test]
    fn capabilities_are_listed_by_any_name() {
        let of = |list: &[&str]| {
            let list: Result<Vec<CapabilityEntry>, _> = list.iter().map(|it| it.parse()).collect();
            list.map(|list| capabilities(&list))
        };
        let names = |list: &[&str]| Ok(list.iter().map(|&it| it.to_owned()).collect());
        assert_eq!(of(&["none"]), names(&[]));
        assert_eq!(
            of(&["kill", "CAP_KILL", "net_raw"]),
            names(&["CAP_KILL", "CAP_NET_RAW"])
        );
        assert_eq!(
            of(&["none", "ALL"]).unwrap().len(),
            Capability::all().count()
        );
        assert!(of(&["CAP_ANYTHING"]).is_err());
    }
}

//! The capabilities that a workload needs, for what starts it: one renderer a file.

mod engine;
mod kubernetes;
mod systemd;

use std::collections::BTreeSet;

use super::apparmor::{AppArmorProfile, ContainerNeed};
use crate::recording::ObservationKind;
use syscalls::capability::Capability;

/// The capabilities to start a workload with; everything else is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    needed: BTreeSet<Capability>,
}

impl Capabilities {
    /// Those that the kernel granted in the user namespace of the container, or of the host, or where it
    /// is not known in which, and those that an executed file demands; `None` when nothing looked for them. What
    /// was only probed for is not among them, nor what was used in a user namespace that the workload made:
    /// whoever makes one has them all in it.
    ///
    /// ```
    /// use tracer_core::profile::{apparmor::{AppArmorProfile, Options}, capabilities::Capabilities};
    /// # let recording = tracer_core::profile::apparmor::fixture::web();
    ///
    /// let profile = AppArmorProfile::from_recordings(&[recording], &Options::default()).unwrap();
    /// let needed = Capabilities::needed_by(&profile).unwrap();
    /// // CAP_SYS_ADMIN was only probed for.
    /// assert_eq!(needed.names().collect::<Vec<_>>(), ["NET_BIND_SERVICE"]);
    /// ```
    pub fn needed_by(profile: &AppArmorProfile) -> Option<Self> {
        if profile
            .unseen()
            .any(|unseen| unseen == ObservationKind::Capabilities)
        {
            return None;
        }
        let needed = profile
            .capabilities()
            .chain(profile.exec_capabilities())
            .filter(|(_, rule)| rule.container_need != ContainerNeed::OwnNamespace);
        Some(Self {
            needed: needed.map(|(capability, _)| capability).collect(),
        })
    }

    /// Which, by number.
    pub fn iter(&self) -> impl Iterator<Item = Capability> {
        self.needed.iter().copied()
    }

    /// Their names without `CAP_`, by number.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.iter().filter_map(Capability::name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        profile::apparmor::{Options, fixture},
        recording::{CapabilityUse, Phase},
    };

    fn capabilities(used: &[(u8, Option<bool>, bool, Phase)]) -> Option<Capabilities> {
        let mut recording = fixture::empty();
        let all = used.iter().map(|(number, audited, own_namespace, phase)| {
            let what = CapabilityUse {
                capability: Capability::from_number(*number),
                audited: *audited,
                own_namespace: *own_namespace,
                by_exec: false,
            };
            fixture::seen(what, *phase, "/bin/x")
        });
        recording.capabilities = all.collect();
        let profile = AppArmorProfile::from_recordings(&[recording], &Options::default());
        Capabilities::needed_by(&profile?)
    }

    #[test]
    fn renders_every_format() {
        let two = capabilities(&[
            (10, Some(true), false, Phase::Run),
            (7, Some(true), false, Phase::Run),
            (21, Some(false), false, Phase::Run),
            (12, Some(true), true, Phase::Run),
            (23, Some(true), false, Phase::Setup),
        ])
        .unwrap();
        assert_eq!(
            two.to_kubernetes(),
            "securityContext:\n  capabilities:\n    drop:\n      - ALL\n    add:\n      - SETUID\n      - NET_BIND_SERVICE\n"
        );
        assert_eq!(
            two.to_engine_flags(),
            "--cap-drop=ALL --cap-add=SETUID --cap-add=NET_BIND_SERVICE\n"
        );
        assert_eq!(
            two.to_systemd(),
            "[Service]\nCapabilityBoundingSet=\nCapabilityBoundingSet=CAP_SETUID CAP_NET_BIND_SERVICE\n"
        );
    }

    #[test]
    fn executed_file_demands_what_it_is_permitted() {
        let mut recording = fixture::empty();
        let what = CapabilityUse {
            capability: Capability::from_number(10),
            audited: Some(true),
            own_namespace: false,
            by_exec: true,
        };
        recording.capabilities = vec![fixture::seen(what, Phase::Run, "/bin/x")];
        let profile = AppArmorProfile::from_recordings(&[recording], &Options::default()).unwrap();
        let needed = Capabilities::needed_by(&profile).unwrap();
        assert_eq!(needed.names().collect::<Vec<_>>(), ["NET_BIND_SERVICE"]);
        // AppArmor is not asked when a file is executed.
        assert_eq!(profile.capabilities().count(), 0);
    }

    #[test]
    fn uncertain_use_of_what_is_close_to_root_is_left_out() {
        let used = |number| capabilities(&[(number, None, false, Phase::Run)]).unwrap();
        assert_eq!(used(21).iter().count(), 0);
        assert_eq!(used(10).iter().count(), 1);
    }

    #[test]
    fn renders_an_empty_set() {
        let none = capabilities(&[]).unwrap();
        assert_eq!(
            none.to_kubernetes(),
            "securityContext:\n  capabilities:\n    drop:\n      - ALL\n"
        );
        assert_eq!(none.to_engine_flags(), "--cap-drop=ALL\n");
        assert_eq!(none.to_systemd(), "[Service]\nCapabilityBoundingSet=\n");
    }
}

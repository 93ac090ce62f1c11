//! SELinux while a recording is made: what is known of the domain, and the cache that is emptied so that each
//! recording and each phase begins with all still to be reported.

use crate::bpf::{Mechanisms, selinux};
use tracer_core::recording::{Accesses, Reason};

/// What is known of SELinux in a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SelinuxWatch {
    /// Whether it is recorded.
    is_on: bool,
    /// Whether the cache of decisions could not be emptied once.
    cache_kept: bool,
    /// The domain that was asked for, and what the policy says of it.
    domain: Option<(String, Option<selinux::Domain>)>,
}

impl SelinuxWatch {
    /// At the beginning of a session.
    pub(super) fn start(domain: Option<&str>, mechanisms: &Mechanisms) -> Self {
        let is_on = mechanisms.selinux.is_some();
        let ask = |name: &str| {
            let context = selinux::context_of_type(name)?;
            selinux::domain(&context).ok()
        };
        let mut watch = Self {
            is_on,
            cache_kept: false,
            domain: domain.map(|name| (name.to_owned(), ask(name).filter(|_| is_on))),
        };
        watch.begin_phase();
        watch
    }

    /// The context of the domain, when the policy has it.
    pub(super) fn context(&self) -> Option<String> {
        let (name, found) = self.domain.as_ref()?;
        found.as_ref()?;
        selinux::context_of_type(name)
    }

    /// A container was made, or a workload started: what was reported of others is to be reported again.
    pub(super) fn begin_phase(&mut self) {
        if !self.is_on {
            return;
        }
        if let Err(error) = selinux::empty_decision_cache() {
            log::warn!("SELinux' cache of decisions could not be emptied: {error}");
            self.cache_kept = true;
        }
    }

    /// What is known against the completeness of a workload that did this.
    pub(super) fn reasons(&self, accesses: &Accesses) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.cache_kept {
            reasons.push(Reason::SelinuxCacheKept {});
        }
        for what in accesses.selinux.things().filter(|what| what.refused) {
            reasons.push(Reason::SelinuxRefused {
                domain: what.domain.clone(),
            });
        }
        let Some((name, found)) = &self.domain else {
            return reasons;
        };
        let domain = name.clone();
        match found {
            None => reasons.push(Reason::SelinuxDomainNotLoaded { domain }),
            Some(found) => {
                if !found.permissive {
                    reasons.push(Reason::SelinuxNotPermissive {
                        domain: domain.clone(),
                    });
                }
                if found.dontaudit > 0 {
                    reasons.push(Reason::SelinuxDontaudit { domain });
                }
            }
        }
        // What starts the workload asks for the domain; that is not the workload in another one.
        let others = accesses.selinux.in_program();
        for other in others.filter(|what| what.domain != *name && what.target_type() != name) {
            reasons.push(Reason::OtherSelinuxDomain {
                domain: other.domain.clone(),
            });
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::recording::{AccessRecord, Executable, Phase, SelinuxUse};

    fn asked(source: &str, target: &str, refused: bool, phase: Phase) -> AccessRecord<SelinuxUse> {
        let what = SelinuxUse::from_contexts(
            &format!("u:r:{source}:s0"),
            &format!("u:r:{target}:s0"),
            "process",
            "signal",
        );
        AccessRecord {
            what: SelinuxUse {
                refused,
                ..what.unwrap()
            },
            instance: 0,
            who: (phase, Executable::Unknown, None),
            first: None,
        }
    }

    fn watch(found: Option<selinux::Domain>) -> SelinuxWatch {
        SelinuxWatch {
            is_on: true,
            cache_kept: false,
            domain: Some(("web_t".to_owned(), found)),
        }
    }

    #[test]
    fn permissive_domain_without_dontaudit_gives_no_reason() {
        let found = selinux::Domain {
            permissive: true,
            dontaudit: 0,
        };
        let mut accesses = Accesses::default();
        accesses
            .selinux
            .add(asked("web_t", "etc_t", false, Phase::Run));
        accesses
            .selinux
            .add(asked("runtime_t", "web_t", false, Phase::Run));
        accesses
            .selinux
            .add(asked("runtime_t", "etc_t", false, Phase::Setup));
        assert_eq!(watch(Some(found)).reasons(&accesses), []);
        assert_eq!(SelinuxWatch::default().reasons(&accesses), []);
    }

    #[test]
    fn what_hides_accesses_is_a_reason() {
        let domain = || "web_t".to_owned();
        let found = selinux::Domain {
            permissive: false,
            dontaudit: 3,
        };
        let mut accesses = Accesses::default();
        accesses
            .selinux
            .add(asked("web_t", "etc_t", true, Phase::Run));
        accesses
            .selinux
            .add(asked("spc_t", "etc_t", false, Phase::Run));
        let reasons = watch(Some(found)).reasons(&accesses);
        let expected = [
            Reason::SelinuxRefused { domain: domain() },
            Reason::SelinuxNotPermissive { domain: domain() },
            Reason::SelinuxDontaudit { domain: domain() },
            Reason::OtherSelinuxDomain {
                domain: "spc_t".to_owned(),
            },
        ];
        assert_eq!(reasons, expected);
        let missing = watch(None).reasons(&Accesses::default());
        assert_eq!(
            missing,
            [Reason::SelinuxDomainNotLoaded { domain: domain() }]
        );
    }
}

//! What holds for every recording.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    ErrnoPolicy, ExecPolicy, FallbackPolicy, HeadroomPolicy, Options, Rule, SeccompProfile,
    fixture::{Seen, path, recording},
    oci::{Action, OciSeccomp},
};
use crate::{
    profile::Layer,
    recording::{Arguments, Combination, Executable, Phase, Recording},
};
use syscalls::{
    Abi,
    arguments::{Mode, RECORDED_ARGUMENTS, recorded},
    errno,
};

pub(super) fn seen() -> impl Strategy<Value = Vec<Seen>> {
    let abi = select(vec![Abi::X86_64, Abi::I386, Abi::X32]);
    let nr = prop_oneof![0_u32..480, Just(999), Just(u32::MAX)];
    let phase = select(vec![
        Phase::Run,
        Phase::Run,
        Phase::Exec,
        Phase::RuntimeInit,
        Phase::Setup,
    ]);
    let executable = prop_oneof![
        "[a-z/|`\n]{0,8}".prop_map(|name| path(&name)),
        Just(Executable::Launcher),
        Just(Executable::Unknown),
    ];
    let one = (abi, nr, phase, executable).prop_map(|(abi, nr, phase, executable)| {
        let bit = if abi == Abi::X32 { 1 << 30 } else { 0 };
        (abi, nr | bit, phase, executable)
    });
    vec(one, 0..60)
}

/// A recording of calls whose arguments are recorded: of each, small values, single flags and whatever.
pub(super) fn given() -> impl Strategy<Value = Recording> {
    let values = || {
        let value = prop_oneof![
            0_u64..20,
            (0_u32..64).prop_map(|bit| 1 << bit),
            (0_u32..64).prop_map(|bit| 1 << bit | 17),
            any::<u64>(),
        ];
        vec(vec(value, 3), 1..6)
    };
    let names: Vec<_> = RECORDED_ARGUMENTS
        .iter()
        .flat_map(|it| it.names)
        .filter_map(|name| Abi::X86_64.syscall_number(name))
        .collect();
    let calls = proptest::sample::subsequence(names, 1..8);
    (calls, vec(values(), 8)).prop_map(|(calls, values)| {
        let seen: Vec<_> = calls
            .iter()
            .map(|nr| (Abi::X86_64, *nr, Phase::Run, path("/bin/x")))
            .collect();
        let mut recording = recording(&seen);
        for (syscall, values) in recording.syscalls.iter_mut().zip(values) {
            let name = Abi::X86_64.syscall_name(syscall.nr).unwrap();
            let recorded = recorded(Abi::X86_64, name).unwrap();
            let under_masks = |values: Vec<u64>| -> Vec<u64> {
                let pairs = recorded.arguments.iter().zip(values);
                pairs.map(|(it, value)| value & it.mask).collect()
            };
            syscall.arguments = Some(Arguments {
                indices: recorded.indices(),
                seen: values
                    .into_iter()
                    .map(|values| Combination {
                        phase: Phase::Run,
                        values: under_masks(values),
                        executables: [path("/bin/x")].into(),
                    })
                    .collect(),
                cut: BTreeSet::new(),
            });
        }
        recording
    })
}

pub(super) fn options() -> impl Strategy<Value = Options> {
    (
        select(vec!["all", "none", "runc", "runc@1.1,crun@1.8"]),
        any::<bool>(),
        select(vec![FallbackPolicy::Fallbacks, FallbackPolicy::None]),
        select(vec![HeadroomPolicy::Safe, HeadroomPolicy::None]),
        select(vec![ExecPolicy::Probes, ExecPolicy::All, ExecPolicy::None]),
        any::<bool>(),
        select(vec![ErrnoPolicy::Probed, ErrnoPolicy::Eperm]),
        select(vec![Mode::Off, Mode::Safe, Mode::All]),
    )
        .prop_map(
            |(
                runtime_init,
                essential,
                fallbacks,
                headroom,
                exec,
                allow_blocked,
                errno,
                arguments,
            )| Options {
                complain: false,
                runtime_init: runtime_init.parse().unwrap(),
                essential,
                fallbacks,
                headroom,
                exec,
                allow_blocked,
                arguments,
                errno,
                arch: None,
            },
        )
}

fn shuffled() -> impl Strategy<Value = (Vec<Seen>, Vec<Seen>)> {
    seen().prop_flat_map(|seen| (Just(seen.clone()), Just(seen).prop_shuffle()))
}

/// How often each name is in an entry, by action.
fn counts(oci: &OciSeccomp) -> BTreeMap<(&str, bool), usize> {
    let mut counts = BTreeMap::new();
    for entry in &oci.syscalls {
        for name in &entry.names {
            *counts
                .entry((name.as_str(), entry.action == Action::Allow))
                .or_default() += 1;
        }
    }
    counts
}

proptest! {
    /// However far arguments are restricted, what was seen passes; whatever lies in bits that the
    /// kernel does not read.
    #[test]
    fn recorded_arguments_pass(
        recording in given(),
        options in options(),
        garbage in any::<u64>(),
    ) {
        let recordings = [recording];
        let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
        for syscall in &recordings[0].syscalls {
            let mut name = syscall.abi.syscall_name(syscall.nr).unwrap();
            let recorded = recorded(syscall.abi, name).unwrap();
            let replaced_clone3 = name == "clone3" && profile.replaced_clone3().is_some();
            if replaced_clone3 {
                name = "clone";
            }
            for combination in &syscall.arguments.as_ref().unwrap().seen {
                let mut arguments = [garbage; 6];
                for (argument, value) in recorded.arguments.iter().zip(&combination.values) {
                    let mask = if replaced_clone3 { 0xffff_ffff } else { argument.mask };
                    arguments[argument.index as usize] = value & mask | garbage & !mask;
                }
                let only = profile.rule(name).unwrap().only();
                let passes = only.is_none_or(|only| only.keys().any(|it| it.are_met_by(&arguments)));
                prop_assert!(passes, "{} {:?}", name, combination);
            }
        }
    }

    #[test]
    fn recorded_calls_are_allowed_once(seen in seen(), options in options()) {
        let profile = SeccompProfile::from_recordings(&[recording(&seen)], &options).unwrap();
        let oci = OciSeccomp::from(&profile);
        let counts = counts(&oci);
        let unnamed: BTreeSet<_> = profile.unnamed().map(|(call, _)| (call.abi, call.nr)).collect();
        for (abi, nr, phase, _) in seen {
            match abi.syscall_name(nr) {
                Some(name)
                    if phase == Phase::Run
                        || (phase == Phase::Exec && options.exec != ExecPolicy::None) =>
                {
                    let rule = profile.rule(name).unwrap();
                    let entries = rule.only().map_or(1, |only| only.len());
                    prop_assert_eq!(counts.get(&(name, true)), Some(&entries), "{}", name);
                    prop_assert!(oci.architectures.iter().any(|arch| arch == abi.scmp_arch()));
                }
                Some(_) => {}
                None => prop_assert!(unnamed.contains(&(abi, nr))),
            }
        }
    }

    #[test]
    fn allowed_and_refused_partition_the_old_calls(seen in seen(), options in options()) {
        let profile = SeccompProfile::from_recordings(&[recording(&seen)], &options).unwrap();
        let refused: BTreeSet<_> = profile.refused().collect();
        let absent: BTreeSet<_> = profile.absent().collect();
        prop_assert!(refused.is_disjoint(&absent));
        let oci = OciSeccomp::from(&profile);
        for ((name, allows), count) in counts(&oci) {
            let alternatives = profile.rule(name).and_then(Rule::only);
            prop_assert_eq!(count, alternatives.map_or(1, |only| only.len()), "{}", name);
            prop_assert_eq!(!allows, refused.contains(name) || absent.contains(name));
            prop_assert!(!(refused.contains(name) && errno::is_probed(name)));
        }
        if options.errno == ErrnoPolicy::Probed {
            for name in profile.architectures().flat_map(errno::long_established_syscalls) {
                prop_assert!(profile.rule(name).is_some() != refused.contains(name));
            }
        }
    }

    #[test]
    fn every_rule_is_shown_in_one_layer(seen in seen(), options in options()) {
        let profile = SeccompProfile::from_recordings(&[recording(&seen)], &options).unwrap();
        let shown: usize = Layer::ALL.iter().map(|layer| profile.names_in(*layer).count()).sum();
        prop_assert_eq!(shown, profile.rules().count());
    }

    #[test]
    fn fallbacks_only_add_rules(seen in seen(), options in options()) {
        let of = |fallbacks| {
            let options = Options { fallbacks, headroom: HeadroomPolicy::None, ..options.clone() };
            SeccompProfile::from_recordings(&[recording(&seen)], &options).unwrap()
        };
        let (with, without) = (of(FallbackPolicy::Fallbacks), of(FallbackPolicy::None));
        prop_assert_eq!(without.fallbacks().count(), 0);
        let added: BTreeSet<_> = with.fallbacks().map(|(name, _)| name).collect();
        for (name, rule) in with.rules() {
            if added.contains(name) {
                prop_assert!(rule.layers().any(|layer| layer == Layer::Fallback));
                // Unless it was there for some arguments only.
                prop_assert!(without.rule(name).is_none_or(|rule| rule.only().is_some()));
            } else if name == "clone3" {
                // Why it does not give way to clone is told only where it might have.
                let same = without.rule(name);
                prop_assert_eq!(Some(rule.only()), same.map(Rule::only));
            } else {
                prop_assert_eq!(Some(rule), without.rule(name));
            }
        }
        for (name, reasons) in with.fallbacks() {
            for added in reasons {
                prop_assert!(added.stands_for.iter().all(|it| without.rule(it).is_some()), "{}", name);
            }
        }
        let new = added.iter().filter(|name| without.rule(name).is_none()).count();
        prop_assert_eq!(without.rules().count() + new, with.rules().count());
    }

    #[test]
    fn headroom_only_adds_rules(seen in seen(), options in options()) {
        let of = |headroom| {
            let options = Options { headroom, ..options.clone() };
            SeccompProfile::from_recordings(&[recording(&seen)], &options).unwrap()
        };
        let (with, without) = (of(HeadroomPolicy::Safe), of(HeadroomPolicy::None));
        prop_assert_eq!(without.headroom().count(), 0);
        prop_assert_eq!(without.names_in(Layer::Headroom).count(), 0);
        let added: BTreeSet<_> = with.headroom().map(|(name, _)| name).collect();
        for (name, rule) in with.rules() {
            if added.contains(name) {
                prop_assert!(rule.layers().any(|layer| layer == Layer::Headroom));
                prop_assert!(without.rule(name).is_none_or(|rule| rule.only().is_some()));
            } else {
                prop_assert_eq!(Some(rule), without.rule(name));
            }
        }
        for (name, reasons) in with.headroom() {
            for it in reasons {
                prop_assert!(it.beside.is_none_or(|by| without.rule(by).is_some()), "{}", name);
            }
        }
        prop_assert!(without.rules().all(|(name, _)| with.rule(name).is_some()));
    }

    #[test]
    fn event_order_does_not_matter((seen, shuffled) in shuffled()) {
        let mut later = recording(&shuffled);
        later.host.kernel = "6.1.0".to_owned();
        later.instances[0].cgroup = "/elsewhere".to_owned();
        later.instances[0].calls = Some(1);
        let before = [recording(&seen)];
        let after = [later];
        let options = Options::default();
        let a = SeccompProfile::from_recordings(&before, &options).unwrap();
        let b = SeccompProfile::from_recordings(&after, &options).unwrap();
        prop_assert_eq!(a.to_oci_json().unwrap(), b.to_oci_json().unwrap());
    }

    #[test]
    fn two_recordings_equal_their_union(one in seen(), two in seen()) {
        let options = Options::default();
        let both: Vec<_> = one.iter().chain(&two).cloned().collect();
        let apart = SeccompProfile::from_recordings(&[recording(&one), recording(&two)], &options);
        let together = SeccompProfile::from_recordings(&[recording(&both)], &options);
        prop_assert_eq!(
            apart.unwrap().to_oci_json().unwrap(),
            together.unwrap().to_oci_json().unwrap()
        );
    }

    #[test]
    fn oci_json_round_trips(seen in seen(), options in options()) {
        let profile = SeccompProfile::from_recordings(&[recording(&seen)], &options).unwrap();
        let oci = OciSeccomp::from(&profile);
        prop_assert_eq!(OciSeccomp::from_json(&oci.to_json().unwrap()).unwrap(), oci);
    }
}

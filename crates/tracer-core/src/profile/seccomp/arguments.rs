//! For which arguments a call is to be allowed, by what was recorded of them.

use std::collections::BTreeMap;

use super::{Options, Rule};
use crate::{
    profile::Layer,
    recording::{Phase, Recording, Syscall},
};
use syscalls::{
    Abi,
    arguments::{CLONE3_MORE_THAN_FLAGS, Mode, NAMESPACES, Restriction, recorded},
    condition::{Condition, Conditions},
};

/// Not all is known of what a call was given.
const CUT: &str = "it was given more than 64 combinations of values, or some were not recorded";

/// A filter stopped it.
const BLOCKED: &str =
    "a filter stopped it while it was recorded, and with which arguments is not known";

/// The flags that clone takes as well: not the lowest byte, where it has the signal and clone3
/// `CLONE_NEWTIME`, and not those above 32 bits.
const OF_CLONE: u64 = 0xffff_ff00;

/// The values are those of another machine.
const MOVED: &str = "it was recorded on another machine, where its arguments are others";

/// The flags that only clone3 takes and that its callers do without when they fall back to clone
/// (`CLONE_CLEAR_SIGHAND`: glibc's posix_spawn, sysdeps/unix/sysv/linux/spawni.c).
const OPTIONAL_SYSCALLS: u64 = 0x1_0000_0000;

/// Allows a call in a layer, as far as the arguments that were seen in a phase tell.
pub(super) fn allow_observed(
    rule: &mut Rule,
    layer: Layer,
    syscall: &Syscall,
    phase: Phase,
    options: &Options,
) {
    let mode = options.arguments;
    let name = syscall.abi.syscall_name(syscall.nr);
    let Some(recorded) = name.and_then(|name| recorded(syscall.abi, name)) else {
        rule.allow(layer);
        return;
    };
    let arguments = syscall.arguments.as_ref();
    let known = arguments.filter(|arguments| {
        let mut seen = arguments.seen.iter();
        seen.all(|it| recorded.matches_values(&arguments.indices, &it.values))
    });
    let seen = known.into_iter().flat_map(|arguments| {
        let of_phase = arguments.seen.iter().filter(move |it| it.phase == phase);
        of_phase.map(|combination| combination.values.as_slice())
    });
    let seen: Vec<&[u64]> = seen.collect();
    for values in &seen {
        rule.given(recorded.describe(values));
    }
    let all = known.is_some_and(|arguments| !arguments.cut.contains(&phase));
    let restriction = if all && !seen.is_empty() {
        recorded.restriction(mode, seen)
    } else {
        Restriction::Open(recorded.unrestricted_reason(mode).unwrap_or(CUT))
    };
    allow(rule, layer, restriction, options);
}

/// Allows a call in a layer for any arguments, since those that are recorded tell nothing of it.
fn allow_any(rule: &mut Rule, layer: Layer, syscall: &Syscall, why: &'static str) {
    rule.allow(layer);
    let name = syscall.abi.syscall_name(syscall.nr);
    if name.is_some_and(|name| recorded(syscall.abi, name).is_some()) {
        rule.add_unrestricted_reason(why);
    }
}

/// Allows a call that a filter stopped while it was recorded.
pub(super) fn allow_blocked(rule: &mut Rule, layer: Layer, syscall: &Syscall) {
    allow_any(rule, layer, syscall, BLOCKED);
}

/// Allows a call in a layer that does on another machine what was observed, by other arguments.
pub(super) fn allow_moved(rule: &mut Rule, layer: Layer, syscall: &Syscall) {
    allow_any(rule, layer, syscall, MOVED);
}

/// Allows a call in a layer that was not recorded: for what is known to be given to it there.
pub(super) fn allow_known(
    rule: &mut Rule,
    layer: Layer,
    (abi, name): (Abi, &str),
    options: &Options,
) {
    let runtime_init = &options.runtime_init;
    let Some(recorded) = recorded(abi, name) else {
        rule.allow(layer);
        return;
    };
    let values: Vec<[u64; 1]> = match layer {
        Layer::RuntimeInit => runtime_init
            .values(name)
            .into_iter()
            .map(|value| [value])
            .collect(),
        _ => Vec::new(),
    };
    let restriction =
        recorded.restriction(options.arguments, values.iter().map(<[u64; 1]>::as_slice));
    match restriction {
        Restriction::Only(only) if only.is_empty() => rule.allow(layer),
        other => allow(rule, layer, other, options),
    }
}

fn allow(rule: &mut Rule, layer: Layer, restriction: Restriction, options: &Options) {
    match restriction {
        Restriction::Open(reason) => {
            rule.allow(layer);
            rule.add_unrestricted_reason(reason);
        }
        Restriction::Only(only) => {
            for it in only {
                // What libc makes by itself, or makes when the network is another, staging hardly shows.
                let layer = if it.unseen { Layer::Essential } else { layer };
                if !it.unseen || options.essential {
                    rule.allow_only(layer, it.conditions, it.when);
                }
            }
        }
    }
}

/// Has clone3 answered with ENOSYS, and allows clone for the namespaces that clone3 made, if that is
/// enough for whoever called it.
///
/// What clone3 does is behind a pointer, so that whoever may call it may make any namespace, whatever
/// is said of clone. On ENOSYS libcs and language runtimes call clone. Docker's default profile does
/// the same. Returns the rule of clone3 when it gave way.
pub(super) fn prefer_clone(
    rules: &mut BTreeMap<&'static str, Rule>,
    recordings: &[Recording],
    counts: impl Fn(Phase) -> bool,
) -> Option<Rule> {
    let clone3 = rules.get_mut("clone3")?;
    let calls = recordings.iter().flat_map(|recording| &recording.syscalls);
    let mut flags = Vec::new();
    for call in calls.filter(|call| call.abi.syscall_name(call.nr) == Some("clone3")) {
        let made = call.evidence.iter().filter(|who| who.blocked.is_none());
        let phases: Vec<Phase> = made.map(|who| who.phase).filter(|it| counts(*it)).collect();
        let Some(arguments) = &call.arguments else {
            if !phases.is_empty() {
                clone3.add_unrestricted_reason(CUT);
                return None;
            }
            continue;
        };
        if phases.iter().any(|phase| arguments.cut.contains(phase)) {
            clone3.add_unrestricted_reason(CUT);
            return None;
        }
        let seen = arguments
            .seen
            .iter()
            .filter(|it| phases.contains(&it.phase));
        flags.extend(seen.filter_map(|combination| combination.values.first().copied()));
    }
    if flags
        .iter()
        .any(|flags| flags & CLONE3_MORE_THAN_FLAGS != 0)
    {
        clone3.add_unrestricted_reason(
            "it was given what clone has no place for: ids of the child (set_tid), or a larger structure",
        );
        return None;
    }
    if flags.iter().any(|flags| flags_for_clone(*flags).is_none()) {
        clone3.add_unrestricted_reason("it was given flags that clone does not take, such as CLONE_INTO_CGROUP or CLONE_NEWTIME");
        return None;
    }
    let recorded = recorded(Abi::X86_64, "clone").filter(|_| !flags.is_empty())?;
    let combinations = flags.iter().map(std::slice::from_ref);
    let Restriction::Only(only) = recorded.restriction(Mode::Safe, combinations) else {
        return None;
    };
    let replaced_clone3 = rules.remove("clone3")?;
    let clone = rules.entry("clone").or_default();
    for it in only {
        clone.allow_only(Layer::Fallback, it.conditions, it.when);
    }
    Some(replaced_clone3)
}

/// The flags that a caller of clone3 gives to clone when it falls back, the exit signal not among them;
/// `None`: clone cannot do what it asked for.
pub(crate) const fn flags_for_clone(flags: u64) -> Option<u64> {
    if flags & !(OF_CLONE | OPTIONAL_SYSCALLS) == 0 {
        Some(flags & OF_CLONE)
    } else {
        None
    }
}

/// What clone is allowed for when it makes no namespace.
pub(super) fn no_namespace() -> Option<Conditions> {
    Conditions::new(&[Condition {
        index: 0,
        mask: NAMESPACES,
        value: 0,
    }])
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        profile::seccomp::{
            ErrnoPolicy, SeccompProfile,
            fixture::{self, path},
        },
        recording::{Arguments, Combination},
    };

    const CLONE3: u32 = 435;
    const PRCTL: u32 = 157;
    const SOCKET: u32 = 41;

    /// A recording of calls that were given these values while the workload ran.
    fn recording(calls: &[(u32, &[&[u64]])]) -> Recording {
        let seen: Vec<_> = calls
            .iter()
            .map(|(nr, _)| (Abi::X86_64, *nr, Phase::Run, path("/bin/x")))
            .collect();
        let mut recording = fixture::recording(&seen);
        for (nr, given) in calls {
            let name = Abi::X86_64.syscall_name(*nr).unwrap();
            let call = recording.syscalls.iter_mut().find(|call| call.nr == *nr);
            call.unwrap().arguments = Some(Arguments {
                indices: recorded(Abi::X86_64, name).unwrap().indices(),
                seen: given
                    .iter()
                    .map(|values| Combination {
                        phase: Phase::Run,
                        values: values.to_vec(),
                        executables: [path("/bin/x")].into(),
                    })
                    .collect(),
                cut: [].into(),
            });
        }
        recording
    }

    fn profile(recording: &Recording, options: &Options) -> SeccompProfile {
        SeccompProfile::from_recordings(std::slice::from_ref(recording), options).unwrap()
    }

    fn passes(profile: &SeccompProfile, name: &str, first: u64) -> bool {
        let Some(rule) = profile.rule(name) else {
            return false;
        };
        let arguments = [first, 1, 0, 0, 0, 0];
        let only = rule.only();
        only.is_none_or(|only| only.keys().any(|it| it.are_met_by(&arguments)))
    }

    #[test]
    fn unobserved_values_are_denied() {
        let profile = profile(
            &recording(&[(PRCTL, &[&[36]]), (SOCKET, &[&[2, 1, 0]])]),
            &Options::default(),
        );
        // PR_SET_CHILD_SUBREAPER; PR_SET_NAME is libc's; PR_CAPBSET_DROP the runtime's, PR_SET_MM nobody's.
        for (option, expected) in [(36, true), (15, true), (24, true), (35, false)] {
            assert_eq!(passes(&profile, "prctl", option), expected, "{option}");
        }
        for (family, expected) in [(2, true), (10, true), (1, true), (17, false), (38, false)] {
            assert_eq!(passes(&profile, "socket", family), expected, "{family}");
        }
        let values: Vec<_> = profile.rule("prctl").unwrap().values().iter().collect();
        assert_eq!(values, ["PR_SET_CHILD_SUBREAPER"]);
    }

    #[test]
    fn missing_argument_data_restricts_nothing() {
        let mut recording = recording(&[(PRCTL, &[&[36]])]);
        let off = Options {
            arguments: Mode::Off,
            ..Options::default()
        };
        assert_eq!(
            profile(&recording, &off).rule("prctl").unwrap().only(),
            None
        );
        recording.syscalls[0].arguments.as_mut().unwrap().cut = [Phase::Run].into();
        let cut = profile(&recording, &Options::default());
        let why: Vec<_> = cut.rule("prctl").unwrap().unrestricted_reasons().collect();
        assert_eq!(why, [CUT]);
        recording.syscalls[0].arguments = None;
        assert_eq!(
            profile(&recording, &Options::default())
                .rule("prctl")
                .unwrap()
                .only(),
            None
        );
    }

    #[test]
    fn impossible_values_leave_a_call_open() {
        // As a version with other masks would have recorded them.
        for (nr, name, values) in [
            (SOCKET, "socket", &[17, 0x8_0003, 3][..]),
            (PRCTL, "prctl", &[0x1_0000_0000]),
        ] {
            let profile = profile(&recording(&[(nr, &[values])]), &Options::default());
            assert_eq!(profile.rule(name).unwrap().only(), None, "{name}");
        }
    }

    #[test]
    fn clone3_is_replaced_by_clone() {
        const THREAD: u64 = 0x3d_0f00;
        let options = Options::default();
        let of =
            |flags: &[&[u64]], options: &Options| profile(&recording(&[(CLONE3, flags)]), options);
        let threads = of(&[&[THREAD]], &options);
        assert!(threads.rule("clone3").is_none() && threads.absent().any(|it| it == "clone3"));
        let made_by = threads.replaced_clone3().map(Rule::executables);
        assert_eq!(made_by, Some(&[path("/bin/x")].into()));
        assert!(threads.rule("fork").is_some(), "for musl");
        assert!(passes(&threads, "clone", THREAD) && !passes(&threads, "clone", 0x1000_0000));
        // What cannot be had by clone, and where EPERM would end it.
        let eperm = Options {
            errno: ErrnoPolicy::Eperm,
            ..Options::default()
        };
        let off = Options {
            arguments: Mode::Off,
            ..Options::default()
        };
        let kept = [
            (0x2_0000_0000, &options),
            // CLONE_NEWTIME, which Go asks clone3 for only.
            (0x4180, &options),
            // set_tid, or a structure that is larger than what is known.
            (CLONE3_MORE_THAN_FLAGS | THREAD, &options),
            (THREAD, &eperm),
            (THREAD, &off),
        ];
        for (flags, options) in kept {
            let kept = of(&[&[flags]], options);
            assert_eq!(kept.rule("clone3").unwrap().only(), None);
        }
        let sandbox = of(&[&[0x1_1000_0000]], &options);
        assert!(passes(&sandbox, "clone", 0x1000_0011) && !passes(&sandbox, "clone", 0x2000_0011));
    }
}

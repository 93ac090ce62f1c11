//! `REVIEW.md`: what a reviewer reads before a profile is enforced. The verdict comes first, then the
//! risks, then the rules by layer; how it was recorded comes last.
//!
//! It depends on what was observed only. Pids, times, counts of calls, the order of arrival, the
//! kernel's version and cgroup paths are not in it, so that recording the same work again gives the
//! same bytes and a difference in version control is a difference in behaviour.

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    arguments,
    completeness::completeness,
    diff::changes,
    escape::{code, command_line, prose, whole},
    html::Since,
    markdown::Document,
    phrases::{how_recorded, saw},
    risks::{Risk, What, risks},
    rules::{added, executables, list, observed, or_dash, unnamed},
    summary::{against_default, allowed},
    translation::{translated, translation},
    verdict::Verdict,
    words,
};
use syscalls::errno;
use tracer_core::{
    profile::{
        apparmor::AppArmorProfile,
        seccomp::{Rule, SeccompProfile},
    },
    recording::{Container, Coverage, Recording, merge::merge},
};

/// Most risks that are listed; the rules themselves have the rest.
const MAX_RISKS: usize = 50;

/// The review of `profile`, which was made from `recordings`.
pub fn review(recordings: &[Recording], profile: &SeccompProfile) -> String {
    let mut doc = Document::default();
    // What differs between them, and how much of them is rare, shows only when they are one.
    let whole = match recordings {
        [one] => Some(Cow::Borrowed(one)),
        many => merge(many.iter().cloned()).map(Cow::Owned),
    };
    let Some(whole) = whole else {
        return doc.into_text();
    };
    first_screen(&mut doc, &whole, profile, None, None);
    seccomp_rules(&mut doc, &whole, profile);
    recorded(&mut doc, &whole);
    doc.into_text()
}

/// The verdict, what changed, the comparison and the risks.
pub(super) fn first_screen(
    doc: &mut Document,
    recording: &Recording,
    profile: &SeccompProfile,
    apparmor: Option<&AppArmorProfile>,
    since: Option<&Since>,
) {
    let name = code(&recording.workload.name);
    doc.heading(1, &format!("Review of {name}"));
    let risks = risks(Some(recording), profile, apparmor);
    verdict(doc, &Verdict::new(recording, profile, &risks), profile);
    translated(doc, profile);
    if let Some(since) = since {
        changes(doc, since);
    }
    risk_list(doc, &risks);
}

fn verdict(doc: &mut Document, verdict: &Verdict, profile: &SeccompProfile) {
    doc.paragraph(&format!(
        "**{}**: {}.",
        verdict.decision.title(),
        prose(&verdict.reason)
    ));
    let answers = [
        ("Was anything lost?", &verdict.lost),
        ("Has it stopped discovering?", &verdict.discovering),
        ("What is risky?", &verdict.risky),
    ];
    let answers = answers.map(|(question, answer)| format!("{question} {}.", prose(answer)));
    doc.list(
        answers
            .into_iter()
            .chain([allowed(profile)])
            .chain(against_default(profile)),
    );
}

fn risk_list(doc: &mut Document, risks: &[Risk]) {
    doc.heading(2, "Risks");
    if risks.is_empty() {
        doc.paragraph("No rule of this profile has a known risk.");
        return;
    }
    let rows = risks.iter().take(MAX_RISKS).map(|risk| {
        let what = match &risk.what {
            What::Container => "container".to_owned(),
            What::Call(name) => code(name),
            What::AnyArguments(name) => format!("{}, any arguments", code(name)),
            What::Capability(name) => code(name),
            What::File(path, permissions) => format!("{} {permissions}", whole(path)),
        };
        [
            risk.level.as_str().to_owned(),
            what,
            prose(&risk.why),
            or_dash(executables(&risk.by)),
        ]
    });
    doc.table(["Risk", "What", "Why", "Used by"], rows);
    let more = risks.len().saturating_sub(MAX_RISKS);
    if more > 0 {
        doc.paragraph(&format!("And {more} more: see the rules."));
    }
}

/// Everything about system calls, by layer.
pub(super) fn seccomp_rules(doc: &mut Document, recording: &Recording, profile: &SeccompProfile) {
    blocked(doc, recording, profile);
    excluded(doc, profile);
    unnamed(doc, profile);
    translation(doc, profile);
    doc.heading(2, "System calls");
    observed(doc, profile);
    denied(doc, profile);
    arguments::restricted(doc, profile);
    arguments::open(doc, profile);
    added(doc, profile);
}

/// How the recording was made, folded.
pub(super) fn recorded(doc: &mut Document, recording: &Recording) {
    let folded = doc.folded("How it was recorded: coverage, discovery, blind spots");
    let mut items = coverage(recording);
    items.extend(completeness(recording));
    items.extend(origin(recording));
    doc.list(items);
    doc.end_folded(folded);
}

fn coverage(recording: &Recording) -> Vec<String> {
    let Coverage {
        complete,
        reasons,
        losses,
        ..
    } = &recording.coverage;
    let mut items = Vec::new();
    if *complete {
        items.push("No observation was lost. Behaviour that did not occur while recording is not in this profile.".to_owned());
    }
    let reasons: BTreeSet<_> = reasons
        .iter()
        .map(|reason| format!("Incomplete: {}.", prose(&words::reason(reason))))
        .collect();
    items.extend(reasons);
    items.extend(
        losses
            .iter()
            .map(|(lost, count)| format!("Lost: {}.", words::loss(lost, count))),
    );
    items
}

fn origin(recording: &Recording) -> BTreeSet<String> {
    let mut items = BTreeSet::new();
    for command in recording.commands() {
        items.insert(format!("Command: {}", command_line(command)));
    }
    for kind in recording.kinds() {
        items.insert(how_recorded(&kind).to_owned());
        if let Some(container) = &kind.container {
            items.extend(described(container));
        }
    }
    let mut monitored = Vec::new();
    let mut blind = Vec::new();
    for provider in &recording.providers {
        let kind = code(provider.kind.as_str());
        let mechanism = prose(words::mechanism(&provider.provider));
        monitored.push(format!("{kind} ({mechanism})"));
        let spots = provider.cannot_see.iter().map(words::blind_spot);
        let spots: Vec<_> = spots.map(|spot| prose(&spot)).collect();
        if !spots.is_empty() {
            blind.push(format!("{kind}: {}", spots.join("; ")));
        }
    }
    if !monitored.is_empty() {
        items.insert(format!("Monitored: {}.", list(monitored)));
    }
    if !blind.is_empty() {
        items.insert(format!("Not observed: {}.", blind.join(". ")));
    }
    items
}

/// What holds for every instance of a container. Not its id, nor its pod's name: replicas differ in
/// them, and so does each run.
fn described(container: &Container) -> Vec<String> {
    let image = container.image.as_ref().map(|image| {
        let digest = container.image_digest.as_ref().map(|digest| code(digest));
        format!(
            "Image: {}{}",
            code(image),
            digest.map_or_else(String::new, |digest| format!(" ({digest})"))
        )
    });
    let warnings = container
        .warnings
        .iter()
        .map(|warning| format!("**Warning**: {}.", prose(&words::warning(warning))));
    image.into_iter().chain(warnings).collect()
}

fn blocked(doc: &mut Document, recording: &Recording, profile: &SeccompProfile) {
    let rows: Vec<_> = profile
        .blocked()
        .map(|(name, stopped)| {
            let allowed = match profile.rule(name).map(Rule::only) {
                Some(None) => "yes",
                Some(Some(_)) => "for some arguments",
                None => "no",
            };
            [
                code(name),
                executables(&stopped.executables),
                list(stopped.saw.iter().map(|blocked| saw(*blocked))),
                allowed.to_owned(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Attempted, and blocked");
    doc.paragraph(&format!(
        "{}; `--allow-blocked` allows them. What the workload would have done next is unknown.",
        words::blocking_filter(recording)
    ));
    doc.table(["Call", "Made by", "Result", "Allowed here"], rows);
}

fn excluded(doc: &mut Document, profile: &SeccompProfile) {
    let rows: Vec<_> = profile
        .excluded()
        .map(|(name, who)| [code(name), executables(who)])
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Observed in other sessions only");
    doc.paragraph("Only processes started in the running container (`docker exec`, probes) made these calls, and they do not count; `--exec` selects which do.");
    doc.table(["Call", "Made by"], rows);
}

fn denied(doc: &mut Document, profile: &SeccompProfile) {
    let refused = profile.refused().count();
    if profile.complain() {
        doc.paragraph("**It only logs** (`--complain`) and denies nothing: the default is `SCMP_ACT_LOG`, every call is made, and the kernel's audit log has each one that the profile would deny. The next paragraph says what these calls would return under the enforced profile. `tracer learn` adds from the log what the recording lacks. A system call from any other ABI kills the calling thread all the same.");
    }
    doc.paragraph(&if profile.default_errno() == errno::ENOSYS {
        format!(
            "The other {refused} long-established calls return EPERM. Calls that libraries probe for (clone3, openat2, statx and the like) and unknown numbers return ENOSYS, so that callers fall back to an allowed call. A system call from any other ABI kills the calling thread."
        )
    } else {
        let absent: Vec<_> = profile.absent().map(code).collect();
        let except = if absent.is_empty() {
            String::new()
        } else {
            format!(" except {}, which return ENOSYS: with the default error, libseccomp would allow the calls that they multiplex", list(absent))
        };
        format!("Every other call returns EPERM{except}. A libc that probes for a new call (clone3, statx and the like) may give up instead of falling back. A system call from any other ABI kills the calling thread.")
    });
}

#[cfg(test)]
mod tests {
    use super::review;
    use syscalls::{Abi, arguments::Mode};
    use tracer_core::profile::seccomp::{
        FallbackPolicy, HeadroomPolicy, Options, SeccompProfile,
        fixture::{mixed, path, recording},
    };
    use tracer_core::recording::Phase;

    #[test]
    fn mixed_incomplete_recording() {
        let recordings = [mixed()];
        let profile = SeccompProfile::from_recordings(&recordings, &Options::default()).unwrap();
        insta::assert_snapshot!(review(&recordings, &profile));
    }

    #[test]
    fn names_the_covered_runtimes() {
        let recordings = [recording(&[(Abi::X86_64, 0, Phase::Run, path("/bin/cat"))])];
        for (runtimes, expected) in [
            ("all", "It covers every measured runtime: runc 1.1.5, "),
            (
                "crun@1.8",
                "**Only for some runtimes** (`--runtime crun@1.8`): crun 1.8.1. ",
            ),
            (
                "none",
                "No runtime can start the workload under this profile (`--runtime none`)",
            ),
        ] {
            let options = Options {
                runtime_init: runtimes.parse().unwrap(),
                ..Options::default()
            };
            let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
            assert!(
                review(&recordings, &profile).contains(expected),
                "{runtimes}"
            );
        }
    }

    #[test]
    fn review_for_another_machine() {
        let mut seen: Vec<_> = [
            "arch_prctl",
            "fork",
            "open",
            "poll",
            "read",
            "rename",
            "socket",
            "stat",
            "unlink",
        ]
        .into_iter()
        .map(|name| {
            let nr = Abi::X86_64.syscall_number(name).unwrap();
            (Abi::X86_64, nr, Phase::Run, path("/usr/sbin/nginx"))
        })
        .collect();
        seen.push((Abi::I386, 102, Phase::Run, path("/opt/legacy")));
        let recordings = [recording(&seen)];
        let options = Options {
            arch: Some(Abi::Aarch64),
            ..Options::default()
        };
        let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
        insta::assert_snapshot!(review(&recordings, &profile));
    }

    #[test]
    fn conditions_are_shown_in_words_and_bits() {
        let seen = ["pipe", "fork", "vfork", "getrlimit", "read"].map(|name| {
            let nr = Abi::X86_64.syscall_number(name).unwrap();
            (Abi::X86_64, nr, Phase::Run, path("/bin/x"))
        });
        let recordings = [recording(&seen)];
        // Headroom adds clone for threads and pipe2 with flags.
        let options = Options {
            headroom: HeadroomPolicy::None,
            ..Options::default()
        };
        let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
        let text = review(&recordings, &profile);
        for part in [
            "| `clone` | its flags are those of fork (fallback)<br>its flags are those of vfork (fallback) | argument 0 & 0xfedfffff = 0x11<br>argument 0 & 0xffffffff = 0x4111 |",
            "| `pipe2` | it has no flags (fallback) | argument 1 & 0xffffffff = 0x0 |",
            "`clone` for `fork`, `vfork`, only when its flags are those of fork; or when its flags are those of vfork",
            "`readv` for `read`",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // The runtimes set limits by it.
        let limits = text.lines().find(|it| it.contains("`prlimit64`"));
        assert!(limits.unwrap().starts_with("| runtime-init |"), "{text}");
        assert!(
            !text.contains("`clone`, any arguments"),
            "its arguments are restricted"
        );
        let bare = Options {
            fallbacks: FallbackPolicy::None,
            arguments: Mode::Off,
            ..Options::default()
        };
        let profile = SeccompProfile::from_recordings(&recordings, &bare).unwrap();
        assert!(!review(&recordings, &profile).contains("with some arguments only"));
    }

    #[test]
    fn complete_recording_says_so() {
        let recordings = [recording(&[(Abi::X86_64, 0, Phase::Run, path("/bin/cat"))])];
        let profile = SeccompProfile::from_recordings(&recordings, &Options::default()).unwrap();
        let text = review(&recordings, &profile);
        assert!(text.contains("\n- Was anything lost? nothing.\n"), "{text}");
        assert!(!text.contains("Incomplete") && !text.contains("Lost:"));
        assert!(!text.contains("| ABI |"), "one ABI needs no column");
        // Four seconds of one instance are no reason to enforce.
        assert!(text.contains("\n**Record longer**: 1 instance, "), "{text}");
    }
}

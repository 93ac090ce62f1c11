//! `REVIEW.md`: what a reviewer reads before a profile is put into force.
//!
//! It depends on what was observed only. Pids, times, counts of calls, the order of arrival, the
//! kernel's version and cgroup paths are not in it, so that recording the same work again gives the
//! same bytes and a difference in version control is a difference in behaviour.

use std::{borrow::Cow, collections::BTreeSet};

use super::{
    arguments,
    completeness::completeness,
    escape::{code, command_line, prose, visible},
    fallbacks::fallback_layer,
    headroom::headroom_layer,
    markdown::{Document, count},
    phrases::{how_recorded, saw},
    rules::{essential_layer, executables, list, made_by, rules, unnamed, window_layer},
    translation::{translated, translation},
    words,
};
use syscalls::{errno, risk};
use tracer_core::{
    profile::{
        Layer,
        seccomp::{Rule, SeccompProfile},
    },
    recording::{Container, Coverage, Recording, merge::merge},
};

/// The review of `profile`, which was made from `recordings`.
pub fn review(recordings: &[Recording], profile: &SeccompProfile) -> String {
    review_at(recordings, profile, "operator/NAME.json")
}

/// The same, with the path that `localhostProfile` has in Kubernetes.
pub(super) fn review_at(
    recordings: &[Recording],
    profile: &SeccompProfile,
    localhost: &str,
) -> String {
    let mut doc = Document::default();
    let names: BTreeSet<_> = recordings
        .iter()
        .map(|recording| code(&recording.workload.name))
        .collect();
    doc.heading(1, &format!("Seccomp profile of {}", list(names)));
    // What differs between them, and how much of them is rare, shows only when they are one.
    let whole = match recordings {
        [one] => Some(Cow::Borrowed(one)),
        many => merge(many.iter().cloned()).map(Cow::Owned),
    };
    translated(&mut doc, profile);
    summary(&mut doc, profile);
    if let Some(whole) = whole {
        coverage(&mut doc, &whole);
        completeness(&mut doc, &whole);
        origin(&mut doc, &whole);
    }
    translation(&mut doc, profile);
    risks(&mut doc, profile);
    unnamed(&mut doc, profile);
    blocked(&mut doc, profile);
    excluded(&mut doc, profile);
    rules(&mut doc, profile);
    arguments::restricted(&mut doc, profile);
    arguments::open(&mut doc, profile);
    window_layer(&mut doc, profile);
    essential_layer(&mut doc, profile);
    fallback_layer(&mut doc, profile);
    headroom_layer(&mut doc, profile);
    denied(&mut doc, profile);
    how_to_apply(&mut doc, localhost);
    doc.into_text()
}

fn summary(doc: &mut Document, profile: &SeccompProfile) {
    let in_layer = |layer| {
        let replaced_clone3 = layer == Layer::Observed && profile.replaced_clone3().is_some();
        profile.names_in(layer).count() + usize::from(replaced_clone3)
    };
    let abis: Vec<_> = profile
        .architectures()
        .map(|abi| abi.as_str().to_owned())
        .collect();
    let several = if abis.len() > 1 {
        " A rule holds for all of them: this form of profile cannot allow a call in one ABI only."
    } else {
        ""
    };
    let calls = count(
        in_layer(Layer::Observed),
        "system call",
        "different system calls",
    );
    let observed = match profile.translation() {
        None => format!("The workload was observed to make {calls}."),
        Some(to) => format!(
            "What the workload was observed to do takes {calls} of {}.",
            to.to()
        ),
    };
    let headroom = match in_layer(Layer::Headroom) {
        0 => String::new(),
        1 => " One more is allowed although it was not observed, because it is harmless (layer `headroom`).".to_owned(),
        more => format!(" {more} more are allowed although they were not observed, because they are harmless (layer `headroom`)."),
    };
    doc.paragraph(&format!(
        "{observed} {} more are allowed because a container runtime needs them to start it (layer `window`), {} because staging hardly ever shows them (layer `essential`), and {} because another libc or kernel does the same work by them (layer `variant`).{headroom} The profile is for {}; a call of any other ABI kills its caller.{several}",
        in_layer(Layer::RuntimeInit),
        in_layer(Layer::Essential),
        in_layer(Layer::Fallback),
        list(abis),
    ));
}

fn coverage(doc: &mut Document, recording: &Recording) {
    doc.heading(2, "Coverage");
    let Coverage {
        complete,
        reasons,
        losses,
        ..
    } = &recording.coverage;
    if *complete {
        doc.paragraph("**Complete**: every system call that the workload made while it was recorded is below. What it did not do then is not in this profile.");
    } else {
        doc.paragraph("**Not complete**: the workload may have done more than this profile shows, and may be denied it.");
        let reasons: BTreeSet<_> = reasons
            .iter()
            .map(|reason| prose(&words::reason(reason)))
            .collect();
        doc.list(reasons);
    }
    doc.list(
        losses
            .iter()
            .map(|(lost, count)| format!("Lost: {count} {}.", words::loss(lost))),
    );
}

fn origin(doc: &mut Document, recording: &Recording) {
    doc.heading(2, "How it was recorded");
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
    for provider in &recording.providers {
        let mut item = format!(
            "{}: {}.",
            code(provider.kind.as_str()),
            prose(words::mechanism(&provider.provider))
        );
        for blind in &provider.cannot_see {
            item.push_str(&format!(
                " It cannot see {}.",
                prose(&words::blind_spot(blind))
            ));
        }
        items.insert(item);
    }
    doc.list(items);
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

fn risks(doc: &mut Document, profile: &SeccompProfile) {
    doc.heading(2, "Worth a second look");
    let risky: Vec<_> = profile
        .names_in(Layer::Observed)
        .filter_map(|name| Some((risk::risk(name)?, profile.rule(name)?)))
        .map(|(risk, rule)| [code(risk.name), made_by(rule), risk.sentence.to_owned()])
        .collect();
    if risky.is_empty() {
        doc.paragraph("None of the observed calls is known to be dangerous in itself.");
    } else {
        doc.table(["Call", "Made by", "Why"], risky);
    }
    let open: Vec<_> = risk::ALLOWED_BY_ARGUMENT
        .iter()
        .filter(|(name, _)| profile.rule(name).is_some_and(|it| it.only().is_none()))
        .map(|(name, what)| format!("{}: {what}.", code(name)))
        .collect();
    if !open.is_empty() {
        doc.paragraph("Arguments of these calls are not restricted, and they do very different things by them:");
        doc.list(open);
    }
}

fn blocked(doc: &mut Document, profile: &SeccompProfile) {
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
    doc.paragraph("A filter that was in place stopped these calls while the workload was recorded. The workload ran without them, so being stopped is no reason to allow them; `--allow-blocked` does. What the workload would have done next is not known.");
    doc.table(["Call", "Made by", "The program saw", "Allowed here"], rows);
}

fn excluded(doc: &mut Document, profile: &SeccompProfile) {
    let rows: Vec<_> = profile
        .excluded()
        .map(|(name, who)| [code(name), executables(who)])
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Seen, and left out");
    doc.paragraph("Only programs made these calls that somebody put into the running container. With a terminal they are taken for a person's session, without one for a probe; `--exec` says which of them count.");
    doc.table(["Call", "Made by"], rows);
}

fn denied(doc: &mut Document, profile: &SeccompProfile) {
    doc.heading(2, "What is denied, and how");
    let refused = profile.refused().count();
    doc.paragraph(&if profile.default_errno() == errno::ENOSYS {
        format!(
            "The other {refused} calls that Linux has had for long return EPERM, the error that their callers expect from a refusal. Calls that libc and others probe for (clone3, openat2, statx and the like), and numbers that nobody knows yet, return ENOSYS, on which their callers fall back to what is allowed."
        )
    } else {
        let absent: Vec<_> = profile.absent().map(code).collect();
        let but = if absent.is_empty() {
            String::new()
        } else {
            format!(" but {}, which return ENOSYS: left to the default, libseccomp would allow by them the calls that they stand for", list(absent))
        };
        format!("Every other call returns EPERM{but}. A libc that probes for a new call (clone3, statx and the like) may give up on that instead of falling back.")
    });
}

fn how_to_apply(doc: &mut Document, localhost: &str) {
    doc.heading(2, "How to apply it");
    doc.paragraph("With Docker or Podman:");
    doc.code_block("sh", "docker run --security-opt seccomp=seccomp.json IMAGE\npodman run --security-opt seccomp=seccomp.json IMAGE");
    let localhost = visible(localhost);
    doc.paragraph(&format!("In Kubernetes, the Security Profiles Operator puts `kubernetes/seccompprofile.yaml` on each node. Without it, put `seccomp.json` at {} there. Then name it in the container's security context:", code(&format!("/var/lib/kubelet/seccomp/{localhost}"))));
    doc.code_block("yaml", &format!("securityContext:\n  seccompProfile:\n    type: Localhost\n    localhostProfile: {localhost}"));
}

#[cfg(test)]
mod tests {
    use super::review;
    use syscalls::{Abi, arguments::Mode};
    use tracer_core::profile::seccomp::{
        FallbackPolicy, Options, SeccompProfile,
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
            (
                "all",
                "It covers every runtime that tracer knows: runc 1.1.5, ",
            ),
            (
                "crun@1.8",
                "**Only for some runtimes**, chosen by `--runtime crun@1.8`: crun 1.8.1. ",
            ),
            ("none", "For no runtime, by `--runtime none`"),
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
        let profile = SeccompProfile::from_recordings(&recordings, &Options::default()).unwrap();
        let text = review(&recordings, &profile);
        for line in [
            "| `clone` | its flags are those of fork | argument 0 & 0xfedfffff = 0x11 | variant |",
            "| `clone` | its flags are those of vfork | argument 0 & 0xffffffff = 0x4111 | variant |",
            "| `pipe2` | it has no flags | argument 1 & 0xffffffff = 0x0 | variant |",
            "| `clone` (some arguments) | variant | - | - |",
            "| `clone` | `fork`, `vfork` | only when its flags are those of fork; or when its flags are those of vfork | processes and threads |",
            "| `readv` | `read` | any | read and write |",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
        }
        // The runtimes set limits by it.
        assert!(text.contains("\n| `prlimit64` | window |"));
        assert!(!text.contains("- `clone`:"), "its arguments are restricted");
        let bare = Options {
            fallbacks: FallbackPolicy::None,
            arguments: Mode::Off,
            ..Options::default()
        };
        let profile = SeccompProfile::from_recordings(&recordings, &bare).unwrap();
        assert!(!review(&recordings, &profile).contains("arguments only"));
    }

    #[test]
    fn complete_recording_says_so() {
        let recordings = [recording(&[(Abi::X86_64, 0, Phase::Run, path("/bin/cat"))])];
        let profile = SeccompProfile::from_recordings(&recordings, &Options::default()).unwrap();
        let text = review(&recordings, &profile);
        assert!(text.contains("\n**Complete**"));
        assert!(!text.contains("Not complete") && !text.contains("Lost:"));
        assert!(!text.contains("| ABI |"), "one ABI needs no column");
    }
}

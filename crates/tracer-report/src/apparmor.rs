//! The part of `REVIEW.md` about the AppArmor profile: every rule with who used what, every glob with
//! the paths behind it, and what no rule says.

use std::collections::BTreeSet;

use super::{
    capabilities::capabilities,
    escape::{code, visible, whole},
    markdown::{Document, count},
    phrases::{
        CHILDREN, DENIED_UNSEEN, LEFT_OPEN, NO_ROOM, PTRACE_NOT_MONITORED, file_risk, operation,
        peer, signalled, traced,
    },
    rules::{executables, list, or_dash},
};
use tracer_core::profile::{
    apparmor::{AppArmorProfile, Division, Pattern, Permissions, Policy, RUNTIMES, Reason},
    capabilities::Capabilities,
};
use tracer_core::recording::ObservationKind;

/// The review of an AppArmor profile, and of the capabilities beside it.
pub fn apparmor(profile: &AppArmorProfile, needed: Option<&Capabilities>) -> String {
    let mut doc = Document::default();
    doc.heading(1, &format!("AppArmor profile {}", code(profile.name())));
    summary(&mut doc, profile);
    unseen(&mut doc, profile);
    lost(&mut doc, profile);
    children(&mut doc, profile);
    review_reason(&mut doc, profile);
    files(&mut doc, profile);
    globs(&mut doc, profile);
    links(&mut doc, profile);
    sockets(&mut doc, profile);
    signals(&mut doc, profile);
    mounts(&mut doc, profile);
    capabilities(&mut doc, profile, needed);
    excluded(&mut doc, profile);
    beyond(&mut doc);
    how_to_apply(&mut doc, profile);
    doc.into_text()
}

fn summary(doc: &mut Document, profile: &AppArmorProfile) {
    let globs = profile
        .files()
        .filter(|(pattern, _)| pattern.is_glob())
        .count();
    let how = match profile.policy() {
        Policy::None => {
            " Paths are exactly those that were seen (`--generalise none`): process ids and the names of temporary files are others the next time."
        }
        Policy::Safe => "",
        Policy::Wide => {
            " Paths were generalised widely (`--generalise wide`), whole trees included."
        }
    };
    let complain = if profile.complain() {
        " **It only reports**: it was made with `--complain` and denies nothing."
    } else {
        ""
    };
    doc.paragraph(&format!(
        "{}, of which {globs} stand for more than one path. What is not in the profile is denied, and the kernel logs it.{how}{complain}",
        count(profile.files().count(), "rule for files", "rules for files"),
    ));
}

fn unseen(doc: &mut Document, profile: &AppArmorProfile) {
    let kinds: Vec<_> = profile.unseen().collect();
    if kinds.is_empty() && !profile.ptrace_not_monitored() {
        return;
    }
    doc.heading(2, "Not observed");
    if profile.ptrace_not_monitored() {
        doc.paragraph(PTRACE_NOT_MONITORED);
    }
    if kinds.is_empty() {
        return;
    }
    doc.paragraph("Nothing looked for these while the workload was recorded, so the profile restricts none of them, but for mounts, which it denies. `tracer doctor` tells which kernel can show them.");
    doc.list(kinds.into_iter().map(|kind| match kind {
        ObservationKind::Traces => "ptrace".to_owned(),
        kind => kind.to_string(),
    }));
}

fn lost(doc: &mut Document, profile: &AppArmorProfile) {
    let rows: Vec<_> = profile
        .lost()
        .map(|lost| [whole(&lost.what), lost.reason.to_owned()])
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Seen, and not in the AppArmor profile");
    doc.paragraph("No rule can say these. Unless the reason says otherwise, they are denied.");
    doc.table(["What", "Why"], rows);
}

fn children(doc: &mut Document, profile: &AppArmorProfile) {
    let parts = match profile.division() {
        Division::Undivided => return,
        Division::Impossible(why) => {
            doc.heading(2, "Child profiles");
            doc.paragraph(&format!(
                "None: {why}. All programs run under the one profile."
            ));
            return;
        }
        Division::Divided(parts) => parts,
    };
    doc.heading(2, "Child profiles");
    doc.paragraph(CHILDREN);
    let rows = parts.children.iter().map(|child| {
        let names = child
            .profile
            .capabilities()
            .filter_map(|(one, _)| one.name());
        [
            whole(&child.name),
            whole(&child.program.to_string()),
            or_dash(executables(&child.started_by)),
            child.profile.files().count().to_string(),
            or_dash(list(names.map(code))),
        ]
    });
    doc.table(
        [
            "Profile",
            "Program",
            "Started by",
            "Rules for files",
            "Capabilities",
        ],
        rows,
    );
    if !parts.without.is_empty() {
        let without = parts.without.iter().map(|path| whole(&path.to_string()));
        doc.paragraph(&format!("{NO_ROOM}: {}.", list(without)));
    }
}

fn review_reason(doc: &mut Document, profile: &AppArmorProfile) {
    let rows: Vec<_> = profile
        .files()
        .filter_map(|(pattern, rule)| {
            let (all, why) = file_risk(pattern, rule)?;
            Some([rule_text(pattern), all.to_string(), why.to_owned()])
        })
        .collect();
    if !rows.is_empty() {
        doc.heading(2, "Files worth a second look");
        doc.table(["Path", "Allowed", "Why"], rows);
    }
}

fn rule_text(pattern: &Pattern) -> String {
    whole(&pattern.token().unwrap_or_default())
}

fn files(doc: &mut Document, profile: &AppArmorProfile) {
    doc.heading(2, "Every rule for files");
    let rows: Vec<_> = profile
        .files()
        .filter(|(_, rule)| {
            !(rule.permissions | rule.owner)
                .without(Permissions::LINK)
                .is_empty()
        })
        .map(|(pattern, rule)| {
            [
                rule_text(pattern),
                or_dash(rule.permissions.to_string()),
                or_dash(rule.owner.to_string()),
                or_dash(executables(&rule.executables)),
            ]
        })
        .collect();
    doc.table(["Path", "Anyone", "Owner only", "Used by"], rows);
}

fn globs(doc: &mut Document, profile: &AppArmorProfile) {
    let globs: Vec<_> = profile
        .files()
        .filter(|(pattern, _)| pattern.is_glob())
        .collect();
    if globs.is_empty() {
        return;
    }
    doc.heading(2, "Globs, and the paths behind them");
    let reasons: BTreeSet<_> = globs.iter().flat_map(|(_, rule)| &rule.reasons).collect();
    doc.list(reasons.into_iter().map(|reason| {
        let (name, sentence) = reason.explained();
        format!("`{name}`: {sentence}.")
    }));
    let rows = globs.into_iter().map(|(pattern, rule)| {
        // A review is the same when the same was done again, so names of one run are not in it.
        let paths = if rule.reasons.iter().any(|reason| reason.is_of_one_run()) {
            "others in each run: see recording.json".to_owned()
        } else if rule.reasons.contains(&Reason::Imports) {
            format!("{} files: see recording.json", rule.paths.len())
        } else {
            or_dash(list(rule.paths.keys().map(|path| whole(&path.to_string()))))
        };
        [
            rule_text(pattern),
            list(rule.reasons.iter().map(ToString::to_string)),
            paths,
        ]
    });
    doc.table(["Glob", "Rules", "Paths that were seen"], rows);
}

fn links(doc: &mut Document, profile: &AppArmorProfile) {
    let rows: Vec<_> = profile
        .links()
        .map(|(new, old, rule)| {
            let subset = if rule.subset {
                "no"
            } else {
                "**yes**: the profile allows more by the new name than by the old one"
            };
            [
                rule_text(new),
                rule_text(old),
                subset.to_owned(),
                executables(&rule.executables),
            ]
        })
        .collect();
    if !rows.is_empty() {
        doc.heading(2, "Hard links");
        doc.table(["New name", "Of", "Gains rights", "Made by"], rows);
    }
}

fn sockets(doc: &mut Document, profile: &AppArmorProfile) {
    let rows: Vec<_> = profile
        .networks()
        .map(|((family, kind), rule)| {
            let operations = rule.operations.iter().map(|it| operation(*it).to_owned());
            let addresses = rule
                .addresses
                .iter()
                .map(|address| code(&address.to_string()));
            let more = rule.more.then(|| "and more".to_owned());
            [
                AppArmorProfile::socket_name(family, kind),
                list(operations),
                or_dash(list(addresses.chain(more))),
                executables(&rule.executables),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Sockets");
    doc.paragraph("A rule allows a family and a type, with any address: the language of AppArmor 3.0 has no finer word for the network.");
    doc.table(["Family and type", "Were", "With", "By"], rows);
}

fn signals(doc: &mut Document, profile: &AppArmorProfile) {
    doc.heading(2, "Signals and ptrace");
    if profile.essential() {
        doc.paragraph(&format!(
            "Layer `essential`: signals from whoever stops the workload ({}), and any between its own processes. A program that aborts sends itself one, and threads are cancelled and change their user by them; neither shows in a test run, nor leads out of the profile.",
            list(RUNTIMES.iter().map(|label| code(label)))
        ));
    }
    let signals = profile.signals().map(|(direction, other, rule)| {
        let what = signalled(direction);
        let numbers = list(rule.signals.iter().map(ToString::to_string));
        [
            format!("signals {numbers}"),
            what.to_owned(),
            peer(other).to_owned(),
            executables(&rule.executables),
        ]
    });
    let traces = profile.traces().map(|(direction, other, rule)| {
        let what = traced(direction);
        [
            "ptrace".to_owned(),
            what.to_owned(),
            peer(other).to_owned(),
            executables(&rule.executables),
        ]
    });
    let rows: Vec<_> = signals.chain(traces).collect();
    if rows.is_empty() {
        doc.paragraph("None was seen.");
    } else {
        doc.table(["What", "Which way", "Other end", "By"], rows);
    }
}

fn mounts(doc: &mut Document, profile: &AppArmorProfile) {
    let rows: Vec<_> = profile
        .mounts()
        .map(|(text, rule)| [whole(text), executables(&rule.executables)])
        .collect();
    if !rows.is_empty() {
        doc.heading(2, "Mounts");
        doc.table(["Rule", "By"], rows);
    }
}

fn excluded(doc: &mut Document, profile: &AppArmorProfile) {
    let rows: Vec<_> = profile
        .excluded()
        .map(|(what, who)| {
            let (kind, name) = what.words();
            [format!("{kind} {}", whole(&name)), executables(who)]
        })
        .collect();
    if !rows.is_empty() {
        doc.heading(2, "Done, and left out");
        doc.paragraph("Only programs did this that somebody put into the running container, and the profile does not allow it; `--exec` says which of them count.");
        doc.table(["What", "By"], rows);
    }
}

/// What no recording changes.
fn beyond(doc: &mut Document) {
    doc.heading(2, "Beyond the profile");
    doc.paragraph(LEFT_OPEN);
    doc.paragraph(DENIED_UNSEEN);
}

fn how_to_apply(doc: &mut Document, profile: &AppArmorProfile) {
    doc.heading(2, "How to apply the AppArmor profile");
    doc.paragraph("Load it on each machine, then name it:");
    let name = visible(profile.name());
    doc.code_block(
        "sh",
        &format!("apparmor_parser --replace apparmor.profile\ndocker run --security-opt apparmor={name} IMAGE\npodman run --security-opt apparmor={name} IMAGE"),
    );
    doc.code_block(
        "yaml",
        &format!("securityContext:\n  appArmorProfile:\n    type: Localhost\n    localhostProfile: {name}"),
    );
    doc.paragraph("Kubernetes before 1.30 has an annotation instead: `container.apparmor.security.beta.kubernetes.io/CONTAINER: localhost/PROFILE`.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::profile::apparmor::{Options, fixture};

    #[test]
    fn renders_a_server_profile() {
        let profile = AppArmorProfile::from_recordings(&[fixture::web()], &Options::default());
        let profile = profile.unwrap();
        let needed = Capabilities::needed_by(&profile);
        insta::assert_snapshot!(apparmor(&profile, needed.as_ref()));
    }

    fn review(recording: tracer_core::recording::Recording) -> String {
        let profile = AppArmorProfile::from_recordings(&[recording], &Options::default()).unwrap();
        apparmor(&profile, None)
    }

    #[test]
    fn session_only_accesses_are_all_listed() {
        use tracer_core::recording::Phase;
        let mut recording = fixture::web();
        let evidence = |seen: &mut Vec<tracer_core::recording::AccessEvidence>| {
            for who in seen {
                who.phase = Phase::Terminal;
            }
        };
        recording.files.clear();
        // Read by the workload too, and written by the session alone.
        for (access, phase) in [
            (tracer_core::recording::FileAccess::Read, Phase::Terminal),
            (tracer_core::recording::FileAccess::Write, Phase::Terminal),
            (tracer_core::recording::FileAccess::Read, Phase::Run),
        ] {
            let file = fixture::file(b"/etc/app.conf", access);
            recording.files.push(fixture::seen(file, phase, "/bin/x"));
        }
        recording
            .capabilities
            .iter_mut()
            .for_each(|it| evidence(&mut it.evidence));
        recording
            .sockets
            .iter_mut()
            .for_each(|it| evidence(&mut it.evidence));
        recording
            .signals
            .iter_mut()
            .for_each(|it| evidence(&mut it.evidence));
        recording
            .traces
            .iter_mut()
            .for_each(|it| evidence(&mut it.evidence));
        recording
            .mounts
            .iter_mut()
            .for_each(|it| evidence(&mut it.evidence));
        let text = review(recording.clone());
        let (_, excluded) = text.split_once("## Done, and left out").unwrap();
        for row in [
            "| writing `/etc/app.conf` |",
            "| capability `CAP_NET_BIND_SERVICE` |",
            "| socket `inet stream` |",
            "| sent a signal `exists, what is outside` |",
            "| read, as a debugger may, `itself` |",
            "| mount tree `mount fstype=",
        ] {
            assert!(excluded.contains(row), "{row} in {excluded}");
        }
        assert!(!excluded.contains("reading"), "{excluded}");
        // What another recording left unobserved is open to everybody.
        let mut blind = recording.clone();
        blind
            .providers
            .retain(|it| it.kind != ObservationKind::Sockets);
        let both = AppArmorProfile::from_recordings(&[recording, blind], &Options::default());
        assert!(!apparmor(&both.unwrap(), None).contains("socket `inet"));
    }

    #[test]
    fn states_that_unmonitored_ptrace_is_denied() {
        let mut recording = fixture::sleep();
        assert!(!review(recording.clone()).contains(PTRACE_NOT_MONITORED));
        recording
            .providers
            .retain(|it| it.kind != ObservationKind::Traces);
        assert!(review(recording).contains(PTRACE_NOT_MONITORED));
    }

    #[test]
    fn long_rules_are_not_cut() {
        let mut recording = fixture::empty();
        let paths = ["a", "b"].map(|end| format!("/{}/{end}", "x/".repeat(1000)));
        recording.files = paths
            .iter()
            .map(|path| {
                let file = fixture::file(path.as_bytes(), tracer_core::recording::FileAccess::Read);
                fixture::seen(file, tracer_core::recording::Phase::Run, "/bin/x")
            })
            .collect();
        for path in &mut recording.files {
            path.what.path = path
                .what
                .path
                .to_string()
                .replace("//", "/")
                .as_str()
                .into();
        }
        let text = review(recording);
        for end in ["/a`", "/b`"] {
            assert!(text.contains(end), "{end}");
        }
    }

    #[test]
    fn hostile_paths_stay_in_their_cells() {
        let mut recording = fixture::empty();
        let path = b"/a|b\n# Approved `x` <b>\x1b[2J*";
        let file = fixture::file(path, tracer_core::recording::FileAccess::Read);
        recording.files = vec![fixture::seen(
            file,
            tracer_core::recording::Phase::Run,
            "/bin/x",
        )];
        let profile = AppArmorProfile::from_recordings(&[recording], &Options::default()).unwrap();
        let text = apparmor(&profile, None);
        assert!(
            text.bytes()
                .all(|byte| byte == b'\n' || (b' '..0x7f).contains(&byte))
        );
        assert!(
            !text.contains("\n# Approved") && !text.contains("<b>"),
            "{text}"
        );
    }
}

//! The part of `REVIEW.md` about the AppArmor profile: every rule with the program that used it, every
//! glob with the paths behind it, and what no rule can express.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    capabilities::capabilities,
    escape::{code, whole},
    markdown::{Document, count},
    phrases::{
        CHILDREN, DENIED_UNSEEN, LEFT_OPEN, NO_ROOM, PERHAPS_PROBES, PTRACE_NOT_MONITORED,
        operation, peer, signal, signalled, traced,
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
    access_rules(&mut doc, profile, needed);
    doc.into_text()
}

/// The same as a part of a review.
pub(super) fn access_rules(
    doc: &mut Document,
    profile: &AppArmorProfile,
    needed: Option<&Capabilities>,
) {
    doc.heading(
        2,
        &format!(
            "Files and other accesses: AppArmor profile {}",
            code(profile.name())
        ),
    );
    summary(doc, profile);
    unseen(doc, profile);
    lost(doc, profile);
    children(doc, profile);
    files(doc, profile);
    globs(doc, profile);
    links(doc, profile);
    others(doc, profile, needed);
    excluded(doc, profile);
}

fn summary(doc: &mut Document, profile: &AppArmorProfile) {
    let globs = profile
        .files()
        .filter(|(pattern, _)| pattern.is_glob())
        .count();
    let how = match profile.policy() {
        Policy::None => {
            " Paths are exactly the observed ones (`--generalise none`): process ids and names of temporary files will differ the next time."
        }
        Policy::Safe => "",
        Policy::Wide => {
            " Paths were generalised widely (`--generalise wide`), whole trees included."
        }
    };
    let complain = if profile.complain() {
        " **It only reports** (`--complain`) and denies nothing."
    } else {
        ""
    };
    doc.paragraph(&format!(
        "{}, of which {globs} cover more than one path. Everything else is denied and logged.{how}{complain}",
        count(profile.files().count(), "rule for files", "rules for files"),
    ));
}

fn unseen(doc: &mut Document, profile: &AppArmorProfile) {
    if profile.ptrace_not_monitored() {
        doc.paragraph(PTRACE_NOT_MONITORED);
    }
    let kinds = profile.unseen().map(|kind| match kind {
        ObservationKind::Traces => "ptrace".to_owned(),
        kind => kind.to_string(),
    });
    let kinds = list(kinds);
    if !kinds.is_empty() {
        doc.paragraph(&format!(
            "Not monitored while recording, so not restricted (except mounts, which are denied): {kinds}. `tracer doctor` shows what a kernel can monitor."
        ));
    }
}

fn lost(doc: &mut Document, profile: &AppArmorProfile) {
    let rows: Vec<_> = profile
        .lost()
        .map(|lost| [whole(&lost.what), lost.reason.as_str().to_owned()])
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(3, "Observed, but not expressible in AppArmor");
    doc.paragraph("Denied, unless the reason says otherwise.");
    doc.table(["What", "Why"], rows);
}

fn children(doc: &mut Document, profile: &AppArmorProfile) {
    let parts = match profile.division() {
        Division::Undivided => return,
        Division::Impossible(why) => {
            doc.heading(3, "Child profiles");
            doc.paragraph(&format!(
                "None: {}. All programs run under one profile.",
                why.as_str()
            ));
            return;
        }
        Division::Divided(parts) => parts,
    };
    doc.heading(3, "Child profiles");
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

fn rule_text(pattern: &Pattern) -> String {
    whole(&pattern.token().unwrap_or_default())
}

/// Most paths in one row.
const MAX_PATHS_IN_ROW: usize = 12;

/// Rules with the same permissions and programs share rows.
fn files(doc: &mut Document, profile: &AppArmorProfile) {
    let mut rows: BTreeMap<[String; 3], Vec<String>> = BTreeMap::new();
    let rules = profile.files().filter(|(_, rule)| {
        !(rule.permissions | rule.owner)
            .without(Permissions::LINK)
            .is_empty()
    });
    for (pattern, rule) in rules {
        let key = [
            or_dash(rule.permissions.to_string()),
            or_dash(rule.owner.to_string()),
            or_dash(executables(&rule.executables)),
        ];
        rows.entry(key).or_default().push(rule_text(pattern));
    }
    let rows = rows.iter().flat_map(|([anyone, owner, by], paths)| {
        paths.chunks(MAX_PATHS_IN_ROW).map(move |paths| {
            let paths = list(paths.iter().cloned());
            [anyone.clone(), owner.clone(), paths, by.clone()]
        })
    });
    doc.table(["Anyone", "Owner only", "Paths", "Used by"], rows);
}

/// The globs in rows of the rules that made them, each with the paths behind it.
fn globs(doc: &mut Document, profile: &AppArmorProfile) {
    let mut rows: BTreeMap<&BTreeSet<Reason>, Vec<String>> = BTreeMap::new();
    let globs = profile.files().filter(|(pattern, rule)| {
        // These speak for themselves: only the version differs.
        let versions = rule.reasons.iter().eq([&Reason::LibraryVersion]);
        pattern.is_glob() && !versions
    });
    for (pattern, rule) in globs {
        // A review is the same when the same was done again, so names of one run are not in it.
        let paths = if rule.reasons.iter().any(|reason| reason.is_of_one_run()) {
            "different in each run, see recording.json".to_owned()
        } else if rule.reasons.contains(&Reason::Imports) {
            format!("{} files, see recording.json", rule.paths.len())
        } else {
            or_dash(list(rule.paths.keys().map(|path| whole(&path.to_string()))))
        };
        let glob = format!("{} ({paths})", rule_text(pattern));
        rows.entry(&rule.reasons).or_default().push(glob);
    }
    if rows.is_empty() {
        return;
    }
    let globs = rows.values().map(Vec::len).sum();
    let folded = doc.folded(&format!(
        "{} behind them",
        count(globs, "glob, and the paths", "globs, and the paths")
    ));
    let rows = rows.into_iter().flat_map(|(reasons, globs)| {
        let reasons = reasons.iter().map(|reason| {
            let (name, sentence) = reason.explained();
            format!("`{name}`: {sentence}")
        });
        let why = list(reasons);
        let parts: Vec<_> = globs
            .chunks(MAX_PATHS_IN_ROW)
            .map(<[String]>::to_vec)
            .collect();
        parts
            .into_iter()
            .map(move |globs| [list(globs), why.clone()])
    });
    let rows: Vec<_> = rows.collect();
    doc.table(["Glob (observed paths)", "Why"], rows);
    doc.end_folded(folded);
}

fn links(doc: &mut Document, profile: &AppArmorProfile) {
    let rows: Vec<_> = profile
        .links()
        .map(|(new, old, rule)| {
            let subset = if rule.subset {
                "no"
            } else {
                "**yes**: the profile allows more through the new name than through the old one"
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
        doc.heading(3, "Hard links");
        doc.table(["New name", "Of", "Gains rights", "Made by"], rows);
    }
}

/// Capabilities, sockets, signals, ptrace and mounts, in one table.
fn others(doc: &mut Document, profile: &AppArmorProfile, needed: Option<&Capabilities>) {
    let mut rows = capabilities(profile);
    rows.extend(sockets(profile));
    rows.extend(signals(profile));
    let mounts = profile.mounts();
    rows.extend(mounts.map(|(text, rule)| {
        [
            whole(text),
            "mount".to_owned(),
            executables(&rule.executables),
        ]
    }));
    doc.heading(3, "Capabilities, sockets, signals, mounts");
    if rows.is_empty() {
        doc.paragraph("None was observed.");
    } else {
        doc.table(["Access", "Use", "Used by"], rows);
    }
    let perhaps = profile.capabilities().any(|(_, rule)| !rule.certain);
    let notes = [
        needed.map(|_| "All other capabilities can be dropped.".to_owned()),
        perhaps.then(|| PERHAPS_PROBES.to_owned()),
        profile.networks().next().map(|_| "AppArmor 3.0 cannot restrict addresses or ports.".to_owned()),
        profile.essential().then(|| {
            format!(
                "Always allowed (layer `essential`): signals from {}, which stop the workload, and signals between its own processes.",
                list(RUNTIMES.iter().map(|label| code(label)))
            )
        }),
        Some(LEFT_OPEN.to_owned()),
        Some(DENIED_UNSEEN.to_owned()),
    ];
    let notes: Vec<_> = notes.into_iter().flatten().collect();
    doc.paragraph(&notes.join(" "));
}

fn sockets(profile: &AppArmorProfile) -> impl Iterator<Item = [String; 3]> {
    profile.networks().map(|((family, kind), rule)| {
        let operations = list(rule.operations.iter().map(|it| operation(*it).to_owned()));
        let addresses = rule
            .addresses
            .iter()
            .map(|address| code(&address.to_string()));
        let more = rule.more.then(|| "and more".to_owned());
        let addresses = list(addresses.chain(more));
        let addresses = if addresses.is_empty() {
            addresses
        } else {
            format!("; {addresses}")
        };
        [
            AppArmorProfile::socket_name(family, kind),
            format!("{operations}{addresses}"),
            executables(&rule.executables),
        ]
    })
}

fn signals(profile: &AppArmorProfile) -> impl Iterator<Item = [String; 3]> {
    let signals = profile.signals().map(|(direction, other, rule)| {
        [
            list(rule.signals.iter().map(|number| signal(*number))),
            format!("{}, other end: {}", signalled(direction), peer(other)),
            executables(&rule.executables),
        ]
    });
    let traces = profile.traces().map(|(direction, other, rule)| {
        [
            "ptrace".to_owned(),
            format!("{}, other end: {}", traced(direction), peer(other)),
            executables(&rule.executables),
        ]
    });
    signals.chain(traces)
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
        doc.heading(3, "Done in other sessions only");
        doc.paragraph("Only processes started in the running container (`docker exec`, probes) did this, and the profile does not allow it; `--exec` selects which of them count.");
        doc.table(["What", "Used by"], rows);
    }
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
        let (_, excluded) = text.split_once("### Done in other sessions only").unwrap();
        for row in [
            "| writing `/etc/app.conf` |",
            "| capability `CAP_NET_BIND_SERVICE` |",
            "| socket `inet stream` |",
            "| sent a signal `exists, outside the container` |",
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

//! `tracer diff` for people: on a terminal, and in a pull request.

use super::{
    escape::{code, prose},
    html::Since,
    markdown::{Document, count},
    rules::{list, or_dash},
};
use tracer_core::{
    diff::{Change, ChangeKind, Diff, Kind},
    recording::plain_text::plain,
};

/// What changed, in the form of a unified diff: `before` and `after` are what the two are called.
pub fn diff_text(diff: &Diff, before: &str, after: &str) -> String {
    let mut text = format!("--- {}\n+++ {}\n", plain(before), plain(after));
    for note in &diff.notes {
        text.push_str(&format!("# {}\n", plain(note)));
    }
    text.push_str(&format!("# {}\n", summary(diff)));
    for change in &diff.changes {
        text.push_str(&format!("\n{}{}\n", sign(change), head(change)));
        for line in &change.before {
            text.push_str(&format!("-    {}\n", plain(line)));
        }
        for line in &change.after {
            text.push_str(&format!("+    {}\n", plain(line)));
        }
    }
    text
}

/// The same as Markdown, for the comment of a pull request.
pub fn diff_markdown(diff: &Diff, before: &str, after: &str) -> String {
    let mut doc = Document::default();
    let what = match diff.of {
        Kind::Recordings => "recordings",
        Kind::Profiles => "seccomp profiles",
        Kind::AppArmor => "AppArmor profiles",
    };
    doc.heading(
        2,
        &format!("From {} to {}: {what}", code(before), code(after)),
    );
    doc.paragraph(&format!("{}.", prose(&summary(diff))));
    doc.list(diff.notes.iter().map(|note| prose(note)));
    changes_table(&mut doc, diff);
    doc.into_text()
}

fn changes_table(doc: &mut Document, diff: &Diff) {
    let rows = diff.changes.iter().map(|change| {
        let side = |lines: &[String]| {
            or_dash(
                lines
                    .iter()
                    .map(|line| prose(line))
                    .collect::<Vec<_>>()
                    .join("<br>"),
            )
        };
        [
            change.kind.as_str().to_owned(),
            name(change),
            side(&change.before),
            side(&change.after),
            or_dash(known(change)),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        let what = match diff.of {
            Kind::Recordings | Kind::Profiles => "Call",
            Kind::AppArmor => "Rule",
        };
        doc.table(["", what, "Before", "After", "Notes"], rows);
    }
}

/// What changed since an older profile or recording, as a part of a review.
pub(super) fn changes(doc: &mut Document, since: &Since) {
    doc.heading(2, &format!("Changes since {}", code(&since.label)));
    match &since.calls {
        Some(diff) => {
            doc.paragraph(&format!("System calls: {}.", prose(&summary(diff))));
            doc.list(diff.notes.iter().map(|note| prose(note)));
            changes_table(doc, diff);
        }
        None => doc.paragraph("The older one has no system calls to compare."),
    }
    match &since.rules {
        Some(diff) => {
            doc.paragraph(&format!("AppArmor rules: {}.", prose(&summary(diff))));
            doc.list(diff.notes.iter().map(|note| prose(note)));
            changes_table(doc, diff);
        }
        None => doc.paragraph("Files, capabilities, sockets and signals are not compared: only one of the two has them."),
    }
}

/// `3 differences: 1 added, 2 removed`.
fn summary(diff: &Diff) -> String {
    if diff.changes.is_empty() {
        return "no difference".to_owned();
    }
    let kinds = [
        ChangeKind::Added,
        ChangeKind::Removed,
        ChangeKind::Arguments,
        ChangeKind::Action,
        ChangeKind::Phases,
    ];
    let parts = kinds.into_iter().filter_map(|kind| {
        let of_kind = diff.changes.iter().filter(|it| it.kind == kind);
        let many = of_kind.count();
        let what = match kind {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Arguments if diff.of == Kind::AppArmor => "with other permissions",
            ChangeKind::Action if diff.of == Kind::AppArmor => "with other flags",
            ChangeKind::Arguments => "with other arguments",
            ChangeKind::Action => "with another action",
            ChangeKind::Phases => "in other phases",
        };
        (many > 0).then(|| format!("{many} {what}"))
    });
    let parts: Vec<_> = parts.collect();
    let grants = diff.changes.iter().filter(|it| it.grants).count();
    let harmless = diff.changes.iter().filter(|it| it.headroom.is_some());
    let harmless = match harmless.count() {
        0 => String::new(),
        some => format!(", {some} of them harmless (headroom)"),
    };
    let grants = match (grants, diff.of) {
        (0, _) => String::new(),
        (1, Kind::Profiles | Kind::AppArmor) => format!("; 1 is more permissive{harmless}"),
        (_, Kind::Profiles | Kind::AppArmor) => format!("; {grants} are more permissive{harmless}"),
        (1, Kind::Recordings) => "; 1 adds behaviour".to_owned(),
        (_, Kind::Recordings) => format!("; {grants} add behaviour"),
    };
    format!(
        "{}: {}{grants}",
        count(diff.changes.len(), "difference", "differences"),
        parts.join(", ")
    )
}

const fn sign(change: &Change) -> char {
    match change.kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Arguments | ChangeKind::Action | ChangeKind::Phases => '~',
    }
}

/// The call, where, and what is known against it.
fn head(change: &Change) -> String {
    let abis: Vec<_> = change.abis.iter().map(|abi| abi.as_str()).collect();
    let mut head = plain(&change.call);
    if !abis.is_empty() {
        head.push_str(&format!(" ({})", abis.join(", ")));
    }
    let known = known(change);
    if !known.is_empty() {
        head.push_str(&format!("  ! {known}"));
    }
    head
}

fn name(change: &Change) -> String {
    if change.abis.is_empty() {
        return code(&change.call);
    }
    let abis = change.abis.iter().map(|abi| abi.as_str().to_owned());
    let abis = list(abis);
    if change.is_of_many() {
        format!("{} ({abis})", prose(&change.call))
    } else {
        format!("{} ({abis})", code(&change.call))
    }
}

fn known(change: &Change) -> String {
    let capabilities: Vec<_> = change.capabilities.iter().copied().collect();
    let takes = match capabilities.as_slice() {
        [] => None,
        some => Some(format!("requires {}", some.join(", "))),
    };
    let parts = [
        change.headroom.map(|group| format!("headroom: {group}")),
        change.risk.map(|it| it.trim_end_matches('.').to_owned()),
        takes,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscalls::Abi;
    use tracer_core::{
        diff::{profiles, recordings},
        profile::seccomp::{
            evaluate::{Filter, Host, Libseccomp, OciRuntime},
            fixture::{mixed, path, recording},
            oci::OciSeccomp,
        },
        recording::Phase,
    };

    fn of_profiles() -> Diff {
        let host = Host {
            native: Abi::X86_64,
            runtime: OciRuntime::Crun,
            libseccomp: Libseccomp::Newest,
        };
        let filter = |json| Filter::new(&OciSeccomp::from_json(json).unwrap(), host).unwrap();
        profiles(
            &filter(
                r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read","uname","nothing"],"action":"SCMP_ACT_ALLOW"}]}"#,
            ),
            &filter(
                r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86"],"syscalls":[{"names":["read","mount"],"action":"SCMP_ACT_ALLOW"},{"names":["ptrace"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":16,"op":"SCMP_CMP_EQ"}]}]}"#,
            ),
        )
    }

    fn of_recordings() -> Diff {
        let before = recording(&[
            (Abi::X86_64, 0, Phase::Run, path("/usr/sbin/nginx")),
            (Abi::X86_64, 63, Phase::Run, path("/usr/sbin/nginx")),
        ]);
        recordings(&before, &mixed())
    }

    #[test]
    fn profiles_as_text() {
        insta::assert_snapshot!(diff_text(&of_profiles(), "a.json", "b.json"));
    }

    #[test]
    fn profiles_as_markdown() {
        insta::assert_snapshot!(diff_markdown(&of_profiles(), "a.json", "b|.json"));
    }

    #[test]
    fn recordings_as_text() {
        insta::assert_snapshot!(diff_text(&of_recordings(), "a", "b\n+++ c"));
    }

    fn of_apparmor(before: &str, after: &str) -> Diff {
        let read = |text: &str| {
            let input = tracer_core::parse::Input::new("f", text.into()).unwrap();
            let subject = tracer_core::parse::choose(&input, None).unwrap();
            subject.apparmor().unwrap().clone()
        };
        tracer_core::diff::apparmor(&read(before), &read(after))
    }

    #[test]
    fn apparmor_as_markdown() {
        let diff = of_apparmor(
            "profile a {\n  /etc/a r,\n}\n",
            "profile a {\n  /etc/a rw,\n  network inet,\n}\n",
        );
        let text = diff_markdown(&diff, "a", "b");
        assert!(
            text.starts_with("## From `a` to `b`: AppArmor profiles\n"),
            "{text}"
        );
        assert!(
            text.contains("|  | Rule | Before | After | Notes |"),
            "{text}"
        );
        assert!(
            text.contains("| arguments | `/etc/a` | r | rw | - |"),
            "{text}"
        );
        assert!(
            text.contains("| added | `network inet` | - | - | - |"),
            "{text}"
        );
    }

    #[test]
    fn hostile_rule_stays_on_one_line() {
        let diff = of_apparmor(
            "profile a {\n}\n",
            "profile a {\n  \"/x\u{1b}[2J|y\n# no difference\" r,\n}\n",
        );
        let text = diff_text(&diff, "a", "b");
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(!text.contains("\n# no difference"), "{text}");
        let markdown = diff_markdown(&diff, "a", "b");
        assert!(!markdown.contains('\u{1b}'), "{markdown}");
        assert_eq!(
            markdown
                .lines()
                .filter(|line| line.starts_with('|'))
                .count(),
            3
        );
    }

    #[test]
    fn equal_recordings_show_no_difference() {
        let same = recordings(&mixed(), &mixed());
        assert!(diff_text(&same, "a", "b").ends_with("\n# no difference\n"));
    }
}

//! The part of `REVIEW.md` about the SELinux profile: what is sensitive first, then every rule with the program
//! that used it, and what no rule can express.

use super::{
    escape::{code, whole},
    markdown::{Document, count},
    rules::{executables, or_dash},
};
use tracer_core::{
    profile::selinux::{Base, Risk, SelinuxProfile, risk},
    recording::SelinuxTarget,
};

/// The review of an SELinux profile, as a part of a review.
pub(super) fn selinux_rules(doc: &mut Document, profile: &SelinuxProfile) {
    doc.heading(2, &format!("SELinux: type {}", code(&profile.type_name())));
    summary(doc, profile);
    sensitive(doc, profile);
    rules(doc, profile);
    lost(doc, profile);
}

fn summary(doc: &mut Document, profile: &SelinuxProfile) {
    let base = match &profile.base {
        Base::Block(name) => format!(
            "What the block {} allows is not listed here, and was not recorded.",
            code(name)
        ),
        Base::Standalone => {
            "What the attribute `domain` allows is not listed here, and was not recorded."
                .to_owned()
        }
    };
    let complain = if profile.complain {
        " **It only reports** (`--complain`) and denies nothing."
    } else {
        ""
    };
    let domain = profile.recorded.as_deref().map_or_else(
        || "No access beyond that was observed.".to_owned(),
        |domain| format!("Recorded in the domain {}.", code(domain)),
    );
    let rules = count(profile.rules.len(), "rule", "rules");
    doc.paragraph(&format!("{rules}. {domain} {base}{complain}"));
}

/// What a target is called in a table.
fn target(of: &SelinuxTarget) -> String {
    match of {
        SelinuxTarget::Domain => "itself".to_owned(),
        SelinuxTarget::Type(name) => code(name),
    }
}

fn sensitive(doc: &mut Document, profile: &SelinuxProfile) {
    let mut found: Vec<_> = profile
        .permissions()
        .filter_map(|(of, class, permission)| {
            let name = match of {
                SelinuxTarget::Domain => "",
                SelinuxTarget::Type(name) => name,
            };
            let risk = risk(name, class, permission)?;
            Some((
                risk,
                target(of),
                format!("{} {}", code(class), code(permission)),
            ))
        })
        .collect();
    if found.is_empty() {
        return;
    }
    let level = |risk: &Risk| match risk {
        Risk::Severe(_) => "severe",
        Risk::High(_) => "high",
        Risk::Notable(_) => "notable",
    };
    found.sort();
    let rows = found.iter().map(|(risk, target, what)| {
        [
            level(risk).to_owned(),
            target.clone(),
            what.clone(),
            risk.reason().to_owned(),
        ]
    });
    doc.heading(3, "Sensitive");
    doc.table(["Risk", "Target", "Access", "Why"], rows);
}

fn rules(doc: &mut Document, profile: &SelinuxProfile) {
    let mut rows: Vec<[String; 4]> = Vec::new();
    for ((of, class), rule) in &profile.rules {
        let names: Vec<_> = rule.permissions.iter().map(|it| code(it)).collect();
        let mark = if rule.inherited {
            " (inherited from what started it)"
        } else {
            ""
        };
        rows.push([
            format!("{}{mark}", target(of)),
            code(class),
            names.join(" "),
            or_dash(executables(&rule.executables)),
        ]);
    }
    if rows.is_empty() {
        return;
    }
    doc.heading(3, "Rules");
    doc.table(["Target", "Class", "Permissions", "First used by"], rows);
    let callers = profile.callers.iter().map(|((source, class), rule)| {
        let names: Vec<_> = rule.permissions.iter().map(|it| code(it)).collect();
        format!("{} may {} ({})", code(source), names.join(" "), code(class))
    });
    let callers: Vec<_> = callers.collect();
    if !callers.is_empty() {
        doc.paragraph("What others may do to the domain, so that it can be started:");
        doc.list(callers);
    }
}

fn lost(doc: &mut Document, profile: &SelinuxProfile) {
    if profile.lost.is_empty() {
        return;
    }
    doc.heading(3, "Observed, but not in a rule");
    let rows = profile
        .lost
        .iter()
        .map(|it| [whole(&it.what), it.reason.as_str().to_owned()]);
    doc.table(["Access", "Reason"], rows);
}

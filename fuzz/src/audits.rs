//! Audits of whatever is fed, and what must hold of their findings.

use std::collections::BTreeSet;

use syscalls::Abi;
use tracer_core::{
    audit::{self, Context, Input, Lookup, output, rules},
    diff, parse,
    profile::seccomp::read::KernelVersion,
};

/// Whether the input was read as a profile, a manifest or AppArmor text. Panics when something does not
/// hold.
pub(crate) fn audit(bytes: &[u8]) -> bool {
    let input = match Input::new("input", bytes.to_vec()) {
        Ok(input) => input,
        Err(malformed) => {
            drop(malformed.to_string());
            return false;
        }
    };
    // A manifest that names a profile gets itself: no profile, or one that names none.
    let lookup = |name: &str| match name.len() % 2 {
        0 => Lookup::Found(input.clone()),
        _ => Lookup::Missing(name.to_owned()),
    };
    let capabilities = BTreeSet::from(["CAP_SYS_TIME".to_owned()]);
    let context = Context {
        capabilities: &capabilities,
        in_container: true,
        lookup: &lookup,
        ..Context::new(Abi::X86_64, KernelVersion::new(6, 1))
    };
    let inputs = [input.clone()];
    let report = audit::run(&inputs, &context);
    for finding in &report.findings {
        let place = &finding.place;
        let (begin, end) = place.bytes;
        assert!(
            input.text().get(begin..end).is_some() && place.line >= 1 && place.column >= 1,
            "{finding:?}"
        );
        assert!(rules::named(finding.id).is_some(), "{finding:?}");
    }
    for malformed in &report.malformed {
        assert!(malformed.position.is_some(), "{malformed:?}");
        drop(malformed.to_string());
    }
    compare(&input);
    drop(output::text(&report, &inputs, false));
    drop(output::json(&report));
    drop(output::sarif(&report));
    report.profiles > 0
}

/// The profiles of a file, each chosen by its number; an AppArmor profile is the same as itself.
fn compare(input: &Input) {
    for number in 0..4 {
        let name = (number > 0).then(|| number.to_string());
        match parse::choose(input, name.as_deref()) {
            Ok(subject) => {
                let Some(profile) = subject.apparmor() else {
                    continue;
                };
                let same = diff::apparmor(profile, profile);
                assert!(same.changes.is_empty(), "{same:?}");
                drop(tracer_report::diff_text(&same, "a", "b"));
            }
            Err(malformed) => {
                assert!(malformed.position.is_some(), "{malformed:?}");
                drop(malformed.to_string());
            }
        }
    }
}

//! The layer `headroom`: harmless calls that were not observed, and why each may be there.

use super::{
    escape::code,
    markdown::Document,
    rules::{list, or_dash},
};
use syscalls::headroom::{HEADROOM_GROUPS, LEFT_OUT};

/// `docs/headroom.md`: every group with its calls, and what was weighed and left out.
pub fn headroom_page() -> String {
    let mut doc = Document::default();
    doc.heading(1, "Headroom: harmless calls that were not observed");
    doc.paragraph("Generated from the table in `crates/syscalls/src/headroom/`. A recording shows one run. The next one sleeps, reads its limits or flushes a file, and fails for nothing if that is denied. `--headroom safe`, the default, adds such calls to the seccomp profile; `--headroom none` leaves them out, and the profile is what it was without this layer. A call is added only if all of this holds:");
    doc.list(
        [
            "**It touches nothing outside of the process**: no path, no other process, no device, no setting of the machine.",
            "**It grants nothing beyond what is allowed.** What needs more is added beside a call that the workload makes and that grants as much, or for some arguments only.",
            "**The kernel code behind it is small**, and has no history of exploited flaws.",
        ]
        .map(str::to_owned),
    );
    doc.paragraph("Not added is a call that a filter stopped while the workload was recorded, nor anything beside calls that only the container runtime makes. `REVIEW.md` lists the layer apart, `tracer explain` says why a call is in it, `tracer diff` reports it apart, and `tracer audit --recording` does not count it as unused. A systemd drop-in has no conditions on arguments, so calls that are harmless with some arguments only are left out there.");
    for group in HEADROOM_GROUPS {
        doc.heading(2, &sentence(group.title));
        doc.list([
            format!("When: {}.", group.need),
            format!("Why it is harmless: {}.", group.grants),
            format!("Kernel code: {}.", group.surface),
        ]);
        let rows = group.rules.iter().map(|rule| {
            [
                list(rule.adds.iter().map(|name| code(name))),
                or_dash(list(rule.beside.iter().map(|name| code(name)))),
                rule.only.map_or_else(
                    || "any".to_owned(),
                    |only| format!("only when {}", only.when),
                ),
            ]
        });
        doc.table(["Calls", "Beside any of", "Arguments"], rows);
    }
    doc.heading(2, "Weighed and left out");
    let rows = LEFT_OUT.iter().map(|row| {
        [
            list(row.calls.iter().map(|name| code(name))),
            row.reason.to_owned(),
        ]
    });
    doc.table(["Calls", "Why"], rows);
    doc.into_text()
}

/// With a capital at its beginning.
fn sentence(title: &str) -> String {
    let mut letters = title.chars();
    let first = letters.next().map(|it| it.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use crate::review::review;
    use syscalls::Abi;
    use tracer_core::{
        profile::seccomp::{
            HeadroomPolicy, Options, SeccompProfile,
            fixture::{path, recording},
        },
        recording::Phase,
    };

    fn reviewed(headroom: HeadroomPolicy) -> String {
        let seen = ["read", "write", "select"].map(|name| {
            let nr = Abi::X86_64.syscall_number(name).unwrap();
            (Abi::X86_64, nr, Phase::Run, path("/bin/x"))
        });
        let recordings = [recording(&seen)];
        let options = Options {
            headroom,
            ..Options::default()
        };
        let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
        review(&recordings, &profile)
    }

    #[test]
    fn headroom_is_shown_apart_and_folded() {
        let text = reviewed(HeadroomPolicy::Safe);
        let (before, folded) = text.split_once("<details>").unwrap();
        let rules = before.split("## System calls").nth(1).unwrap();
        assert!(!rules.contains("`getuid`"), "{rules}");
        let folded = folded.split("</details>").next().unwrap();
        for name in ["`getuid`", "`fsync`", "`poll`", "`getpgid`"] {
            assert!(folded.contains(name), "{name}: {folded}");
        }
        assert!(text.contains("(layer `headroom`)"));
    }

    #[test]
    fn without_headroom_nothing_is_said_of_it() {
        let text = reviewed(HeadroomPolicy::None);
        assert!(text.contains("`headroom`: none, by `--headroom none`"));
        assert!(!text.contains("`getuid`"));
    }
}

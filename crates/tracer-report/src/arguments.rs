//! The calls that are allowed for some arguments only.

use super::{
    escape::{code, prose},
    markdown::Document,
    rules::{executables, list, or_dash},
};
use syscalls::{Abi, errno, translate::uses_socketcall};
use tracer_core::profile::{
    Layer,
    seccomp::{Rule, SeccompProfile},
};

pub(super) fn restricted(doc: &mut Document, profile: &SeccompProfile) {
    let rows: Vec<_> = profile
        .rules()
        // What is only headroom has a table of its own.
        .filter(|(_, rule)| rule.layer() != Some(Layer::Headroom))
        .flat_map(|(name, rule)| {
            let only = rule.only().into_iter().flatten();
            only.map(|(conditions, alternative)| {
                let layers = alternative.layers().map(|layer| layer.as_str().to_owned());
                [
                    code(name),
                    alternative.when().map(prose).collect::<Vec<_>>().join("; "),
                    conditions.to_string(),
                    list(layers),
                ]
            })
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Allowed for some arguments only");
    doc.paragraph(if profile.default_errno() == errno::ENOSYS {
        "Called with other arguments, these calls return ENOSYS and not EPERM, old ones too: a profile can name one error for all of a call only. It is as if the kernel did not have them, upon which libc goes back to older calls."
    } else {
        "Called with other arguments, these calls return EPERM."
    });
    if let Some(clone3) = profile.replaced_clone3() {
        doc.paragraph(&format!(
            "`clone3`, whose flags no filter can look at, was called by {}. It returns ENOSYS here, upon which libcs and language runtimes call `clone`, which is allowed for the namespaces that clone3 made, or for none.",
            executables(clone3.executables())
        ));
    }
    doc.table(["Call", "Only when", "Compared", "Layers"], rows);
    by_socketcall(doc, profile);
}

/// Which of them are not restricted after all; see [`tracer_core::profile::seccomp::oci`].
fn by_socketcall(doc: &mut Document, profile: &SeccompProfile) {
    let is_refused = profile
        .refused()
        .chain(profile.absent())
        .any(|name| name == "socketcall");
    if is_refused || profile.architectures().all(|abi| abi != Abi::I386) {
        return;
    }
    let open: Vec<_> = profile
        .rules()
        .filter(|(name, rule)| rule.only().is_some() && uses_socketcall(name))
        .map(|(name, _)| code(name))
        .collect();
    if !open.is_empty() {
        doc.paragraph(&format!(
            "**On i386, and by `int 0x80`, this does not hold for {}**: made by `socketcall`, their arguments are in memory, where no filter can look. libseccomp allows that with any.",
            list(open)
        ));
    }
}

/// Calls whose arguments are recorded and are not restricted all the same.
pub(super) fn open(doc: &mut Document, profile: &SeccompProfile) {
    let rows: Vec<_> = profile
        .rules()
        .filter(|(_, rule)| rule.only().is_none())
        .filter_map(|(name, rule)| {
            let why: Vec<_> = rule.unrestricted_reasons().collect();
            (!why.is_empty()).then(|| [code(name), or_dash(values(rule)), why.join("; ")])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.heading(2, "Left open: arguments");
    doc.paragraph("The profile lets these calls through with any arguments, although what they were given is recorded. `--arguments all` restricts them where that can be done, to what was seen: record what the workload does under load first.");
    doc.table(["Call", "Seen with", "Why it is open"], rows);
}

/// The values that a call was seen with.
fn values(rule: &Rule) -> String {
    /// Most that are told.
    const MAX_SHOWN: usize = 12;
    let all = rule.values();
    let shown = all.iter().take(MAX_SHOWN).map(|values| prose(values));
    let more = all.len().checked_sub(MAX_SHOWN).filter(|more| *more > 0);
    let more = more.map(|more| format!("and {more} more"));
    shown.chain(more).collect::<Vec<_>>().join("; ")
}

/// The name of a call, as tables have it that do not tell for which arguments it is allowed.
pub(super) fn marked(name: &str, rule: &Rule) -> String {
    match rule.only() {
        None => code(name),
        Some(_) => format!("{} (some arguments)", code(name)),
    }
}

#[cfg(test)]
mod tests {
    use crate::review;
    use syscalls::{Abi, arguments::recorded};
    use tracer_core::{
        profile::seccomp::{
            ErrnoPolicy, FallbackPolicy, HeadroomPolicy, Options, SeccompProfile,
            fixture::{path, recording},
        },
        recording::{Arguments, Combination, Phase},
    };

    #[test]
    fn states_what_socketcall_can_do_on_i386() {
        let run = |abi: Abi, name| {
            let nr = abi.syscall_number(name).unwrap();
            (abi, nr, Phase::Run, path("/bin/x"))
        };
        let said = |other, errno| {
            let mut recording = recording(&[run(Abi::X86_64, "socket"), other]);
            let socket = &mut recording.syscalls[0];
            socket.arguments = Some(Arguments {
                indices: recorded(Abi::X86_64, "socket").unwrap().indices(),
                seen: vec![Combination {
                    phase: Phase::Run,
                    values: vec![2, 1, 0],
                    executables: [path("/bin/x")].into(),
                }],
                cut: [].into(),
            });
            let options = Options {
                errno,
                fallbacks: FallbackPolicy::None,
                headroom: HeadroomPolicy::None,
                ..Options::default()
            };
            let recordings = [recording];
            let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
            review(&recordings, &profile)
                .contains("**On i386, and by `int 0x80`, this does not hold for `socket`**")
        };
        assert!(said(run(Abi::I386, "socketcall"), ErrnoPolicy::Probed));
        assert!(said(run(Abi::I386, "socketcall"), ErrnoPolicy::Eperm));
        // Refused as a whole.
        assert!(!said(run(Abi::I386, "read"), ErrnoPolicy::Probed));
        assert!(!said(run(Abi::I386, "read"), ErrnoPolicy::Eperm));
        assert!(!said(run(Abi::X86_64, "read"), ErrnoPolicy::Eperm));
    }
}

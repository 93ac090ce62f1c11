//! The calls that are allowed for some arguments only.

use super::{
    escape::{code, prose},
    markdown::Document,
    rules::{executables, list},
};
use syscalls::{Abi, condition::Conditions, errno, translate::uses_socketcall};
use tracer_core::profile::{
    Layer,
    seccomp::{Alternative, Rule, SeccompProfile},
};

pub(super) fn restricted(doc: &mut Document, profile: &SeccompProfile) {
    let rows: Vec<_> = profile
        .rules()
        // What is only headroom has a table of its own.
        .filter(|(_, rule)| rule.layer() != Some(Layer::Headroom))
        .filter_map(|(name, rule)| {
            let only = rule.only()?;
            let each = |of: &dyn Fn(&Conditions, &Alternative) -> String| {
                let all: Vec<_> = only.iter().map(|(it, how)| of(it, how)).collect();
                all.join("<br>")
            };
            Some([
                code(name),
                each(&|_, how| {
                    let layers = how.layers().map(|layer| layer.as_str().to_owned());
                    let when: Vec<_> = how.when().map(prose).collect();
                    format!("{} ({})", when.join("; "), list(layers))
                }),
                each(&|conditions, _| conditions.to_string()),
            ])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    doc.paragraph(if profile.default_errno() == errno::ENOSYS {
        "**Allowed with some arguments only.** With any other arguments these return ENOSYS instead of EPERM, since a profile can set only one error per call. Callers fall back as if the kernel did not have the call."
    } else {
        "**Allowed with some arguments only.** With any other arguments these return EPERM."
    });
    if let Some(clone3) = profile.replaced_clone3() {
        doc.paragraph(&format!(
            "`clone3` was called by {}. A filter cannot read its flags, so it returns ENOSYS here, and libc and language runtimes fall back to `clone`, which is allowed with the namespaces that clone3 created, or none.",
            executables(clone3.executables())
        ));
    }
    doc.table(["Call", "Only when", "Compared"], rows);
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
            "**On i386, and through `int 0x80`, this does not restrict {}**: `socketcall` has their arguments in memory, which a filter cannot read. libseccomp allows it with any arguments.",
            list(open)
        ));
    }
}

/// Calls whose arguments are recorded and are not restricted all the same.
pub(super) fn open(doc: &mut Document, profile: &SeccompProfile) {
    let open = profile
        .rules()
        .filter(|(_, rule)| rule.only().is_none() && rule.unrestricted_reasons().next().is_some());
    let calls: Vec<_> = open
        .map(|(name, rule)| {
            let values = values(rule);
            let values = Some(values).filter(|it| !it.is_empty());
            let why = rule.unrestricted_reasons().map(str::to_owned);
            let parts: Vec<_> = values.into_iter().chain(why).collect();
            format!("{} ({})", code(name), parts.join(": "))
        })
        .collect();
    if !calls.is_empty() {
        doc.paragraph(&format!(
            "Allowed with any arguments, although some were recorded: {}. `--arguments all` restricts them to the recorded ones.",
            list(calls)
        ));
    }
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
                .contains("**On i386, and through `int 0x80`, this does not restrict `socket`**")
        };
        assert!(said(run(Abi::I386, "socketcall"), ErrnoPolicy::Probed));
        assert!(said(run(Abi::I386, "socketcall"), ErrnoPolicy::Eperm));
        // Refused as a whole.
        assert!(!said(run(Abi::I386, "read"), ErrnoPolicy::Probed));
        assert!(!said(run(Abi::I386, "read"), ErrnoPolicy::Eperm));
        assert!(!said(run(Abi::X86_64, "read"), ErrnoPolicy::Eperm));
    }
}

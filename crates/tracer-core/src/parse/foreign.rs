//! Profiles of other sandboxes: named as what they are, and not read.

use syscalls::Abi;

use super::Input;

/// What a text is, when it is a profile of another sandbox.
pub(super) fn recognized(input: &Input) -> Option<&'static str> {
    let text = input.text();
    if is_firejail(text) {
        return Some(
            "not an AppArmor profile but one of firejail, which is recognized and not read",
        );
    }
    is_minijail(text).then_some("a policy of minijail is recognized, but not read")
}

/// Commands that only firejail has (firejail-profile(5)).
const FIREJAIL: [&str; 26] = [
    "caps.drop",
    "caps.keep",
    "noblacklist",
    "blacklist",
    "nowhitelist",
    "whitelist",
    "whitelist-ro",
    "nonewprivs",
    "noroot",
    "netfilter",
    "disable-mnt",
    "private-dev",
    "private-tmp",
    "private-etc",
    "private-bin",
    "private-lib",
    "private-cache",
    "seccomp.drop",
    "seccomp.keep",
    "memory-deny-write-execute",
    "ipc-namespace",
    "nogroups",
    "nosound",
    "nodvd",
    "novideo",
    "nou2f",
];

/// The lines that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn is_firejail(text: &str) -> bool {
    const LOOKED_AT: usize = 200;
    lines(text).take(LOOKED_AT).any(|line| {
        let first = line.split_whitespace().next().unwrap_or_default();
        FIREJAIL.contains(&first)
    })
}

/// Lines of a call and what becomes of it (minijail0(5), "Seccomp_filter policy").
fn is_minijail(text: &str) -> bool {
    const LOOKED_AT: usize = 20;
    const ACTIONS: [&str; 9] = [
        "1",
        "allow",
        "kill",
        "return",
        "trap",
        "trace",
        "log",
        "user-notify",
        "arg",
    ];
    let is_rule = |line: &str| {
        let Some((name, action)) = line.split_once(':') else {
            return false;
        };
        let action = action.trim_start_matches([' ', '\t', '{', '(']);
        let is_call = Abi::ALL
            .iter()
            .any(|abi| abi.syscall_number(name.trim()).is_some());
        is_call && ACTIONS.iter().any(|known| action.starts_with(known))
    };
    // `@include` and `@frequency` stand between.
    let mut rules = lines(text)
        .filter(|line| !line.starts_with('@'))
        .take(LOOKED_AT)
        .peekable();
    rules.peek().is_some() && rules.all(is_rule)
}

//! The tables of `second-day`.

use super::Outcome;

/// The tables, as `docs/benchmarks.md` has them.
pub(super) fn report(outcomes: &[Outcome]) -> String {
    let mut text = "| program | operations | fail without headroom | fail with | fail after a top-up | lack an AppArmor rule | calls without | calls with | calls after a top-up |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n".to_owned();
    let mut sums = [0; 5];
    for it in outcomes {
        let [without, with] = &it.failed;
        let (allowed, topped_up) = (it.topped_up.0, &it.topped_up.1);
        let counts = [
            it.operations,
            without.len(),
            with.len(),
            topped_up.len(),
            it.denied_by_apparmor.len(),
        ];
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {allowed} |\n",
            it.program,
            counts[0],
            counts[1],
            counts[2],
            counts[3],
            counts[4],
            it.allowed[0],
            it.allowed[1]
        );
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    let [operations, without, with, topped_up, apparmor] = sums;
    text += &format!(
        "| all | {operations} | {without} | {with} | {topped_up} | {apparmor} | | | |\n\n"
    );
    text += "| program | operation | denied | with headroom |\n| --- | --- | --- | --- |\n";
    for it in outcomes {
        let [without, with] = &it.failed;
        for failure in without {
            let still = with
                .iter()
                .find(|other| other.operation == failure.operation);
            let still = still.map_or_else(
                || "works".to_owned(),
                |it| format!("denied: {} ({})", it.denied, features(&it.denied)),
            );
            text += &format!(
                "| {} | {} | {} | {still} |\n",
                it.program, failure.operation, failure.denied
            );
        }
        for failure in &it.topped_up.1 {
            text += &format!(
                "| {} | {} | after the top-up: {} | |\n",
                it.program, failure.operation, failure.denied
            );
        }
    }
    text +=
        "\n| program | operation | accesses that no AppArmor rule allows |\n| --- | --- | --- |\n";
    for it in outcomes {
        for failure in &it.denied_by_apparmor {
            text += &format!(
                "| {} | {} | {} |\n",
                it.program, failure.operation, failure.denied
            );
        }
    }
    text
}

/// What the program did not do in the recorded run, by the calls that were denied.
fn features(denied: &str) -> String {
    const FEATURES: [(&str, &[&str]); 5] = [
        (
            "changes names",
            &[
                "link",
                "linkat",
                "mkdir",
                "mkdirat",
                "rename",
                "renameat",
                "renameat2",
                "rmdir",
                "symlink",
                "symlinkat",
                "unlink",
                "unlinkat",
            ],
        ),
        ("changes modes", &["chmod", "fchmod", "fchmodat"]),
        ("makes processes or threads", &["clone", "fork", "vfork"]),
        (
            "makes sockets",
            &["bind", "connect", "socket", "socketpair"],
        ),
        ("sets up event loops", &["epoll_create1", "timerfd_create"]),
    ];
    let calls: Vec<_> = denied.split(", ").collect();
    let new = FEATURES
        .iter()
        .filter(|(_, of)| of.iter().any(|call| calls.contains(call)));
    let new: Vec<_> = new.map(|(feature, _)| *feature).collect();
    if new.is_empty() {
        "no new feature".to_owned()
    } else {
        new.join(", ")
    }
}

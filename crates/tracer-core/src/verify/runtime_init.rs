//! What would happen to the calls that runtimes make after they have loaded the filter.

use std::collections::BTreeMap;

use super::{Answer, RuntimeInitFinding, VerifyInput, answer, outcomes, registers};
use crate::{
    profile::seccomp::evaluate::{Filter, Host, OciRuntime},
    recording::SyscallId,
};
use syscalls::{
    Abi,
    arguments::recorded,
    runtime_init::{OPTIONAL_SYSCALLS, Row, Source, describe},
};

/// A finding, and whose it is.
pub(super) struct NeededSyscall {
    pub(super) finding: RuntimeInitFinding,
    rows: Vec<&'static Row>,
}

impl NeededSyscall {
    /// Whether some version of a runtime makes the call each time it starts a container with this
    /// setting.
    pub(super) fn is_for(&self, runtime: OciRuntime, no_new_privileges: bool) -> bool {
        self.rows.iter().any(|row| {
            is_always(row)
                && row.runtime == runtime
                && row.no_new_privs.is_none_or(|it| it == no_new_privileges)
        })
    }
}

/// Everything that is denied or undecided, of the chosen runtimes and settings. What they do is known of
/// 64-bit machines only.
pub(super) fn verify(question: &VerifyInput<'_>, filters: &[(Host, Filter)]) -> Vec<NeededSyscall> {
    let mut found: BTreeMap<_, (Vec<_>, Vec<&'static Row>)> = BTreeMap::new();
    let wanted = |row: &&Row| match (row.no_new_privs, question.no_new_privileges) {
        (Some(of_row), Some(wanted)) => of_row == wanted,
        _ => true,
    };
    for (host, filter) in filters.iter().filter(|(host, _)| !host.native.is_32_bit()) {
        let rows = question.runtime_init.rows().filter(wanted);
        for row in rows.filter(|row| row.runtime == host.runtime) {
            for (call, given) in calls(row, host.native) {
                let Some(nr) = host.native.syscall_number(call) else {
                    continue;
                };
                let abi = host.native;
                let possible = given.possible_verdicts(filter, SyscallId { abi, nr });
                let answer = answer(&possible);
                if answer == Answer::Allowed {
                    continue;
                }
                let key = (answer, call, host.native, given.words);
                let (outcome, rows) = found.entry(key).or_default();
                for one in outcomes(&possible) {
                    if !outcome.contains(&one) {
                        outcome.push(one);
                    }
                }
                rows.push(row);
            }
        }
    }
    found
        .into_iter()
        .map(
            |((answer, call, machine, given), (outcomes, rows))| NeededSyscall {
                finding: RuntimeInitFinding {
                    call,
                    machine,
                    given,
                    answer,
                    outcomes,
                    needed_by: describe(&rows),
                    always: rows.iter().any(|row| is_always(row)),
                },
                rows,
            },
        )
        .collect()
}

/// What each start makes, not what depends on a race or a build.
const fn is_always(row: &Row) -> bool {
    !matches!(row.source, Source::Possible(_))
}

/// Each call of a row, with what it is given.
fn calls(row: &'static Row, native: Abi) -> Vec<(&'static str, registers::KnownRegisters)> {
    let needed = row
        .calls
        .iter()
        .filter(|it| !OPTIONAL_SYSCALLS.contains(it));
    needed
        .flat_map(|call| {
            let values = row.values.iter().filter(|(of, _)| of == call);
            let known: Vec<_> = values
                .filter_map(|(_, value)| {
                    Some((
                        *call,
                        registers::first_value(recorded(native, call)?, *value),
                    ))
                })
                .collect();
            if known.is_empty() {
                vec![(*call, registers::nothing())]
            } else {
                known
            }
        })
        .collect()
}

//! From a profile to rules by number, as a runtime hands them to libseccomp.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::oci::{Action, Condition, Entry, OciSeccomp},
    Host, OciRuntime, Refusal, Verdict,
    host::Architecture,
    multiplex::multiplexed,
    rule::{Rule, Test, width},
    tree::Rules,
};
use syscalls::Abi;

/// The rules of one ABI, by number.
pub(super) type Table = BTreeMap<u32, Rules>;

/// What `Filter` is made of.
pub(super) struct Compiled {
    pub(super) default: Verdict,
    pub(super) tables: BTreeMap<Abi, Table>,
    /// The largest number named, of each ABI for which runc adds its stub.
    pub(super) last: BTreeMap<Abi, u32>,
    pub(super) idle: BTreeSet<(usize, String)>,
    /// Rules for calls that an ABI does not have. libseccomp keeps them until it writes the filter,
    /// and refuses what does not go together, i386 aside (src/arch.c, `arch_filter_rule_add`).
    phantoms: BTreeMap<(Abi, String), Rules>,
}

/// Flags that both runtimes know; crun 1.14 knows one more.
const FLAGS: [&str; 3] = [
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_LOG",
];

pub(super) fn compile(profile: &OciSeccomp, host: Host) -> Result<Compiled, Refusal> {
    let default = default_verdict(profile, host)?;
    flags(profile, host)?;
    let listed = architectures(profile, host)?;
    let mut abis = listed.clone();
    abis.insert(host.native);
    let mut compiled = Compiled {
        default,
        tables: abis.into_iter().map(|abi| (abi, Table::new())).collect(),
        last: BTreeMap::new(),
        idle: BTreeSet::new(),
        phantoms: BTreeMap::new(),
    };
    for (at, entry) in profile.syscalls.iter().enumerate() {
        let verdict = verdict(at, entry, host)?;
        for name in &entry.names {
            name_is_accepted(at, name, entry.action, host)?;
            if !is_known(name, host) {
                compiled.idle.insert((at, name.clone()));
                continue;
            }
            // Both runtimes leave out what says the same as the default, number and all.
            if verdict != default {
                let alternatives = alternatives(at, &entry.args, host.runtime)?;
                is_possible(verdict).map_err(|number| Refusal::Errno {
                    place: format!("syscalls[{at}]: errnoRet"),
                    number,
                })?;
                compiled.add(at, name, verdict, &alternatives)?;
            }
            if !compiled.tables.keys().any(|abi| has(*abi, name)) {
                compiled.idle.insert((at, name.clone()));
            }
        }
    }
    if has_stub(default, host) {
        let names = || profile.syscalls.iter().flat_map(|entry| &entry.names);
        for abi in listed {
            let largest = names()
                .filter(|name| is_known(name, host) && multiplexed(abi, name).is_none())
                .filter_map(|name| abi.syscall_number(name))
                .max();
            if let Some(largest) = largest.filter(|nr| *nr > 0) {
                compiled.last.insert(abi, largest);
            }
        }
    }
    Ok(compiled)
}

impl Compiled {
    /// Adds the rules for one name to all ABIs.
    fn add(
        &mut self,
        entry: usize,
        name: &str,
        verdict: Verdict,
        alternatives: &[Vec<Test>],
    ) -> Result<(), Refusal> {
        let conflict = |before: Rule| Refusal::Conflict {
            entry,
            earlier: before.entry,
            name: name.to_owned(),
            verdict,
            before: before.verdict,
        };
        for (abi, table) in &mut self.tables {
            let rule = |tests: &mut dyn Iterator<Item = Test>| Rule {
                entry,
                verdict,
                tests: tests
                    .filter_map(|test| test.narrowed(width(*abi)))
                    .collect(),
            };
            for tests in alternatives {
                if let Some((nr, operation)) = multiplexed(*abi, name) {
                    let others = tests.iter().copied().filter(|test| test.index() != 0);
                    let mut tests = std::iter::once(Test::equals(0, operation)).chain(others);
                    let rules = table.entry(nr).or_default();
                    rules.add(rule(&mut tests)).map_err(conflict)?;
                }
                let rules = match abi.syscall_number(name) {
                    Some(nr) => table.entry(nr).or_default(),
                    None if *abi == Abi::I386 => continue,
                    None => self.phantoms.entry((*abi, name.to_owned())).or_default(),
                };
                rules
                    .add(rule(&mut tests.iter().copied()))
                    .map_err(conflict)?;
            }
        }
        Ok(())
    }
}

/// Whether the runtime's libseccomp knows a call of that name, in whichever ABI.
fn is_known(name: &str, host: Host) -> bool {
    host.libseccomp.knows(name) && Abi::ALL.into_iter().any(|abi| has(abi, name))
}

/// Whether an ABI has a call, if only through a multiplexer.
fn has(abi: Abi, name: &str) -> bool {
    abi.syscall_number(name).is_some() || multiplexed(abi, name).is_some()
}

/// libseccomp refuses larger errors than the kernel returns, and the largest one, too
/// (src/system.c, `sys_chk_seccomp_action`).
fn is_possible(verdict: Verdict) -> Result<(), u16> {
    match verdict {
        Verdict::Errno(number @ 4095..) => Err(number),
        _ => Ok(()),
    }
}

fn default_verdict(profile: &OciSeccomp, host: Host) -> Result<Verdict, Refusal> {
    let action = profile.default_action;
    match host.runtime {
        OciRuntime::Runc if action == Action::Notify => return Err(Refusal::NotifyByDefault),
        OciRuntime::Crun if profile.default_errno_ret.is_some() && !returns_number(action) => {
            return Err(Refusal::DefaultNumber { action });
        }
        _ => {}
    }
    let verdict = Verdict::new(action, profile.default_errno_ret);
    is_possible(verdict).map_err(|number| Refusal::Errno {
        place: "defaultErrnoRet".to_owned(),
        number,
    })?;
    Ok(verdict)
}

fn verdict(at: usize, entry: &Entry, host: Host) -> Result<Verdict, Refusal> {
    let action = entry.action;
    if host.runtime == OciRuntime::Crun && entry.errno_ret.is_some() && !returns_number(action) {
        return Err(Refusal::Number { entry: at, action });
    }
    Ok(Verdict::new(action, entry.errno_ret))
}

fn returns_number(action: Action) -> bool {
    matches!(action, Action::Errno | Action::Trace)
}

fn flags(profile: &OciSeccomp, host: Host) -> Result<(), Refusal> {
    let known = |flag: &str| {
        FLAGS.contains(&flag)
            || (host.runtime == OciRuntime::Crun
                && flag == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")
    };
    match profile.flags.iter().find(|flag| !known(flag)) {
        Some(name) => Err(Refusal::Flag {
            name: name.clone(),
            runtime: host.runtime,
        }),
        None => Ok(()),
    }
}

fn architectures(profile: &OciSeccomp, host: Host) -> Result<BTreeSet<Abi>, Refusal> {
    let mut listed = BTreeSet::new();
    for name in &profile.architectures {
        match Architecture::read(name, host) {
            Architecture::Known(abi) => {
                listed.insert(abi);
            }
            Architecture::Other => {}
            Architecture::BigEndian => {
                return Err(Refusal::ByteOrder { name: name.clone() });
            }
            Architecture::Unknown => {
                return Err(Refusal::Architecture {
                    name: name.clone(),
                    runtime: host.runtime,
                });
            }
        }
    }
    Ok(listed)
}

fn name_is_accepted(at: usize, name: &str, action: Action, host: Host) -> Result<(), Refusal> {
    match host.runtime {
        OciRuntime::Runc if name.is_empty() => Err(Refusal::EmptyName { entry: at }),
        OciRuntime::Runc if name == "write" && action == Action::Notify => {
            Err(Refusal::NotifyWrite { entry: at })
        }
        _ => Ok(()),
    }
}

/// The sets of conditions, one of which must hold whole.
///
/// Conditions are joined by AND, but when two are on one argument each is a rule of its own: runc
/// ("Revert to old behavior", `matchCall`), and crun after it. crun looks at the first six only.
fn alternatives(
    at: usize,
    conditions: &[Condition],
    runtime: OciRuntime,
) -> Result<Vec<Vec<Test>>, Refusal> {
    let heeded = match runtime {
        OciRuntime::Runc => conditions.len(),
        OciRuntime::Crun => conditions.len().min(6),
    };
    let mut tests: Vec<Test> = conditions
        .iter()
        .take(heeded)
        .map(|condition| {
            Test::new(condition).ok_or(Refusal::Index {
                entry: at,
                index: condition.index,
            })
        })
        .collect::<Result<_, _>>()?;
    let indices: BTreeSet<_> = tests.iter().map(|test| test.index()).collect();
    if indices.len() < tests.len() {
        return Ok(tests.into_iter().map(|test| vec![test]).collect());
    }
    // libseccomp keeps them by argument (src/db.c, `db_col_rule_add`).
    tests.sort_by_key(|test| test.index());
    Ok(vec![tests])
}

/// runc answers ENOSYS for numbers above all that a profile names, so that a libc newer than the
/// profile falls back; not when the default lets calls through (patchbpf/enosys_linux.go,
/// `generatePatch`). It means to leave it out, too, when the default is ENOSYS: no difference.
fn has_stub(default: Verdict, host: Host) -> bool {
    host.runtime == OciRuntime::Runc
        && !matches!(default, Verdict::Allow | Verdict::Log | Verdict::Trace(_))
}

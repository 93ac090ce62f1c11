//! The evaluator against libseccomp, profile by profile and call by call.
//!
//! libseccomp is asked twice: for the filter that it compiles, and for the tree that it compiles the
//! filter from. Where the two differ the library compiled wrongly, and no profile says so: it takes
//! one half of an argument for the other when a node is reached on two ways (2.5.4 to 2.6.1,
//! src/gen_bpf.c, `_gen_bpf_build_bpf`: the accumulator is loaded again for one of them only). One
//! random call in 500 meets that; the evaluator answers what the tree says.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use proptest::{
    collection::vec,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use syscalls::{Abi, Machine};
use tracer_core::{
    profile::seccomp::{
        evaluate::{Decider, Filter, Host, Libseccomp as Version, OciRuntime},
        oci::OciSeccomp,
    },
    recording::SyscallId,
};
use tracer_tests::{Outcome, libseccomp::Libseccomp, needs, requires::Need};

use crate::{
    enforcer::{Enforced, raw},
    profiles::{self, Draw},
};

/// The version that a library's names show it to be.
pub(crate) fn version(library: &Libseccomp) -> Version {
    match (library.knows("mseal"), library.knows("cachestat")) {
        (true, _) => Version::Newest,
        (false, true) => Version::Debian12,
        (false, false) => Version::V2_5_4,
    }
}

pub(crate) fn native() -> Result<Abi> {
    let machine = Machine::this().context("a machine without an ABI table")?;
    Ok(machine.native)
}

/// The names that both library and model know, and those that neither does.
fn names(library: &Libseccomp, version: Version) -> Vec<&'static str> {
    Abi::ALL
        .into_iter()
        .flat_map(Abi::syscalls)
        .map(|(_, name)| name)
        .chain(profiles::SPECIAL)
        .filter(|name| {
            let ours = Abi::ALL
                .iter()
                .any(|abi| abi.syscall_number(name).is_some());
            library.knows(name) == (ours && version.knows(name))
        })
        .collect()
}

/// What was seen, to know that the test compared something.
#[derive(Debug, Default)]
struct Seen {
    accepted: u32,
    refused: u32,
    calls: u32,
    by_entry: u32,
    by_stub: u32,
    by_architecture: u32,
    contested: u32,
    miscompiled: u32,
    astray: u32,
    disputed: u32,
}

#[test]
fn evaluator_agrees_with_libseccomp() -> Outcome {
    needs!(Need::Libseccomp);
    let library = Libseccomp::open()?;
    let version = version(library);
    let native = native()?;
    let seen = RefCell::new(Seen::default());
    let strategy = (
        profiles::profile(names(library, version)),
        vec(profiles::draw(), 40),
    );
    let config = Config {
        cases: 1200,
        // The regression file would lie beside this one, and an old seed means little once the
        // strategies have changed.
        failure_persistence: None,
        // Enough to make a counterexample readable in seconds.
        max_shrink_iters: 400,
        ..Config::default()
    };
    // The same profiles each time: what is rare must not fail somebody else's change.
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[1; 32]);
    TestRunner::new_with_rng(config, random)
        .run(&strategy, |(profile, draws)| {
            for runtime in OciRuntime::ALL {
                let host = Host {
                    native,
                    runtime,
                    libseccomp: version,
                };
                compare(library, &profile, host, &draws, &mut seen.borrow_mut())
                    .map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
            }
            Ok(())
        })
        .map_err(|error| anyhow!("{error}"))?;
    let seen = seen.into_inner();
    println!("libseccomp {:?}: {seen:?}", library.version());
    // Of everything there was enough, and little that proves nothing.
    ensure!(
        seen.accepted > 2 * seen.refused && seen.refused > 100,
        "{seen:?}"
    );
    ensure!(seen.by_entry > 2000 && seen.by_stub > 500, "{seen:?}");
    ensure!(
        seen.by_architecture > 2000 && seen.contested > 50,
        "{seen:?}"
    );
    ensure!(seen.miscompiled < seen.calls / 200, "{seen:?}");
    ensure!(seen.astray < seen.calls / 1000, "{seen:?}");
    ensure!(seen.disputed < seen.accepted / 200, "{seen:?}");
    Ok(())
}

/// # Errors
/// When the two differ.
fn compare(
    library: &Libseccomp,
    profile: &OciSeccomp,
    host: Host,
    draws: &[Draw],
    seen: &mut Seen,
) -> Result<()> {
    let enforced = Enforced::new(library, profile, host.runtime);
    let tangled = tangled(profile);
    let (filter, enforced) = match (Filter::new(profile, host), enforced) {
        (Ok(filter), Ok(enforced)) => (filter, enforced),
        (Err(_), Err(_)) => {
            seen.refused += 1;
            return Ok(());
        }
        // Whether two such rules clash may hang on a third; see `evaluate::tree`.
        (filter, enforced) if !tangled.is_empty() => {
            seen.disputed += u32::from(filter.is_ok() != enforced.is_ok());
            return Ok(());
        }
        (Ok(_), Err(refusal)) => return Err(refusal.context("accepted, but libseccomp says")),
        (Err(refusal), Ok(_)) => {
            return Err(anyhow!(refusal).context("libseccomp accepts what the evaluator refuses"));
        }
    };
    seen.accepted += 1;
    let names: BTreeSet<&str> = profile
        .syscalls
        .iter()
        .flat_map(|entry| entry.names.iter().map(String::as_str))
        .collect();
    let names: Vec<_> = names.into_iter().collect();
    for draw in draws {
        let (call, args) = draw.of(&names);
        let ours = filter.evaluate(call, args);
        let theirs = enforced.returns(call, args)?;
        seen.calls += 1;
        seen.contested += u32::from(!ours.contested.is_empty());
        match ours.decider {
            Decider::Entry(_) => seen.by_entry += 1,
            Decider::Stub => seen.by_stub += 1,
            Decider::Architecture => seen.by_architecture += 1,
            Decider::Default => {}
        }
        if theirs.meant != theirs.compiled {
            seen.miscompiled += 1;
        }
        if raw(ours.verdict) == theirs.meant {
            continue;
        }
        // Rules that share a part of the tree: see `evaluate::tree`.
        if is_of(&tangled, call) {
            seen.astray += 1;
            continue;
        }
        return Err(anyhow!(
            "{call:?} {args:x?}: {ours:?}, but libseccomp {theirs:x?}"
        ));
    }
    Ok(())
}

/// The names that have several rules with conditions; two on one argument make several of an entry.
fn tangled(profile: &OciSeccomp) -> BTreeSet<&str> {
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &profile.syscalls {
        let indices: BTreeSet<_> = entry.args.iter().map(|condition| condition.index).collect();
        let alternatives = if indices.len() < entry.args.len() {
            entry.args.len()
        } else {
            indices.len().min(1)
        };
        for name in &entry.names {
            *rules.entry(name).or_default() += alternatives;
        }
    }
    let several = rules.into_iter().filter(|(_, rules)| *rules > 1);
    several.map(|(name, _)| name).collect()
}

/// Whether a call has one of the names, or may stand for one.
fn is_of(names: &BTreeSet<&str>, call: SyscallId) -> bool {
    let multiplexer = call.abi == Abi::I386 && matches!(call.nr, 102 | 117);
    (multiplexer && !names.is_empty())
        || names
            .iter()
            .any(|name| call.abi.syscall_number(name) == Some(call.nr))
}

#[test]
fn syscall_tables_agree_with_libseccomp() -> Outcome {
    needs!(Need::Libseccomp);
    let library = Libseccomp::open()?;
    let version = version(library);
    for abi in Abi::ALL {
        let arch = abi
            .scmp_arch()
            .trim_start_matches("SCMP_ARCH_")
            .to_lowercase();
        for (nr, name) in abi.syscalls() {
            if !version.knows(name) || !library.knows(name) {
                continue;
            }
            let multiplexed = abi == Abi::I386 && library.number(name, &arch).is_none();
            let theirs = library.number(name, &arch);
            ensure!(
                theirs == Some(nr) || multiplexed,
                "{abi} {name}: {nr}, but libseccomp {theirs:?}"
            );
        }
    }
    Ok(())
}

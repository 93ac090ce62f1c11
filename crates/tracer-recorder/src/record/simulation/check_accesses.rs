//! Holds the accesses of a recording against what really happened.

use std::collections::BTreeSet;

use tracer_abi::{AccessKind, access::open};

use super::{
    check::{Recorded, Verdict, ensure, name},
    facts::{AccessFact, access, executable},
    world::World,
};
use crate::record::convert;
use syscalls::capability::Capability;
use tracer_core::recording::{Phase, Recording};

/// What an access is called here; `None` for one that cannot be read.
fn token(what: u32) -> Option<String> {
    let (kind, path, value) = access(what);
    Some(match kind {
        AccessKind::Open if value == open::READ => format!("Read {path}"),
        AccessKind::Open => format!("Write {path}"),
        AccessKind::Capability => format!("{:?}", capability(value)),
        AccessKind::SignalSend => format!("signal {value}"),
        AccessKind::SocketCreate => format!("socket {value}"),
        AccessKind::Mount => return None,
        kind => format!("{kind:?} {path}"),
    })
}

fn capability(number: u64) -> Capability {
    Capability::from_number(u8::try_from(number).unwrap())
}

/// What a recording says of the accesses of an instance: phase, executable, what.
fn said_accesses(recording: &Recording, index: Option<u32>) -> BTreeSet<(Phase, String, String)> {
    let files = recording.files.iter();
    let files = files.map(|it| {
        (
            format!("{:?} {}", it.what.access, it.what.path),
            &it.evidence,
        )
    });
    let capabilities = recording.capabilities.iter();
    let capabilities = capabilities.map(|it| (format!("{:?}", it.what.capability), &it.evidence));
    let signals = recording.signals.iter();
    let signals = signals.map(|it| (format!("signal {}", it.what.signal), &it.evidence));
    let sockets = recording.sockets.iter();
    let sockets = sockets.map(|it| (format!("socket {}", it.what.family), &it.evidence));
    files
        .chain(capabilities)
        .chain(signals)
        .chain(sockets)
        .flat_map(|(what, evidence)| {
            let evidence = evidence
                .iter()
                .filter(|it| index.is_none_or(|index| it.instances.contains(&index)));
            evidence.map(move |it| (it.phase, name(&it.executable), what.clone()))
        })
        .collect()
}

/// Accesses are under their instance, and no others are.
pub(super) fn accesses_of(recorded: &Recorded<'_>, world: &World) -> Verdict {
    let said = said_accesses(recorded.recording, Some(recorded.index));
    let of_all = said_accesses(recorded.recording, None);
    let filed = |fact: &AccessFact| {
        let phase = convert::phase(fact.key.phase);
        let exe = executable(&fact.key, fact.exe_is_named, world);
        Some((phase, exe, token(fact.what)?))
    };
    let facts = world.kernel.access_facts.iter();
    let facts: Vec<_> = facts
        .filter(|fact| fact.key.instance == recorded.dir.id)
        .filter_map(|fact| Some((fact, filed(fact)?)))
        .collect();
    for it in &said {
        ensure!(
            facts.iter().any(|(_, fact)| fact == it),
            "{} did not access {it:?}",
            recorded.dir.path
        );
    }
    for (fact, it) in &facts {
        let is_kept = said.contains(it) || (it.0 == Phase::Setup && of_all.contains(it));
        ensure!(
            is_kept || !fact.is_reported || fact.is_optional,
            "{} accessed {it:?}, which is not in its recording",
            recorded.dir.path
        );
    }
    Ok(())
}

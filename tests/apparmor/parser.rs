//! apparmor_parser, and that it takes everything that tracer writes.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use syscalls::capability::Capability;
use tracer_core::{
    profile::apparmor::{AppArmorProfile, Options},
    recording::{
        AccessEvidence, CapabilityUse, Executable, FilePath, MountOperation, MountUse,
        ObservedAccess, Peer, Phase, Recording, SignalDirection, SignalUse, SocketOperation,
        SocketUse, TraceDirection, TraceUse,
    },
};
use tracer_tests::{Outcome, needs, requires::Need};

use super::fixture::recording;

pub(crate) const PARSER: Need = Need::Program("apparmor_parser", "apparmor");

/// The binary policy that the parser makes of a profile, or what it says against it.
pub(crate) fn compile(text: &str) -> Result<Vec<u8>> {
    let mut parser = Command::new("apparmor_parser")
        // No kernel, no cache; the policy to standard output.
        .args(["--skip-kernel-load", "--skip-cache", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run apparmor_parser")?;
    let mut input = parser
        .stdin
        .take()
        .context("standard input was asked for")?;
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = parser
        .wait_with_output()
        .context("cannot wait for apparmor_parser")?;
    // A parser that refuses may not read to the end.
    let _ = writer.join();
    if output.status.success() {
        return Ok(output.stdout);
    }
    bail!("{}", String::from_utf8_lossy(&output.stderr))
}

fn by_run<T>(what: T) -> ObservedAccess<T> {
    ObservedAccess {
        what,
        evidence: vec![AccessEvidence {
            phase: Phase::Run,
            executable: Executable::Launcher,
            call: None,
            instances: vec![0],
            first: None,
        }],
    }
}

/// Every capability, family, type, signal, direction and mount flag that a recording may hold.
fn everything() -> Recording {
    let mut all = recording(1, Vec::new());
    all.capabilities = (0..45)
        .map(|number| CapabilityUse {
            capability: Capability::from_number(number),
            audited: None,
            own_namespace: false,
            by_exec: false,
        })
        .map(by_run)
        .collect();
    all.sockets = (0..50)
        .flat_map(|family| (0..12).map(move |kind| (family, kind)))
        .map(|(family, kind)| SocketUse {
            family,
            kind,
            protocol: 0,
            operation: SocketOperation::Create,
            address: None,
            more: false,
        })
        .map(by_run)
        .collect();
    let peers = [Peer::Own, Peer::Outside];
    let directions = [SignalDirection::Send, SignalDirection::Receive];
    all.signals = (0..=65)
        .flat_map(|signal| directions.map(|direction| (signal, direction)))
        .flat_map(|(signal, direction)| {
            peers.map(|peer| SignalUse {
                direction,
                signal,
                peer,
            })
        })
        .map(by_run)
        .collect();
    all.traces = [
        TraceDirection::Trace,
        TraceDirection::TracedBy,
        TraceDirection::Read,
        TraceDirection::ReadBy,
    ]
    .into_iter()
    .flat_map(|direction| peers.map(|peer| TraceUse { direction, peer }))
    .map(by_run)
    .collect();
    let place = |path: &str| Some(FilePath::from(path));
    let flags = (0..64)
        .map(|bit| 1 << bit)
        .chain([0, 0x5000, 0x4_4000, 0x1021, 0xC0ED_0001]);
    let flags: Vec<_> = flags.chain((17..21).map(|bit| 1 << bit | 0x4000)).collect();
    all.mounts = flags
        .into_iter()
        .map(|flags| MountUse {
            operation: MountOperation::Mount,
            source: place("/a *\n,"),
            target: FilePath::from("/b [x]\"/"),
            filesystem: Some("fuse.a b,".to_owned()),
            flags,
            more: false,
        })
        .chain(
            [MountOperation::Unmount, MountOperation::PivotRoot].map(|operation| MountUse {
                operation,
                source: place("/new {/"),
                target: FilePath::from("/old @{x}/"),
                filesystem: None,
                flags: 0,
                more: operation == MountOperation::Unmount,
            }),
        )
        .map(by_run)
        .collect();
    all
}

#[test]
fn parser_accepts_rules_of_every_kind() -> Outcome {
    needs!(PARSER);
    for essential in [true, false] {
        let options = Options {
            essential,
            ..Options::default()
        };
        let profile = AppArmorProfile::from_recordings(&[everything()], &options)
            .context("there is a profile")?;
        compile(&profile.to_text()).with_context(|| profile.to_text())?;
        println!("lost: {}", profile.lost().count());
    }
    Ok(())
}

#[test]
fn parser_accepts_keywords_as_profile_names() -> Outcome {
    needs!(PARSER);
    for name in [
        "profile",
        "hat",
        "flags",
        "x",
        "1",
        "a.b_c+d@1",
        "deny",
        "file",
        "unconfined-x",
        "in",
    ] {
        let options = Options {
            name: Some(name.to_owned()),
            complain: true,
            ..Options::default()
        };
        let profile = AppArmorProfile::from_recordings(&[recording(1, Vec::new())], &options)
            .context("there is a profile")?;
        compile(&profile.to_text()).with_context(|| profile.to_text())?;
    }
    Ok(())
}

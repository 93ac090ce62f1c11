use proptest::prelude::*;
use tracer_core::recording::{Executable, Phase, Reason, Recording, RecordingEnd};

use super::*;
use crate::gvisor::{
    assemble::{self, Ending},
    wire::testing::{call, call_in, context, packet, start},
};

fn facts() -> Facts {
    Facts::new(FactsSettings::new(Points::default(), Box::new(|_| None)))
}

fn clone_of(parent: i32, child: i32) -> Vec<u8> {
    let clone = wire::Clone {
        context: context(parent),
        created_thread_group_id: child,
    };
    packet(2, 0, &clone)
}

fn exec(process: i32, path: &str) -> Vec<u8> {
    let exec = wire::Exec {
        context: context(process),
        binary_path: path.as_bytes().to_vec(),
    };
    packet(3, 0, &exec)
}

fn exec_returns(process: i32, errno: i64) -> Vec<u8> {
    let call = wire::Syscall {
        context: context(process),
        exit: Some(wire::SyscallResult { errno }),
        number: 59,
        ..wire::Syscall::default()
    };
    packet(6, 0, &call)
}

fn task_exit(process: i32) -> Vec<u8> {
    let exit = wire::Exit {
        context: context(process),
    };
    packet(5, 0, &exit)
}

fn called(process: i32, number: u64) -> Vec<u8> {
    call(process, number, [0; 6], 0)
}

fn recorded(facts: &Facts) -> Recording {
    let ending = Ending {
        end: RecordingEnd::CommandEnded,
        reasons: Vec::new(),
        applies_seccomp: false,
        name: &|guest| guest.id.to_owned(),
    };
    let mut all = assemble::recordings(facts, &ending);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn take(packets: &[Vec<u8>]) -> Facts {
    let mut facts = facts();
    facts.connected(0);
    for packet in packets {
        facts.take(0, packet);
    }
    facts
}

/// Number, executable and phase of each piece of evidence.
fn evidence(recording: &Recording) -> Vec<(u32, Executable, Phase)> {
    let calls = recording.syscalls.iter();
    calls
        .flat_map(|call| {
            let who = call.evidence.iter();
            who.map(|it| (call.nr, it.executable.clone(), it.phase))
        })
        .collect()
}

fn path(path: &str) -> Executable {
    Executable::Path(path.to_owned())
}

#[test]
fn calls_are_filed_under_the_program_that_makes_them() {
    let mut facts = take(&[
        start(&["/bin/sh", "-c", "ls"]),
        called(1, 1),
        clone_of(1, 2),
        called(2, 2),
        called(2, 59),
        exec(2, "/bin/ls"),
        exec_returns(2, 0),
        called(2, 3),
        called(1, 4),
        task_exit(1),
    ]);
    facts.disconnected(0);
    let recording = recorded(&facts);
    let (sh, ls) = (path("/bin/sh"), path("/bin/ls"));
    assert_eq!(
        evidence(&recording),
        [
            (1, sh.clone(), Phase::Run),
            (2, sh.clone(), Phase::Run),
            (3, ls, Phase::Run),
            (4, sh.clone(), Phase::Run),
            (59, sh, Phase::Run),
        ]
    );
    assert!(recording.coverage.complete, "{:?}", recording.coverage);
    assert_eq!(recording.workload.command, ["/bin/sh", "-c", "ls"]);
    assert_eq!(recording.instances[0].calls, Some(5));
    assert!(recording.instances[0].start_observed);
}

#[test]
fn programs_put_in_later_are_in_a_phase_of_their_own() {
    let facts = take(&[start(&["/bin/sh"]), called(9, 39), called(1, 39)]);
    assert_eq!(
        evidence(&recorded(&facts)),
        [
            (39, path("/bin/sh"), Phase::Run),
            (39, Executable::Unknown, Phase::Exec),
        ]
    );
}

/// runsc leaves out a message whose strings are no UTF-8.
#[test]
fn execs_without_a_message_make_the_program_unknown() {
    let failed = take(&[
        start(&["/bin/sh"]),
        called(1, 59),
        exec_returns(1, 2),
        called(1, 3),
    ]);
    let hidden = take(&[
        start(&["/bin/sh"]),
        called(1, 59),
        exec_returns(1, 0),
        called(1, 3),
    ]);
    let of_close = |facts: &Facts| {
        let all = evidence(&recorded(facts));
        all.into_iter().find(|it| it.0 == 3).unwrap().1
    };
    assert_eq!(of_close(&failed), path("/bin/sh"));
    assert_eq!(of_close(&hidden), Executable::Unknown);
    assert_eq!(recorded(&hidden).coverage.losses.executables, 1);
}

#[test]
fn arguments_are_recorded_as_the_tables_say() {
    const SOCKET: u64 = 41;
    let of = |family: u64| call(1, SOCKET, [family, 0x8_0001, 6, 7, 8, 9], 0);
    let facts = take(&[start(&["/bin/sh"]), of(2), of(2), of(1 | 1 << 40)]);
    let recording = recorded(&facts);
    let arguments = recording.syscalls[0].arguments.clone().unwrap();
    let values: Vec<_> = arguments.seen.iter().map(|it| it.values.clone()).collect();
    // Family, type without flags, protocol: 32 bits of each.
    assert_eq!(values, [[1, 1, 6], [2, 1, 6]]);
    assert!(arguments.cut.is_empty());
    // More than a recording keeps are noted as more.
    let many: Vec<_> = (0..200).map(of).collect();
    let recording = recorded(&take(&many));
    let arguments = recording.syscalls[0].arguments.clone().unwrap();
    assert_eq!(arguments.seen.len(), 64);
    assert_eq!(arguments.cut, [Phase::Run].into());
}

#[test]
fn dropped_messages_are_counted_in_any_order() {
    let dropped = |counts: &[u32]| {
        let packets: Vec<_> = counts.iter().map(|it| call(1, 1, [0; 6], *it)).collect();
        recorded(&take(&packets)).coverage
    };
    assert_eq!(dropped(&[0, 0]).losses.messages, 0);
    let coverage = dropped(&[3, 2, 5, 5]);
    assert_eq!(coverage.losses.messages, 5);
    assert!(!coverage.complete);
    // The count of the sandbox has 32 bits.
    assert_eq!(
        dropped(&[u32::MAX >> 1, u32::MAX - 1, 3]).losses.messages,
        (1 << 32) + 3
    );
}

#[test]
fn the_end_is_observed_or_it_is_a_reason() {
    let still_running = |facts: &Facts| {
        let reasons = recorded(facts).coverage.reasons;
        reasons.contains(&Reason::StillRunning {
            after: RecordingEnd::CommandEnded,
        })
    };
    let mut connected = take(&[start(&["/bin/sh"]), called(1, 1), task_exit(1)]);
    assert!(still_running(&connected));
    connected.disconnected(0);
    assert!(!still_running(&connected));
    // The last messages may be missing.
    let mut torn = take(&[start(&["/bin/sh"]), called(1, 1)]);
    torn.disconnected(0);
    assert!(still_running(&torn));
}

#[test]
fn what_cannot_be_filed_is_lost_and_counted() {
    let mut other = context(1).unwrap();
    other.container_id = b"../../etc".to_vec();
    let escape = wire::Syscall {
        context: Some(other),
        ..wire::Syscall::default()
    };
    let facts = take(&[
        called(1, 1),
        vec![1, 2, 3],
        packet(6, 0, &wire::Syscall::default()),
        packet(6, 0, &escape),
        called(1, 442),
        called(1, u64::MAX),
    ]);
    assert_eq!(facts.losses().messages, 5);
    assert_eq!(recorded(&facts).syscalls.len(), 1);
}

#[test]
fn other_containers_of_the_sandbox_are_left_out() {
    let mut settings = FactsSettings::new(Points::default(), Box::new(|_| None));
    settings.wanted = Some("web".to_owned());
    settings.from_start = false;
    let mut facts = Facts::new(settings);
    facts.connected(0);
    // A process that ends is not the first one because it spoke first.
    facts.take(0, &called(8, 1));
    facts.take(0, &task_exit(8));
    facts.know(0, "web", 7, "/usr/bin/redis");
    let mut other = context(1).unwrap();
    other.container_id = b"web2".to_vec();
    let foreign = wire::Syscall {
        context: Some(other),
        number: 2,
        ..wire::Syscall::default()
    };
    facts.take(0, &packet(6, 0, &foreign));
    facts.take(0, &called(7, 1));
    facts.disconnected(0);
    let recording = recorded(&facts);
    assert_eq!(
        evidence(&recording),
        [
            (1, path("/usr/bin/redis"), Phase::Run),
            (1, Executable::Unknown, Phase::Run),
        ]
    );
    assert!(
        recording
            .coverage
            .reasons
            .contains(&Reason::GuestStartNotObserved {})
    );
    assert!(facts.losses().is_none());
    let still_running = Reason::StillRunning {
        after: RecordingEnd::CommandEnded,
    };
    assert!(recording.coverage.reasons.contains(&still_running));
}

/// A sandbox that was taken over must not fill the profile of another one's container.
#[test]
fn containers_of_other_sandboxes_are_refused_while_those_are_connected() {
    let mut facts = take(&[start(&["/bin/sh"]), called(1, 1)]);
    facts.connected(1);
    facts.take(1, &call_in("web", 2));
    facts.take(1, &call_in("db", 3));
    facts.take(0, &call_in("db", 4));
    assert_eq!(facts.foreign(), 2);
    assert_eq!(facts.losses().messages, 2);
    let of = |facts: &Facts| {
        let containers = facts.containers();
        containers
            .map(|(it, losses, _)| (it.id.clone(), it.calls, losses.messages))
            .collect::<Vec<_>>()
    };
    let web = ("web".to_owned(), 1, 1);
    assert_eq!(of(&facts), [web.clone(), ("db".to_owned(), 1, 1)]);
    // A container that is started again has a sandbox of its own.
    facts.disconnected(0);
    facts.connected(2);
    facts.take(2, &call_in("web", 5));
    assert_eq!(facts.foreign(), 2);
    assert_eq!(of(&facts)[2], ("web".to_owned(), 1, 0));
}

/// What the longest paths and all calls would take is gigabytes.
#[test]
fn paths_beyond_the_room_are_unknown_and_no_call_is_lost() {
    let mut facts = take(&[start(&["/bin/sh"])]);
    for number in 0..64 {
        facts.take(0, &exec(1, &format!("/{number:04000}")));
        for call in 0..300 {
            facts.take(0, &called(1, call));
        }
    }
    let recording = recorded(&facts);
    let paths = evidence(&recording).into_iter().map(|it| match it.1 {
        Executable::Path(path) => path.len(),
        _ => 0,
    });
    let bytes: usize = paths.sum();
    assert!(bytes > 1 << 24 && bytes < 1 << 26, "{bytes}");
    assert_eq!(recording.syscalls.len(), 300);
    let losses = recording.coverage.losses;
    assert!(losses.executables > 0 && losses.calls == 0, "{losses:?}");
}

#[test]
fn calls_beyond_the_room_are_counted_as_lost() {
    let mut facts = take(&[start(&["/bin/sh"])]);
    for number in 0..300 {
        facts.take(0, &exec(1, &format!("/{number}")));
        for call in 0..300 {
            facts.take(0, &called(1, call));
        }
    }
    // One that was never seen under an unknown program either.
    facts.take(0, &called(1, 301));
    let recording = recorded(&facts);
    assert_eq!(evidence(&recording).len(), 1 << 16);
    let losses = recording.coverage.losses;
    assert!(losses.calls > 0, "{losses:?}");
    let lost = Reason::ObservationsLost {
        lost: tracer_core::recording::LossKind::Calls,
        count: losses.calls,
    };
    assert!(recording.coverage.reasons.contains(&lost));
}

proptest! {
    /// A sandbox that was taken over sends what it likes: nothing panics, and nothing grows without bound.
    #[test]
    fn any_messages_are_taken(
        messages in prop::collection::vec(
            (0_u16..8, any::<i32>(), any::<i32>(), 0_u64..600, any::<[u64; 6]>(), any::<u32>()),
            0..60,
        ),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut facts = facts();
        facts.connected(0);
        for (kind, process, other, number, args, dropped) in messages {
            let packet = match kind {
                0 => bytes.clone(),
                1 => start(&["/bin/sh"]),
                2 => clone_of(process, other),
                3 => exec(process, "/bin/x"),
                4 => exec_returns(process, number.cast_signed()),
                5 => task_exit(process),
                6 => call(process, number, args, dropped),
                _ => packet(kind, dropped, &wire::Syscall::default()),
            };
            facts.take(0, &packet);
        }
        facts.disconnected(0);
        for (container, ..) in facts.containers() {
            prop_assert!(container.observations.len() <= 442);
        }
    }
}

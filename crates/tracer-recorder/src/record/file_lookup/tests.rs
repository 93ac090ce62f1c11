use std::{
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::unistd::Pid;

use tracer_abi::{AbiClass, Access, AccessKind, COMM_LEN, access::flag};

use super::{
    FileLookup, LAST_WAIT,
    replay::Replay,
    waiting::{Question, Waiting},
    wire::{self, Frames},
};
use crate::{
    bpf::KernelAccess,
    cgroup::Cgroup,
    record::{
        observed::{AccessSource, Observed},
        rows::RowMeaning,
        system::InstanceProcess,
    },
};
use tracer_core::recording::{Executable, Phase};

fn row(instance: u32) -> RowMeaning {
    RowMeaning {
        instance,
        phase: Phase::Run,
        executable: Executable::Unknown,
        blocked: false,
    }
}

fn question(instance: u32, first: &[u8]) -> Question {
    Question {
        row: row(instance),
        access: KernelAccess {
            access: Access {
                time: 1,
                key: 2,
                values: [3, 4, 5],
                row: 6,
                kind: AccessKind::ChangeMode as u32,
                flags: flag::AS_GIVEN,
                pid: 8,
                nr: 9,
                abi: AbiClass::Compat as u32,
                first_len: 10,
                second_len: 11,
                comm: [b'c'; COMM_LEN],
            },
            kind: AccessKind::ChangeMode,
            abi: AbiClass::Compat,
            first: first.to_vec(),
            second: b"/start/".to_vec(),
        },
        cgroup: Cgroup {
            id: 77,
            path: PathBuf::from("/a"),
            directory: PathBuf::from("/sys/fs/cgroup/a"),
        },
        is_command: true,
        sees_hooks: false,
    }
}

#[test]
fn question_is_read_as_it_was_written() {
    let asked = question(0, b"../x\xff");
    let mut bytes = Vec::new();
    wire::write_question(&mut bytes, 5, &asked);
    let frame = wire::read_frame(&bytes[..]).unwrap();
    assert_eq!(wire::head(&frame).unwrap(), (5, 77));
    let read = wire::read_question(&frame).unwrap();
    assert_eq!(read.access, asked.access);
    assert_eq!(read.cgroup, asked.cgroup);
    assert!(read.is_command && !read.sees_hooks);
    for len in 0..frame.len() {
        assert!(wire::read_question(&frame[..len]).is_err(), "{len}");
    }
}

#[test]
fn answers_are_read_as_they_were_written() {
    let answers = vec![Some(b"/a".to_vec()), None, Some(Vec::new())];
    let frame = wire::answers(9, Some(&answers));
    assert_eq!(wire::read_answers(&frame).unwrap(), (9, Some(answers)));
    let none = wire::answers(9, None);
    assert_eq!(wire::read_answers(&none).unwrap(), (9, None));
}

#[test]
fn frames_are_cut_wherever_they_arrive() {
    let mut bytes = Vec::new();
    wire::write_frame(&mut bytes, b"one").unwrap();
    wire::write_frame(&mut bytes, b"").unwrap();
    let mut frames = Frames::default();
    let mut read = Vec::new();
    for byte in bytes {
        frames.add(&[byte]);
        read.extend(frames.next());
    }
    assert_eq!(read, [b"one".to_vec(), Vec::new()]);
}

#[test]
fn instances_take_turns_and_have_a_share() {
    let mut waiting = Waiting::default();
    for _ in 0..3 {
        waiting.add(question(1, b"a")).unwrap();
    }
    waiting.add(question(2, b"b")).unwrap();
    let mut turns = Vec::new();
    while let Some((_, question)) = waiting.next(32) {
        turns.push(question.row.instance);
    }
    assert_eq!(turns, [1, 2, 1, 1]);
    assert!(waiting.answered(0).is_some() && waiting.answered(3).is_some());
    assert!(waiting.is_empty());

    let long = vec![b'x'; 4000];
    while waiting.add(question(1, &long)).is_ok() {}
    waiting.add(question(2, b"b")).unwrap();
    waiting.forget(1);
    waiting.add(question(1, &long)).unwrap();
}

/// The end of a recording does not wait for more once the last answer is there.
#[test]
fn end_waits_no_longer_than_the_last_answer_takes() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    #[expect(
        clippy::zombie_processes,
        reason = "the value waits for it when it is dropped"
    )]
    let sleeping = Command::new("sleep").arg("60").spawn().unwrap();
    let mut lookup = FileLookup {
        // Ended when the value is dropped.
        supervisor: Pid::from_raw(i32::try_from(sleeping.id()).unwrap()),
        stream: ours,
        readable: None,
        unsent: Vec::new(),
        received: Frames::default(),
        waiting: Waiting::default(),
        answered: Vec::new(),
        is_broken: false,
    };
    lookup.ask(question(1, b"../x"));
    let worker = thread::spawn(move || {
        let frame = wire::read_frame(&theirs).unwrap();
        let (number, _) = wire::head(&frame).unwrap();
        // So that it is waited for.
        thread::sleep(Duration::from_millis(100));
        wire::write_frame(&theirs, &wire::answers(number, Some(&[None]))).unwrap();
        theirs
    });
    let begin = Instant::now();
    let answered = lookup.finish();
    let took = begin.elapsed();
    assert_eq!(answered[0].answers, Some(vec![None]));
    assert!(took < LAST_WAIT, "{took:?}");
    worker.join().unwrap();
}

/// Without answers a name stands for itself: nothing is left out, and no file system is asked.
#[test]
fn unanswered_access_keeps_the_name_that_was_given() {
    let mut observed = Observed::for_questions(false);
    let Question { access, cgroup, .. } = question(0, b"../x");
    let source = AccessSource {
        files: &Replay::new(Vec::new()),
        cgroup: &cgroup,
        is_command: false,
    };
    observed.take_access(&row(0), access, &source).unwrap();
    let files = observed.accesses.files.into_seen();
    assert_eq!(files[0].what.path.to_string(), "/x");
    let process = InstanceProcess {
        pid: 1,
        cgroup: &cgroup,
        is_command: false,
    };
    let socket = source.files.known_socket(process, b"/run/../s");
    assert_eq!(socket.unwrap().to_string(), "/s");
}

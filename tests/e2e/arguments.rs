//! Arguments: what tracer records is what strace sees, value by value.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome,
    lifecycle::{ScriptedContainer, Watch},
    needs,
    oci::{Container, Runtime},
    process,
    programs::{self, Build},
    recording::{Executable, Recording, Syscall, SyscallId},
    requires::{self, Need, program},
    scratch::Scratch,
    seccomp,
    strace::Given,
    tracer::Record,
};

use crate::lifecycle::needs_containers;

const INT: u64 = 0xffff_ffff;

/// What has to be recorded, in the manuals' words: of which call, which arguments, which bits.
const RECORDED_ARGUMENTS: &[(&str, &[(usize, u64)])] = &[
    // Without SOCK_CLOEXEC and SOCK_NONBLOCK.
    ("socket", &[(0, INT), (1, INT & !0x8_0800), (2, INT)]),
    ("socketpair", &[(0, INT), (1, INT & !0x8_0800), (2, INT)]),
    ("clone", &[(0, INT)]),
    ("unshare", &[(0, u64::MAX)]),
    ("setns", &[(1, INT)]),
    ("personality", &[(0, INT)]),
    ("prctl", &[(0, INT)]),
    ("ioctl", &[(1, INT)]),
    ("fcntl", &[(1, INT)]),
    ("fcntl64", &[(1, INT)]),
    ("setsockopt", &[(1, INT), (2, INT)]),
    // PROT_EXEC.
    ("mmap", &[(2, 4)]),
    ("mmap2", &[(2, 4)]),
    ("mprotect", &[(2, 4)]),
    ("pkey_mprotect", &[(2, 4)]),
    ("keyctl", &[(0, INT)]),
    ("bpf", &[(0, INT)]),
    ("ptrace", &[(0, u64::MAX)]),
    ("madvise", &[(2, INT)]),
    ("arch_prctl", &[(0, INT)]),
    ("socketcall", &[(0, INT)]),
    ("ipc", &[(0, 0xffff)]),
];

fn masks_of(syscall: &Syscall) -> Option<&'static [(usize, u64)]> {
    let name = syscall.name.as_deref()?;
    let (_, masks) = RECORDED_ARGUMENTS
        .iter()
        .find(|(known, _)| *known == name)?;
    (syscall.abi != "i386" || name != "mmap").then_some(*masks)
}

/// Compares what each call was given, by whatever executables count.
pub(crate) fn agree(
    truth: &BTreeMap<SyscallId, BTreeSet<Given>>,
    recording: &Recording,
    counts: impl Fn(&Executable) -> bool,
) -> Outcome {
    let mut compared = 0;
    for syscall in &recording.syscalls {
        let Some(masks) = masks_of(syscall) else {
            continue;
        };
        if !syscall.evidence.iter().any(|who| counts(&who.executable)) {
            continue;
        }
        let arguments = syscall.arguments.as_ref();
        let arguments = arguments.with_context(|| format!("no arguments: {syscall:?}"))?;
        ensure!(
            arguments.cut.is_empty()
                && arguments
                    .indices
                    .iter()
                    .eq(masks.iter().map(|(index, _)| index)),
            "{syscall:?}"
        );
        let call = SyscallId::new(&syscall.abi, syscall.nr);
        let under_masks = |given: &Given| -> Vec<u64> {
            masks
                .iter()
                .map(|(index, mask)| given[*index] & mask)
                .collect()
        };
        let expected: BTreeSet<_> = truth[&call].iter().map(under_masks).collect();
        let found: BTreeSet<_> = arguments
            .seen
            .iter()
            .filter(|combination| combination.executables.iter().any(&counts))
            .map(|combination| combination.values.clone())
            .collect();
        ensure!(
            expected == found,
            "{:?} {call}: strace saw {expected:x?}, tracer {found:x?}",
            syscall.name
        );
        compared += 1;
    }
    ensure!(compared > 0, "no arguments were compared");
    Ok(())
}

/// What came of each thing that the program tries in a container, under a profile that it was recorded
/// for without them.
fn tried(runtime: Runtime, how: &str) -> Result<BTreeMap<String, i64>> {
    let scratch = Scratch::new()?;
    let program = programs::compiled("arguments", Build::Dynamic)?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .option("--arguments")
        .option(how)
        .of([&program])
        .run()?;
    finished.success()?;
    let profile = seccomp::read(&recorded.profile())?;
    let argv = [program, "try".into()];
    let container = Container::new(runtime, &argv, &scratch.dir("container")?, &profile, false)?;
    let line = container.command_line()?;
    let finished = process::run(Command::new(&line[0]).args(&line[1..]))?.success()?;
    finished
        .text()
        .lines()
        .map(|line| {
            let (what, came) = line.split_once(' ').context("no value")?;
            Ok((what.to_owned(), came.parse()?))
        })
        .collect()
}

fn enforced(test: &str, runtime: Runtime) -> Outcome {
    let needs = [
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        runtime.need(),
        program::UNSHARE,
        program::CC,
    ];
    if !requires::met(test, &needs)? {
        return Ok(());
    }
    const ENOSYS: i64 = -38;
    let seen = [
        "prctl-seen",
        "prctl-name",
        "socket-stream",
        "socket-datagram",
        "socket-local",
        "clone",
    ];
    let unseen = [
        "prctl-unseen",
        "socket-packet",
        "socket-netlink",
        "clone-newuser",
        "clone-newnet",
        "clone3",
    ];
    for how in ["safe", "all"] {
        let tried = tried(runtime, how)?;
        for what in seen {
            // Under `all` only what was seen: a stream.
            let restricted = how == "all" && ["socket-datagram", "socket-local"].contains(&what);
            let expected = if restricted { ENOSYS } else { 0 };
            ensure!(tried[what] == expected, "{how}: {what}: {tried:?}");
        }
        for what in unseen {
            ensure!(tried[what] == ENOSYS, "{how}: {what}: {tried:?}");
        }
        let executable = if how == "all" { ENOSYS } else { 0 };
        ensure!(tried["mprotect-exec"] == executable, "{how}: {tried:?}");
    }
    // It was the profile that denied it.
    let open = tried(runtime, "off")?;
    for what in ["prctl-unseen", "socket-netlink", "mprotect-exec"] {
        ensure!(open[what] == 0, "off: {what}: {open:?}");
    }
    for what in unseen {
        ensure!(open[what] != ENOSYS, "off: {what}: {open:?}");
    }
    Ok(())
}

#[test]
fn runc_denies_unrecorded_argument_values() -> Outcome {
    enforced(tracer_tests::test_name!(), Runtime::Runc)
}

#[test]
fn crun_denies_unrecorded_argument_values() -> Outcome {
    enforced(tracer_tests::test_name!(), Runtime::Crun)
}

/// More values than are kept are told, and leave the call open.
#[test]
fn call_with_over_64_values_is_left_unrestricted() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::PERL);
    let scratch = Scratch::new()?;
    // SYS_prctl, of options that there are not.
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .of([
            "perl",
            "-e",
            "syscall(157, 1000 + $_, 0, 0, 0, 0) for 1 .. 100",
        ])
        .run()?;
    finished.success()?;
    let recording = recorded.recording()?;
    let prctl = recording.syscalls.iter().find(|call| call.nr == 157);
    let arguments = prctl
        .and_then(|call| call.arguments.as_ref())
        .context("no prctl")?;
    ensure!(
        arguments.cut.contains("run") && arguments.seen.len() == 64,
        "{arguments:?}"
    );
    ensure!(
        recording.coverage.complete,
        "no call was lost: {:?}",
        recording.coverage
    );
    let profile = seccomp::read(&recorded.profile())?;
    let rules = profile["syscalls"].as_array().context("no rules")?;
    let open = rules.iter().any(|rule| {
        let names = rule["names"].as_array();
        rule.get("args").is_none()
            && names.is_some_and(|names| names.iter().any(|it| it == "prctl"))
    });
    ensure!(open, "prctl is restricted: {profile}");
    let review = std::fs::read_to_string(recorded.directory.join("REVIEW.md"))?;
    ensure!(review.contains("more than 64 combinations"), "{review}");
    Ok(())
}

/// What lies behind a pointer strace does not tell in numbers.
#[test]
fn clone3_flags_are_read_from_memory() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .of([programs::compiled("arguments", Build::Dynamic)?])
        .run()?;
    finished.success()?;
    // pthread_create: CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID,
    // CHILD_CLEARTID (glibc, nptl/pthread_create.c).
    let given = recorded.recording()?.given("clone3", "run");
    ensure!(given == [vec![0x3d_0f00]].into(), "{given:x?}");
    Ok(())
}

/// clone has no place for the ids of a child, nor for a larger structure: clone3 stays allowed then, and the
/// review says why.
#[test]
fn clone3_stays_allowed_where_clone_cannot_replace_it() -> Outcome {
    /// What is recorded with the flags then.
    const MORE: u64 = 1 << 62;
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    for (way, more) in [("plain", 0), ("set_tid", MORE), ("large", MORE)] {
        let scratch = Scratch::new()?;
        let mut command = vec![programs::compiled("clone3", Build::Static)?];
        command.push(way.into());
        let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
            .of(&command)
            .run()?;
        finished.success()?;
        let given = recorded.recording()?.given("clone3", "run");
        ensure!(given == [vec![more]].into(), "{way}: {given:x?}");
        let profile = seccomp::read(&recorded.profile())?;
        let entries = profile["syscalls"].as_array().context("no entries")?;
        let is_allowed = entries.iter().any(|entry| {
            let mut names = entry["names"].as_array().into_iter().flatten();
            entry["action"] == "SCMP_ACT_ALLOW" && names.any(|it| it == "clone3")
        });
        ensure!(is_allowed == (more != 0), "{way}: {profile}");
        let review = std::fs::read_to_string(recorded.directory.join("REVIEW.md"))?;
        ensure!(
            review.contains("clone has no place for") == (more != 0),
            "{way}: {review}"
        );
    }
    Ok(())
}

/// Each container's values are its own, although another gave the same before, and of the phase in which
/// they were given. That rows are used again is tried by a thousand of them, in `churn`.
#[test]
fn argument_values_are_kept_per_container() -> Outcome {
    needs_containers!(Runtime::Runc);
    let scratch = Scratch::new()?;
    let lives: Result<Vec<_>> = (0..4)
        .map(|number| ScriptedContainer::new(Runtime::Runc, &scratch.dir(&number.to_string())?))
        .collect();
    let mut lives = lives?;
    let mut options = vec!["--wait", "--duration", "1h"];
    let ids: Vec<String> = lives.iter().map(|life| life.id().to_owned()).collect();
    for id in &ids {
        options.extend(["--container", id]);
    }
    let watch = Watch::start(&scratch.join("out"), &options)?;
    for (life, by_exec) in lives.iter_mut().zip([true, false].into_iter().cycle()) {
        life.start()?;
        // personality(PER_LINUX32).
        if by_exec {
            life.exec(&["busybox", "linux32", "true"])?;
        } else {
            life.does("busybox linux32 true")?;
        }
        life.ends()?;
    }
    let watched = watch.stop(Signal::SIGTERM)?;
    let asked: BTreeSet<Vec<u64>> = [vec![8]].into();
    for (id, by_exec) in ids.iter().zip([true, false].into_iter().cycle()) {
        let (_, recording) = watched.of(id)?;
        let (phase, other) = if by_exec {
            ("exec", "run")
        } else {
            ("run", "exec")
        };
        ensure!(
            recording.given("personality", phase) == asked
                && recording.given("personality", other).is_empty(),
            "{id}, {phase}: {:?}",
            recording.syscalls
        );
        let cut = recording
            .syscalls
            .iter()
            .filter_map(|call| call.arguments.as_ref());
        ensure!(
            cut.clone().all(|arguments| arguments.cut.is_empty()),
            "{id}"
        );
    }
    Ok(())
}

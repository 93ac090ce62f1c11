//! The profile of a container is proven by enforcing it. Each kind of work is recorded in a container,
//! from its first call, on runc and on crun, with and without `no_new_privs`, as root and as another
//! user. Its profile then runs the same work, as the same user, on either runtime, with and without
//! `no_new_privs`: with the same result and, as tracer recorded it, without one call that was stopped,
//! neither by the program nor by the runtime; but for clone3, in whose place they call clone. With one of the calls taken out that call fails, and
//! tracer says so.
//!
//! | | recorded on | enforced on | with a call taken out |
//! | --- | --- | --- | --- |
//! | each work | runc, crun | runc, crun | the runtime that it was recorded on |
//! | [`newer`] | runc | the newest runc and crun of `TRACER_RUNTIMES` | the newest runc |
//!
//! What is recorded with `no_new_privs` is under a filter that allows all, the rest under none.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tracer_tests::{
    Outcome,
    batch::{self, Case, Configuration, Ran},
    oci::{self, Runtime},
    recording::{Blocked, Syscall, SyscallId},
    requires::{self, Need, program},
    scratch::Scratch,
    seccomp,
    servers::Server,
    work::{Done, Work},
};

/// A runtime's program: which, its version, where.
type Program = (Runtime, String, PathBuf);

/// A call without which the work cannot be done, and which no runtime needs: its name and number.
type Needed = (&'static str, u32);

/// Error 38 (include/uapi/asm-generic/errno.h).
const ENOSYS: u16 = 38;

/// What a container was recorded as.
struct Recorded {
    configuration: Configuration,
    profile: Value,
    done: Done,
}

/// The eight configurations of the machine's own runtimes.
fn configurations(programs: &[Program]) -> Vec<Configuration> {
    let mut configurations = Vec::new();
    for (runtime, version, program) in programs {
        for no_new_privileges in [true, false] {
            for uid in [0, 1000] {
                configurations.push(Configuration {
                    runtime: *runtime,
                    version: version.clone(),
                    program: program.clone(),
                    no_new_privileges,
                    uid,
                });
            }
        }
    }
    configurations
}

/// Records `work` in each configuration.
fn record(scratch: &Scratch, work: Work, on: &[Program]) -> Result<Vec<Recorded>> {
    let (open, none) = (json!({ "defaultAction": "SCMP_ACT_ALLOW" }), Value::Null);
    let cases: Vec<_> = configurations(on)
        .into_iter()
        .map(|configuration| Case {
            profile: if configuration.no_new_privileges {
                &open
            } else {
                &none
            },
            configuration,
        })
        .collect();
    let runs = batch::record(scratch, "recorded", work, &cases)?;
    let mut all = Vec::new();
    for (case, ran) in cases.into_iter().zip(runs) {
        let recorded = recorded(ran, case.configuration.clone());
        all.push(recorded.with_context(|| format!("recording on {}", case.configuration))?);
    }
    for other in &all {
        ensure!(
            other.done.said == all[0].done.said,
            "{}: {:?}, but {}: {:?}",
            other.configuration,
            other.done,
            all[0].configuration,
            all[0].done
        );
    }
    Ok(all)
}

fn recorded(ran: Ran, configuration: Configuration) -> Result<Recorded> {
    let done = ran.done?;
    ensure!(done.code == 0, "{done:?}");
    let recording = ran.recorded.recording()?;
    ensure!(
        recording.instances.iter().all(|it| it.start_observed),
        "its start was not seen: {:?}",
        recording.coverage
    );
    ensure!(
        recording.blocked().is_empty(),
        "a filter that allows all stopped calls: {:?}",
        recording.blocked()
    );
    Ok(Recorded {
        configuration,
        profile: seccomp::read(&ran.recorded.profile())?,
        done,
    })
}

/// Enforces each profile on each of the runtimes; tells how many runs that were, and what failed.
fn enforce(
    scratch: &Scratch,
    work: Work,
    recorded: &[Recorded],
    on: &[Program],
) -> Result<(usize, Vec<String>)> {
    let cases: Vec<_> = recorded
        .iter()
        .flat_map(|it| {
            let case = |configuration| Case {
                configuration,
                profile: &it.profile,
            };
            let places = places(&it.configuration, on).into_iter();
            places.map(move |place| (it, case(place)))
        })
        .collect();
    let (origins, cases): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let runs = batch::record(scratch, "enforced", work, &cases)?;
    let verdicts = runs
        .into_iter()
        .zip(&origins)
        .map(|(ran, origin)| ensure_undisturbed(ran, &origin.done));
    let failures = verdicts
        .zip(origins.iter().zip(&cases))
        .filter_map(|(verdict, (origin, case))| {
            let error = verdict.err()?;
            let (from, to) = (&origin.configuration, &case.configuration);
            Some(format!("the profile of {from} on {to}: {error:?}"))
        })
        .collect();
    Ok((cases.len(), failures))
}

/// Takes a call out of each profile and enforces what is left; tells what failed.
fn deny(
    scratch: &Scratch,
    work: Work,
    recorded: &[Recorded],
    on: &[Program],
    needed: Needed,
) -> Result<Vec<String>> {
    let lacking = recorded
        .iter()
        .map(|it| seccomp::without(&it.profile, needed.0))
        .collect::<Result<Vec<_>>>()?;
    let cases = recorded
        .iter()
        .zip(&lacking)
        .map(|(it, profile)| {
            let runtime = it.configuration.runtime;
            let same = on.iter().find(|program| program.0 == runtime);
            let program = same.or(on.first());
            Ok(Case {
                configuration: it.configuration.by(program.context("no such runtime")?),
                profile,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let runs = batch::record(scratch, "lacking", work, &cases)?;
    Ok(runs
        .iter()
        .zip(&cases)
        .filter_map(|(ran, case)| {
            let error = ensure_denied(ran, needed).err()?;
            let (on, call) = (&case.configuration, needed.0);
            Some(format!("on {on} without {call}: {error:?}"))
        })
        .collect())
}

/// Where a profile is enforced: on each of the runtimes, with and without `no_new_privs`.
fn places(recorded: &Configuration, on: &[Program]) -> Vec<Configuration> {
    let both = [true, false];
    on.iter()
        .flat_map(|program| {
            both.map(|no_new_privileges| Configuration {
                no_new_privileges,
                ..recorded.by(program)
            })
        })
        .collect()
}

/// The newest of each runtime.
fn newest(programs: &[Program]) -> Vec<Program> {
    let version = |program: &&Program| -> Vec<u32> {
        let parts = program.1.split('.');
        parts.filter_map(|part| part.parse().ok()).collect()
    };
    [Runtime::Runc, Runtime::Crun]
        .into_iter()
        .filter_map(|runtime| {
            let of_it = programs.iter().filter(|program| program.0 == runtime);
            of_it.max_by_key(version)
        })
        .cloned()
        .collect()
}

/// The same result, and no call was stopped after the filter was loaded.
fn ensure_undisturbed(ran: Ran, expected: &Done) -> Result<()> {
    let done = ran.done?;
    ensure!(
        (done.code, &done.said) == (expected.code, &expected.said),
        "{done:?}, and not {expected:?}"
    );
    let recording = ran.recorded.recording()?;
    // clone3 gives way to clone, which a filter can look at: docs/arguments.md.
    let gives_way = |call: &Syscall, blocked| {
        call.name.as_deref() == Some("clone3") && blocked == Blocked::Errno(ENOSYS)
    };
    let stopped: Vec<_> = recording
        .blocked_evidence()
        .filter(|(call, _, blocked)| !gives_way(call, *blocked))
        .map(|(call, who, blocked)| (&call.name, &who.phase, &who.executable, blocked))
        .collect();
    ensure!(
        stopped.is_empty(),
        "it runs, but calls were stopped: {stopped:?}"
    );
    // It was under the filter, or nothing could have been stopped.
    ensure!(
        !recording.made_in("runtime-init").is_empty(),
        "no call was seen between the filter and the program"
    );
    Ok(())
}

/// The call that was taken out failed, tracer says so, and that is why the work failed.
fn ensure_denied(ran: &Ran, (_, nr): Needed) -> Result<()> {
    let complaint = format!("{:?}{}", ran.done, ran.log);
    ensure!(
        !matches!(&ran.done, Ok(done) if done.code == 0),
        "it runs just as well: {complaint}"
    );
    ensure!(
        complaint.contains(seccomp::DENIED.1),
        "it fails for another reason: {complaint}"
    );
    let blocked = ran.recorded.recording()?.blocked();
    let expected = (
        SyscallId::x86_64(nr),
        Blocked::Errno(seccomp::DENIED.0.try_into()?),
    );
    ensure!(
        blocked.contains(&expected),
        "{expected:?} is not among what is told to have been stopped: {blocked:?}"
    );
    Ok(())
}

/// Proves the profiles of `work` that are recorded on some runtimes by enforcing them on others.
fn prove(
    test: &str,
    work: Work,
    needed: Needed,
    recorded_on: &[Program],
    enforced_on: &[Program],
) -> Outcome {
    let began = Instant::now();
    let scratch = Scratch::new()?;
    let recorded = record(&scratch, work, recorded_on)?;
    let (enforced, mut failures) = enforce(&scratch, work, &recorded, enforced_on)?;
    failures.extend(deny(&scratch, work, &recorded, enforced_on, needed)?);
    writeln!(
        io::stderr(),
        "{test}: {} recorded, {enforced} enforced, {} with a call taken out, in {:.1} s",
        recorded.len(),
        recorded.len(),
        began.elapsed().as_secs_f64(),
    )?;
    ensure!(
        failures.is_empty(),
        "{} of {} failed:\n{}",
        failures.len(),
        enforced + recorded.len(),
        failures.join("\n")
    );
    Ok(())
}

fn met(test: &str, work: Work, more: &[Need]) -> Result<bool> {
    let mut needs = vec![
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::RUNC,
        program::CRUN,
        program::UNSHARE,
    ];
    needs.extend(work.needs());
    needs.extend(more);
    requires::met(test, &needs)
}

/// The machine's own runc and crun, and the newest of each that is newer.
fn programs() -> Result<([Program; 2], Vec<Program>)> {
    let mut all = oci::programs()?.into_iter();
    let own = (all.next().zip(all.next())).context("the machine's own runtimes are missing")?;
    Ok((own.into(), newest(&all.collect::<Vec<_>>())))
}

fn on_both(test: &str, work: Work, needed: Needed) -> Outcome {
    if !met(test, work, &[])? {
        return Ok(());
    }
    let (own, _) = programs()?;
    prove(test, work, needed, &own, &own)
}

fn on_newer(test: &str, work: Work, needed: Needed) -> Outcome {
    if !met(test, work, &[Need::NewerRuntimes])? {
        return Ok(());
    }
    let (own, newest) = programs()?;
    prove(test, work, needed, &own[..1], &newest)
}

macro_rules! matrix {
    ($($name:ident: $work:expr, needs $needed:expr;)*) => {
        $(
            #[test]
            fn $name() -> Outcome {
                on_both(tracer_tests::test_name!(), $work, $needed)
            }
        )*

        mod newer {
            use super::*;

            $(
                #[test]
                fn $name() -> Outcome {
                    on_newer(tracer_tests::test_name!(), $work, $needed)
                }
            )*
        }
    };
}

matrix! {
    nginx: Work::Server(Server::Nginx), needs ("bind", 49);
    redis: Work::Server(Server::Redis), needs ("bind", 49);
    python: Work::Script(program::PYTHON, "work.py"), needs ("pipe2", 293);
    bash: Work::Script(program::BASH, "work.bash"), needs ("pipe2", 293);
    busybox: Work::Busybox, needs ("mkdir", 83);
}

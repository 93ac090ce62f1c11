//! What a profile costs while it is enforced: of a call without an argument rule nothing depends on the
//! filter's length, and the order in which a profile has its entries changes no instruction.

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tracer_tests::{
    Outcome,
    filter::{self, Filter},
    needs,
    oci::{self, Container, Runtime},
    process::{self, Running},
    programs::{self, Build},
    recording::Recording,
    requires::{Need, program},
    scratch::Scratch,
    seccomp,
    tracer::Record,
    wait,
};

/// What an argument rule is made for: a call that the program makes again and again.
const RULED: (&str, u32) = ("clock_nanosleep", 230);

/// Numbers beyond the last one that any kernel has for x86.
const NUMBERS: std::ops::Range<u32> = 0..600;

macro_rules! needs_filters {
    () => {
        needs!(
            Need::Root,
            Need::Cgroup2,
            Need::X86,
            Need::Filters,
            program::CC,
            program::RUNC,
            program::CRUN,
            program::UNSHARE
        )
    };
}

/// A program that goes on and makes no new calls, its recording, and its profile.
fn recorded(scratch: &Scratch) -> Result<(Recording, Value)> {
    let (_, recorded) = Record::new(&scratch.join("out"), "work")?
        .option("--until-stable=300ms")
        .of([programs::compiled("new_calls", Build::Static)?])
        .run()?;
    Ok((recorded.recording()?, seccomp::read(&recorded.profile())?))
}

/// The filter that a runtime makes of a profile.
fn loaded(
    (runtime, _, program): &(Runtime, String, PathBuf),
    scratch: &Scratch,
    profile: &Value,
) -> Result<Filter> {
    let argv = [programs::compiled("new_calls", Build::Static)?];
    let dir = scratch.dir("dir")?;
    let container = Container::new(*runtime, &argv, &dir, profile, true)?.by(program);
    let line = container.command_line()?;
    let (shell, args) = line.split_first().context("an empty command line")?;
    let mut running = Running::spawn(Command::new(shell).args(args))?;
    running.until_stdout("done")?;
    let pid = wait::pid_in(&container.pid_file())?;
    let filter = Filter::of(pid)?;
    process::send(pid, Signal::SIGKILL)?;
    running.wait()?;
    Ok(filter)
}

/// The numbers that it allows whatever the arguments are, and those of which it looks at arguments.
fn numbers(filter: &Filter) -> Result<(BTreeSet<u32>, BTreeSet<u32>)> {
    let (mut constant, mut conditional) = (BTreeSet::new(), BTreeSet::new());
    for nr in NUMBERS {
        let verdict = filter.run(filter::X86_64, nr, [0; 6])?;
        if !verdict.constant {
            conditional.insert(nr);
        } else if verdict.action == filter::ALLOW {
            constant.insert(nr);
        }
    }
    Ok((constant, conditional))
}

/// The names that a profile has argument rules for.
fn restricted(profile: &Value) -> BTreeSet<&str> {
    let entries = profile["syscalls"].as_array().into_iter().flatten();
    entries
        .filter(|entry| {
            entry["args"]
                .as_array()
                .is_some_and(|args| !args.is_empty())
        })
        .filter_map(|entry| entry["names"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn unconditionally_allowed_calls_skip_the_filter() -> Outcome {
    needs_filters!();
    let scratch = Scratch::new()?;
    let (recording, profile) = recorded(&scratch)?;
    let restricted = restricted(&profile);
    // One rule with an argument more, so that it is known to be seen.
    let mut ruled = seccomp::without(&profile, RULED.0)?;
    let entries = ruled["syscalls"].as_array_mut().context("no entries")?;
    let last = entries.last_mut().context("no entries")?;
    *last = json!({
        "names": [RULED.0], "action": "SCMP_ACT_ALLOW",
        "args": [{ "index": 1, "value": 7, "op": "SCMP_CMP_NE" }],
    });
    for program in oci::programs()? {
        let of = format!("{} {}", program.0.name(), program.1);
        let (constant, conditional) = numbers(&loaded(&program, &scratch, &profile)?)?;
        // A runtime's libseccomp may not know all of the names.
        ensure!(
            conditional.len() <= restricted.len(),
            "{of}: of {conditional:?} the arguments matter, but there are rules for {restricted:?}"
        );
        let plain = recording.syscalls.iter().filter(|call| {
            let name = call.name.as_deref();
            let in_run = call.evidence.iter().any(|who| who.phase == "run");
            in_run && name.is_some_and(|name| !restricted.contains(name))
        });
        let plain: BTreeSet<_> = plain.map(|call| call.nr).collect();
        ensure!(
            plain.contains(&RULED.1) && plain.is_subset(&constant),
            "{of}: of {plain:?}, {constant:?} are allowed whatever their arguments are"
        );

        let filter = loaded(&program, &scratch, &ruled)?;
        let (with_rule, its_conditional) = numbers(&filter)?;
        let one_more: BTreeSet<_> = conditional.iter().copied().chain([RULED.1]).collect();
        let one_less: BTreeSet<_> = constant
            .iter()
            .copied()
            .filter(|nr| *nr != RULED.1)
            .collect();
        ensure!(
            its_conditional == one_more && with_rule == one_less,
            "{of}: a rule for {} makes {its_conditional:?} of {conditional:?}",
            RULED.0
        );
        let denied = filter.run(filter::X86_64, RULED.1, [0, 7, 0, 0, 0, 0])?;
        ensure!(denied.action != filter::ALLOW, "{of}: {denied:?}");
    }
    Ok(())
}

#[test]
fn entry_order_does_not_change_the_filter() -> Outcome {
    needs_filters!();
    let scratch = Scratch::new()?;
    let (_, profile) = recorded(&scratch)?;
    let mut reversed = profile.clone();
    let entries = reversed["syscalls"].as_array_mut().context("no entries")?;
    entries.reverse();
    for entry in entries {
        entry["names"].as_array_mut().context("no names")?.reverse();
    }
    ensure!(profile != reversed);
    for program in oci::programs()? {
        let filters = [&profile, &reversed].map(|profile| loaded(&program, &scratch, profile));
        let [one, other] = filters;
        ensure!(
            one?.is_same(&other?),
            "{} {} makes another filter of the same entries in another order",
            program.0.name(),
            program.1
        );
    }
    Ok(())
}

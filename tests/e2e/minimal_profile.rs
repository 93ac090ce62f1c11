//! The smallest workload there is: what its profile holds beyond it would be the runtime's.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tracer_tests::{
    Outcome,
    lifecycle::Watch,
    needs,
    oci::{Container, Runtime},
    process,
    requires::{Need, program},
    scratch::Scratch,
};

/// Lines of a terminal.
const SCREEN: usize = 24;

/// What `sleep` reads of the machine, as globs may end it: itself, the loader and its cache, the C
/// library, and the language's data.
const ITS_OWN: [&str; 7] = [
    "/usr/bin/sleep",
    "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.",
    "/usr/lib/x86_64-linux-gnu/ld-2.",
    "/usr/lib/x86_64-linux-gnu/libc.so.",
    "/usr/lib/x86_64-linux-gnu/libc-2.",
    "/usr/lib/locale/",
    "/etc/ld.so.cache",
];

fn profile_of_sleep(runtime: Runtime) -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        runtime.need(),
        program::UNSHARE
    );
    let scratch = Scratch::new()?;
    let argv = ["sleep", "0.1"].map(Into::into);
    let seccomp = json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    let dir = scratch.dir("work")?;
    let container = Container::new(runtime, &argv, &dir, &seccomp, true)?.in_public();
    let watch = Watch::start(
        &scratch.join("out"),
        &["--wait", "--container", container.id()],
    )?;
    let line = container.command_line()?;
    let (program, args) = line.split_first().context("an empty command line")?;
    process::run(Command::new(program).args(args))?.success()?;
    let watched = watch.ends()?;
    let (directory, recording) = watched.only()?;
    // The runtime did use them.
    ensure!(
        recording
            .capabilities
            .iter()
            .any(|one| one.what.capability == "CAP_SYS_ADMIN"),
        "the runtime mounted nothing: {:?}",
        recording.capabilities
    );
    let text = fs::read_to_string(directory.join("apparmor.profile"))?;
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    ensure!(
        lines.len() <= SCREEN,
        "{} lines are no screen:\n{text}",
        lines.len()
    );
    let paths: Vec<_> = lines.iter().filter(|line| line.starts_with('/')).collect();
    ensure!(paths.len() >= 3, "it reads no library:\n{text}");
    for path in paths {
        ensure!(
            ITS_OWN.iter().any(|own| path.starts_with(own)),
            "{path} is none of its own:\n{text}"
        );
    }
    let starts = |word: &&&str| {
        [
            "capability",
            "mount",
            "umount",
            "pivot_root",
            "network",
            "owner",
            "ptrace",
        ]
        .contains(&word.split([' ', ',']).next().unwrap_or_default())
    };
    let more: Vec<_> = lines.iter().filter(starts).collect();
    ensure!(more.is_empty(), "{more:?} is none of its own:\n{text}");
    no_capabilities(&fs::read_to_string(directory.join("REVIEW.md"))?)
}

fn no_capabilities(review: &str) -> Result<()> {
    ensure!(
        review.contains("drop: [ALL]") || review.contains("--cap-drop"),
        "the review says nothing of capabilities:\n{review}"
    );
    ensure!(
        !review.contains("--cap-add"),
        "the review adds a capability:\n{review}"
    );
    Ok(())
}

#[test]
fn sleep_profile_is_minimal_on_runc() -> Outcome {
    profile_of_sleep(Runtime::Runc)
}

#[test]
fn sleep_profile_is_minimal_on_crun() -> Outcome {
    profile_of_sleep(Runtime::Crun)
}

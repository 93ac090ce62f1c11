//! What a workload needs, told from what the kernel only asks about: capabilities, what exec demands, the
//! file that runs, and calls that a workload's own supervisor answers.

use std::{
    collections::BTreeSet, fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command,
};

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use tracer_tests::{
    Outcome,
    lifecycle::Watch,
    needs,
    oci::{Container, Runtime},
    process,
    programs::{self, Build},
    recording::{Executable, Recording},
    requires::{Need, program},
    rootfs::Rootfs,
    scratch::{Mounted, Scratch, unique},
    tracer::{self, Record},
};

/// libcap's program that gives files capabilities.
const SETCAP: Need = Need::Program("setcap", "libcap2-bin");
/// util-linux's that becomes another user.
const SETPRIV: Need = Need::Program("setpriv", "util-linux");

/// What `tests/programs/capability_checks.c` skips with.
const SKIPPED: i32 = 77;

/// Those of its cases that depend on the file system.
const OF_FILES: [&str; 8] = [
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "mknod",
    "lease",
    "setfcap",
    "sys_admin",
];

/// Records each case in a directory, where it does what it says on this kernel, and compares what the profile
/// gives with what the program said it needs.
fn capabilities_in(directory: &Path, scratch: &Scratch, only: Option<&[&str]>) -> Result<usize> {
    let program = programs::compiled("capability_checks", Build::Dynamic)?;
    let list = process::run(Command::new(&program).arg("list"))?.success()?;
    let mut wrong = Vec::new();
    let mut tried = 0;
    for line in list.text().lines() {
        let mut words = line.split(' ');
        let (Some(kind), Some(name), Some(number)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        if only.is_some_and(|only| !only.contains(&name)) {
            continue;
        }
        let run = |without: Option<&str>| -> Result<Option<i32>> {
            let mut command = Command::new(&program);
            command.args([kind, name]).arg(directory).args(without);
            Ok(process::run(&mut command)?.status.code())
        };
        let with = run(None)?;
        if with == Some(SKIPPED) {
            continue;
        }
        ensure!(
            with == Some(0),
            "{kind} {name} fails with all rights: {with:?}"
        );
        // The kernel's own word: with the capability given up, one fails and the other does not.
        let needed = kind == "need";
        let without = run(Some("without"))?;
        ensure!(
            without == Some(i32::from(needed)),
            "{kind} {name} without the capability: {without:?}"
        );
        let (finished, recorded) = Record::new(&scratch.join("out"), &unique(name))?
            .of([
                program.as_os_str(),
                kind.as_ref(),
                name.as_ref(),
                directory.as_os_str(),
            ])
            .run()?;
        finished.success()?;
        let given = fs::read_to_string(recorded.directory.join("capabilities.engine.args"))?;
        let number: u8 = number.parse()?;
        let capability = syscalls::capability::Capability::from_number(number);
        let flag = format!("--cap-add={}", capability.name().context("it has no name")?);
        tried += 1;
        if given.split_whitespace().any(|it| it == flag) != needed {
            wrong.push(format!("{kind} {name}: {given}"));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{}:\n{}",
        directory.display(),
        wrong.join("\n")
    );
    Ok(tried)
}

/// For nearly every capability, a program that needs it and one that only makes the kernel ask.
#[test]
fn capability_checks_are_told_from_needs() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::CC);
    let scratch = Scratch::new()?;
    let tried = capabilities_in(&scratch.dir("work")?, &scratch, None)?;
    ensure!(tried >= 40, "only {tried} cases could be tried");
    Ok(())
}

/// Whoever mounted an overlay is not whoever uses it.
#[test]
fn capabilities_of_files_are_told_on_every_file_system() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::CC);
    let scratch = Scratch::new()?;
    let memory = scratch.dir("memory")?;
    let _memory = Mounted::tmpfs(&memory, "mode=0755")?;
    let on_memory = memory.join("work");
    fs::create_dir(&on_memory)?;
    ensure!(capabilities_in(&on_memory, &scratch, Some(&OF_FILES))? >= 8);
    let overlay = overlay(&scratch, &memory, &on_memory)?;
    ensure!(capabilities_in(overlay.path(), &scratch, Some(&OF_FILES))? >= 7);
    Ok(())
}

/// An overlay over a directory, with its changes in memory.
fn overlay(scratch: &Scratch, memory: &Path, lower: &Path) -> Result<Overlay> {
    let place = scratch.dir("overlay")?;
    let (upper, work) = (memory.join("upper"), memory.join("upper.work"));
    fs::create_dir(&upper)?;
    fs::create_dir(&work)?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    mount(
        Some("overlay"),
        &place,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .context("mounting an overlay")?;
    Ok(Overlay(place))
}

/// A mounted overlay.
struct Overlay(std::path::PathBuf);

impl Overlay {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

fn ls_on_an_overlay(runtime: Runtime) -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        runtime.need(),
        program::UNSHARE,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let memory = scratch.dir("memory")?;
    let _memory = Mounted::tmpfs(&memory, "mode=0755")?;
    let image = scratch.dir("image")?;
    let rootfs = Rootfs::new(&image)?;
    let root = overlay(&scratch, &memory, rootfs.path())?;
    let argv = ["/bin/ls", "-la", "/bin"].map(Into::into);
    let dir = scratch.dir("work")?;
    let allow = serde_json::json!({ "defaultAction": "SCMP_ACT_ALLOW" });
    let container = Container::new(runtime, &argv, &dir, &allow, true)?
        .edited(|spec| {
            spec["root"] = serde_json::json!({ "path": root.path(), "readonly": false });
            spec["process"]["capabilities"] = serde_json::json!({});
        })?
        .in_public();
    let watch = Watch::start(
        &scratch.join("out"),
        &["--wait", "--container", container.id()],
    )?;
    let line = container.command_line()?;
    let (program, args) = line.split_first().context("an empty command line")?;
    process::run(Command::new(program).args(args))?.success()?;
    let watched = watch.ends()?;
    let (directory, recording) = watched.only()?;
    let given = fs::read_to_string(directory.join("capabilities.engine.args"))?;
    ensure!(given.trim() == "--cap-drop=ALL", "{given}");
    ensure!(
        of_workload(recording) == ["/bin/busybox".to_owned()].into(),
        "{:?}",
        of_workload(recording)
    );
    Ok(())
}

#[test]
fn ls_on_an_overlay_needs_no_capability_under_runc() -> Outcome {
    ls_on_an_overlay(Runtime::Runc)
}

#[test]
fn ls_on_an_overlay_needs_no_capability_under_crun() -> Outcome {
    ls_on_an_overlay(Runtime::Crun)
}

/// The paths of the executables of the workload itself.
fn of_workload(recording: &Recording) -> BTreeSet<String> {
    recording
        .syscalls
        .iter()
        .flat_map(|call| &call.evidence)
        .filter(|seen| seen.phase == "run")
        .filter_map(|seen| match &seen.executable {
            Executable::Path(path) => Some(path.clone()),
            _ => None,
        })
        .collect()
}

fn executables(scratch: &Scratch, directory: &Path, argv: &[&Path]) -> Result<BTreeSet<String>> {
    let (finished, recorded) = Record::new(&scratch.join("out"), &unique("executables"))?
        .with_files()
        .with(|command| {
            command.current_dir(directory);
        })
        .of(argv)
        .run()?;
    finished.success()?;
    Ok(of_workload(&recorded.recording()?))
}

/// One file is one executable, by whatever name it was called, and two files are two.
#[test]
fn executable_is_the_file_that_runs() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::CC, program::BUSYBOX);
    let scratch = Scratch::new()?;
    let directory = scratch.dir("work")?.canonicalize()?;
    let file = directory.join("program");
    fs::copy(programs::compiled("by_descriptor", Build::Static)?, &file)?;
    std::os::unix::fs::symlink("program", directory.join("link"))?;
    let expected: BTreeSet<_> = [file.display().to_string()].into();
    // Each runs itself once more by a descriptor.
    for name in ["./program", "./link", "../work/program"] {
        let found = executables(&scratch, &directory, &[Path::new(name)])?;
        ensure!(found == expected, "{name}: {found:?}");
    }
    let found = executables(&scratch, &directory, &[&directory.join("link")])?;
    ensure!(found == expected, "{found:?}");

    // Scripts are files of their own, whatever runs them; applets are one file.
    for name in ["one", "two"] {
        let script = scratch.file(&format!("work/{name}"), "#!/bin/sh\nls >/dev/null\n")?;
        fs::set_permissions(script, fs::Permissions::from_mode(0o755))?;
    }
    std::os::unix::fs::symlink("one", directory.join("again"))?;
    let busybox = tracer_tests::requires::which("busybox").context("busybox")?;
    let busybox = busybox.canonicalize()?;
    for applet in ["sh", "ls", "cat"] {
        std::os::unix::fs::symlink(&busybox, directory.join(applet))?;
    }
    let line = "./one; ./again; ./two; ./ls; ./cat /dev/null";
    let found = executables(
        &scratch,
        &directory,
        &[Path::new("./sh"), Path::new("-c"), Path::new(line)],
    )?;
    for path in [directory.join("one"), directory.join("two"), busybox] {
        ensure!(
            found.contains(&path.display().to_string()),
            "{path:?}: {found:?}"
        );
    }
    ensure!(
        !found
            .iter()
            .any(|path| path.ends_with("/again") || path.ends_with("/cat")),
        "{found:?}"
    );
    Ok(())
}

/// What a supervisor of the workload's own answers is allowed; what its filter refuses is not. And what a filter
/// stops is seen from the call on that loads it.
#[test]
fn answers_of_an_own_supervisor_are_allowed() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let program = programs::compiled("supervised", Build::Static)?;
    let (finished, recorded) = Record::new(&scratch.join("out"), "supervised")?
        .with_files()
        .of([&program])
        .run()?;
    finished.success()?;
    let recording = recorded.recording()?;
    ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    let blocked: Vec<_> = recording
        .syscalls
        .iter()
        .filter(|call| call.evidence.iter().any(|seen| seen.blocked.is_some()))
        .map(|call| call.nr)
        .collect();
    // mkdir alone.
    ensure!(blocked == [83], "{blocked:?}");
    let verified = process::run(
        tracer::command()?
            .arg("verify")
            .arg(recorded.profile())
            .arg("--")
            .arg(&program),
    )?;
    ensure!(
        verified.stderr.contains("the command exited with status 0")
            && !verified.stderr.contains("denied: sethostname"),
        "{verified:?}"
    );
    Ok(())
}

/// access(2) that is answered with yes speaks against a read-only root. A call that an own filter traps is not made,
/// though its number looks like a result.
#[test]
fn answers_of_access_are_recorded_and_trapped_calls_are_not() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, Need::X86, program::CC);
    let scratch = Scratch::new()?;
    let program = programs::compiled("checks_and_traps", Build::Static)?;
    let work = scratch.dir("work")?;
    for name in ["by-access", "by-faccessat", "only-read"] {
        fs::write(work.join(name), "")?;
    }
    let missing = scratch.join("missing");
    let trapped = scratch.join("trapped");
    let (finished, recorded) = Record::new(&scratch.join("out"), "work")?
        .with_files()
        .of([&program, &work, &missing, &trapped])
        .run()?;
    finished.success()?;
    let recording = recorded.recording()?;
    ensure!(recording.coverage.complete, "{:?}", recording.coverage);
    let text = fs::read_to_string(recorded.directory.join("recording.json"))?;
    let value: serde_json::Value = serde_json::from_str(&text)?;
    let files = value["files"].as_array().context("no files")?;
    let trapped = trapped.display().to_string();
    ensure!(
        !files.iter().any(|it| it["what"]["path"] == trapped),
        "{files:?}"
    );
    if text.contains("write-checks") {
        // Hooks do not see them, which the recording says.
        return Ok(());
    }
    let checked: BTreeSet<_> = files
        .iter()
        .filter(|it| it["what"]["access"] == "check_writable")
        .filter_map(|it| it["what"]["path"].as_str().map(str::to_owned))
        .collect();
    let expected = ["by-access", "by-faccessat"].map(|name| work.join(name).display().to_string());
    ensure!(checked == BTreeSet::from(expected), "{checked:?}");
    let profile = fs::read_to_string(recorded.directory.join("apparmor.profile"))?;
    ensure!(!profile.contains("by-access"), "{profile}");
    tracer::command()?
        .args(["generate", "--format", "security-context", "--output"])
        .arg(scratch.join("generated"))
        .arg(&recorded.directory)
        .output()?;
    let context = scratch.join("generated/work/kubernetes/securitycontext.yaml");
    let context = fs::read_to_string(context)?;
    ensure!(
        context.contains("readOnlyRootFilesystem is not set: it asked whether it may write to"),
        "{context}"
    );
    Ok(())
}

/// Whoever reads the review learns first that the command failed.
#[test]
fn failed_command_is_reported_first() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let scratch = Scratch::new()?;
    for (script, how) in [("exit 3", "exit status 3"), ("kill -SEGV $$", "SIGSEGV")] {
        let (finished, recorded) = Record::new(&scratch.join("out"), "failing")?
            .of(["sh", "-c", script])
            .run()?;
        let told = format!("the command failed ({how})");
        let first = finished.stderr.find(&told).context("not reported")?;
        ensure!(
            finished
                .stderr
                .find("recorded ")
                .is_none_or(|it| it > first),
            "{finished:?}"
        );
        let review = fs::read_to_string(recorded.directory.join("REVIEW.md"))?;
        ensure!(
            review.contains(&format!("\n\n**Record again**: {told}")),
            "{review}"
        );
        fs::remove_dir_all(scratch.join("out"))?;
    }
    Ok(())
}

/// execve(2) fails where the bounding set lacks what a file has with the effective bit, though nothing asks.
#[test]
fn capabilities_of_an_executed_file_are_demanded() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, SETCAP, SETPRIV);
    let scratch = Scratch::new()?;
    let file = scratch.dir("work")?.join("program");
    fs::copy("/bin/true", &file)?;
    for (capabilities, given) in [
        ("cap_net_raw=+ep", "--cap-drop=ALL --cap-add=NET_RAW"),
        ("cap_net_raw=+p", "--cap-drop=ALL"),
    ] {
        process::run(Command::new("setcap").arg(capabilities).arg(&file))?.success()?;
        let (finished, recorded) = Record::new(&scratch.join("out"), &unique("exec"))?
            .with_files()
            .of([&file])
            .run()?;
        finished.success()?;
        let args = fs::read_to_string(recorded.directory.join("capabilities.engine.args"))?;
        ensure!(args.trim() == given, "{capabilities}: {args}");
        // The kernel's own word.
        let without = Command::new("setpriv")
            .args(["--bounding-set", "-net_raw"])
            .arg(&file)
            .status()?;
        ensure!(
            without.success() != given.contains("NET_RAW"),
            "{capabilities}"
        );
    }
    Ok(())
}

/// A program that becomes another user does not under `no_new_privs`.
#[test]
fn set_user_id_programs_are_recorded() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, SETPRIV);
    let scratch = Scratch::new()?;
    let directory = scratch.dir("work")?;
    let file = directory.join("program");
    fs::copy("/bin/true", &file)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4755))?;
    for place in [scratch.path(), &directory] {
        fs::set_permissions(place, fs::Permissions::from_mode(0o755))?;
    }
    for (uid, gains) in [("1000", true), ("0", false)] {
        let (finished, recorded) = Record::new(&scratch.join("out"), &unique("set-id"))?
            .with_files()
            .of(["setpriv", "--clear-groups", "--reuid", uid, "--regid", uid])
            .with(|command| {
                command.arg(&file);
            })
            .run()?;
        finished.success()?;
        let text = fs::read_to_string(recorded.directory.join("recording.json"))?;
        let recording: serde_json::Value = serde_json::from_str(&text)?;
        let found = recording["files"].as_array().is_some_and(|files| {
            files
                .iter()
                .any(|it| it["what"]["gains_privileges"] == true)
        });
        ensure!(found == gains, "user {uid}");
    }
    Ok(())
}

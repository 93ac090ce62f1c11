//! The AppArmor profile of a recording runs the same work, and nothing more: enforced by a kernel that
//! has AppArmor, in the virtual machine.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tracer_tests::{
    Outcome,
    kernel_log::KernelLog,
    needs, process,
    programs::{self, Build},
    requires::{Need, program},
    scratch::Scratch,
    servers::Server,
    tracer::{self, Record, Recorded},
    work::Work,
};

/// aa-exec(1).
const AA_EXEC: Need = Need::Program("aa-exec", "apparmor");
const PARSER: Need = Need::Program("apparmor_parser", "apparmor");

/// A profile that is loaded and enforced, until it is dropped.
struct Loaded {
    file: PathBuf,
}

impl Loaded {
    fn new(file: &Path) -> Result<Self> {
        parser("-r", file)?;
        Ok(Self {
            file: file.to_owned(),
        })
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if let Err(error) = parser("-R", &self.file) {
            eprintln!("a profile stays behind: {error:#}");
        }
    }
}

fn parser(option: &str, file: &Path) -> Outcome {
    let output = Command::new("apparmor_parser")
        .args([option, "-K", "-O", "no-expr-simplify"])
        .arg(file)
        .output()
        .context("starting apparmor_parser")?;
    ensure!(
        output.status.success(),
        "apparmor_parser {option}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// One that no other test has at the same time.
fn profile_name(test: &str) -> String {
    format!("{}-{}", test.replace("::", "-"), std::process::id())
}

/// A command line that runs under a profile.
fn under(profile: &str, line: &[PathBuf]) -> Vec<PathBuf> {
    let mut whole: Vec<PathBuf> = ["aa-exec", "-p", profile, "--"].map(PathBuf::from).into();
    whole.extend(line.iter().cloned());
    whole
}

/// Whether the work's profile is to be divided among its programs, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Programs {
    Together,
    Divided,
}

/// The profile of a recording with a profile in it for each program.
fn divided(scratch: &Scratch, recorded: &Recorded, name: &str) -> Result<PathBuf> {
    let out = scratch.join("divided");
    let finished = process::run(
        tracer::command()?
            .args(["generate", "--children", "--check", "--format", "apparmor"])
            .arg("--output")
            .arg(&out)
            .arg(recorded.directory.join("recording.json")),
    )?;
    finished.success()?;
    let file = out.join(name).join("apparmor.profile");
    let text = fs::read_to_string(&file)?;
    ensure!(text.contains("\n  profile "), "it is not divided:\n{text}");
    Ok(file)
}

/// Records `work`, enforces its profile on the same work, and then on what was not recorded.
fn runs_under_its_profile(test: &str, work: Work, programs: Programs) -> Outcome {
    let mut needed = vec![
        Need::Root,
        Need::Cgroup2,
        Need::SecurityModules,
        AA_EXEC,
        PARSER,
        program::BUSYBOX,
    ];
    needed.extend(work.needs());
    if !tracer_tests::requires::met(test, &needed)? {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let dir = scratch.dir("work")?;
    let name = profile_name(test);
    let line = work.prepare(&dir)?;
    let record = Record::new(&scratch.join("out"), &name)?
        .with_files()
        .of(line.clone());
    let (recording_line, recorded) = record.into_command_line();
    let done = work.run(&dir, &recording_line, None)?;
    ensure!(
        done.code == 0,
        "the work failed while it was recorded: {done:?}"
    );

    let file = recorded.directory.join("apparmor.profile");
    let text = fs::read_to_string(&file).context("there is no AppArmor profile")?;
    let mut log = KernelLog::from_now()?;
    let mut files = vec![file];
    if programs == Programs::Divided {
        files.push(divided(&scratch, &recorded, &name)?);
    }
    for file in files {
        let text = fs::read_to_string(&file)?;
        // The work begins anew.
        fs::remove_dir_all(dir.join("files"))?;
        work.prepare(&dir)?;
        let _loaded = Loaded::new(&file)?;
        let again = work.run(&dir, &under(&name, &line), None)?;
        let denied = log.denied(&name)?;
        ensure!(
            denied.is_empty(),
            "denied:\n{}\nby\n{text}",
            denied.join("\n")
        );
        ensure!(
            again.code == 0,
            "the work failed under the profile: {again:?}"
        );
        ensure!(
            again.said == done.said,
            "it said {again:?}, and before {done:?}"
        );
    }

    // A file that nobody recorded, read by the program itself: the profile of `cat` reads its own.
    let without = without_a_rule(&text)?;
    let file = scratch.join("without");
    fs::write(&file, &without.text)?;
    let _loaded = Loaded::new(&file)?;
    let _ = work.run(&dir, &under(&name, &line), None);
    let denied = log.denied(&name)?;
    ensure!(
        !denied.is_empty(),
        "without the rule {:?} nothing was denied",
        without.rule
    );
    Ok(())
}

/// A profile that lacks one rule.
struct Without {
    text: String,
    rule: String,
}

/// Leaves out the rule of a library that is mapped: every program that is not static needs one.
fn without_a_rule(text: &str) -> Result<Without> {
    let rule = text
        .lines()
        .find(|line| line.contains("libc.so") && line.trim_end().ends_with("mr,"))
        .context("no rule speaks of the C library")?;
    Ok(Without {
        text: text.replace(rule, ""),
        rule: rule.trim().to_owned(),
    })
}

macro_rules! enforce {
    ($($name:ident: $work:expr, $programs:ident;)*) => {
        $(
            #[test]
            fn $name() -> Outcome {
                runs_under_its_profile(tracer_tests::test_name!(), $work, Programs::$programs)
            }
        )*
    };
}

enforce! {
    every_file_access: Work::Script(program::PYTHON, "files.py"), Divided;
    nginx: Work::Server(Server::Nginx), Together;
    pipeline: Work::Script(program::BASH, "work.bash"), Divided;
    python: Work::Script(program::PYTHON, "work.py"), Together;
    redis: Work::Script(program::BASH, "redis_dump.bash"), Divided;
    temporary_names: Work::Script(program::PYTHON, "temporary.py"), Together;
}

/// Memory and files without a name are recorded where AppArmor asks about them, and run under the profile.
#[test]
fn nameless_memory_and_files_are_recorded() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::SecurityModules,
        AA_EXEC,
        PARSER,
        program::CC
    );
    // Of the whole machine, which is the virtual one.
    fs::write("/proc/sys/vm/nr_hugepages", "8")?;
    let scratch = Scratch::new()?;
    let name = profile_name(tracer_tests::test_name!());
    let program = programs::compiled("nameless", Build::Static)?;
    let line: Vec<PathBuf> = ["huge", "unnamed", "posix", "system-v", "memory"]
        .into_iter()
        .map(PathBuf::from)
        .collect();
    let line = [vec![program], line].concat();
    let (finished, recorded) = Record::new(&scratch.join("out"), &name)?
        .with_files()
        .of(&line)
        .run()?;
    let said = finished.success()?.text();
    let file = recorded.directory.join("apparmor.profile");
    let text = fs::read_to_string(&file)?;
    for rule in [
        "  / mrwix,",
        "owner \"/dev/shm/#[0-9]*\" rw,",
        "owner /dev/shm/nameless-?* rw,",
    ] {
        ensure!(text.contains(rule), "there is no {rule}:\n{text}");
    }
    let mut log = KernelLog::from_now()?;
    let mut run = |text: &str| -> Result<(String, Vec<String>)> {
        let file = scratch.join("profile");
        fs::write(&file, text)?;
        let _loaded = Loaded::new(&file)?;
        let mut command = Command::new("aa-exec");
        let finished = process::run(command.args(["-p", &name, "--"]).args(&line))?;
        Ok((finished.text(), log.denied(&name)?))
    };
    let (again, denied) = run(&text)?;
    ensure!(denied.is_empty(), "denied:\n{denied:#?}\nby\n{text}");
    ensure!(again == said, "it said {again:?}, and before {said:?}");
    let (_, denied) = run(&text.replace("  / mrwix,", ""))?;
    ensure!(
        denied.iter().any(|line| line.contains("file_mmap")),
        "{denied:#?}"
    );
    Ok(())
}

/// Each program has its own rights, what was open is handed down, and what is another's is denied.
#[test]
fn child_profiles_are_enforced() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::SecurityModules,
        AA_EXEC,
        PARSER,
        program::BASH
    );
    let scratch = Scratch::new()?;
    let dir = scratch.dir("work")?.canonicalize()?;
    let name = profile_name(tracer_tests::test_name!());
    for (file, text) in [
        ("input", "in\n"),
        ("of-sh", "sh\n"),
        ("of-cat", "cat\n"),
        (
            "script",
            "#!/bin/sh\ncd \"$1\" && mkdir made && rmdir made && echo done\n",
        ),
    ] {
        fs::write(dir.join(file), text)?;
    }
    fs::set_permissions(dir.join("script"), Permissions::from_mode(0o755))?;
    let script = programs::workspace().join("tests/programs/children.bash");
    let line = [Path::new("bash"), &script, &dir].map(Path::to_owned);
    let (finished, recorded) = Record::new(&scratch.join("out"), &name)?
        .with_files()
        .of(&line)
        .run()?;
    let said = finished.success()?.text();
    ensure!(said.contains("sh\ncat\ndone\nin\n"), "it said {said:?}");

    let file = divided(&scratch, &recorded, &name)?;
    let text = fs::read_to_string(&file)?;
    for rule in [
        "cx -> \"cat\"",
        "cx -> \"dash\"",
        "cx -> \"script\"",
        "px -> \"",
    ] {
        ensure!(text.contains(rule), "there is no {rule}:\n{text}");
    }
    let _loaded = Loaded::new(&file)?;
    let mut log = KernelLog::from_now()?;
    let mut run = |more: &[&str]| {
        let mut command = Command::new("aa-exec");
        command.args(["-p", &name, "--"]).args(&line).args(more);
        let finished = process::run(&mut command)?;
        anyhow::Ok((finished.text(), log.denied(&name)?))
    };
    let (again, denied) = run(&[])?;
    ensure!(denied.is_empty(), "denied:\n{denied:#?}\nby\n{text}");
    ensure!(again == said, "it said {again:?}, and before {said:?}");
    // The same program under another's profile.
    let (again, denied) = run(&["more"])?;
    ensure!(again == format!("{said}not that\n"), "it said {again:?}");
    let first = format!("profile=\"{name}\"");
    ensure!(
        matches!(&denied[..], [one] if one.contains(&first) && one.contains("/of-cat\"")),
        "{denied:#?}"
    );
    Ok(())
}

/// Each change of the mount tree needs its own rule, and has it.
#[test]
fn each_mount_operation_needs_its_rule() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::SecurityModules,
        AA_EXEC,
        PARSER,
        program::CC
    );
    let scratch = Scratch::new()?;
    let dir = scratch.dir("work")?.canonicalize()?;
    let name = profile_name(tracer_tests::test_name!());
    let directory = dir.join("tmp fs");
    let mut line: Vec<PathBuf> = vec![programs::compiled("mounts", Build::Static)?];
    line.extend([dir, "hooks".into()]);
    let (finished, recorded) = Record::new(&scratch.join("out"), &name)?
        .with_files()
        .of(&line)
        .run()?;
    finished.success()?;
    let text = fs::read_to_string(recorded.directory.join("apparmor.profile"))?;
    let file = scratch.join("profile");
    let mut log = KernelLog::from_now()?;
    let mut denied_by = |text: &str| -> Result<Vec<String>> {
        // The program makes it anew, if it comes so far.
        if directory.exists() {
            fs::remove_dir(&directory)?;
        }
        fs::write(&file, text)?;
        let _loaded = Loaded::new(&file)?;
        process::run(
            Command::new("aa-exec")
                .args(["-p", &name, "--"])
                .args(&line),
        )?;
        log.denied(&name)
    };
    let denied = denied_by(&text)?;
    ensure!(denied.is_empty(), "denied:\n{denied:#?}\nby\n{text}");
    let rules: Vec<_> = text
        .lines()
        .filter(|line| {
            let word = line.split_whitespace().next().unwrap_or_default();
            ["mount", "umount", "pivot_root"].contains(&word)
        })
        .collect();
    ensure!(rules.len() == 13, "13 changes were made:\n{text}");
    // Until Linux 6.6 AppArmor is not asked about move_mount(2).
    let asks_of_moves =
        Path::new("/sys/kernel/security/apparmor/features/mount/move_mount").exists();
    let is_of_move_mount = |rule: &str| {
        let to = |name: &str| rule.ends_with(&format!("/{name}/\","));
        rule.contains("move") && (to("to") || to("from"))
    };
    let remount = rules
        .iter()
        .find(|rule| rule.contains("remount"))
        .context("no rule is for the remount")?;
    let mut not_needed = Vec::new();
    for rule in &rules {
        let mut without = text.replace(rule, "");
        // The parser's rule for a bind mount that is mounted again is one for any bind mount at that
        // place too (apparmor_parser 3.0.8).
        if rule.contains("(rw, bind)") {
            without = without.replace(remount, "");
        }
        let denied = denied_by(&without)?;
        let asked = ["mount", "umount", "pivotroot"].map(|it| format!("operation=\"{it}\""));
        let is_denied = |line: &String| asked.iter().any(|it| line.contains(it));
        if !denied.iter().any(is_denied) && (asks_of_moves || !is_of_move_mount(rule)) {
            not_needed.push(rule.trim());
        }
    }
    ensure!(
        not_needed.is_empty(),
        "nothing is denied without {not_needed:#?}"
    );
    Ok(())
}

/// What was not recorded is denied, each kind by itself.
#[test]
fn denies_what_was_not_recorded() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::SecurityModules,
        AA_EXEC,
        PARSER,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let name = profile_name(tracer_tests::test_name!());
    let work = ["busybox", "sh", "-c", "cat /etc/hostname >/dev/null; true"];
    let (finished, recorded) = Record::new(&scratch.join("out"), &name)?
        .with_files()
        .of(work)
        .run()?;
    finished.success()?;
    let _loaded = Loaded::new(&recorded.directory.join("apparmor.profile"))?;
    let mut log = KernelLog::from_now()?;
    let mut run = |script: &str| -> Result<Vec<String>> {
        Command::new("aa-exec")
            .args(["-p", &name, "--", "busybox", "sh", "-c", script])
            .output()
            .context("starting aa-exec")?;
        log.denied(&name)
    };
    let denied = run(work[3])?;
    ensure!(denied.is_empty(), "the recorded work is denied: {denied:?}");
    for (script, expected) in [
        ("cat /etc/passwd", "operation=\"open\""),
        ("echo >/etc/hostname", "operation=\"open\""),
        ("mkdir /tmp/not-recorded", "operation=\"mkdir\""),
        ("/bin/ls", "operation=\"exec\""),
        ("ping -c1 127.0.0.1", "operation=\"create\""),
        ("kill -0 1", "operation=\"signal\""),
        ("chroot / true", "operation=\"capable\""),
    ] {
        let denied = run(script)?;
        ensure!(
            denied.iter().any(|line| line.contains(expected)),
            "{script}: expected {expected}, the log says {denied:?}"
        );
    }
    Ok(())
}

//! What `tracer audit --fix` proposes is applied, and programs still run: a shell with a pipe, Python, a
//! threaded C program, and a Go program where Go is installed.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use syscalls::{Abi, bypass, defaults, errno};
use tracer_core::profile::seccomp::{evaluate::OciRuntime, oci::OciSeccomp};
use tracer_tests::{
    Outcome,
    libseccomp::Libseccomp,
    needs, process,
    programs::{self, Build, workspace},
    requires::{self, Need, program},
    scratch::Scratch,
};

use crate::{
    bypass::{audit, fix},
    enforcer::Enforced,
};

/// Programs that do what most programs do.
struct Programs {
    scratch: Scratch,
    under: PathBuf,
    commands: Vec<Vec<String>>,
}

/// No file is removed: a profile that is to prevent that prevents it for all programs.
const PYTHON: &str = "import json, os, subprocess, threading
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
assert subprocess.run(['true']).returncode == 0 and 'etc' in os.listdir('/')
assert json.loads(open('/proc/self/stat').read().split()[0]) == os.getpid()";

/// Eight threads that read a directory. No timer: setting one wakes the thread that polls by `write`, but only if
/// some thread sleeps in the poll just then (runtime/netpoll_epoll.go of Go 1.26, `netpollBreak`). With `time.Sleep`
/// 18 of 300 runs failed under a profile that denies `write`, and without it none.
const GO: &str = r#"package main

import (
	"os"
	"runtime"
	"sync"
)

func main() {
	var group, started sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		started.Add(1)
		go func() {
			defer group.Done()
			runtime.LockOSThread()
			started.Done()
			started.Wait()
			os.ReadDir("/")
		}()
	}
	group.Wait()
}
"#;

impl Programs {
    fn new() -> Result<Self> {
        let scratch = Scratch::new()?;
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let mut commands = vec![words(&["/bin/sh", "-c", "ls / | cat > /dev/null"])];
        let threads = programs::compiled("workers", Build::Dynamic)?;
        commands.push(vec![threads.display().to_string()]);
        // Debian's own, not one that a wrapper in shell looks for.
        if PathBuf::from("/usr/bin/python3").exists() {
            commands.push(words(&["/usr/bin/python3", "-c", PYTHON]));
        }
        match go(&scratch) {
            Ok(program) => commands.push(vec![program.display().to_string()]),
            Err(error) => println!("no Go program: {error:#}"),
        }
        Ok(Self {
            under: programs::compiled("under", Build::Static)?,
            scratch,
            commands,
        })
    }

    /// The commands that fail under a profile.
    fn failing(&self, profile: &str) -> Result<Vec<String>> {
        let oci: OciSeccomp = serde_json::from_str(profile).context("reading the profile")?;
        let enforced = Enforced::new(Libseccomp::open()?, &oci, OciRuntime::Runc)?;
        let filter = self.scratch.file("filter", enforced.to_bytes())?;
        let mut failing = Vec::new();
        for command in &self.commands {
            let finished = process::run(Command::new(&self.under).arg(&filter).args(command))?;
            if finished.code() != 0 {
                let first = command.first().cloned().unwrap_or_default();
                failing.push(format!("{first}: {}", finished.stderr));
            }
        }
        Ok(failing)
    }
}

/// A program of Go, if there is a compiler.
fn go(scratch: &Scratch) -> Result<PathBuf> {
    let source = scratch.file("main.go", GO)?;
    let program = scratch.join("program");
    let go = ["/usr/local/go/bin/go", "/usr/bin/go"]
        .into_iter()
        .find(|path| PathBuf::from(path).exists())
        .context("no Go compiler")?;
    process::run(
        Command::new(go)
            .args(["build", "-o"])
            .arg(&program)
            .arg(source)
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-mod=mod")
            .env("GOPROXY", "off")
            .env("HOME", scratch.path()),
    )?
    .success()?;
    Ok(program)
}

/// A deny-list with what Docker's default denies, and some names more.
fn real(names: &[&str]) -> Result<String> {
    let blocked = defaults::BLOCKED_SYSCALLS
        .iter()
        .map(|blocked| blocked.name);
    let all = blocked
        .chain(["clone3"])
        .filter(|name| Abi::X86_64.syscall_number(name).is_some());
    let (new, old): (Vec<_>, Vec<_>) = all.partition(|name| errno::is_probed(name));
    Ok(format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
  {{"names": {}, "action": "SCMP_ACT_ERRNO", "errnoRet": 38}},
  {{"names": {}, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}},
  {{"names": {}, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}}
]}}"#,
        serde_json::to_string(&new)?,
        serde_json::to_string(&old)?,
        serde_json::to_string(names)?,
    ))
}

fn minimal(names: &[&str]) -> Result<String> {
    Ok(format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
  {{"names": {}, "action": "SCMP_ACT_ERRNO", "errnoRet": 1}}
]}}"#,
        serde_json::to_string(names)?
    ))
}

/// Applies the fix of a profile and runs programs; `None` when they did not run before.
fn still_runs(programs: &Programs, profile: &str) -> Result<Option<()>> {
    if !programs.failing(profile)?.is_empty() {
        return Ok(None);
    }
    let fixed = fix(profile)?;
    let failing = programs.failing(&fixed)?;
    ensure!(failing.is_empty(), "{failing:?} under {fixed}");
    // What is found of it was found before.
    let known: Vec<_> = audit(profile)?
        .into_iter()
        .map(|finding| finding.id)
        .collect();
    for finding in audit(&fixed)? {
        ensure!(known.contains(&finding.id), "a new finding: {finding:?}");
    }
    Ok(Some(()))
}

#[test]
fn programs_run_under_every_fix() -> Outcome {
    needs!(Need::Libseccomp, Need::X86, program::CC);
    let programs = Programs::new()?;
    let (mut fixes, mut skipped) = (0, 0);
    let mut rows = String::new();
    for end in bypass::ends().filter(|end| !end.only_conditional) {
        let here = |call: &&bypass::Step| Abi::X86_64.syscall_number(call.name).is_some();
        let names: Vec<_> = end.denied().filter(here).map(|call| call.name).collect();
        let Some(first) = names.first() else { continue };
        let profiles = [
            ("alone", minimal(&[first])?),
            ("all of its kind", minimal(&names)?),
            ("beside Docker's", real(&[first])?),
        ];
        let mut results = Vec::new();
        for (_, profile) in &profiles {
            let ran = still_runs(&programs, profile)
                .with_context(|| format!("{} {names:?}", end.name))?;
            match ran {
                Some(()) => fixes += 1,
                None => skipped += 1,
            }
            results.push(if ran.is_some() {
                "all run"
            } else {
                "did not run before"
            });
        }
        rows += &format!("| {first} | {} | {} |\n", end.words, results.join(" | "));
    }
    println!(
        "{fixes} fixes, {} programs each; {skipped} profiles under which programs did not run before",
        programs.commands.len()
    );
    ensure!(fixes > 80, "{fixes}");
    let count = programs.commands.len();
    if count < PROGRAMS {
        return Ok(());
    }
    let text = format!(
        "# Fixes and programs

`tracer audit --fix` is applied to profiles that deny one call of each kind of [ways](audit-ways.md): the call alone, \
all calls of its kind, and the call beside all that Docker's default denies. Under each fixed profile a shell with a \
pipe, Python, a threaded C program and a Go program run, and an audit of it has no finding that was not there before. \
`TRACER_UPDATE=1 cargo test -p tracer-tests --test seccomp` regenerates this page.

| denied | a program could still | alone | all of its kind | beside Docker's |
| --- | --- | --- | --- | --- |
{rows}
{fixes} fixes applied, {count} programs under each, {} runs, 0 broken; {skipped} profiles under which programs did not \
run before.
",
        fixes * count
    );
    crate::drawn::compare("audit-fixes.md", &text, |_| false)
}

/// A profile that denies one value to a call.
fn for_one_value(name: &str, index: usize, value: u64) -> String {
    format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
  {{"names": ["{name}"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [
    {{"index": {index}, "value": {value}, "op": "SCMP_CMP_EQ"}}]}}
]}}"#
    )
}

#[test]
fn programs_run_under_fixes_of_conditions() -> Outcome {
    needs!(Need::Libseccomp, Need::X86, program::CC);
    let programs = Programs::new()?;
    let (mut fixes, mut skipped) = (0, 0);
    for end in bypass::ends() {
        let here = |call: &&bypass::Step| Abi::X86_64.syscall_number(call.name).is_some();
        let mut calls = end.denied().filter(here);
        let profile = calls.find_map(|call| match call.parameter {
            bypass::Parameter::Argument(index) => {
                Some(for_one_value(call.name, index, *end.values.first()?))
            }
            _ => {
                let (index, value) = call.args.first()?;
                Some(for_one_value(call.name, *index, *value))
            }
        });
        let Some(profile) = profile else { continue };
        match still_runs(&programs, &profile).with_context(|| end.name)? {
            Some(()) => fixes += 1,
            None => skipped += 1,
        }
    }
    println!(
        "{fixes} fixes of conditions; {skipped} profiles under which programs did not run before"
    );
    ensure!(fixes > 20, "{fixes}");
    Ok(())
}

/// A shell, threads, Python, Go.
const PROGRAMS: usize = 4;

#[test]
fn profiles_that_have_no_gap_are_not_changed() -> Outcome {
    let examples = workspace().join("examples");
    let mut count = 0;
    for entry in fs::read_dir(examples)? {
        let path = entry?.path().join("seccomp.json");
        if path.exists() {
            let text = fs::read_to_string(&path)?;
            ensure!(fix(&text)? == text, "{} is changed", path.display());
            count += 1;
        }
    }
    ensure!(count >= 4, "{count}");
    Ok(())
}

#[test]
fn dockers_default_is_not_changed() -> Outcome {
    needs!(Need::Baselines);
    let path = requires::baselines().join("moby-default.json");
    let text = fs::read_to_string(&path)?;
    ensure!(fix(&text)? == text, "Docker's default is changed");
    Ok(())
}

//! Gaps that an audit names are performed: a process loads the filter that libseccomp makes of the
//! gapped profile, and reaches what the profile means to deny. Under the fixed profile it does not.

mod cases;
mod page;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use cases::{Case, Effect};
use syscalls::{
    Abi,
    bypass::{self, End, Parameter},
    errno,
};
use tracer_core::{
    audit::{self, Context, Finding, Input},
    profile::seccomp::{
        evaluate::OciRuntime,
        oci::OciSeccomp,
        read::{Document, KernelVersion, Target},
    },
};
use tracer_tests::{
    Outcome,
    libseccomp::Libseccomp,
    needs, process,
    programs::{self, Build},
    requires::{Need, program},
    scratch::Scratch,
};

use crate::drawn;

/// An error that no call returns by itself: the filter's answer is told from the kernel's.
pub(crate) const DENIED: i64 = 118;

/// For what profiles are audited here: this machine, with no capabilities.
const CONTEXT: Context<'_> = Context::new(Abi::X86_64, KernelVersion::new(6, 1));

/// What the findings of an audit say of a profile.
pub(crate) fn audit(profile: &str) -> Result<Vec<Finding>> {
    let input = Input::new("profile.json", profile.into())?;
    let report = audit::run(&[input], &CONTEXT);
    ensure!(report.malformed.is_empty(), "{:?}", report.malformed);
    Ok(report.findings)
}

/// A profile as `tracer audit --fix` prints it.
pub(crate) fn fix(profile: &str) -> Result<String> {
    let input = Input::new("profile.json", profile.into())?;
    Ok(audit::fixed(&input, &CONTEXT, &|_| false)?.text)
}

/// A process that makes calls under a profile.
pub(crate) struct Sandbox {
    scratch: Scratch,
    program: PathBuf,
}

impl Sandbox {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            scratch: Scratch::new()?,
            program: programs::compiled("bypass", Build::Static)?,
        })
    }

    /// What is there before each: a file, another, a directory.
    fn prepare(&self) -> Result<PathBuf> {
        let dir = self.scratch.join("work");
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir(&dir)?;
        fs::create_dir(dir.join("dir"))?;
        fs::create_dir(dir.join("dir2"))?;
        fs::write(dir.join("file"), "file")?;
        fs::write(dir.join("other"), "other")?;
        fs::set_permissions(dir.join("file"), PermissionsExt::from_mode(0o644))?;
        Ok(dir)
    }

    /// What calls returned, by the word of the program that made them.
    pub(crate) fn run(
        &self,
        profile: &str,
        namespaces: u32,
        calls: &str,
    ) -> Result<(PathBuf, Vec<i64>)> {
        let document = Document::from_json(profile)?;
        let oci: OciSeccomp = document.resolve(&Target {
            native: Abi::X86_64,
            capabilities: BTreeSet::new(),
            kernel_version: KernelVersion::new(6, 1),
        })?;
        let enforced = crate::enforcer::Enforced::new(Libseccomp::open()?, &oci, OciRuntime::Runc)?;
        let filter = self.scratch.file("filter", enforced.to_bytes())?;
        let results = self.scratch.join("results");
        let dir = self.prepare()?;
        let calls = calls.replace("DIR", &dir.display().to_string());
        process::run(
            Command::new(&self.program)
                .arg(&results)
                .arg(&filter)
                .arg(namespaces.to_string())
                .args(calls.split(' ')),
        )?
        .success()?;
        let bytes = fs::read(&results)?;
        let words = bytes.chunks_exact(8).map(|word| {
            let word: [u8; 8] = word.try_into()?;
            Ok(i64::from_ne_bytes(word))
        });
        Ok((dir, words.collect::<Result<_>>()?))
    }
}

fn denies(names: &[&str], with_i386: bool) -> Result<String> {
    let names = serde_json::to_string(names)?;
    let i386 = if with_i386 { ", \"SCMP_ARCH_X86\"" } else { "" };
    Ok(format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"{i386}], "syscalls": [
        {{"names": {names}, "action": "SCMP_ACT_ERRNO", "errnoRet": {DENIED}}}]}}"#
    ))
}

/// The calls of an end that are denied while a program takes a way.
fn denied_to<'case>(
    end: &'static End,
    case: &'case Case,
) -> impl Iterator<Item = &'static bypass::Step> + use<'case> {
    // Of the call itself, with other arguments, only those others are denied.
    let is_itself = case.label.is_some();
    end.denied()
        .filter(move |call| is_itself || !case.calls.contains(&call.name))
        .filter(|call| Abi::X86_64.syscall_number(call.name).is_some())
}

/// What a way needs to be denied to all other calls of its end, with conditions where only these count.
fn gapped(end: &'static End, case: &Case) -> Result<Option<String>> {
    let others: Vec<_> = denied_to(end, case).collect();
    if others.is_empty() {
        return Ok(None);
    }
    let names: Vec<_> = others.iter().map(|call| call.name).collect();
    if case.label.is_some() {
        return cases::conditional(&others).map(Some);
    }
    if !end.only_conditional {
        return Ok(Some(denies(&names, case.is_i386())?));
    }
    let mut entries = Vec::new();
    for call in others {
        let Parameter::Argument(index) = call.parameter else {
            bail!("{} has no parameter", call.name);
        };
        // S_ISUID, or memory that is writable and executable.
        let bits = if end.name == "set-user-ID" { 0o4000 } else { 6 };
        entries.push(format!(
            r#"{{"names": ["{}"], "action": "SCMP_ACT_ERRNO", "errnoRet": {DENIED}, "args": [{{"index": {index}, "value": {bits}, "valueTwo": {bits}, "op": "SCMP_CMP_MASKED_EQ"}}]}}"#,
            call.name
        ));
    }
    Ok(Some(format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
        {}]}}"#,
        entries.join(",\n")
    )))
}

/// Whether what a program was to do is done.
fn is_done(effect: Effect, dir: &Path, results: &[i64], case: &Case) -> Result<bool> {
    let file = dir.join("file");
    let metadata = || fs::metadata(&file);
    let last = case.program.split(" + ").count() - 1;
    let result = results.get(last).copied().unwrap_or(-DENIED);
    let new = dir.join("new");
    Ok(match effect {
        Effect::Mode => metadata()?.permissions().mode() & 0o777 == 0o601,
        Effect::SetUserId => new.exists() && fs::metadata(new)?.permissions().mode() & 0o4000 != 0,
        Effect::Owner => metadata()?.uid() == 1234,
        Effect::Gone => !file.exists() || fs::read(&file)? == b"other",
        Effect::Renamed => new.exists() && !file.exists(),
        Effect::New => new.symlink_metadata().is_ok(),
        Effect::NoDirectory => !dir.join("dir").exists(),
        Effect::Cut => metadata()?.len() == 0,
        Effect::Written => fs::read(&file)? != b"file",
        Effect::Times => metadata()?.mtime() == 1,
        Effect::Returned => result >= 0,
        // The program is another one from then on, and keeps no results.
        Effect::Executed => result == -1000,
        // A kernel without the call says ENOSYS, which is the filter's answer for new ones.
        Effect::Reached => {
            let is_filters = case.calls.iter().any(|name| errno::is_probed(name)) && result == -38;
            ![-DENIED, -1000, -1].contains(&result) && !is_filters
        }
    })
}

/// What became of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Performed {
    /// It was reached, and under the fix it was not.
    Closed,
    /// It was reached, and the audit says why no filter closes it.
    Kept,
    /// It was reached; this libseccomp does not know the call, so its filters cannot deny it.
    Unknown,
}

fn perform(sandbox: &Sandbox, library: &Libseccomp, case: &Case) -> Result<Option<Performed>> {
    let end = bypass::ends().find(|end| end.name == case.end);
    let end = end.context("no such end")?;
    let Some(gapped) = gapped(end, case)? else {
        return Ok(None);
    };
    let findings = audit(&gapped)?;
    let of = format!("{}: ", end.name);
    let names = |findings: &[Finding]| {
        let mut about = findings.iter().filter(|finding| {
            finding.id == "abi-bypass" || finding.evidence.iter().any(|it| it.starts_with(&of))
        });
        about.any(|finding| {
            let ways = finding
                .message
                .rsplit_once(" by ")
                .map_or("", |(_, ways)| ways);
            format!(", {ways}, ").contains(&format!(", {}, ", case.words()))
        })
    };
    // In another ABI only what is closed in the machine's own is a finding.
    let is_named = names(&findings);
    ensure!(is_named || case.is_i386(), "not named: {findings:#?}");

    let program = case.numbered()?;
    let (dir, results) = sandbox.run(&gapped, case.namespaces, &program)?;
    ensure!(
        is_done(case.effect, &dir, &results, case)?,
        "the way leads nowhere: {results:?}"
    );
    if !case.calls.iter().all(|name| library.knows(name)) {
        return Ok(Some(Performed::Unknown));
    }
    let fixed = fix(&gapped)?;
    if names(&audit(&fixed)?) || !is_named {
        return Ok(Some(Performed::Kept));
    }
    let (dir, results) = sandbox.run(&fixed, case.namespaces, &program)?;
    ensure!(
        !is_done(case.effect, &dir, &results, case)?,
        "the fixed profile does not hold: {results:?} {fixed}"
    );
    Ok(Some(Performed::Closed))
}

/// Each way is performed under a filter that denies all other calls of its end, and not under the fix.
#[test]
fn every_way_is_performed_and_closed_by_its_fix() -> Outcome {
    needs!(
        Need::Root,
        Need::Libseccomp,
        Need::X86,
        Need::I386,
        program::CC
    );
    let sandbox = Sandbox::new()?;
    let library = Libseccomp::open()?;
    let mut counts: BTreeMap<Performed, usize> = BTreeMap::new();
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    for case in cases::all()? {
        match perform(&sandbox, library, &case) {
            Ok(Some(performed)) => {
                println!("{performed:?}: {} by {}", case.end, case.words());
                *counts.entry(performed).or_default() += 1;
                rows.push((case, performed));
            }
            Ok(None) => {}
            Err(error) => wrong.push(format!("{} by {}: {error:#}", case.end, case.words())),
        }
    }
    println!("{counts:?}");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A newer library knows more calls, and can close their ways.
    drawn::compare("audit-ways.md", &page::page(&rows)?, |line| {
        line.contains(Performed::Unknown.words()) || line.starts_with("| result")
    })
}

/// A way without a program is no knowledge, and a program without a way shows nothing.
#[test]
fn every_way_has_a_program() -> Outcome {
    let cases = cases::all()?;
    let mut edges = 0;
    for end in bypass::ends() {
        for way in end.ways().filter(|way| !way.label.is_empty()) {
            let is_it = |case: &Case| case.end == end.name && case.label == Some(way.label);
            ensure!(
                cases.iter().any(is_it),
                "{}: no program for {}",
                end.name,
                way.label
            );
        }
        for (denied, way) in end.edges() {
            let is_it = |case: &&Case| {
                let calls: Vec<_> = way.calls.iter().map(|call| call.name).collect();
                case.end == end.name && case.calls == calls
            };
            ensure!(
                cases.iter().any(|case| is_it(&case)),
                "{}: {} denied, by {}: no program",
                end.name,
                denied.name,
                way.words()
            );
            edges += 1;
        }
    }
    for case in &cases {
        let mut ends = bypass::ends().filter(|end| end.name == case.end);
        let has_way = ends.any(|end| {
            end.ways().any(|way| {
                way.label == case.label.unwrap_or_default()
                    && way
                        .calls
                        .iter()
                        .map(|call| call.name)
                        .eq(case.calls.iter().copied())
            })
        });
        ensure!(has_way, "{} by {}: no such way", case.end, case.words());
    }
    println!("{edges} edges");
    Ok(())
}

/// Whether an audit names a rule.
fn names(profile: &str, id: &str) -> Result<bool> {
    Ok(audit(profile)?.iter().any(|finding| finding.id == id))
}

/// Performs what a rule says, under the profile that it finds and the one that is mended.
fn performed(id: &str, gapped: &str, mended: &str, calls: &str) -> Outcome {
    ensure!(names(gapped, id)?, "{id} is not found: {gapped}");
    ensure!(!names(mended, id)?, "{id} is found: {mended}");
    let sandbox = Sandbox::new()?;
    let (_, results) = sandbox.run(gapped, 0, calls)?;
    let [direct, around, ..] = results.as_slice() else {
        anyhow::bail!("no results");
    };
    ensure!(*direct == -DENIED && *around >= 0, "{id}: {results:?}");
    let (_, results) = sandbox.run(mended, 0, calls)?;
    let [direct, around, ..] = results.as_slice() else {
        anyhow::bail!("no results");
    };
    ensure!(
        *direct == -DENIED && *around < 0,
        "{id} mended: {results:?}"
    );
    Ok(())
}

#[test]
fn io_uring_bypasses_a_denied_open() -> Outcome {
    needs!(Need::Libseccomp, Need::X86, program::CC);
    let all = ["open", "openat", "openat2", "open_by_handle_at", "creat"];
    let rings = ["io_uring_setup", "io_uring_enter", "io_uring_register"];
    performed(
        "io-uring",
        &denies(&all, false)?,
        &denies(&[&all[..], &rings].concat(), false)?,
        "64 257 n:-100 s:DIR/file n:0 + ring DIR/file",
    )
}

#[test]
fn ignored_upper_bits_bypass_an_argument_rule() -> Outcome {
    needs!(Need::Libseccomp, Need::X86, program::CC);
    let profile = |condition: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {{"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": {DENIED}, "args": [{condition}]}}]}}"#
        )
    };
    // AF_UNIX, SOCK_STREAM.
    performed(
        "unchecked-argument-bits",
        &profile(r#"{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}"#),
        &profile(r#"{"index": 0, "value": 4294967295, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}"#),
        "64 41 n:1 n:1 n:0 + 64 41 n:0x100000001 n:1 n:0",
    )
}

#[test]
fn copied_string_bypasses_a_pointer_rule() -> Outcome {
    needs!(Need::Libseccomp, Need::X86, program::CC);
    let profile = |condition: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {{"names": ["openat"], "action": "SCMP_ACT_ERRNO", "errnoRet": {DENIED}, "args": [{condition}]}}]}}"#
        )
    };
    // The same path, where the profile has it and elsewhere.
    performed(
        "pointer-argument",
        &profile(r#"{"index": 1, "value": 1342177280, "op": "SCMP_CMP_EQ"}"#),
        &profile(""),
        "64 257 n:-100 a:0x50000000:DIR/file n:0 + 64 257 n:-100 s:DIR/file n:0",
    )
}

#[test]
fn socketcall_bypasses_a_socket_rule_on_i386() -> Outcome {
    needs!(Need::Libseccomp, Need::X86, Need::I386, program::CC);
    let profile = |architectures: &str, more: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": {DENIED}, "architectures": [{architectures}], "syscalls": [
            {{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}}]}},
            {{"names": [{more} "exit_group", "exit", "rt_sigreturn", "execve"], "action": "SCMP_ACT_ALLOW"}}]}}"#
        )
    };
    let gapped = profile(r#""SCMP_ARCH_X86_64", "SCMP_ARCH_X86""#, r#""socketcall","#);
    ensure!(names(&gapped, "multiplexer")?);
    let mended = profile(r#""SCMP_ARCH_X86_64""#, "");
    ensure!(!names(&mended, "multiplexer")?);
    let sandbox = Sandbox::new()?;
    // AF_UNIX, by socket and by socketcall(SYS_SOCKET).
    let calls = "64 41 n:1 n:1 n:0 + 32 102 n:1 d:1,1,0";
    let (_, results) = sandbox.run(&gapped, 0, calls)?;
    ensure!(results[0] == -DENIED && results[1] >= 0, "{results:?}");
    // A call of an ABI that is not listed kills.
    ensure!(sandbox.run(&mended, 0, calls).is_err());
    Ok(())
}

#[test]
fn chown32_bypasses_a_chown_rule_on_i386() -> Outcome {
    needs!(
        Need::Root,
        Need::Libseccomp,
        Need::X86,
        Need::I386,
        program::CC
    );
    let profile = |more: &[&str]| {
        let names = [&["chown", "fchown", "lchown", "fchownat"][..], more].concat();
        denies(&names, true)
    };
    performed(
        "abi-bypass",
        &profile(&[])?,
        &profile(&["chown32", "fchown32", "lchown32"])?,
        "64 92 s:DIR/file n:1234 n:1234 + 32 212 s:/proc/self/cwd n:-1 n:-1",
    )
}

#[test]
fn clone3_bypasses_a_namespace_rule() -> Outcome {
    needs!(Need::Root, Need::Libseccomp, Need::X86, program::CC);
    let profile = |clone3: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": {DENIED}, "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{{"index": 0, "value": 2114060288, "op": "SCMP_CMP_MASKED_EQ"}}]}},
            {{"names": [{clone3} "exit_group", "exit", "rt_sigreturn", "execve"], "action": "SCMP_ACT_ALLOW"}}]}}"#
        )
    };
    // CLONE_NEWUSER and SIGCHLD: by clone, and by clone3, in memory.
    performed(
        "condition-bypass",
        &profile("\"clone3\","),
        &profile(""),
        "64 56 n:0x10000011 n:0 n:0 n:0 n:0 + 64 435 w:0x10000000,0,0,0,17,0,0,0 n:64",
    )
}

#[test]
fn calls_of_unlisted_abis_are_killed() -> Outcome {
    needs!(Need::Libseccomp, Need::X86, Need::I386, program::CC);
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["chmod"], "action": "SCMP_ACT_ERRNO"}]}"#;
    ensure!(names(profile, "abi-killed")?);
    let sandbox = Sandbox::new()?;
    // getpid of x86-64, of i386, and of x32.
    sandbox.run(profile, 0, "64 39")?;
    for killed in ["32 20", "64 0x40000027"] {
        ensure!(sandbox.run(profile, 0, killed).is_err(), "{killed}");
    }
    Ok(())
}

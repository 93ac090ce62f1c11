//! Profiles that people have: the engines' own, and one that tracer made.
//!
//! The engines' are not part of the project, and are read where a copy is there
//! (`requires::baselines`).

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use syscalls::{
    Abi,
    capability::Capability,
    defaults::{self, DefaultDecision},
};
use tracer_core::{
    profile::seccomp::{
        evaluate::{Filter, Host, OciRuntime, Verdict},
        oci::{Action, OciSeccomp},
        read::{Document, Target},
    },
    recording::SyscallId,
};
use tracer_tests::{
    Outcome,
    filter::Filter as Program,
    libseccomp::Libseccomp,
    needs,
    requires::{self, Need},
};

use crate::{
    differential::{native, version},
    enforcer::{Enforced, audit_arch, raw},
};

fn read(name: &str, capabilities: &[&str]) -> Result<OciSeccomp> {
    let path = requires::baselines().join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let document = Document::from_json(&text).with_context(|| format!("parsing {name}"))?;
    ensure!(
        Document::from_json(&document.to_json()?)? == document,
        "{name} is not read back"
    );
    Ok(document.resolve(&Target {
        native: native()?,
        capabilities: capabilities.iter().map(|&name| name.to_owned()).collect(),
        kernel_version: "6.1".parse()?,
    })?)
}

/// What happens to a call of x86-64.
fn verdict(filter: &Filter, name: &str, args: [u64; 6]) -> Result<Verdict> {
    let nr = Abi::X86_64
        .syscall_number(name)
        .context("an unknown call")?;
    let call = SyscallId {
        abi: Abi::X86_64,
        nr,
    };
    Ok(filter.evaluate(call, args).verdict)
}

/// Values to either side of all that a profile compares with.
fn interesting(profile: &OciSeccomp) -> BTreeSet<u64> {
    let conditions = profile.syscalls.iter().flat_map(|entry| &entry.args);
    let values = conditions.flat_map(|condition| [condition.value, condition.value_two]);
    values
        .chain([0, 0x11])
        .flat_map(|value| [value.wrapping_sub(1), value, value.wrapping_add(1)])
        .flat_map(|value| [value, value ^ (1 << 32), value | (1 << 31)])
        .collect()
}

/// What `tracer verify` loads.
fn program(filter: &Filter) -> Result<Program> {
    let bytes: Vec<u8> = filter
        .program()?
        .iter()
        .flat_map(|it| {
            let code = it.code.to_ne_bytes();
            let constant = it.constant.to_ne_bytes();
            [&code[..], &[it.jump_true, it.jump_false], &constant].concat()
        })
        .collect();
    Program::from_bytes(&bytes)
}

/// Every call of every ABI, with every interesting value in its first and third arguments.
fn is_what_libseccomp_makes_of_it(profile: &OciSeccomp) -> Result<u32> {
    let library = Libseccomp::open()?;
    let values = interesting(profile);
    let compared: BTreeSet<&str> = profile
        .syscalls
        .iter()
        .filter(|entry| !entry.args.is_empty())
        .flat_map(|entry| entry.names.iter().map(String::as_str))
        .chain(["socketcall", "ipc"])
        .collect();
    let mut calls = 0;
    for runtime in OciRuntime::ALL {
        let host = Host {
            native: native()?,
            runtime,
            libseccomp: version(library),
        };
        let filter = Filter::new(profile, host)?;
        let enforced = Enforced::new(library, profile, runtime)?;
        let program = program(&filter)?;
        let mut compare = |call: SyscallId, args: [u64; 6]| {
            calls += 1;
            let ours = filter.evaluate(call, args);
            let theirs = enforced.returns(call, args)?;
            let runs = program.run(audit_arch(call.abi), call.nr, args)?.action;
            ensure!(
                runs == theirs.compiled,
                "{runtime:?} {call:?} {args:x?}: the program says {runs:x}, libseccomp {theirs:x?}"
            );
            ensure!(
                raw(ours.verdict) == theirs.compiled,
                "{runtime:?} {call:?} {args:x?}: {ours:?}, but libseccomp {theirs:x?}"
            );
            Ok(())
        };
        for abi in Abi::ALL {
            for (nr, name) in abi.syscalls() {
                let call = SyscallId { abi, nr };
                compare(call, [0; 6])?;
                if !compared.contains(name) {
                    continue;
                }
                for first in &values {
                    for third in [0, 9, 10] {
                        compare(call, [*first, *first, third, 0, 0, 0])?;
                    }
                }
            }
            for nr in [500, 999, u32::MAX, u32::MAX - 4, (1 << 30) + 999] {
                compare(SyscallId { abi, nr }, [0; 6])?;
            }
        }
    }
    Ok(calls)
}

fn host() -> Result<Host> {
    Ok(Host {
        native: native()?,
        runtime: OciRuntime::Runc,
        libseccomp: version(Libseccomp::open()?),
    })
}

#[test]
fn dockers_default_matches_libseccomp() -> Outcome {
    needs!(Need::Libseccomp, Need::X86, Need::Baselines);
    let plain = read("moby-default.json", &[])?;
    let filter = Filter::new(&plain, host()?)?;
    let of = |name, args| verdict(&filter, name, args);
    let eperm = Verdict::Errno(1);
    for (name, args, expected) in [
        ("read", [0; 6], Verdict::Allow),
        ("mount", [0; 6], eperm),
        ("bpf", [0; 6], eperm),
        ("clone3", [0; 6], Verdict::Errno(38)),
        // A new user namespace; a thread.
        ("clone", [0x1000_0000, 0, 0, 0, 0, 0], eperm),
        ("clone", [0x3d_0f00, 0, 0, 0, 0, 0], Verdict::Allow),
        // AF_ALG, AF_VSOCK, AF_INET.
        ("socket", [38, 0, 0, 0, 0, 0], eperm),
        ("socket", [40, 0, 0, 0, 0, 0], eperm),
        ("socket", [2, 0, 0, 0, 0, 0], Verdict::Allow),
        ("personality", [0xffff_ffff, 0, 0, 0, 0, 0], Verdict::Allow),
        ("personality", [0x0040_0000, 0, 0, 0, 0, 0], eperm),
    ] {
        ensure!(
            of(name, args)? == expected,
            "{name} {args:x?}: {:?}",
            of(name, args)?
        );
    }
    let usual = read("moby-default.json", defaults::DEFAULT_CAPABILITIES)?;
    let x86_64 = |name: &&str| Abi::X86_64.syscall_number(name).is_some();
    let allowed: BTreeSet<&str> = usual
        .syscalls
        .iter()
        .filter(|entry| entry.action == Action::Allow)
        .flat_map(|entry| entry.names.iter().map(String::as_str))
        .filter(x86_64)
        .collect();
    ensure!(
        allowed == defaults::allowed_by_default().collect(),
        "{allowed:?}"
    );
    let admin = read("moby-default.json", &["CAP_SYS_ADMIN"])?;
    let mount = verdict(&Filter::new(&admin, host()?)?, "mount", [0; 6])?;
    ensure!(mount == Verdict::Allow, "{mount:?}");
    for profile in [plain, admin] {
        let calls = is_what_libseccomp_makes_of_it(&profile)?;
        println!("{calls} calls compared");
    }
    Ok(())
}

#[test]
fn podmans_default_matches_libseccomp() -> Outcome {
    needs!(Need::Libseccomp, Need::X86, Need::Baselines);
    let plain = read("containers-common.json", &[])?;
    let filter = Filter::new(&plain, host()?)?;
    let of = |name, args| verdict(&filter, name, args);
    for (name, args, expected) in [
        ("read", [0; 6], Verdict::Allow),
        ("mount", [0; 6], Verdict::Allow),
        ("bpf", [0; 6], Verdict::Errno(1)),
        ("mseal", [0; 6], Verdict::Errno(38)),
        // AF_VSOCK; NETLINK_AUDIT and another of AF_NETLINK; AF_INET.
        ("socket", [40, 0, 0, 0, 0, 0], Verdict::Errno(1)),
        ("socket", [16, 3, 9, 0, 0, 0], Verdict::Errno(22)),
        ("socket", [16, 3, 0, 0, 0, 0], Verdict::Allow),
        ("socket", [2, 1, 0, 0, 0, 0], Verdict::Allow),
    ] {
        ensure!(
            of(name, args)? == expected,
            "{name} {args:x?}: {:?}",
            of(name, args)?
        );
    }
    for capabilities in [&[][..], &["CAP_AUDIT_WRITE", "CAP_SYS_ADMIN", "CAP_BPF"]] {
        let profile = read("containers-common.json", capabilities)?;
        let calls = is_what_libseccomp_makes_of_it(&profile)?;
        println!("{calls} calls compared");
    }
    Ok(())
}

#[test]
fn generated_profile_matches_libseccomp() -> Outcome {
    needs!(Need::Libseccomp, Need::X86);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/nginx/seccomp.json");
    let profile = OciSeccomp::from_json(&fs::read_to_string(path)?)?;
    let calls = is_what_libseccomp_makes_of_it(&profile)?;
    println!("{calls} calls compared");
    Ok(())
}

/// What tracer knows of RuntimeDefault without a file is what Docker's profile does, to every call of both
/// machines, with each capability that it asks for.
#[test]
fn runtime_default_table_matches_dockers_profile() -> Outcome {
    needs!(Need::Baselines);
    let path = requires::baselines().join("moby-default.json");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let document = Document::from_json(&text)?;
    let usual = defaults::DEFAULT_CAPABILITIES.iter().copied();
    let sets: Vec<BTreeSet<String>> = std::iter::once(None)
        .chain(Capability::all().map(|it| Some(it.to_string())))
        .map(|extra| usual.clone().map(str::to_owned).chain(extra).collect())
        .chain([BTreeSet::new()])
        .collect();
    for native in [Abi::X86_64, Abi::Aarch64] {
        for capabilities in &sets {
            let profile = document.resolve(&Target {
                native,
                capabilities: capabilities.clone(),
                kernel_version: "6.1".parse()?,
            })?;
            let filter = Filter::new(
                &profile,
                Host {
                    native,
                    runtime: OciRuntime::Crun,
                    libseccomp: tracer_core::profile::seccomp::evaluate::Libseccomp::Newest,
                },
            )?;
            for (nr, name) in native.syscalls() {
                let decisions = filter.decisions(SyscallId { abi: native, nr });
                let some = decisions.iter().any(|it| !it.conditions.is_empty());
                let made = filter
                    .evaluate(SyscallId { abi: native, nr }, [0; 6])
                    .verdict
                    .allows();
                let does = match (some, made) {
                    (true, _) => DefaultDecision::Conditional,
                    (false, true) => DefaultDecision::Allowed,
                    (false, false) => DefaultDecision::Denied,
                };
                let known = defaults::by_default(name, |it| capabilities.contains(it));
                ensure!(
                    does == known,
                    "{native} {name} {capabilities:?}: {does:?}, not {known:?}"
                );
            }
        }
    }
    Ok(())
}

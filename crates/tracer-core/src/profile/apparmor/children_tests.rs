//! Which program ends under which profile.

use std::collections::BTreeSet;

use super::{
    AppArmorProfile, Division, Obstacle, Options, Parts, Permissions, Policy,
    fixture::{empty, file, seen},
};
use crate::{
    profile::{
        hardening,
        seccomp::{ExecPolicy, fixture},
    },
    recording::{
        CapabilityUse, FileAccess, FilePath, FileUse, Mechanism, ObservedAccess, Phase, Recording,
        Security, SocketOperation, SocketUse,
    },
};
use syscalls::{Abi, capability::Capability};

const OPTIONS: Options = Options {
    name: None,
    complain: false,
    generalise: Policy::Safe,
    exec: ExecPolicy::Probes,
    essential: true,
    children: true,
};

/// Done by a program, not by the kernel for one that is executed.
fn run(path: &str, access: FileAccess, program: &str) -> ObservedAccess<FileUse> {
    let mut seen = seen(file(path.as_bytes(), access), Phase::Run, program);
    seen.evidence[0].call = None;
    seen
}

fn executes(program: &str, path: &str) -> ObservedAccess<FileUse> {
    seen(
        file(path.as_bytes(), FileAccess::Execute),
        Phase::Run,
        program,
    )
}

/// Mapped by the kernel for a program that is executed.
fn mapped(program: &str, path: &str) -> ObservedAccess<FileUse> {
    seen(
        file(path.as_bytes(), FileAccess::MapExecutable),
        Phase::Run,
        program,
    )
}

fn capability(number: u8, program: &str) -> ObservedAccess<CapabilityUse> {
    let what = CapabilityUse {
        capability: Capability::from_number(number),
        audited: Some(true),
        own_namespace: false,
        by_exec: false,
    };
    seen(what, Phase::Run, program)
}

/// A server that starts a shell by a link's name, which starts `cat` and a script.
fn server() -> Recording {
    let (server, shell, cat, script) = ("/usr/sbin/server", "/bin/sh", "/usr/bin/cat", "./tidy");
    let mut recording = empty();
    // What begins.
    let mut first = fixture::recording(&[(Abi::X86_64, 0, Phase::Run, fixture::path(server))]);
    recording.syscalls.append(&mut first.syscalls);
    recording.files = vec![
        mapped(server, "/usr/sbin/server"),
        run("/etc/server.conf", FileAccess::Read, server),
        run("/var/log/server.log", FileAccess::Append, server),
        executes(server, "/usr/bin/dash"),
        mapped(server, "/usr/bin/dash"),
        mapped(shell, "/usr/bin/dash"),
        run("/etc/shell.conf", FileAccess::Read, shell),
        executes(shell, "/usr/bin/cat"),
        mapped(shell, "/usr/bin/cat"),
        mapped(cat, "/usr/bin/cat"),
        run("/etc/cat.conf", FileAccess::Read, cat),
        executes(shell, "/opt/tidy"),
        mapped(script, "/usr/bin/perl"),
        run("/etc/tidy.conf", FileAccess::Read, script),
        run("/srv/old", FileAccess::Remove, script),
    ];
    recording.capabilities = vec![capability(10, server), capability(0, script)];
    recording.sockets = vec![seen(
        SocketUse {
            family: 2,
            kind: 1,
            protocol: 0,
            operation: SocketOperation::Listen,
            address: None,
            more: false,
        },
        Phase::Run,
        server,
    )];
    recording
}

fn parts(recording: &Recording) -> Parts {
    let profile =
        AppArmorProfile::from_recordings(std::slice::from_ref(recording), &OPTIONS).unwrap();
    match profile.division() {
        Division::Divided(parts) => (**parts).clone(),
        other => panic!("{other:?}"),
    }
}

fn reads(profile: &AppArmorProfile, path: &str) -> bool {
    profile.allows(&FilePath::from(path), Permissions::READ, true)
}

#[test]
fn child_has_its_own_and_inherited_access() {
    let parts = parts(&server());
    let named = |name: &str| {
        let mut children = parts.children.iter();
        &children.find(|it| it.name == name).unwrap().profile
    };
    let names: Vec<_> = parts.children.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["cat", "dash", "tidy"]);

    let main = &parts.main;
    assert!(reads(main, "/etc/server.conf") && !reads(main, "/etc/shell.conf"));
    assert!(!reads(main, "/etc/cat.conf") && !reads(main, "/etc/tidy.conf"));
    let (shell, cat, tidy) = (named("dash"), named("cat"), named("tidy"));
    for (profile, own) in [(shell, "shell"), (cat, "cat"), (tidy, "tidy")] {
        assert!(reads(profile, &format!("/etc/{own}.conf")), "{own}");
        assert!(reads(profile, "/etc/server.conf"), "{own}");
        assert_eq!(profile.networks().count(), 1, "{own}");
    }
    // What the shell had opened, its programs may have; not the other way round.
    assert!(reads(cat, "/etc/shell.conf") && !reads(shell, "/etc/cat.conf"));
    // Capabilities, and what is not done by a file that is open, stay with who has them.
    let capabilities = |profile: &AppArmorProfile| -> Vec<u8> {
        profile
            .capabilities()
            .map(|(one, _)| one.number())
            .collect()
    };
    assert_eq!(capabilities(main), [10]);
    assert_eq!(capabilities(tidy), [0]);
    assert!(capabilities(shell).is_empty() && capabilities(cat).is_empty());
    let removed = FilePath::from("/srv/old");
    assert!(tidy.allows(&removed, Permissions::WRITE, false));
    assert!(!shell.allows(&removed, Permissions::WRITE, false));
    // Only the shell executes them.
    let executed = FilePath::from("/usr/bin/cat");
    assert!(shell.allows(&executed, Permissions::EXECUTE, false));
    assert!(!main.allows(&executed, Permissions::EXECUTE, false));
}

#[test]
fn renders_nested_child_profiles() {
    let recordings = [server()];
    let text = AppArmorProfile::from_recordings(&recordings, &OPTIONS)
        .unwrap()
        .to_text();
    insta::assert_snapshot!(text);
}

#[test]
fn self_executing_program_is_in_both_profiles() {
    let shell = "/usr/bin/bash";
    let mut recording = empty();
    recording.files = vec![
        executes(shell, shell),
        mapped(shell, shell),
        run("/etc/bash.conf", FileAccess::Read, shell),
    ];
    let parts = parts(&recording);
    assert!(reads(&parts.main, "/etc/bash.conf"));
    assert!(reads(&parts.children[0].profile, "/etc/bash.conf"));
}

/// A program whose file is not known has its rights wherever it may run.
#[test]
fn unknown_program_is_in_every_profile() {
    let mut recording = server();
    recording
        .files
        .push(run("/etc/link.conf", FileAccess::Read, "/opt/link"));
    let parts = parts(&recording);
    let children = parts.children.iter().map(|it| &it.profile);
    for profile in children.chain([&parts.main]) {
        assert!(reads(profile, "/etc/link.conf"));
    }
}

#[test]
fn children_together_allow_what_the_whole_does() {
    let recording = server();
    let whole = Options {
        children: false,
        ..OPTIONS
    };
    let whole = AppArmorProfile::from_recordings(std::slice::from_ref(&recording), &whole).unwrap();
    let parts = parts(&recording);
    let profiles = || {
        let children = parts.children.iter().map(|it| &it.profile);
        children.chain([&parts.main])
    };
    for (pattern, rule) in whole.files() {
        for path in rule.paths.keys() {
            let any = profiles().any(|it| it.allows(path, rule.permissions, false));
            assert!(any, "{pattern:?}");
        }
    }
    let all: BTreeSet<_> = profiles()
        .flat_map(|it| it.capabilities().map(|(one, _)| one))
        .collect();
    assert_eq!(all.len(), whole.capabilities().count());
}

#[test]
fn impossible_division_gives_its_reason() {
    let mut recording = server();
    recording.providers[0].provider = Mechanism::SysExit;
    let profile = AppArmorProfile::from_recordings(&[recording], &OPTIONS).unwrap();
    assert!(matches!(
        profile.division(),
        Division::Impossible(Obstacle::SyscallExits)
    ));
    let text = profile.to_text();
    assert!(
        text.contains(
            "\n# No child profiles (--children): files were recorded at system call exits, "
        ) && !text.contains(" cx -> ")
    );
    let security = Security {
        no_new_privileges: Some(true),
        ..Security::default()
    };
    let fixed = hardening::tests::in_container(server(), security);
    let profile = AppArmorProfile::from_recordings(&[fixed], &OPTIONS).unwrap();
    assert!(matches!(
        profile.division(),
        Division::Impossible(Obstacle::NoNewPrivileges)
    ));
    let alone = AppArmorProfile::from_recordings(&[empty()], &OPTIONS).unwrap();
    assert!(matches!(
        alone.division(),
        Division::Impossible(Obstacle::NoPrograms)
    ));
}

fn starts(recording: &mut Recording, instance: u32, program: &str, after_ns: u64) {
    let mut one = fixture::recording(&[(Abi::X86_64, 0, Phase::Run, fixture::path(program))]);
    for who in one.syscalls.iter_mut().flat_map(|it| &mut it.evidence) {
        who.instance = instance;
        if let Some(first) = &mut who.first {
            first.after_ns = after_ns;
        }
    }
    recording.syscalls.append(&mut one.syscalls);
}

#[test]
fn each_instance_adds_its_first_program() {
    let mut recording = server();
    recording.instances.push(recording.instances[0].clone());
    // Another begins with the shell.
    starts(&mut recording, 1, "/bin/sh", 1);
    let main = parts(&recording).main;
    assert!(reads(&main, "/etc/server.conf") && reads(&main, "/etc/shell.conf"));
    assert!(!reads(&main, "/etc/cat.conf"));
}

/// The kernel decides by the script, and what it maps is the interpreter, which is a program too.
#[test]
fn script_is_not_its_interpreter() {
    let (shell, link) = ("/bin/sh", "/opt/link");
    let mut recording = server();
    recording.files.extend([
        executes(shell, "/usr/bin/perl"),
        mapped("/usr/bin/perl", "/usr/bin/perl"),
        run("/etc/perl.conf", FileAccess::Read, "/usr/bin/perl"),
        // By a link's name.
        executes(shell, "/opt/real"),
        mapped(link, "/usr/bin/perl"),
        run("/opt/real", FileAccess::Read, link),
        run("/etc/link.conf", FileAccess::Read, link),
    ]);
    let parts = parts(&recording);
    let names: Vec<_> = parts.children.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["cat", "dash", "perl", "tidy"]);
    for child in &parts.children {
        let profile = &child.profile;
        assert!(reads(profile, "/etc/link.conf"), "{}", child.name);
        let is = |name| child.name == name;
        assert_eq!(
            reads(profile, "/etc/perl.conf"),
            is("perl"),
            "{}",
            child.name
        );
        assert_eq!(
            reads(profile, "/etc/tidy.conf"),
            is("tidy"),
            "{}",
            child.name
        );
    }
}

/// Paths become globs by what all programs did, and what is open may be used after the user changed.
#[test]
fn parts_are_generalised_like_the_whole() {
    let (shell, cat) = ("/bin/sh", "/usr/bin/cat");
    let mut recording = server();
    recording.files.extend([
        run("/data/f.1234", FileAccess::Create, shell),
        run("/data/f.1234", FileAccess::Write, shell),
        run("/data/f.1234", FileAccess::RenameFrom, cat),
    ]);
    let mut log = run("/tmp/log", FileAccess::Write, "/usr/sbin/server");
    log.what.owned = true;
    recording.files.push(log);
    recording.capabilities.push(capability(7, shell));
    let parts = parts(&recording);
    let next = FilePath::from("/data/f.999");
    for child in &parts.children {
        // Handed down, or its own.
        assert!(child.profile.allows(&next, Permissions::WRITE, false));
        let log = FilePath::from("/tmp/log");
        assert!(child.profile.allows(&log, Permissions::WRITE, false));
    }
    assert!(!parts.main.allows(&next, Permissions::WRITE, false));
}

#[test]
fn excess_programs_stay_with_their_parent() {
    let mut recording = server();
    for at in 0..20 {
        let path = format!("/usr/bin/p{at}");
        recording.files.extend([
            executes("/usr/bin/cat", &path),
            mapped(&path, &path),
            run(&format!("/etc/p{at}"), FileAccess::Read, &path),
        ]);
    }
    let parts = parts(&recording);
    assert_eq!((parts.children.len(), parts.without.len()), (12, 11));
    for path in &parts.without {
        let file = path.to_string().replace("/usr/bin", "/etc");
        let with: Vec<_> = parts
            .children
            .iter()
            .filter(|child| reads(&child.profile, &file))
            .map(|child| child.name.as_str())
            .collect();
        if file.starts_with("/etc/p") {
            assert_eq!(with, ["cat"], "{file}");
        }
    }
}

#[test]
fn setting_no_new_privs_prevents_division() {
    let mut recording = server();
    let nr = Abi::X86_64.syscall_number("prctl").unwrap();
    let mut prctl = fixture::recording(&[(Abi::X86_64, nr, Phase::Run, fixture::path("/bin/sh"))]);
    recording.syscalls.append(&mut prctl.syscalls);
    // With which operation is not known.
    let profile = AppArmorProfile::from_recordings(&[recording], &OPTIONS).unwrap();
    assert!(matches!(
        profile.division(),
        Division::Impossible(Obstacle::SetsNoNewPrivileges)
    ));
}

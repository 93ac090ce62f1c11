//! First mistakes, and the answer that each gets: it is accepted, or the tip says what to type.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a failure is to end them"
)]

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

/// Runs tracer in a directory, with a file as standard input if there is one.
fn tracer(directory: &Path, arguments: &str, stdin: Option<&str>) -> (i32, String) {
    let stdin = stdin.map_or_else(Stdio::null, |name| {
        File::open(directory.join(name)).unwrap().into()
    });
    // A word with `+` has a space in it.
    let arguments = arguments.split(' ').map(|word| word.replace('+', " "));
    let output = Command::new(env!("CARGO_BIN_EXE_tracer"))
        .args(arguments)
        .current_dir(directory)
        .stdin(stdin)
        .output()
        .unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), text)
}

/// A directory as a newcomer has it: two workloads, a profile and a recording elsewhere.
fn newcomer() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for name in ["nginx", "redis"] {
        let directory = scratch.path().join("profiles-out").join(name);
        fs::create_dir_all(&directory).unwrap();
        for file in ["recording.json", "seccomp.json", "apparmor.profile"] {
            fs::copy(examples.join(name).join(file), directory.join(file)).unwrap();
        }
    }
    let nginx = scratch.path().join("profiles-out/nginx");
    fs::copy(
        nginx.join("seccomp.json"),
        scratch.path().join("alone.json"),
    )
    .unwrap();
    fs::copy(
        nginx.join("apparmor.profile"),
        scratch.path().join("a.profile"),
    )
    .unwrap();
    fs::write(
        scratch.path().join("deploy.yaml"),
        "apiVersion: apps/v1\nkind: Deployment\n",
    )
    .unwrap();
    fs::write(scratch.path().join("notes.md"), "# Notes\n").unwrap();
    fs::write(scratch.path().join("void.json"), "").unwrap();
    fs::create_dir(scratch.path().join("empty")).unwrap();
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend(fs::read(nginx.join("recording.json")).unwrap());
    fs::write(scratch.path().join("bom.json"), marked).unwrap();
    scratch
}

/// A command line, standard input, the exit status, and what the answer says.
const MISTAKES: &[(&str, Option<&str>, i32, &str)] = &[
    (
        "generate profiles-out --format seccomp",
        None,
        0,
        "profiles-out/redis/seccomp.json",
    ),
    (
        "generate alone.json",
        None,
        1,
        "alone.json is a seccomp profile, not a recording; pass recording.json",
    ),
    (
        "report a.profile",
        None,
        1,
        "a.profile is an AppArmor profile, not a recording",
    ),
    (
        "generate profiles-out/nginx/seccomp.json --format review",
        None,
        0,
        "profiles-out/nginx/REVIEW.md",
    ),
    (
        "generate --format seccomp -o - -",
        Some("profiles-out/nginx/recording.json"),
        0,
        "SCMP_ACT_ERRNO",
    ),
    (
        "generate -o - profiles-out/nginx",
        None,
        2,
        "choose one with --format",
    ),
    (
        "explain - futex",
        Some("profiles-out/nginx/recording.json"),
        0,
        "futex is allowed",
    ),
    (
        "generate bom.json --format seccomp",
        None,
        0,
        "./nginx/seccomp.json",
    ),
    (
        "generate --arch arm64 --format seccomp profiles-out/nginx",
        None,
        0,
        "profiles-out/nginx/aarch64/seccomp.json",
    ),
    (
        "generate --arch amd64 --format seccomp -o out profiles-out/nginx",
        None,
        0,
        "seccomp.json",
    ),
    (
        "generate --arch arm46 profiles-out/nginx",
        None,
        2,
        "x86_64 (amd64), i386, aarch64 (arm64)",
    ),
    (
        "generate --for profiles-out profiles-out/nginx",
        None,
        1,
        "give the manifest's file",
    ),
    (
        "report profiles-out",
        None,
        1,
        "give one of them: profiles-out/nginx, profiles-out/redis",
    ),
    (
        "verify profiles-out/nginx/recording.json --recording profiles-out/nginx",
        None,
        1,
        "give the profile first",
    ),
    (
        "diff profiles-out/nginx alone.json",
        None,
        1,
        "run: tracer verify alone.json --recording profiles-out/nginx",
    ),
    ("genrate profiles-out", None, 2, "'generate'"),
    ("ls -l", None, 2, "tracer record -- ls"),
    ("record --nmae x ls", None, 2, "'--name'"),
    (
        "record --duration 5x ls",
        None,
        2,
        "give a time such as 90 (seconds), 90s, 10m, 1h30m or 1d",
    ),
    ("record", None, 2, "Usage: tracer record"),
    ("version", None, 0, "tracer "),
    (
        "explain profiles-out/nginx ptrcae",
        None,
        1,
        "did you mean \"ptrace\"?",
    ),
    (
        "generate deploy.yaml",
        None,
        1,
        "run tracer generate --for deploy.yaml",
    ),
    (
        "generate notes.md",
        None,
        1,
        "notes.md is not a recording, which is JSON",
    ),
    ("generate void.json", None, 1, "void.json is empty"),
    (
        "generate nosuch",
        None,
        1,
        "give a recording.json that tracer wrote",
    ),
    (
        "generate",
        None,
        2,
        "as in: tracer generate profiles-out/web",
    ),
    (
        "learn alone.json --from -",
        None,
        1,
        "alone.json is a seccomp profile, not a recording",
    ),
    (
        "learn profiles-out/nginx",
        None,
        2,
        "journalctl -k | tracer learn",
    ),
    (
        "audit profiles-out/nginx/recording.json",
        None,
        1,
        "this is a recording, not a profile; audit the profile that was made of it",
    ),
    (
        "audit empty",
        None,
        1,
        "no profile could be read; give a seccomp",
    ),
    ("audit --explain io-urng", None, 2, "did you mean io-uring?"),
    ("audit", None, 2, "as in: tracer audit profiles-out"),
    ("explain ptrace", None, 2, "give the recording and the name"),
    (
        "explain profiles-out/nginx CAP_SYS_ADMN",
        None,
        1,
        "did you mean \"CAP_SYS_ADMIN\"?",
    ),
    (
        "explain profiles-out/nginx 101",
        None,
        1,
        "did you mean \"ptrace\"?",
    ),
    (
        "diff profiles-out/nginx",
        None,
        2,
        "give the older one and the newer one",
    ),
    (
        "verify alone.json ls",
        None,
        2,
        "put -- before the command: -- ls",
    ),
    ("verify alone.json", None, 2, "-- CMD"),
    (
        "verify nosuch.json --recording profiles-out/nginx",
        None,
        1,
        "cannot read nosuch.json: No such file",
    ),
    (
        "watch profiles-out",
        None,
        2,
        "tracer watch profiles-out --all",
    ),
    (
        "merge profiles-out/nginx",
        None,
        2,
        "give the file to write",
    ),
    ("record --pod cart", None, 2, "give a pod as NAMESPACE/NAME"),
    ("doctor --json", None, 2, "use --format json"),
    ("--verbose record ls", None, 2, "RUST_LOG=debug"),
    ("fleet list", None, 2, "no store is given; use --store URL"),
    (
        "spool list --spool-directory /nosuch",
        None,
        1,
        "an agent makes it",
    ),
    (
        "top --spool --spool-directory /nosuch",
        None,
        1,
        "an agent makes it",
    ),
    (
        "top --format json ls",
        None,
        2,
        "tracer watch --format json --output FILE",
    ),
];

#[test]
fn first_mistakes_are_accepted_or_get_a_tip() {
    let scratch = newcomer();
    for (arguments, stdin, status, answer) in MISTAKES.iter().copied() {
        let (code, text) = tracer(scratch.path(), arguments, stdin);
        assert_eq!(code, status, "tracer {arguments}: {text}");
        assert!(text.contains(answer), "tracer {arguments}: {text}");
    }
}

/// One name for one flag: what it was called before is accepted, and not shown.
#[test]
fn old_flags_are_hidden_aliases() {
    let scratch = newcomer();
    for (command, old, new) in [
        ("generate", "--output", "--output-dir"),
        ("record", "--output", "--output-dir"),
        ("verify", "--report", "--output"),
        ("verify", "--capability", "--capabilities"),
        ("diff", "--capability", "--capabilities"),
        ("audit", "--capability", "--capabilities"),
    ] {
        let (_, help) = tracer(scratch.path(), &format!("{command} --help"), None);
        assert!(
            help.contains(&format!("{new} <")),
            "{command} {new}: {help}"
        );
        assert!(
            !help.contains(&format!("{old} <")),
            "{command} {old}: {help}"
        );
    }
    let line = "generate --output out --format seccomp profiles-out/nginx";
    assert_eq!(tracer(scratch.path(), line, None).0, 0);
    let line = "verify alone.json --report - --capability none --recording profiles-out/nginx";
    assert_eq!(tracer(scratch.path(), line, None).0, 0);
}

#[test]
fn profile_options_are_described_once() {
    let scratch = newcomer();
    for (command, most) in [
        ("record", 140),
        ("recover", 60),
        ("explain", 60),
        ("report", 60),
    ] {
        let (_, help) = tracer(scratch.path(), &format!("{command} --help"), None);
        assert!(!help.contains("--fallbacks"), "{command}");
        assert!(help.contains("tracer generate --help"), "{command}");
        assert!(
            help.lines().count() <= most,
            "{command}: {}",
            help.lines().count()
        );
    }
    let (_, help) = tracer(scratch.path(), "generate --help", None);
    assert!(help.contains("--fallbacks <"));
    // Hidden options are options all the same.
    let line = "explain --fallbacks none --headroom none profiles-out/nginx vfork";
    let (code, text) = tracer(scratch.path(), line, None);
    assert!(code == 0 && text.contains("not allowed"), "{text}");
}

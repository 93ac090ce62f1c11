//! Files that are no profile, or would be too much of one: each command that reads profiles tells where, and
//! takes no more than a few seconds and a bounded amount of memory for it.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, ensure};
use tracer_tests::{
    Outcome,
    process::{self, Finished},
    scratch::Scratch,
    tracer,
};

/// What a command may take: seconds of processor time, and KiB of address space. A build for debugging takes
/// several times as long as one for use.
const SECONDS: u32 = 20;
const KIB: u32 = 1_500_000;

const LARGE: usize = 100 << 20;

/// A file, and what is said of it: the place and a part of the sentence; `None`: nothing is wrong with it.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    says: Option<&'static str>,
}

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, says: &'static str) -> Case {
    Case {
        name,
        bytes: bytes.into(),
        says: Some(says),
    }
}

fn fine(name: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
    Case {
        name,
        bytes: bytes.into(),
        says: None,
    }
}

fn profile(entries: &str) -> String {
    format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{entries}]}}"#)
}

fn config_map(value: &str) -> String {
    let lines: String = value.lines().map(|line| format!("    {line}\n")).collect();
    format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n{lines}")
}

/// What nests.
fn deep() -> Vec<Case> {
    let levels = 100_000;
    vec![
        case(
            "lists.json",
            "[".repeat(levels) + &"]".repeat(levels),
            ":1:50: values are nested",
        ),
        case(
            "maps.json",
            "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels),
            ":1:",
        ),
        case("open.json", "[".repeat(levels), ":1:"),
        case(
            "within.json",
            profile(&("{\"args\":".repeat(levels) + "1" + &"}".repeat(levels))),
            ":1:",
        ),
        case("flow.yaml", "a: ".to_owned() + &"[".repeat(levels), ":1:"),
        case("block.yaml", "- ".repeat(levels), ":1:"),
        case(
            "embedded.yaml",
            config_map(&format!(
                "{{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"a\": {}}}",
                "[".repeat(levels)
            )),
            ":5:",
        ),
        // Braces of a glob, and profiles in one another.
        fine(
            "globs.profile",
            "profile a {\n  /".to_owned()
                + &"{a,".repeat(levels)
                + &"}".repeat(levels)
                + " r,\n}\n",
        ),
        fine(
            "hats.profile",
            "profile a {\n".to_owned() + &"^b {\n".repeat(5_000) + &"}\n".repeat(5_001),
        ),
    ]
}

/// What repeats itself.
fn circles() -> Vec<Case> {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let all = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{all}]\n");
    }
    let object = |name: &str, base: &str| {
        format!(
            "apiVersion: security-profiles-operator.x-k8s.io/v1\nkind: SeccompProfile\nmetadata: {{name: {name}}}\nspec: {{defaultAction: SCMP_ACT_ERRNO, baseProfileName: {base}}}\n"
        )
    };
    vec![
        case("bomb.yaml", bomb, "more than 400000 values"),
        case("self.yaml", "a: &a [*a]\n", ":1:8: this alias is inside"),
        case(
            "bases.yaml",
            format!("{}---\n{}", object("a", "b"), object("b", "a")),
            "is circular",
        ),
        // Includes are not followed.
        fine(
            "includes.profile",
            "include <includes.profile>\nprofile a {\n  include \"includes.profile\"\n  include if exists <includes.profile>\n}\n",
        ),
    ]
}

/// What is no text, or none of this kind.
fn bytes() -> Vec<Case> {
    vec![
        case(
            "latin.json",
            b"{\n \"defaultAction\": \"\xe4\"}".to_vec(),
            ":2:20: this is not UTF-8 text",
        ),
        case(
            "latin.yaml",
            b"a: \xff\n".to_vec(),
            ":1:4: this is not UTF-8 text",
        ),
        case(
            "latin.profile",
            b"profile a {\n  /\xff r,\n}\n".to_vec(),
            ":2:4: this is not UTF-8 text",
        ),
        case("surrogate.json", r#"{"defaultAction": "\ud800"}"#, ":1:"),
        case("nul.json", b"{\"defaultAction\": \0}".to_vec(), ":1:19: "),
        case("empty.json", "", ":1:1: "),
        case(
            "elf",
            b"\x7fELF\x02\x01\x01\0\0\0\xff".to_vec(),
            "this is not UTF-8 text",
        ),
        case("escape.json", "{\"defaultAction\": \"\u{1b}[2J\"}", ":1:"),
    ]
}

/// What is a great deal.
fn many() -> Vec<Case> {
    let names = vec!["\"read\""; 20_001].join(",");
    let entry = r#"{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":7,"op":"SCMP_CMP_LE"}]}"#;
    vec![
        case(
            "names.json",
            profile(&format!(
                "{{\"names\":[{names}],\"action\":\"SCMP_ACT_ALLOW\"}}"
            )),
            "20000 names",
        ),
        case(
            "entries.json",
            profile(&vec![entry; 1_001].join(",")),
            "more than 1000 entries",
        ),
        fine("conditions.json", profile(&vec![entry; 1_000].join(","))),
        case(
            "values.json",
            format!("[{}1]", "1,".repeat(1_500_000)),
            ":1:1: ",
        ),
        case(
            "rules.profile",
            "profile a {\n".to_owned() + &"/a w,\n".repeat(10_001),
            ":10001:1: more than 10000 rules",
        ),
        fine(
            "files.profile",
            (0..9_000)
                .map(|it| format!("/{it} w,\n"))
                .collect::<String>()
                .as_str()
                .replace("/0 w", "profile a {\n/0 w")
                + "}\n",
        ),
        fine(
            "one-line.profile",
            "profile a { ".to_owned() + &"/proc/sys/a w, ".repeat(9_000) + "}",
        ),
        case(
            "open.profile",
            "profile a {\n".to_owned() + &"/a w,\n".repeat(9_000),
            ":1:1: this profile is not closed",
        ),
    ]
}

/// Runs a command that may take so much and no more.
fn bounded(scratch: &Scratch, args: &[&str]) -> Result<Finished> {
    let limits = format!("ulimit -t {SECONDS}; ulimit -v {KIB}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    process::run(
        tracer::plain_environment(&mut command)
            .args(["-c", &limits])
            .arg(tracer::binary()?)
            .args(args)
            .current_dir(scratch.path()),
    )
}

fn nginx() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/nginx")
}

/// Each command with the file: its name and what it ended with.
fn commands(scratch: &Scratch, name: &str) -> Result<Vec<(&'static str, Finished)>> {
    let nginx = nginx();
    let (recording, seccomp) = (nginx.display().to_string(), nginx.join("seccomp.json"));
    let seccomp = seccomp.display().to_string();
    Ok(vec![
        (
            "audit",
            bounded(
                scratch,
                &["audit", "--fail-on=never", "--arch=x86_64", name],
            )?,
        ),
        (
            "diff",
            bounded(scratch, &["diff", "--arch=x86_64", name, name])?,
        ),
        (
            "verify",
            bounded(
                scratch,
                &["verify", "--arch=x86_64", name, "--recording", &recording],
            )?,
        ),
        (
            "audit --baseline",
            bounded(
                scratch,
                &[
                    "audit",
                    "--fail-on=never",
                    "--arch=x86_64",
                    "--baseline",
                    name,
                    &seccomp,
                ],
            )?,
        ),
    ])
}

fn check(cases: Vec<Case>) -> Outcome {
    let scratch = Scratch::new()?;
    for case in cases {
        fs::write(scratch.join(case.name), &case.bytes)?;
        for (command, finished) in commands(&scratch, case.name)? {
            let told = finished.stderr.trim_end();
            let short = told.get(..600).unwrap_or(told);
            let place = format!("{command} {}: {short}", case.name);
            ensure!(
                !told.contains("panicked") && !told.contains('\u{1b}'),
                "{place}"
            );
            ensure!(!finished.text().contains('\u{1b}'), "{place}");
            ensure!(
                (0..=3).contains(&finished.code()),
                "{place}: {}",
                finished.code()
            );
            if let Some(says) = case.says {
                ensure!(finished.code() == 1, "{place}: {}", finished.code());
                ensure!(
                    told.contains(case.name) && told.contains(says),
                    "{place}: no {says:?}"
                );
                ensure!(told.len() < 2_000, "{place}: {} bytes", told.len());
            } else if matches!(command, "audit" | "diff") {
                ensure!(finished.code() == 0, "{place}: {}", finished.code());
                ensure!(
                    finished.stdout.len() < 2 << 20,
                    "{place}: {} bytes",
                    finished.stdout.len()
                );
            }
        }
    }
    Ok(())
}

#[test]
fn deep_nesting_is_handled_within_limits() -> Outcome {
    check(deep())
}

#[test]
fn self_referencing_files_are_handled_within_limits() -> Outcome {
    check(circles())
}

#[test]
fn non_text_files_are_handled_within_limits() -> Outcome {
    check(bytes())
}

#[test]
fn very_many_entries_are_handled_within_limits() -> Outcome {
    check(many())
}

#[test]
fn rejects_files_of_100_megabytes() -> Outcome {
    let large = |unit: &[u8]| unit.repeat(LARGE / unit.len());
    for (name, bytes) in [
        ("spaces.json", large(b" ")),
        ("list.json", [&b"["[..], &large(b"1,"), b"1]"].concat()),
        ("text.json", [&b"\""[..], &large(b"a"), b"\""].concat()),
        ("rules.profile", large(b"/a w,\n")),
        ("lines.yaml", large(b"- a\n")),
        ("zeros", large(b"\0")),
    ] {
        check(vec![case(name, bytes, "has more than")])?;
    }
    Ok(())
}

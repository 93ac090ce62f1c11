//! What tracer says to people is plain English: no word of the list below, and each number agrees with
//! its noun. All texts that a person meets are read: help, explanations, reviews, pages, documents.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a failure is to end them"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Phrases that are a riddle, archaic, or private to this project, each with what to say instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("but for", "except"),
    ("by habit", "by default"),
    ("of today", "current"),
    ("upon which", "so"),
    ("not either", "also not"),
    ("is told", "is reported"),
    ("are told", "are reported"),
    ("was told", "was reported"),
    ("was seen to", "was observed to"),
    ("were seen to", "were observed to"),
    ("hardly ever", "rarely"),
    ("takes no notice", "ignores"),
    ("take no notice", "ignore"),
    ("calls are open", "system calls are allowed"),
    ("open much", "are high-risk"),
    ("what is waited for", "the container"),
    ("what was recorded is gone", "container web exited"),
    ("came and went", "short-lived"),
    ("nothing tells", "could not be determined"),
    ("to mend", "how to fix"),
    ("mend it", "fix it"),
    ("could not be asked for", "could not be checked"),
    ("that which", "name the thing"),
    ("whoever", "name who"),
    ("what is outside", "outside the container"),
    ("what starts the workload", "container runtime"),
    ("perhaps a probe", "may be a mere check"),
    ("worth a second look", "risks"),
    ("deserves a second look", "has a known risk"),
    ("nothing is known against it", "no known risk"),
    ("cannot say", "cannot express"),
    ("gets it", "profile added"),
    ("has it already", "already up to date"),
    ("finer word", "cannot restrict"),
    ("signs in names", "characters in names"),
    ("the answer is no", "findings, denials or differences"),
    ("it could not be done", "error"),
    ("is no recording", "is not a recording"),
    ("is no valid", "is not a valid"),
    ("is no profile", "is not a profile"),
    ("is no system call", "is not a system call"),
    ("is no error", "is not an error"),
    ("is no denial", "is not a denial"),
    ("layer `window`", "layer `runtime-init`"),
    ("layer `variant`", "layer `fallback`"),
    ("put in force", "enforced"),
    ("in force", "enforced"),
    ("folder", "directory"),
];

/// Nouns that are counted.
const NOUNS: &[(&str, &str)] = &[
    ("call", "calls"),
    ("syscall", "syscalls"),
    ("recording", "recordings"),
    ("instance", "instances"),
    ("executable", "executables"),
    ("difference", "differences"),
    ("profile", "profiles"),
    ("rule", "rules"),
    ("entry", "entries"),
    ("file", "files"),
    ("capability", "capabilities"),
    ("path", "paths"),
    ("container", "containers"),
    ("finding", "findings"),
    ("change", "changes"),
    ("glob", "globs"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn tracer(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tracer"))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    assert!(!text.is_empty(), "{arguments:?}");
    text
}

/// A text in lower case with single spaces, so that a phrase is found across lines.
fn flat(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

fn forbidden(text: &str) -> Vec<String> {
    let text = flat(text);
    let mut found = Vec::new();
    for (phrase, better) in FORBIDDEN {
        for (at, _) in text.match_indices(phrase) {
            let before = text[..at].chars().next_back();
            let after = text[at + phrase.len()..].chars().next();
            let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            if !is_word(before) && !is_word(after) {
                let start = text[..at].char_indices().rev().nth(40).map_or(0, |it| it.0);
                let rest = text[at..]
                    .char_indices()
                    .nth(60)
                    .map_or(text.len(), |it| at + it.0);
                found.push(format!(
                    "{phrase:?} (say {better:?}): ...{}...",
                    &text[start..rest]
                ));
            }
        }
    }
    found
}

/// `1 calls`, `2 call`, `1 system calls`.
fn number_faults(text: &str) -> Vec<String> {
    let text = flat(text);
    let words: Vec<_> = text
        .split(|c: char| !(c.is_alphanumeric() || "-.,:;()[]{}/_`'\"|*=<>%+#".contains(c)))
        .filter(|it| !it.is_empty())
        .collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let Ok(number) = word.trim_start_matches(['(', '*']).parse::<u64>() else {
            continue;
        };
        // `1 call`, `1 system call`; a preposition between them begins something else.
        let next = words.get(at + 1).copied().unwrap_or_default();
        let noun = match next {
            "system" | "more" | "different" | "other" | "high-risk" => words.get(at + 2).copied(),
            _ => Some(next),
        };
        let noun = noun
            .unwrap_or_default()
            .trim_end_matches(['.', ',', ';', ':', ')']);
        let is_fault = NOUNS.iter().any(|(one, many)| match number {
            1 => noun == *many,
            0 => false,
            _ => noun == *one,
        });
        if is_fault {
            found.push(format!("{word} {next} {noun}"));
        }
    }
    found
}

fn check(what: &str, text: &str) -> Vec<String> {
    forbidden(text)
        .into_iter()
        .chain(number_faults(text))
        .map(|fault| format!("{what}: {fault}"))
        .collect()
}

fn assert_plain(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

const COMMANDS: &[&str] = &[
    "record",
    "generate",
    "merge",
    "verify",
    "watch",
    "top",
    "diff",
    "explain",
    "report",
    "audit",
    "learn",
    "recover",
    "agent",
    "spool",
    "rollout",
    "fleet",
    "kubernetes",
    "gvisor",
    "selinux",
    "doctor",
    "completions",
    "man",
    "version",
];

#[test]
fn the_check_finds_what_it_looks_for() {
    assert_eq!(forbidden("A probe, but\n for mounts.").len(), 1);
    assert_eq!(forbidden("nothing but formats; is toldx").len(), 0);
    for fault in [
        "1 calls",
        "merged 1 recordings",
        "(1 system calls)",
        "62 call,",
    ] {
        assert_eq!(number_faults(fault).len(), 1, "{fault}");
    }
    for fine in [
        "1 call",
        "2 calls",
        "1 of 3 calls",
        "11 calls",
        "rule 1: calls",
    ] {
        assert_eq!(number_faults(fine), [""; 0], "{fine}");
    }
}

#[test]
fn help_is_plain_and_imperative() {
    let mut faults = check("tracer --help", &tracer(&["--help"]));
    for command in COMMANDS {
        for option in ["--help", "-h"] {
            let text = tracer(&[command, option]);
            faults.extend(check(&format!("tracer {command} {option}"), &text));
            // "Record", not "Records".
            let verb = text.split_whitespace().next().unwrap();
            if verb.ends_with('s') {
                faults.push(format!("tracer {command} {option}: begins with {verb:?}"));
            }
        }
    }
    faults.extend(check("tracer man", &tracer(&["man"])));
    assert_plain(&faults);
}

#[test]
fn audit_rules_are_plain() {
    let text = tracer(&["audit", "--explain", "all"]);
    assert_plain(&check("tracer audit --explain all", &text));
}

#[test]
fn documents_are_plain() {
    let mut faults = Vec::new();
    let documents = fs::read_dir(root().join("docs")).unwrap();
    let documents = documents.map(|entry| entry.unwrap().path());
    let named = [
        "README.md",
        "SECURITY.md",
        "examples/README.md",
        "tests/README.md",
    ];
    for path in documents.chain(named.map(|name| root().join(name))) {
        // The glossary and the schema have the words of schema v1.
        let is_document = path.extension().is_some_and(|it| it == "md");
        if !is_document || path.ends_with("glossary.md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        faults.extend(check(&path.display().to_string(), &text));
    }
    assert_plain(&faults);
}

#[test]
fn what_is_made_of_the_examples_is_plain() {
    let mut faults = Vec::new();
    for example in ["nginx", "nginx-lsm", "postgresql", "python-web", "redis"] {
        let scratch = tempfile::tempdir().unwrap();
        let output = scratch.path().to_str().unwrap();
        let recording = format!("examples/{example}");
        let profile = format!("{recording}/seccomp.json");
        let said = [
            tracer(&["generate", "--output-dir", output, &recording]),
            tracer(&[
                "generate",
                "--output-dir",
                output,
                "--format",
                "systemd,engine,compose,patch",
                "--container",
                "c",
                &recording,
            ]),
            tracer(&["report", &recording]),
            tracer(&["verify", &profile, "--recording", &recording]),
            tracer(&[
                "audit",
                "--arch",
                "x86_64",
                "--recording",
                &recording,
                &profile,
            ]),
            tracer(&["explain", &recording, "futex"]),
            tracer(&["explain", &recording, "mount"]),
            tracer(&["explain", &recording, "/etc/passwd"]),
            tracer(&["explain", &recording, "CAP_SETUID"]),
            tracer(&["explain", &recording, "SIGTERM"]),
            tracer(&["diff", &recording, "examples/redis"]),
            tracer(&["merge", &recording, "-o", &format!("{output}/merged.json")]),
        ];
        for text in said {
            faults.extend(check(example, &text));
        }
        let directory = scratch.path().join(example);
        for name in [
            "REVIEW.md",
            "apparmor.profile",
            "systemd.conf",
            "engine.args",
            "compose.yaml",
            "kubernetes/patch.yaml",
            "kubernetes/securitycontext.yaml",
            "kubernetes/seccompprofile.yaml",
        ] {
            let text = fs::read_to_string(directory.join(name)).unwrap();
            faults.extend(check(&format!("{example}/{name}"), &text));
        }
    }
    assert_plain(&faults);
}

#[test]
fn a_review_fits_on_a_few_screens() {
    // PostgreSQL has many files.
    for (example, most) in [
        ("nginx", 120),
        ("nginx-lsm", 120),
        ("redis", 130),
        ("python-web", 130),
        ("postgresql", 150),
    ] {
        let path = root().join("examples").join(example).join("REVIEW.md");
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().count();
        assert!(lines <= most, "{example}: {lines} lines");
        let first: Vec<_> = text.lines().take(12).collect();
        let first = first.join("\n");
        for part in [
            "**",
            "Was anything lost?",
            "Has it stopped discovering?",
            "What is risky?",
            "Compared with Docker's default",
        ] {
            assert!(
                first.contains(part),
                "{example}: {part} is not among the first lines"
            );
        }
    }
}

//! What libc calls when a system call returns an error: measured for each function in `wrappers.h`, under a
//! filter that answers one call, and compared with `measured.tsv` of the crate `syscalls`. A test of that crate
//! finds each row of it in the table of fallbacks.
//!
//! Called instead is what the function does not call otherwise: an error path is in the table too.
//!
//! `TRACER_UPDATE=1` writes the rows anew, for the libcs that are there. `TRACER_LIBCS` names programs of
//! other libcs: `glibc 2.31=/path/to/wrappers`, separated by commas.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use syscalls::Abi;
use tracer_tests::{
    Outcome, needs, process,
    programs::{self, Build, compiled},
    requires::{Need, program},
    scratch::Scratch,
};

/// Function, call, error, and the call that comes instead.
type Fallback = (String, String, &'static str, String);

/// The errors that filters answer with, and the numbers of them.
const ERRORS: [(&str, i32); 3] = [("ENOSYS", 38), ("EPERM", 1), ("EINVAL", 22)];

/// Calls that no filter can refuse: what runs could not end.
const NEVER_REFUSED: [&str; 4] = ["execve", "exit", "exit_group", "rt_sigreturn"];

#[test]
fn libc_falls_back_as_the_table_says() -> Outcome {
    needs!(
        Need::Root,
        Need::X86,
        program::CC,
        program::MUSL,
        program::STRACE,
        program::UNSHARE
    );
    let table = programs::workspace().join("crates/syscalls/src/fallbacks/measured.tsv");
    let mut rows = read(&table)?;
    let update = env::var_os("TRACER_UPDATE").is_some();
    let mut differ = Vec::new();
    for (libc, program) in libcs()? {
        let known = rows.values().any(|libcs| libcs.contains(&libc));
        let mut measured = measure(&program).with_context(|| libc.clone())?;
        let mut always = measured.clone();
        // On a busy machine a run may be cut short, and a thread that is waited for may be late: what differs from
        // the table is measured again.
        for _ in 1..ATTEMPTS {
            let is_new = always
                .iter()
                .any(|row| is_missing(&rows, &libc, known, row));
            if !is_new && unseen(&rows, &libc, &measured).next().is_none() {
                break;
            }
            let again = measure(&program).with_context(|| libc.clone())?;
            always.retain(|row| again.contains(row));
            measured.extend(again);
        }
        println!("{libc}: {} fallbacks", measured.len());
        if update {
            for libcs in rows.values_mut() {
                libcs.remove(&libc);
            }
            for row in always {
                rows.entry(row).or_default().insert(libc.clone());
            }
            continue;
        }
        let new = always
            .iter()
            .filter(|row| is_missing(&rows, &libc, known, row));
        differ.extend(new.map(|row| format!("{libc}: not in the table: {row:?}")));
        let gone = unseen(&rows, &libc, &measured);
        differ.extend(gone.map(|row| format!("{libc}: not seen: {row:?}")));
    }
    if update {
        write(&table, &rows)?;
    }
    ensure!(differ.is_empty(), "{differ:#?}");
    Ok(())
}

/// How often the fallbacks of a libc are measured at most.
const ATTEMPTS: u32 = 5;

/// Whether a row that was measured is not in the table; for a libc that has rows there, not as its own.
fn is_missing(
    rows: &BTreeMap<Fallback, BTreeSet<String>>,
    libc: &str,
    known: bool,
    row: &Fallback,
) -> bool {
    let there = rows.get(row);
    !is_by_chance(row) && there.is_none_or(|libcs| known && !libcs.contains(libc))
}

/// The rows of a libc that were not measured.
fn unseen<'a>(
    rows: &'a BTreeMap<Fallback, BTreeSet<String>>,
    libc: &'a str,
    measured: &'a BTreeSet<Fallback>,
) -> impl Iterator<Item = &'a Fallback> {
    let of_libc = rows.iter().filter(move |(_, libcs)| libcs.contains(libc));
    of_libc
        .map(|(row, _)| row)
        .filter(|row| !is_by_chance(row) && !measured.contains(*row))
}

/// Whether a fallback is not made each time. For a temporary name glibc asks the kernel for random bits only when
/// those that it has already are among the few that would favour some letters (sysdeps/posix/tempname.c).
fn is_by_chance((function, _, _, instead): &Fallback) -> bool {
    function == "tmpfile" && instead == "getrandom"
}

/// The programs, each with its libc.
fn libcs() -> Result<Vec<(String, PathBuf)>> {
    let version = process::run(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    let mut libcs = vec![
        (
            version.text().trim().to_owned(),
            compiled("wrappers", Build::Dynamic)?,
        ),
        (
            "musl 1.2".to_owned(),
            compiled("wrappers", Build::StaticMusl)?,
        ),
    ];
    let others = env::var("TRACER_LIBCS").unwrap_or_default();
    for other in others.split(',').filter(|other| !other.is_empty()) {
        let (libc, path) = other
            .split_once('=')
            .context("TRACER_LIBCS: LIBC=PROGRAM")?;
        libcs.push((libc.to_owned(), path.into()));
    }
    Ok(libcs)
}

/// A function, and a call with the error that a filter answers it with.
struct Run<'a> {
    function: &'a str,
    refused: Option<(&'a str, u32, (&'static str, i32))>,
}

/// All fallbacks of the functions that a program knows.
fn measure(program: &Path) -> Result<BTreeSet<Fallback>> {
    let list = process::run(&mut Command::new(program))?.text();
    let plain: Vec<_> = list
        .lines()
        .map(|function| Run {
            function,
            refused: None,
        })
        .collect();
    let made: Vec<BTreeSet<String>> = calls(program, &plain)?
        .into_iter()
        .map(|calls| calls.into_iter().collect())
        .collect();
    let mut refusing = Vec::new();
    for (run, made) in plain.iter().zip(&made) {
        for call in made {
            let number = Abi::X86_64.syscall_number(call);
            let Some(number) = number.filter(|_| !NEVER_REFUSED.contains(&call.as_str())) else {
                continue;
            };
            refusing.extend(ERRORS.map(|error| {
                let refused = Some((call.as_str(), number, error));
                (Run { refused, ..*run }, made)
            }));
        }
    }
    let (runs, made): (Vec<_>, Vec<_>) = refusing.into_iter().unzip();
    let mut found = BTreeSet::new();
    for ((run, made), calls) in runs.iter().zip(made).zip(calls(program, &runs)?) {
        let Some((call, _, (error, _))) = run.refused else {
            continue;
        };
        let at = calls.iter().position(|it| it == call);
        let after = at.and_then(|at| calls.get(at + 1..)).unwrap_or_default();
        let instead = after.iter().filter(|it| !made.contains(*it));
        found.extend(instead.map(|instead| {
            let (function, call) = (run.function.to_owned(), call.to_owned());
            (function, call, error, instead.clone())
        }));
    }
    Ok(found)
}

/// What is called in each run, in order, by strace.
fn calls(program: &Path, runs: &[Run<'_>]) -> Result<Vec<Vec<String>>> {
    /// Runs at a time: some wait until they are ended.
    const FEW: usize = 60;
    let all: Result<Vec<_>> = runs.chunks(FEW).map(|few| trace(program, few)).collect();
    Ok(all?.into_iter().flatten().collect())
}

fn trace(program: &Path, runs: &[Run<'_>]) -> Result<Vec<Vec<String>>> {
    let scratch = Scratch::new()?;
    let trace = scratch.join("trace");
    let line = |run: &Run<'_>| match run.refused {
        None => format!("{}\n", run.function),
        Some((_, number, (_, error))) => format!("{} {number} {error}\n", run.function),
    };
    let input = scratch.file("input", runs.iter().map(line).collect::<String>())?;
    // In a namespace of its own: whatever a function does when it is refused, it signals no other process.
    // And what loops does not fill the disk.
    let mut command = Command::new("prlimit");
    command
        .args(["--fsize=50000000", "unshare"])
        .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["strace", "-f", "-qq", "-o"])
        .args([trace.as_path(), program])
        .arg("-")
        .stdin(fs::File::open(input)?)
        .current_dir(scratch.dir("work")?);
    process::run(&mut command)?;
    let text = String::from_utf8_lossy(&fs::read(&trace)?).into_owned();
    let parts: Vec<_> = text.split("write(-1, \"next\"").collect();
    let (start, parts) = parts.split_first().context("no trace")?;
    let driver = start.lines().last().unwrap_or_default().trim();
    ensure!(
        parts.len() == runs.len(),
        "{} of {} runs began",
        parts.len(),
        runs.len()
    );
    Ok(parts.iter().map(|part| called(part, driver)).collect())
}

/// The calls in the part of a trace that is of a run; `driver` is the process that starts the runs.
fn called(part: &str, driver: &str) -> Vec<String> {
    let mut executed = BTreeSet::new();
    let mut calls = Vec::new();
    let lines = part
        .lines()
        .skip_while(|line| !line.contains("write(-1, \"begin\""))
        .skip(1);
    for line in lines.take_while(|line| !line.contains("write(-1, \"end\"")) {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((call, _)) = rest.trim_start().split_once('(') else {
            continue;
        };
        let is_name = call
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'_');
        // What another program does is not libc's answer.
        if !is_name || pid == driver || executed.contains(pid) {
            continue;
        }
        if call.starts_with("execve") && !line.contains("= -1") {
            executed.insert(pid);
        }
        calls.push(call.to_owned());
    }
    calls
}

/// The rows of the table, each with its libcs.
fn read(table: &Path) -> Result<BTreeMap<Fallback, BTreeSet<String>>> {
    let text = fs::read_to_string(table).unwrap_or_default();
    let rows = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|line| {
        let columns: Vec<_> = line.split('\t').collect();
        let [function, call, error, instead, libcs] = columns[..] else {
            anyhow::bail!("not five columns: {line}");
        };
        let error = ERRORS.iter().find(|(name, _)| *name == error);
        let (error, _) = error.with_context(|| line.to_owned())?;
        let row = (
            function.to_owned(),
            call.to_owned(),
            *error,
            instead.to_owned(),
        );
        Ok((row, libcs.split(", ").map(str::to_owned).collect()))
    })
    .collect()
}

fn write(table: &Path, rows: &BTreeMap<Fallback, BTreeSet<String>>) -> Result<()> {
    let mut text = "# Measured by tests/e2e/libc_fallbacks.rs on x86_64; TRACER_UPDATE=1 writes it anew.\n# function\tcall\terror\tcall instead\tlibcs\n".to_owned();
    for ((function, call, error, instead), libcs) in rows {
        if !libcs.is_empty() {
            let libcs: Vec<_> = libcs.iter().map(String::as_str).collect();
            let libcs = libcs.join(", ");
            text += &format!("{function}\t{call}\t{error}\t{instead}\t{libcs}\n");
        }
    }
    fs::write(table, text)?;
    Ok(())
}

//! What a runtime calls between loading a seccomp filter and executing the workload: read from what
//! strace saw, counted, and written as the rows of `crates/syscalls/src/runtime_init/rows.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};

use crate::runtimes::Runtime;

/// strace as [`calls`] reads it, up to the log's name. Arguments stay raw, so that nothing in them
/// can look like a line.
pub(crate) const STRACE: [&str; 7] = ["strace", "-f", "-qq", "-a1", "-eraw=all", "-s0", "-o"];

/// The calls of which a profile may allow some values only: which argument that is, and its bits.
const VALUED: [(&str, usize, u64); 5] = [
    ("fcntl", 1, 0xffff_ffff),
    ("ioctl", 1, 0xffff_ffff),
    ("madvise", 2, 0xffff_ffff),
    // PROT_EXEC.
    ("mmap", 2, 4),
    ("prctl", 0, 0xffff_ffff),
];

/// A line of strace's: thread, call, first arguments, and the value it returned.
struct Line<'a> {
    thread: &'a str,
    name: &'a str,
    arguments: &'a str,
    /// `None` while it goes on: another thread came between.
    value: Option<&'a str>,
    /// Whether it is the second half of such a call.
    resumed: bool,
}

impl<'a> Line<'a> {
    /// `None` for signals and the ends of threads.
    fn parse(line: &'a str) -> Option<Self> {
        let (thread, rest) = line.split_once(' ')?;
        let rest = rest.trim_start();
        let value = rest.rsplit_once(" = ").map(|(_, value)| value);
        if let Some(rest) = rest.strip_prefix("<... ") {
            let (name, _) = rest.split_once(" resumed>")?;
            return Some(Self {
                thread,
                name,
                arguments: "",
                value,
                resumed: true,
            });
        }
        let (name, arguments) = rest.split_once('(')?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (!name.is_empty() && name.chars().all(is_name)).then_some(Self {
            thread,
            name,
            arguments,
            value: value.filter(|_| !rest.ends_with("<unfinished ...>")),
            resumed: false,
        })
    }

    /// PR_SET_SECCOMP with SECCOMP_MODE_FILTER, or SECCOMP_SET_MODE_FILTER
    /// (include/uapi/linux/prctl.h and seccomp.h).
    fn loads(&self) -> bool {
        let mut arguments = self.arguments.split([',', ')']).map(str::trim);
        match self.name {
            "prctl" => arguments.next() == Some("0x16") && arguments.next() == Some("0x2"),
            "seccomp" => arguments.next() == Some("0x1"),
            _ => false,
        }
    }

    /// What it was given, when a profile may allow the call for some values only:
    /// `prctl=0x18`.
    fn value(&self) -> Option<String> {
        let (_, index, mask) = VALUED.iter().find(|(name, ..)| *name == self.name)?;
        let value = self.arguments.split([',', ')']).nth(*index)?.trim();
        let value = u64::from_str_radix(value.strip_prefix("0x").unwrap_or(value), 16).ok()?;
        Some(format!("{}={:#x}", self.name, value & mask))
    }

    fn succeeded(&self) -> bool {
        self.value.is_some_and(|value| !value.starts_with('-'))
    }
}

/// The calls that the thread which loaded the filter made after that, up to and with the one that
/// executed the workload. A load counts once it returned something else than an error: libseccomp
/// tries bad arguments first.
pub(crate) fn calls(log: &str) -> Result<BTreeSet<String>> {
    let mut loading = BTreeSet::new();
    let mut filtered: Option<(&str, BTreeSet<String>)> = None;
    for line in log.lines().filter_map(Line::parse) {
        if let Some((thread, calls)) = &mut filtered {
            if line.thread != *thread || line.resumed {
                continue;
            }
            ensure!(
                !line.name.starts_with("syscall_"),
                "this strace does not know {}: a newer one is needed",
                line.name
            );
            calls.insert(line.name.to_owned());
            calls.extend(line.value());
            // A thread other than the first takes the first one's id with it, and so the end of the
            // call is not under the name of its beginning.
            let executes = ["execve", "execveat"].contains(&line.name);
            if executes && (line.value.is_none() || line.succeeded()) {
                return Ok(std::mem::take(calls));
            }
        } else if line.resumed {
            if loading.remove(&(line.thread, line.name)) && line.succeeded() {
                filtered = Some((line.thread, BTreeSet::new()));
            }
        } else if line.loads() {
            if line.succeeded() {
                filtered = Some((line.thread, BTreeSet::new()));
            } else if line.value.is_none() {
                loading.insert((line.thread, line.name));
            }
        }
    }
    match filtered {
        None => bail!("no filter was loaded"),
        Some((_, calls)) => bail!("nothing was executed after the filter; there was {calls:?}"),
    }
}

/// How often each call was in a window, by what held in it.
#[derive(Default)]
pub(crate) struct Tally {
    windows: BTreeMap<Condition, usize>,
    calls: BTreeMap<String, BTreeMap<Condition, usize>>,
}

/// What held while a window was measured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Condition {
    pub(crate) no_new_privs: bool,
    /// What else did, each with its value: `("user", "0")`.
    pub(crate) others: Vec<(&'static str, &'static str)>,
}

impl Tally {
    pub(crate) fn add(&mut self, condition: &Condition, calls: BTreeSet<String>) {
        *self.windows.entry(condition.clone()).or_default() += 1;
        for call in calls {
            let counts = self.calls.entry(call).or_default();
            *counts.entry(condition.clone()).or_default() += 1;
        }
    }

    fn total(counts: &BTreeMap<Condition, usize>, holds: impl Fn(&Condition) -> bool) -> usize {
        let counts = counts.iter().filter(|(condition, _)| holds(condition));
        counts.map(|(_, count)| count).sum()
    }

    /// The two rows of a runtime, as Rust.
    pub(crate) fn rows(&self, runtime: &Runtime) -> Result<String> {
        let mut text = String::new();
        for no_new_privs in [true, false] {
            let seen = || {
                let calls = self.calls.iter();
                calls
                    .filter(|(_, counts)| {
                        Self::total(counts, |it| it.no_new_privs == no_new_privs) > 0
                    })
                    .map(|(call, _)| call.as_str())
            };
            let calls: String = seen()
                .filter(|call| !call.contains('='))
                .map(|call| format!("            {call:?},\n"))
                .collect();
            let values: String = seen()
                .filter_map(|call| call.split_once('='))
                .map(|(call, value)| format!("            ({call:?}, {value}),\n"))
                .collect();
            write!(
                text,
                "    Row {{\n\
                 \x20       runtime: {},\n\
                 \x20       versions: Versions::Exactly(Version({})),\n\
                 \x20       no_new_privs: Some({no_new_privs}),\n\
                 \x20       source: MEASURED,\n\
                 \x20       calls: &[\n{calls}        ],\n\
                 \x20       values: &[\n{values}        ],\n\
                 \x20   }},\n",
                variant(&runtime.name)?,
                numbers(&runtime.version)?,
            )?;
        }
        Ok(text)
    }

    /// The calls that were not in every window, each with how often it was in those of each value.
    pub(crate) fn differences(&self) -> String {
        let mut text = String::new();
        for no_new_privs in [true, false] {
            let all = Self::total(&self.windows, |it| it.no_new_privs == no_new_privs);
            let title = format!("no_new_privs: {no_new_privs}, {all} windows\n");
            text.push_str(&title);
            for (call, counts) in &self.calls {
                let seen = Self::total(counts, |it| it.no_new_privs == no_new_privs);
                if seen == 0 || seen == all {
                    continue;
                }
                let mut line = format!("  {call} in {seen}:");
                for (what, value) in self.values(no_new_privs) {
                    let holds = |it: &Condition| {
                        it.no_new_privs == no_new_privs && it.others.contains(&(what, value))
                    };
                    let (seen, all) = (
                        Self::total(counts, holds),
                        Self::total(&self.windows, holds),
                    );
                    line.push_str(&format!(" {what}={value} {seen}/{all}"));
                }
                text.push_str(&line);
                text.push('\n');
            }
        }
        text
    }

    fn values(&self, no_new_privs: bool) -> BTreeSet<(&'static str, &'static str)> {
        let conditions = self.windows.keys();
        conditions
            .filter(|it| it.no_new_privs == no_new_privs)
            .flat_map(|it| it.others.iter().copied())
            .collect()
    }
}

fn variant(name: &str) -> Result<&'static str> {
    match name {
        "runc" => Ok("Runc"),
        "crun" => Ok("Crun"),
        _ => bail!("tracer's rows know no runtime {name:?}: add it to Runtime first"),
    }
}

/// `1, 21, 0` for `1.21`.
fn numbers(version: &str) -> Result<String> {
    let mut numbers = version
        .split('.')
        .map(str::parse)
        .collect::<Result<Vec<u16>, _>>()
        .with_context(|| format!("{version:?} is no version"))?;
    numbers.resize(3, 0);
    let numbers: Vec<_> = numbers.iter().map(u16::to_string).collect();
    Ok(numbers.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn names(calls: &BTreeSet<String>) -> Vec<&str> {
        calls.iter().map(String::as_str).collect()
    }

    #[test]
    fn only_the_loading_thread_after_the_load_counts() {
        let log = "\
10 openat(0xff, 0x1, 0, 0) = 3
11 seccomp(0x1, 0, 0) = -1 EFAULT (Bad address)
11 prctl(0x26, 0x2, 0, 0, 0) = 0
11 mkdirat(0x1) = 0
11 prctl(0x16, 0x2, 0x7f) = 0
11 futex(0x1, 0x81, 0x1 <unfinished ...>
10 getppid() = 1
11 <... futex resumed>) = 1
11 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL} ---
11 rt_sigreturn(0x17) = 0
11 execve(0x1, 0x2, 0x3) = -1 ENOENT (No such file or directory)
11 execve(0x1, 0x2, 0x3 <unfinished ...>
10 +++ superseded by execve in pid 11 +++
10 <... execve resumed>) = 0
10 brk(0) = 0x1
";
        let calls = calls(log).unwrap();
        assert_eq!(names(&calls), ["execve", "futex", "rt_sigreturn"]);
    }

    #[test]
    fn load_may_be_split_in_the_log() {
        let log = "\
7 seccomp(0x1, 0x8, 0x7f <unfinished ...>
8 seccomp(0x1, 0x1, 0 <unfinished ...>
8 <... seccomp resumed>) = -1 EINVAL (Invalid argument)
7 <... seccomp resumed>) = 0
8 close(3) = 0
7 close_range(0x3, 0xffffffff, 0x4) = 0
7 execve(0x1, 0x2, 0x3) = 0
7 write(0x1) = 1
";
        assert_eq!(names(&calls(log).unwrap()), ["close_range", "execve"]);
    }

    #[test]
    fn missing_start_or_end_is_an_error() {
        let none = "7 prctl(0x16, 0x2, 0) = -1 EFAULT (Bad address)\n7 execve(0x1) = 0\n";
        assert_eq!(calls(none).unwrap_err().to_string(), "no filter was loaded");
        let endless = "7 prctl(0x16, 0x2, 0x7f) = 0\n7 close(3) = 0\n";
        assert!(calls(endless).unwrap_err().to_string().contains("close"));
        let unknown = "7 prctl(0x16, 0x2, 0x7f) = 0\n7 syscall_0x1c4(0) = 0\n7 execve(0x1) = 0\n";
        let error = calls(unknown).unwrap_err().to_string();
        assert!(error.contains("syscall_0x1c4"), "{error}");
    }

    #[test]
    fn rows_are_rust_and_differences_are_listed() {
        let mut tally = Tally::default();
        let condition = |no_new_privs, user| Condition {
            no_new_privs,
            others: vec![("user", user)],
        };
        let set = |calls: &[&str]| calls.iter().map(|call| (*call).to_owned()).collect();
        tally.add(&condition(true, "0"), set(&["close", "execve"]));
        tally.add(&condition(true, "1000"), set(&["execve"]));
        let values = ["execve", "prctl", "prctl=0x18", "setuid"];
        tally.add(&condition(false, "0"), set(&values));
        let runtime = Runtime {
            name: "crun".to_owned(),
            version: "1.21".to_owned(),
            path: PathBuf::new(),
        };
        assert_eq!(
            tally.rows(&runtime).unwrap(),
            r#"    Row {
        runtime: Crun,
        versions: Versions::Exactly(Version(1, 21, 0)),
        no_new_privs: Some(true),
        source: MEASURED,
        calls: &[
            "close",
            "execve",
        ],
        values: &[
        ],
    },
    Row {
        runtime: Crun,
        versions: Versions::Exactly(Version(1, 21, 0)),
        no_new_privs: Some(false),
        source: MEASURED,
        calls: &[
            "execve",
            "prctl",
            "setuid",
        ],
        values: &[
            ("prctl", 0x18),
        ],
    },
"#
        );
        assert_eq!(
            tally.differences(),
            "no_new_privs: true, 2 windows\n  close in 1: user=0 1/1 user=1000 0/1\n\
             no_new_privs: false, 1 windows\n"
        );
    }
}

//! What AppArmor's own parser says of a profile.
//!
//! The parser is a guest: it is started by its path in a directory of root's, gets little memory and little time, and
//! is killed when somebody wants tracer to end.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, Write as _},
    os::unix::{fs::MetadataExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{Pid, Resource, Rlimit, getrlimit, prlimit},
};

/// Where it is looked for, whatever `PATH` says: tracer may be root, and `PATH` a user's.
const PLACES: [&str; 5] = [
    "/usr/sbin/apparmor_parser",
    "/sbin/apparmor_parser",
    "/usr/bin/apparmor_parser",
    "/usr/local/sbin/apparmor_parser",
    "/run/current-system/sw/bin/apparmor_parser",
];

/// The longest profile that it gets. Two thousand paths of 4 KB take it 5 GB of memory.
const MAX_BYTES: usize = 1 << 20;

/// How long it may take, and how much memory.
const PATIENCE: Duration = Duration::from_secs(20);
const MEMORY: u64 = 1 << 30;

/// How much of what it says is passed on.
const MAX_WORDS: u64 = 4096;

/// Whether a profile was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// The parser takes it.
    Taken,
    /// The parser is not installed.
    NoParser,
    /// It was not checked, or not to the end, and why.
    Skipped(String),
}

/// Gives a profile to apparmor_parser, which loads nothing and keeps nothing. `ends` is asked over and over whether
/// to stop.
///
/// # Errors
/// When the parser refuses it, in its words, or cannot be run.
pub(super) fn apparmor(text: &str, ends: &mut dyn FnMut() -> bool) -> anyhow::Result<Checked> {
    let Some(parser) = find() else {
        return Ok(Checked::NoParser);
    };
    if text.len() > MAX_BYTES {
        return Ok(Checked::Skipped(format!(
            "it has {} bytes; apparmor_parser would need too much memory and time",
            text.len()
        )));
    }
    let failed = || format!("cannot run {}", parser.display());
    // Files in memory: nobody waits for anybody, as with pipes.
    let mut input = memory("profile").with_context(failed)?;
    input.write_all(text.as_bytes()).with_context(failed)?;
    input.rewind().with_context(failed)?;
    let mut words = memory("messages").with_context(failed)?;
    let child = Command::new(&parser)
        .args(["--skip-kernel-load", "--skip-cache"])
        // Of long paths it takes most of the time (9.6 s of 10 for 40 levels of 60 bytes), and
        // changes nothing of what is accepted.
        .args(["--optimize", "no-expr-simplify"])
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(words.try_clone().with_context(failed)?)
        .spawn()
        .with_context(failed)?;
    let ended = wait(child, ends).with_context(failed)?;
    words.rewind().with_context(failed)?;
    let mut told = Vec::new();
    words
        .take(MAX_WORDS)
        .read_to_end(&mut told)
        .with_context(failed)?;
    judge(ended, &String::from_utf8_lossy(&told))
}

/// The parser, where it is installed.
pub(super) fn find() -> Option<PathBuf> {
    PLACES.iter().map(Path::new).find_map(trusted)
}

/// How the parser ended.
enum Ended {
    Itself(ExitStatus),
    TooLate,
    Interrupted,
    /// Its limits could not be set.
    Unlimited(std::io::Error),
}

fn judge(ended: Ended, told: &str) -> anyhow::Result<Checked> {
    let skipped = |why: String| Ok(Checked::Skipped(why));
    match ended {
        Ended::Itself(status) if status.success() => Ok(Checked::Taken),
        Ended::Itself(_) if is_out_of_memory(told) => skipped(format!(
            "apparmor_parser needed more than {} MiB of memory",
            MEMORY >> 20
        )),
        Ended::Itself(status) if status.signal().is_some() => skipped(format!(
            "{} ended apparmor_parser",
            signal_name(status.signal().unwrap_or_default())
        )),
        Ended::Itself(_) => {
            let lines: Vec<_> = told
                .lines()
                .map(str::trim)
                .filter(|it| !it.is_empty())
                .collect();
            bail!("apparmor_parser rejects it: {}", lines.join("; "))
        }
        Ended::TooLate => skipped(format!(
            "apparmor_parser took more than {} seconds",
            PATIENCE.as_secs()
        )),
        Ended::Interrupted => skipped("a signal ended the check".to_owned()),
        Ended::Unlimited(error) => skipped(format!(
            "the limits of apparmor_parser cannot be set: {error}"
        )),
    }
}

fn signal_name(number: i32) -> String {
    nix::sys::signal::Signal::try_from(number)
        .map_or_else(|_| format!("signal {number}"), |signal| signal.to_string())
}

fn is_out_of_memory(told: &str) -> bool {
    [
        "bad_alloc",
        "emory alloc",
        "ut of memory",
        "Cannot allocate",
    ]
    .iter()
    .any(|words| told.contains(words))
}

/// A program that nobody but root can have put there or can change.
fn trusted(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let is_roots = |path: &Path| {
        // Others may not write, unless the sticky bit of a directory keeps them from replacing what is there.
        fs::metadata(path).is_ok_and(|it| {
            let is_sticky = it.is_dir() && it.mode() & 0o1000 != 0;
            it.uid() == 0 && (it.mode() & 0o022 == 0 || is_sticky)
        })
    };
    path.ancestors().all(is_roots).then_some(path)
}

fn memory(name: &str) -> std::io::Result<File> {
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC)?))
}

/// Waits for the parser, as long as it keeps its limits.
fn wait(mut child: Child, ends: &mut dyn FnMut() -> bool) -> std::io::Result<Ended> {
    let begin = Instant::now();
    if let Err(error) = limit(&child) {
        // Without its limits it may not go on.
        child.kill()?;
        child.wait()?;
        return Ok(Ended::Unlimited(error));
    }
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Itself(status));
        }
        let why = if begin.elapsed() > PATIENCE {
            Ended::TooLate
        } else if ends() {
            Ended::Interrupted
        } else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        child.kill()?;
        child.wait()?;
        return Ok(why);
    }
}

/// Limits what the parser can take. It has just been started, and has taken little yet.
fn limit(child: &Child) -> std::io::Result<()> {
    let pid = Pid::from_raw(child.id().cast_signed());
    for (resource, limit) in [
        (Resource::As, MEMORY),
        // Only if tracer itself does not get to end it.
        (Resource::Cpu, PATIENCE.as_secs() + 5),
        (Resource::Core, 0),
    ] {
        match prlimit(pid, resource, lowered(getrlimit(resource), limit)) {
            // It may have ended by now.
            Ok(_) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A limit that is no higher than the hard limit that tracer has and its child inherits: nobody but root may raise that.
fn lowered(inherited: Rlimit, wanted: u64) -> Rlimit {
    let most = inherited.maximum.map_or(wanted, |hard| hard.min(wanted));
    Rlimit {
        current: Some(most),
        maximum: Some(most),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        fs::OpenOptions,
        io::{self, Write as _},
    };

    use super::*;

    /// Says where everybody sees it that a test is skipped, as the tests of `tests/` do.
    fn skipped(test: &str) {
        assert!(
            env::var_os("TRACER_REQUIRE_ALL").is_none(),
            "{test}: apparmor_parser was promised to be there"
        );
        // The test harness keeps what a passing test prints by `eprintln!` to itself.
        writeln!(io::stderr(), "SKIPPED {test}: needs apparmor_parser").unwrap();
        if let Some(log) = env::var_os("TRACER_SKIP_LOG") {
            let log = OpenOptions::new().create(true).append(true).open(log);
            writeln!(log.unwrap(), "{test}: needs apparmor_parser").unwrap();
        }
    }

    #[test]
    fn refusal_quotes_the_parser() {
        match apparmor("profile x { nonsense }", &mut || false) {
            Ok(Checked::NoParser) => {
                skipped("cli::apparmor_parser::tests::refusal_quotes_the_parser");
            }
            Ok(other) => panic!("nonsense was taken: {other:?}"),
            Err(error) => assert!(error.to_string().contains("line 1"), "{error}"),
        }
    }

    /// A profile that takes the parser long: many rules that share nothing, with alternatives in each.
    fn slow_profile() -> String {
        let rule = |number: usize| {
            let part = format!("**{{a,b{number},c}}*x{number}");
            format!("  \"/{}\" r,\n", [part.as_str(); 12].join("/"))
        };
        let rules: String = (0..400).map(rule).collect();
        format!("profile slow {{\n{rules}}}\n")
    }

    #[test]
    fn a_signal_ends_the_check_at_once() {
        let begin = Instant::now();
        let mut asked = 0;
        let mut ends = || {
            asked += 1;
            asked > 3
        };
        match apparmor(&slow_profile(), &mut ends).unwrap() {
            Checked::NoParser => {
                skipped("cli::apparmor_parser::tests::a_signal_ends_the_check_at_once")
            }
            checked => {
                assert_eq!(
                    checked,
                    Checked::Skipped("a signal ended the check".to_owned())
                );
                assert!(begin.elapsed() < Duration::from_secs(2));
            }
        }
    }

    #[test]
    fn a_profile_that_takes_too_much_is_given_up() {
        let begin = Instant::now();
        match apparmor(&slow_profile(), &mut || false).unwrap() {
            Checked::NoParser => {
                skipped("cli::apparmor_parser::tests::a_profile_that_takes_too_much_is_given_up")
            }
            Checked::Skipped(why) => assert!(why.contains("more than"), "{why}"),
            checked => panic!("{checked:?} after {:?}", begin.elapsed()),
        }
        assert!(begin.elapsed() < PATIENCE + Duration::from_secs(5));
    }

    #[test]
    fn a_huge_profile_is_not_given_to_the_parser() {
        let huge = format!("profile x {{\n{}}}\n", "  /a r,\n".repeat(MAX_BYTES / 8));
        match apparmor(&huge, &mut || false).unwrap() {
            Checked::NoParser => {
                skipped("cli::apparmor_parser::tests::a_huge_profile_is_not_given_to_the_parser")
            }
            checked => assert!(matches!(checked, Checked::Skipped(_)), "{checked:?}"),
        }
    }

    #[test]
    fn a_lower_hard_limit_is_kept() {
        let hard = |maximum| Rlimit {
            current: None,
            maximum,
        };
        assert_eq!(
            lowered(hard(Some(5)), 20),
            Rlimit {
                current: Some(5),
                maximum: Some(5)
            }
        );
        assert_eq!(
            lowered(hard(None), 20),
            Rlimit {
                current: Some(20),
                maximum: Some(20)
            }
        );
    }

    #[test]
    fn a_signal_is_named() {
        let killed = Ended::Itself(ExitStatus::from_raw(11));
        let checked = judge(killed, "").unwrap();
        assert_eq!(
            checked,
            Checked::Skipped("SIGSEGV ended apparmor_parser".to_owned())
        );
    }

    #[test]
    fn a_program_that_others_can_change_is_not_trusted() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("apparmor_parser");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&path, 0o755);
        // Everybody can replace it.
        set(directory.path(), 0o777);
        assert_eq!(trusted(&path), None);
        // Only its owner can.
        set(directory.path(), 0o1777);
        let is_roots = rustix::process::geteuid().is_root();
        assert_eq!(trusted(&path).is_some(), is_roots);
        // Everybody can change what it says; a sticky bit of a file is of no use.
        set(&path, 0o1777);
        assert_eq!(trusted(&path), None);
        assert_eq!(
            trusted(Path::new("/bin/sh")),
            Path::new("/bin/sh").canonicalize().ok()
        );
    }
}

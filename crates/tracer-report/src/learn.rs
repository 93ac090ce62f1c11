//! What a log added to a recording, in words.

use std::fmt::Write as _;

use crate::words::counted;
use tracer_core::{
    learn::{Added, Report, What},
    recording::{FileAccess, plain_text::plain},
};

/// Others that are named; the rest is counted.
const NAMED: usize = 5;

/// What a log added to a recording, and what was left out of it: lines for a terminal.
pub fn learned(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let things = format!("{} things", report.added.len());
    let _ = match report.added.len() {
        0 => writeln!(text, "nothing new in {}", records(report.taken)),
        count => writeln!(
            text,
            "{} new in {}",
            if count == 1 { "1 thing" } else { &things },
            records(report.taken)
        ),
    };
    for (
        what,
        Added {
            records: count,
            executable,
        },
    ) in &report.added
    {
        let by = executable
            .as_ref()
            .map_or_else(String::new, |path| format!(", by {}", plain(path)));
        let _ = writeln!(text, "  {} ({}{by})", thing(what), records(*count));
    }
    left_out(report, &mut text);
    text
}

fn thing(what: &What) -> String {
    match what {
        What::Syscall {
            name,
            stopped: false,
        } => format!("system call {}", plain(name)),
        What::Syscall {
            name,
            stopped: true,
        } => format!(
            "system call {}, which the filter stopped: it is recorded as blocked, and `--allow-blocked` allows it",
            plain(name)
        ),
        What::File { path, access } => {
            format!("file {}: {}", plain(path), file_access(*access))
        }
        What::Capability(name) => format!("capability {name}"),
        What::Socket(name) => format!("socket {name}"),
        What::Signal(name) => format!("signal {name}"),
        _ => "ptrace".to_owned(),
    }
}

const fn file_access(access: FileAccess) -> &'static str {
    match access {
        FileAccess::Read => "read",
        FileAccess::Write => "written",
        FileAccess::Append => "appended to",
        FileAccess::Create | FileAccess::MakeDirectory | FileAccess::Symlink => "made",
        FileAccess::Link => "linked",
        FileAccess::Remove | FileAccess::RemoveDirectory => "removed",
        FileAccess::RenameFrom => "renamed",
        FileAccess::RenameTo => "renamed to",
        FileAccess::ChangeMode => "its mode changed",
        FileAccess::ChangeOwner => "its owner changed",
        FileAccess::Truncate => "truncated",
        FileAccess::Lock | FileAccess::LockExclusive => "locked",
        FileAccess::Execute => "executed",
        FileAccess::MapExecutable => "mapped to be executed",
        FileAccess::Connect => "connected to",
        FileAccess::CheckWritable => "asked about",
    }
}

fn left_out(report: &Report, text: &mut String) {
    let mut say = |count: u64, why: &str| {
        if count > 0 {
            let _ = writeln!(text, "left out: {} {why}", records(count));
        }
    };
    say(
        report.denied,
        "of accesses that AppArmor denied; `--denied` takes them too",
    );
    say(
        report.not_recorded,
        "of a kind that was not recorded: record the workload again with files",
    );
    say(report.not_understood, "that tracer does not understand");
    let others: u64 = report.others.values().sum();
    say(
        others + report.more_others,
        "of other programs and profiles",
    );
    let named = report.others.iter().take(NAMED);
    for (name, count) in named {
        let _ = writeln!(text, "  {} ({})", plain(name), records(*count));
    }
    if report.others.len() > NAMED {
        let _ = writeln!(text, "  and {} more", report.others.len() - NAMED);
    }
    if report.lost > 0 {
        let _ = writeln!(
            text,
            "lost: at least {} that the log does not have; raise its rate limit and learn again",
            records(report.lost)
        );
    }
}

fn records(count: u64) -> String {
    counted(count, "record", "records")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_told() {
        let mut report = Report {
            taken: 2,
            denied: 1,
            lost: 7,
            ..Report::default()
        };
        report.others.insert("/usr/sbin/cron\n".to_owned(), 3);
        let what = What::Syscall {
            name: "mkdir".to_owned(),
            stopped: false,
        };
        let added = Added {
            records: 2,
            executable: Some("/bin/web".to_owned()),
        };
        report.added.insert(what, added);
        assert_eq!(
            learned(&report),
            "1 thing new in 2 records
  system call mkdir (2 records, by /bin/web)
left out: 1 record of accesses that AppArmor denied; `--denied` takes them too
left out: 3 records of other programs and profiles
  /usr/sbin/cron\\n (3 records)
lost: at least 7 records that the log does not have; raise its rate limit and learn again
"
        );
    }
}

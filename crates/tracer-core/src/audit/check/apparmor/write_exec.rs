//! Files that can be written and executed: whoever writes one runs a program of their own.

use super::{
    super::super::{
        Severity,
        apparmor_policy::{FileRule, Glob, Profile, Rule, Search},
        rules,
    },
    Asked, files, origin,
};

/// With more rules that write what one rule executes, that rule is the mistake: there is one finding about it.
const MOST_FOR_ONE_RULE: usize = 3;

/// Where no program can be executed.
const NO_PROGRAMS: [&str; 4] = ["/proc/**", "/sys/**", "/dev/[^s]**", "/dev/s[^h]**"];

pub(super) fn check(profile: &Profile, asked: &mut Asked<'_, '_>) {
    let all = pairs(profile, asked);
    let mut reported = vec![false; all.len()];
    for (at, pair) in all.iter().enumerate() {
        if reported.get(at) == Some(&true) {
            continue;
        }
        let same =
            |other: &Pair<'_>| std::ptr::eq(pair.runner, other.runner) && pair.how == other.how;
        let group: Vec<usize> = (0..all.len())
            .filter(|it| all.get(*it).is_some_and(same))
            .collect();
        if group.len() <= MOST_FOR_ONE_RULE {
            report(pair, asked);
            continue;
        }
        for member in &group {
            if let Some(done) = reported.get_mut(*member) {
                *done = true;
            }
        }
        let group: Vec<&Pair<'_>> = group.iter().filter_map(|it| all.get(*it)).collect();
        report_group(&group, asked);
    }
}

/// How a file becomes a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Executed,
    Mapped,
}

impl How {
    const fn text(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Mapped => "mapped as code",
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Executed => 'x',
            Self::Mapped => 'm',
        }
    }

    const fn is_given_by(self, file: &FileRule) -> bool {
        match self {
            Self::Executed => file.permissions.execute.is_some(),
            Self::Mapped => file.permissions.map,
        }
    }
}

/// A rule that lets a file be written, and one that lets it be executed.
struct Pair<'a> {
    writer: &'a Rule,
    runner: &'a Rule,
    /// A file of both.
    path: String,
    how: How,
}

impl Pair<'_> {
    fn severity(&self) -> Severity {
        match self.how {
            // The included files are audited by themselves.
            _ if self.writer.from.is_some() && self.runner.from.is_some() => Severity::Low,
            How::Executed => Severity::High,
            How::Mapped => Severity::Medium,
        }
    }
}

/// For each rule that writes, the first that executes the same.
fn pairs<'a>(profile: &'a Profile, asked: &mut Asked<'_, '_>) -> Vec<Pair<'a>> {
    let no_programs: Vec<Glob> = NO_PROGRAMS
        .iter()
        .filter_map(|path| Glob::new(path).ok())
        .collect();
    let no_programs: Vec<&Glob> = no_programs.iter().collect();
    // What a rule about every file opens is said of it as a whole.
    let writers = profile
        .files()
        .filter(|(_, file)| file.permissions.writes() && !files::is_blanket(file));
    let mut all = Vec::new();
    for (writer, written) in writers {
        let found = [How::Executed, How::Mapped].into_iter().find_map(|how| {
            let of = (writer, written, how);
            let (runner, path) = runner(profile, of, &no_programs, asked)?;
            Some((how, runner, shown(written, path)))
        });
        if let Some((how, runner, path)) = found {
            all.push(Pair {
                writer,
                runner,
                path,
                how,
            });
        }
    }
    all
}

/// The first rule that executes what a rule writes, and a path of both.
fn runner<'a>(
    profile: &'a Profile,
    (writer, written, how): (&Rule, &FileRule, How),
    no_programs: &[&Glob],
    asked: &mut Asked<'_, '_>,
) -> Option<(&'a Rule, String)> {
    let letters = format!("a{}", how.letter());
    for (other, file) in profile.files().filter(|(_, file)| how.is_given_by(file)) {
        if asked.is_spent() {
            return None;
        }
        if is_theirs(writer, other) || !written.may_meet(file) {
            continue;
        }
        let of = (profile, &[writer, other][..], letters.as_str());
        let both = [&*written.globs, &*file.globs];
        if let Search::Found(path) = asked.search(&both, of, no_programs) {
            return Some((other, path));
        }
    }
    None
}

/// What an included file says by itself is found where that file is audited. And each profile that includes
/// `abstractions/base` may execute the encrypted files of ecryptfs.
fn is_theirs(writer: &Rule, other: &Rule) -> bool {
    let is_of_base = |rule: &Rule| rule.from.as_deref() == Some("abstractions/base");
    is_of_base(other) || is_of_base(writer) || (writer.from.is_some() && writer.from == other.from)
}

/// The path as the rule has it, where the rule is about one file.
fn shown(written: &FileRule, path: String) -> String {
    match (&written.path, written.globs.as_slice()) {
        (Some(own), [glob]) if glob.is_one_path() => own.clone(),
        _ => path,
    }
}

fn report(pair: &Pair<'_>, asked: &mut Asked<'_, '_>) {
    let does = pair.how.text();
    let message = format!("{} can be written and {does}", pair.path);
    asked
        .add(&rules::APPARMOR_WRITE_EXEC, pair.writer, message)
        .severity(pair.severity())
        .evidence([format!(
            "written by `{}`, {does} by `{}`{}",
            pair.writer.text,
            pair.runner.text,
            origin(pair.runner)
        )]);
}

/// One finding for all rules that write what one rule executes.
fn report_group(group: &[&Pair<'_>], asked: &mut Asked<'_, '_>) {
    let Some(first) = group.first() else {
        return;
    };
    let severity = group.iter().map(|pair| pair.severity()).max();
    let message = format!(
        "{} and {} more can be written and {}",
        first.path,
        group.len() - 1,
        first.how.text()
    );
    let evidence = group.iter().map(|pair| {
        let (text, from) = (&pair.writer.text, origin(pair.writer));
        format!("{} is written by `{text}`{from}", pair.path)
    });
    asked
        .add(&rules::APPARMOR_WRITE_EXEC, first.runner, message)
        .severity(severity.unwrap_or(Severity::Low))
        .evidence(evidence);
}

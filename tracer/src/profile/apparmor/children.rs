//! Child profiles: which programs run under a profile of their own, and what each of them needs.
//!
//! A program that the workload starts leaves the workload's profile for its own (`cx`), and what it
//! starts in turn leaves that (`px`, since child profiles are of one level). Which of its names a
//! program was started by is all that evidence tells; which file that was has to be found out, and
//! where that fails the program stays under whatever profile starts it, and its rights are in all of
//! them. Nothing that was recorded is ever denied for the sake of a division.
//!
//! When a profile is entered the kernel asks again for every file and socket that is open then, and
//! puts `/null` in the place of what it denies (security/apparmor/file.c, `aa_inherit_files`). Which
//! were open is not recorded. So a child may use whatever any program before it had opened.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    model::{AppArmorProfile, Options, kind},
    starting,
};
use crate::{
    profile::seccomp::ExecPolicy,
    recording::{
        Evidence, Executable, FileAccess, FilePath, Kind, Phase, Recording, Seen, Witness,
    },
};

/// How the programs of a workload are divided among profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Division {
    /// All under one: nothing else was asked for.
    #[default]
    Undivided,
    /// All under one, though it was asked for, and why.
    Impossible(&'static str),
    /// Each under its own.
    Divided(Box<Parts>),
}

/// The profiles that a divided one consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// What the workload begins under.
    pub main: AppArmorProfile,
    /// The programs that it starts, in the order of their names.
    pub children: Vec<Child>,
}

/// A program with a profile of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The name, within the workload's profile.
    pub name: String,
    /// The file that is executed.
    pub program: FilePath,
    /// Who executes it.
    pub started_by: BTreeSet<Executable>,
    /// What it may do.
    pub profile: AppArmorProfile,
}

/// Divides the programs of recordings.
pub(super) fn divide(recordings: &[Recording], options: &Options) -> Division {
    let mut by = recordings
        .iter()
        .flat_map(|recording| &recording.providers)
        .filter(|it| it.kind == kind::FILES);
    if by.any(|it| it.provider.contains("sys_exit")) {
        return Division::Impossible(
            "files were recorded by the ends of system calls, which do not tell who executed a program: record where `tracer doctor` finds BPF LSM hooks or fexit",
        );
    }
    let is_fixed = |kind: Kind| {
        let security = kind.container.and_then(|it| it.security);
        security.is_some_and(|it| it.no_new_privileges == Some(true))
    };
    if recordings.iter().flat_map(Recording::kinds).any(is_fixed) {
        return Division::Impossible(
            "the container has no_new_privs (allowPrivilegeEscalation: false), under which the kernel changes no profile",
        );
    }
    let programs = Programs::of(recordings, options.exec);
    let names = programs.names();
    if names.is_empty() {
        return Division::Impossible("the workload was not seen to start another program");
    }
    let whole = Options {
        children: false,
        ..options.clone()
    };
    let profile = |part| {
        let recordings: Vec<_> = recordings
            .iter()
            .map(|recording| programs.part(recording, part))
            .collect();
        AppArmorProfile::from_recordings(&recordings, &whole)
    };
    let children = names.iter().filter_map(|(program, name)| {
        Some(Child {
            name: name.clone(),
            program: program.clone(),
            started_by: programs.started.get(program)?.clone(),
            profile: profile(Part::Child(program))?,
        })
    });
    let mut children: Vec<_> = children.collect();
    children.sort_by(|one, other| one.name.cmp(&other.name));
    match profile(Part::Main) {
        Some(main) => Division::Divided(Box::new(Parts { main, children })),
        None => Division::Undivided,
    }
}

/// One of the profiles.
#[derive(Clone, Copy)]
enum Part<'a> {
    Main,
    Child(&'a FilePath),
}

/// Who started what.
#[derive(Debug, Default)]
struct Programs {
    /// Files that were executed, and by whom.
    started: BTreeMap<FilePath, BTreeSet<Executable>>,
    /// Which of them an executable is.
    file: BTreeMap<Executable, FilePath>,
    /// Those of which that is not known.
    unknown: BTreeSet<Executable>,
    /// What is started from outside.
    roots: BTreeSet<Executable>,
    /// What the workload begins with.
    first: BTreeSet<Executable>,
}

impl Programs {
    fn of(recordings: &[Recording], exec: ExecPolicy) -> Self {
        let mut programs = Self::default();
        let mut all = BTreeSet::new();
        // What the kernel mapped for it, and for what it started.
        let mut mapped: BTreeMap<&Executable, BTreeSet<&FilePath>> = BTreeMap::new();
        for recording in recordings {
            let of_calls = recording.syscalls.iter().flat_map(|it| &it.evidence);
            let ran: Vec<_> = of_calls.filter(|it| exec.counts(it.phase)).collect();
            let put_into = ran.iter().filter(|it| it.phase != Phase::Run);
            programs
                .roots
                .extend(put_into.map(|it| it.executable.clone()));
            let first = ran
                .iter()
                .filter(|it| matches!(it.executable, Executable::Path(_)))
                .filter_map(|it| Some((it.first.as_ref()?.after_ns, &it.executable)))
                .min();
            programs.first.extend(first.map(|(_, it)| it.clone()));
            all.extend(ran.iter().map(|it| &it.executable));
            for seen in &recording.files {
                let file = &seen.what;
                for who in seen.evidence.iter().filter(|it| exec.counts(it.phase)) {
                    all.insert(&who.executable);
                    match file.access {
                        FileAccess::Execute if !file.more && !file.truncated => {
                            let by = programs.started.entry(file.path.clone()).or_default();
                            if who.executable != Executable::Launcher {
                                by.insert(who.executable.clone());
                            }
                        }
                        FileAccess::MapExecutable if starting::is_in_exec(who) => {
                            mapped
                                .entry(&who.executable)
                                .or_default()
                                .insert(&file.path);
                        }
                        _ => {}
                    }
                }
            }
        }
        programs.started.retain(|_, by| !by.is_empty());
        for executable in all {
            let Executable::Path(path) = executable else {
                continue;
            };
            let mapped = mapped.get(executable);
            match programs.file_of(path, executable, mapped) {
                Some(file) => {
                    programs.file.insert(executable.clone(), file);
                }
                None if programs.first.contains(executable) => {}
                None => {
                    programs.unknown.insert(executable.clone());
                }
            }
        }
        programs.roots.extend(programs.first.iter().cloned());
        programs.add_unreached();
        programs
    }

    /// The executed file that an executable is.
    fn file_of(
        &self,
        path: &str,
        executable: &Executable,
        mapped: Option<&BTreeSet<&FilePath>>,
    ) -> Option<FilePath> {
        // Where /bin is a link to /usr/bin, the kernel goes by the latter's name.
        let by_name = [path.to_owned(), format!("/usr{path}")]
            .map(|path| FilePath::from(path.as_str()))
            .into_iter()
            .find(|path| self.started.contains_key(path));
        if by_name.is_some() {
            return by_name;
        }
        // By a link's name: the kernel mapped the file, and the program did not start it.
        let files = self.started.iter();
        let mapped: Vec<_> = files
            .filter(|(file, by)| {
                mapped.is_some_and(|it| it.contains(file)) && !by.contains(executable)
            })
            .map(|(file, _)| file)
            .collect();
        if let [file] = mapped[..] {
            return Some(file.clone());
        }
        // A script's, from where it lies.
        let name = last(path.as_bytes());
        let mut same = self.started.keys().filter(|it| last(it.as_bytes()) == name);
        match (same.next(), same.next()) {
            (Some(file), None) if !path.starts_with('/') => Some(file.clone()),
            _ => None,
        }
    }

    /// Whoever nobody is known to start is started from outside.
    fn add_unreached(&mut self) {
        let mut reached: BTreeSet<&Executable> = self.roots.iter().collect();
        loop {
            let more: Vec<_> = self
                .file
                .iter()
                .filter(|(executable, _)| !reached.contains(executable))
                .filter(|(_, file)| {
                    let by = self.started.get(file);
                    let is_running =
                        |it: &Executable| reached.contains(it) || !self.file.contains_key(it);
                    by.is_some_and(|by| by.iter().any(is_running))
                })
                .map(|(executable, _)| executable)
                .collect();
            if more.is_empty() {
                break;
            }
            reached.extend(more);
        }
        let rest: Vec<_> = self
            .file
            .keys()
            .filter(|it| !reached.contains(it))
            .cloned()
            .collect();
        self.roots.extend(rest);
    }

    /// The files that get a profile, with its name.
    fn names(&self) -> BTreeMap<FilePath, String> {
        let programs: BTreeSet<_> = self.file.values().collect();
        let lasting = programs
            .into_iter()
            .filter(|file| starting::is_lasting(&file.to_string()));
        let mut taken = BTreeSet::new();
        lasting
            .map(|file| {
                let plain: String = last(file.as_bytes())
                    .iter()
                    .map(|byte| match byte {
                        byte if byte.is_ascii_alphanumeric() => char::from(*byte),
                        b'.' | b'-' | b'+' => char::from(*byte),
                        _ => '_',
                    })
                    .collect();
                let numbered = (2_u32..).map(|number| format!("{plain}-{number}"));
                let mut names = std::iter::once(plain.clone()).chain(numbered);
                let name = names
                    .find(|name| taken.insert(name.clone()))
                    .unwrap_or(plain);
                (file.clone(), name)
            })
            .collect()
    }

    /// Whether an executable runs under a profile.
    fn runs_under(&self, executable: &Executable, part: Part<'_>) -> bool {
        match (executable, self.file.get(executable)) {
            (Executable::Truncated(_) | Executable::Unknown, _) => true,
            (_, Some(file)) => match part {
                Part::Main => {
                    self.roots.contains(executable) || !starting::is_lasting(&file.to_string())
                }
                Part::Child(program) => program == file,
            },
            (_, None) => matches!(part, Part::Main) || self.unknown.contains(executable),
        }
    }

    /// Whoever may have had files open when a program was executed.
    fn before(&self, program: &FilePath) -> BTreeSet<&Executable> {
        let mut before = BTreeSet::new();
        let mut files = vec![program];
        while let Some(file) = files.pop() {
            for executable in self.started.get(file).into_iter().flatten() {
                if before.insert(executable) {
                    files.extend(self.file.get(executable));
                }
            }
        }
        before
    }

    /// What of a recording was done under a profile, and what it needs of what others had open.
    fn part(&self, recording: &Recording, part: Part<'_>) -> Recording {
        let before = match part {
            Part::Main => BTreeSet::new(),
            Part::Child(program) => self.before(program),
        };
        // Who started one of those is not known either.
        let anybody = before
            .iter()
            .any(|it| !self.file.contains_key(it) && !self.roots.contains(it));
        let may_hand_down = |who: &Witness| anybody || before.contains(&who.executable);
        let own = |who: &Witness| self.runs_under(&who.executable, part);
        let mut restricted = recording.clone();
        for syscall in &mut restricted.syscalls {
            let is_own = |who: &Evidence| self.runs_under(&who.executable, part);
            syscall.evidence.retain(is_own);
        }
        restricted.syscalls.retain(|it| !it.evidence.is_empty());
        retain(&mut restricted.files, |file, who| {
            let opened = matches!(
                file.access,
                FileAccess::Read | FileAccess::Write | FileAccess::Append
            );
            own(who) || (opened && !starting::is_in_exec(who) && may_hand_down(who))
        });
        retain(&mut restricted.sockets, |_, who| {
            own(who) || may_hand_down(who)
        });
        retain(&mut restricted.capabilities, |_, who| own(who));
        retain(&mut restricted.signals, |_, who| own(who));
        retain(&mut restricted.traces, |_, who| own(who));
        retain(&mut restricted.mounts, |_, who| own(who));
        restricted
    }
}

/// Keeps the witnesses that are to be kept, and what still has one.
fn retain<T>(all: &mut Vec<Seen<T>>, keep: impl Fn(&T, &Witness) -> bool) {
    for seen in all.iter_mut() {
        let what = &seen.what;
        seen.evidence.retain(|who| keep(what, who));
    }
    all.retain(|seen| !seen.evidence.is_empty());
}

/// The last name of a path.
fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

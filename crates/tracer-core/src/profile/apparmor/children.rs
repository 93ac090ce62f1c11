//! Child profiles: which programs run under a profile of their own, and what each of them needs.
//!
//! A program that the workload starts leaves the workload's profile for its own (`cx`), and what it
//! starts in turn leaves that (`px`, since child profiles are of one level). Which of its names a
//! program was started by is all that evidence tells; which file that was has to be found out, and
//! where that fails its rights are in all profiles. The rules are those of the whole profile: each part
//! has those of the programs that run under it.
//!
//! When a profile is entered the kernel asks again for every file and socket that is open then, and
//! puts `/null` in the place of what it denies (security/apparmor/file.c, `aa_inherit_files`). Which
//! were open is not recorded. So a child may use whatever any program before it had opened.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Permissions, links, lost::Obstacle, model::AppArmorProfile, ptrace::may_be_prctl, startup,
};
use crate::{
    profile::seccomp::ExecPolicy,
    recording::{
        Executable, FileAccess, FilePath, InstanceKind, MAX_EVIDENCE, ObservationKind,
        ObservedAccess, Peer, Phase, Recording,
    },
};

/// How the programs of a workload are divided among profiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Division {
    /// All under one: nothing else was asked for.
    #[default]
    Undivided,
    /// All under one, though it was asked for, and why.
    Impossible(Obstacle),
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
    /// Programs for which there is no room: they run under the profile of whoever starts them.
    pub without: Vec<FilePath>,
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

/// How many other profiles a profile can name in its exec rules: the kernel's table has 16 entries
/// (four bits of index in the policy's format), of which apparmor_parser keeps four for itself and refuses a
/// profile with more; held by `tests/apparmor/children.rs`.
pub(super) const MAX_CHILDREN: usize = 12;

/// `PR_SET_NO_NEW_PRIVS` (include/uapi/linux/prctl.h).
const PR_SET_NO_NEW_PRIVS: u64 = 38;

/// Divides the programs of recordings, of which `whole` is the profile.
pub(super) fn divide(
    recordings: &[Recording],
    exec: ExecPolicy,
    whole: &AppArmorProfile,
) -> Division {
    if let Some(why) = obstacle(recordings, exec) {
        return Division::Impossible(why);
    }
    let mut programs = Programs::of(recordings, exec);
    let without = programs.choose(whole);
    if programs.chosen.is_empty() {
        return Division::Impossible(Obstacle::NoPrograms);
    }
    programs.settle();
    let names = programs.names();
    let mut children: Vec<_> = names
        .iter()
        .filter_map(|(program, name)| {
            Some(Child {
                name: name.clone(),
                program: program.clone(),
                started_by: programs.started.get(program)?.clone(),
                profile: programs.part(whole, &Part::Child(program.clone())),
            })
        })
        .collect();
    children.sort_by(|one, other| one.name.cmp(&other.name));
    Division::Divided(Box::new(Parts {
        main: programs.part(whole, &Part::Main),
        children,
        without,
    }))
}

/// Why recordings cannot be divided.
fn obstacle(recordings: &[Recording], exec: ExecPolicy) -> Option<Obstacle> {
    let mut providers = recordings.iter().flat_map(|it| &it.providers);
    if providers.any(|it| it.kind == ObservationKind::Files && it.provider.is_syscall_exit()) {
        return Some(Obstacle::SyscallExits);
    }
    let is_fixed = |kind: InstanceKind| {
        let security = kind.container.and_then(|it| it.security);
        security.is_some_and(|it| it.no_new_privileges == Some(true))
    };
    if recordings.iter().flat_map(Recording::kinds).any(is_fixed) {
        return Some(Obstacle::NoNewPrivileges);
    }
    let mut calls = recordings.iter().flat_map(|it| &it.syscalls);
    let fixes = calls.any(|call| {
        let counts = call.evidence.iter().any(|who| exec.counts(who.phase));
        counts && may_be_prctl(call, PR_SET_NO_NEW_PRIVS, exec)
    });
    if fixes {
        return Some(Obstacle::SetsNoNewPrivileges);
    }
    let mut files = recordings.iter().flat_map(|it| &it.files);
    if files.any(|seen| seen.evidence.len() >= MAX_EVIDENCE) {
        return Some(Obstacle::TooMuchEvidence);
    }
    None
}

/// One of the profiles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Main,
    Child(FilePath),
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
    /// The files that get a profile.
    chosen: BTreeSet<FilePath>,
    /// What each executable runs under.
    homes: BTreeMap<Executable, BTreeSet<Part>>,
}

/// What was seen of programs, to find their files by.
#[derive(Default)]
struct Clues<'a> {
    /// What the kernel mapped for a program, and for those that it started.
    mapped: BTreeMap<&'a Executable, BTreeSet<&'a FilePath>>,
    /// What a program read itself.
    read: BTreeMap<&'a Executable, BTreeSet<&'a FilePath>>,
    /// What each instance begins with.
    first: BTreeSet<&'a Executable>,
}

impl Clues<'_> {
    fn has_mapped(&self, executable: &Executable, file: &FilePath) -> bool {
        let mapped = self.mapped.get(executable);
        mapped.is_some_and(|it| it.contains(file))
    }

    fn has_read(&self, executable: &Executable, file: &FilePath) -> bool {
        let read = self.read.get(executable);
        read.is_some_and(|it| it.contains(file))
    }
}

impl Programs {
    fn of(recordings: &[Recording], exec: ExecPolicy) -> Self {
        let mut programs = Self::default();
        let mut clues = Clues::default();
        let mut all = BTreeSet::new();
        let mut put_into = BTreeSet::new();
        // What programs of those executed.
        let mut from_put_into = BTreeSet::new();
        for recording in recordings {
            let mut begins = BTreeMap::new();
            let of_calls = recording.syscalls.iter().flat_map(|it| &it.evidence);
            for who in of_calls.filter(|it| exec.counts(it.phase)) {
                all.insert(&who.executable);
                if who.phase != Phase::Run {
                    put_into.insert(&who.executable);
                    continue;
                }
                if let (Executable::Path(_), Some(first)) = (&who.executable, &who.first) {
                    let begin = (first.after_ns, &who.executable);
                    let known = begins.entry(who.instance).or_insert(begin);
                    *known = begin.min(*known);
                }
            }
            clues
                .first
                .extend(begins.into_values().map(|(_, executable)| executable));
            for ObservedAccess {
                what: file,
                evidence,
            } in &recording.files
            {
                for who in evidence.iter().filter(|it| exec.counts(it.phase)) {
                    all.insert(&who.executable);
                    match file.access {
                        FileAccess::Execute if !file.more && !file.truncated => {
                            if who.phase != Phase::Run {
                                from_put_into.insert(&file.path);
                            }
                            let by = programs.started.entry(file.path.clone()).or_default();
                            if who.executable != Executable::Launcher {
                                by.insert(who.executable.clone());
                            }
                        }
                        FileAccess::MapExecutable if startup::is_in_exec(who) => {
                            let mapped = clues.mapped.entry(&who.executable).or_default();
                            mapped.insert(&file.path);
                        }
                        FileAccess::Read if !startup::is_in_exec(who) => {
                            let read = clues.read.entry(&who.executable).or_default();
                            read.insert(&file.path);
                        }
                        _ => {}
                    }
                }
            }
        }
        programs.started.retain(|_, by| !by.is_empty());
        programs.find_files(&all, &clues);
        programs.roots.extend(clues.first.into_iter().cloned());
        for executable in put_into {
            let file = programs.file.get(executable);
            if file.is_none_or(|file| !from_put_into.contains(file)) {
                programs.roots.insert(executable.clone());
            }
        }
        programs
    }

    fn find_files(&mut self, all: &BTreeSet<&Executable>, clues: &Clues<'_>) {
        let mut rest = Vec::new();
        for executable in all {
            let Executable::Path(path) = executable else {
                continue;
            };
            match self.file_of_name(path) {
                Some(file) => {
                    self.file.insert((*executable).clone(), file);
                }
                None => rest.push(*executable),
            }
        }
        let mut taken: BTreeSet<_> = self.file.values().cloned().collect();
        let all_mapped: BTreeSet<_> = clues.mapped.values().flatten().copied().collect();
        // What begins comes last: it may have mapped what the others are.
        rest.sort_by_key(|it| clues.first.contains(it));
        for executable in rest {
            let is_first = clues.first.contains(executable);
            // A script is read by its interpreter, and mapped by nobody.
            let may_be_script = self
                .started
                .keys()
                .any(|file| !all_mapped.contains(file) && clues.has_read(executable, file));
            // What it mapped may be what it started, where another is known to be that.
            let explained = |file: &FilePath, by: &BTreeSet<Executable>| {
                taken.contains(file) && (!is_first || by.contains(executable))
            };
            let may_be: Vec<_> = self
                .started
                .iter()
                .filter(|(file, by)| clues.has_mapped(executable, file) && !explained(file, by))
                .map(|(file, _)| file)
                .collect();
            match may_be[..] {
                [] if is_first && !may_be_script => {}
                [file] if !is_first && !may_be_script => {
                    let file = file.clone();
                    taken.insert(file.clone());
                    self.file.insert(executable.clone(), file);
                }
                _ => {
                    self.unknown.insert(executable.clone());
                }
            }
        }
    }

    /// The executed file of a name, if that tells.
    fn file_of_name(&self, path: &str) -> Option<FilePath> {
        // Where /bin is a link to /usr/bin, the kernel goes by the latter's name.
        let itself = [path.to_owned(), format!("/usr{path}")]
            .map(|path| FilePath::from(path.as_str()))
            .into_iter()
            .find(|path| self.started.contains_key(path));
        if itself.is_some() || path.starts_with('/') {
            return itself;
        }
        // From where it lies.
        let name = last(path.as_bytes());
        let mut same = self.started.keys().filter(|it| last(it.as_bytes()) == name);
        match (same.next(), same.next()) {
            (Some(file), None) => Some(file.clone()),
            _ => None,
        }
    }

    /// Chooses the programs that get a profile: those that have most rules, of which as many as there is
    /// room for. Returns the others.
    fn choose(&mut self, whole: &AppArmorProfile) -> Vec<FilePath> {
        let mut rules = BTreeMap::<&FilePath, usize>::new();
        for file in self.file.values() {
            if startup::is_lasting(&file.to_string()) {
                rules.entry(file).or_default();
            }
        }
        for executable in whole.files.values().flat_map(|rule| rule.by.keys()) {
            let file = self.file.get(executable);
            if let Some(count) = file.and_then(|file| rules.get_mut(file)) {
                *count += 1;
            }
        }
        let mut files: Vec<_> = rules.into_iter().collect();
        files.sort_by_key(|(file, count)| (std::cmp::Reverse(*count), *file));
        let mut files: Vec<FilePath> = files.into_iter().map(|(file, _)| file.clone()).collect();
        let mut without = files.split_off(files.len().min(MAX_CHILDREN));
        without.sort();
        self.chosen = files.into_iter().collect();
        without
    }

    /// Finds out what each program runs under: from what is started from outside on, through all that
    /// starts another.
    fn settle(&mut self) {
        let everywhere: BTreeSet<_> = self
            .chosen
            .iter()
            .cloned()
            .map(Part::Child)
            .chain([Part::Main])
            .collect();
        let mut homes: BTreeMap<Executable, BTreeSet<Part>> = BTreeMap::new();
        for executable in &self.unknown {
            homes.insert(executable.clone(), everywhere.clone());
        }
        for executable in &self.roots {
            homes
                .entry(executable.clone())
                .or_default()
                .insert(Part::Main);
        }
        loop {
            let mut is_settled = true;
            for (executable, file) in &self.file {
                let starters = self.started.get(file).into_iter().flatten();
                let running: Vec<_> = starters
                    .map(|it| match it {
                        Executable::Path(_) => homes.get(it).cloned().unwrap_or_default(),
                        _ => everywhere.clone(),
                    })
                    .collect();
                let mut own: BTreeSet<_> = running.into_iter().flatten().collect();
                if !own.is_empty() && self.chosen.contains(file) {
                    own = [Part::Child(file.clone())].into();
                }
                let home = homes.entry(executable.clone()).or_default();
                let before = home.len();
                home.extend(own);
                is_settled &= home.len() == before;
            }
            if is_settled {
                break;
            }
        }
        // Whoever nobody is known to start, or only one another, is started from outside.
        let unreached: Vec<_> = homes
            .iter()
            .filter(|(_, home)| home.is_empty())
            .map(|(executable, _)| executable.clone())
            .collect();
        self.homes = homes;
        if !unreached.is_empty() {
            self.roots.extend(unreached);
            self.settle();
        }
    }

    /// The names of the profiles.
    fn names(&self) -> BTreeMap<FilePath, String> {
        let mut taken = BTreeSet::new();
        let named = self.chosen.iter().map(|file| {
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
            let name = names.find(|name| taken.insert(name.clone()));
            (file.clone(), name.unwrap_or(plain))
        });
        named.collect()
    }

    /// Whether an executable runs under a profile.
    fn runs_under(&self, executable: &Executable, part: &Part) -> bool {
        match executable {
            Executable::Truncated(_) | Executable::Unknown => true,
            Executable::Launcher => *part == Part::Main,
            Executable::Path(_) => match self.homes.get(executable) {
                Some(homes) => homes.contains(part),
                // What does not count: the runtime, which only starts what begins.
                None => *part == Part::Main,
            },
        }
    }

    /// Whoever may have had files open when a program was executed; `None`: anybody.
    fn before(&self, program: &FilePath) -> Option<BTreeSet<&Executable>> {
        let mut before = BTreeSet::new();
        let mut files = vec![program];
        while let Some(file) = files.pop() {
            for executable in self.started.get(file).into_iter().flatten() {
                if self.unknown.contains(executable) || !matches!(executable, Executable::Path(_)) {
                    return None;
                }
                if before.insert(executable) {
                    files.extend(self.file.get(executable));
                }
            }
        }
        Some(before)
    }

    /// What of the whole profile the programs under one of its parts need.
    fn part(&self, whole: &AppArmorProfile, part: &Part) -> AppArmorProfile {
        let before = match part {
            Part::Main => Some(BTreeSet::new()),
            Part::Child(program) => self.before(program),
        };
        let may_hand_down =
            |executable: &Executable| before.as_ref().is_none_or(|it| it.contains(executable));
        let own = |executable: &Executable| self.runs_under(executable, part);
        let mut profile = whole.clone();
        profile.files.retain(|_, rule| {
            let mut needed = Permissions::NONE;
            for (executable, its) in &rule.by {
                if own(executable) {
                    needed |= its.needed;
                }
                if may_hand_down(executable) {
                    needed |= its.open;
                }
            }
            rule.permissions = rule.permissions.only(needed);
            rule.owner = rule.owner.only(needed);
            !(rule.permissions | rule.owner).is_empty()
        });
        let any_own = |all: &BTreeSet<Executable>| all.iter().any(own);
        profile.links.retain(|_, rule| any_own(&rule.executables));
        links::decide_subset(&mut profile.links, &profile.files);
        profile
            .capabilities
            .retain(|_, rule| any_own(&rule.executables));
        profile.networks.retain(|_, rule| {
            any_own(&rule.executables) || rule.executables.iter().any(may_hand_down)
        });
        profile.signals.retain(|_, rule| any_own(&rule.executables));
        // Of one that is traced while it executes a program, the program's profile is asked.
        profile
            .traces
            .retain(|(_, peer), rule| *peer == Peer::Own || any_own(&rule.executables));
        profile.mounts.retain(|_, rule| any_own(&rule.executables));
        profile
    }
}

/// The last name of a path.
fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

//! What a filter stopped while a command ran under it: each call that was tried, and how often.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    answerer::Answerer,
    by,
    intended::{CloneFlags, IntendedRefusal, Kernels, falls_back},
};
use crate::{
    profile::seccomp::evaluate::{Filter, Register},
    recording::{Blocked, Executable, FilterLoader, FirstSeen, Recording, SyscallId, plain_text},
};
use syscalls::{
    Abi,
    arguments::recorded,
    errno,
    registers::{Register as Width, register},
};

/// All that was denied so far.
#[derive(Clone, Debug, Default)]
pub struct Denials {
    seen: BTreeMap<(Stopped, Verdicts), (FirstSeen, u64)>,
    /// The last call of each thread that ended in a signal.
    signalled: BTreeMap<u32, SyscallId>,
}

/// What was stopped, of whom, and what the program saw.
type Stopped = (SyscallId, Executable, Blocked);

/// Whose answer it was, and whether it is known that the thread was under other filters, too.
type Verdicts = (Answerer, Option<bool>);

/// A call that a filter stopped, as the recorder reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoppedCall {
    /// The call.
    pub call: SyscallId,
    /// By whom.
    pub executable: Executable,
    /// What it saw.
    pub saw: Blocked,
    /// When, and with which arguments.
    pub seen: FirstSeen,
    /// Whether its thread was under filters besides the profile; `None` where that is not known.
    pub others: Option<bool>,
}

/// What one executable was denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// The call's name, or its number.
    pub call: String,
    /// The ABI.
    pub abi: Abi,
    /// The number.
    pub nr: u32,
    /// By whom.
    pub executable: Executable,
    /// What it saw.
    pub saw: Blocked,
    /// How often; where events were lost, at least.
    pub times: u64,
    /// The first time; `None` when its event was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstSeen>,
    /// With which arguments then, by the manuals' names where they have some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// What decided, where the arguments tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whose answer it was.
    pub answerer: Answerer,
}

/// What a command was not let do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LiveReport {
    /// What it was denied.
    pub denied: Vec<Denied>,
    /// What returned ENOSYS, upon which its callers went on: no denials.
    pub answered: Vec<AnsweredLive>,
    /// What a filter other than the profile stopped, such as one that the program loaded: no denials.
    pub other_filters: Vec<Denied>,
    /// What the profile or another filter stopped, where unknown registers decide whether the profile did.
    pub undecided: Vec<Denied>,
}

/// A call that returned ENOSYS, and why that is no denial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnsweredLive {
    /// The call.
    #[serde(flatten)]
    pub denied: Denied,
    /// Why it is no denial.
    #[serde(flatten)]
    pub why: IntendedRefusal,
}

impl Denials {
    /// Adds one; returns it when it is the first of its kind.
    pub fn add(&mut self, stopped: StoppedCall, filter: &Filter) -> Option<Denied> {
        let StoppedCall {
            call,
            executable,
            saw,
            seen,
            others,
        } = stopped;
        // A thread that is killed is told twice by most kernels: by the exit of the call, and by its own
        // end, where its registers are not read any more.
        if saw == Blocked::Signal {
            let before = self.signalled.insert(seen.tid, call);
            if before == Some(call) && seen.args == [0; 6] {
                return None;
            }
        } else {
            self.signalled.remove(&seen.tid);
        }
        let stopped = (call, executable, saw);
        let answerer = answerer(&stopped, Some(&seen), others, filter);
        let key = (stopped, (answerer, others));
        if let Some((_, times)) = self.seen.get_mut(&key) {
            *times += 1;
            return None;
        }
        let denied = denied(&key.0, Some(&seen), 1, answerer, filter);
        self.seen.insert(key, (seen, 1));
        Some(denied)
    }

    /// Everything, with what only the recording's marks tell.
    pub fn finish(self, recording: &Recording, filter: &Filter) -> LiveReport {
        let mut report = LiveReport::default();
        for denied in self.all(recording, filter) {
            if denied.answerer == Answerer::OtherFilter {
                report.other_filters.push(denied);
                continue;
            }
            match denied.intended(recording, filter) {
                Some(why) => report.answered.push(AnsweredLive { denied, why }),
                None if denied.answerer == Answerer::Undecided => report.undecided.push(denied),
                None => report.denied.push(denied),
            }
        }
        report
    }

    fn all(self, recording: &Recording, filter: &Filter) -> Vec<Denied> {
        let loads_filters = recording.filter_loaders().contains(&FilterLoader::Workload);
        let mut all = Vec::new();
        for syscall in &recording.syscalls {
            for evidence in &syscall.evidence {
                let Some(saw) = evidence.blocked else {
                    continue;
                };
                let stopped = (syscall.call(), evidence.executable.clone(), saw);
                if self.seen.keys().any(|(it, _)| *it == stopped) {
                    continue;
                }
                let first = evidence.first.as_ref();
                let answerer = answerer(&stopped, first, None, filter);
                let answerer = answerer.settled(None, loads_filters);
                all.push(denied(&stopped, first, 1, answerer, filter));
            }
        }
        let mut merged: BTreeMap<(Stopped, Answerer), (FirstSeen, u64)> = BTreeMap::new();
        for ((stopped, (answerer, others)), (first, times)) in self.seen {
            let answerer = answerer.settled(others, loads_filters);
            let of_kind = merged.entry((stopped, answerer));
            let (earliest, count) = of_kind.or_insert_with(|| (first.clone(), 0));
            *count += times;
            if first.after_ns < earliest.after_ns {
                *earliest = first;
            }
        }
        all.extend(merged.iter().map(|((stopped, answerer), (first, times))| {
            denied(stopped, Some(first), *times, *answerer, filter)
        }));
        let key = |it: &Denied| {
            (
                it.call.clone(),
                it.abi,
                it.executable.clone(),
                it.saw,
                it.answerer,
            )
        };
        all.sort_by_cached_key(key);
        all
    }
}

/// The registers of a call; a thread that was killed outright leaves none to read.
fn registers(saw: Blocked, first: Option<&FirstSeen>) -> Option<[u64; 6]> {
    let args = first.map(|first| first.args);
    args.filter(|args| saw != Blocked::Signal || *args != [0; 6])
}

fn answerer(
    (call, _, saw): &Stopped,
    first: Option<&FirstSeen>,
    others: Option<bool>,
    filter: &Filter,
) -> Answerer {
    match registers(*saw, first) {
        Some(args) => {
            let verdict = filter.evaluate(*call, args).verdict;
            Answerer::of(std::iter::once(verdict), *saw, others)
        }
        None => {
            let possible = filter.possible_verdicts(*call, &[Register::default(); 6]);
            Answerer::of(possible.verdicts.into_keys(), *saw, others)
        }
    }
}

fn denied(
    (call, executable, saw): &Stopped,
    first: Option<&FirstSeen>,
    times: u64,
    answerer: Answerer,
    filter: &Filter,
) -> Denied {
    let args = registers(*saw, first);
    let name = call.abi.syscall_name(call.nr);
    let by = args.map(|args| by(filter.evaluate(*call, args).decider));
    Denied {
        call: name.map_or_else(|| format!("number {}", call.nr), str::to_owned),
        abi: call.abi,
        nr: call.nr,
        executable: executable.clone(),
        saw: *saw,
        times,
        first: first.cloned(),
        given: args.and_then(|args| given(*call, args)),
        by: by.filter(|_| answerer != Answerer::OtherFilter),
        answerer,
    }
}

/// The arguments by name where they are known to choose what the call does, else the numbers among them. Pointers say
/// nothing to a reader, and what stands in registers that the call does not read says less.
fn given(call: SyscallId, args: [u64; 6]) -> Option<String> {
    let name = call.abi.syscall_name(call.nr)?;
    if let Some(recorded) = recorded(call.abi, name).filter(|it| !it.behind_pointer) {
        let arguments = recorded.arguments.iter();
        let values: Vec<_> = arguments
            .filter_map(|it| Some(args.get(it.index as usize)? & it.mask))
            .collect();
        return Some(recorded.describe(&values));
    }
    let numbers = (0..).zip(args).filter_map(|(index, value)| {
        let Width::Cut(bits) = register(name, index)? else {
            return None;
        };
        let mask = u64::MAX.checked_shr(64 - bits).unwrap_or_default();
        Some(format!("argument {index} = {:#x}", value & mask))
    });
    let numbers: Vec<_> = numbers.collect();
    (!numbers.is_empty()).then(|| numbers.join(", "))
}

impl Denied {
    fn call(&self) -> SyscallId {
        SyscallId {
            abi: self.abi,
            nr: self.nr,
        }
    }

    fn saw_enosys(&self) -> bool {
        matches!(self.saw, Blocked::Errno(number) if u32::from(number) == errno::ENOSYS)
    }

    /// Whether it looks like an intended refusal, before it is known what its caller does next.
    pub fn may_fall_back(&self, filter: &Filter) -> bool {
        self.saw_enosys()
            && (self.abi.syscall_name(self.nr).is_none()
                || falls_back(self.call(), CloneFlags::EnoughForClone, filter).is_some())
    }

    /// Why it is no denial, if it is none. Of clone3 it has to be seen that its caller made do with clone:
    /// its flags are behind a pointer.
    fn intended(&self, recording: &Recording, filter: &Filter) -> Option<IntendedRefusal> {
        if !self.saw_enosys() {
            return None;
        }
        if let Some(why) = Kernels::of(recording).lacks(self.call()) {
            return Some(why);
        }
        let why = falls_back(self.call(), CloneFlags::EnoughForClone, filter)?;
        let went_on = self.call != "clone3" || self.called(recording, "clone");
        went_on.then_some(why)
    }

    /// Whether the same executable made another call, unhindered.
    fn called(&self, recording: &Recording, name: &str) -> bool {
        let made = recording.syscalls.iter();
        let made = made.filter(|it| it.abi == self.abi && it.abi.syscall_name(it.nr) == Some(name));
        made.flat_map(|it| &it.evidence)
            .any(|it| it.executable == self.executable && it.blocked.is_none())
    }

    /// In a sentence.
    pub fn describe(&self) -> String {
        let mut text = format!(
            "{} ({}): {}",
            self.call,
            self.abi,
            plain_text::blocked(self.saw)
        );
        if let Some(by) = &self.by {
            text.push_str(&format!(" (rule {by})"));
        }
        text.push_str(&format!("; {}", plain_text::executable(&self.executable)));
        if let Some(first) = &self.first {
            text.push_str(&format!(
                " (pid {}, {})",
                first.pid,
                plain_text::plain(&first.comm)
            ));
        }
        if let Some(given) = &self.given {
            text.push_str(&format!(", with {given}"));
        }
        if self.answerer == Answerer::Either {
            text.push_str("; the program's own filter may give the same answer");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        profile::seccomp::{
            evaluate::{Host, Libseccomp, OciRuntime},
            fixture::{path, recording},
            oci::OciSeccomp,
        },
        recording::Phase,
    };

    fn filter() -> Filter {
        with_action("SCMP_ACT_ERRNO")
    }

    fn killing() -> Filter {
        with_action("SCMP_ACT_KILL_PROCESS")
    }

    fn with_action(action: &str) -> Filter {
        let host = Host {
            native: Abi::X86_64,
            runtime: OciRuntime::Runc,
            libseccomp: Libseccomp::Newest,
        };
        let json = format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["prctl","mkdir"],"action":"{action}"}}]}}"#
        );
        Filter::new(&OciSeccomp::from_json(&json).unwrap(), host).unwrap()
    }

    #[test]
    fn what_another_filter_answers_is_no_denial() {
        let call = |nr| SyscallId {
            abi: Abi::X86_64,
            nr,
        };
        let (mkdir, execve) = (call(83), call(59));
        let mut denials = Denials::default();
        let mut add = |call, errno, others| {
            let it = stopped(call, Blocked::Errno(errno), [1; 6]);
            denials.add(StoppedCall { others, ..it }, &filter());
        };
        add(execve, 13, Some(true));
        add(mkdir, 13, Some(true));
        add(mkdir, 1, Some(true));
        add(mkdir, 1, Some(false));
        add(mkdir, 1, Some(false));
        let report = denials.finish(&recording(&[]), &filter());
        let of = |all: &[Denied]| -> Vec<_> {
            all.iter()
                .map(|it| (it.call.clone(), it.saw, it.times))
                .collect()
        };
        let (eperm, eacces) = (Blocked::Errno(1), Blocked::Errno(13));
        let mkdir_times = |times| ("mkdir".to_owned(), eperm, times);
        assert_eq!(of(&report.denied), [mkdir_times(2), mkdir_times(1)]);
        assert_eq!(report.undecided, []);
        assert_eq!(
            of(&report.other_filters),
            [
                ("execve".to_owned(), eacces, 1),
                ("mkdir".to_owned(), eacces, 1)
            ]
        );
        assert_eq!(report.other_filters[0].by, None);
    }

    #[test]
    fn kill_is_counted_once() {
        let mut denials = Denials::default();
        let call = SyscallId {
            abi: Abi::X86_64,
            nr: 83,
        };
        let mut add = |args| denials.add(stopped(call, Blocked::Signal, args), &killing());
        assert!(add([1; 6]).is_some() && add([0; 6]).is_none());
        let all = denials.finish(&recording(&[]), &killing()).denied;
        assert_eq!(all[0].times, 1);
    }

    fn stopped(call: SyscallId, saw: Blocked, args: [u64; 6]) -> StoppedCall {
        StoppedCall {
            call,
            executable: path("/bin/web"),
            saw,
            seen: seen(args),
            others: None,
        }
    }

    fn seen(args: [u64; 6]) -> FirstSeen {
        FirstSeen {
            after_ns: 1,
            pid: 7,
            tid: 7,
            comm: "web".to_owned(),
            args,
        }
    }

    #[test]
    fn each_denial_is_reported_once_and_counted() {
        let mut denials = Denials::default();
        let call = SyscallId {
            abi: Abi::X86_64,
            nr: 157,
        };
        let args = [36, 1, 0, 0, 0, 0];
        let mut add = || denials.add(stopped(call, Blocked::Errno(1), args), &filter());
        assert_eq!(
            add().unwrap().describe(),
            "prctl (x86_64): EPERM (rule syscalls[0]); /bin/web (pid 7, web), with PR_SET_CHILD_SUBREAPER; the program's own filter may give the same answer"
        );
        assert!(add().is_none() && add().is_none());
        // Of mkdir the event was lost.
        let mut recording = recording(&[
            (Abi::X86_64, 157, Phase::Run, path("/bin/web")),
            (Abi::X86_64, 83, Phase::Run, path("/bin/web")),
            (Abi::X86_64, 0, Phase::Run, path("/bin/web")),
        ]);
        for syscall in &mut recording.syscalls {
            syscall.evidence[0].blocked = (syscall.nr != 0).then_some(Blocked::Errno(1));
            syscall.evidence[0].first = None;
        }
        let all = denials.finish(&recording, &filter()).denied;
        let told: Vec<_> = all.iter().map(|it| (it.call.as_str(), it.times)).collect();
        assert_eq!(told, [("mkdir", 1), ("prctl", 3)]);
        assert_eq!(all[0].describe(), "mkdir (x86_64): EPERM; /bin/web");
    }

    #[test]
    fn clone3_is_a_denial_unless_its_caller_made_do_with_clone() {
        const CLONE3: u32 = 435;
        let host = Host {
            native: Abi::X86_64,
            runtime: OciRuntime::Runc,
            libseccomp: Libseccomp::Newest,
        };
        let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}"#;
        let filter = Filter::new(&OciSeccomp::from_json(json).unwrap(), host).unwrap();
        let answered = |seen: &[(u32, &str)]| {
            let seen: Vec<_> = seen
                .iter()
                .map(|(nr, by)| (Abi::X86_64, *nr, Phase::Run, path(by)))
                .collect();
            let mut recording = recording(&seen);
            for syscall in recording.syscalls.iter_mut().filter(|it| it.nr == CLONE3) {
                syscall.evidence[0].blocked = Some(Blocked::Errno(38));
            }
            let report = Denials::default().finish(&recording, &filter);
            (report.denied.len(), report.answered.len())
        };
        assert_eq!(answered(&[(CLONE3, "/bin/web"), (56, "/bin/web")]), (0, 1));
        assert_eq!(answered(&[(CLONE3, "/bin/web"), (56, "/bin/sh")]), (1, 0));
        assert_eq!(answered(&[(CLONE3, "/bin/web")]), (1, 0));
    }
}

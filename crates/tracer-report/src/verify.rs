//! `tracer verify` for people.

use std::collections::BTreeSet;

use super::{markdown::count, words::sighting};
use tracer_core::{
    recording::plain_text::plain,
    verify::{
        Answer, Answered, Denied, Finding, Intersection, LiveReport, Outcome, RecordingResult,
        Report, RuntimeInitFinding, Start, Stopped,
    },
};

/// Most who are named for one call.
const MAX_NAMED: usize = 6;

/// What would have happened, as plain text; `profile` is what the profile is called.
pub fn verification(report: &Report, profile: &str) -> String {
    let mut text = format!("{}: {}\n", plain(profile), summary(report));
    let machines = report.starts.iter().map(|it| it.machine);
    let several = machines.collect::<BTreeSet<_>>().len() > 1;
    // One that is fine says no more than the summary.
    let told = |start: &&Start| report.starts.len() > 1 || start.refused.is_some();
    for start in report.starts.iter().filter(told) {
        text.push_str(&started(start, several));
    }
    let runtimes: BTreeSet<_> = report.starts.iter().map(|it| it.runtime).collect();
    for recording in &report.recordings {
        of_recording(&mut text, recording, &runtimes);
    }
    if !report.runtime_init.is_empty() {
        text.push_str("\nBefore the workload is started\n");
    }
    for finding in &report.runtime_init {
        text.push_str(&before(finding));
    }
    text
}

/// What a baseline leaves of a profile, as plain text.
pub fn intersection(intersection: &Intersection) -> String {
    let baseline = plain(&intersection.baseline);
    let verdict = if intersection.denies() {
        "some of what was recorded would be denied"
    } else {
        "all that was recorded would still be allowed"
    };
    let mut text = format!("\nIntersected with {baseline}: {verdict}\n");
    text.push_str(&verification(&intersection.report, &intersection.baseline));
    let names = |in_part: bool| {
        let of = intersection
            .restricted
            .iter()
            .filter(|it| it.in_part == in_part);
        of.map(|it| plain(&it.call)).collect::<BTreeSet<_>>()
    };
    for (in_part, what) in [
        (false, "would be taken from the profile"),
        (true, "would be restricted to some arguments"),
    ] {
        let names = names(in_part);
        if !names.is_empty() {
            let list: Vec<_> = names.into_iter().collect();
            let count = count(list.len(), "allowed call", "allowed calls");
            text.push_str(&format!("{count} {what}: {}\n", list.join(", ")));
        }
    }
    text
}

/// What a command was denied under a profile, as plain text.
pub fn denials(report: &LiveReport, profile: &str) -> String {
    let mut text = match (report.denied.as_slice(), report.undecided.as_slice()) {
        ([], [_, ..]) => format!("{}: some calls are undecided\n", plain(profile)),
        (all, _) => denied(all, profile),
    };
    for it in &report.answered {
        text.push_str(&format!(
            "answered with ENOSYS: {} x {}; {}\n",
            it.denied.times,
            it.denied.describe(),
            it.why
        ));
    }
    for it in &report.undecided {
        text.push_str(&format!("{}\n", undecided_call(it)));
    }
    for it in &report.other_filters {
        text.push_str(&format!(
            "denied by another filter, not by the profile: {} x {}\n",
            it.times,
            it.describe()
        ));
    }
    text
}

/// A call of which it is not known whether the profile denied it, in a sentence.
pub fn undecided_call(it: &Denied) -> String {
    format!(
        "undecided: {} x {}; denied by the profile or by another filter: its arguments could not be read",
        it.times,
        it.describe()
    )
}

fn denied(denied: &[Denied], profile: &str) -> String {
    if denied.is_empty() {
        return format!("{}: nothing denied\n", plain(profile));
    }
    let times = denied.iter().map(|it| it.times).sum::<u64>();
    let kinds: BTreeSet<_> = denied.iter().map(|it| (it.abi, it.nr)).collect();
    let mut text = format!(
        "{} denied {}, {} in all\n",
        plain(profile),
        count(kinds.len(), "call", "calls"),
        count(
            usize::try_from(times).unwrap_or(usize::MAX),
            "time",
            "times"
        )
    );
    for it in denied {
        text.push_str(&format!("  {} x {}\n", it.times, it.describe()));
    }
    text
}

/// Whether it would run, in a sentence.
fn summary(report: &Report) -> String {
    let refused = report
        .starts
        .iter()
        .filter(|it| it.refused.is_some())
        .count();
    if refused == report.starts.len() && refused > 0 {
        return "no selected runtime accepts the profile".to_owned();
    }
    let many = |answer| {
        let findings = report.recordings.iter().flat_map(|it| &it.findings);
        let calls = findings
            .filter(|it| it.answer == answer)
            .map(|it| (it.abi, it.nr));
        calls.collect::<BTreeSet<_>>().len()
    };
    let before = report.runtime_init.iter();
    let before = before.filter(|it| it.answer == Answer::Denied && it.always);
    let before = before.map(|it| it.call).collect::<BTreeSet<_>>().len();
    let mut parts = Vec::new();
    if many(Answer::Denied) > 0 {
        let calls = count(many(Answer::Denied), "call", "calls");
        parts.push(format!("{calls} of the workload would be denied"));
    }
    if before > 0 {
        let calls = count(before, "call", "calls");
        parts.push(format!(
            "{calls} of the runtime would be denied before the workload starts"
        ));
    }
    if parts.is_empty() {
        parts.push("nothing would be denied".to_owned());
    }
    if report.is_undecided() {
        parts.push("some calls are undecided".to_owned());
    }
    parts.join(", ")
}

fn started(start: &Start, several: bool) -> String {
    let machine = if several {
        format!("{} ", start.machine)
    } else {
        String::new()
    };
    let setting = if start.no_new_privileges {
        "with no_new_privs"
    } else {
        "without no_new_privs"
    };
    let what = if let Some(refused) = &start.refused {
        format!("refuses the profile: {}", plain(refused))
    } else {
        let mut parts = Vec::new();
        if !start.denied_before.is_empty() {
            let calls: Vec<_> = start.denied_before.iter().copied().collect();
            parts.push(format!("cannot start the container: {}", calls.join(", ")));
        }
        if start.denied > 0 {
            parts.push(format!("{} denied", start.denied));
        }
        if start.undecided > 0 {
            parts.push(format!("{} undecided", start.undecided));
        }
        if parts.is_empty() {
            "nothing denied".to_owned()
        } else {
            parts.join("; ")
        }
    };
    format!("  {machine}{} {setting}: {what}\n", start.runtime)
}

fn of_recording(text: &mut String, it: &RecordingResult, runtimes: &BTreeSet<&str>) {
    text.push_str(&format!(
        "\n{} ({}, {}{})\n",
        plain(&it.workload),
        plain(&it.recording),
        count(it.calls, "call", "calls"),
        if it.complete {
            ""
        } else {
            ", incomplete: calls that were not observed may be denied too"
        }
    ));
    if it.findings.is_empty() && it.answered.is_empty() {
        text.push_str(&format!(
            "  {} would be allowed\n",
            match it.calls {
                1 => "the 1 call".to_owned(),
                calls => format!("all {calls} calls"),
            }
        ));
    } else if it.findings.is_empty() {
        text.push_str("  all other calls would be allowed\n");
    }
    for finding in &it.findings {
        text.push_str(&found(finding, it.instances, runtimes));
    }
    for answered in &it.answered {
        text.push_str(&falls_back(answered, it.instances, runtimes));
    }
    if it.assumed > 0 {
        text.push_str(&format!(
            "  {} decided on the assumption that the upper half of an int is what compilers leave there (not recorded)\n",
            count(it.assumed, "combination of arguments is", "combinations of arguments are")
        ));
    }
    for stopped in &it.stopped {
        text.push_str(&apart(stopped, it.instances));
    }
}

fn found(it: &Finding, instances: usize, runtimes: &BTreeSet<&str>) -> String {
    let what = match it.answer {
        Answer::Denied => "denied",
        Answer::Undecided => "undecided",
        Answer::Allowed => "made",
    };
    let mut text = format!(
        "  {what}: {} ({}): {}",
        it.call,
        it.abi,
        outcomes(&it.outcomes)
    );
    text.push_str(&on(&it.runtimes, runtimes));
    text.push('\n');
    if !it.depends_on.is_empty() {
        let arguments: Vec<_> = it.depends_on.iter().map(ToString::to_string).collect();
        text.push_str(&format!(
            "      depends on argument {}, which was not fully recorded\n",
            arguments.join(", ")
        ));
    }
    for given in it.given.iter().take(MAX_NAMED) {
        text.push_str(&format!("      with {given}\n"));
    }
    let more = it.given.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        text.push_str(&format!(
            "      and with {more} more; --format json has all\n"
        ));
    }
    who(&mut text, &it.evidence, instances);
    text
}

/// A call that is answered with ENOSYS, upon which its callers go on.
fn falls_back(it: &Answered, instances: usize, runtimes: &BTreeSet<&str>) -> String {
    let only = on(&it.runtimes, runtimes);
    let mut text = format!(
        "  not denied: {} ({}): answered with ENOSYS; {}{only}\n",
        it.call, it.abi, it.why
    );
    who(&mut text, &it.evidence, instances);
    text
}

/// On which runtimes, where it is not all that were asked about.
fn on(some: &BTreeSet<&str>, all: &BTreeSet<&str>) -> String {
    if some.len() == all.len() {
        return String::new();
    }
    let only: Vec<_> = some.iter().copied().collect();
    format!(", on {}", only.join(", "))
}

fn who(text: &mut String, evidence: &[tracer_core::recording::EvidenceSummary], instances: usize) {
    for by in evidence.iter().take(MAX_NAMED) {
        text.push_str(&format!("      {}\n", sighting(by, instances)));
    }
    let more = evidence.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        text.push_str(&format!(
            "      and by {more} more; --format json has all\n"
        ));
    }
}

fn apart(it: &Stopped, instances: usize) -> String {
    let answers = it.answers.iter().map(|answer| match answer {
        Answer::Denied => "denied here too",
        Answer::Undecided => "undecided here",
        Answer::Allowed => "allowed here",
    });
    let answers: Vec<_> = answers.collect();
    let mut text = format!(
        "  blocked while recording, not counted: {} ({}), {}\n",
        it.call,
        it.abi,
        answers.join(", or ")
    );
    who(&mut text, &it.evidence, instances);
    text
}

fn before(it: &RuntimeInitFinding) -> String {
    let what = match it.answer {
        Answer::Denied => "denied",
        Answer::Undecided => "undecided",
        Answer::Allowed => "made",
    };
    let given = it.given.as_ref();
    let given = given.map_or_else(String::new, |given| format!(" with {given}"));
    let may = if it.always {
        "made by"
    } else {
        "made by some builds:"
    };
    format!(
        "  {what}: {}{given} ({}): {}; {may} {}\n",
        it.call,
        it.machine,
        outcomes(&it.outcomes),
        it.needed_by.join(", ")
    )
}

fn outcomes(all: &[Outcome]) -> String {
    let each = all.iter().map(|it| format!("{} (rule {})", it.sees, it.by));
    each.collect::<Vec<_>>().join(", or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscalls::Abi;
    use tracer_core::{
        profile::seccomp::{
            evaluate::{Host, Libseccomp, OciRuntime},
            fixture::mixed,
            oci::OciSeccomp,
        },
        recording::Blocked,
        verify::{Enforced, VerifyInput, verify},
    };

    fn text(json: &str) -> String {
        let profile = OciSeccomp::from_json(json).unwrap();
        let mut recording = mixed();
        for evidence in &mut recording.syscalls[0].evidence {
            evidence.blocked = Some(Blocked::Errno(1));
        }
        let on = |runtime| Enforced {
            profile: profile.clone(),
            host: Host {
                native: Abi::X86_64,
                runtime,
                libseccomp: Libseccomp::Newest,
            },
        };
        let report = verify(&VerifyInput {
            profiles: OciRuntime::ALL.map(on).to_vec(),
            recordings: vec![("profiles-out/web".to_owned(), &recording)],
            runtime_init: "crun@1.8".parse().unwrap(),
            no_new_privileges: None,
            terminal: false,
        });
        verification(&report, "seccomp.json")
    }

    #[test]
    fn too_narrow_profile() {
        insta::assert_snapshot!(text(
            r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{"names":["openat","epoll_wait","execve","clone","close"],"action":"SCMP_ACT_ALLOW"},{"names":["prctl"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":1,"op":"SCMP_CMP_EQ"}]},{"names":["ptrace"],"action":"SCMP_ACT_KILL_PROCESS","args":[{"index":2,"value":1,"op":"SCMP_CMP_NE"}]}]}"#
        ));
    }

    #[test]
    fn profile_that_allows_all() {
        let text = text(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"]}"#,
        );
        assert!(
            text.starts_with("seccomp.json: nothing would be denied\n"),
            "{text}"
        );
        assert!(text.contains(" would be allowed\n"), "{text}");
    }

    #[test]
    fn profile_that_no_runtime_accepts() {
        let text = text(r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["VAX"]}"#);
        assert!(text.contains("no selected runtime accepts"), "{text}");
        assert!(
            text.contains("refuses the profile: architectures"),
            "{text}"
        );
    }
}

//! The programs of `ways.txt`, each of which takes one way of [`syscalls::bypass`].

use anyhow::{Context as _, Result, bail};
use syscalls::{Abi, bypass};

use super::DENIED;

/// What shows that a program did what it is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// The file's mode is another.
    Mode,
    /// A new file has the set-user-ID bit.
    SetUserId,
    /// The file's owner is another.
    Owner,
    /// The file is gone, or another in its place.
    Gone,
    /// The file has another name.
    Renamed,
    /// Something new is there.
    New,
    /// The directory is gone.
    NoDirectory,
    /// The file is empty.
    Cut,
    /// The file has another content.
    Written,
    /// The file has other times.
    Times,
    /// The last call succeeded.
    Returned,
    /// Another program runs.
    Executed,
    /// The kernel answered, and not the filter: what the call does to a whole machine is not tried.
    Reached,
}

/// A program.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) end: &'static str,
    /// The calls of the way.
    pub(super) calls: Vec<&'static str>,
    /// What the way is called where its call's name is not enough.
    pub(super) label: Option<&'static str>,
    pub(super) effect: Effect,
    /// Namespaces of its own to be in.
    pub(super) namespaces: u32,
    /// In the words of tests/programs/bypass.c.
    pub(super) program: &'static str,
}

impl Case {
    /// As the audit names the way.
    pub(super) fn words(&self) -> String {
        if let Some(label) = self.label {
            return label.to_owned();
        }
        match self.calls.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("{} with {last}", first.join(", ")),
            calls => calls.join(""),
        }
    }

    pub(super) fn is_i386(&self) -> bool {
        self.program.starts_with("32 ")
    }

    /// The program with numbers for names.
    pub(super) fn numbered(&self) -> Result<String> {
        let words = self.program.split(' ').map(|word| {
            let (abi, name) = match word.split_at_checked(1) {
                Some(("@", name)) => (Abi::X86_64, name),
                Some(("#", name)) => (Abi::I386, name),
                _ => return Ok(word.to_owned()),
            };
            let number = abi.syscall_number(name);
            Ok(number
                .with_context(|| format!("no call {name}"))?
                .to_string())
        });
        let words: Vec<String> = words.collect::<Result<_>>()?;
        Ok(words.join(" "))
    }
}

/// All programs.
pub(super) fn all() -> Result<Vec<Case>> {
    let lines = include_str!("ways.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| case(line).with_context(|| line.to_owned()))
        .collect()
}

fn case(line: &'static str) -> Result<Case> {
    let parts: Vec<_> = line.split(" | ").collect();
    let [end, calls, effect, program] = parts.as_slice() else {
        bail!("four columns are needed");
    };
    let (effect, apart) = effect.split_once('@').unwrap_or((effect, ""));
    // `ptrace (PTRACE_SEIZE)`.
    let label = calls.contains('(').then_some(*calls);
    let calls = calls.split(" (").next().unwrap_or_default();
    Ok(Case {
        end,
        calls: calls.split(' ').collect(),
        label,
        effect: match effect {
            "mode" => Effect::Mode,
            "set-user-ID" => Effect::SetUserId,
            "owner" => Effect::Owner,
            "gone" => Effect::Gone,
            "renamed" => Effect::Renamed,
            "new" => Effect::New,
            "no-directory" => Effect::NoDirectory,
            "cut" => Effect::Cut,
            "written" => Effect::Written,
            "times" => Effect::Times,
            "returned" => Effect::Returned,
            "executed" => Effect::Executed,
            "reached" => Effect::Reached,
            other => bail!("no effect {other}"),
        },
        // CLONE_NEWNS, CLONE_NEWUTS.
        namespaces: match apart {
            "" => 0,
            "mounts" => 0x2_0000,
            "names" => 0x400_0000,
            other => bail!("no namespaces {other}"),
        },
        program,
    })
}

/// Denies calls with the arguments that reach their end, and nothing else of them.
pub(super) fn conditional(calls: &[&bypass::Step]) -> Result<String> {
    let entries = calls.iter().map(|call| {
        let args = call.args.iter().map(|(index, value)| {
            format!(r#"{{"index": {index}, "value": {value}, "op": "SCMP_CMP_EQ"}}"#)
        });
        let args: Vec<_> = args.collect();
        format!(
            r#"{{"names": ["{}"], "action": "SCMP_ACT_ERRNO", "errnoRet": {DENIED}, "args": [{}]}}"#,
            call.name,
            args.join(", ")
        )
    });
    let entries: Vec<_> = entries.collect();
    Ok(format!(
        r#"{{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
        {}]}}"#,
        entries.join(",\n")
    ))
}

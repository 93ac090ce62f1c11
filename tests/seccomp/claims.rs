//! What an audit says that a program can still do, against libseccomp's verdict, on random profiles.
//!
//! An ordinary run tries 400 profiles; `TRACER_CLAIMS=100000` tries as many as it says.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, thread,
};

use anyhow::{Context as _, Result, ensure};
use syscalls::{
    Abi,
    bypass::{self, End, Parameter, Step},
};
use tracer_core::{
    profile::seccomp::{
        evaluate::OciRuntime,
        oci::{Condition, OciSeccomp, Operator},
    },
    recording::SyscallId,
};
use tracer_tests::{Outcome, libseccomp::Libseccomp, needs, requires::Need};

use crate::{bypass::audit, enforcer::Enforced};

const ORDINARY: u64 = 400;

/// `SCMP_ACT_ALLOW`.
const ALLOW: u32 = 0x7fff_0000;

/// Numbers that look random, the same ones each time (xorshift64, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let at = self.next(u64::try_from(all.len()).unwrap_or(1));
        all.get(usize::try_from(at).unwrap_or(0))
    }
}

/// A condition on a call: on its parameter most often, with a value that counts or one beside it.
fn condition(end: &End, step: &Step, random: &mut Random) -> String {
    const OPERATORS: [&str; 7] = ["EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"];
    let index = match step.parameter {
        Parameter::Argument(index) if random.next(8) > 0 => index as u64,
        _ => random.next(3),
    };
    let value = random.of(end.values).copied().unwrap_or_default();
    let value = match random.next(6) {
        0 => value.wrapping_add(1),
        1 => 1 << random.next(32),
        2 => end.mask,
        _ => value,
    };
    let operator = match random.next(2) {
        0 => "MASKED_EQ",
        _ => random.of(&OPERATORS).copied().unwrap_or("EQ"),
    };
    let second = match random.next(4) {
        0 => 0,
        _ => value,
    };
    format!(
        r#"{{"index": {index}, "value": {value}, "valueTwo": {second}, "op": "SCMP_CMP_{operator}"}}"#
    )
}

/// A profile that denies or allows calls of a few ends, some of them for some arguments.
fn profile(ends: &[&'static End], random: &mut Random) -> String {
    let allows = random.next(4) > 0;
    let (default, other) = if allows {
        ("ALLOW", "ERRNO")
    } else {
        ("ERRNO", "ALLOW")
    };
    let mut entries = Vec::new();
    for _ in 0..=random.next(3) {
        let Some(end) = random.of(ends) else { continue };
        let steps: Vec<&Step> = end
            .denied()
            .chain(end.ways.iter().flat_map(|way| way.calls))
            .collect();
        for step in steps {
            if random.next(3) == 0 {
                continue;
            }
            let args = match random.next(2) {
                0 => condition(end, step, random),
                _ => String::new(),
            };
            let errno = if random.next(5) == 0 { 38 } else { 1 };
            let errno = match other {
                "ERRNO" => format!(r#", "errnoRet": {errno}"#),
                _ => String::new(),
            };
            entries.push(format!(
                r#"{{"names": ["{}"], "action": "SCMP_ACT_{other}"{errno}, "args": [{args}]}}"#,
                step.name
            ));
        }
    }
    format!(
        r#"{{"defaultAction": "SCMP_ACT_{default}", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [{}]}}"#,
        entries.join(", ")
    )
}

/// Values that may reach an end: its own, and those that the profile speaks of.
fn values(end: &End, profile: &OciSeccomp) -> BTreeSet<u64> {
    let conditions = profile.syscalls.iter().flat_map(|entry| &entry.args);
    let of = |condition: &Condition| {
        let value = match condition.op {
            Operator::MaskedEq => condition.value_two,
            _ => condition.value,
        };
        [value, value.wrapping_add(1), value.wrapping_sub(1)]
    };
    let bits = (0..64).map(|bit| 1 << bit);
    let all = end.values.iter().copied().chain(bits);
    all.chain(conditions.flat_map(of)).collect()
}

/// Whether libseccomp's filter lets calls through, for one value of an end.
fn allows(filter: &Enforced, steps: &[Step], values: &BTreeSet<u64>) -> Result<bool> {
    for value in values {
        let mut all = true;
        for step in steps {
            let nr = Abi::X86_64.syscall_number(step.name);
            let call = SyscallId {
                abi: Abi::X86_64,
                nr: nr.with_context(|| format!("{} has no number", step.name))?,
            };
            all &= filter.returns(call, step.arguments(*value))?.meant == ALLOW;
        }
        if all {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Checks each way that a finding names; how many there are.
fn check(text: &str) -> Result<Option<u32>> {
    let oci: OciSeccomp = serde_json::from_str(text)?;
    let library = Libseccomp::open()?;
    // Entries that contradict each other, which the library refuses.
    let Ok(filter) = Enforced::new(library, &oci, OciRuntime::Runc) else {
        return Ok(None);
    };
    let mut claims = 0;
    for finding in audit(text)? {
        if !["equivalent-syscall-allowed", "condition-bypass"].contains(&finding.id) {
            continue;
        }
        let said = finding.message.split_once("a program can still ");
        let (_, said) = said.context("another message")?;
        let is_it = |end: &&End| {
            let rest = said.strip_prefix(end.words);
            rest.is_some_and(|rest| rest.starts_with(" by "))
        };
        let end = bypass::ends().find(is_it).context("no such end")?;
        let named = said.get(end.words.len() + 4..).unwrap_or_default();
        let values = values(end, &oci);
        // Several ways are made of the same calls, with other arguments.
        let mut open: BTreeMap<String, bool> = BTreeMap::new();
        // The audit is for the newest library; a rule for a call that this one does not know is not in its filter.
        let is_known = |way: &bypass::Way| way.calls.iter().all(|call| library.knows(call.name));
        for way in end.ways().filter(is_known) {
            let words = way.words();
            let is_named = match way.calls {
                [_] => named.split(", ").any(|it| it == words),
                _ => named.contains(&words),
            };
            if is_named {
                *open.entry(words).or_default() |= allows(&filter, way.calls, &values)?;
            }
        }
        let closed = open.iter().find(|(_, is_open)| !**is_open);
        ensure!(closed.is_none(), "{closed:?}: {}: {text}", finding.message);
        let count = u32::try_from(open.len())?;
        let is_new = end.ways().any(|way| !is_known(&way));
        ensure!(count > 0 || is_new, "{}: no way is known", finding.message);
        claims += count;
    }
    Ok(Some(claims))
}

/// Profiles that are made before they are checked on all processors.
const BATCH: usize = 400;

/// What was compared.
#[derive(Clone, Copy, Default)]
struct Found {
    /// Profiles that libseccomp takes.
    accepted: u64,
    /// Ways that findings name.
    claims: u64,
    /// Profiles with such a finding.
    with_claims: u64,
}

impl std::ops::Add for Found {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            claims: self.claims + other.claims,
            with_claims: self.with_claims + other.with_claims,
        }
    }
}

/// Checks profiles, a part on each processor.
fn check_all(profiles: &[String]) -> Result<Found> {
    let processors = thread::available_parallelism()?.get();
    let part = profiles.len().div_ceil(processors).max(1);
    let check_part = |part: &[String]| -> Result<Found> {
        let mut found = Found::default();
        for text in part {
            if let Some(claims) = check(text)? {
                let is_some = u64::from(claims > 0);
                let one = Found {
                    accepted: 1,
                    claims: u64::from(claims),
                    with_claims: is_some,
                };
                found = found + one;
            }
        }
        Ok(found)
    };
    thread::scope(|scope| {
        let parts = profiles.chunks(part);
        let running: Vec<_> = parts
            .map(|part| scope.spawn(move || check_part(part)))
            .collect();
        let mut all = Found::default();
        for part in running {
            let found = part
                .join()
                .map_err(|_| anyhow::anyhow!("a check panicked"))?;
            all = all + found?;
        }
        Ok(all)
    })
}

#[test]
fn every_way_that_is_named_is_open() -> Outcome {
    needs!(Need::Libseccomp, Need::X86);
    let count = env::var("TRACER_CLAIMS").ok().map(|it| it.parse());
    let count = count.transpose()?.unwrap_or(ORDINARY);
    let is_here = |step: &Step| Abi::X86_64.syscall_number(step.name).is_some();
    let ends: Vec<&End> = bypass::ends()
        .filter(|end| end.denied().any(is_here))
        .collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut found = Found::default();
    for begin in (0..count).step_by(BATCH) {
        let size = count.saturating_sub(begin).min(BATCH as u64);
        let batch: Vec<String> = (0..size).map(|_| profile(&ends, &mut random)).collect();
        found = found + check_all(&batch)?;
    }
    let Found {
        accepted,
        claims,
        with_claims,
    } = found;
    println!(
        "{count} profiles, {accepted} that libseccomp takes; {with_claims} with findings, {claims} ways named, each of them open"
    );
    ensure!(
        accepted * 3 > count && with_claims * 5 > count,
        "too little was compared"
    );
    Ok(())
}

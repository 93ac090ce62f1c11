//! SELinux: whatever was recorded, the compilers take what is rendered, and the operator's schemas its objects.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use tracer_core::{
    profile::{
        kubernetes::{self, ObjectName, Operator},
        selinux::{
            Base, Options, SelinuxProfile, block_name,
            classes::{self, KernelOrder},
            is_identifier,
        },
    },
    recording::{
        AccessEvidence, Executable, Mechanism, ObservationKind, ObservedAccess, Phase, Provider,
        Recording, SelinuxUse,
    },
};
use tracer_tests::{
    Outcome, needs,
    requires::Need,
    scratch::Scratch,
    selinux::{self, Policy},
};

use super::{
    fixture::{self, HOSTILE},
    renderers::documents,
    schemas,
};

const SECILC: Need = Need::Program("secilc", "secilc");
const CHECKMODULE: Need = Need::Program("checkmodule", "checkpolicy");

/// Types that a policy may have, words of the languages among them.
const TYPES: [&str; 8] = [
    "etc_t",
    "shadow_t",
    "web.process",
    "a-b",
    "role",
    "Type",
    "process",
    "init_t",
];

fn uses() -> impl Strategy<Value = Vec<ObservedAccess<SelinuxUse>>> {
    let name = || {
        prop_oneof![
            select(&TYPES[..]).prop_map(str::to_owned),
            select(&HOSTILE[..]).prop_map(str::to_owned),
            "[a-zA-Z0-9_.()\"; -]{1,8}",
        ]
    };
    let rights = || {
        let all: Vec<_> = classes::known_classes().collect();
        (select(all), any::<u32>()).prop_map(|(class, at)| {
            let order = KernelOrder::of_release("6.12");
            let all = classes::permissions(class, order).unwrap_or_default();
            let permission = all[at as usize % all.len()];
            (class.to_owned(), permission.to_owned())
        })
    };
    let own = Just("tracer_record.process".to_owned());
    let source = prop_oneof![4 => own.clone(), 1 => name()];
    let target = prop_oneof![1 => own, 4 => name()];
    let program = select(vec!["/usr/bin/web", "/srv/a\n) (allow all all\n", "/;\"("]);
    let one = (source, target, rights(), program).prop_filter_map(
        "contexts with types",
        |(source, target, (class, permission), program)| {
            let of = |kind: &str| format!("system_u:system_r:{kind}:s0");
            let what = SelinuxUse::from_contexts(&of(&source), &of(&target), &class, &permission)?;
            Some(ObservedAccess {
                what,
                evidence: vec![AccessEvidence {
                    phase: Phase::Run,
                    executable: Executable::Path(program.to_owned()),
                    call: None,
                    instances: vec![0],
                    first: None,
                }],
            })
        },
    );
    vec(one, 0..24)
}

fn recording(name: &str, uses: Vec<ObservedAccess<SelinuxUse>>) -> Recording {
    let mut recording = fixture::empty();
    recording.workload.name = name.to_owned();
    recording.selinux = uses;
    recording.providers.push(Provider {
        kind: ObservationKind::Selinux,
        provider: Mechanism::Tracepoint,
        cannot_see: Vec::new(),
    });
    recording
}

/// A policy with the types that a profile names, and udica's block.
fn policy(profile: &SelinuxProfile) -> Policy {
    let targets = profile.rules.keys().map(|(target, _)| match target {
        tracer_core::recording::SelinuxTarget::Domain => None,
        tracer_core::recording::SelinuxTarget::Type(name) => Some(name.as_str()),
    });
    let sources = profile
        .callers
        .keys()
        .map(|(source, _)| Some(source.as_str()));
    let names: BTreeSet<&str> = targets.chain(sources).flatten().collect();
    let own = [
        selinux::UNCONFINED,
        selinux::FILE,
        "node_t",
        "netif_t",
        "port_t",
    ];
    let (nested, plain): (Vec<&str>, Vec<&str>) = names
        .into_iter()
        .filter(|name| !own.contains(name))
        .partition(|name| name.contains('.'));
    let mut more = String::from(
        "(block container (blockabstract container) (type process) (roletype system_r process) \
         (typeattributeset domain (process)))\n",
    );
    for name in nested {
        let mut parts: Vec<_> = name.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        let open: String = parts.iter().map(|part| format!("(block {part} ")).collect();
        more += &format!("{open}(type {last}){}\n", ")".repeat(parts.len()));
    }
    Policy::new(&plain, &[]).with(&more)
}

fn check(scratch: &Scratch, name: &str, uses: Vec<ObservedAccess<SelinuxUse>>) -> Outcome {
    let recording = recording(name, uses);
    for (base, complain) in [(Base::default(), false), (Base::Standalone, true)] {
        let options = Options {
            base,
            complain,
            ..Options::default()
        };
        let recordings = std::slice::from_ref(&recording);
        let profile = SelinuxProfile::from_recordings(recordings, block_name(name)?, &options)
            .context("a profile")?;
        let cil = profile.to_cil();
        policy(&profile)
            .with(&cil)
            .compile(scratch.path())
            .with_context(|| cil.clone())?;
        let raw = format!("(block other\n{})\n", profile.statements());
        policy(&profile)
            .with(&raw)
            .compile(scratch.path())
            .with_context(|| raw.clone())?;
        module(scratch, &profile)?;
        let object = ObjectName::new("web")?;
        let made = [
            kubernetes::selinux_profile(&object, &profile, Operator::V1)?,
            kubernetes::raw_selinux_profile(&object, &profile, Operator::V1)?,
        ];
        for object in made.iter().map(|it| documents(&it.text)) {
            for object in object? {
                schemas::check(&object)?;
            }
        }
    }
    Ok(())
}

fn module(scratch: &Scratch, profile: &SelinuxProfile) -> Outcome {
    let module = profile.to_module(Some("/usr/sbin/we b(1)"));
    let source = scratch.join("module.te");
    fs::write(&source, &module.te)?;
    let output = Command::new("checkmodule")
        .args(["-M", "-m", "-o"])
        // checkmodule wants the file to be called as the module is.
        .arg(scratch.join(format!("{}.mod", profile.name)))
        .arg(&source)
        .output()?;
    ensure!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        module.te
    );
    Ok(())
}

fn with_random(test: impl Fn(&str, Vec<ObservedAccess<SelinuxUse>>) -> Outcome) -> Result<()> {
    let mut runner = TestRunner::new(Config::with_cases(48));
    let name = select(vec![
        "web",
        "shop_deployment-cart.v2_web",
        "0",
        "we\"b) (x",
        "_x2e",
    ]);
    let run = runner.run(&(name, uses()), |(name, uses)| {
        test(name, uses).map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    run.map_err(|error| anyhow::anyhow!("{error}"))
}

#[test]
fn compilers_accept_what_is_rendered() -> Outcome {
    needs!(SECILC, CHECKMODULE);
    let scratch = Scratch::new()?;
    with_random(|name, uses| check(&scratch, name, uses))
}

/// The test above could pass because no rule is ever written.
#[test]
fn identifiers_become_rules_and_others_are_listed() -> Outcome {
    with_random(|name, uses| {
        let recording = recording(name, uses.clone());
        let recordings = std::slice::from_ref(&recording);
        let options = Options::default();
        let profile = SelinuxProfile::from_recordings(recordings, block_name(name)?, &options)
            .context("a profile")?;
        let Some(domain) = profile.recorded.clone() else {
            ensure!(uses.is_empty());
            return Ok(());
        };
        for one in uses.iter().filter(|it| it.what.domain == domain) {
            let target = one.what.target_type();
            let key = (one.what.target.clone(), one.what.class.clone());
            let is_there = profile
                .rules
                .get(&key)
                .is_some_and(|rule| rule.permissions.contains(&one.what.permission));
            let is_type = |name: &str| is_identifier(name) && name != "process";
            let is_nameable = is_type(target) && is_type(&domain);
            ensure!(is_there == is_nameable, "{:?}", one.what);
        }
        Ok(())
    })
}

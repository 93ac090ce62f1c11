//! Profiles made by hand, and their texts.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    parse::{Input, Selinux, Subject, subjects},
    profile::apparmor::fixture::{empty, seen},
    recording::{
        Mechanism, ObservationKind, Phase, Provider, Recording, SelinuxTarget, SelinuxUse,
    },
};

/// The domain of the fixture.
pub(crate) const DOMAIN: &str = "tracer_record.process";

/// What the policy did not allow a server.
pub(crate) fn with_selinux(mut recording: Recording) -> Recording {
    let nginx = "/usr/sbin/nginx";
    let own = format!("system_u:system_r:{DOMAIN}:s0:c1,c2");
    let asked = |source: &str, target: &str, class, permission, phase, program| {
        let context = |name: &str| {
            if name == DOMAIN {
                own.clone()
            } else {
                format!("system_u:object_r:{name}:s0")
            }
        };
        let what = SelinuxUse::from_contexts(&context(source), &context(target), class, permission);
        seen(what.unwrap(), phase, program)
    };
    let run =
        |target, class, permission| asked(DOMAIN, target, class, permission, Phase::Run, nginx);
    recording.selinux = vec![
        run("http_port_t", "tcp_socket", "name_bind"),
        run("node_t", "tcp_socket", "node_bind"),
        run(DOMAIN, "tcp_socket", "listen"),
        run(DOMAIN, "tcp_socket", "accept"),
        run(DOMAIN, "capability", "dac_override"),
        run("shadow_t", "file", "read"),
        run("unconfined_t", "fd", "use"),
        run("unconfined_t", "fifo_file", "write"),
        run("web_t) (allow all all (file (write)))", "file", "read"),
        run("role", "file", "read"),
        asked(
            DOMAIN,
            "etc_t",
            "file",
            "entrypoint",
            Phase::RuntimeInit,
            "/usr/sbin/runc",
        ),
        asked(
            "container_runtime_t",
            DOMAIN,
            "process",
            "transition",
            Phase::Setup,
            "/usr/sbin/runc",
        ),
        asked("other_t", "etc_t", "file", "read", Phase::Run, nginx),
        asked(
            DOMAIN,
            "user_home_t",
            "file",
            "write",
            Phase::Terminal,
            "/bin/bash",
        ),
    ];
    let others = "system_u:object_r:container_file_t:s0:c3,c4";
    let what = SelinuxUse::from_contexts(&own, others, "file", "read").unwrap();
    recording.selinux.push(seen(what, Phase::Run, nginx));
    recording.selinux.sort_by(|a, b| a.what.cmp(&b.what));
    recording.providers.push(Provider {
        kind: ObservationKind::Selinux,
        provider: Mechanism::Tracepoint,
        cannot_see: Vec::new(),
    });
    recording
}

fn profile(options: &Options) -> SelinuxProfile {
    let recording = with_selinux(empty());
    SelinuxProfile::from_recordings(&[recording], "tracer_web".to_owned(), options).unwrap()
}

#[test]
fn cil_block_has_a_rule_for_each_target_and_class() {
    let text = profile(&Options::default()).to_cil();
    let expected = r"; Made by tracer for web. REVIEW.md has the evidence of each rule.
; Not in a rule: other_t etc_t file read: it was done in another domain, which needs a profile of its own.
; Not in a rule: tracer_record.process container_file_t file read: the object has categories (MCS) that the domain lacks, which no rule can allow.
; Not in a rule: tracer_record.process user_home_t file write: it was only done by a program that was put into the container and is left out.
; Not in a rule: tracer_record.process web_t) (allow all all (file (write))) file read: no policy can hold the name.
(block tracer_web
  (blockinherit container)
  (allow process process (capability (dac_override))) ; /usr/sbin/nginx
  (allow process process (tcp_socket (accept listen))) ; /usr/sbin/nginx
  (allow process etc_t (file (entrypoint))) ; /usr/sbin/runc
  (allow process http_port_t (tcp_socket (name_bind))) ; /usr/sbin/nginx
  (allow process node_t (tcp_socket (node_bind))) ; /usr/sbin/nginx
  (allow process role (file (read))) ; /usr/sbin/nginx
  (allow process shadow_t (file (read))) ; /usr/sbin/nginx
  (allow process unconfined_t (fd (use))) ; inherited from the program that started it; /usr/sbin/nginx
  (allow process unconfined_t (fifo_file (write))) ; inherited from the program that started it; /usr/sbin/nginx
  (allow container_runtime_t process (process (transition))) ; the container runtime, or init, needs this
)
";
    assert_eq!(text, expected);
}

#[test]
fn standalone_and_permissive_blocks_declare_their_type() {
    let options = Options {
        complain: true,
        base: Base::Standalone,
        ..Options::default()
    };
    let text = profile(&options).to_cil();
    assert!(!text.contains("blockinherit"));
    for statement in [
        "(type process)",
        "(roletype system_r process)",
        "(typeattributeset domain (process))",
        "(typepermissive process)",
    ] {
        assert!(text.contains(&format!("\n  {statement}\n")), "{text}");
    }
}

#[test]
fn module_requires_what_it_uses() {
    let module = profile(&Options::default()).to_module(Some("/usr/sbin/nginx"));
    for line in [
        "module tracer_web 1.0;",
        "\ttype http_port_t;",
        "\tclass tcp_socket { accept listen name_bind node_bind };",
        "type tracer_web_t, domain;",
        "type_transition init_t tracer_web_exec_t:process tracer_web_t;",
        "allow container_runtime_t tracer_web_t:process { transition };",
        "allow tracer_web_t self:tcp_socket { accept listen };",
        "allow tracer_web_t http_port_t:tcp_socket { name_bind };",
    ] {
        assert!(
            module.te.lines().any(|it| it == line),
            "{line}\n{}",
            module.te
        );
    }
    assert_eq!(
        module.fc,
        "/usr/sbin/nginx\t--\tsystem_u:object_r:tracer_web_exec_t:s0\n"
    );
    assert!(module.omissions.iter().any(|it| it.what().contains("role")));
}

#[test]
fn unobserved_selinux_gives_no_profile() {
    let options = Options::default();
    assert!(SelinuxProfile::from_recordings(&[empty()], "a".to_owned(), &options).is_none());
}

#[test]
fn recording_domain_refuses_hostile_names() {
    let domain = |name: &str, base, caller: &str| RecordingDomain {
        name: name.to_owned(),
        base,
        callers: vec![caller.to_owned()],
    };
    for wrong in [
        domain("a)", Base::Standalone, "init_t"),
        domain("a.b", Base::Standalone, "init_t"),
        domain("a", Base::Block("b (c)".to_owned()), "init_t"),
        domain("a", Base::Standalone, "init_t) (typepermissive init_t"),
    ] {
        assert!(recording_domain(&wrong).is_err(), "{wrong:?}");
    }
    assert!(recording_domain(&domain("a", Base::Standalone, "init_t")).is_ok());
}

fn read(name: &str, text: &str) -> Selinux {
    let input = Input::new(name, text.into()).unwrap();
    match subjects(&input).unwrap().pop() {
        Some(Subject::Selinux(read)) => read,
        other => panic!("{other:?} of {text}"),
    }
}

type Permissions = BTreeMap<(Option<String>, String), BTreeSet<String>>;

fn of_profile(profile: &SelinuxProfile) -> Permissions {
    let mut all = Permissions::new();
    for (target, class, permission) in profile.permissions() {
        let target = match target {
            SelinuxTarget::Domain => None,
            SelinuxTarget::Type(name) => Some(name.clone()),
        };
        let rule = all.entry((target, class.to_owned())).or_default();
        rule.insert(permission.to_owned());
    }
    all
}

fn of_text(read: &Selinux) -> Permissions {
    let own = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
    read.permissions()
        .into_iter()
        .map(|((target, class), names)| ((target.map(str::to_owned), class.to_owned()), own(names)))
        .collect()
}

/// What is written is read as the same model, in each form.
#[test]
fn rendered_profiles_are_read_as_the_same_model() {
    use crate::profile::kubernetes::{ObjectName, Operator, raw_selinux_profile, selinux_profile};
    let name = ObjectName::new("web").unwrap();
    for (complain, base) in [(false, Base::default()), (true, Base::Standalone)] {
        let options = Options {
            complain,
            base: base.clone(),
            ..Options::default()
        };
        let profile = profile(&options);
        let mut texts = vec![("web.cil", profile.to_cil())];
        for operator in [Operator::V1, Operator::V0_10] {
            let raw = raw_selinux_profile(&name, &profile, operator).unwrap();
            texts.push(("raw.yaml", raw.text));
            let object = selinux_profile(&name, &profile, operator).unwrap();
            texts.push(("object.yaml", object.text));
        }
        for (file, text) in texts {
            let read = read(file, &text);
            assert_eq!(of_text(&read), of_profile(&profile), "{text}");
            assert_eq!(read.permissive.is_some(), complain, "{text}");
            let inherits = read.inherits.iter().any(|it| it.text == "container");
            assert_eq!(inherits, base == Base::default(), "{text}");
            assert_eq!(read.unread, [], "{text}");
        }
    }
}

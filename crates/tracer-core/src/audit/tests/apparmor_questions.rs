//! What is asked of resolved AppArmor profiles.

use super::*;

/// A profile with these rules, as a file.
fn profile(rules: &str) -> String {
    format!("abi <abi/4.0>,\ninclude <tunables/global>\nprofile web {{\n  {rules}\n}}\n")
}

fn found(text: &str) -> Vec<(Severity, &'static str)> {
    let report = report("a.profile", text);
    assert_eq!(report.malformed, [], "{text}");
    let findings = report.findings.iter();
    findings.map(|it| (it.severity, it.id)).collect()
}

fn says(rules: &str) -> Vec<(Severity, &'static str)> {
    found(&profile(rules))
}

const HIGH: Severity = Severity::High;
const MEDIUM: Severity = Severity::Medium;
const LOW: Severity = Severity::Low;

/// Rules, and what is found in them.
const WAYS_OUT: &[(&str, Severity, &str)] = &[
    ("/run/docker.sock rw,", HIGH, "apparmor-engine-socket"),
    ("@{run}/containerd/** rw,", HIGH, "apparmor-engine-socket"),
    ("/var/run/docker.sock w,", HIGH, "apparmor-engine-socket"),
    (
        "/run/{docker,crio}.sock rw,",
        HIGH,
        "apparmor-engine-socket",
    ),
    ("/dev/mem rw,", HIGH, "apparmor-raw-device"),
    ("/dev/sd* rw,", HIGH, "apparmor-raw-device"),
    ("/dev/sda1 r,", MEDIUM, "apparmor-raw-device"),
    ("@{PROC}/kcore r,", HIGH, "apparmor-raw-device"),
    ("@{PROC}/sys/kernel/** rw,", HIGH, "apparmor-proc-sys"),
    ("/proc/sysrq-trigger w,", HIGH, "apparmor-proc-sys"),
    ("/sys/fs/cgroup/** rw,", HIGH, "apparmor-proc-sys"),
    (
        "/proc/sys/net/ipv4/ip_forward w,",
        MEDIUM,
        "apparmor-proc-sys",
    ),
    ("@{PROC}/@{pid}/oom_score_adj w,", LOW, "apparmor-proc-sys"),
    ("/etc/cron.d/* w,", HIGH, "apparmor-host-files"),
    ("/etc/ld.so.preload a,", HIGH, "apparmor-host-files"),
    ("/etc/** rw,", HIGH, "apparmor-host-files"),
    ("/root/.ssh/** rw,", HIGH, "apparmor-host-files"),
    ("owner @{HOME}/** rw,", MEDIUM, "apparmor-host-files"),
    ("capability sys_module,", HIGH, "apparmor-capability"),
    (
        "capability chown sys_ptrace,",
        MEDIUM,
        "apparmor-capability",
    ),
    ("change_profile,", HIGH, "apparmor-change-profile"),
    ("change_profile -> **,", HIGH, "apparmor-change-profile"),
    (
        "change_profile -> unconfined,",
        HIGH,
        "apparmor-change-profile",
    ),
    (
        "change_profile /bin/a -> {a,un*},",
        HIGH,
        "apparmor-change-profile",
    ),
    ("mount,", HIGH, "apparmor-allows-everything"),
    ("mount options=bind,", HIGH, "apparmor-mount"),
    (
        "mount options=(rw, rbind) /** -> /mnt/,",
        HIGH,
        "apparmor-mount",
    ),
    ("mount fstype=proc -> /**,", HIGH, "apparmor-mount"),
    (
        "mount options=(remount, rw) -> /**,",
        MEDIUM,
        "apparmor-mount",
    ),
    ("remount,", MEDIUM, "apparmor-mount"),
    ("pivot_root,", MEDIUM, "apparmor-mount"),
    ("userns,", MEDIUM, "apparmor-userns"),
    ("io_uring,", LOW, "apparmor-io-uring"),
    ("ptrace,", HIGH, "apparmor-ptrace"),
    ("ptrace (trace) peer=unconfined,", HIGH, "apparmor-ptrace"),
    ("ptrace (read),", LOW, "apparmor-ptrace"),
    ("dbus,", MEDIUM, "apparmor-dbus"),
    ("dbus (send) bus=system,", MEDIUM, "apparmor-dbus"),
    ("all,", HIGH, "apparmor-allows-everything"),
    ("/usr/bin/helper Ux,", HIGH, "apparmor-unconfined-exec"),
    ("/usr/bin/helper cux,", MEDIUM, "apparmor-unconfined-exec"),
    ("/srv/** rw,\n  /srv/run/* ix,", HIGH, "apparmor-write-exec"),
    (
        "/srv/** rw,\n  /srv/lib/* mr,",
        MEDIUM,
        "apparmor-write-exec",
    ),
    (
        "allow {\n    /srv/** rwix,\n  }",
        HIGH,
        "apparmor-write-exec",
    ),
    ("fence /a,", MEDIUM, "apparmor-not-understood"),
    ("/a rx,", MEDIUM, "apparmor-not-understood"),
    ("@{NO}/a r,", Severity::High, "apparmor-undefined-variable"),
    (
        "include <local/web>",
        Severity::Info,
        "apparmor-not-included",
    ),
];

#[test]
fn each_way_out_is_found() {
    for (rules, severity, id) in WAYS_OUT {
        assert_eq!(says(rules), [(*severity, *id)], "{rules}");
    }
}

#[test]
fn narrow_rules_are_no_way_out() {
    for rules in [
        "/run/web.sock rw,",
        "/dev/{null,zero} rw,",
        "/srv/** rw,\n  /usr/bin/web ix,",
        "capability chown,",
        "change_profile -> web//worker,",
        "mount options=(rw, bind) /srv/a/ -> /srv/b/,",
        "mount options=(rw, rslave) -> /,",
        "mount fstype=tmpfs -> /srv/tmp/,",
        "umount,",
        "pivot_root oldroot=/srv/old/ /srv/new/,",
        "ptrace (trace) peer=@{profile_name},",
        "ptrace (readby, tracedby),",
        "io_uring (sqpoll),",
        "dbus send bus=system path=/org/a interface=org.a peer=(name=org.a),",
        "signal (send) set=(term) peer=web,",
        "unix (connect) type=stream peer=(addr=@web),",
        "network inet stream,",
        "set rlimit nofile <= 100,",
        "/usr/bin/helper Px -> helper,",
        "link subset /srv/a -> /srv/b,",
        "mqueue (read) type=posix /web,",
        "include if exists <local/web>",
        "if defined @{NO} {\n    /dev/mem rw,\n  }",
        "if not defined @{PROC} {\n    /dev/mem rw,\n  } else {\n    /a r,\n  }",
    ] {
        assert_eq!(says(rules), [], "{rules}");
    }
}

#[test]
fn denials_count_with_their_priority() {
    for (rules, expected) in [
        (
            "/run/** rw,\n  deny /run/{docker,containerd,crio,podman,buildkit,libvirt,systemd,udev,nri,k3s,cri-dockerd}** w,\n  deny /run/dockershim.sock w,",
            vec![],
        ),
        (
            "/srv/** rwix,\n  deny /srv/** mx,",
            vec![(MEDIUM, "apparmor-deny-overlap")],
        ),
        (
            "priority=1 /srv/** rwix,\n  deny /srv/** mx,",
            vec![(HIGH, "apparmor-write-exec")],
        ),
        ("/srv/** rwix,\n  priority=1 /srv/** r,", vec![]),
        (
            "owner /srv/** rwix,\n  deny owner /srv/** w,",
            vec![(MEDIUM, "apparmor-deny-overlap")],
        ),
        (
            "capability,\n  deny capability,",
            vec![(MEDIUM, "apparmor-deny-overlap")],
        ),
        ("mount,\n  deny mount,", vec![]),
    ] {
        let found: Vec<_> = says(rules)
            .into_iter()
            .filter(|(_, id)| *id != "apparmor-deny-bypass")
            .collect();
        let expected: Vec<_> = expected
            .into_iter()
            .filter(|_| !rules.starts_with("capability"))
            .collect();
        assert_eq!(found, expected, "{rules}");
    }
}

#[test]
fn denials_of_names_are_got_around() {
    let bypasses = |rules: &str| -> Vec<String> {
        let report = report("a.profile", &profile(rules));
        let all = report.findings.into_iter();
        let all = all.filter(|it| it.id == "apparmor-deny-bypass");
        all.map(|it| it.message).collect()
    };
    for (rules, expected) in [
        (
            "file,\n  mount,\n  deny /proc/kcore r,",
            "mounted at another",
        ),
        ("file,\n  deny /srv/secret/key r,", "renaming /srv/secret/"),
        ("file,\n  deny /srv/secret/{,**} rw,", "renaming /srv/ "),
        (
            "/srv/** rw,\n  deny /srv/secret/key r,",
            "renaming /srv/secret/",
        ),
        (
            "file,\n  link /tmp/* -> /srv/**,\n  deny /srv/ rw,\n  deny /srv/key r,",
            "`link /tmp/* -> /srv/**`",
        ),
        (
            "/** rw,\n  deny /var/run/docker.sock w,",
            "/run/docker.sock is open",
        ),
        (
            "/** r,\n  deny owner /proc/1/environ r,",
            "only the file's owner",
        ),
        (
            "file,\n  deny /usr/bin/ssh x,",
            "its copy under another name",
        ),
    ] {
        let found = bypasses(rules);
        assert!(
            found.iter().any(|it| it.contains(expected)),
            "{rules}: {found:?}"
        );
    }
    for rules in [
        "/srv/data/** rw,\n  deny /srv/secret/key r,",
        "/srv/*/** rw,\n  deny /srv/secret/key r,",
        "file,\n  deny mount,\n  deny /proc/kcore r,",
        "/** r,\n  deny /srv/secret/key r,",
    ] {
        assert_eq!(bypasses(rules), [""; 0], "{rules}");
    }
}

/// A profile as the runtimes generate it: every file, and the denials that containers are used to.
#[test]
fn shape_of_the_runtimes_default_is_not_high() {
    let rules = "network,
  capability,
  file,
  umount,
  signal (receive) peer=unconfined,
  signal (send, receive) peer=web,
  ptrace (trace, read, tracedby, readby) peer=web,
  deny mount,
  deny @{PROC}/* w,
  deny @{PROC}/sys/[^k]** w,
  deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w,
  deny @{PROC}/{sysrq-trigger,kcore} rwklx,
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/kernel/security/** rwklx,";
    let found = says(rules);
    let worst = found.iter().map(|(severity, _)| *severity).max();
    assert_eq!(worst, Some(MEDIUM), "{found:?}");
    // One denial less, and more is open than in a container.
    for (denial, other, expected) in [
        ("deny mount,", "mount,", "`mount,`"),
        ("deny @{PROC}/sys/[^k]** w,", "", "`file,`"),
    ] {
        let weaker = profile(&rules.replace(denial, other));
        let all = report("a.profile", &weaker).findings;
        let is_there = |it: &Finding| it.severity == HIGH && it.message.contains(expected);
        assert!(all.iter().any(is_there), "{denial}: {all:#?}");
    }
}

#[test]
fn transitions_to_weaker_profiles_are_found() {
    let two = |rule: &str, flags: &str, other: &str| {
        found(&format!(
            "abi <abi/4.0>,\nprofile a {{\n  {rule}\n  profile child {flags} {{\n    {other}\n  }}\n}}\nprofile b {flags} {{\n  {other}\n}}\n"
        ))
    };
    let weaker = |all: Vec<(Severity, &'static str)>| {
        let ids = all.into_iter().map(|(_, id)| id);
        ids.filter(|id| ["apparmor-weaker-transition", "apparmor-change-profile"].contains(id))
            .count()
    };
    for rule in [
        "/bin/x Px -> b,",
        "/bin/x Cx -> child,",
        "change_profile -> b,",
    ] {
        assert_eq!(weaker(two(rule, "flags=(unconfined)", "")), 1, "{rule}");
        assert_eq!(weaker(two(rule, "flags=(complain)", "")), 1, "{rule}");
        assert_eq!(weaker(two(rule, "flags=(default_allow)", "")), 1, "{rule}");
        assert_eq!(weaker(two(rule, "", "/** rw,")), 1, "{rule}");
        assert_eq!(weaker(two(rule, "", "/a rw,")), 0, "{rule}");
    }
}

#[test]
fn flags_are_read() {
    for (flags, expected) in [
        ("flags=(attach_disconnected)", vec![]),
        (
            "flags=(attach_disconnected,mediate_deleted, kill.signal=term)",
            vec![],
        ),
        ("(complain)", vec![(HIGH, "apparmor-complain")]),
        ("xattrs=(security.a=\"b\")", vec![]),
        ("flags=(unconfined)", vec![(HIGH, "apparmor-complain")]),
        (
            "flags=(default_allow)",
            vec![(HIGH, "apparmor-allows-everything")],
        ),
        ("flags=(relaxed)", vec![(MEDIUM, "apparmor-not-understood")]),
    ] {
        let text = format!("abi <abi/4.0>,\nprofile a /bin/a {flags} {{\n  /a r,\n}}\n");
        assert_eq!(found(&text), expected, "{flags}");
    }
}

#[test]
fn included_files_and_aliases_count() {
    let includes = |name: &str| match name {
        "abstractions/engine" => {
            let text = "abi <abi/4.0>,\n  @{SOCKETS}/docker.sock rw,\n";
            Included::Files(vec![Input::new(name, text.into()).unwrap()])
        }
        "tunables/sockets" => {
            let text = "@{SOCKETS}=/run /srv/run\n";
            Included::Files(vec![Input::new(name, text.into()).unwrap()])
        }
        "abstractions/loop" => {
            let text = "include <abstractions/loop>\n";
            Included::Files(vec![Input::new(name, text.into()).unwrap()])
        }
        _ => Included::Missing,
    };
    let audit = |text: &str| {
        let input = Input::new("a", text.into()).unwrap();
        let context = Context::new(Abi::X86_64, KernelVersion::new(6, 1));
        let report = run(
            &[input],
            &Context {
                includes: &includes,
                ..context
            },
        );
        let findings = report.findings.into_iter();
        findings
            .map(|it| (it.place.line, it.id, it.message))
            .collect::<Vec<_>>()
    };
    let text = "abi <abi/4.0>,\ninclude <tunables/sockets>\nprofile a {\n  include <abstractions/engine>\n}\n";
    let found = audit(text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1), (4, "apparmor-engine-socket"));
    assert!(
        found[0].2.ends_with("(in abstractions/engine)"),
        "{found:?}"
    );
    let circle = "abi <abi/4.0>,\nprofile a {\n  include <abstractions/loop>\n}\n";
    assert_eq!(audit(circle)[0].1, "apparmor-not-included");
    let alias = "abi <abi/4.0>,\nalias /srv/ -> /dev/,\nprofile a {\n  /srv/mem rw,\n}\n";
    assert_eq!(audit(alias)[0].1, "apparmor-raw-device");
}

#[test]
fn recordings_show_missing_and_unused_rules() {
    use crate::{
        profile::apparmor::fixture::{empty, file, seen},
        recording::{FileAccess, Phase},
    };

    let mut recording = empty();
    recording.files = [
        ("/etc/web.conf", FileAccess::Read),
        ("/srv/data", FileAccess::Write),
        ("/usr/bin/tool", FileAccess::Execute),
    ]
    .map(|(path, access)| seen(file(path.as_bytes(), access), Phase::Run, "/usr/bin/web"))
    .to_vec();
    let audit = |rules: &str| {
        let input = Input::new("a", profile(rules).into()).unwrap();
        let context = Context {
            recordings: std::slice::from_ref(&recording),
            ..Context::new(Abi::X86_64, KernelVersion::new(6, 1))
        };
        let findings = run(&[input], &context).findings.into_iter();
        findings.map(|it| (it.id, it.message)).collect::<Vec<_>>()
    };
    let all = "/etc/web.conf r,\n  /srv/* w,\n  /usr/bin/tool ix,";
    assert_eq!(audit(all), []);
    let found = audit("/etc/web.conf r,\n  /srv/* w,");
    assert_eq!(
        found,
        [(
            "apparmor-breaks-workload",
            "the recorded workload needs /usr/bin/tool x".to_owned()
        )]
    );
    let found = audit(&format!("{all}\n  /opt/** r,"));
    assert_eq!(
        found,
        [(
            "apparmor-unused-rules",
            "1 of 4 rules for files were never used, first `/opt/** r`".to_owned()
        )]
    );
}

/// What a hostile file makes the audit do is bounded.
#[test]
fn hostile_profiles_are_given_up_in_time() {
    let many = |rule: &dyn Fn(usize) -> String| (0..300).map(rule).collect::<String>();
    for rules in [
        many(&|at| format!("/**{{a,b}}?*{at} rwix,\n")),
        many(&|at| format!("/** rw,\n deny /a/b/c{at} r,\n")),
        many(&|_| "file,\n network,\n capability,\n".to_owned()),
    ] {
        let begin = std::time::Instant::now();
        let all = says(&rules);
        assert!(!all.is_empty());
        assert!(begin.elapsed() < std::time::Duration::from_secs(120));
    }
}

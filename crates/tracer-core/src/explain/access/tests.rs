use super::*;
use crate::{
    profile::{
        apparmor::fixture::{empty, file, seen, web},
        seccomp::{ExecPolicy, fixture},
    },
    recording::{FileAccess, ObservationKind},
};
use syscalls::Abi;

fn subject(name: &str) -> Subject {
    Subject::parse(name).unwrap_or_else(|| panic!("{name}"))
}

/// With one call, without which there is no profile.
fn recording() -> Recording {
    let mut recording = web();
    let calls =
        fixture::recording(&[(Abi::X86_64, 0, Phase::Run, fixture::path("/usr/sbin/nginx"))]);
    recording.syscalls = calls.syscalls;
    recording
}

fn of(name: &str) -> AccessExplanation {
    access(&recording(), &Settings::default(), &subject(name)).unwrap()
}

fn rules(it: &AccessExplanation) -> Vec<(&str, &str)> {
    it.rules
        .iter()
        .map(|it| (it.layer, it.rule.as_str()))
        .collect()
}

#[test]
fn parses_names_of_every_kind() {
    use syscalls::capability::Capability;

    for (name, expected) in [
        ("/etc/passwd", Subject::File("/etc/passwd".into())),
        (
            "@{PROC}/@{pid}/stat",
            Subject::File("@{PROC}/@{pid}/stat".into()),
        ),
        (
            "CAP_NET_RAW",
            Subject::Capability(Capability::from_number(13)),
        ),
        ("net_raw", Subject::Capability(Capability::from_number(13))),
        ("CAP_KILL", Subject::Capability(Capability::from_number(5))),
        ("SIGTERM", Subject::Signal(15)),
        ("sigtstp", Subject::Signal(20)),
        ("SIGRTMIN+2", Subject::Signal(34)),
        ("AF_INET", Subject::Socket(2, None)),
        ("AF_INET, SOCK_STREAM", Subject::Socket(2, Some(1))),
        ("network inet6 dgram", Subject::Socket(10, Some(2))),
        ("af_local", Subject::Socket(1, None)),
    ] {
        assert_eq!(Subject::parse(name), Some(expected), "{name}");
    }
    for none in [
        "ptrcae",
        "",
        "SIGFOO",
        "SIG",
        "AF_NONE",
        "inet foo",
        "inet stream tcp",
        "CAP_",
    ] {
        assert_eq!(Subject::parse(none), None, "{none}");
    }
}

#[test]
fn file_shows_its_rule_and_users() {
    let conf = of("/etc/nginx/nginx.conf");
    assert!(conf.allowed);
    assert_eq!(rules(&conf), [("observed", "/etc/nginx/nginx.conf r,")]);
    assert_eq!(conf.seen[0].what, "reading /etc/nginx/nginx.conf");
    assert_eq!(
        conf.seen[0].by[0].executable,
        fixture::path("/usr/sbin/nginx")
    );
    assert_eq!(conf.seen[0].by[0].instances, 1);
    assert!(
        conf.without[0].contains("would return EACCES to /usr/sbin/nginx"),
        "{conf:?}"
    );
    let pid = of("/run/nginx.pid");
    assert_eq!(
        rules(&pid),
        [
            ("observed", "/run/nginx.pid r,"),
            ("observed", "owner /run/nginx.pid w,")
        ]
    );
    assert_eq!(pid.seen.len(), 3);
}

#[test]
fn path_behind_a_glob_shows_the_glob() {
    for name in ["/tmp/tmp.AbCdEfGhIj", "/tmp/tmp.0123456789"] {
        let it = of(name);
        assert_eq!(
            rules(&it),
            [("observed", "owner /tmp/tmp.?????????? w,")],
            "{name}"
        );
        assert!(
            it.rules[0].reasons[0].starts_with("a glob (temporary)"),
            "{it:?}"
        );
        assert_eq!(
            it.seen[0].what,
            "writing /tmp/tmp.AbCdEfGhIj (its own file)"
        );
        assert!(
            it.known[0].contains("more files than were observed"),
            "{it:?}"
        );
    }
    let other = of("/tmp/tmp.0123456789");
    assert!(
        other.rules[0].reasons[1].contains("was not seen; the rule stands for 1 path"),
        "{other:?}"
    );
    assert!(
        other.without[0].contains("nothing that was recorded"),
        "{other:?}"
    );
    // The rule itself may be asked about, as it stands in the profile.
    let rule = of("@{PROC}/@{pid}/stat");
    assert_eq!(rules(&rule), [("observed", "owner @{PROC}/@{pid}/stat r,")]);
    assert_eq!(
        of("/srv/new").rules[0].rule,
        "link subset /srv/new -> /srv/old,"
    );
}

#[test]
fn path_without_a_rule_says_why() {
    let why_not = |name: &str| {
        let it = of(name);
        assert!(!it.allowed, "{name}");
        it.why_not.unwrap()
    };
    assert!(why_not("/etc/shadow").contains("not observed"));
    assert!(why_not("/root/.bashrc").contains("--exec all"));
    assert!(why_not("/var/lib/overlay/x").contains("only the runtime"));
    assert!(of("/etc/shadow").known[0].contains("passwords"));
    assert!(why_not("CAP_SYS_ADMIN").contains("only checked whether"));
    assert!(why_not("CAP_SYS_PTRACE").contains("not observed"));
    assert!(why_not("AF_PACKET").contains("not observed"));
    // As the options say.
    let mut settings = Settings::default();
    settings.apparmor.exec = ExecPolicy::All;
    let all = access(&recording(), &settings, &subject("/root/.bashrc")).unwrap();
    assert!(all.allowed, "{all:?}");
}

#[test]
fn capability_shows_what_it_allows() {
    let bind = of("net_bind_service");
    assert_eq!(rules(&bind), [("observed", "capability net_bind_service,")]);
    assert_eq!(bind.known[0], "listen on ports below 1024");
    assert!(
        bind.without[0].contains("execve would return EPERM to /usr/sbin/nginx"),
        "{bind:?}"
    );
    assert!(
        of("CAP_SYS_ADMIN")
            .known
            .iter()
            .any(|it| it.contains("take over the machine"))
    );
}

#[test]
fn explains_sockets_and_signals() {
    let inet = of("AF_INET");
    assert_eq!(rules(&inet), [("observed", "network inet stream,")]);
    assert_eq!(inet.seen[0].what, "listened, inet stream");
    assert!(inet.known[0].contains("raw IP packets"), "{inet:?}");
    assert!(!of("inet stream").known[0].contains("raw"));
    assert_eq!(of("inet stream").what, "network inet stream");
    let term = of("SIGTERM");
    let layers: Vec<_> = term.rules.iter().map(|it| it.layer).collect();
    assert!(layers.contains(&"essential"), "{term:?}");
    assert_eq!(term.seen[0].what, "sent to a process of its own instance");
}

#[test]
fn unrecorded_kinds_are_refused() {
    let mut without = recording();
    without
        .providers
        .retain(|it| it.kind != ObservationKind::Signals);
    let refused = |recording: &Recording, name: &str| {
        access(recording, &Settings::default(), &subject(name))
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&without, "SIGTERM").starts_with("the recording has no signals"));
    without.providers.clear();
    assert!(refused(&without, "/etc/passwd").starts_with("the recording has no files"));
}

#[test]
fn directory_matches_without_its_trailing_slash() {
    let mut recording = empty();
    recording.syscalls = self::recording().syscalls;
    recording.files = vec![seen(
        file(b"/srv/", FileAccess::Read),
        Phase::Run,
        "/bin/ls",
    )];
    let it = access(&recording, &Settings::default(), &subject("/srv")).unwrap();
    assert_eq!(rules(&it), [("observed", "/srv/ r,")]);
}

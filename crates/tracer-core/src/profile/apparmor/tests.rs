use super::{fixture::*, *};
use crate::{
    profile::seccomp::fixture::{path, recording as seccomp_recording},
    recording::{FileAccess, FileUse, ObservationKind, Phase, Recording},
};
use syscalls::Abi;

fn profile(recording: &Recording, options: &Options) -> AppArmorProfile {
    AppArmorProfile::from_recordings(std::slice::from_ref(recording), options).unwrap()
}

fn text(recording: &Recording) -> String {
    profile(recording, &Options::default()).to_text()
}

#[test]
fn renders_a_server_profile() {
    insta::assert_snapshot!(text(&web()));
}

#[test]
fn sleep_profile_fits_on_one_screen() {
    let text = text(&sleep());
    assert!(text.lines().count() <= 24, "{text}");
    for word in ["capability", "runc/", "@{PROC}"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    insta::assert_snapshot!(text);
}

/// Where nothing looked for it, what was made of calls and files tells whether ptrace is left open.
#[test]
fn ptrace_stays_allowed_if_it_may_have_been_used() {
    let mut recording = sleep();
    recording
        .providers
        .retain(|provider| provider.kind != ObservationKind::Traces);
    assert!(!text(&recording).contains("ptrace,"));
    let reads = seen(
        file(b"/proc/1/maps", FileAccess::Read),
        Phase::Run,
        "/usr/bin/sleep",
    );
    let mut reading = recording.clone();
    reading.files.push(reads);
    assert!(text(&reading).contains("ptrace,"));
    let makes = |nr| {
        let mut calling = recording.clone();
        let call = (Abi::X86_64, nr, Phase::Run, path("/usr/bin/sleep"));
        calling.syscalls = seccomp_recording(&[call]).syscalls;
        text(&calling).contains("ptrace,")
    };
    assert!(makes(101), "ptrace");
    assert!(makes(157), "prctl for anything");
    assert!(!makes(35), "nanosleep");
}

#[test]
fn no_profile_without_file_accesses() {
    let mut recording = web();
    recording
        .providers
        .retain(|provider| provider.kind != ObservationKind::Files);
    assert_eq!(
        AppArmorProfile::from_recordings(&[recording], &Options::default()),
        None
    );
    assert_eq!(
        AppArmorProfile::from_recordings(&[], &Options::default()),
        None
    );
}

#[test]
fn unrecorded_kinds_stay_allowed() {
    let mut recording = web();
    recording
        .providers
        .retain(|provider| provider.kind == ObservationKind::Files);
    recording.capabilities.clear();
    let text = text(&recording);
    for rule in [
        "\n  capability,\n",
        "\n  network,\n",
        "\n  signal,\n",
        "\n  ptrace,\n",
    ] {
        assert!(text.contains(rule), "{rule} in {text}");
    }
}

#[test]
fn options_change_the_profile() {
    let options = Options {
        name: Some("other".to_owned()),
        complain: true,
        essential: false,
        ..Options::default()
    };
    let text = profile(&web(), &options).to_text();
    assert!(
        text.contains("profile \"other\" flags=(attach_disconnected,mediate_deleted,complain) {")
    );
    assert!(!text.contains("hardly ever"));
    assert!(text.contains("signal (send, receive) set=(term) peer=@{profile_name},"));
}

#[test]
fn owner_rule_needs_every_access_by_the_owner() {
    let owned = |path: &[u8], access| FileUse {
        owned: true,
        ..file(path, access)
    };
    let mut recording = empty();
    recording.files = [
        owned(b"/tmp/a", FileAccess::Read),
        owned(b"/tmp/b", FileAccess::Read),
        file(b"/tmp/b", FileAccess::Read),
        owned(b"/etc/passwd", FileAccess::Read),
        owned(b"/data/made", FileAccess::Create),
        owned(b"/tmp/", FileAccess::Read),
        owned(b"/tmp/lib.x", FileAccess::MapExecutable),
        owned(b"/tmp/c", FileAccess::Create),
        file(b"/tmp/c", FileAccess::Append),
    ]
    .map(|what| seen(what, Phase::Run, "/bin/x"))
    .to_vec();
    let text = text(&recording);
    for rule in [
        "\n  owner /tmp/a r,\n",
        "\n  /tmp/b r,\n",
        "\n  /etc/passwd r,\n",
        "\n  owner /data/made w,\n",
        "\n  /tmp/ r,\n",
        "\n  /tmp/lib.x mr,\n",
        "\n  /tmp/c w,\n",
    ] {
        assert!(text.contains(rule), "{rule} in {text}");
    }
}

#[test]
fn globs_do_not_make_executables_writable() {
    let mut recording = empty();
    let written = |name: String| file(format!("/srv/app/{name}").as_bytes(), FileAccess::Write);
    let more = |path: &[u8], access| FileUse {
        more: true,
        ..file(path, access)
    };
    let mut uses: Vec<_> = (b'a'..=b'r')
        .map(|c| written(char::from(c).to_string().repeat(3)))
        .collect();
    uses.push(file(b"/srv/app/run", FileAccess::Execute));
    uses.push(file(b"/srv/lib/x.so", FileAccess::MapExecutable));
    uses.push(more(b"/srv/lib/", FileAccess::Write));
    uses.push(more(b"/srv/lib/", FileAccess::Read));
    uses.push(more(b"/srv/plugins/", FileAccess::MapExecutable));
    recording.files = uses
        .into_iter()
        .map(|what| seen(what, Phase::Run, "/bin/x"))
        .collect();
    let profile = profile(&recording, &Options::default());
    for program in ["/srv/app/run", "/srv/lib/x.so"] {
        assert!(!profile.allows(&program.into(), Permissions::WRITE, true));
    }
    assert!(profile.allows(&"/srv/app/aaa".into(), Permissions::WRITE, true));
    assert!(profile.allows(&"/srv/lib/y".into(), Permissions::READ, true));
    assert!(!profile.allows(&"/srv/plugins/x.so".into(), Permissions::MAP, true));
    let lost: Vec<_> = profile.lost().map(|lost| lost.what.as_str()).collect();
    assert_eq!(
        lost,
        [
            "mapping more files in /srv/plugins/",
            "writing more files in /srv/lib/"
        ]
    );
    // Without the program, the glob is made.
    recording
        .files
        .retain(|seen| seen.what.access != FileAccess::Execute);
    let profile = self::profile(&recording, &Options::default());
    assert!(profile.allows(&"/srv/app/zzz".into(), Permissions::WRITE, true));
}

#[test]
fn newest_socket_families_are_rendered() {
    let socket = |family| crate::recording::SocketUse {
        family,
        kind: 3,
        protocol: 0,
        operation: crate::recording::SocketOperation::Create,
        address: None,
        more: false,
    };
    let mut recording = empty();
    recording.sockets = [44, 45, 46]
        .map(|family| seen(socket(family), Phase::Run, "/bin/x"))
        .to_vec();
    let profile = profile(&recording, &Options::default());
    let text = profile.to_text();
    assert!(
        text.contains("  network xdp raw,\n  network mctp raw,\n"),
        "{text}"
    );
    assert_eq!(profile.lost().count(), 1);
}

#[test]
fn invalid_signal_number_is_lost() {
    let signal = |signal| crate::recording::SignalUse {
        direction: crate::recording::SignalDirection::Send,
        signal,
        peer: crate::recording::Peer::Outside,
    };
    let mut recording = empty();
    recording.signals = vec![seen(signal(65), Phase::Run, "/bin/x")];
    let lone = profile(&recording, &Options::default());
    assert!(!lone.to_text().contains("set="), "{}", lone.to_text());
    assert!(lone.lost().any(|lost| lost.what == "signal 65"));
    recording
        .signals
        .push(seen(signal(64), Phase::Run, "/bin/x"));
    assert!(text(&recording).contains("set=(rtmin+32) peer=unconfined,"));
}

#[test]
fn link_that_gains_permissions_is_not_a_subset() {
    let link = |new: &[u8], old: &str| FileUse {
        target: Some(old.into()),
        ..file(new, FileAccess::Link)
    };
    let mut recording = empty();
    recording.files = [
        file(b"/a", FileAccess::Read),
        file(b"/b", FileAccess::Write),
        link(b"/b", "/a"),
        link(b"/c", "/a"),
    ]
    .map(|what| seen(what, Phase::Run, "/bin/x"))
    .to_vec();
    let text = text(&recording);
    assert!(
        text.contains("\n  link /b -> /a,\n  link subset /c -> /a,\n"),
        "{text}"
    );
}

#[test]
fn observation_order_does_not_matter() {
    let mut reversed = web();
    reversed.files.reverse();
    reversed.capabilities.reverse();
    reversed.signals.reverse();
    assert_eq!(text(&reversed), text(&web()));
}

#[test]
fn recording_order_does_not_matter() {
    let text = |recordings: &[Recording]| {
        let profile = AppArmorProfile::from_recordings(recordings, &Options::default());
        profile.unwrap().to_text()
    };
    assert_eq!(text(&[web(), sleep()]), text(&[sleep(), web()]));
    assert_eq!(text(&[web(), web()]), text(&[web()]));
}

#[test]
fn runtime_accesses_are_left_out() {
    let mut recording = web();
    let all: Vec<_> = recording.files.drain(..).collect();
    for (phase, expected) in [
        (Phase::Setup, false),
        (Phase::RuntimeInit, false),
        (Phase::Exec, true),
    ] {
        recording.files = all
            .iter()
            .filter(|seen| seen.what.access == FileAccess::Append)
            .map(|file| seen(file.what.clone(), phase, "/usr/sbin/runc"))
            .collect();
        assert_eq!(
            text(&recording).contains("access.log"),
            expected,
            "{phase:?}"
        );
    }
}

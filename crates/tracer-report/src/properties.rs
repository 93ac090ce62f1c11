//! What holds for the review of every recording.

use proptest::{collection::vec, prelude::*, sample::select};
use syscalls::Abi;
use tracer_core::{
    explain::{Settings, Subject, access},
    profile::{
        apparmor::fixture::web,
        seccomp::{
            Options, SeccompProfile,
            fixture::{Seen, path, recording},
        },
    },
    recording::{Executable, Phase},
};

use super::{access_explanation, review};

fn seen() -> impl Strategy<Value = Vec<Seen>> {
    let abi = select(vec![Abi::X86_64, Abi::I386]);
    let nr = prop_oneof![0_u32..480, Just(999), Just(u32::MAX)];
    let phase = select(vec![
        Phase::Run,
        Phase::Exec,
        Phase::RuntimeInit,
        Phase::Setup,
    ]);
    let executable = prop_oneof![
        "[a-z/|`\n]{0,8}".prop_map(|name| path(&name)),
        Just(Executable::Launcher),
        Just(Executable::Unknown),
    ];
    vec((abi, nr, phase, executable), 0..60)
}

fn shuffled() -> impl Strategy<Value = (Vec<Seen>, Vec<Seen>)> {
    seen().prop_flat_map(|seen| (Just(seen.clone()), Just(seen).prop_shuffle()))
}

fn review_of(seen: &[Seen], arch: Option<Abi>) -> String {
    let options = Options {
        arch,
        ..Options::default()
    };
    let recordings = [recording(seen)];
    let profile = SeccompProfile::from_recordings(&recordings, &options).unwrap();
    review(&recordings, &profile)
}

proptest! {
    #[test]
    fn order_of_observations_does_not_change_the_review((seen, shuffled) in shuffled()) {
        prop_assert_eq!(review_of(&seen, None), review_of(&shuffled, None));
    }

    #[test]
    fn native_architecture_does_not_change_the_review(seen in seen()) {
        prop_assert_eq!(review_of(&seen, None), review_of(&seen, Some(Abi::X86_64)));
    }

    #[test]
    fn review_is_plain_text_for_any_name(seen in seen()) {
        let text = review_of(&seen, None);
        prop_assert!(text.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic()));
        // A table row has as many cells as its heading, so no name has added one.
        let mut width = 0;
        for line in text.lines() {
            let cells = line.matches(" | ").count();
            if !line.starts_with('|') {
                width = 0;
            } else if width == 0 {
                width = cells;
            } else {
                prop_assert_eq!(cells, width, "{}", line);
            }
        }
    }
}

#[test]
fn explanation_of_a_hostile_path_is_one_line() {
    let mut recording = web();
    recording.syscalls = tracer_core::profile::seccomp::fixture::recording(&[(
        Abi::X86_64,
        0,
        Phase::Run,
        path("/usr/sbin/nginx"),
    )])
    .syscalls;
    let explain = |name: &str| {
        let subject = Subject::parse(name).unwrap();
        access(&recording, &Settings::default(), &subject).unwrap()
    };
    let it = explain("/srv/a\n/etc/shadow rw,");
    assert!(it.allowed);
    let text = access_explanation(&it);
    assert!(!text.contains("\n/etc/shadow"), "{text}");
    let it = explain("/srv/\\xff\u{1b}[2J");
    assert!(it.allowed, "{it:?}");
    assert!(!access_explanation(&it).contains('\u{1b}'));
}

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    Shadow,
    tests::{HOST, seccomp},
};
use crate::{
    profile::seccomp::{
        fixture::{path, recording},
        oci::OciSeccomp,
    },
    recording::{Losses, Phase},
    verify::{Answer, Enforced, VerifyInput, verify},
};
use syscalls::{Abi, runtime_init::RuntimeSelection};

proptest! {
    /// What shadow denies of a recording is what verify denies of it.
    #[test]
    fn shadow_agrees_with_verify(
        made in proptest::collection::btree_set(0_u32..335, 1..20),
        allowed in proptest::collection::btree_set(0_u32..335, 0..20),
        errno in prop_oneof![Just(1_u32), Just(38)],
    ) {
        let named = |nr: &&u32| Abi::X86_64.syscall_name(**nr).is_some();
        let seen: Vec<_> = made
            .iter()
            .filter(named)
            .map(|nr| (Abi::X86_64, *nr, Phase::Run, path("/bin/a")))
            .collect();
        let recording = recording(&seen);
        let names: Vec<_> = allowed
            .iter()
            .filter_map(|nr| Abi::X86_64.syscall_name(*nr))
            .chain(["exit_group"])
            .collect();
        let json = serde_json::json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": errno,
            "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}],
        })
        .to_string();
        let mut shadow = Shadow::new(vec![seccomp(&json)], Vec::new());
        let events = shadow.take_last(&recording, &Losses::default());
        let shadowed: BTreeSet<_> = events.into_iter().filter_map(|it| it.what).collect();
        let report = verify(&VerifyInput {
            profiles: vec![Enforced { profile: OciSeccomp::from_json(&json).unwrap(), host: HOST }],
            recordings: vec![("it".to_owned(), &recording)],
            runtime_init: RuntimeSelection::None,
            no_new_privileges: None,
            terminal: true,
        });
        let findings = report.recordings[0].findings.iter();
        let denied: BTreeSet<_> = findings
            .filter(|it| it.answer == Answer::Denied)
            .map(|it| it.call.clone())
            .collect();
        prop_assert_eq!(shadowed, denied);
    }
}

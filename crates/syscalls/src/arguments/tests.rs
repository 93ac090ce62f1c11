use std::collections::BTreeSet;

use super::*;

fn says(name: &str, values: &[u64]) -> String {
    recorded(Abi::X86_64, name).unwrap().describe(values)
}

#[test]
fn recorded_calls_exist_once() {
    let mut seen = BTreeSet::new();
    for name in RECORDED_ARGUMENTS
        .iter()
        .flat_map(|recorded| recorded.names)
    {
        assert!(seen.insert(name), "{name} twice");
        assert!(
            Abi::ALL
                .iter()
                .any(|abi| abi.syscall_number(name).is_some()),
            "{name}"
        );
    }
    // The kernel side has so many numbers for both ABIs.
    assert!(2 * seen.len() <= MAX_RECORDED);
}

#[test]
fn arguments_are_sorted_and_in_range() {
    for recorded in RECORDED_ARGUMENTS {
        let indices = recorded.indices();
        assert!(indices.is_sorted_by(|a, b| a < b), "{recorded:?}");
        assert!(indices.iter().all(|index| *index < 3), "{recorded:?}");
        for argument in recorded.arguments {
            assert_ne!(argument.mask, 0);
        }
        assert_eq!(
            recorded.select_values([1, 2, 3]).len(),
            recorded.arguments.len()
        );
    }
}

#[test]
fn values_have_symbolic_names() {
    for (name, values, text) in [
        ("socket", &[2, 1, 0][..], "AF_INET, SOCK_STREAM"),
        ("socket", &[10, 2, 17], "AF_INET6, SOCK_DGRAM, IPPROTO_UDP"),
        ("socket", &[16, 3, 9], "AF_NETLINK, SOCK_RAW, NETLINK_AUDIT"),
        ("socket", &[99, 77, 5], "99, 77, 5"),
        (
            "clone",
            &[0x3d_0f00],
            "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID",
        ),
        ("clone", &[17], "SIGCHLD"),
        ("clone", &[0x1000_0011], "CLONE_NEWUSER|SIGCHLD"),
        (
            "clone3",
            &[0x3_0000_0000],
            "CLONE_CLEAR_SIGHAND|CLONE_INTO_CGROUP",
        ),
        ("unshare", &[0x80], "CLONE_NEWTIME"),
        ("unshare", &[0], "0"),
        ("setns", &[0], "any namespace"),
        ("setns", &[0x4000_0000], "CLONE_NEWNET"),
        ("personality", &[0xffff_ffff], "only asked for"),
        ("prctl", &[15], "PR_SET_NAME"),
        ("prctl", &[0x5356_4d41], "PR_SET_VMA"),
        ("prctl", &[12345], "0x3039"),
        ("ioctl", &[0x5401], "TCGETS"),
        ("ioctl", &[0x4b01], "0x4b01"),
        ("ioctl", &[0xae01_4d02], "0xae014d02 ('M' 2)"),
        ("fcntl", &[1030], "F_DUPFD_CLOEXEC"),
        ("setsockopt", &[6, 1], "IPPROTO_TCP, TCP_NODELAY"),
        ("setsockopt", &[1, 2], "SOL_SOCKET, SO_REUSEADDR"),
        ("mprotect", &[4], "PROT_EXEC"),
        ("mmap", &[0], "without PROT_EXEC"),
        ("ptrace", &[0x4206], "PTRACE_SEIZE"),
        ("madvise", &[8], "MADV_FREE"),
        ("arch_prctl", &[0x1002], "ARCH_SET_FS"),
    ] {
        assert_eq!(says(name, values), text, "{name}");
    }
}

#[test]
fn i386_multiplexed_calls_are_told_apart() {
    let of = |name| recorded(Abi::I386, name);
    assert_eq!(of("socketcall").unwrap().describe(&[3]), "connect");
    assert_eq!(of("ipc").unwrap().describe(&[21]), "shmat");
    assert_eq!(of("mmap"), None, "its arguments are in memory");
    assert!(of("mmap2").is_some() && recorded(Abi::X86_64, "mmap").is_some());
    assert_eq!(recorded(Abi::X32, "socket"), None);
    assert_eq!(recorded(Abi::X86_64, "read"), None);
}

/// What a call is restricted to, in words.
fn restricted(name: &str, mode: Mode, seen: &[&[u64]]) -> Result<Vec<String>, &'static str> {
    let recorded = recorded(Abi::X86_64, name).unwrap();
    match recorded.restriction(mode, seen.iter().copied()) {
        Restriction::Open(reason) => Err(reason),
        Restriction::Only(only) => {
            for it in &only {
                for condition in it.conditions.iter() {
                    assert!(condition.index < 3, "{name}");
                }
            }
            Ok(only.into_iter().map(|it| it.when).collect())
        }
    }
}

/// Whether a call with these arguments passes.
fn passes(name: &str, mode: Mode, seen: &[&[u64]], arguments: [u64; 3]) -> bool {
    let [a, b, c] = arguments;
    let recorded = recorded(Abi::X86_64, name).unwrap();
    match recorded.restriction(mode, seen.iter().copied()) {
        Restriction::Open(_) => true,
        Restriction::Only(only) => {
            let arguments = [a, b, c, 0, 0, 0];
            only.iter().any(|it| it.conditions.are_met_by(&arguments))
        }
    }
}

#[test]
fn sockets_are_restricted_by_family_and_type() {
    let tcp: &[u64] = &[2, 1, 0];
    let route: &[u64] = &[16, 3, 0];
    let packet: &[u64] = &[17, 3, 0x300];
    let seen = [tcp, route, packet];
    let passes = |arguments| passes("socket", Mode::Safe, &seen, arguments);
    // SOCK_CLOEXEC and SOCK_NONBLOCK are nobody's concern, nor what lies above an int.
    for arguments in [
        [2, 1, 6],
        [10, 2 | 0x8_0800, 0],
        [1, 5, 0],
        [16, 2, 0],
        [17, 3, 0],
        [0x1_0000_0002, 1, 0],
    ] {
        assert!(passes(arguments), "{arguments:?}");
    }
    for arguments in [[2, 3, 1], [16, 3, 9], [17, 2, 0], [38, 5, 0], [40, 1, 0]] {
        assert!(!passes(arguments), "{arguments:?}");
    }
    let exactly = restricted("socket", Mode::All, &[tcp]);
    let words = "its family is AF_INET and its type is SOCK_STREAM and its protocol is 0";
    assert_eq!(exactly.unwrap(), [words]);
}

#[test]
fn unobserved_namespace_flags_are_denied() {
    let thread: &[u64] = &[0x3d_0f00];
    let sandbox: &[u64] = &[0x1000_0000 | 17];
    let only = restricted("clone", Mode::Safe, &[thread]).unwrap();
    assert_eq!(only, ["it makes no namespace"]);
    assert!(passes("clone", Mode::Safe, &[thread], [17, 0, 0]));
    for flag in [
        0x2_0000_u64,
        0x0200_0000,
        0x0400_0000,
        0x0800_0000,
        0x1000_0000,
        0x2000_0000,
        0x4000_0000,
    ] {
        assert!(!passes("clone", Mode::Safe, &[thread], [flag | 17, 0, 0]));
    }
    let seen = [thread, sandbox];
    assert!(passes("clone", Mode::Safe, &seen, [0x1000_0000, 0, 0]));
    assert!(!passes("clone", Mode::Safe, &seen, [0x3000_0000, 0, 0]));
    assert!(!passes("unshare", Mode::Safe, &[&[0x200]], [0x80, 0, 0]));
}

#[test]
fn variable_arguments_are_left_open_with_a_reason() {
    for name in [
        "ioctl",
        "fcntl",
        "setsockopt",
        "mmap",
        "mprotect",
        "madvise",
        "arch_prctl",
    ] {
        let reason = restricted(name, Mode::Safe, &[&[1, 2]]).unwrap_err();
        assert!(
            reason.contains("depend") || reason.contains("differ"),
            "{name}: {reason}"
        );
    }
    for recorded in RECORDED_ARGUMENTS {
        assert!(recorded.unrestricted_reason(Mode::Off).is_some());
        assert!(recorded.varies.is_none_or(|reason| !reason.ends_with('.')));
    }
    assert!(restricted("clone3", Mode::All, &[&[17]]).is_err());
    assert!(restricted("setns", Mode::All, &[&[0]]).is_err());
    // Both are all there is.
    assert_eq!(
        restricted("mprotect", Mode::All, &[&[4]]),
        Err("it was seen with and without")
    );
    let only = restricted("mprotect", Mode::All, &[&[0]]).unwrap();
    assert_eq!(only, ["the memory cannot be executed"]);
}

#[test]
fn libc_internal_values_are_allowed() {
    assert!(passes("prctl", Mode::Safe, &[&[38]], [15, 0, 0]));
    assert!(passes("prctl", Mode::Safe, &[&[38]], [38, 0, 0]));
    assert!(!passes("prctl", Mode::Safe, &[&[38]], [22, 0, 0]));
    assert!(passes(
        "personality",
        Mode::Safe,
        &[&[0]],
        [0xffff_ffff, 0, 0]
    ));
    assert!(!passes(
        "personality",
        Mode::Safe,
        &[&[0]],
        [0x4_0000, 0, 0]
    ));
}

#[test]
fn observed_and_added_values_are_told_apart() {
    let of = |name, seen: &[u64]| {
        let restriction = recorded(Abi::X86_64, name)
            .unwrap()
            .restriction(Mode::Safe, [seen]);
        let Restriction::Only(only) = restriction else {
            panic!("{name} is open");
        };
        let told = |unseen| only.iter().filter(move |it| it.unseen == unseen).count();
        (told(false), told(true))
    };
    // Local sockets, and IPv6 and datagrams.
    assert_eq!(of("socket", &[2, 1, 0]), (1, 4));
    assert_eq!(of("socket", &[1, 1, 0]), (1, 0));
    assert_eq!(of("prctl", &[15]), (1, 2));
    assert_eq!(of("prctl", &[38]), (1, 3));
    assert_eq!(of("clone", &[17]), (1, 0));
}

#[test]
fn large_value_sets_are_left_open() {
    let values: Vec<[u64; 1]> = (0..40).map(|value| [value]).collect();
    let seen: Vec<&[u64]> = values.iter().map(<[u64; 1]>::as_slice).collect();
    assert_eq!(
        restricted("ioctl", Mode::All, &seen[..32]).unwrap().len(),
        32
    );
    let reason = restricted("ioctl", Mode::All, &seen).unwrap_err();
    assert!(reason.contains("more than 32"), "{reason}");
}

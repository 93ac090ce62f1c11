use std::collections::BTreeSet;

use tracer_ebpf::MAX_WATCHES;

use super::*;

fn says(name: &str, values: &[u64]) -> String {
    recorded(Abi::X86_64, name).unwrap().describe(values)
}

#[test]
fn every_call_exists_and_is_there_once() {
    let mut seen = BTreeSet::new();
    for name in RECORDED.iter().flat_map(|recorded| recorded.names) {
        assert!(seen.insert(name), "{name} twice");
        assert!(
            Abi::ALL
                .iter()
                .any(|abi| abi.syscall_number(name).is_some()),
            "{name}"
        );
    }
    // The kernel side has so many numbers for both ABIs.
    assert!(2 * seen.len() <= MAX_WATCHES);
}

#[test]
fn arguments_are_in_order_and_within_what_the_kernel_side_reads() {
    for recorded in RECORDED {
        let indices = recorded.indices();
        assert!(indices.is_sorted_by(|a, b| a < b), "{recorded:?}");
        assert!(indices.iter().all(|index| *index < 3), "{recorded:?}");
        for argument in recorded.arguments {
            assert_ne!(argument.mask, 0);
            let watch = recorded.watch(7);
            assert_eq!(watch.masks[argument.index as usize], argument.mask);
        }
        assert_eq!(recorded.pick([1, 2, 3]).len(), recorded.arguments.len());
    }
}

#[test]
fn values_have_the_manuals_names() {
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
fn what_i386_does_in_one_call_is_told_apart() {
    let of = |name| recorded(Abi::I386, name);
    assert_eq!(of("socketcall").unwrap().describe(&[3]), "connect");
    assert_eq!(of("ipc").unwrap().describe(&[21]), "shmat");
    assert_eq!(of("mmap"), None, "its arguments are in memory");
    assert!(of("mmap2").is_some() && recorded(Abi::X86_64, "mmap").is_some());
    assert_eq!(recorded(Abi::X32, "socket"), None);
    assert_eq!(recorded(Abi::X86_64, "read"), None);
}

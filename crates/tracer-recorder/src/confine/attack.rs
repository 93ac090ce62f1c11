//! What whoever takes tracer over would try: for the tests, which ask for it by a variable in tracer's environment.

use std::{
    fs::OpenOptions, io, net::UdpSocket, os::unix::process::CommandExt as _, path::Path,
    process::Command,
};

/// Names the file that is to be attacked, in tracer's environment.
pub const VARIABLE: &str = "TRACER_ATTACK";

/// Tries it all on the calling thread, and says how each went. `victim` is a file that must not be written to.
pub fn attempt(victim: &Path) -> Vec<(&'static str, io::Result<()>)> {
    vec![
        (
            "write",
            OpenOptions::new().write(true).open(victim).map(drop),
        ),
        ("create", {
            let beside = victim.with_extension("new");
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(beside)
                .map(drop)
        }),
        ("socket", UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("ptrace", {
            // SAFETY: a system call without pointers.
            answer(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) })
        }),
        ("bpf", {
            // BPF_PROG_LOAD. SAFETY: the kernel reads nothing of a struct without a size.
            let loaded = unsafe { libc::syscall(libc::SYS_bpf, 5, std::ptr::null::<u8>(), 0) };
            answer(loaded)
        }),
        ("mount", {
            // Of something that is not there. SAFETY: the texts end in a zero and outlive the call.
            let mounted = unsafe {
                libc::syscall(
                    libc::SYS_mount,
                    c"/no".as_ptr(),
                    c"/no".as_ptr(),
                    0,
                    4096,
                    0,
                )
            };
            answer(mounted)
        }),
        // Of a program that is not there: otherwise it would not come back when it is not refused.
        ("exec", Err(Command::new("/no/such/program").exec())),
    ]
}

fn answer(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

//! Short visits to many cgroups: a process is born in the cgroup, makes a few calls and ends.

use std::{ffi::CString, fs::File, os::fd::AsRawFd, os::unix::ffi::OsStrExt, path::Path};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::Pid,
};

/// `CLONE_INTO_CGROUP` (include/uapi/linux/sched.h); libc's constant is too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A visit to `cgroup` by a process that runs `program`, or, without one, makes two calls.
///
/// The process is born there and not moved there, for a move waits for all CPUs.
pub(crate) fn visit(cgroup: &Path, program: Option<&Path>) -> Result<()> {
    let directory = File::open(cgroup).with_context(|| format!("cannot open {cgroup:?}"))?;
    let program = program
        .map(|program| CString::new(program.as_os_str().as_bytes()))
        .transpose()
        .context("a path with a NUL")?;
    let argv = [
        program.as_deref().map_or(std::ptr::null(), |p| p.as_ptr()),
        std::ptr::null(),
    ];
    // SAFETY: plain data, for which zero means "not wanted".
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = u64::try_from(libc::SIGCHLD)?;
    args.cgroup = u64::try_from(directory.as_raw_fd())?;
    // SAFETY: without CLONE_VM this is a fork; the child makes system calls only, of which each is
    // async-signal-safe, and never returns.
    let pid = unsafe {
        let pid = libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args));
        if pid == 0 {
            if argv[0].is_null() {
                libc::getppid();
            } else {
                libc::execv(argv[0], argv.as_ptr());
            }
            libc::_exit(i32::from(!argv[0].is_null()));
        }
        pid
    };
    let pid = i32::try_from(nix::errno::Errno::result(pid)?)?;
    let status = waitpid(Pid::from_raw(pid), None).context("cannot wait for a visitor")?;
    ensure!(
        matches!(status, WaitStatus::Exited(_, 0)),
        "a visitor of {cgroup:?} ended with {status:?}"
    );
    Ok(())
}

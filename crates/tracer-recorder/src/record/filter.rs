//! Loading a seccomp filter, between fork and exec.

use std::io;

use libc::{sock_filter, sock_fprog};

use tracer_core::profile::seccomp::evaluate::Instruction;

/// The program as the kernel takes it.
pub(super) fn kernels(program: &[Instruction]) -> Vec<sock_filter> {
    program
        .iter()
        .map(|it| sock_filter {
            code: it.code,
            jt: it.jump_true,
            jf: it.jump_false,
            k: it.constant,
        })
        .collect()
}

/// Puts the calling thread, and those that it starts, under a filter.
pub(crate) fn load_filter(program: &[Instruction]) -> io::Result<()> {
    load(&kernels(program))
}

/// Puts the calling thread under the filter (seccomp(2), `SECCOMP_SET_MODE_FILTER`). Nothing but one
/// system call.
pub(super) fn load(program: &[sock_filter]) -> io::Result<()> {
    let program = sock_fprog {
        // The program was made for at most 4,096 instructions.
        len: u16::try_from(program.len()).unwrap_or(u16::MAX),
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads as many instructions as there are, and writes none.
    let loaded = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    if loaded == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

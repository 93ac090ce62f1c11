//! The kernel's helper functions, by aya's names.

use tracer_abi::COMM_LEN;

use super::{configuration, cpu, memory};

/// `-EFAULT`.
const EFAULT: i32 = -14;

pub(crate) fn bpf_get_current_pid_tgid() -> u64 {
    let (config, task) = (configuration(), cpu::task() as *const u8);
    // SAFETY: numbers.
    let (tgid, pid) = unsafe {
        (
            super::field::<u32>(task, config.task_tgid),
            super::field::<u32>(task, config.task_pid),
        )
    };
    u64::from(tgid) << 32 | u64::from(pid)
}

pub(crate) unsafe fn bpf_get_current_cgroup_id() -> u64 {
    cpu::pause();
    let (config, task) = (configuration(), cpu::task() as *const u8);
    // SAFETY: numbers, and addresses in fake memory.
    unsafe {
        let set = super::field::<*const u8>(task, config.task_cgroups);
        let cgroup = super::field::<*const u8>(set, config.css_set_dfl_cgrp);
        let node = super::field::<*const u8>(cgroup, config.cgroup_kn);
        super::field(node, config.kernfs_id)
    }
}

pub(crate) unsafe fn bpf_get_current_task() -> u64 {
    cpu::task()
}

pub(crate) unsafe fn bpf_probe_read_kernel<T>(from: *const T) -> Result<T, i32> {
    cpu::pause();
    // SAFETY: as the caller says.
    unsafe { memory::read(from as u64) }.ok_or(EFAULT)
}

pub(crate) unsafe fn bpf_probe_read_user<T>(from: *const T) -> Result<T, i32> {
    // SAFETY: as the caller says. User space's words lie in the same memory.
    unsafe { bpf_probe_read_kernel(from) }
}

pub(crate) unsafe fn bpf_probe_read_kernel_str_bytes(
    from: *const u8,
    into: &mut [u8],
) -> Result<&[u8], i32> {
    let mut len = 0;
    while len + 1 < into.len() {
        // SAFETY: a byte.
        let byte: u8 = unsafe { memory::read(from as u64 + len as u64) }.ok_or(EFAULT)?;
        if byte == 0 {
            break;
        }
        into[len] = byte;
        len += 1;
    }
    into[len] = 0;
    Ok(&into[..len])
}

pub(crate) unsafe fn bpf_ktime_get_ns() -> u64 {
    crate::machine::tick()
}

pub(crate) fn bpf_get_current_comm() -> Result<[u8; COMM_LEN], i32> {
    let mut comm = [0; COMM_LEN];
    let name = format!("t{}", bpf_get_current_pid_tgid() >> 32);
    for (byte, letter) in comm.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    Ok(comm)
}

/// Those that aya has no better form of.
pub(crate) mod generated {
    use core::ffi::c_void;

    use super::{EFAULT, memory};

    pub(crate) use super::bpf_ktime_get_ns;

    pub(crate) unsafe fn bpf_probe_read_kernel(
        into: *mut c_void,
        len: u32,
        from: *const c_void,
    ) -> i64 {
        // SAFETY: as the caller says.
        unsafe {
            if memory::copy(from as u64, into.cast(), len as usize) {
                return 0;
            }
            into.cast::<u8>().write_bytes(0, len as usize);
        }
        i64::from(EFAULT)
    }

    pub(crate) unsafe fn bpf_probe_read_user(
        into: *mut c_void,
        len: u32,
        from: *const c_void,
    ) -> i64 {
        // SAFETY: as the caller says.
        unsafe { bpf_probe_read_kernel(into, len, from) }
    }

    pub(crate) unsafe fn bpf_probe_read_kernel_str(
        into: *mut c_void,
        len: u32,
        from: *const c_void,
    ) -> i64 {
        // SAFETY: as the caller says.
        let into = unsafe { core::slice::from_raw_parts_mut(into.cast::<u8>(), len as usize) };
        // SAFETY: as the caller says.
        match unsafe { super::bpf_probe_read_kernel_str_bytes(from.cast(), into) } {
            Ok(bytes) => i64::try_from(bytes.len()).unwrap_or(0) + 1,
            Err(error) => i64::from(error),
        }
    }

    pub(crate) unsafe fn bpf_probe_read_user_str(
        into: *mut c_void,
        len: u32,
        from: *const c_void,
    ) -> i64 {
        // SAFETY: as the caller says.
        unsafe { bpf_probe_read_kernel_str(into, len, from) }
    }

    pub(crate) unsafe fn bpf_get_current_comm(into: *mut c_void, len: u32) -> i64 {
        let comm = super::bpf_get_current_comm().unwrap_or_default();
        let len = comm.len().min(len as usize);
        // SAFETY: as the caller says.
        unsafe { core::ptr::copy_nonoverlapping(comm.as_ptr(), into.cast(), len) };
        0
    }

    /// Nobody called the programs of the simulation but the simulation.
    pub(crate) unsafe fn bpf_get_stack(
        _context: *mut c_void,
        _into: *mut c_void,
        _len: u32,
        _flags: u64,
    ) -> i64 {
        0
    }

    pub(crate) unsafe fn bpf_snprintf(
        into: *mut core::ffi::c_char,
        len: u32,
        _format: *const core::ffi::c_char,
        _words: *mut u64,
        _words_len: u32,
    ) -> i64 {
        if len == 0 {
            return 0;
        }
        // SAFETY: as the caller says.
        unsafe { into.write(0) };
        1
    }

    pub(crate) unsafe fn bpf_loop(
        turns: u32,
        step: *mut c_void,
        context: *mut c_void,
        _flags: u64,
    ) -> i64 {
        // SAFETY: the callers hand over functions of this form.
        let step = unsafe {
            core::mem::transmute::<*mut c_void, unsafe extern "C" fn(u32, *mut c_void) -> i64>(step)
        };
        for turn in 0..turns {
            // SAFETY: as the caller says.
            if unsafe { step(turn, context) } != 0 {
                return i64::from(turn) + 1;
            }
        }
        i64::from(turns)
    }
}

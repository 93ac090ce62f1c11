//! The programs that run in the kernel, one file a hook family:
//!
//! - [`syscalls`]: `sys_enter`, the hot path;
//! - [`blocked`]: `sys_exit`, and what a filter stopped;
//! - [`processes`]: fork, exec and exit, which give each task its executable and its phase;
//! - [`cgroups`]: which cgroups are recorded, and who moves between them;
//! - [`accesses`]: files, capabilities, sockets and signals, by many hooks.
//!
//! [`tasks`] finds the row of marks of the running task, [`slots`] keeps it; [`events`] does what a
//! new observation does, [`notices`] tells of containers; [`maps`] holds the state of all of them.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod accesses;
mod accounts;
mod arguments;
mod blocked;
mod cgroups;
mod counters;
mod events;
mod kernel;
mod maps;
mod notices;
mod platform;
mod processes;
mod slots;
mod syscalls;
mod tasks;

/// Some helpers, `bpf_probe_read_kernel` among them, are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

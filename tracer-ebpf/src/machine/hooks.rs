//! The programs, called as the kernel's hooks call them: by the running task of this CPU, and not
//! interrupted on this CPU.

use super::{
    objects::{Cgroup, Entry, Task, text},
    run_task,
};
use crate::{
    accesses, blocked, cgroups, platform::host::memory, platform::host::programs::Context,
    processes, syscalls,
};

/// A call begins, and no filter stops it: `sys_enter`.
pub fn sys_enter(task: Task, number: u32, entry: Entry, arguments: [u64; 6]) {
    task.enter(number, entry, arguments);
    run_task(task.address());
    let sign_extended = i64::from(number.cast_signed()).cast_unsigned();
    syscalls::sys_enter(Context::new(&[task.registers(), sign_extended]));
}

/// The running call of a task ends: `sys_exit`.
pub fn sys_exit(task: Task, returned: i64) {
    task.set_returned(returned);
    run_task(task.address());
    blocked::sys_exit(Context::new(&[task.registers(), returned.cast_unsigned()]));
}

/// `sched_process_fork`, in the parent.
pub fn fork(parent: Task, child: Task) {
    run_task(parent.address());
    processes::fork(Context::new(&[parent.address(), child.address()]));
}

/// `sched_process_exec`, in the task that executes a program, which had the thread id `old`.
pub fn exec(task: Task, old: u32, path: &[u8]) {
    let path = text(path);
    let binprm = memory::allocate(24);
    memory::write(binprm, [path, 0, path]);
    run_task(task.address());
    processes::exec(Context::new(&[task.address(), u64::from(old), binprm]));
}

/// `sched_process_exit`, in the task that ends.
pub fn exit(task: Task) {
    run_task(task.address());
    processes::exit(Context::new(&[task.address()]));
}

/// `cgroup_mkdir`, by a task.
pub fn mkdir(by: Task, cgroup: Cgroup, path: &[u8]) {
    run_task(by.address());
    cgroups::mkdir(Context::new(&[cgroup.address(), text(path)]));
}

/// `cgroup_rmdir`, by a task.
pub fn rmdir(by: Task, cgroup: Cgroup) {
    run_task(by.address());
    cgroups::rmdir(Context::new(&[cgroup.address(), 0]));
}

/// `cgroup_attach_task`, by a task that moved the process of another, whose first thread is told.
pub fn attach(by: Task, cgroup: Cgroup, leader: Task) {
    run_task(by.address());
    cgroups::attach_task(Context::new(&[cgroup.address(), 0, leader.address(), 1]));
}

/// The hook `file_open` of the security modules, in the task that opens a `struct file`.
pub fn file_open(task: Task, file: u64) {
    run_task(task.address());
    accesses::hooks::file_open(Context::new(&[file, 0]));
}

//! Fork, exec and exit: they give each process the executable and the phase that its calls are filed
//! under, and take away the slots that no longer hold.

use tracer_abi::{
    CgroupEntry, EXE_LAUNCHER, ExecutablePath, NoticeKind, PATH_LEN, Phase, ProcessEntry, Quota,
    kind,
};

use crate::{
    accounts, blocked, cgroups,
    counters::count,
    kernel::{field, low},
    maps::{self, config},
    notices,
    platform::{
        SharedMut as _,
        bindings::{BPF_ANY, BPF_NOEXIST},
        debug,
        helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel_str_bytes},
        mutated,
        programs::BtfTracePointContext,
    },
    slots, tasks,
};

/// `(struct task_struct *parent, struct task_struct *child)` (include/trace/events/sched.h).
/// `kernel_clone` calls it before it wakes the child, for threads and kernel threads too.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "sched_process_fork")
)]
pub(crate) fn fork(ctx: BtfTracePointContext) -> i32 {
    let child: *const u8 = ctx.arg(1);
    // SAFETY: the tracepoint's typed argument.
    let (stack, tgid, tid, filter) = unsafe {
        (
            field::<u64>(child, config!(task_stack)),
            field::<u32>(child, config!(task_tgid)),
            field::<u32>(child, config!(task_pid)),
            field::<u64>(child, config!(task_seccomp_filter)),
        )
    };
    if !mutated!(StackKeepsSlot) {
        slots::drop_slot(stack);
    }

    let parent_tgid = low(bpf_get_current_pid_tgid() >> 32);
    let is_thread = tgid == parent_tgid;
    if is_thread && filter == 0 {
        return 0;
    }
    // Not the parent's cgroup: `clone3(CLONE_INTO_CGROUP)` puts a child elsewhere without any move.
    // SAFETY: pointer fields of the tracepoint's typed argument.
    let entry = unsafe {
        let set = field::<*const u8>(child, config!(task_cgroups));
        let cgroup = field::<*const u8>(set, config!(css_set_dfl_cgrp));
        match cgroups::entry_of(cgroup) {
            None if config!(discover) != 0 && !is_thread => {
                cgroups::found_late(cgroup, core::ptr::null());
                cgroups::entry_of(cgroup)
            }
            entry => entry,
        }
    };
    if filter != 0 && entry.is_some() {
        blocked::born(tid);
    }
    if is_thread {
        return 0;
    }
    // SAFETY: the entry of a living cgroup stays.
    let entry = entry.map(|entry| unsafe { cgroups::populate(entry, tgid) });
    // SAFETY: the entry of the running process stays.
    let mut parent = unsafe { maps::PROCESSES.get(parent_tgid) }.copied();
    if filter == 0
        && let Some(parent) = &mut parent
    {
        // Another thread's filter is not the child's.
        parent.filtered = 0;
    }
    match (entry, parent) {
        (None, None) => {}
        (None, Some(parent)) => {
            if tasks::escaped(&parent) {
                remember(tgid, &parent);
            }
        }
        (Some(entry), Some(parent)) if parent.instance == entry.instance => {
            remember(tgid, &parent);
        }
        // A parent that is not known and is in there itself is part of the workload.
        (Some(entry), None) if tasks::is_in(entry.instance) => {}
        (Some(entry), parent) => enter(tgid, entry, filter, parent),
    }
    0
}

/// Files a process that came into a recorded cgroup, unless it only moved within its instance.
#[inline(always)]
pub(crate) fn enter(tgid: u32, entry: &CgroupEntry, filter: u64, process: Option<ProcessEntry>) {
    if let Some(process) = &process {
        if process.instance == entry.instance {
            return;
        }
        tasks::escaped(process);
    }
    if process.is_none() && entry.introduced == 0 {
        // It may as well have moved within the container.
        return;
    }
    let (exe, phase) = if entry.kind == kind::CONTAINER {
        (EXE_LAUNCHER, Phase::Setup)
    } else {
        // Whoever comes into a plain cgroup takes part, under the executable that it is known by.
        match process {
            Some(process) => (process.exe, Phase::Run),
            None => return,
        }
    };
    remember(
        tgid,
        &ProcessEntry {
            exe,
            instance: entry.instance,
            filter,
            phase: phase as u32,
            late: u32::from(tasks::is_started(entry)),
            filtered: 0,
            pad: 0,
        },
    );
}

/// `(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`; runs in the task that
/// execs, when nothing can fail any more.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "sched_process_exec")
)]
pub(crate) fn exec(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    let bprm: *const u8 = ctx.arg(2);
    let old_tid = low(ctx.arg(1));
    // SAFETY: the tracepoint's typed arguments.
    let (stack, filename, filter) = unsafe {
        (
            field::<u64>(task, config!(task_stack)),
            field::<u64>(bprm, config!(binprm_filename)) as *const u8,
            field::<u64>(task, config!(task_seccomp_filter)),
        )
    };
    let tgid = low(bpf_get_current_pid_tgid() >> 32);
    let Some(entry) = tasks::entry_of_current() else {
        // It may carry an executable from a parent in a recorded cgroup; its own is another one.
        let _ = maps::PROCESSES.remove(tgid);
        return 0;
    };
    if !mutated!(ExecKeepsSlot) {
        slots::drop_slot(stack);
    }
    if filter != 0 {
        blocked::execed(tgid, old_tid);
    }
    let Some(path) = read_path(filename) else {
        return 0;
    };
    // SAFETY: the tracepoint's typed argument.
    unsafe { identify(path, bprm, filename as u64) };
    // SAFETY: an entry is removed when its process is gone.
    let known = unsafe { maps::PROCESSES.get(tgid) }.copied();
    let mut process = known.unwrap_or(ProcessEntry {
        exe: EXE_LAUNCHER,
        instance: entry.instance,
        filter: 0,
        phase: Phase::Run as u32,
        late: 0,
        filtered: 0,
        pad: 0,
    });
    let mut started = false;
    if entry.kind == kind::CONTAINER {
        if known.is_none() && !tasks::is_started(&entry) {
            process.phase = Phase::Setup as u32;
        }
        if process.phase == Phase::Setup as u32 {
            let in_window = filter != process.filter;
            if !in_window && is_own_handle(path) {
                // The runtime executes a sealed copy of itself (runc's nsexec.c and dmz, against
                // CVE-2019-5736): still the runtime.
                return 0;
            }
            // SAFETY: the tracepoint's typed argument.
            if !unsafe { is_hook(task, tgid, entry.instance) } {
                process.phase = program_phase(task, process.late != 0) as u32;
                started = process.late == 0;
            }
        }
    }
    process.exe = intern(path, entry.instance);
    remember(tgid, &process);
    if started {
        if let Some(root) = tasks::root_of(&entry) {
            // SAFETY: the root's entry stays as long as any of its instance; written whole.
            unsafe { (&raw mut (*root).started).store(1) };
        }
        notices::send(entry.instance, NoticeKind::Started, tgid);
    }
    debug!(&ctx, "exec: pid {} exe {:x}", tgid, process.exe);
    0
}

/// The phase of a program that a runtime has just put into a container.
#[inline(always)]
fn program_phase(task: *const u8, late: bool) -> Phase {
    if !late {
        return Phase::Run;
    }
    // SAFETY: the tracepoint's typed argument, and a pointer field of it.
    let tty = unsafe {
        let signal = field::<*const u8>(task, config!(task_signal));
        field::<u64>(signal, config!(signal_tty))
    };
    if tty == 0 {
        Phase::Exec
    } else {
        Phase::Terminal
    }
}

/// Whether what a runtime's process executes is one of its own open files, and no program of the
/// container: `/proc/self/exe`, `/proc/self/fd/N`, and `/dev/fd/N`, by which the kernel calls what
/// fexecve(3) was given (`alloc_bprm`, fs/exec.c).
#[inline(always)]
fn is_own_handle(path: &ExecutablePath) -> bool {
    path.bytes.starts_with(b"/proc/") || path.bytes.starts_with(b"/dev/fd/")
}

/// Whether the task was forked by another process of the same container: then it is a hook that the
/// runtime runs in there (OCI runtime-spec: createContainer, startContainer). The container's own
/// first process is a child of the runtime outside: runc's by CLONE_PARENT (nsexec.c), crun's by its
/// clone (linux.c).
///
/// # Safety
/// `task` must be the tracepoint's typed argument.
#[inline(always)]
unsafe fn is_hook(task: *const u8, tgid: u32, instance: u64) -> bool {
    // SAFETY: as the caller says, and a pointer field of it.
    let parent = unsafe {
        let parent = field::<*const u8>(task, config!(task_real_parent));
        field::<u32>(parent, config!(task_tgid))
    };
    // SAFETY: a parent is not gone before its children have another one.
    let process = unsafe { maps::PROCESSES.get(parent) };
    parent != tgid && process.is_some_and(|process| process.instance == instance)
}

/// `(struct task_struct *p, …)`: `do_exit` has already counted the thread off `signal->live`.
#[cfg_attr(
    target_arch = "bpf",
    aya_ebpf::macros::btf_tracepoint(function = "sched_process_exit")
)]
pub(crate) fn exit(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    // SAFETY: the tracepoint's typed argument, and a pointer field of it.
    let (tgid, tid, stack, code, live) = unsafe {
        let signal = field::<*const u8>(task, config!(task_signal));
        (
            field::<u32>(task, config!(task_tgid)),
            field::<u32>(task, config!(task_pid)),
            field::<u64>(task, config!(task_stack)),
            field::<u32>(task, config!(task_exit_code)),
            field::<u32>(signal, config!(signal_live)),
        )
    };
    blocked::exited(&ctx, tid, stack, code);
    // The stack's next owner may come without a fork event: `create_io_thread` and `vhost_task_create`
    // call `copy_process` by themselves (kernel/fork.c, kernel/vhost_task.c, Linux 6.18). No call of
    // this task follows that could fill the slot again.
    if !mutated!(ExitKeepsSlot, StackKeepsSlot) {
        slots::drop_slot(stack);
    }
    if live == 0 {
        let _ = maps::PROCESSES.remove(tgid);
    }
    0
}

#[inline(always)]
fn remember(tgid: u32, process: &ProcessEntry) {
    if maps::PROCESSES
        .insert(tgid, process, u64::from(BPF_ANY))
        .is_err()
        && !mutated!(ForgetProcessesFull)
    {
        count!(processes_full);
        accounts::lost(process.instance, Quota::ProcessesFull);
    }
}

/// The path at `filename`, in this CPU's scratch element.
#[inline(always)]
fn read_path(filename: *const u8) -> Option<&'static mut ExecutablePath> {
    let path = maps::SCRATCH.get_ptr_mut(0)?;
    // SAFETY: this CPU's scratch element, see `counters`.
    let path = unsafe { &mut *path };
    // SAFETY: a checked read of a string in kernel memory.
    let len = unsafe { bpf_probe_read_kernel_str_bytes(filename, &mut path.bytes) }
        .map_or(0, <[u8]>::len);
    path.len = low(len as u64);
    // The helper stops one byte short for the NUL: a full buffer means that there may be more.
    path.truncated = u32::from(len == PATH_LEN - 1);
    Some(path)
}

/// Notes which file a name led to.
///
/// # Safety
/// `bprm` must be the tracepoint's typed argument.
#[inline(always)]
unsafe fn identify(path: &mut ExecutablePath, bprm: *const u8, filename: u64) {
    // SAFETY: as the caller says, and pointer fields of it. What lies behind a null pointer is 0.
    unsafe {
        let file = field::<*const u8>(bprm, config!(binprm_file));
        let inode = field::<*const u8>(file, config!(file_inode));
        let sb = field::<*const u8>(inode, config!(inode_sb));
        path.inode = field(inode, config!(inode_number));
        path.device = field(sb, config!(sb_device));
        path.generation = field(inode, config!(inode_generation));
        let seconds: u64 = field(inode, config!(inode_changed));
        let nanoseconds: u32 = field(inode, config!(inode_changed_ns));
        path.changed = seconds
            .wrapping_mul(1_000_000_000)
            .wrapping_add(u64::from(nanoseconds));
        // `bprm_change_interp` (fs/exec.c): the file is what runs the script of that name.
        let is_script = field::<u64>(bprm, config!(binprm_interp)) != filename;
        path.script = u32::from(is_script);
    }
    path.start = if path.script != 0 && path.bytes[0] != b'/' {
        // The name alone is not a file's: two directories may have it.
        tasks::working_directory()
    } else {
        0
    };
}

/// The id of an executable, which is kept with the name that it was first asked for by.
#[inline(always)]
fn intern(path: &ExecutablePath, instance: u64) -> u64 {
    let exe = path.id();
    keep(exe, path, instance);
    exe
}

#[inline(always)]
fn keep(id: u64, path: &ExecutablePath, instance: u64) {
    // SAFETY: user space takes an entry away only when no process and no row has had it for a second.
    if unsafe { maps::EXECUTABLES.get(id) }.is_some() {
        return;
    }
    if maps::EXECUTABLES
        .insert(id, path, u64::from(BPF_NOEXIST))
        .is_ok()
    {
        accounts::kept_executable();
        return;
    }
    // SAFETY: as above; another CPU may have been first.
    if unsafe { maps::EXECUTABLES.get(id) }.is_none() {
        accounts::lost_executable(instance);
    }
}

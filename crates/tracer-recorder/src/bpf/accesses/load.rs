//! Loading and attaching the programs of accesses, as far as the kernel lets them be.

use anyhow::{Context as _, ensure};
use aya::{
    Btf, BtfError, Ebpf,
    programs::{BtfTracePoint, FExit, Lsm, ProgramError},
};

use super::{Mechanism, MechanismChoice, Mechanisms, selinux};
use crate::bpf::{
    support,
    verifier::{self, Target},
};

/// Hooks of the security modules: the program on the hook, the program at the end of the function
/// that calls it, and the hook. The function is called `security_` and the hook's name.
const FILES: [(&str, &str, &str); 16] = [
    ("file_open", "file_open_exit", "file_open"),
    ("path_mknod", "path_mknod_exit", "path_mknod"),
    ("path_mkdir", "path_mkdir_exit", "path_mkdir"),
    ("path_rmdir", "path_rmdir_exit", "path_rmdir"),
    ("path_unlink", "path_unlink_exit", "path_unlink"),
    ("path_symlink", "path_symlink_exit", "path_symlink"),
    ("path_link", "path_link_exit", "path_link"),
    ("path_rename", "path_rename_exit", "path_rename"),
    ("path_chmod", "path_chmod_exit", "path_chmod"),
    ("path_chown", "path_chown_exit", "path_chown"),
    ("path_truncate", "path_truncate_exit", "path_truncate"),
    ("file_truncate", "file_truncate_exit", "file_truncate"),
    ("file_lock", "file_lock_exit", "file_lock"),
    (
        "bprm_creds_for_exec",
        "bprm_creds_for_exec_exit",
        "bprm_creds_for_exec",
    ),
    ("file_mprotect", "file_mprotect_exit", "file_mprotect"),
    ("mmap_file", "mmap_file_exit", "mmap_file"),
];

const SOCKETS: [(&str, &str, &str); 5] = [
    ("socket_create", "socket_create_exit", "socket_create"),
    ("socket_bind", "socket_bind_exit", "socket_bind"),
    ("socket_connect", "socket_connect_exit", "socket_connect"),
    ("socket_listen", "socket_listen_exit", "socket_listen"),
    ("socket_accept", "socket_accept_exit", "socket_accept"),
];

const MOUNTS: [(&str, &str, &str); 4] = [
    ("sb_mount", "sb_mount_exit", "sb_mount"),
    ("sb_umount", "sb_umount_exit", "sb_umount"),
    ("sb_pivotroot", "sb_pivotroot_exit", "sb_pivotroot"),
    ("move_mount", "move_mount_exit", "move_mount"),
];

const SIGNALS: (&str, &str, &str) = ("task_kill", "task_kill_exit", "task_kill");

const TRACES: (&str, &str, &str) = (
    "ptrace_access_check",
    "ptrace_access_check_exit",
    "ptrace_access_check",
);

const TRACEME: (&str, &str, &str) = ("ptrace_traceme", "ptrace_traceme_exit", "ptrace_traceme");

/// Without these there is no use in the others.
const NEEDED: [&str; 3] = ["file_open", "mmap_file", "socket_create"];

/// Loads the first program that sees files by `files`, and attaches nothing.
///
/// # Errors
/// The kernel takes no program of the kind.
pub(in crate::bpf) fn first(
    ebpf: &mut Ebpf,
    btf: &Btf,
    files: Option<Mechanism>,
) -> anyhow::Result<()> {
    match files {
        Some(by @ (Mechanism::Lsm | Mechanism::FunctionExit)) => {
            ensure!(
                by != Mechanism::Lsm || support::has_bpf_lsm(),
                "BPF LSM is not enabled: add bpf to lsm= on the kernel command line"
            );
            verify(ebpf, btf, by, &FILES[0])
        }
        Some(Mechanism::Tracepoint | Mechanism::Exits) | None => Ok(()),
    }
}

/// Loads what sees files by `files`, and of the other kinds the best that works.
///
/// # Errors
/// What is needed could not be loaded: another mechanism is to be tried.
pub(in crate::bpf) fn load(
    ebpf: &mut Ebpf,
    btf: &Btf,
    files: Option<Mechanism>,
    choice: MechanismChoice,
) -> anyhow::Result<Mechanisms> {
    let mut mechanisms = Mechanisms {
        files,
        sockets: files,
        mounts: files,
        ..Mechanisms::default()
    };
    let Some(files) = files else {
        return Ok(mechanisms);
    };
    if matches!(files, Mechanism::Lsm | Mechanism::FunctionExit) {
        // Two steps: the verifier takes its time, and nothing must be seen by halves for so long.
        let mut ready = Vec::new();
        for hook in FILES.iter().chain(&SOCKETS).chain(&MOUNTS) {
            match verify(ebpf, btf, files, hook) {
                Ok(()) => ready.push(hook),
                Err(error) if NEEDED.contains(&hook.2) => return Err(error),
                Err(error) => note(&mut mechanisms, hook.2, &error),
            }
        }
        for hook in ready {
            match attach(ebpf, files, hook) {
                Ok(()) => {}
                Err(error) if NEEDED.contains(&hook.2) => return Err(error),
                Err(error) => note(&mut mechanisms, hook.2, &error),
            }
        }
    }
    let hooks = match files {
        Mechanism::Lsm | Mechanism::FunctionExit => vec![files],
        Mechanism::Tracepoint | Mechanism::Exits => {
            tracepoint(ebpf, btf, "sys_exit_accesses", "sys_exit")?;
            Vec::new()
        }
    };
    let one = |ebpf: &mut Ebpf, hook: &(_, _, _)| {
        hooks.iter().copied().find(|by| {
            verify(ebpf, btf, *by, hook)
                .and_then(|()| attach(ebpf, *by, hook))
                .is_ok()
        })
    };
    mechanisms.signals = one(ebpf, &SIGNALS).or_else(|| {
        tracepoint(ebpf, btf, "signal_generate", "signal_generate")
            .ok()
            .map(|()| Mechanism::Tracepoint)
    });
    mechanisms.traces = one(ebpf, &TRACES).filter(|_| one(ebpf, &TRACEME).is_some());
    mechanisms.capabilities = capabilities(ebpf, btf, files, choice);
    if selinux::is_enabled() {
        match tracepoint(ebpf, btf, "selinux_audited", "selinux_audited") {
            Ok(()) => mechanisms.selinux = Some(Mechanism::Tracepoint),
            Err(error) => log::warn!("SELinux is not recorded: {error:#}"),
        }
    }
    Ok(mechanisms)
}

fn capabilities(
    ebpf: &mut Ebpf,
    btf: &Btf,
    files: Mechanism,
    choice: MechanismChoice,
) -> Option<Mechanism> {
    let by_lsm = |ebpf: &mut Ebpf| {
        let hook = ("capable", "", "capable");
        verify(ebpf, btf, Mechanism::Lsm, &hook)
            .and_then(|()| attach(ebpf, Mechanism::Lsm, &hook))
            .ok()
            .map(|()| Mechanism::Lsm)
    };
    let by_exit = |ebpf: &mut Ebpf| {
        fexit(ebpf, btf, "cap_capable_exit", "cap_capable")
            .ok()
            .map(|()| Mechanism::FunctionExit)
    };
    let by_tracepoint = |ebpf: &mut Ebpf| {
        tracepoint(ebpf, btf, "cap_capable", "cap_capable")
            .ok()
            .map(|()| Mechanism::Tracepoint)
    };
    if choice == MechanismChoice::Only(Mechanism::Exits) {
        return by_tracepoint(ebpf);
    }
    (files == Mechanism::Lsm)
        .then(|| by_lsm(ebpf))
        .flatten()
        // Before the tracepoint: it tells probes from what was needed.
        .or_else(|| (files != Mechanism::Exits).then(|| by_exit(ebpf)).flatten())
        .or_else(|| by_tracepoint(ebpf))
}

/// A hook that this kernel does not have is none that is missing.
fn note(mechanisms: &mut Mechanisms, hook: &'static str, error: &anyhow::Error) {
    let is_unknown = matches!(
        error.downcast_ref::<ProgramError>(),
        Some(ProgramError::Btf(BtfError::UnknownBtfTypeName { .. }))
    );
    if !is_unknown {
        mechanisms.missing.push((hook, format!("{error:#}")));
    }
}

fn verify(
    ebpf: &mut Ebpf,
    btf: &Btf,
    by: Mechanism,
    (lsm, exit, hook): &(&str, &str, &str),
) -> anyhow::Result<()> {
    if by == Mechanism::Lsm {
        let (program, what) = (*lsm, *hook);
        return verifier::load(ebpf, btf, Target { program, what });
    }
    let function = format!("security_{hook}");
    let target = Target {
        program: exit,
        what: &function,
    };
    verifier::load(ebpf, btf, target)
}

fn attach(
    ebpf: &mut Ebpf,
    by: Mechanism,
    (lsm, exit, _): &(&str, &str, &str),
) -> anyhow::Result<()> {
    const ABSENT: &str = "it is not in the object";
    match by {
        Mechanism::Lsm => {
            let program: &mut Lsm = ebpf.program_mut(lsm).context(ABSENT)?.try_into()?;
            program.attach()?;
        }
        _ => {
            let program: &mut FExit = ebpf.program_mut(exit).context(ABSENT)?.try_into()?;
            program.attach()?;
        }
    }
    Ok(())
}

fn fexit(ebpf: &mut Ebpf, btf: &Btf, program: &str, function: &str) -> anyhow::Result<()> {
    let what = function;
    verifier::load(ebpf, btf, Target { program, what })?;
    let program: &mut FExit = ebpf
        .program_mut(program)
        .context("it is not in the object")?
        .try_into()?;
    program.attach()?;
    Ok(())
}

fn tracepoint(ebpf: &mut Ebpf, btf: &Btf, program: &str, tracepoint: &str) -> anyhow::Result<()> {
    let what = tracepoint;
    verifier::load(ebpf, btf, Target { program, what })?;
    let program: &mut BtfTracePoint = ebpf
        .program_mut(program)
        .context("it is not in the object")?
        .try_into()?;
    program.attach()?;
    Ok(())
}

/// What is likely to be loaded: the programs of the best mechanisms, what takes longest first.
pub(in crate::bpf) fn targets(files: Option<Mechanism>) -> Vec<Target<'static>> {
    let hooks = || {
        let all = FILES.iter().chain(&SOCKETS).chain(&MOUNTS);
        all.chain([&SIGNALS, &TRACES, &TRACEME, &("capable", "", "capable")])
    };
    let target = |program, what| Target { program, what };
    match files {
        Some(Mechanism::Lsm) => hooks().map(|(lsm, _, hook)| target(*lsm, *hook)).collect(),
        Some(Mechanism::Exits) => vec![
            target("sys_exit_accesses", "sys_exit"),
            target("signal_generate", "signal_generate"),
            target("cap_capable", "cap_capable"),
        ],
        // The names of functions are put together when they are needed.
        Some(Mechanism::FunctionExit | Mechanism::Tracepoint) | None => Vec::new(),
    }
}

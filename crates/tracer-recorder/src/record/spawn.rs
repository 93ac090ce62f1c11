//! Starting the command inside its cgroup.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{self, Child},
};

use super::{RecordError, RunAs, filter, program, signals::InheritedSignals};
use crate::cgroup::OwnCgroup;
use tracer_core::profile::seccomp::evaluate::Instruction;

/// What the command finds when it begins.
#[derive(Clone, Copy)]
pub(super) struct SpawnOptions<'a> {
    /// Who it runs as, if not as tracer.
    pub(super) user: Option<&'a RunAs>,
    /// The signals that tracer was started with.
    pub(super) inherited: InheritedSignals,
    /// The filter that it is under.
    pub(super) filter: Option<&'a [Instruction]>,
    /// The SELinux context that it is executed in.
    pub(super) context: Option<&'a str>,
}

/// Starts `command`, whose file is `path`.
///
/// The child does all its preparation outside of the cgroup, and moves itself in as the very last
/// thing. (A filter is loaded inside, and left out of the recording: it may deny the move.) The write that moves it was entered outside, so the first call in there is the `execve`
/// of the command, and no call of tracer's own is ever recorded. The file it writes to was opened
/// by tracer, whose rights decide then, also after a change of user (Linux 5.17, and the stable
/// series before it: "cgroup: Use open-time credentials for process migraton perm checks").
pub(super) fn spawn(
    path: &Path,
    command: &[OsString],
    surroundings: SpawnOptions<'_>,
    cgroup: &OwnCgroup,
) -> Result<Child, RecordError> {
    let name = command.first().map_or(OsStr::new(""), OsString::as_os_str);
    let procs_file = cgroup.procs_file()?;
    let (mut failure, failure_in_child) =
        io::pipe().map_err(RecordError::process("start the command"))?;

    let mut child = process::Command::new(path);
    child.arg0(name).args(command.iter().skip(1));
    let user = surroundings.user.cloned();
    if let Some(user) = &user {
        user.environment(&mut child);
    }
    let inherited = surroundings.inherited;
    let filter = surroundings.filter.map(filter::kernels);
    let context = surroundings.context.map(str::to_owned);
    let prepare = move || {
        let stage = |stage: Stage, result: io::Result<()>| {
            result.inspect_err(|error| {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                let [a, b, c, d] = errno.to_ne_bytes();
                let _ = (&failure_in_child).write_all(&[stage as u8, a, b, c, d]);
            })
        };
        stage(Stage::Prepare, inherited.restore())?;
        if let Some(user) = &user {
            stage(Stage::User, become_user(user, filter.is_some()))?;
        }
        if let Some(context) = &context {
            stage(Stage::Context, set_exec_context(context))?;
        }
        stage(Stage::Enter, enter(&procs_file))?;
        match &filter {
            // Nothing more can be told: writing may be denied from here on.
            Some(filter) => stage(Stage::Filter, filter::load(filter)),
            None => Ok(()),
        }
    };
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor
    // takes locks.
    unsafe { child.pre_exec(prepare) };

    let spawned = child.spawn();
    // With it this process' writing end of the pipe, so that reading it ends.
    drop(child);
    spawned.map_err(|error| {
        let mut told = [0; 5];
        if failure.read_exact(&mut told).is_err() {
            // The file itself was found before: what does not exist is what its first line names.
            return match error.kind() {
                io::ErrorKind::NotFound if path.exists() => RecordError::NoInterpreter(name.into()),
                _ => program::refused(name, error),
            };
        }
        let [stage, errno @ ..] = told;
        let cause = io::Error::from_raw_os_error(i32::from_ne_bytes(errno));
        if stage == Stage::Enter as u8 {
            cgroup.refused(cause).into()
        } else if stage == Stage::Filter as u8 {
            RecordError::Filter(cause)
        } else if stage == Stage::Context as u8 {
            RecordError::process("start the command in the domain that --selinux-type names")(cause)
        } else if stage == Stage::User as u8 {
            RecordError::process("become the user that --user names")(cause)
        } else {
            RecordError::process("prepare the command")(cause)
        }
    })
}

/// What the child was doing when it failed; tells its failures from those of exec.
#[derive(Clone, Copy)]
enum Stage {
    Prepare = 1,
    User = 2,
    Enter = 3,
    Filter = 4,
    Context = 5,
}

/// The next exec of the thread is in this context (`selinux_setprocattr`, security/selinux/hooks.c).
fn set_exec_context(context: &str) -> io::Result<()> {
    File::options()
        .write(true)
        .open("/proc/self/attr/exec")?
        .write_all(context.as_bytes())
}

/// "0" stands for the process that writes it.
fn enter(mut procs_file: &File) -> io::Result<()> {
    procs_file.write_all(b"0")
}

/// Groups first, uid last: without root nothing more can be changed.
fn become_user(user: &RunAs, loads_filter: bool) -> io::Result<()> {
    // Without no_new_privs, which would change what set-user-id programs do, a filter takes CAP_SYS_ADMIN
    // (kernel/seccomp.c, `seccomp_prepare_filter`). The capability is kept until it is loaded; the exec of
    // a user's program takes it away (capabilities(7), "Transformation of capabilities during execve").
    let keeps = loads_filter && !user.uid.is_root();
    if keeps {
        rustix::thread::set_keep_capabilities(true)?;
    }
    nix::unistd::setgroups(&user.groups)?;
    nix::unistd::setresgid(user.gid, user.gid, user.gid)?;
    nix::unistd::setresuid(user.uid, user.uid, user.uid)?;
    if keeps {
        let only = rustix::thread::CapabilitySet::SYS_ADMIN;
        let sets = rustix::thread::CapabilitySets {
            effective: only,
            permitted: only,
            inheritable: rustix::thread::CapabilitySet::empty(),
        };
        rustix::thread::set_capabilities(None, sets)?;
    }
    Ok(())
}

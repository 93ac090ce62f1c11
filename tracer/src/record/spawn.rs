//! Starting the command inside its cgroup.

use std::{
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::process::CommandExt as _,
    },
    path::Path,
    process::{self, Child},
    thread,
};

use super::{RecordError, RunAs, program, signals::Inherited};
use crate::cgroup::{CgroupError, OwnCgroup};

/// Starts `command`, whose file is `path`.
///
/// The child does all its preparation outside of the cgroup, says that it is ready, and waits;
/// tracer moves it in and lets it go on. So its first call in there is the `execve` of the command,
/// and no call of tracer's own is recorded.
pub(super) fn spawn(
    path: &Path,
    command: &[String],
    user: Option<&RunAs>,
    inherited: Inherited,
    cgroup: &OwnCgroup,
) -> Result<Child, RecordError> {
    let name = command.first().map_or("", String::as_str);
    let failed = || RecordError::process("start the command");
    let (mut ready, ready_to_child) = io::pipe().map_err(failed())?;
    let (go_in_child, mut go) = io::pipe().map_err(failed())?;

    let mut child = process::Command::new(path);
    child.arg0(name).args(command.iter().skip(1));
    let user = user.cloned();
    let parents_end = go.as_raw_fd();
    let prepare = move || {
        // Its own copy of tracer's end would keep the pipe open when tracer gives up.
        close(parents_end);
        inherited.restore()?;
        if let Some(user) = &user {
            become_user(user)?;
        }
        (&ready_to_child).write_all(&process::id().to_ne_bytes())?;
        let mut signal = [0];
        (&go_in_child).read_exact(&mut signal)
    };
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor
    // takes locks.
    unsafe { child.pre_exec(prepare) };

    thread::scope(|scope| {
        // `spawn` returns only after the child's exec, so someone else must let it go on.
        let mover = scope.spawn(move || -> Result<(), CgroupError> {
            let mut pid = [0; 4];
            if ready.read_exact(&mut pid).is_ok() {
                cgroup.admit(i32::from_ne_bytes(pid))?;
                // When the child is gone by now, `spawn` tells.
                let _ = go.write_all(&[1]);
            }
            Ok(())
        });
        let spawned = child.spawn();
        // With it the pipe's other end, so that the mover does not wait for a child that never was.
        drop(child);
        let moved = mover.join().unwrap_or(Ok(()));
        match (spawned, moved) {
            (Ok(child), _) => Ok(child),
            (Err(_), Err(error)) => Err(error.into()),
            (Err(error), Ok(())) => Err(program::refused(name, error)),
        }
    })
}

fn close(fd: RawFd) {
    // SAFETY: in the child after fork; the descriptor is the child's own copy and no longer used.
    unsafe { libc::close(fd) };
}

/// Groups first, uid last: without root nothing more can be changed.
fn become_user(user: &RunAs) -> io::Result<()> {
    nix::unistd::setgroups(&user.groups)?;
    nix::unistd::setresgid(user.gid, user.gid, user.gid)?;
    nix::unistd::setresuid(user.uid, user.uid, user.uid)?;
    Ok(())
}

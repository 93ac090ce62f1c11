//! What tracer takes from itself once its programs are attached, so that whoever takes it over by what a workload
//! chose gains little.
//!
//! | what | which threads | by |
//! | --- | --- | --- |
//! | system calls | all | a seccomp profile that tracer made from a recording of tracer ([`profile`]) |
//! | files that are opened to be written, made or removed | the recorder | a second filter |
//! | writes outside of the output directory, programs, connections | the writer | Landlock |
//! | capabilities | each keeps what it needs | `capset(2)` |
//!
//! A command that only reads files of others ([`reader`]) starts no program and makes no connection either. What talks
//! to a store or an API server ([`client`]) is a process of its own: it has the network, and no capability.
//!
//! All of it belongs to a thread and to those that it starts. The command was started before. Landlock is not for
//! the recorder: it would refuse to read `/proc/PID/exe` and the like of processes outside of its domain
//! (security/landlock/task.c, hook_ptrace_access_check).
//!
//! What the kernel does not have is left out, and reported.

pub mod attack;
mod capabilities;
mod landlock;
pub mod profile;

use std::{io, os::fd::BorrowedFd};

use crate::record::load_filter;
use capabilities::{
    CAP_BPF, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL, CAP_PERFMON, CAP_SYS_PTRACE,
};
use profile::{Access, Calls};
use tracer_core::profile::seccomp::evaluate::Instruction;

use landlock::Net;
pub use landlock::abi as landlock_abi;

/// What could not be taken away, and why.
pub type Missing = Vec<String>;

/// The capabilities of the thread that records: it reads maps and attaches programs, reads what processes say of
/// themselves and what runtimes keep, passes signals on, and removes the command's cgroup from a directory that not even
/// root may write to (0555).
const RECORDER: u64 = CAP_BPF | CAP_PERFMON | CAP_SYS_PTRACE | CAP_DAC_OVERRIDE | CAP_KILL;

/// The capabilities of the thread that writes: the output directory may be another user's.
const WRITER: u64 = CAP_DAC_OVERRIDE | CAP_CHOWN | CAP_FOWNER;

/// Confines the calling thread, which records. `calls` and `access` say what it is to do.
pub fn recorder(calls: Calls, access: Access) -> Missing {
    let mut missing = Missing::new();
    note(&mut missing, "new privileges", no_new_privileges());
    // The kernel takes a filter of a thread without CAP_SYS_ADMIN only after that.
    note(&mut missing, "capabilities", capabilities::keep(RECORDER));
    note(&mut missing, "system calls", filter(calls, access));
    missing
}

/// Confines the calling thread, which writes to `output`.
pub fn writer(output: BorrowedFd<'_>) -> Missing {
    let mut missing = Missing::new();
    note(&mut missing, "new privileges", no_new_privileges());
    note(
        &mut missing,
        "writes",
        landlock::write_below(&[output], Net::Nothing),
    );
    note(&mut missing, "capabilities", capabilities::keep(WRITER));
    note(
        &mut missing,
        "system calls",
        filter(Calls::Record, Access::Write),
    );
    missing
}

/// Confines the calling thread, which reads files of others and writes only below `writes`: anywhere, when that is
/// not known.
pub fn reader(writes: Option<&[BorrowedFd<'_>]>) -> Missing {
    let mut missing = Missing::new();
    note(&mut missing, "new privileges", no_new_privileges());
    if let Some(writes) = writes {
        note(
            &mut missing,
            "writes",
            landlock::write_below(writes, Net::Nothing),
        );
    }
    note(&mut missing, "capabilities", capabilities::keep(WRITER));
    note(&mut missing, "system calls", load(profile::reader()));
    missing
}

/// Confines the calling thread, which talks to other hosts, and writes only below `writes`. It keeps no capability. Which hosts it reaches is not restricted: no rule of the kernel names them.
pub fn client(writes: &[BorrowedFd<'_>]) -> Missing {
    let mut missing = Missing::new();
    note(&mut missing, "new privileges", no_new_privileges());
    note(
        &mut missing,
        "writes",
        landlock::write_below(writes, Net::Connect),
    );
    note(&mut missing, "capabilities", capabilities::keep(0));
    note(&mut missing, "system calls", load(profile::client()));
    missing
}

fn note(missing: &mut Missing, what: &str, done: io::Result<()>) {
    if let Err(error) = done {
        missing.push(format!("{what} are not restricted: {error}"));
    }
}

/// No program that it may start gets more rights than it has (prctl(2), `PR_SET_NO_NEW_PRIVS`).
fn no_new_privileges() -> io::Result<()> {
    Ok(nix::sys::prctl::set_no_new_privs()?)
}

fn filter(calls: Calls, access: Access) -> io::Result<()> {
    load(profile::programs(calls, access))
}

fn load(programs: Result<Vec<Vec<Instruction>>, String>) -> io::Result<()> {
    for program in programs.map_err(io::Error::other)? {
        load_filter(&program)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::unix::net::{UnixListener, UnixStream},
        process::Command,
        thread,
    };

    use super::*;

    #[test]
    fn client_reaches_other_hosts_and_nothing_of_this_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("runtime.sock");
        let _runtime = UnixListener::bind(&path).unwrap();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let confined = thread::spawn(move || {
            drop(client(&[]));
            (
                TcpStream::connect(address).is_ok(),
                UnixStream::connect(&path).is_ok(),
                Command::new("/bin/true").status().is_ok(),
            )
        });
        assert_eq!(confined.join().unwrap(), (true, false, false));
    }
}

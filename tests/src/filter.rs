//! The seccomp filter that a process is under, as the kernel has it, and what the kernel makes of it.

use std::{fs, io};

use anyhow::{Context, Result, bail, ensure};
use libc::sock_filter;
use nix::{
    sys::{
        ptrace,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};

/// `AUDIT_ARCH_X86_64` (include/uapi/linux/audit.h): the architecture of the 64-bit calls.
pub const X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`.
pub const I386: u32 = 0x4000_0003;

/// What lets a call through (`SECCOMP_RET_ALLOW`, include/uapi/linux/seccomp.h).
pub const ALLOW: u32 = 0x7fff_0000;

/// Where `struct seccomp_data` (include/uapi/linux/seccomp.h) has the number and the architecture; behind
/// them come the address of the call, and the arguments.
const NR: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// A filter.
#[derive(Clone, Debug)]
pub struct Filter(Vec<sock_filter>);

/// What a filter does to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it returns.
    pub action: u32,
    /// How many instructions that took.
    pub steps: usize,
    /// Whether nothing but number and architecture was looked at.
    pub constant: bool,
}

/// Whether filters can be read here; else why not.
pub fn unreadable() -> Option<&'static str> {
    // Only there with CONFIG_CHECKPOINT_RESTORE (kernel/pid_namespace.c), which PTRACE_SECCOMP_GET_FILTER
    // needs too.
    if fs::metadata("/proc/sys/kernel/ns_last_pid").is_err() {
        return Some("a kernel with CONFIG_CHECKPOINT_RESTORE");
    }
    // Who is under a filter may read none (get_nth_filter, kernel/seccomp.c).
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    (!status.contains("\nSeccomp:\t0\n")).then_some("to be under no filter itself")
}

impl Filter {
    /// The last one that a process loaded. It is stopped for a moment.
    ///
    /// # Errors
    /// When it is under none, or the kernel does not tell.
    pub fn of(pid: u32) -> Result<Self> {
        let pid = Pid::from_raw(pid.try_into()?);
        ptrace::seize(pid, ptrace::Options::empty()).context("attaching to a process")?;
        ptrace::interrupt(pid)?;
        waitpid(pid, Some(WaitPidFlag::__WALL))?;
        let filter = read(pid);
        ptrace::detach(pid, None)?;
        filter.context("reading a filter")
    }

    /// How many instructions it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is the same, instruction by instruction.
    pub fn is_same(&self, other: &Self) -> bool {
        let fields = |it: &sock_filter| (it.code, it.jt, it.jf, it.k);
        self.0.iter().map(fields).eq(other.0.iter().map(fields))
    }

    /// What it does to a call with these arguments. With an action of [`ALLOW`] that is constant, the
    /// kernel keeps the call in a bitmap from 5.11 on, and does not run the filter
    /// (`seccomp_is_const_allow`, kernel/seccomp.c).
    ///
    /// # Errors
    /// When there is an instruction that libseccomp does not make.
    pub fn run(&self, arch: u32, nr: u32, args: [u64; 6]) -> Result<Verdict> {
        const LOAD: u16 = code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS);
        const RETURN: u16 = code(libc::BPF_RET | libc::BPF_K);
        const JUMP: u16 = code(libc::BPF_JMP | libc::BPF_JA);
        const EQUAL: u16 = code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
        const ABOVE: u16 = code(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K);
        const FROM: u16 = code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K);
        const ANY: u16 = code(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K);
        const AND: u16 = code(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K);
        let (mut value, mut constant, mut at) = (0, true, 0);
        // There are no loops in it, so it comes to an end.
        for steps in 1.. {
            let Some(sock_filter { code, jt, jf, k }) = self.0.get(at).copied() else {
                bail!("the filter has no end");
            };
            at += 1;
            let holds = match code {
                LOAD => {
                    constant &= matches!(k, NR | ARCH);
                    value = load(k, arch, nr, args)?;
                    continue;
                }
                AND => {
                    value &= k;
                    continue;
                }
                JUMP => {
                    at += usize::try_from(k)?;
                    continue;
                }
                RETURN => {
                    return Ok(Verdict {
                        action: k,
                        steps,
                        constant,
                    });
                }
                EQUAL => value == k,
                ABOVE => value > k,
                FROM => value >= k,
                ANY => value & k != 0,
                _ => bail!("instruction {code:#x} is not known"),
            };
            at += usize::from(if holds { jt } else { jf });
        }
        bail!("the filter has no end")
    }
}

fn read(pid: Pid) -> Result<Filter> {
    // First without room, for its length.
    let length = get_filter(pid, std::ptr::null_mut())?;
    let nothing = sock_filter {
        code: 0,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let mut filter = vec![nothing; length];
    ensure!(get_filter(pid, filter.as_mut_ptr())? == length);
    Ok(Filter(filter))
}

/// Its length; to a pointer that is not null the instructions are written, too.
fn get_filter(pid: Pid, to: *mut sock_filter) -> Result<usize> {
    // The last one that was loaded has number 0.
    let last = 0_usize;
    // SAFETY: the kernel writes as many instructions as it told when it was asked without room; the process
    // is stopped, and no filter of its changes.
    let length = unsafe { libc::ptrace(PTRACE_SECCOMP_GET_FILTER, pid.as_raw(), last, to) };
    if length < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(length.try_into()?)
}

/// include/uapi/linux/ptrace.h
const PTRACE_SECCOMP_GET_FILTER: libc::c_uint = 0x420c;

#[expect(clippy::cast_possible_truncation, reason = "the codes have 16 bits")]
const fn code(code: u32) -> u16 {
    code as u16
}

/// A word of `struct seccomp_data`.
fn load(at: u32, arch: u32, nr: u32, args: [u64; 6]) -> Result<u32> {
    Ok(match at {
        NR => nr,
        ARCH => arch,
        ARGS.. => {
            let at = usize::try_from(at - ARGS)?;
            let arg = args.get(at / 8).context("a load behind the arguments")?;
            // Little-endian: the lower half comes first.
            u32::try_from(arg >> (8 * (at % 8)) & 0xffff_ffff)?
        }
        _ => 0,
    })
}

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

    /// Reads the bytes that libseccomp exported on this machine.
    ///
    /// # Errors
    /// When they are no whole instructions.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        ensure!(bytes.len().is_multiple_of(8), "half an instruction");
        let instruction = |at: &[u8]| {
            Some(sock_filter {
                code: u16::from_ne_bytes(at.get(..2)?.try_into().ok()?),
                jt: *at.get(2)?,
                jf: *at.get(3)?,
                k: u32::from_ne_bytes(at.get(4..8)?.try_into().ok()?),
            })
        };
        let all: Option<_> = bytes.chunks(8).map(instruction).collect();
        all.map(Self).context("half an instruction")
    }

    /// The bytes that the kernel takes, on this machine.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = |it: &sock_filter| {
            let mut bytes = [0; 8];
            bytes[..2].copy_from_slice(&it.code.to_ne_bytes());
            bytes[2] = it.jt;
            bytes[3] = it.jf;
            bytes[4..].copy_from_slice(&it.k.to_ne_bytes());
            bytes
        };
        self.0.iter().flat_map(bytes).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    const ARGS: [u64; 6] = [0x1_0000_0002, 3, 4, 5, 6, 0x8_0000_0007];

    /// What a program of (code, jump, jump, number) returns for call 7 of x86-64.
    fn returned(instructions: &[(u16, u8, u8, u32)]) -> Result<u32> {
        let bytes: Vec<u8> = instructions
            .iter()
            .flat_map(|(code, jt, jf, k)| {
                let code = code.to_ne_bytes();
                let k = k.to_ne_bytes();
                [code[0], code[1], *jt, *jf, k[0], k[1], k[2], k[3]]
            })
            .collect();
        Ok(Filter::from_bytes(&bytes)?.run(X86_64, 7, ARGS)?.action)
    }

    #[test]
    fn seccomp_data_words_are_at_the_kernels_offsets() {
        for (offset, word) in [
            (0, 7),
            (4, 0xc000_003e),
            (8, 0),
            (16, 2),
            (20, 1),
            (24, 3),
            (28, 0),
            (56, 7),
            (60, 8),
        ] {
            // Load the word, and tell whether it is the expected one.
            let program = [
                (0x20, 0, 0, offset),
                (0x15, 0, 1, word),
                (0x06, 0, 0, 1),
                (0x06, 0, 0, 0),
            ];
            assert_eq!(returned(&program).unwrap(), 1, "{offset}");
        }
        assert!(returned(&[(0x20, 0, 0, 64), (0x06, 0, 0, 0)]).is_err());
    }

    #[test]
    fn comparisons_are_unsigned_and_jumps_relative() {
        let holds = |code, k, accumulator_mask| {
            let program = [
                (0x20, 0, 0, 4),
                (0x54, 0, 0, accumulator_mask),
                (code, 1, 0, k),
                (0x06, 0, 0, 0),
                (0x06, 0, 0, 1),
            ];
            returned(&program).unwrap() == 1
        };
        assert!(holds(0x15, 0x3e, 0xff) && !holds(0x15, 0x3f, 0xff));
        assert!(holds(0x25, 0x7fff_ffff, u32::MAX) && !holds(0x25, 0xc000_003e, u32::MAX));
        assert!(holds(0x35, 0xc000_003e, u32::MAX) && !holds(0x35, 0xc000_003f, u32::MAX));
        assert!(holds(0x45, 0x4000_0000, u32::MAX) && !holds(0x45, 0x4000_0000, 0xff));
    }

    #[test]
    fn rejects_invalid_programs() {
        assert!(returned(&[(0x05, 0, 0, 9), (0x06, 0, 0, 0)]).is_err());
        assert!(returned(&[(0x04, 0, 0, 9), (0x06, 0, 0, 0)]).is_err());
        assert!(returned(&[]).is_err());
        assert!(Filter::from_bytes(&[0; 7]).is_err());
    }
}

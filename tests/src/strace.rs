//! Ground truth: what `strace -f` sees of a command.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::recording::SyscallId;

/// A call, and the name of the thread that made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The thread's name: after an exec the last part of the path, unless the program changed it.
    pub comm: String,
    /// The call.
    pub call: SyscallId,
}

/// What strace's own child is called until it becomes the traced command.
pub const OWN_CHILD: &str = "strace";

/// The command line of an strace that writes what it sees to `log`, up to where the traced command
/// goes.
///
/// `-n` prints numbers; `-Y` prints names of threads; `-i` prints the instruction pointer, as wide as a word of the call's own
/// ABI, which is the only thing in a line that tells it for certain (strace 6.1, `syscall.c`,
/// `print_instruction_pointer`). Arguments stay raw, so that nothing a program passes can look like
/// a line.
pub fn command_line(log: &Path) -> Vec<PathBuf> {
    [
        "strace",
        "-f",
        "-n",
        "-i",
        "-Y",
        "-q",
        "-a1",
        "-eraw=all",
        "-esignal=none",
        "-o",
    ]
    .into_iter()
    .map(PathBuf::from)
    .chain([log.to_owned(), PathBuf::from("--")])
    .collect()
}

/// The calls in a log.
///
/// # Errors
/// When it cannot be read.
pub fn calls(log: &Path) -> Result<BTreeSet<Seen>> {
    let text = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
    Ok(String::from_utf8_lossy(&text)
        .lines()
        .filter_map(seen)
        .collect())
}

/// The arguments of a call, as registers held them.
pub type Given = [u64; 3];

/// What each call in a log was given, by its first arguments; those that it does not have are 0.
///
/// # Errors
/// When it cannot be read.
pub fn arguments(log: &Path) -> Result<BTreeMap<SyscallId, BTreeSet<Given>>> {
    let text = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
    let mut given: BTreeMap<SyscallId, BTreeSet<Given>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&text).lines() {
        if let Some((seen, values)) = seen(line).zip(registers(line)) {
            given.entry(seen.call).or_default().insert(values);
        }
    }
    Ok(given)
}

/// The first arguments in a line that begins a call.
fn registers(line: &str) -> Option<Given> {
    let (name, arguments) = line.rsplit_once("] ")?.1.split_once('(')?;
    let end = arguments.find([')', '<']).unwrap_or(arguments.len());
    let mut given = [0; 3];
    let texts = arguments[..end].split(',').map(str::trim);
    for (value, text) in given.iter_mut().zip(texts.filter(|text| !text.is_empty())) {
        *value = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok()?,
            None => text.parse().ok()?,
        };
    }
    // strace tells of these what is behind the pointer, by the name of the call that is meant.
    let names = match line.split_once("] [")?.0.rsplit_once('[')?.1.trim() {
        "102" => &SOCKETCALL[..],
        "117" => &IPC[..],
        _ => return Some(given),
    };
    if let Some((_, number)) = names.iter().find(|(known, _)| *known == name) {
        given = [*number, 0, 0];
    }
    Some(given)
}

/// include/uapi/linux/net.h.
const SOCKETCALL: [(&str, u64); 4] = [("socket", 1), ("bind", 2), ("connect", 3), ("listen", 4)];

/// include/uapi/linux/ipc.h.
const IPC: [(&str, u64); 3] = [("semget", 2), ("shmget", 23), ("shmctl", 24)];

/// The call that a line begins; `None` for the end of one that another thread interrupted, for
/// signals and for exits.
fn seen(line: &str) -> Option<Seen> {
    let (thread, rest) = line.split_once("> [")?;
    let (_pid, comm) = thread.split_once('<')?;
    let (number, rest) = rest.split_once("] [")?;
    let (pointer, rest) = rest.split_once("] ")?;
    let name = rest.split_once('(')?.0;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    // strace prints the register; the kernel takes its lower half (arch/x86/entry/syscall_64.c).
    let register = number.trim().parse::<u64>().ok()?;
    let nr = u32::try_from(register & u64::from(u32::MAX)).ok()?;
    let negative = nr >> 31 == 1;
    let abi = if pointer.len() == 16 || negative {
        // strace takes any number with bit 30 for x32, a negative one too, which the kernel does
        // not.
        "x86_64"
    } else if nr & 0x4000_0000 != 0 {
        "x32"
    } else {
        "i386"
    };
    Some(Seen {
        comm: comm.to_owned(),
        call: SyscallId::new(abi, nr),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_arguments_in_order() {
        let line = |text: &str| format!("1<a b> [  72] [00007f589edad409] {text}");
        for (text, expected) in [
            ("fcntl(0x1, 0x406, 0) = 0x3", [1, 0x406, 0]),
            ("getpid() = 0x1", [0, 0, 0]),
            (
                "wait4(0xffffffffffffffff, 0x7f <unfinished ...>",
                [u64::MAX, 0x7f, 0],
            ),
            (
                "mmap(0, 0x2000, 0x5, 0x22, 0xffffffff, 0) = 0x7f",
                [0, 0x2000, 5],
            ),
        ] {
            assert_eq!(registers(&line(text)), Some(expected), "{text}");
        }
        let socketcall = "1<a b> [ 102] [080491ab] socket(0x2, 0x1, 0) = 0x3";
        assert_eq!(registers(socketcall), Some([1, 0, 0]));
    }

    #[test]
    fn pointer_width_determines_the_abi() {
        for (line, expected) in [
            (
                "1<a b> [  39] [00007f589edad409] getpid() = 0x1",
                Some(SyscallId::x86_64(39)),
            ),
            (
                "1<a b> [  20] [55c3faadd19b] getpid() = 0x1",
                Some(SyscallId::i386(20)),
            ),
            (
                "1<a b> [  20] [080491ab] getpid( <unfinished ...>",
                Some(SyscallId::i386(20)),
            ),
            (
                "1<a b> [1073741863] [7f589edad409] getpid() = -1 ENOSYS",
                Some(SyscallId::new("x32", 0x4000_0027)),
            ),
            (
                "1<a b> [18446744073709551611] [7f589edad409] syscall_0xfffffffffffffffb(0) = -1",
                Some(SyscallId::x86_64(0xffff_fffb)),
            ),
            (
                "1<a b> [   0] [00007f589edad409] <... read resumed>) = 0",
                None,
            ),
            (
                "1<a b> [ 231] [????????????????] +++ exited with 0 +++",
                None,
            ),
        ] {
            let seen = seen(line);
            assert_eq!(
                seen.as_ref().map(|seen| &seen.call),
                expected.as_ref(),
                "{line}"
            );
            assert!(seen.is_none_or(|seen| seen.comm == "a b"), "{line}");
        }
    }
}

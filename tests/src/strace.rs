//! Ground truth: what `strace -f` sees of a command.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::recording::Call;

/// A call, and the name of the thread that made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The thread's name: after an exec the last part of the path, unless the program changed it.
    pub comm: String,
    /// The call.
    pub call: Call,
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
        call: Call::new(abi, nr),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_of_the_pointer_tells_the_abi() {
        for (line, expected) in [
            (
                "1<a b> [  39] [00007f589edad409] getpid() = 0x1",
                Some(Call::x86_64(39)),
            ),
            (
                "1<a b> [  20] [55c3faadd19b] getpid() = 0x1",
                Some(Call::i386(20)),
            ),
            (
                "1<a b> [  20] [080491ab] getpid( <unfinished ...>",
                Some(Call::i386(20)),
            ),
            (
                "1<a b> [1073741863] [7f589edad409] getpid() = -1 ENOSYS",
                Some(Call::new("x32", 0x4000_0027)),
            ),
            (
                "1<a b> [18446744073709551611] [7f589edad409] syscall_0xfffffffffffffffb(0) = -1",
                Some(Call::x86_64(0xffff_fffb)),
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

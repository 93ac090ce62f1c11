//! What the values of arguments are called: the kernel's own names, from include/uapi. The numbers are
//! the same on all architectures that tracer knows, but for those of `ptrace` and `arch_prctl`, where
//! x86 has some of its own.

mod files;
mod network;
mod process;

use self::{
    files::{ADVICE, FCNTL, IOCTL, IPC},
    network::{
        FAMILY, INET_PROTOCOL, IP_OPTION, IPV6_OPTION, NETLINK_PROTOCOL, OPTION_LEVEL,
        SOCKET_OPTION, SOCKET_TYPE, SOCKETCALL, TCP_OPTION,
    },
    process::{ARCH_PRCTL, BPF, CLONE, KEYCTL, PRCTL, PTRACE},
};
use super::Meaning;

pub use process::CLONE3_MORE_THAN_FLAGS;

/// A value and its name.
type Name = (u64, &'static str);

/// A value in the words of manuals; `before` is the value that it depends on.
pub(super) fn text(meaning: Meaning, value: u64, before: u64) -> String {
    match meaning {
        Meaning::CloneFlags => flags(value),
        Meaning::Protection => match value {
            0 => "without PROT_EXEC".to_owned(),
            _ => "PROT_EXEC".to_owned(),
        },
        Meaning::Personality => personality(value),
        Meaning::Namespace if value == 0 => "any namespace".to_owned(),
        Meaning::Ioctl => find(IOCTL, value).map_or_else(|| ioctl(value), str::to_owned),
        _ => find(table(meaning, before), value).map_or_else(|| number(value), str::to_owned),
    }
}

fn table(meaning: Meaning, before: u64) -> &'static [Name] {
    match meaning {
        Meaning::Family => FAMILY,
        Meaning::SocketType => SOCKET_TYPE,
        Meaning::Protocol if before == NETLINK => NETLINK_PROTOCOL,
        Meaning::Protocol if before == INET || before == INET6 => INET_PROTOCOL,
        Meaning::Namespace | Meaning::CloneFlags => CLONE,
        Meaning::Prctl => PRCTL,
        Meaning::Fcntl => FCNTL,
        Meaning::OptionLevel => OPTION_LEVEL,
        Meaning::OptionName => option_names(before),
        Meaning::Keyctl => KEYCTL,
        Meaning::Bpf => BPF,
        Meaning::Ptrace => PTRACE,
        Meaning::Advice => ADVICE,
        Meaning::ArchPrctl => ARCH_PRCTL,
        Meaning::Socketcall => SOCKETCALL,
        Meaning::Ipc => IPC,
        Meaning::Ioctl => IOCTL,
        Meaning::Protocol | Meaning::Protection | Meaning::Personality => &[],
    }
}

fn option_names(level: u64) -> &'static [Name] {
    match level {
        SOL_SOCKET => SOCKET_OPTION,
        IPPROTO_TCP => TCP_OPTION,
        IPPROTO_IP => IP_OPTION,
        IPPROTO_IPV6 => IPV6_OPTION,
        _ => &[],
    }
}

fn find(names: &'static [Name], value: u64) -> Option<&'static str> {
    names
        .iter()
        .find(|(known, _)| *known == value)
        .map(|(_, name)| *name)
}

/// Small numbers as people write them, others as bits.
fn number(value: u64) -> String {
    if value < 0x1000 {
        value.to_string()
    } else {
        format!("{value:#x}")
    }
}

/// Flags one by one, then the signal in the lowest byte.
fn flags(value: u64) -> String {
    let signal = value & 0xff;
    let mut rest = value & !0xff;
    let mut texts = Vec::new();
    for (flag, name) in CLONE.iter().filter(|(flag, _)| flag & 0xff == 0) {
        if rest & flag == *flag {
            texts.push((*name).to_owned());
            rest &= !flag;
        }
    }
    if rest != 0 {
        texts.push(format!("{rest:#x}"));
    }
    match signal {
        0 if !texts.is_empty() => {}
        0 => texts.push("0".to_owned()),
        17 => texts.push("SIGCHLD".to_owned()),
        // unshare's only: clone has no room for it.
        CLONE_NEWTIME => texts.push("CLONE_NEWTIME".to_owned()),
        other => texts.push(format!("signal {other}")),
    }
    texts.join("|")
}

/// include/uapi/linux/personality.h.
fn personality(value: u64) -> String {
    match value {
        0 => "PER_LINUX".to_owned(),
        8 => "PER_LINUX32".to_owned(),
        0x2_0000 => "UNAME26".to_owned(),
        0x2_0008 => "PER_LINUX32|UNAME26".to_owned(),
        0x4_0000 => "ADDR_NO_RANDOMIZE".to_owned(),
        0xffff_ffff => "only asked for".to_owned(),
        other => number(other),
    }
}

/// A command by its parts (include/uapi/asm-generic/ioctl.h): type, number, size.
fn ioctl(value: u64) -> String {
    let class = value >> 8 & 0xff;
    match u8::try_from(class).map(char::from) {
        Ok(letter) if letter.is_ascii_alphanumeric() && value > 0xffff => {
            format!("{value:#x} ('{letter}' {})", value & 0xff)
        }
        _ => format!("{value:#x}"),
    }
}

const INET: u64 = 2;
const INET6: u64 = 10;
const NETLINK: u64 = 16;
const SOL_SOCKET: u64 = 1;
const IPPROTO_TCP: u64 = 6;
const IPPROTO_IP: u64 = 0;
const IPPROTO_IPV6: u64 = 41;
const CLONE_NEWTIME: u64 = 0x80;

//! Rules for sockets.

use std::collections::BTreeSet;

use crate::recording::{Executable, FilePath, SocketOperation};

/// Sockets of one family and type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkRule {
    /// What was done with them.
    pub operations: BTreeSet<SocketOperation>,
    /// With which addresses.
    pub addresses: BTreeSet<FilePath>,
    /// True when there were more addresses.
    pub more: bool,
    /// Who did.
    pub executables: BTreeSet<Executable>,
}

impl super::AppArmorProfile {
    /// The number of a family by the parser's name, which is that of `AF_…` in small letters.
    pub fn family_number(name: &str) -> Option<u16> {
        let known = FAMILIES.iter().find(|(_, known)| *known == name);
        known.map(|(number, _)| *number)
    }

    /// The number of a type by the parser's name, which is that of `SOCK_…` in small letters.
    pub fn kind_number(name: &str) -> Option<u16> {
        (1..=10).find(|number| kind(*number) == Some(name))
    }

    /// The parser's names of a family and a type, or the numbers.
    pub fn socket_name(family_number: u16, kind_number: u16) -> String {
        let name = |name: Option<&str>, number: u16| name.map_or(number.to_string(), str::to_owned);
        let family = name(family(family_number), family_number);
        format!("{family} {}", name(kind(kind_number), kind_number))
    }
}

/// The parser's names of families by `AF_…` number (include/linux/socket.h, Linux 6.18;
/// apparmor.d(5) of 3.0.8).
const FAMILIES: [(u16, &str); 44] = [
    (1, "unix"),
    (2, "inet"),
    (3, "ax25"),
    (4, "ipx"),
    (5, "appletalk"),
    (6, "netrom"),
    (7, "bridge"),
    (8, "atmpvc"),
    (9, "x25"),
    (10, "inet6"),
    (11, "rose"),
    (13, "netbeui"),
    (14, "security"),
    (15, "key"),
    (16, "netlink"),
    (17, "packet"),
    (18, "ash"),
    (19, "econet"),
    (20, "atmsvc"),
    (21, "rds"),
    (22, "sna"),
    (23, "irda"),
    (24, "pppox"),
    (25, "wanpipe"),
    (26, "llc"),
    (27, "ib"),
    (28, "mpls"),
    (29, "can"),
    (30, "tipc"),
    (31, "bluetooth"),
    (32, "iucv"),
    (33, "rxrpc"),
    (34, "isdn"),
    (35, "phonet"),
    (36, "ieee802154"),
    (37, "caif"),
    (38, "alg"),
    (39, "nfc"),
    (40, "vsock"),
    (41, "kcm"),
    (42, "qipcrtr"),
    (43, "smc"),
    (44, "xdp"),
    (45, "mctp"),
];

/// The parser's name of a family.
pub(crate) fn family(number: u16) -> Option<&'static str> {
    let known = FAMILIES.iter().find(|(known, _)| *known == number);
    known.map(|(_, name)| *name)
}

/// The parser's name of a type, by `SOCK_…` number (include/linux/net.h).
pub(super) fn kind(number: u16) -> Option<&'static str> {
    Some(match number {
        1 => "stream",
        2 => "dgram",
        3 => "raw",
        4 => "rdm",
        5 => "seqpacket",
        10 => "packet",
        _ => return None,
    })
}

//! What a profile may say of arguments: which values it lets through, of which calls, and why not of
//! others.

use super::{
    super::condition::{Condition, Conditions},
    Meaning, RecordedArguments,
};

/// How far a profile restricts arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Not at all: a call is allowed or it is not.
    Off,
    /// Where the values cannot vary with load, libc or hardware.
    #[default]
    Safe,
    /// Wherever they are recorded.
    All,
}

/// What a profile says of the arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// Nothing, and why.
    Open(&'static str),
    /// One of these must hold.
    Only(Vec<AllowedArguments>),
}

/// Arguments that are let through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedArguments {
    /// What must hold of them.
    pub conditions: Conditions,
    /// Not because they were seen: libc makes them by itself, or the same work takes them when the
    /// network is another.
    pub unseen: bool,
    /// The same in words, after "only when".
    pub when: String,
}

/// How the values of a call become conditions, and whether that is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Each combination that was seen.
    Exactly,
    /// The namespaces that were made, each set of them; other flags are free.
    Namespaces,
    /// By what kinds of socket there are: see [`sockets`].
    Sockets,
    /// The family.
    Family,
    /// Each value that was seen; but 0 stands for all of them.
    ZeroIsAny,
    /// Nothing: the values are behind a pointer.
    Never,
}

/// Flags by which clone, clone3 and unshare make namespaces; what clone3 and clone have in common
/// (include/uapi/linux/sched.h).
pub const NAMESPACES: u64 = 0x7e02_0000;

/// unshare's own: clone has its exit signal there.
const NEWTIME: u64 = 0x80;

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const AF_NETLINK: u64 = 16;
const SOCK_STREAM: u64 = 1;
const SOCK_DGRAM: u64 = 2;

/// More alternatives of one call than this make a profile long, and each such call slow, for little:
/// readers of profiles take 128 entries in all (Kubernetes' KEP 6061).
const MAX_ALTERNATIVES: usize = 32;

const TOO_MANY: &str =
    "it was seen with more than 32 kinds of values: a rule for each would be too long";

/// All that either of two conditions could tell apart was seen.
const BOTH: &str = "it was seen with and without";

impl RecordedArguments {
    /// What a profile says of this call when these combinations were `seen`, in the order of
    /// [`arguments`](Self::arguments).
    pub fn restriction<'a>(
        &self,
        mode: Mode,
        seen: impl IntoIterator<Item = &'a [u64]>,
    ) -> Restriction {
        if let Some(reason) = self.unrestricted_reason(mode) {
            return Restriction::Open(reason);
        }
        let seen: Vec<&[u64]> = seen.into_iter().collect();
        let usual = self.usual.iter().copied();
        let all: Vec<(&[u64], bool)> = seen
            .iter()
            .map(|values| (*values, false))
            .chain(usual.map(|values| (values, true)))
            .collect();
        let rule = if mode == Mode::All && self.rule == Rule::Sockets {
            Rule::Exactly
        } else {
            self.rule
        };
        match rule {
            Rule::Never => {
                Restriction::Open("its arguments are in memory, where no filter can look")
            }
            Rule::ZeroIsAny if seen.iter().any(|values| values.first() == Some(&0)) => {
                Restriction::Open("it was seen with 0, which stands for any")
            }
            Rule::Exactly if self.covers_all(&all) => Restriction::Open(BOTH),
            Rule::Exactly | Rule::ZeroIsAny => only(
                all.iter()
                    .map(|(values, unseen)| (self.exactly(values), *unseen)),
            ),
            Rule::Namespaces => only(
                all.iter()
                    .map(|(values, unseen)| (self.namespaces(values), *unseen)),
            ),
            Rule::Family => only(
                all.iter()
                    .map(|(values, unseen)| (self.first(values), *unseen)),
            ),
            Rule::Sockets => {
                let sockets = sockets(&seen).into_iter();
                only(sockets.map(|(socket, unseen)| (self.socket(&socket), unseen)))
            }
        }
    }

    /// Why a profile says nothing of this call's arguments, whatever they are.
    pub fn unrestricted_reason(&self, mode: Mode) -> Option<&'static str> {
        match mode {
            Mode::Off => Some("arguments are not restricted"),
            Mode::Safe => self.varies,
            Mode::All => None,
        }
    }

    /// Whether one argument of one bit has both of its values.
    fn covers_all(&self, all: &[(&[u64], bool)]) -> bool {
        let [argument] = self.arguments else {
            return false;
        };
        argument.mask.is_power_of_two()
            && [0, argument.mask]
                .iter()
                .all(|value| all.iter().any(|(values, _)| values.first() == Some(value)))
    }

    /// All of a combination.
    fn exactly(&self, values: &[u64]) -> Vec<(Condition, String)> {
        let pairs = self.arguments.iter().zip(values);
        let mut before = 0;
        pairs
            .map(|(argument, value)| {
                let words = argument.meaning.says(*value, before);
                if argument.meaning != Meaning::SocketType {
                    before = *value;
                }
                (
                    Condition {
                        index: argument.index,
                        mask: argument.mask,
                        value: *value,
                    },
                    words,
                )
            })
            .collect()
    }

    /// The first of them.
    fn first(&self, values: &[u64]) -> Vec<(Condition, String)> {
        self.exactly(values.get(..1).unwrap_or_default())
    }

    fn namespaces(&self, values: &[u64]) -> Vec<(Condition, String)> {
        let (Some(argument), Some(flags)) = (self.arguments.first(), values.first()) else {
            return Vec::new();
        };
        let unshares = self.names.contains(&"unshare");
        let mask = NAMESPACES | if unshares { NEWTIME } else { 0 };
        let value = flags & mask;
        let words = if value == 0 {
            "it makes no namespace".to_owned()
        } else {
            let names = super::names::text(Meaning::CloneFlags, value, 0);
            format!("the namespaces that it makes are {names}")
        };
        let condition = Condition {
            index: argument.index,
            mask,
            value,
        };
        vec![(condition, words)]
    }

    fn socket(&self, socket: &Socket) -> Vec<(Condition, String)> {
        let Socket {
            family,
            kind,
            protocol,
        } = *socket;
        let whole = self.exactly(&[family, kind.unwrap_or(0), protocol.unwrap_or(0)]);
        let wanted = [true, kind.is_some(), protocol.is_some()];
        let pairs = whole.into_iter().zip(wanted);
        pairs
            .filter_map(|(one, wanted)| wanted.then_some(one))
            .collect()
    }
}

/// Each once; what was seen is said to have been seen.
fn only(all: impl Iterator<Item = (Vec<(Condition, String)>, bool)>) -> Restriction {
    let mut only: Vec<AllowedArguments> = all
        .filter_map(|(conditions, unseen)| {
            let (conditions, words): (Vec<_>, Vec<_>) = conditions.into_iter().unzip();
            Some(AllowedArguments {
                conditions: Conditions::new(&conditions).ok()?,
                unseen,
                when: words.join(" and "),
            })
        })
        .collect();
    only.sort();
    only.dedup_by(|later, first| later.conditions == first.conditions);
    if only.len() > MAX_ALTERNATIVES {
        return Restriction::Open(TOO_MANY);
    }
    Restriction::Only(only)
}

/// A kind of socket: what is compared of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Socket {
    family: u64,
    kind: Option<u64>,
    protocol: Option<u64>,
}

/// The kinds of socket to let through when these were seen.
///
/// - Internet: IPv4 and IPv6, streams and datagrams are one. Which of them a program uses depends on the
///   network that it finds and on the size of answers (a resolver asks by UDP, and by TCP when the
///   answer is too long). Raw sockets are apart.
/// - Local sockets: any, and always. libc itself makes them, for syslog(3) and nscd, when something goes
///   wrong that staging does not show.
/// - Netlink: by the protocol; its two types do the same (netlink(7)).
/// - All others: by family and type.
fn sockets(seen: &[&[u64]]) -> Vec<(Socket, bool)> {
    let one = |family, kind, protocol| Socket {
        family,
        kind,
        protocol,
    };
    let mut sockets = vec![(one(AF_UNIX, None, None), true)];
    for values in seen {
        let [family, kind, protocol] = *values else {
            continue;
        };
        match (*family, *kind) {
            (AF_UNIX, _) => sockets.push((one(AF_UNIX, None, None), false)),
            (AF_INET | AF_INET6, SOCK_STREAM | SOCK_DGRAM) => {
                for family in [AF_INET, AF_INET6] {
                    for kind in [SOCK_STREAM, SOCK_DGRAM] {
                        let unseen = [family, kind] != values[..2];
                        sockets.push((one(family, Some(kind), None), unseen));
                    }
                }
            }
            (AF_NETLINK, _) => sockets.push((one(AF_NETLINK, None, Some(*protocol)), false)),
            (family, kind) => sockets.push((one(family, Some(kind), None), false)),
        }
    }
    sockets
}

impl Meaning {
    /// A value in a sentence, after "only when".
    fn says(self, value: u64, before: u64) -> String {
        let text = super::names::text(self, value, before);
        let what = match self {
            Self::Family => "family",
            Self::SocketType => "type",
            Self::Protocol => "protocol",
            Self::CloneFlags => "flags",
            Self::Namespace => "namespace",
            Self::Personality => "domain",
            Self::OptionLevel => "level",
            Self::OptionName => "option",
            Self::Advice => "advice",
            Self::Socketcall | Self::Ipc => "call",
            Self::Prctl
            | Self::Ioctl
            | Self::Fcntl
            | Self::Keyctl
            | Self::Bpf
            | Self::Ptrace
            | Self::ArchPrctl => "operation",
            Self::Protection if value == 0 => return "the memory cannot be executed".to_owned(),
            Self::Protection => return "the memory can be executed".to_owned(),
        };
        format!("its {what} is {text}")
    }
}

//! Rules other than those of files, by their words and conditions, and what each keyword may have (apparmor.d(5) of
//! 4.1; what a parser of an older version refuses is understood all the same).

use syscalls::capability::Capability;

use crate::profile::apparmor::AppArmorProfile;

/// A rule's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// What it begins with.
    pub(crate) keyword: &'static str,
    /// Words that are no condition: accesses, paths, names.
    pub(crate) words: Vec<String>,
    /// What stands before `=` or `in`, and behind it.
    pub(crate) conditions: Vec<(String, Vec<String>)>,
    /// What stands behind the arrow.
    pub(crate) target: Option<String>,
}

/// What a keyword may have behind it.
struct Grammar {
    keyword: &'static str,
    words: Words,
    conditions: &'static [&'static str],
    has_arrow: bool,
}

enum Words {
    /// One of these.
    Of(&'static [&'static str]),
    /// So many of any kind, such as paths.
    Any(usize),
    Capabilities,
    Network,
    Rlimit,
    Mqueue,
}

const fn grammar(
    keyword: &'static str,
    words: Words,
    conditions: &'static [&'static str],
    has_arrow: bool,
) -> Grammar {
    Grammar {
        keyword,
        words,
        conditions,
        has_arrow,
    }
}

const MOUNT: &[&str] = &["fstype", "vfstype", "options", "option"];
const READ_WRITE: [&str; 5] = ["r", "w", "rw", "read", "write"];
const SIGNAL: &[&str] = &["send", "receive"];
const PTRACE: &[&str] = &["readby", "trace", "tracedby"];
const DBUS: &[&str] = &["send", "receive", "bind", "eavesdrop"];
const SOCKET: &[&str] = &[
    "create", "bind", "listen", "accept", "connect", "shutdown", "getattr", "setattr", "getopt",
    "setopt", "send", "receive",
];
const MQUEUE: &[&str] = &["create", "open", "delete", "getattr", "setattr"];

static GRAMMARS: [Grammar; 16] = [
    grammar("all", Words::Of(&[]), &[], false),
    grammar("capability", Words::Capabilities, &[], false),
    grammar("change_profile", Words::Any(2), &[], true),
    grammar(
        "dbus",
        Words::Of(DBUS),
        &[
            "bus",
            "path",
            "interface",
            "member",
            "name",
            "label",
            "peer",
        ],
        false,
    ),
    grammar(
        "io_uring",
        Words::Of(&["sqpoll", "override_creds", "cmd"]),
        &["label"],
        false,
    ),
    grammar("mount", Words::Any(1), MOUNT, true),
    grammar("mqueue", Words::Mqueue, &["type", "label"], false),
    grammar(
        "network",
        Words::Network,
        &["ip", "port", "peer", "interface", "label"],
        false,
    ),
    grammar("pivot_root", Words::Any(1), &["oldroot"], true),
    grammar("ptrace", Words::Of(PTRACE), &["peer"], false),
    grammar("remount", Words::Any(1), MOUNT, true),
    grammar("set", Words::Rlimit, &[], false),
    grammar("signal", Words::Of(SIGNAL), &["set", "peer"], false),
    grammar("umount", Words::Any(1), MOUNT, false),
    grammar(
        "unix",
        Words::Of(SOCKET),
        &["type", "protocol", "addr", "label", "attr", "opt", "peer"],
        false,
    ),
    grammar("userns", Words::Of(&["create"]), &[], false),
];

/// Types and protocols of sockets, beside the families.
const SOCKET_WORDS: [&str; 24] = [
    "stream",
    "dgram",
    "seqpacket",
    "rdm",
    "raw",
    "packet",
    "dccp",
    "tcp",
    "udp",
    "udplite",
    "icmp",
    "icmpv6",
    "igmp",
    "sctp",
    "xdp",
    "smc",
    "mctp",
    "vsock",
    "qipcrtr",
    "kcm",
    "decnet",
    "nfc",
    "caif",
    "alg",
];

const RLIMITS: [&str; 17] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nofile",
    "ofile",
    "as",
    "nproc",
    "memlock",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

impl Parts {
    /// Reads a rule that begins with a keyword; `None` when it begins with none.
    pub(super) fn read(words: &[String]) -> Option<Result<Self, String>> {
        let (first, rest) = words.split_first()?;
        // `(send)` may stand right behind it.
        let end = first.find('(').unwrap_or(first.len());
        let (keyword, glued) = first.split_at(end);
        let keyword = if keyword == "unmount" {
            "umount"
        } else {
            keyword
        };
        let grammar = GRAMMARS.iter().find(|it| it.keyword == keyword)?;
        let glued = (!glued.is_empty()).then(|| glued.to_owned());
        let words: Vec<String> = glued.into_iter().chain(rest.iter().cloned()).collect();
        Some(split(&words).and_then(|parts| {
            let parts = Self {
                keyword: grammar.keyword,
                ..parts
            };
            grammar.check(&parts).map(|()| parts)
        }))
    }

    /// The values of a condition; none when it is not given.
    pub(crate) fn condition(&self, name: &str) -> impl Iterator<Item = &str> {
        let of = self.conditions.iter().filter(move |(key, _)| key == name);
        of.flat_map(|(_, values)| values).map(String::as_str)
    }

    /// Whether one of the words is given, or none at all, which means all.
    pub(crate) fn has_access(&self, accesses: &[&str]) -> bool {
        self.words.is_empty()
            || self
                .words
                .iter()
                .any(|word| accesses.contains(&word.as_str()))
    }

    /// The label of the other side; `None`: any.
    pub(crate) fn peer_label(&self) -> Option<&str> {
        let mut peers = self.condition("peer");
        if matches!(self.keyword, "dbus" | "unix" | "network") {
            return peers.find_map(|peer| peer.strip_prefix("label="));
        }
        peers.next()
    }
}

impl Grammar {
    fn check(&self, parts: &Parts) -> Result<(), String> {
        if let Some((name, _)) = parts
            .conditions
            .iter()
            .find(|(name, _)| !self.conditions.contains(&name.as_str()))
        {
            return Err(format!("{} has no condition {name}", self.keyword));
        }
        if parts.target.is_some() && !self.has_arrow {
            return Err(format!("{} has no arrow", self.keyword));
        }
        let words = parts.words.iter().map(String::as_str);
        let mut wrong = words.filter(|word| !self.words.has(word));
        if let Some(word) = wrong.next() {
            return Err(format!("{} has no {word}", self.keyword));
        }
        match self.words {
            Words::Any(most) if parts.words.len() > most => {
                Err(format!("there are too many words behind {}", self.keyword))
            }
            Words::Rlimit if !is_rlimit(&parts.words) => {
                Err("a limit is written as `set rlimit NAME <= VALUE`".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl Words {
    fn has(&self, word: &str) -> bool {
        match self {
            Self::Of(all) => all.contains(&word) || (all.len() > 1 && READ_WRITE.contains(&word)),
            Self::Any(_) | Self::Rlimit => true,
            Self::Capabilities => word.parse::<Capability>().is_ok() || word == "all",
            Self::Network => {
                AppArmorProfile::family_number(word).is_some()
                    || SOCKET_WORDS.contains(&word)
                    || SOCKET.contains(&word)
                    || READ_WRITE.contains(&word)
            }
            Self::Mqueue => {
                let is_name = word.starts_with(['/', '@', '{', '*'])
                    || word.bytes().all(|byte| byte.is_ascii_digit());
                MQUEUE.contains(&word) || READ_WRITE.contains(&word) || is_name
            }
        }
    }
}

fn is_rlimit(words: &[String]) -> bool {
    match words {
        [rlimit, name, is, _, ..] => {
            rlimit == "rlimit" && RLIMITS.contains(&name.as_str()) && is == "<="
        }
        _ => false,
    }
}

/// Splits words into words, conditions and what stands behind an arrow.
fn split(words: &[String]) -> Result<Parts, String> {
    let mut parts = Parts::default();
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        if word == "->" {
            let target = words.next().ok_or("nothing stands behind the arrow")?;
            parts.target = Some(target.to_owned());
            continue;
        }
        let joint = words.peek().copied();
        let (key, value) = match word.split_once('=') {
            Some((key, value)) if is_key(key) => (Some(key), value),
            _ if is_key(word) && matches!(joint, Some("=" | "in")) => {
                words.next();
                (Some(word), "")
            }
            // `options =(ro)`.
            _ if is_key(word) && joint.is_some_and(|it| it.starts_with("=")) => {
                let value = words.next().unwrap_or_default();
                (Some(word), value.get(1..).unwrap_or_default())
            }
            _ => (None, word),
        };
        let value = if value.is_empty() && key.is_some() {
            words.next().ok_or("a condition has no value")?
        } else {
            value
        };
        let values = if value.starts_with('(') {
            group(value, &mut words)?
        } else {
            vec![value.to_owned()]
        };
        match key {
            Some(key) => parts.conditions.push((key.to_owned(), values)),
            None => parts.words.extend(values),
        }
    }
    Ok(parts)
}

fn is_key(word: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c == '_';
    !word.is_empty() && word != "rlimit" && word.chars().all(is_letter)
}

/// The values between brackets, with commas or space between them.
fn group<'a>(
    first: &str,
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<Vec<String>, String> {
    let mut text = first.to_owned();
    while !text.ends_with(')') {
        text.push(' ');
        text += words.next().ok_or("a bracket is not closed")?;
    }
    let inner = text.trim_start_matches('(').trim_end_matches(')');
    let mut values = vec![String::new()];
    let mut depth = 0_usize;
    for c in inner.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match values.last_mut() {
            Some(last) if depth > 0 || !(c == ',' || c.is_whitespace()) => last.push(c),
            _ => values.push(String::new()),
        }
    }
    values.retain(|value| !value.is_empty());
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Result<Parts, String>> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Parts::read(&words)
    }

    #[test]
    fn rules_of_every_kind_are_understood() {
        for text in [
            "all",
            "capability",
            "capability chown sys_admin",
            "change_profile",
            "change_profile unsafe /bin/a -> b",
            "dbus send bus=system path=/a/{b,c} interface=org.a.* peer=(label=x, name=y)",
            "dbus (send, receive) bus=session",
            "dbus bind bus=system name=org.a",
            "io_uring (sqpoll) label=a",
            "mount",
            "mount options=(ro, bind) /a -> /b/",
            "mount options in (ro, bind) fstype = (ext4, xfs) /a -> /b/",
            "mount fstype=tmpfs",
            "remount options=ro /a",
            "umount /a",
            "unmount",
            "mqueue (read, getattr) type=posix /a",
            "network",
            "network inet stream",
            "network unix",
            "network (send, receive) inet dgram ip=127.0.0.1 port=53 peer=(ip=1.1.1.1 port=80)",
            "pivot_root oldroot=/a /b -> c",
            "ptrace (read, trace) peer=@{profile_name}",
            "set rlimit nofile <= 7",
            "signal (send, receive) set=(kill, term) peer=a",
            "signal(send) set=kill",
            "unix (create, bind) type=stream addr=@a peer=(label=b, addr=none)",
            "userns",
            "userns create",
        ] {
            let parts = read(text).unwrap_or_else(|| panic!("{text}"));
            assert!(parts.is_ok(), "{text}: {parts:?}");
        }
    }

    #[test]
    fn other_rules_are_not() {
        for text in [
            "all of it",
            "capability no_such",
            "dbus sent",
            "mount /a /b",
            "mount sort=x",
            "network inet64",
            "ptrace -> a",
            "set rlimit nofile = 7",
            "set rlimit files <= 7",
            "signal (send",
            "userns delete",
        ] {
            assert!(read(text).is_some_and(|it| it.is_err()), "{text}");
        }
        assert_eq!(read("fence /a"), None);
    }

    #[test]
    fn conditions_are_read_with_their_values() {
        let parts = read("unix (send) type=stream peer=(label=a//{b,c}, addr=none)");
        let parts = parts.unwrap().unwrap();
        assert_eq!(parts.words, ["send"]);
        assert_eq!(parts.peer_label(), Some("a//{b,c}"));
        let parts = read("mount options in (rw, bind) /a -> /b").unwrap();
        let parts = parts.unwrap();
        let options: Vec<_> = parts.condition("options").collect();
        assert_eq!(options, ["rw", "bind"]);
        assert_eq!(
            (parts.words.as_slice(), parts.target.as_deref()),
            (&["/a".to_owned()][..], Some("/b"))
        );
    }
}

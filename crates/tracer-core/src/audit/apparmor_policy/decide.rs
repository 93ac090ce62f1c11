//! What a profile does with one access.
//!
//! Files are decided as apparmor_parser compiles them ([`Policy::allowed`]). Of the other rules the words are
//! compared. A rule with a condition that a recording has no answer to decides nothing: the result is
//! [`Decision::Unknown`], never allowed.

use super::{Glob, Parts, Policy, Profile, What};
use crate::{
    profile::apparmor::{AppArmorProfile, Permissions, signal_name},
    recording::{
        CapabilityUse, FileAccess, FileUse, MountOperation, MountUse, Peer, SignalDirection,
        SignalUse, SocketOperation, SocketUse, TraceDirection, TraceUse,
    },
};

/// What happens to an access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is made.
    Allowed,
    /// It is not.
    Denied {
        /// What it lacks, in a rule's words: `w`, `capability net_raw`.
        lacks: String,
        /// The `deny` rule; `None`: no rule allows it.
        rule: Option<String>,
    },
    /// It depends on what a recording does not say, in a few words.
    Unknown(&'static str),
}

/// A name that no pattern for certain names has.
const ANY_NAME: &[u8] = b"any";

/// Whether a rule is about an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    No,
    Yes,
    /// It has conditions that nothing is known of.
    Maybe,
}

/// The letters of a rule that an access to a file needs.
pub(crate) fn letters(access: FileAccess) -> String {
    let needed = match access {
        // While it starts a program the kernel grants the rest by itself.
        FileAccess::Execute => Permissions::EXECUTE,
        access => Permissions::needed_by(access),
    };
    [
        (Permissions::READ, 'r'),
        (Permissions::WRITE, 'w'),
        (Permissions::LOCK, 'k'),
        (Permissions::MAP, 'm'),
        (Permissions::EXECUTE, 'x'),
        (Permissions::LINK, 'l'),
    ]
    .into_iter()
    .filter(|(one, _)| needed.has_any(*one))
    .map(|(_, letter)| letter)
    .collect()
}

impl Policy {
    /// The profile that a container is started under: the first one of the file itself.
    pub(crate) fn outer(&self) -> Option<&Profile> {
        let mut outer = self.profiles.iter().filter(|profile| {
            profile.parent.is_none() && !profile.is_part && profile.from.is_none()
        });
        outer.next()
    }

    /// The profile that a program runs under; `None` when a rule sends it to one that is not in the file, or
    /// out of confinement.
    pub(crate) fn of_program(&self, program: &str) -> Option<&Profile> {
        let outer = self.outer()?;
        let executed = |profile: &Profile| {
            let rules = profile.allowing().filter_map(|rule| rule.file());
            let mut rules = rules.filter(|file| {
                file.permissions.execute.is_some()
                    && file
                        .globs
                        .iter()
                        .any(|glob| glob.matches(program.as_bytes()))
            });
            rules.find_map(|file| {
                let mode = file.permissions.execute?;
                let leaves = mode.child || mode.profile || mode.unconfined;
                leaves.then(|| (mode, file.target.clone().unwrap_or(program.to_owned())))
            })
        };
        let Some((mode, target)) = self.profiles.iter().find_map(executed) else {
            return Some(outer);
        };
        let target = target.trim_matches('"');
        let child = format!("{}//{target}", outer.name);
        let found = self.profiles.iter();
        let mut found = found.filter(|it| it.name == target || it.name == child);
        // `cix` and `pix` keep the profile where there is no other.
        found.next_back().or_else(|| mode.inherits.then_some(outer))
    }

    /// An access to a file. Of one whose path is not whole nothing can be said.
    pub(crate) fn decide_file(&self, profile: &Profile, file: &FileUse) -> Decision {
        if file.detached || file.truncated {
            return Decision::Unknown("its path is not known as a whole");
        }
        if is_open(profile) {
            return Decision::Allowed;
        }
        // A directory that stands for more of its files than are reported apart.
        let mut path = file.path.as_bytes().to_vec();
        if file.more {
            path.extend(ANY_NAME);
        }
        let path = path.as_slice();
        let allowed = self.allowed(&profile.name, path, file.owned);
        let needed = letters(file.access);
        let lacks: String = needed.chars().filter(|it| !allowed.contains(*it)).collect();
        if lacks.is_empty() {
            return Decision::Allowed;
        }
        // A link rule of its own may allow the pair.
        let is_link = |rule: &super::Rule| matches!(rule.what, What::Link { .. });
        if lacks == "l" && profile.allowing().any(is_link) {
            return Decision::Unknown("a rule for links may allow it");
        }
        if file.more {
            return Decision::Unknown("it stands for more files of a directory than are listed");
        }
        let denying = profile.rules.iter().find(|rule| {
            let denies = |file: &super::FileRule| {
                lacks.chars().any(|letter| file.permissions.has(letter))
                    && file.globs.iter().any(|glob| glob.matches(path))
            };
            rule.qualifiers.denies
                && (file.owned || !rule.qualifiers.owner)
                && rule.file().is_some_and(denies)
        });
        Decision::Denied {
            lacks,
            rule: denying.map(|rule| rule.text.clone()),
        }
    }

    /// A signal.
    pub(crate) fn decide_signal(&self, profile: &Profile, signal: SignalUse) -> Decision {
        let name = signal_name(signal.signal).unwrap_or_else(|| signal.signal.to_string());
        let way = match signal.direction {
            SignalDirection::Send => ["send", "w", "write", "rw"],
            SignalDirection::Receive => ["receive", "r", "read", "rw"],
        };
        let lacks = format!("signal ({}) set=({name})", way[0]);
        decide(profile, &["signal"], lacks, |parts| {
            let mut set = parts.condition("set").peekable();
            if !parts.has_access(&way) || (set.peek().is_some() && !set.any(|it| it == name)) {
                return Match::No;
            }
            self.peer(profile, parts, signal.peer)
        })
    }

    /// A debugger's rights.
    pub(crate) fn decide_trace(&self, profile: &Profile, trace: TraceUse) -> Decision {
        let way: &[&str] = match trace.direction {
            TraceDirection::Trace => &["trace"],
            TraceDirection::TracedBy => &["tracedby"],
            TraceDirection::Read => &["read", "r", "rw"],
            TraceDirection::ReadBy => &["readby"],
        };
        let lacks = format!("ptrace ({})", way.first().copied().unwrap_or_default());
        decide(profile, &["ptrace"], lacks, |parts| {
            if parts.has_access(way) {
                self.peer(profile, parts, trace.peer)
            } else {
                Match::No
            }
        })
    }

    /// Whether a rule's peer is the other side. Of a peer outside a recording does not keep the label: a rule
    /// for any other label counts.
    fn peer(&self, profile: &Profile, parts: &Parts, peer: Peer) -> Match {
        let Some(label) = parts.peer_label() else {
            return Match::Yes;
        };
        let globs = self.labels(label, &profile.name);
        let is_own = globs
            .iter()
            .any(|glob: &Glob| glob.matches(profile.name.as_bytes()));
        let is_only_own = is_own && globs.iter().all(Glob::is_one_path);
        match peer {
            Peer::Own if is_own => Match::Yes,
            Peer::Outside if !is_only_own => Match::Yes,
            Peer::Own | Peer::Outside => Match::No,
        }
    }
}

/// A capability. One that the kernel only probes for is refused without notice, so it is allowed here.
pub(crate) fn decide_capability(profile: &Profile, used: CapabilityUse) -> Decision {
    // By an exec it is given without a check.
    if used.audited == Some(false) || used.by_exec {
        return Decision::Allowed;
    }
    let name = used.capability.to_string();
    let name = name.trim_start_matches("CAP_").to_ascii_lowercase();
    decide(
        profile,
        &["capability"],
        format!("capability {name}"),
        |parts| {
            let words = &parts.words;
            if words.is_empty() || words.iter().any(|word| *word == name || word == "all") {
                Match::Yes
            } else {
                Match::No
            }
        },
    )
}

/// `AF_UNIX`, whose rules have a keyword of their own.
const UNIX: u16 = 1;

/// A socket.
pub(crate) fn decide_socket(profile: &Profile, socket: &SocketUse) -> Decision {
    let name = AppArmorProfile::socket_name(socket.family, socket.kind);
    let operation = match socket.operation {
        SocketOperation::Create => "create",
        SocketOperation::Bind => "bind",
        SocketOperation::Connect => "connect",
        SocketOperation::Listen => "listen",
        SocketOperation::Accept => "accept",
    };
    let keywords: &[&'static str] = if socket.family == UNIX {
        &["network", "unix"]
    } else {
        &["network"]
    };
    decide(profile, keywords, format!("network {name}"), |parts| {
        let mut accesses = Vec::new();
        let mut unknown = !parts.conditions.is_empty();
        for word in &parts.words {
            if let Some(family) = AppArmorProfile::family_number(word) {
                if family != socket.family {
                    return Match::No;
                }
            } else if let Some(kind) = AppArmorProfile::kind_number(word) {
                if kind != socket.kind {
                    return Match::No;
                }
            } else if is_access(word) {
                accesses.push(word.as_str());
            } else {
                // A protocol.
                unknown = true;
            }
        }
        match accesses.is_empty() || accesses.contains(&operation) {
            false => Match::No,
            true if unknown => Match::Maybe,
            true => Match::Yes,
        }
    })
}

/// A change of the mount tree. What a rule with words says of it is not compared.
pub(crate) fn decide_mount(profile: &Profile, mount: &MountUse) -> Decision {
    let (keywords, lacks): (&[&'static str], _) = match mount.operation {
        MountOperation::Mount => (&["mount", "remount"], "mount"),
        MountOperation::Unmount => (&["umount"], "umount"),
        MountOperation::PivotRoot => (&["pivot_root"], "pivot_root"),
    };
    decide(profile, keywords, lacks.to_owned(), |parts| {
        let is_bare =
            parts.words.is_empty() && parts.conditions.is_empty() && parts.target.is_none();
        match is_bare && parts.keyword != "remount" {
            true => Match::Yes,
            false => Match::Maybe,
        }
    })
}

fn is_access(word: &str) -> bool {
    matches!(
        word,
        "create"
            | "bind"
            | "listen"
            | "accept"
            | "connect"
            | "shutdown"
            | "getattr"
            | "setattr"
            | "getopt"
            | "setopt"
            | "send"
            | "receive"
            | "r"
            | "w"
            | "rw"
            | "read"
            | "write"
    )
}

/// Whether everything is allowed: `all,`.
fn is_open(profile: &Profile) -> bool {
    profile.of_keyword("all").next().is_some() || profile.has_flag("unconfined")
}

/// What the rules of some keywords come to: a denial that is certain counts against all.
fn decide(
    profile: &Profile,
    keywords: &[&'static str],
    lacks: String,
    is_about: impl Fn(&Parts) -> Match,
) -> Decision {
    const CONDITIONS: &str = "a rule has conditions that a recording does not answer";
    let of_keywords = profile.rules.iter().filter_map(|rule| {
        let parts = keywords.iter().find_map(|keyword| rule.parts(keyword))?;
        Some((rule, is_about(parts)))
    });
    let mut allows = is_open(profile);
    let (mut may_allow, mut may_deny) = (false, false);
    for (rule, fits) in of_keywords {
        match (rule.qualifiers.denies, fits) {
            (_, Match::No) => {}
            (true, Match::Yes) => {
                return Decision::Denied {
                    lacks,
                    rule: Some(rule.text.clone()),
                };
            }
            (false, Match::Yes) => allows = true,
            (true, Match::Maybe) => may_deny = true,
            (false, Match::Maybe) => may_allow = true,
        }
    }
    match (allows, may_allow) {
        (true, _) if !may_deny => Decision::Allowed,
        (false, false) => Decision::Denied { lacks, rule: None },
        _ => Decision::Unknown(CONDITIONS),
    }
}

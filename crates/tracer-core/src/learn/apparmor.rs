//! What AppArmor's records say that a task did (security/apparmor/audit.c, file.c, capability.c, net.c,
//! ipc.c, task.c).

use super::record::Record;
use crate::{
    profile::apparmor::{AppArmorProfile, signal_name},
    recording::{
        CapabilityUse, FileAccess, FilePath, FileUse, Peer, SignalDirection, SignalUse,
        SocketOperation, SocketUse, TraceDirection, TraceUse,
    },
};
use syscalls::capability::Capability;

/// What a record tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Files(Vec<FileUse>),
    Capability(CapabilityUse),
    Socket(SocketUse),
    Signals(Vec<SignalUse>),
    Traces(Vec<TraceUse>),
}

/// Whether the access took place: the profile is in complain mode.
pub(super) fn was_allowed(record: &Record<'_>) -> bool {
    record.word("apparmor") == Some("ALLOWED")
}

/// What a record tells; `None` when it is of a kind that is not understood.
pub(super) fn read(record: &Record<'_>) -> Option<Told> {
    let operation = record.word("operation")?;
    match operation {
        "capable" => capability(record).map(Told::Capability),
        "signal" => signals(record).map(Told::Signals),
        "ptrace" => traces(record).map(Told::Traces),
        _ if record.word("family").is_some() => socket(operation, record).map(Told::Socket),
        _ => files(operation, record).map(Told::Files),
    }
}

/// The letters that were denied, or asked for.
fn mask<'a>(record: &'a Record<'_>) -> Option<&'a str> {
    record
        .word("denied_mask")
        .or_else(|| record.word("requested_mask"))
}

fn files(operation: &str, record: &Record<'_>) -> Option<Vec<FileUse>> {
    let path = FilePath::new(record.text("name")?);
    if !path.as_bytes().starts_with(b"/") {
        return None;
    }
    let mask = mask(record)?;
    let has = |letter| mask.contains(letter);
    let accesses = match operation {
        "mkdir" => vec![FileAccess::MakeDirectory],
        "mknod" => vec![FileAccess::Create],
        "symlink" => vec![FileAccess::Symlink],
        "link" => vec![FileAccess::Link],
        "unlink" => vec![FileAccess::Remove],
        "rmdir" => vec![FileAccess::RemoveDirectory],
        "rename_src" => vec![FileAccess::RenameFrom],
        "rename_dest" => vec![FileAccess::RenameTo],
        "chmod" => vec![FileAccess::ChangeMode],
        "chown" => vec![FileAccess::ChangeOwner],
        "truncate" => vec![FileAccess::Truncate],
        "connect" => vec![FileAccess::Connect],
        "exec" => vec![FileAccess::Execute],
        "file_lock" if has('w') => vec![FileAccess::LockExclusive],
        _ => letters(mask),
    };
    let target = record.text("target").map(FilePath::new);
    let owned = record.number("fsuid").is_some() && record.number("fsuid") == record.number("ouid");
    let file = |access| FileUse {
        path: path.clone(),
        access,
        target: target.clone().filter(|_| access == FileAccess::Link),
        owned,
        more: false,
        tree: false,
        truncated: false,
        detached: false,
        provenance: None,
        gains_privileges: false,
    };
    // A link of which the target is not told cannot become a rule.
    let is_whole = !accesses.is_empty() && (operation != "link" || target.is_some());
    is_whole.then(|| accesses.into_iter().map(file).collect())
}

/// Letters of a mask (security/apparmor/lib.c, `aa_file_perm_chrs`).
fn letters(mask: &str) -> Vec<FileAccess> {
    const LETTERS: [(char, FileAccess); 8] = [
        ('r', FileAccess::Read),
        ('w', FileAccess::Write),
        ('a', FileAccess::Append),
        ('c', FileAccess::Create),
        ('d', FileAccess::Remove),
        ('k', FileAccess::Lock),
        ('x', FileAccess::Execute),
        ('m', FileAccess::MapExecutable),
    ];
    LETTERS
        .into_iter()
        .filter(|(letter, _)| mask.contains(*letter))
        .map(|(_, access)| access)
        .collect()
}

fn capability(record: &Record<'_>) -> Option<CapabilityUse> {
    let number = u8::try_from(record.number("capability")?).ok()?;
    Some(CapabilityUse {
        capability: Capability::from_number(number),
        // What is probed for without auditing is not in the log.
        audited: Some(true),
        own_namespace: false,
        by_exec: false,
    })
}

fn socket(operation: &str, record: &Record<'_>) -> Option<SocketUse> {
    let operation = match operation {
        "create" => SocketOperation::Create,
        "bind" => SocketOperation::Bind,
        "connect" => SocketOperation::Connect,
        "listen" => SocketOperation::Listen,
        "accept" => SocketOperation::Accept,
        // The kind of socket is asked for with each: whoever sends has made one.
        _ => SocketOperation::Create,
    };
    Some(SocketUse {
        family: AppArmorProfile::family_number(record.word("family")?)?,
        kind: AppArmorProfile::kind_number(record.word("sock_type")?)?,
        protocol: u16::try_from(record.number("protocol").unwrap_or(0)).unwrap_or(0),
        operation,
        address: None,
        more: false,
    })
}

/// Who is at the other end: a process under the same profile, or somebody else.
fn peer(record: &Record<'_>) -> Peer {
    let (own, peer) = (record.text("profile"), record.text("peer"));
    if own.is_some() && own == peer {
        Peer::Own
    } else {
        Peer::Outside
    }
}

fn signals(record: &Record<'_>) -> Option<Vec<SignalUse>> {
    let name = record.word("signal")?;
    let signal = (0..=64).find(|number| signal_name(*number).as_deref() == Some(name))?;
    let mask = mask(record)?;
    let peer = peer(record);
    let directions = [
        ("send", SignalDirection::Send),
        ("receive", SignalDirection::Receive),
    ];
    let told: Vec<_> = directions
        .into_iter()
        .filter(|(word, _)| mask.contains(word))
        .map(|(_, direction)| SignalUse {
            direction,
            signal,
            peer,
        })
        .collect();
    (!told.is_empty()).then_some(told)
}

fn traces(record: &Record<'_>) -> Option<Vec<TraceUse>> {
    let peer = peer(record);
    let directions = [
        ("trace", TraceDirection::Trace),
        ("tracedby", TraceDirection::TracedBy),
        ("read", TraceDirection::Read),
        ("readby", TraceDirection::ReadBy),
    ];
    let asked: Vec<_> = mask(record)?.split([' ', ',']).collect();
    let told: Vec<_> = directions
        .into_iter()
        .filter(|(word, _)| asked.contains(word))
        .map(|(_, direction)| TraceUse { direction, peer })
        .collect();
    (!told.is_empty()).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::record::Line;

    fn told(fields: &str) -> Option<Told> {
        let line = format!("type=AVC msg=audit(1.0:1): apparmor=\"ALLOWED\" {fields}");
        match Line::read(&line) {
            Line::Record(record) => read(&record),
            other => panic!("{other:?}"),
        }
    }

    fn files(fields: &str) -> Vec<(String, FileAccess, bool)> {
        match told(fields) {
            Some(Told::Files(files)) => files
                .into_iter()
                .map(|it| (it.path.to_string(), it.access, it.owned))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files_are_told_by_operation_and_mask() {
        assert_eq!(
            files(
                r#"operation="open" profile="p" name="/etc/x" requested_mask="wc" denied_mask="wc" fsuid=0 ouid=0"#
            ),
            [
                ("/etc/x".to_owned(), FileAccess::Write, true),
                ("/etc/x".to_owned(), FileAccess::Create, true)
            ]
        );
        assert_eq!(
            files(r#"operation="mkdir" name="/srv/a/" denied_mask="c" fsuid=33 ouid=0"#),
            [("/srv/a/".to_owned(), FileAccess::MakeDirectory, false)]
        );
        assert_eq!(
            files(r#"operation="exec" name="/bin/ls" requested_mask="x" denied_mask="x""#),
            [("/bin/ls".to_owned(), FileAccess::Execute, false)]
        );
        let link = r#"operation="link" name="/b" target="/a" denied_mask="l" fsuid=0 ouid=0"#;
        assert!(matches!(told(link), Some(Told::Files(it)) if it[0].target.is_some()));
        assert_eq!(told(r#"operation="link" name="/b" denied_mask="l""#), None);
        assert_eq!(
            told(r#"operation="open" name="relative" denied_mask="r""#),
            None
        );
    }

    #[test]
    fn other_kinds_are_told() {
        let capable = r#"operation="capable" profile="p" capability=21 capname="sys_admin""#;
        assert!(
            matches!(told(capable), Some(Told::Capability(it)) if it.capability.number() == 21)
        );
        let net = r#"operation="create" family="inet" sock_type="stream" protocol=6 requested_mask="create""#;
        assert!(
            matches!(told(net), Some(Told::Socket(it)) if (it.family, it.kind, it.protocol) == (2, 1, 6))
        );
        let signal = r#"operation="signal" profile="p" requested_mask="send" denied_mask="send" signal=term peer="p""#;
        let expected = SignalUse {
            direction: SignalDirection::Send,
            signal: 15,
            peer: Peer::Own,
        };
        assert_eq!(told(signal), Some(Told::Signals(vec![expected])));
        let ptrace = r#"operation="ptrace" profile="p" requested_mask="readby" denied_mask="readby" peer="q""#;
        let expected = TraceUse {
            direction: TraceDirection::ReadBy,
            peer: Peer::Outside,
        };
        assert_eq!(told(ptrace), Some(Told::Traces(vec![expected])));
        assert_eq!(
            told(r#"operation="profile_replace" profile="p" name="x""#),
            None
        );
    }
}

//! What the ring of accesses tells, in a recording's words.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher as _},
    time::Instant,
};

use tracer_abi::{
    Access, AccessKind,
    access::{flag, open},
};

use super::{Meaning, Session};
use crate::bpf::abi_of_class;
use crate::{
    bpf::{KernelAccess, Mechanism},
    record::{RecordError, describe, novelty::News},
};
use syscalls::capability::Capability;
use tracer_core::recording::{
    Call, CapabilityUse, FileAccess, FilePath, FileUse, Moment, Peer, SignalDirection, SignalUse,
    SocketOperation, SocketUse, TraceDirection, TraceUse, Use, Who, estimate,
};

/// `AF_UNIX`.
const AF_UNIX: u16 = 1;

/// Accesses of instances that are not known yet, which are kept until they are.
const MOST_WAITING: usize = 65_536;

/// Who did what the kernel side tells of, and when.
#[derive(Clone)]
pub(super) struct By {
    pub(super) instance: u32,
    pub(super) who: Who,
    pub(super) first: Moment,
}

impl By {
    pub(super) fn does<T>(&self, what: T) -> Use<T> {
        Use {
            what,
            instance: self.instance,
            who: self.who.clone(),
            first: Some(self.first.clone()),
        }
    }
}

impl Session {
    /// Takes in what the ring of accesses holds.
    ///
    /// # Errors
    /// [`RecordError::Probe`] when a map cannot be read.
    pub(super) fn drain_accesses(&mut self) -> Result<(), RecordError> {
        let waiting = &mut self.waiting_accesses;
        self.events.drain_accesses(|access| waiting.push(access));
        let mut unknown = HashSet::new();
        if waiting
            .iter()
            .any(|access| !self.rows.contains_key(&access.access.row))
        {
            let rows = self.probe.rows()?;
            self.learn(&rows)?;
            unknown = self.unannounced(&rows);
        }
        for access in std::mem::take(&mut self.waiting_accesses) {
            // A row that is not known is of an instance that is not recorded any more, or of one that
            // no notice has told of yet. Unlike a call, an access has no mark: it is told once.
            let Some(meaning) = self.rows.get(&access.access.row).cloned() else {
                if !unknown.contains(&access.access.row) {
                    continue;
                }
                if self.waiting_accesses.len() < MOST_WAITING {
                    self.waiting_accesses.push(access);
                } else {
                    self.early_accesses += 1;
                }
                continue;
            };
            let announced = self.announced.entry(meaning.instance).or_default();
            announced.push(access.access.key);
            self.take_access(&meaning, access);
        }
        Ok(())
    }

    /// What an instance did may be forgotten by the kernel side.
    pub(super) fn forget_told(&mut self, instance: u32) -> Result<(), RecordError> {
        let keys = self.announced.remove(&instance).unwrap_or_default();
        Ok(self.probe.forget_accesses(&keys)?)
    }

    fn take_access(&mut self, meaning: &Meaning, told: KernelAccess) {
        if let Some(watched) = self.instance_mut(meaning.instance) {
            watched.seen = true;
        }
        let access = told.access;
        let call = (access.nr != u32::MAX).then(|| Call {
            abi: abi_of_class(self.machine, told.abi),
            nr: access.nr,
        });
        let by = By {
            instance: meaning.instance,
            who: (meaning.phase, meaning.executable.clone(), call),
            first: Moment {
                after_ns: access.time.saturating_sub(self.began_ns),
                pid: access.pid,
                comm: describe::text(access.comm.split(|byte| *byte == 0).next().unwrap_or(&[])),
            },
        };
        match told.kind {
            AccessKind::Capability => self.take_capability(&by, &access),
            AccessKind::SocketCreate
            | AccessKind::SocketBind
            | AccessKind::SocketConnect
            | AccessKind::SocketListen
            | AccessKind::SocketAccept => self.take_socket(&by, &told),
            AccessKind::SignalSend | AccessKind::SignalReceive => self.take_signal(&by, &told),
            AccessKind::Trace | AccessKind::Traced => self.take_trace(&by, &told),
            AccessKind::Mount
            | AccessKind::MoveMount
            | AccessKind::Unmount
            | AccessKind::PivotRoot => self.take_mount(&by, told),
            _ => self.take_file(&by, told),
        }
    }

    /// Something new: to the workload's profile, so what others did before does not count.
    pub(super) fn is_news(&mut self, by: &By, what: impl Hash) {
        if estimate::counts(by.who.0, false) {
            let mut hasher = DefaultHasher::new();
            what.hash(&mut hasher);
            let news = News::Access(hasher.finish());
            self.novelty.saw(by.instance, news, Instant::now());
        }
    }

    fn take_capability(&mut self, by: &By, access: &Access) {
        // An overlay, or another part of the kernel, asked with its own credentials, not the task's;
        // access(2) does so with a copy of them.
        let call = by.who.2.and_then(|call| call.abi.syscall_name(call.nr));
        if access.flags & flag::OVERRIDDEN != 0 && !call.is_some_and(|call| call.contains("access"))
        {
            return;
        }
        let capability = Capability::of(u8::try_from(access.values[0]).unwrap_or(u8::MAX));
        let audited = if access.flags & flag::AUDIT_KNOWN != 0 {
            Some(access.flags & flag::UNAUDITED == 0)
        } else {
            call.filter(|call| only_probes(capability, call))
                .map(|_| false)
        };
        self.is_news(by, capability);
        self.accesses.capabilities.add(by.does(CapabilityUse {
            capability,
            audited,
            own_namespace: access.flags & flag::OWN_NAMESPACE != 0,
        }));
    }

    fn take_signal(&mut self, by: &By, told: &KernelAccess) {
        self.accesses.signals.add(by.does(SignalUse {
            direction: if told.kind == AccessKind::SignalSend {
                SignalDirection::Send
            } else {
                SignalDirection::Receive
            },
            signal: u8::try_from(told.access.values[0]).unwrap_or(u8::MAX),
            peer: peer(&told.access),
        }));
    }

    fn take_trace(&mut self, by: &By, told: &KernelAccess) {
        let reads = told.access.values[0] != 0;
        self.accesses.traces.add(by.does(TraceUse {
            direction: match (told.kind == AccessKind::Trace, reads) {
                (true, true) => TraceDirection::Read,
                (true, false) => TraceDirection::Trace,
                (false, true) => TraceDirection::ReadBy,
                (false, false) => TraceDirection::TracedBy,
            },
            peer: peer(&told.access),
        }));
    }

    fn take_socket(&mut self, by: &By, told: &KernelAccess) {
        let operation = match told.kind {
            AccessKind::SocketBind => SocketOperation::Bind,
            AccessKind::SocketConnect => SocketOperation::Connect,
            AccessKind::SocketListen => SocketOperation::Listen,
            AccessKind::SocketAccept => SocketOperation::Accept,
            _ => SocketOperation::Create,
        };
        let [family, kind, protocol] = told.access.values.map(|value| {
            // 16 bits each in the kernel.
            u16::try_from(value).unwrap_or(u16::MAX)
        });
        let address = super::given::address(&told.second);
        // A socket with a path in the file system is a file as well: to make one is a hook's business, and to
        // connect to one is nobody's.
        let is_path = family == AF_UNIX && told.second.get(2..3).is_some_and(|byte| byte != [0]);
        if let Some(text) = address.as_ref().filter(|_| is_path) {
            let (instance, pid, text) = (by.instance, by.first.pid, text.as_bytes());
            let found = match operation {
                SocketOperation::Connect => self
                    .known_socket(instance, pid, text)
                    .map(|path| (path, FileAccess::Connect)),
                SocketOperation::Bind if !self.sees_hooks() => self
                    .made_socket(instance, pid, text)
                    .map(|path| (path, FileAccess::Create)),
                _ => None,
            };
            if let Some((path, access)) = found {
                self.add_file(by, path, access, &told.access, None);
            }
        }
        self.is_news(by, (family, kind, protocol));
        self.accesses.sockets.add(by.does(SocketUse {
            family,
            kind,
            protocol,
            operation,
            address,
            more: told.access.flags & flag::MORE != 0,
        }));
    }

    fn sees_hooks(&self) -> bool {
        self.probe.mechanisms().files != Some(Mechanism::Exits)
    }

    fn take_file(&mut self, by: &By, told: KernelAccess) {
        let access = told.access;
        let is_made = matches!(
            told.kind,
            AccessKind::Create | AccessKind::MakeDirectory | AccessKind::Symlink
        );
        let path = if access.flags & flag::AS_GIVEN != 0 {
            // Of chmod, chown and truncate a link at the end is followed; the name itself is what the
            // others are about.
            let follows = matches!(
                told.kind,
                AccessKind::ChangeMode
                    | AccessKind::ChangeOwner
                    | AccessKind::Truncate
                    | AccessKind::Execute
            ) || access.flags & flag::MORE != 0;
            let path = self.resolve(by.instance, access.pid, &told.first, &told.second, follows);
            let is_directory = matches!(
                told.kind,
                AccessKind::MakeDirectory | AccessKind::RemoveDirectory
            ) || access.flags & flag::MORE != 0;
            if is_directory {
                path.of_directory()
            } else {
                path
            }
        } else {
            FilePath::new(told.first)
        };
        if access.flags & flag::AS_GIVEN != 0 {
            self.renamed_directory(by, told.kind, &path, &access);
        }
        let mut access = access;
        if is_made {
            access.flags |= flag::OWNED;
        }
        let target = (told.kind == AccessKind::Link
            && !told.second.is_empty()
            && access.flags & flag::AS_GIVEN == 0)
            .then(|| FilePath::new(told.second));
        for what in file_accesses(told.kind, access.values[0]) {
            self.add_file(by, path.clone(), what, &access, target.clone());
        }
        if told.kind == AccessKind::MapExecutable
            && access.values[0] & open::READ != 0
            && !self.sees_hooks()
        {
            self.take_interpreter(by, &path, &access);
        }
    }

    /// That a name was a directory's is seen when it has its new one.
    fn renamed_directory(&mut self, by: &By, kind: AccessKind, path: &FilePath, told: &Access) {
        /// A process has one, until it has the other.
        const MOST: usize = 1024;
        match kind {
            AccessKind::RenameFrom => {
                if self.renames.len() >= MOST {
                    self.renames.clear();
                }
                self.renames.insert(told.pid, path.clone());
            }
            AccessKind::RenameTo => {
                let from = self.renames.remove(&told.pid);
                if let Some(from) = from.filter(|_| path.is_directory()) {
                    self.add_file(by, from.of_directory(), FileAccess::RenameFrom, told, None);
                }
            }
            _ => {}
        }
    }

    /// The kernel maps a program's interpreter without any call that would tell.
    fn take_interpreter(&mut self, by: &By, program: &FilePath, access: &Access) {
        let Some(interpreter) = self.interpreter(by.instance, by.first.pid, program.as_bytes())
        else {
            return;
        };
        for what in [FileAccess::MapExecutable, FileAccess::Read] {
            self.add_file(by, interpreter.clone(), what, access, None);
        }
    }

    fn add_file(
        &mut self,
        by: &By,
        path: FilePath,
        access: FileAccess,
        told: &Access,
        target: Option<FilePath>,
    ) {
        // A file that is made has any name; which one is told does not matter.
        if matches!(
            access,
            FileAccess::Read | FileAccess::Execute | FileAccess::MapExecutable
        ) {
            self.is_news(by, (&path, access));
        } else {
            self.is_news(by, (path.parent(), access));
        }
        self.accesses.files.add(by.does(FileUse {
            path,
            access,
            target,
            owned: told.flags & flag::OWNED != 0,
            more: told.flags & flag::MORE != 0,
            truncated: told.flags & (flag::TRUNCATED | flag::SECOND_TRUNCATED) != 0,
            detached: told.flags & flag::DETACHED != 0,
        }));
    }
}

/// Whether all that a call asks of a capability is whether it is there: each of these makes a mapping
/// larger, for which the kernel looks whether the last pages may be used, and goes on if not
/// (`cap_vm_enough_memory`, security/commoncap.c).
fn only_probes(capability: Capability, call: &str) -> bool {
    const SYS_ADMIN: Capability = Capability::of(21);
    // Not clone, which needs it to make namespaces.
    const MAPPING: [&str; 9] = [
        "brk", "execve", "execveat", "fork", "mmap", "mmap2", "mprotect", "mremap", "vfork",
    ];
    capability == SYS_ADMIN && MAPPING.contains(&call)
}

fn peer(access: &Access) -> Peer {
    if access.flags & flag::PEER_IS_OWN != 0 {
        Peer::Own
    } else {
        Peer::Outside
    }
}

/// What an access is in a recording: an open or an exec may be several.
fn file_accesses(kind: AccessKind, how: u64) -> Vec<FileAccess> {
    let ways = [
        (open::READ, FileAccess::Read),
        (open::WRITE, FileAccess::Write),
        (open::APPEND, FileAccess::Append),
        (open::CREATED, FileAccess::Create),
        (open::EXECUTED, FileAccess::Execute),
    ];
    let mut accesses: Vec<_> = ways
        .into_iter()
        .filter(|(bit, _)| how & bit != 0)
        .map(|(_, access)| access)
        .collect();
    accesses.push(match kind {
        AccessKind::Open => return accesses,
        AccessKind::Create => FileAccess::Create,
        AccessKind::MakeDirectory => FileAccess::MakeDirectory,
        AccessKind::Symlink => FileAccess::Symlink,
        AccessKind::Link => FileAccess::Link,
        AccessKind::Remove => FileAccess::Remove,
        AccessKind::RemoveDirectory => FileAccess::RemoveDirectory,
        AccessKind::RenameFrom => FileAccess::RenameFrom,
        AccessKind::RenameTo => FileAccess::RenameTo,
        AccessKind::ChangeMode => FileAccess::ChangeMode,
        AccessKind::ChangeOwner => FileAccess::ChangeOwner,
        AccessKind::Truncate => FileAccess::Truncate,
        AccessKind::Lock if how & 1 != 0 => FileAccess::LockExclusive,
        AccessKind::Lock => FileAccess::Lock,
        AccessKind::Execute => FileAccess::Execute,
        AccessKind::MapExecutable => FileAccess::MapExecutable,
        // No file.
        _ => return Vec::new(),
    });
    accesses
}

//! What the ring of accesses tells, in a recording's words.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use tracer_abi::{
    Access, AccessKind,
    access::{argument, flag, open},
};

use super::{
    AccessSource, Observed, Unreadable,
    file_kinds::{file_accesses, is_never_a_directory, provenance},
};
use crate::{
    bpf::{KernelAccess, abi_of_class},
    record::{
        convert, discovery::Discovered, file_capabilities::FileCapabilities, rows::RowMeaning,
        socket_address,
    },
};
use syscalls::capability::{
    Capability,
    checks::{self, ArgumentHints, Check, Meaning},
};
use tracer_core::recording::{
    AccessRecord, Actor, CapabilityUse, FileAccess, FilePath, FileUse, FirstAccess, Peer,
    SignalDirection, SignalUse, SocketOperation, SocketUse, SyscallId, TraceDirection, TraceUse,
    estimate,
};

/// `AF_UNIX`.
pub(super) const AF_UNIX: u16 = 1;

/// Who made an access, and when.
#[derive(Clone)]
pub(super) struct AccessContext {
    pub(super) instance: u32,
    pub(super) who: Actor,
    pub(super) first: FirstAccess,
}

impl AccessContext {
    pub(super) fn does<T>(&self, what: T) -> AccessRecord<T> {
        AccessRecord {
            what,
            instance: self.instance,
            who: self.who.clone(),
            first: Some(self.first.clone()),
        }
    }
}

impl Observed {
    /// Takes in an access of a row.
    ///
    /// # Errors
    /// [`Unreadable`] when its texts are not as they should be.
    pub(in crate::record) fn take_access(
        &mut self,
        row: &RowMeaning,
        reported: KernelAccess,
        source: &AccessSource<'_>,
    ) -> Result<(), Unreadable> {
        let access = reported.access;
        let call = (access.nr != u32::MAX).then(|| SyscallId {
            abi: abi_of_class(self.machine, reported.abi),
            nr: access.nr,
        });
        let by = AccessContext {
            instance: row.instance,
            who: (row.phase, row.executable.clone(), call),
            first: FirstAccess {
                after_ns: access.time.saturating_sub(self.began_ns),
                pid: access.pid,
                comm: convert::text(access.comm.split(|byte| *byte == 0).next().unwrap_or(&[])),
            },
        };
        // The kernel side reports an access once.
        self.changed.insert(row.instance);
        match reported.kind {
            AccessKind::Capability => self.take_capability(&by, &access, &reported.second),
            AccessKind::SocketCreate
            | AccessKind::SocketBind
            | AccessKind::SocketConnect
            | AccessKind::SocketListen
            | AccessKind::SocketAccept => self.take_socket(&by, &reported, source),
            AccessKind::SignalSend | AccessKind::SignalReceive => self.take_signal(&by, &reported),
            AccessKind::Selinux => return self.take_selinux(&by, &reported),
            AccessKind::Trace | AccessKind::Traced => self.take_trace(&by, &reported),
            AccessKind::Mount
            | AccessKind::MoveMount
            | AccessKind::Unmount
            | AccessKind::PivotRoot => return self.take_mount(&by, reported, source),
            _ => self.take_file(&by, reported, source),
        }
        Ok(())
    }

    /// Something new: to the workload's profile, so what others did before does not count.
    pub(super) fn note_discovery(&mut self, by: &AccessContext, what: impl Hash) {
        if estimate::counts(by.who.0, false) {
            let mut hasher = DefaultHasher::new();
            what.hash(&mut hasher);
            self.discovered
                .push((by.instance, Discovered::Access(hasher.finish())));
        }
    }

    fn take_capability(&mut self, by: &AccessContext, access: &Access, callers: &[u8]) {
        let capability = Capability::from_number(u8::try_from(access.values[0]).unwrap_or(u8::MAX));
        let callers = kernel_functions(callers);
        let check = Check {
            callers: &callers,
            unaudited: (access.flags & flag::AUDIT_KNOWN != 0)
                .then_some(access.flags & flag::UNAUDITED != 0),
            arguments: argument_hints(access.values[1], by.who.2),
        };
        let audited = match checks::meaning(capability, &check) {
            Meaning::Required => Some(true),
            Meaning::NotRequired => Some(false),
            Meaning::Unknown => None,
        };
        self.note_discovery(by, capability);
        self.accesses.capabilities.add(by.does(CapabilityUse {
            capability,
            audited,
            own_namespace: access.flags & flag::OWN_NAMESPACE != 0,
            by_exec: false,
        }));
    }

    fn take_signal(&mut self, by: &AccessContext, reported: &KernelAccess) {
        self.accesses.signals.add(by.does(SignalUse {
            direction: if reported.kind == AccessKind::SignalSend {
                SignalDirection::Send
            } else {
                SignalDirection::Receive
            },
            signal: u8::try_from(reported.access.values[0]).unwrap_or(u8::MAX),
            peer: peer(&reported.access),
        }));
    }

    fn take_trace(&mut self, by: &AccessContext, reported: &KernelAccess) {
        let reads = reported.access.values[0] != 0;
        self.accesses.traces.add(by.does(TraceUse {
            direction: match (reported.kind == AccessKind::Trace, reads) {
                (true, true) => TraceDirection::Read,
                (true, false) => TraceDirection::Trace,
                (false, true) => TraceDirection::ReadBy,
                (false, false) => TraceDirection::TracedBy,
            },
            peer: peer(&reported.access),
        }));
    }

    fn take_socket(
        &mut self,
        by: &AccessContext,
        reported: &KernelAccess,
        source: &AccessSource<'_>,
    ) {
        let operation = match reported.kind {
            AccessKind::SocketBind => SocketOperation::Bind,
            AccessKind::SocketConnect => SocketOperation::Connect,
            AccessKind::SocketListen => SocketOperation::Listen,
            AccessKind::SocketAccept => SocketOperation::Accept,
            _ => SocketOperation::Create,
        };
        let [family, kind, protocol] = reported.access.values.map(|value| {
            // 16 bits each in the kernel.
            u16::try_from(value).unwrap_or(u16::MAX)
        });
        let address = socket_address::address(&reported.second);
        // A socket with a path in the file system is a file as well: to make one is a hook's business, and to
        // connect to one is nobody's.
        let is_path =
            family == AF_UNIX && reported.second.get(2..3).is_some_and(|byte| byte != [0]);
        if let Some(text) = address.as_ref().filter(|_| is_path) {
            let (process, text) = (source.process(by.first.pid), text.as_bytes());
            let found = match operation {
                SocketOperation::Connect => source
                    .files
                    .known_socket(process, text)
                    .map(|path| (path, FileAccess::Connect)),
                SocketOperation::Bind if !self.sees_hooks => source
                    .files
                    .made_socket(process, text)
                    .map(|path| (path, FileAccess::Create)),
                _ => None,
            };
            if let Some((path, access)) = found {
                self.add_file(by, path, access, &reported.access, None);
            }
        }
        self.note_discovery(by, (family, kind, protocol));
        self.accesses.sockets.add(by.does(SocketUse {
            family,
            kind,
            protocol,
            operation,
            address,
            more: reported.access.flags & flag::MORE != 0,
        }));
    }

    fn take_file(&mut self, by: &AccessContext, reported: KernelAccess, source: &AccessSource<'_>) {
        let access = reported.access;
        let is_made = matches!(
            reported.kind,
            AccessKind::Create | AccessKind::MakeDirectory | AccessKind::Symlink
        );
        let path = if access.flags & flag::AS_GIVEN != 0 {
            // Of chmod, chown, truncate and access a link at the end is followed; the name itself is what the
            // others are about.
            let follows = matches!(
                reported.kind,
                AccessKind::ChangeMode
                    | AccessKind::ChangeOwner
                    | AccessKind::Truncate
                    | AccessKind::Execute
                    | AccessKind::CheckWritable
            ) || access.flags & flag::MORE != 0;
            let path = source.files.resolve(
                source.process(access.pid),
                &reported.first,
                &reported.second,
                follows,
            );
            let is_directory = matches!(
                reported.kind,
                AccessKind::MakeDirectory | AccessKind::RemoveDirectory
            ) || access.flags & flag::MORE != 0;
            if is_directory {
                path.of_directory()
            } else if is_never_a_directory(reported.kind) {
                path.of_file()
            } else {
                path
            }
        } else {
            FilePath::new(reported.first)
        };
        if access.flags & flag::AS_GIVEN != 0 {
            self.renamed_directory(by, reported.kind, &path, &access);
        }
        let mut access = access;
        if is_made {
            access.flags |= flag::OWNED;
        }
        let target = (reported.kind == AccessKind::Link
            && !reported.second.is_empty()
            && access.flags & flag::AS_GIVEN == 0)
            .then(|| FilePath::new(reported.second));
        for what in file_accesses(reported.kind, access.values[0]) {
            self.add_file(by, path.clone(), what, &access, target.clone());
        }
        if reported.kind == AccessKind::MapExecutable && access.values[0] & open::READ != 0 {
            self.take_exec_demands(by, &path, &access, source);
        }
        if reported.kind == AccessKind::MapExecutable
            && access.values[0] & open::READ != 0
            && !self.sees_hooks
        {
            self.take_interpreter(by, &path, &access, source);
        }
    }

    /// That a name was a directory's is seen when it has its new one.
    fn renamed_directory(
        &mut self,
        by: &AccessContext,
        kind: AccessKind,
        path: &FilePath,
        reported: &Access,
    ) {
        /// A process has one, until it has the other.
        const LIMIT: usize = 1024;
        match kind {
            AccessKind::RenameFrom => {
                if self.renames.len() >= LIMIT {
                    self.renames.clear();
                }
                self.renames.insert(reported.pid, path.clone());
            }
            AccessKind::RenameTo => {
                let from = self.renames.remove(&reported.pid);
                if let Some(from) = from.filter(|_| path.is_directory()) {
                    self.add_file(
                        by,
                        from.of_directory(),
                        FileAccess::RenameFrom,
                        reported,
                        None,
                    );
                }
            }
            _ => {}
        }
    }

    /// The kernel maps a program's interpreter without any call that would tell.
    fn take_interpreter(
        &mut self,
        by: &AccessContext,
        program: &FilePath,
        access: &Access,
        source: &AccessSource<'_>,
    ) {
        let process = source.process(by.first.pid);
        let Some(interpreter) = source.files.interpreter(process, program.as_bytes()) else {
            return;
        };
        for what in [FileAccess::MapExecutable, FileAccess::Read] {
            self.add_file(by, interpreter.clone(), what, access, None);
        }
    }

    /// What executing a file takes, and gives, without any check that would tell.
    fn take_exec_demands(
        &mut self,
        by: &AccessContext,
        program: &FilePath,
        access: &Access,
        source: &AccessSource<'_>,
    ) {
        let process = source.process(by.first.pid);
        let own = source.files.file_capabilities(process, program.as_bytes());
        let gains = access.values[0] & open::SET_ID != 0
            || own.is_some() && access.values[0] & open::NOT_ROOT != 0;
        if gains {
            self.add_file_use(by.does(FileUse {
                gains_privileges: true,
                ..file_use(program.clone(), FileAccess::Execute, access, None)
            }));
        }
        for capability in own
            .filter(|own| own.effective)
            .into_iter()
            .flat_map(FileCapabilities::permitted)
        {
            self.note_discovery(by, capability);
            self.accesses.capabilities.add(by.does(CapabilityUse {
                capability,
                audited: Some(true),
                own_namespace: false,
                by_exec: true,
            }));
        }
    }

    fn add_file(
        &mut self,
        by: &AccessContext,
        path: FilePath,
        access: FileAccess,
        reported: &Access,
        target: Option<FilePath>,
    ) {
        // A file that is made has any name; which one is told does not matter.
        if matches!(
            access,
            FileAccess::Read | FileAccess::Execute | FileAccess::MapExecutable
        ) {
            self.note_discovery(by, (&path, access));
        } else {
            self.note_discovery(by, (path.parent(), access));
        }
        self.add_file_use(by.does(file_use(path, access, reported, target)));
    }
}

fn file_use(
    path: FilePath,
    access: FileAccess,
    reported: &Access,
    target: Option<FilePath>,
) -> FileUse {
    FileUse {
        path,
        access,
        target,
        owned: reported.flags & flag::OWNED != 0,
        more: reported.flags & flag::MORE != 0,
        tree: false,
        truncated: reported.flags & (flag::TRUNCATED | flag::SECOND_TRUNCATED) != 0,
        detached: reported.flags & flag::DETACHED != 0,
        provenance: provenance(reported, access),
        gains_privileges: false,
    }
}

/// The names in what the kernel printed of return addresses: `name+0x12/0x34`, and with a module's
/// name behind it when it is in one.
fn kernel_functions(printed: &[u8]) -> Vec<&str> {
    let printed = printed.split(|byte| *byte == 0).next().unwrap_or(&[]);
    // Cut in the middle of a name when there was no room for all.
    let printed = str::from_utf8(printed).unwrap_or_default();
    printed
        .split_ascii_whitespace()
        .filter(|it| !it.starts_with('['))
        .map(|it| it.split_once('+').map_or(it, |(name, _)| name))
        // What the compiler made of a function: `.isra.0`, `.constprop.0`, `.part.0`.
        .map(|name| name.split_once('.').map_or(name, |(name, _)| name))
        .collect()
}

/// What the kernel side says of the arguments, of which only the call's are meant.
fn argument_hints(bits: u64, call: Option<SyscallId>) -> ArgumentHints {
    let name = call.and_then(|call| call.abi.syscall_name(call.nr));
    let is_at = name.is_some_and(|name| name.ends_with("at") || name.ends_with("at2"));
    let has = |bit| bits & bit != 0;
    ArgumentHints {
        own_id: has(argument::OWN_ID),
        set_group_id: has(if is_at {
            argument::THIRD_SET_GROUP_ID
        } else {
            argument::SECOND_SET_GROUP_ID
        }),
        // openat2's flags are behind a pointer.
        writes: match name {
            Some("open") => has(argument::SECOND_WRITES),
            Some("openat") => has(argument::THIRD_WRITES),
            // What was opened to be read is asked for again when it is read, and so for writing.
            Some(
                "creat" | "openat2" | "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2",
            ) => true,
            _ => false,
        },
        root: has(argument::ROOT),
        reads_interface: has(argument::READS_INTERFACE) && name == Some("ioctl"),
    }
}

fn peer(access: &Access) -> Peer {
    if access.flags & flag::PEER_IS_OWN != 0 {
        Peer::Own
    } else {
        Peer::Outside
    }
}

//! The messages that gVisor's runtime monitoring sends, as far as tracer reads them.
//!
//! A message is one packet: header size, message type and dropped count, then protobuf
//! (gvisor, pkg/sentry/seccheck/sinks/remote/wire/wire.go; pkg/sentry/seccheck/points/*.proto). Strings
//! are read as bytes: nothing here depends on what a guest is called.
//!
//! A guest cannot write packets. A sandbox that was taken over can, so every length is checked.

use prost::Message as _;
use thiserror::Error;

/// The version that both sides say first: a protobuf message with field 1 = 1.
pub(super) const HANDSHAKE: [u8; 2] = [8, 1];

/// Bytes of the header that tracer knows. A later version may have more.
const HEADER: usize = 8;

/// A packet that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum WireError {
    #[error("a packet of {0} bytes is shorter than its header")]
    Header(usize),
    #[error("the body of a message of type {0} is not the protobuf that it should be")]
    Body(u16),
    #[error("the handshake is not one of version 1 or later")]
    Handshake,
}

/// What a packet says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Packet {
    /// How many messages the sandbox has dropped so far, by its own count.
    pub(super) dropped: u32,
    /// The message.
    pub(super) message: Message,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// A container starts.
    ContainerStart(ContainerStart),
    /// A task made another one.
    Clone(Clone),
    /// A task executed a program.
    Exec(Exec),
    /// A process has ended, and its parent hears of it.
    ProcessExit(Exit),
    /// A task has ended.
    TaskExit(Exit),
    /// A system call.
    Syscall(Syscall),
    /// Something that tracer does not ask for.
    Other,
}

/// Who and when (points/common.proto, `ContextData`).
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Context {
    /// Unix time in nanoseconds.
    #[prost(int64, tag = "1")]
    pub(super) time_ns: i64,
    /// The thread, in the sandbox's root pid namespace.
    #[prost(int32, tag = "2")]
    pub(super) thread_id: i32,
    /// Its process.
    #[prost(int32, tag = "4")]
    pub(super) thread_group_id: i32,
    /// Its container.
    #[prost(bytes = "vec", tag = "6")]
    pub(super) container_id: Vec<u8>,
}

/// points/container.proto, `Start`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ContainerStart {
    #[prost(message, optional, tag = "1")]
    pub(super) context: Option<Context>,
    /// The container.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) id: Vec<u8>,
    /// The directory that it starts in.
    #[prost(bytes = "vec", tag = "3")]
    pub(super) cwd: Vec<u8>,
    /// Its command.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub(super) args: Vec<Vec<u8>>,
}

/// points/sentry.proto, `CloneInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Clone {
    #[prost(message, optional, tag = "1")]
    pub(super) context: Option<Context>,
    /// The process of the new task.
    #[prost(int32, tag = "4")]
    pub(super) created_thread_group_id: i32,
}

/// points/sentry.proto, `ExecveInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Exec {
    #[prost(message, optional, tag = "1")]
    pub(super) context: Option<Context>,
    /// The file, with links resolved.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) binary_path: Vec<u8>,
}

/// points/sentry.proto, `ExitNotifyParentInfo` and `TaskExit`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Exit {
    #[prost(message, optional, tag = "1")]
    pub(super) context: Option<Context>,
}

/// points/syscall.proto, `Syscall`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Syscall {
    #[prost(message, optional, tag = "1")]
    pub(super) context: Option<Context>,
    /// Set at the end of a call, and absent at its beginning.
    #[prost(message, optional, tag = "2")]
    pub(super) exit: Option<SyscallResult>,
    #[prost(uint64, tag = "4")]
    pub(super) number: u64,
    #[prost(uint64, tag = "5")]
    pub(super) arg1: u64,
    #[prost(uint64, tag = "6")]
    pub(super) arg2: u64,
    #[prost(uint64, tag = "7")]
    pub(super) arg3: u64,
    #[prost(uint64, tag = "8")]
    pub(super) arg4: u64,
    #[prost(uint64, tag = "9")]
    pub(super) arg5: u64,
    #[prost(uint64, tag = "10")]
    pub(super) arg6: u64,
}

impl Syscall {
    /// The argument registers.
    pub(super) const fn args(&self) -> [u64; 6] {
        [
            self.arg1, self.arg2, self.arg3, self.arg4, self.arg5, self.arg6,
        ]
    }
}

/// points/common.proto, `Exit`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SyscallResult {
    #[prost(int64, tag = "2")]
    pub(super) errno: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Handshake {
    #[prost(uint32, tag = "1")]
    version: u32,
}

/// Checks what the other side says first. It is answered with [`HANDSHAKE`].
pub(super) fn check_handshake(packet: &[u8]) -> Result<(), WireError> {
    match Handshake::decode(packet) {
        Ok(handshake) if handshake.version >= 1 => Ok(()),
        _ => Err(WireError::Handshake),
    }
}

/// Reads a packet.
pub(super) fn decode(packet: &[u8]) -> Result<Packet, WireError> {
    let short = || WireError::Header(packet.len());
    let [size_low, size_high, type_low, type_high, d0, d1, d2, d3, ..] = *packet else {
        return Err(short());
    };
    let size = usize::from(u16::from_le_bytes([size_low, size_high]));
    if size < HEADER {
        return Err(short());
    }
    let body = packet.get(size..).ok_or_else(short)?;
    let number = u16::from_le_bytes([type_low, type_high]);
    // points/common.proto, `MessageType`.
    let message = match number {
        1 => ContainerStart::decode(body).map(Message::ContainerStart),
        2 => Clone::decode(body).map(Message::Clone),
        3 => Exec::decode(body).map(Message::Exec),
        4 => Exit::decode(body).map(Message::ProcessExit),
        5 => Exit::decode(body).map(Message::TaskExit),
        6 => Syscall::decode(body).map(Message::Syscall),
        _ => Ok(Message::Other),
    };
    Ok(Packet {
        dropped: u32::from_le_bytes([d0, d1, d2, d3]),
        message: message.map_err(|_| WireError::Body(number))?,
    })
}

/// Writes packets as a sandbox does.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    pub(crate) fn packet(number: u16, dropped: u32, body: &impl prost::Message) -> Vec<u8> {
        let mut packet = 8_u16.to_le_bytes().to_vec();
        packet.extend(number.to_le_bytes());
        packet.extend(dropped.to_le_bytes());
        packet.extend(body.encode_to_vec());
        packet
    }

    pub(crate) fn context(process: i32) -> Option<Context> {
        Some(Context {
            time_ns: 1_000,
            thread_id: process,
            thread_group_id: process,
            container_id: b"web".to_vec(),
        })
    }

    pub(crate) fn start(args: &[&str]) -> Vec<u8> {
        let start = ContainerStart {
            context: context(1),
            id: b"web".to_vec(),
            cwd: b"/".to_vec(),
            args: args.iter().map(|it| it.as_bytes().to_vec()).collect(),
        };
        packet(1, 0, &start)
    }

    /// A call without arguments, of the first process of a container.
    pub(crate) fn call_in(container: &str, number: u64) -> Vec<u8> {
        let mut context = context(1);
        if let Some(context) = &mut context {
            context.container_id = container.as_bytes().to_vec();
        }
        let call = Syscall {
            context,
            number,
            ..Syscall::default()
        };
        packet(6, 0, &call)
    }

    pub(crate) fn call(process: i32, number: u64, args: [u64; 6], dropped: u32) -> Vec<u8> {
        let [arg1, arg2, arg3, arg4, arg5, arg6] = args;
        let call = Syscall {
            context: context(process),
            exit: None,
            number,
            arg1,
            arg2,
            arg3,
            arg4,
            arg5,
            arg6,
        };
        packet(6, dropped, &call)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As runsc 20240729 sent it: exit_group(0) of process 1 in the container `t1`.
    const EXIT_GROUP: &[u8] = &[
        8, 0, 6, 0, 3, 0, 0, 0, // header: type 6, 3 dropped
        0x0a, 0x0a, 0x08, 0x05, 0x10, 0x01, 0x20, 0x01, 0x32, 0x02, b't', b'1', // context
        0x20, 0xe7, 0x01, // number 231
    ];

    #[test]
    fn calls_are_read_with_their_context() {
        let packet = decode(EXIT_GROUP).unwrap();
        assert_eq!(packet.dropped, 3);
        let Message::Syscall(call) = packet.message else {
            panic!("{packet:?}");
        };
        assert_eq!((call.number, call.args()), (231, [0; 6]));
        assert!(call.exit.is_none());
        let context = call.context.unwrap();
        assert_eq!((context.thread_id, context.thread_group_id), (1, 1));
        assert_eq!((context.time_ns, context.container_id), (5, b"t1".to_vec()));
    }

    #[test]
    fn longer_headers_are_skipped_and_shorter_ones_refused() {
        let mut longer = EXIT_GROUP.to_vec();
        longer[0] = 10;
        longer.splice(8..8, [1, 2]);
        assert_eq!(decode(&longer), decode(EXIT_GROUP));
        for size in [0, 7, 200] {
            let mut wrong = EXIT_GROUP.to_vec();
            wrong[0] = size;
            assert_eq!(decode(&wrong), Err(WireError::Header(wrong.len())));
        }
        assert_eq!(decode(&EXIT_GROUP[..7]), Err(WireError::Header(7)));
    }

    #[test]
    fn bodies_that_end_early_are_refused() {
        for end in 9..EXIT_GROUP.len() {
            // A body that ends between two fields is a shorter one.
            if end != 20 {
                assert_eq!(decode(&EXIT_GROUP[..end]), Err(WireError::Body(6)), "{end}");
            }
        }
        let other = [8, 0, 77, 0, 0, 0, 0, 0, 0xff];
        assert_eq!(decode(&other).unwrap().message, Message::Other);
    }

    #[test]
    fn a_handshake_has_a_version() {
        assert_eq!(check_handshake(&HANDSHAKE), Ok(()));
        assert_eq!(check_handshake(&[8, 2]), Ok(()));
        for wrong in [&[][..], &[8, 0], &[8], &[0xff; 100]] {
            assert_eq!(check_handshake(wrong), Err(WireError::Handshake));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = check_handshake(&bytes);
        }

        #[test]
        fn changed_packets_are_read_or_refused(at in 0..EXIT_GROUP.len(), byte in any::<u8>()) {
            let mut changed = EXIT_GROUP.to_vec();
            changed[at] = byte;
            let _ = decode(&changed);
        }
    }
}

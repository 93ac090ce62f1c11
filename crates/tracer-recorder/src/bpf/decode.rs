//! From the bytes of the ring to what they say. Length first, then field by field.

use thiserror::Error;
use tracer_abi::{AbiClass, COMM_LEN, Event, Notice, NoticeKind};

/// What the ring carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingMessage {
    /// A new observation.
    Event(Event, AbiClass),
    /// News of a cgroup.
    Notice(Notice, NoticeKind),
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum DecodeError {
    #[error(
        "an event has {event} bytes and a notice {notice}, this has {0}",
        event = size_of::<Event>(),
        notice = size_of::<Notice>()
    )]
    Length(usize),
    #[error("there is no ABI {0}")]
    Abi(u32),
    #[error("there is no notice {0}")]
    Notice(u32),
}

/// Reads one message.
pub(super) fn message(bytes: &[u8]) -> Result<RingMessage, DecodeError> {
    match bytes.len() {
        n if n == size_of::<Event>() => {
            event(bytes).map(|(event, abi)| RingMessage::Event(event, abi))
        }
        n if n == size_of::<Notice>() => notice(bytes),
        n => Err(DecodeError::Length(n)),
    }
}

/// Reads one event.
fn event(bytes: &[u8]) -> Result<(Event, AbiClass), DecodeError> {
    if bytes.len() != size_of::<Event>() {
        return Err(DecodeError::Length(bytes.len()));
    }
    let mut rest = bytes;
    let event = Event {
        time: u64::from_ne_bytes(take(&mut rest)),
        args: std::array::from_fn(|_| u64::from_ne_bytes(take(&mut rest))),
        row: u32::from_ne_bytes(take(&mut rest)),
        nr: u32::from_ne_bytes(take(&mut rest)),
        pid: u32::from_ne_bytes(take(&mut rest)),
        tid: u32::from_ne_bytes(take(&mut rest)),
        comm: take::<COMM_LEN>(&mut rest),
        abi: u32::from_ne_bytes(take(&mut rest)),
        outcome: u32::from_ne_bytes(take(&mut rest)),
    };
    Ok((event, abi_class(event.abi)?))
}

fn notice(bytes: &[u8]) -> Result<RingMessage, DecodeError> {
    let mut rest = bytes;
    let notice = Notice {
        time: u64::from_ne_bytes(take(&mut rest)),
        instance: u64::from_ne_bytes(take(&mut rest)),
        kind: u32::from_ne_bytes(take(&mut rest)),
        pid: u32::from_ne_bytes(take(&mut rest)),
    };
    let kind = [
        NoticeKind::Made,
        NoticeKind::Started,
        NoticeKind::Filtered,
        NoticeKind::Removed,
        NoticeKind::Entered,
    ]
    .into_iter()
    .find(|kind| *kind as u32 == notice.kind)
    .ok_or(DecodeError::Notice(notice.kind))?;
    Ok(RingMessage::Notice(notice, kind))
}

/// The ABI class that a number from the kernel side stands for.
pub(crate) fn abi_class(number: u32) -> Result<AbiClass, DecodeError> {
    [AbiClass::Native, AbiClass::Compat, AbiClass::X32]
        .into_iter()
        .find(|class| *class as u32 == number)
        .ok_or(DecodeError::Abi(number))
}

pub(super) fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let mut array = [0; N];
    if let Some((head, tail)) = bytes.split_first_chunk::<N>() {
        array = *head;
        *bytes = tail;
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(event: &Event) -> Vec<u8> {
        let mut bytes = event.time.to_ne_bytes().to_vec();
        for arg in event.args {
            bytes.extend(arg.to_ne_bytes());
        }
        for word in [event.row, event.nr, event.pid, event.tid] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(event.comm);
        bytes.extend(event.abi.to_ne_bytes());
        bytes.extend(event.outcome.to_ne_bytes());
        bytes
    }

    fn sample(abi: u32) -> Event {
        Event {
            time: 1,
            args: [2, 3, 4, 5, 6, 7],
            row: 8,
            nr: 9,
            pid: 10,
            tid: 11,
            comm: *b"comm\0\0\0\0\0\0\0\0\0\0\0\0",
            abi,
            outcome: 11,
        }
    }

    #[test]
    fn event_round_trips() {
        for (abi, class) in [
            (0, AbiClass::Native),
            (1, AbiClass::Compat),
            (2, AbiClass::X32),
        ] {
            assert_eq!(
                message(&bytes(&sample(abi))),
                Ok(RingMessage::Event(sample(abi), class))
            );
        }
    }

    #[test]
    fn unknown_abi_is_rejected() {
        assert_eq!(message(&bytes(&sample(3))), Err(DecodeError::Abi(3)));
    }

    #[test]
    fn notices_decode_and_unknown_kinds_are_rejected() {
        let bytes = |kind: u32| {
            let mut bytes = 1_u64.to_ne_bytes().to_vec();
            bytes.extend(2_u64.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(3_u32.to_ne_bytes());
            bytes
        };
        let notice = Notice {
            time: 1,
            instance: 2,
            kind: 4,
            pid: 3,
        };
        assert_eq!(
            message(&bytes(4)),
            Ok(RingMessage::Notice(notice, NoticeKind::Removed))
        );
        for kind in [0, 6] {
            assert_eq!(message(&bytes(kind)), Err(DecodeError::Notice(kind)));
        }
    }

    proptest! {
        #[test]
        fn wrong_length_is_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assume!(![size_of::<Event>(), size_of::<Notice>()].contains(&bytes.len()));
            prop_assert_eq!(message(&bytes), Err(DecodeError::Length(bytes.len())));
        }
    }
}

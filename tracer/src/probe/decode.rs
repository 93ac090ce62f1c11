//! From the bytes of the ring to an event. Length first, then field by field.

use thiserror::Error;
use tracer_ebpf::{AbiClass, COMM_LEN, Event};

/// Why bytes are no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum DecodeError {
    #[error("an event has {expected} bytes, this one {0}", expected = size_of::<Event>())]
    Length(usize),
    #[error("there is no ABI {0}")]
    Abi(u32),
}

/// Reads one event.
pub(super) fn event(bytes: &[u8]) -> Result<(Event, AbiClass), DecodeError> {
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
        pad: u32::from_ne_bytes(take(&mut rest)),
    };
    Ok((event, abi_class(event.abi)?))
}

/// The ABI class that a number from the kernel side stands for.
pub(super) fn abi_class(number: u32) -> Result<AbiClass, DecodeError> {
    [AbiClass::Native, AbiClass::Compat, AbiClass::X32]
        .into_iter()
        .find(|class| *class as u32 == number)
        .ok_or(DecodeError::Abi(number))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
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
        bytes.extend(event.pad.to_ne_bytes());
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
            pad: 0,
        }
    }

    #[test]
    fn every_field_comes_back() {
        for (abi, class) in [
            (0, AbiClass::Native),
            (1, AbiClass::Compat),
            (2, AbiClass::X32),
        ] {
            assert_eq!(event(&bytes(&sample(abi))), Ok((sample(abi), class)));
        }
    }

    #[test]
    fn an_unknown_abi_is_refused() {
        assert_eq!(event(&bytes(&sample(3))), Err(DecodeError::Abi(3)));
    }

    proptest! {
        #[test]
        fn another_length_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assume!(bytes.len() != size_of::<Event>());
            prop_assert_eq!(event(&bytes), Err(DecodeError::Length(bytes.len())));
        }
    }
}

//! What is typed.

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Save and quit.
    Quit,
    /// The workload above, or below.
    Up,
    Down,
    /// All workloads.
    All,
    /// Risky observations only, or all again.
    Risky,
    /// Another order of the workloads.
    Sort,
    /// Older news, or newer.
    PageUp,
    PageDown,
    /// Draw everything again.
    Redraw,
}

/// The keys in what a terminal sent. Bytes that mean nothing are left out.
pub(super) fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let Some((key, rest)) = first(bytes) {
        keys.extend(key);
        bytes = rest;
    }
    keys
}

fn first(bytes: &[u8]) -> Option<(Option<Key>, &[u8])> {
    // Terminals send `ESC [ A`, or `ESC O A` in another mode (xterm's ctlseqs, "PC-Style Function Keys").
    const SEQUENCES: [(&[u8], Key); 6] = [
        (b"\x1b[A", Key::Up),
        (b"\x1b[B", Key::Down),
        (b"\x1bOA", Key::Up),
        (b"\x1bOB", Key::Down),
        (b"\x1b[5~", Key::PageUp),
        (b"\x1b[6~", Key::PageDown),
    ];
    for (sequence, key) in SEQUENCES {
        if let Some(rest) = bytes.strip_prefix(sequence) {
            return Some((Some(key), rest));
        }
    }
    if let [0x1b, b'[' | b'O', rest @ ..] = bytes {
        // Another key: its sequence ends with a byte from `@` on.
        let end = rest.iter().position(|it| (b'@'..=b'~').contains(it));
        return Some((None, end.map_or(&[], |end| &rest[end + 1..])));
    }
    let (byte, rest) = bytes.split_first()?;
    let key = match byte {
        // Ctrl-C and Ctrl-\ send no signal while the screen is shown.
        b'q' | b'Q' | 0x03 | 0x1c => Some(Key::Quit),
        b'k' => Some(Key::Up),
        b'j' => Some(Key::Down),
        0x1b => Some(Key::All),
        b'r' => Some(Key::Risky),
        b's' => Some(Key::Sort),
        0x0c => Some(Key::Redraw),
        _ => None,
    };
    Some((key, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_sequences() {
        assert_eq!(keys(b"q"), [Key::Quit]);
        assert_eq!(keys(b"\x03"), [Key::Quit]);
        assert_eq!(keys(b"\x1b"), [Key::All]);
        assert_eq!(
            keys(b"\x1b[A\x1bOBjx\x1b[5~"),
            [Key::Up, Key::Down, Key::Down, Key::PageUp]
        );
        // F5, and an arrow with Ctrl: neither ends as another key.
        assert_eq!(keys(b"\x1b[15~r"), [Key::Risky]);
        assert_eq!(keys(b"\x1b[1;5Aq"), [Key::Quit]);
        assert_eq!(keys(b"\x1b["), []);
    }
}

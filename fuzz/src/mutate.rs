//! Changes to an input.

/// Numbers that look like chance, and are the same each time (Marsaglia, xorshift64*).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, or 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    pub(crate) fn pick<'list, T>(&mut self, list: &'list [T]) -> Option<&'list T> {
        list.get(self.below(list.len()))
    }
}

/// What the formats are made of.
const WORDS: &[&str] = &[
    "null",
    "true",
    "false",
    "[]",
    "{}",
    ",",
    ":",
    "\"",
    "\\u0000",
    "\\ud800",
    "0",
    "-1",
    "1e999",
    "4095",
    "65536",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "\"SCMP_ACT_ALLOW\"",
    "\"SCMP_ACT_ERRNO\"",
    "\"SCMP_ACT_KILL\"",
    "\"SCMP_ACT_NOTIFY\"",
    "\"SCMP_ACT_TRACE\"",
    "\"SCMP_CMP_MASKED_EQ\"",
    "\"SCMP_CMP_NE\"",
    "\"SCMP_CMP_LT\"",
    "\"SCMP_CMP_GE\"",
    "\"SCMP_ARCH_X86\"",
    "\"SCMP_ARCH_X32\"",
    "\"SCMP_ARCH_ARM\"",
    "\"names\":",
    "\"name\":",
    "\"args\":",
    "\"index\":",
    "\"value\":",
    "\"valueTwo\":",
    "\"op\":",
    "\"includes\":",
    "\"excludes\":",
    "\"caps\":",
    "\"arches\":",
    "\"minKernel\":",
    "\"archMap\":",
    "\"errno\":",
    "\"EINVAL\"",
    "\"socket\"",
    "\"socketcall\"",
    "\"clone\"",
    "\"read\"",
    "\"write\"",
    "\"semop\"",
    "\"set_tls\"",
    "\"x86_64\"",
    "\"i386\"",
    "\"x32\"",
    "\"aarch64\"",
    "\"run\"",
    "\"exec\"",
    "\"window\"",
    "\"blocked\":",
    "\"evidence\":",
    "\"phases\":",
    "\"merged\":",
    "\"unknown\"",
];

/// The largest input that is made.
const MAX: usize = 1 << 15;

/// Numbers at which something changes.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "5",
    "6",
    "16",
    "38",
    "102",
    "117",
    "4095",
    "65535",
    "65536",
    "1073741824",
    "2147483648",
    "4294967295",
    "4294967296",
    "18446744073709551615",
];

/// Changes `input` in one to four ways; `other` is another input, to take a part from.
///
/// Half of the time the changes respect the form, so that what lies behind the parser is reached.
pub(crate) fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    let gentle = random.below(2) == 0;
    for _ in 0..1 << random.below(3) {
        if gentle {
            change_meaning(&mut bytes, other, random);
        } else {
            change_form(&mut bytes, other, random);
        }
    }
    bytes.truncate(MAX);
    bytes
}

/// A value for a value of its kind, an object twice or not at all.
fn change_meaning(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    if random.below(4) == 0 {
        let (start, len) = object(bytes, at);
        if random.below(2) == 0 {
            let mut twice = b", ".to_vec();
            twice.extend_from_slice(bytes.get(start..start + len).unwrap_or_default());
            replace(bytes, start + len, 0, &twice);
        } else {
            let comma = bytes.get(start + len) == Some(&b',');
            replace(bytes, start, len + usize::from(comma), b"");
        }
        return;
    }
    let (start, len) = token(bytes, at);
    let is_string = bytes.get(start) == Some(&b'"');
    let from_words = random.below(2) == 0;
    let with = match (is_string, from_words) {
        (false, _) => random
            .pick(NUMBERS)
            .map(|number| number.as_bytes().to_vec()),
        (true, true) => {
            let is_value = |word: &&&str| word.len() > 1 && word.ends_with('"');
            let values: Vec<_> = WORDS.iter().filter(is_value).collect();
            random.pick(&values).map(|word| word.as_bytes().to_vec())
        }
        (true, false) => {
            let (start, len) = token(other, random.below(other.len() + 1));
            let taken = other.get(start..start + len);
            taken
                .filter(|taken| taken.starts_with(b"\""))
                .map(<[u8]>::to_vec)
        }
    };
    if let Some(with) = with {
        replace(bytes, start, len, &with);
    }
}

/// Anything.
fn change_form(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(8) {
        0 => {
            let byte = u8::try_from(random.below(256)).unwrap_or(0);
            replace(bytes, at, 1, &[byte]);
        }
        1 => replace(bytes, at, random.below(16), b""),
        2 => insert_word(bytes, at, 0, random),
        3 => {
            let (start, len) = token(bytes, at);
            insert_word(bytes, start, len, random);
        }
        // A part once more, somewhere else.
        4 => {
            let part = part(bytes, random);
            replace(bytes, at, 0, &part);
        }
        // A part of another input, there or instead.
        5 => replace(bytes, at, 0, &part(other, random)),
        6 => replace(bytes, at, random.below(64), &part(other, random)),
        // The end is missing.
        _ => bytes.truncate(at),
    }
}

fn insert_word(bytes: &mut Vec<u8>, at: usize, len: usize, random: &mut Random) {
    let word = random.pick(WORDS).copied().unwrap_or_default();
    replace(bytes, at, len, word.as_bytes());
}

/// Puts `with` in the place of `len` bytes, or of as many as there are.
fn replace(bytes: &mut Vec<u8>, at: usize, len: usize, with: &[u8]) {
    let at = at.min(bytes.len());
    let end = (at + len).min(bytes.len());
    bytes.splice(at..end, with.iter().copied());
}

/// A short part.
fn part(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let start = random.below(bytes.len());
    let end = (start + random.below(200)).min(bytes.len());
    bytes.get(start..end).unwrap_or_default().to_vec()
}

/// Where an object begins and how long it is, at or after a place; braces in strings are not told
/// from others.
fn object(bytes: &[u8], at: usize) -> (usize, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(start) = rest.iter().position(|byte| *byte == b'{') else {
        return (at, 0);
    };
    let mut depth = 0_u32;
    for (len, byte) in (1..).zip(rest.iter().skip(start)) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return (at + start, len);
        }
    }
    (at, 0)
}

/// Where a string or a number begins and how long it is, at or after a place.
fn token(bytes: &[u8], at: usize) -> (usize, usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let is_start = |byte: &u8| *byte == b'"' || byte.is_ascii_digit();
    let Some(start) = rest.iter().position(is_start) else {
        return (at, 0);
    };
    let inner = rest.get(start + 1..).unwrap_or_default();
    let len = if rest.get(start) == Some(&b'"') {
        inner
            .iter()
            .position(|byte| *byte == b'"')
            .map_or(1, |end| end + 2)
    } else {
        let is_end = |byte: &u8| !byte.is_ascii_digit();
        inner.iter().position(is_end).map_or(1, |end| end + 1)
    };
    (at + start, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutation_is_deterministic_for_a_seed() {
        let make = || {
            let mut random = Random::new(7);
            (0..100)
                .map(|_| mutate(br#"{"a": [1, "b"]}"#, b"[22]", &mut random))
                .collect::<Vec<_>>()
        };
        assert_eq!(make(), make());
        assert!(make().iter().any(|bytes| bytes != br#"{"a": [1, "b"]}"#));
    }

    #[test]
    fn token_finds_strings_and_numbers() {
        let json = br#"{"ab": 12}"#;
        assert_eq!(token(json, 0), (1, 4));
        assert_eq!(token(json, 5), (7, 2));
        assert_eq!(token(json, 9), (9, 0));
        assert_eq!(token(b"", 3), (3, 0));
    }

    #[test]
    fn object_ends_at_its_closing_brace() {
        assert_eq!(object(br#"[{"a": {}}, 1]"#, 0), (1, 9));
        assert_eq!(object(b"[{", 0), (0, 0));
    }
}

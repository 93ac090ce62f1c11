//! AppArmor's patterns (apparmor.d(5), "Globbing (AARE)") as automata over bytes.
//!
//! They match as apparmor_parser compiles them (parser/parser_regex.c, `convert_aaregex_to_pcre`, 3.0.8): `*` stops
//! at a slash, and stands for at least one byte where it is a whole name; `**` goes on below.

use std::fmt;

/// Most states of a pattern: a variable of the distribution for user ids needs about 300.
const MAX_STATES: usize = 20_000;

/// How deep braces may be in braces, as in the parser.
const MAX_DEPTH: usize = 50;

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bytes([u64; 4]);

impl Bytes {
    pub(super) const NONE: Self = Self([0; 4]);
    /// All but NUL, which no path has.
    pub(super) const ANY: Self = Self([!1, !0, !0, !0]);

    pub(super) fn one(byte: u8) -> Self {
        let mut set = Self::NONE;
        set.add(byte);
        set
    }

    fn no_slash() -> Self {
        Self::ANY.without(Self::one(b'/'))
    }

    fn add(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    pub(super) fn has(self, byte: u8) -> bool {
        let word = self.0.get(usize::from(byte >> 6));
        word.is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    pub(super) fn and(self, other: Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    pub(super) fn or(self, other: Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    pub(super) fn without(self, other: Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    fn zip(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        let mut words = self.0;
        for (word, its) in words.iter_mut().zip(other.0) {
            *word = of(*word, its);
        }
        Self(words)
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// A byte of the set that reads well.
    pub(super) fn example(self) -> Option<u8> {
        let letters = (b'a'..=b'z').chain(b'0'..=b'9').chain(b'A'..=b'Z');
        let rest = [b'.', b'-', b'_', b'/'].into_iter().chain(b'!'..=b'~');
        letters
            .chain(rest)
            .chain(1..=u8::MAX)
            .find(|byte| self.has(*byte))
    }
}

/// A state of an automaton.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Goes on with a byte of a set.
    Byte(Bytes, usize),
    /// Goes on with nothing.
    Split(Vec<usize>),
    /// The whole pattern was read.
    Accept,
}

/// What a pattern is made of.
enum Atom {
    One(Bytes),
    Star(Bytes),
    Choice(Vec<Vec<Atom>>),
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadGlob(&'static str);

impl fmt::Display for BadGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A pattern, without variables.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    pub(super) states: Vec<State>,
    pub(super) start: usize,
    /// The bytes that each of its paths begins with.
    pub(super) prefix: Vec<u8>,
    /// The bytes that each of its paths ends with, the last one first.
    pub(super) ends_with: Vec<Bytes>,
    /// Whether it stands for one path alone.
    is_literal: bool,
}

impl Glob {
    /// Reads a pattern in which variables are replaced.
    pub(crate) fn new(text: &str) -> Result<Self, BadGlob> {
        let bytes = text.as_bytes();
        let mut reader = Reader { bytes, at: 0 };
        let atoms = reader.sequence(0)?;
        if reader.at < bytes.len() {
            return Err(BadGlob("a brace closes nothing"));
        }
        let mut prefix = Vec::new();
        for atom in &atoms {
            match atom {
                Atom::One(set) if *set == Bytes::one(set.example().unwrap_or_default()) => {
                    prefix.extend(set.example());
                }
                Atom::One(_) | Atom::Star(_) | Atom::Choice(_) => break,
            }
        }
        let is_literal = prefix.len() == atoms.len();
        let ends = atoms.iter().rev().map_while(|atom| match atom {
            Atom::One(set) => Some(*set),
            Atom::Star(_) | Atom::Choice(_) => None,
        });
        let ends_with = ends.collect();
        let mut glob = Self {
            states: vec![State::Accept],
            start: 0,
            prefix,
            ends_with,
            is_literal,
        };
        glob.start = glob.emit(&atoms, 0)?;
        Ok(glob)
    }

    /// Whether it stands for one path alone.
    pub(crate) fn is_one_path(&self) -> bool {
        self.is_literal
    }

    /// The path, where it stands for one alone.
    pub(super) fn only_path(&self) -> Option<&[u8]> {
        self.is_literal.then_some(&self.prefix)
    }

    /// The text that each of its paths begins with.
    pub(crate) fn fixed_beginning(&self) -> String {
        String::from_utf8_lossy(&self.prefix).into_owned()
    }

    /// Whether each of its paths begins with a text.
    pub(crate) fn begins_with(&self, text: &str) -> bool {
        self.prefix.starts_with(text.as_bytes())
    }

    fn push(&mut self, state: State) -> Result<usize, BadGlob> {
        if self.states.len() >= MAX_STATES {
            return Err(BadGlob("the pattern is too large"));
        }
        self.states.push(state);
        Ok(self.states.len() - 1)
    }

    /// The state from which the atoms lead to `next`.
    fn emit(&mut self, atoms: &[Atom], mut next: usize) -> Result<usize, BadGlob> {
        for atom in atoms.iter().rev() {
            next = match atom {
                Atom::One(set) => self.push(State::Byte(*set, next))?,
                Atom::Star(set) => {
                    let split = self.push(State::Split(Vec::new()))?;
                    let byte = self.push(State::Byte(*set, split))?;
                    if let Some(state) = self.states.get_mut(split) {
                        *state = State::Split(vec![byte, next]);
                    }
                    split
                }
                Atom::Choice(all) => {
                    let starts: Result<_, _> = all.iter().map(|one| self.emit(one, next)).collect();
                    self.push(State::Split(starts?))?
                }
            };
        }
        Ok(next)
    }

    /// Whether it stands for this text.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        if !text.starts_with(&self.prefix) {
            return false;
        }
        let mut states = self.closure([self.start]);
        for byte in text {
            states = self.step(&states, *byte);
            if states.is_empty() {
                return false;
            }
        }
        self.accepts(&states)
    }

    pub(super) fn accepts(&self, states: &[usize]) -> bool {
        let is_end = |at: &usize| matches!(self.states.get(*at), Some(State::Accept));
        states.iter().any(is_end)
    }

    /// The states behind a byte, in order.
    pub(super) fn step(&self, states: &[usize], byte: u8) -> Vec<usize> {
        let next = states.iter().filter_map(|at| match self.states.get(*at) {
            Some(State::Byte(set, next)) if set.has(byte) => Some(*next),
            _ => None,
        });
        self.closure(next)
    }

    /// States that read a byte or accept, and that these lead to with nothing; in order.
    pub(super) fn closure(&self, from: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut open: Vec<usize> = from.into_iter().collect();
        let mut splits = Vec::new();
        let mut closed = Vec::new();
        while let Some(at) = open.pop() {
            match self.states.get(at) {
                Some(State::Split(all)) if !splits.contains(&at) => {
                    splits.push(at);
                    open.extend(all);
                }
                Some(State::Split(_)) | None => {}
                Some(_) => closed.push(at),
            }
        }
        closed.sort_unstable();
        closed.dedup();
        closed
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Atom>, BadGlob> {
        let mut atoms = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b'}' => break,
                b',' if depth > 0 => break,
                b'{' => {
                    self.at += 1;
                    atoms.push(self.choice(depth)?);
                }
                b'*' => self.star(&mut atoms),
                b'[' => {
                    self.at += 1;
                    atoms.push(Atom::One(self.class()?));
                }
                b'?' => {
                    self.at += 1;
                    atoms.push(Atom::One(Bytes::no_slash()));
                }
                _ => atoms.push(Atom::One(Bytes::one(self.literal()?))),
            }
        }
        Ok(atoms)
    }

    fn choice(&mut self, depth: usize) -> Result<Atom, BadGlob> {
        if depth >= MAX_DEPTH {
            return Err(BadGlob("there are too many braces in braces"));
        }
        let mut all = Vec::new();
        loop {
            all.push(self.sequence(depth + 1)?);
            let end = self.peek();
            self.at += 1;
            match end {
                Some(b',') => {}
                Some(_) => return Ok(Atom::Choice(all)),
                None => return Err(BadGlob("a brace is not closed")),
            }
        }
    }

    fn star(&mut self, atoms: &mut Vec<Atom>) {
        let before = self.at.checked_sub(1).and_then(|at| self.bytes.get(at));
        let stars = self.bytes.iter().skip(self.at);
        let count = stars.take_while(|byte| **byte == b'*').count();
        let behind = self.bytes.get(self.at + count);
        // A name is not empty.
        if before == Some(&b'/') && matches!(behind, None | Some(b'/')) {
            atoms.push(Atom::One(Bytes::no_slash()));
        }
        atoms.push(Atom::Star(if count > 1 {
            Bytes::ANY
        } else {
            Bytes::no_slash()
        }));
        self.at += count;
    }

    fn class(&mut self) -> Result<Bytes, BadGlob> {
        const OPEN: BadGlob = BadGlob("a bracket is not closed");
        let inverted = self.peek() == Some(b'^');
        self.at += usize::from(inverted);
        let mut set = Bytes::NONE;
        let mut is_first = true;
        loop {
            let byte = self.peek().ok_or(OPEN)?;
            if byte == b']' && !is_first {
                self.at += 1;
                break;
            }
            is_first = false;
            let from = self.literal()?;
            let mut to = from;
            let range = self.bytes.get(self.at..self.at + 2);
            if let Some([b'-', end]) = range
                && *end != b']'
            {
                self.at += 1;
                to = self.literal()?;
            }
            for byte in from..=to {
                set.add(byte);
            }
        }
        Ok(if inverted {
            Bytes::ANY.without(set)
        } else {
            set.and(Bytes::ANY)
        })
    }

    /// A byte that stands for itself; `\` before it, or three octal digits (parser/parser_misc.c, `processunquoted`).
    fn literal(&mut self) -> Result<u8, BadGlob> {
        const END: BadGlob = BadGlob("nothing stands behind the last backslash");
        let byte = self.peek().ok_or(END)?;
        self.at += 1;
        if byte != b'\\' {
            return Ok(byte);
        }
        let digits = self.bytes.get(self.at..self.at + 3).unwrap_or_default();
        let octal = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.len() == 3 && digits.starts_with(['0', '1', '2', '3']))
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            self.at += 3;
            return Ok(byte);
        }
        let byte = self.peek().ok_or(END)?;
        self.at += 1;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_manual_says() {
        for (glob, text, expected) in [
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/", false),
            ("/a/*", "/a/b/c", false),
            ("/a*", "/a", true),
            ("/a/**", "/a/b/c/", true),
            ("/a/**", "/a/", false),
            ("/a/**/c", "/a/b/x/c", true),
            ("/{usr/,}bin/{a,b{c,}}", "/usr/bin/b", true),
            ("/{usr/,}bin/{a,b{c,}}", "/bin/bc", true),
            ("/{usr/,}bin/{a,b{c,}}", "/bin/c", false),
            ("/[a-c]?", "/bx", true),
            ("/[a-c]?", "/b/", false),
            ("/[^a]x", "/bx", true),
            ("/[^a]x", "/ax", false),
            ("/a\\*", "/a*", true),
            ("/a\\*", "/ab", false),
            ("/a\\040b", "/a b", true),
            ("/{,**}", "/", true),
        ] {
            let read = Glob::new(glob).unwrap();
            assert_eq!(read.matches(text.as_bytes()), expected, "{glob} {text}");
        }
    }

    #[test]
    fn bad_patterns_are_refused() {
        for text in ["/{a", "/a}", "/[a", "/a\\"] {
            assert!(Glob::new(text).is_err(), "{text}");
        }
        let deep = "{".repeat(1000);
        assert!(Glob::new(&deep).is_err());
        let wide = "/[0-9]".repeat(10_000);
        assert!(Glob::new(&wide).is_err());
    }

    #[test]
    fn prefix_is_what_is_fixed() {
        let glob = Glob::new("/etc/cron*").unwrap();
        assert_eq!(
            (glob.prefix.as_slice(), glob.is_literal),
            (&b"/etc/cron"[..], false)
        );
        assert!(Glob::new("/etc/a\\*").unwrap().is_literal);
    }
}

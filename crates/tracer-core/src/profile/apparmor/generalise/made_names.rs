//! The glob for a name that the workload made.
//!
//! What something given explains stays; the rest is another in the next run, whatever its letters are.
//! How names are drawn serves only to write the glob narrowly:
//!
//! | who | draws |
//! | --- | --- |
//! | mkstemp(3), mkdtemp(3) and all that call them (Node, git, sort, sed) | six of 62 letters and digits (glibc, sysdeps/posix/tempname.c) |
//! | mktemp(1), Perl's File::Temp | ten of 62, or 63 with `_` |
//! | Python's tempfile | eight of `a` to `z`, `0` to `9` and `_` (Lib/tempfile.py) |
//! | Go's os.CreateTemp | a number below 2^32 (os/tempfile.go) |
//! | Java's File.createTempFile | a number below 2^64 (java.io.File.TempDirectory) |
//! | Ruby's Tempfile | date, pid, and up to six of 36 letters and digits (lib/tmpdir.rb) |
//!
//! Those of one length become so many `?`. Where the length may differ, a `*` follows.

use super::{
    given::{Given, is_number},
    name_patterns::{hash, is_of_words, uuid},
};
use crate::profile::apparmor::pattern::{Part, Segment};

/// How a name was made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Making {
    /// It may be another the next time whatever it looks like: it was made exclusively, in a temporary
    /// directory, or gone at the end, or is a directory. Of others only what no word explains varies.
    pub(super) chosen: bool,
    /// It was made with `O_EXCL`.
    pub(super) exclusive: bool,
    /// It is a directory.
    pub(super) directory: bool,
    /// It was still there at the end, outside of temporary directories.
    pub(super) lasting: bool,
    /// It is in a directory that everybody keeps something in.
    pub(super) shared: bool,
}

impl Making {
    /// Whether whoever made it looked for a name that was not there.
    const fn is_new(self) -> bool {
        self.exclusive || self.directory
    }
}

/// A piece of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// It stays.
    Fixed(Vec<u8>),
    /// A number that varies.
    Number(usize),
    /// What nothing explains.
    Unknown(Vec<u8>),
}

impl Piece {
    fn unknown(&self) -> Option<&[u8]> {
        match self {
            Self::Unknown(word) => Some(word),
            _ => None,
        }
    }

    fn is_text(&self, text: &[u8]) -> bool {
        matches!(self, Self::Fixed(it) if it == text)
    }

    const fn len(&self) -> usize {
        match self {
            Self::Fixed(text) | Self::Unknown(text) => text.len(),
            Self::Number(digits) => *digits,
        }
    }
}

/// The glob for a name; `None` when all of it stays.
pub(super) fn glob(name: &[u8], making: Making, given: &Given) -> Option<Segment> {
    if let Some(segment) = uuid(name).or_else(|| hash(name)) {
        return Some(segment);
    }
    if given.has_name(name) {
        return None;
    }
    let mut pieces = pieces(name, making, given);
    keep_words(&mut pieces, making);
    let numbered = pieces.iter().any(|piece| matches!(piece, Piece::Number(_)));
    let mut segment: Segment = Vec::new();
    for piece in &pieces {
        match piece {
            Piece::Fixed(text) => match segment.last_mut() {
                Some(Part::Text(before)) => before.extend(text),
                _ => segment.push(Part::Text(text.clone())),
            },
            Piece::Number(_) => segment.push(Part::Digits),
            Piece::Unknown(word) => segment.extend(drawn(word, making, numbered)),
        }
    }
    let varies = segment.iter().any(|part| !matches!(part, Part::Text(_)));
    varies.then_some(segment)
}

/// Whether a byte may be in a word that is drawn at random.
const fn is_in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Splits a name, and says of each piece whether it is explained.
fn pieces(name: &[u8], making: Making, given: &Given) -> Vec<Piece> {
    if let Some(pieces) = url_safe(name, making) {
        return pieces;
    }
    let mut pieces = Vec::new();
    let mut before: &[u8] = b"";
    for run in name.chunk_by(|a, b| is_in_word(*a) == is_in_word(*b)) {
        if run.first().is_some_and(|byte| is_in_word(*byte)) {
            pieces.extend(word(run, before, making, given));
            before = run;
        } else {
            pieces.push(Piece::Fixed(run.to_vec()));
        }
    }
    pieces
}

/// A name drawn from 64 signs, `-` and `_` among them, as base64 for URLs has them: the next one may
/// have its dashes elsewhere.
fn url_safe(name: &[u8], making: Making) -> Option<Vec<Piece>> {
    const SHORTEST: usize = 16;
    const LONG_WORD: usize = 5;
    let end = name
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(name.len());
    let (stem, rest) = name.split_at_checked(end)?;
    let of_64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let has = |kind: fn(&u8) -> bool| stem.iter().any(kind);
    let words = stem.split(|byte| b"-_".contains(byte));
    let is_drawn = making.chosen
        && stem.len() >= SHORTEST
        && stem.contains(&b'-')
        && stem.iter().all(of_64)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
        && words
            .into_iter()
            .filter(|word| !word.is_empty())
            .all(|word| !word.iter().all(u8::is_ascii_lowercase) || word.len() < LONG_WORD);
    is_drawn.then(|| {
        let mut pieces = vec![Piece::Unknown(stem.to_vec())];
        if !rest.is_empty() {
            pieces.push(Piece::Fixed(rest.to_vec()));
        }
        pieces
    })
}

/// The pieces of a word, `before` being the one before it.
fn word(word: &[u8], before: &[u8], making: Making, given: &Given) -> Vec<Piece> {
    const FEW: usize = 4;
    let fixed = |text: &[u8]| Piece::Fixed(text.to_vec());
    let unknown = |text: &[u8]| Piece::Unknown(text.to_vec());
    if is_first_byte(word, making) {
        return vec![unknown(word)];
    }
    if is_number(word) {
        return if given.explains_number(before, word) {
            vec![fixed(word)]
        } else if making.exclusive && word.len() <= FEW {
            // Of so few signs that are drawn some are digits alone.
            vec![unknown(word)]
        } else {
            vec![Piece::Number(word.len())]
        };
    }
    if given.explains(word) || given.has_name(word) {
        return vec![fixed(word)];
    }
    if let Some(pieces) = numbered(word, given) {
        return pieces;
    }
    if let Some(head) = given.prefix_of(word)
        && let Some(rest) = word.get(head.len()..)
        && matches!(rest.len(), 6 | 8 | 10)
        && (making.is_new() || head == b"tmp")
    {
        return vec![fixed(head), unknown(rest)];
    }
    // Of Python's eight one may be `_`, and of Perl's ten.
    if word.contains(&b'_') && !(making.chosen && matches!(word.len(), 8 | 10)) {
        return underscored(word, making, given);
    }
    vec![unknown(word)]
}

/// `worker12`, `foo3482390110`, `foo20260131`: a word and a number.
fn numbered(word: &[u8], given: &Given) -> Option<Vec<Piece>> {
    /// So many digits at the end are drawn among letters by no chance.
    const MANY: usize = 8;
    let at = word.iter().position(u8::is_ascii_digit)?;
    let (letters, number) = word.split_at_checked(at)?;
    let fits = !letters.is_empty()
        && is_number(number)
        && letters.iter().all(u8::is_ascii_alphabetic)
        && (given.explains(letters) || number.len() >= MANY);
    fits.then(|| {
        let last = if given.explains_number(letters, number) {
            Piece::Fixed(number.to_vec())
        } else {
            Piece::Number(number.len())
        };
        vec![Piece::Fixed(letters.to_vec()), last]
    })
}

/// `tmp_obj_AbCdEf`: words that are explained, and what follows the first that is not.
fn underscored(word: &[u8], making: Making, given: &Given) -> Vec<Piece> {
    // Python's eight, with `_` among them or not, behind a word that ends in `_`.
    let python = |byte: &u8| is_small(*byte) || *byte == b'_';
    if making.is_new()
        && let Some((head, rest)) = word.len().checked_sub(8).map(|at| word.split_at(at))
        && head.ends_with(b"_")
        && rest.iter().all(python)
        && numbered(rest, given).is_none()
    {
        let mut pieces = split(head, making, given);
        pieces.push(Piece::Unknown(rest.to_vec()));
        return pieces;
    }
    let pieces = split(word, making, given);
    let unknown: Vec<&[u8]> = pieces.iter().filter_map(Piece::unknown).collect();
    let is_sure = match unknown.as_slice() {
        [] => true,
        [_] => {
            let ends = pieces.last().is_some_and(|last| !last.is_text(b"_"));
            ends && !pieces.iter().any(|it| matches!(it, Piece::Number(_)))
        }
        [others @ .., last] => {
            others.iter().all(|it| is_plain(it))
                && matches!(last.len(), 6 | 10)
                && last.iter().any(u8::is_ascii_uppercase)
        }
    };
    if is_sure || (!making.is_new() && unknown.iter().all(|it| is_plain(it))) {
        return pieces;
    }
    // The `_` may be one of the signs that were drawn.
    let at = pieces
        .iter()
        .position(|piece| matches!(piece, Piece::Unknown(_)));
    let (kept, drawn) = pieces.split_at(at.unwrap_or(0));
    let len: usize = drawn.iter().map(Piece::len).sum();
    let from = word.len().saturating_sub(len);
    let rest = Piece::Unknown(word.get(from..).unwrap_or_default().to_vec());
    kept.iter().cloned().chain([rest]).collect()
}

/// The pieces between underscores, and these.
fn split(word: &[u8], making: Making, given: &Given) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut before: &[u8] = b"";
    for (index, part) in word.split(|byte| *byte == b'_').enumerate() {
        if index > 0 {
            pieces.push(Piece::Fixed(b"_".to_vec()));
        }
        if !part.is_empty() {
            pieces.extend(self::word(part, before, making, given));
            before = part;
        }
    }
    pieces
}

/// Says of words that nothing explains which of them stay all the same: those beside a part that varies
/// for certain, as the `x` of `x-3482390110`.
fn keep_words(pieces: &mut [Piece], making: Making) {
    let has_number = |digits: usize| {
        let mut numbers = pieces.iter();
        numbers.any(|piece| matches!(piece, Piece::Number(count) if *count >= digits))
    };
    // A number of so many digits is what was drawn.
    let (number, long) = (has_number(1), has_number(9));
    let ending = ending(pieces);
    let is_certain = |word: &[u8]| is_drawn_length(word) || !is_plain(word);
    let is_drawn = |piece: &Piece| matches!(piece, Piece::Unknown(word) if is_certain(word));
    let others = pieces
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != ending);
    let other_drawn = others.map(|(_, piece)| piece).any(is_drawn);
    let drawn = pieces.iter().any(is_drawn);
    let varies = |piece: &Piece| is_drawn(piece) || matches!(piece, Piece::Number(_));
    // Words before what varies are the program's; behind it they may be part of what was drawn.
    let last = pieces.iter().rposition(varies).unwrap_or(0);
    for (at, piece) in pieces.iter_mut().enumerate() {
        let Piece::Unknown(word) = piece else {
            continue;
        };
        let stays = if is_first_byte(word, making) {
            false
        } else if !making.chosen {
            is_of_words(word)
        } else if Some(at) == ending && (number || other_drawn) {
            true
        } else {
            is_plain(word)
                && (long
                    || (number && !making.exclusive && !making.directory)
                    || (word.len() < SHORTEST && !number)
                    || (making.lasting && making.directory && !is_drawn_length(word))
                    || ((number || drawn) && at < last && !is_drawn_length(word)))
        };
        if stays {
            *piece = Piece::Fixed(word.clone());
        }
    }
}

/// Which piece looks like the ending of a name: up to four small letters and digits after a dot.
fn ending(pieces: &[Piece]) -> Option<usize> {
    let [.., Piece::Fixed(dot), Piece::Unknown(last)] = pieces else {
        return None;
    };
    let is_one = dot.ends_with(b".")
        && last.len() <= 4
        && last.first().is_some_and(u8::is_ascii_lowercase)
        && last.iter().all(|byte| is_small(*byte));
    is_one.then_some(pieces.len() - 1)
}

const fn is_small(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_plain(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_alphabetic) && is_of_words(word)
}

/// A word that was drawn has so many letters: mktemp(1) takes no fewer.
const SHORTEST: usize = 3;

/// Whether a directory's name may be the first byte of a hash, as git names those of objects.
fn is_first_byte(word: &[u8], making: Making) -> bool {
    making.directory && word.len() == 2 && word.iter().all(u8::is_ascii_hexdigit)
}

/// Whether names of this length are drawn by what most programs use.
fn is_drawn_length(word: &[u8]) -> bool {
    matches!(word.len(), 6 | 8 | 10)
}

/// What a drawn word becomes; `numbered`: whether a number is drawn beside it, as Ruby does it, whose words
/// have no fixed length.
fn drawn(word: &[u8], making: Making, numbered: bool) -> Vec<Part> {
    /// So many letters fewer the next one may have, where the length varies at all.
    const SHORTER: usize = 3;
    /// Numbers in base 36 that stand alone have more digits.
    const LONG: usize = 9;
    if is_number(word) && !is_first_byte(word, making) {
        return vec![Part::Any(1), Part::Star];
    }
    let upper = word.iter().any(u8::is_ascii_uppercase);
    let plain = word.iter().all(u8::is_ascii_alphabetic);
    let is_of_one_length = match word.len() {
        6 | 10 if upper => true,
        8 if making.is_new() => !upper || !numbered,
        len if making.is_new() => (len < LONG && !numbered) || is_first_byte(word, making),
        len => plain && !numbered && len < LONG,
    };
    // In a directory of everybody's a `*` is for no name as a whole.
    if is_of_one_length || making.shared {
        return vec![Part::Any(word.len())];
    }
    vec![
        Part::Any(word.len().saturating_sub(SHORTER).max(1)),
        Part::Star,
    ]
}

//! What a file rule is about: a path, or a glob over paths.

use super::quote;
use crate::recording::FilePath;

/// A piece of a name between two slashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    /// These bytes.
    Text(Vec<u8>),
    /// `@{pid}`: a process id.
    Pid,
    /// `@{tid}`: a thread id.
    Tid,
    /// `[0-9]*`: a digit, and whatever follows. The language cannot repeat a class.
    Digits,
    /// `?`, so often: any bytes but a slash.
    Any(usize),
    /// `*`: any number of bytes but a slash; at least one where it is the whole name.
    Star,
    /// `**`: anything, slashes too; the whole name, and the last.
    Deep,
}

/// A name between two slashes.
pub(super) type Segment = Vec<Part>;

/// A path, or a glob over paths.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Vec<Segment>);

/// How long a process id at the beginning of these bytes may be at most, as `@{pid}` has it
/// (tunables/kernelvars: one to seven digits, up to `PID_MAX_LIMIT`, 2^22).
pub(super) fn pid_digits(bytes: &[u8]) -> usize {
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    match bytes.first() {
        Some(b'1'..=b'4') => digits.min(7),
        Some(b'5'..=b'9') => digits.min(6),
        _ => 0,
    }
}

impl Pattern {
    /// Exactly this path, which begins with a slash.
    pub(super) fn literal(path: &FilePath) -> Self {
        let names = path.as_bytes().split(|byte| *byte == b'/').skip(1);
        Self(names.map(|name| vec![Part::Text(name.to_vec())]).collect())
    }

    /// Every file in a directory, but none below.
    pub(super) fn of_others_in(directory: &FilePath) -> Self {
        let mut segments = Self::literal(directory).0;
        if let Some(last) = segments.last_mut() {
            *last = vec![Part::Star];
        }
        Self(segments)
    }

    /// Everything below a directory.
    pub(super) fn of_tree(directory: &FilePath) -> Self {
        let mut segments = Self::literal(directory).0;
        if let Some(last) = segments.last_mut() {
            *last = vec![Part::Deep];
        }
        Self(segments)
    }

    pub(super) fn of(segments: Vec<Segment>) -> Self {
        Self(segments)
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The same with another name at a place.
    pub(super) fn with(&self, at: usize, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        if let Some(place) = segments.get_mut(at) {
            *place = segment;
        }
        Self(segments)
    }

    /// The bytes of the name at a place, when they are fixed.
    pub(super) fn text_at(&self, at: usize) -> Option<&[u8]> {
        match self.0.get(at)?.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it is more than one path.
    pub fn is_glob(&self) -> bool {
        let mut parts = self.0.iter().flatten();
        parts.any(|part| !matches!(part, Part::Text(_)))
    }

    /// Whether the path is one of those it stands for.
    pub fn matches(&self, path: &FilePath) -> bool {
        let mut atoms = Vec::new();
        for segment in &self.0 {
            atoms.push(Atom::Byte(b'/'));
            let whole = segment.len() == 1;
            atoms.extend(segment.iter().map(|part| match part {
                Part::Star if whole => Atom::Name,
                part => Atom::Part(part),
            }));
        }
        matches(&atoms, path.as_bytes())
    }
}

enum Atom<'a> {
    Byte(u8),
    /// `*` as a whole name.
    Name,
    Part(&'a Part),
}

/// Whether the atoms stand for the whole text.
///
/// It keeps all offsets at which the atoms so far may end, and does not recurse: a hostile path has
/// thousands of names.
fn matches(atoms: &[Atom<'_>], bytes: &[u8]) -> bool {
    let mut ends = vec![0];
    let mut next = Vec::new();
    for atom in atoms {
        for end in ends.drain(..) {
            let rest = bytes.get(end..).unwrap_or_default();
            next.extend(atom.lengths(rest).map(|length| end + length));
        }
        next.sort_unstable();
        next.dedup();
        std::mem::swap(&mut ends, &mut next);
        if ends.is_empty() {
            return false;
        }
    }
    ends.last() == Some(&bytes.len())
}

impl Atom<'_> {
    /// How many of the first bytes it may stand for.
    fn lengths(&self, bytes: &[u8]) -> std::ops::Range<usize> {
        const NONE: std::ops::Range<usize> = 0..0;
        let exactly = |length: usize| length..length + 1;
        let name = || bytes.iter().take_while(|byte| **byte != b'/').count();
        match self {
            Self::Byte(byte) if bytes.first() == Some(byte) => exactly(1),
            Self::Name => 1..name() + 1,
            Self::Part(Part::Text(text)) if bytes.starts_with(text) => exactly(text.len()),
            Self::Part(Part::Pid | Part::Tid) => 1..pid_digits(bytes) + 1,
            Self::Part(Part::Digits) if bytes.first().is_some_and(u8::is_ascii_digit) => {
                1..name() + 1
            }
            Self::Part(Part::Any(count)) if *count <= name() => exactly(*count),
            Self::Part(Part::Star) => 0..name() + 1,
            Self::Part(Part::Deep) if name() > 0 => 1..bytes.len() + 1,
            Self::Byte(_) | Self::Part(_) => NONE,
        }
    }
}

impl Pattern {
    /// As a rule has it, quotes included where it needs them; `None` when the parser could not read
    /// so much.
    pub fn token(&self) -> Option<String> {
        let mut token = String::new();
        let mut quotes = false;
        for (at, segment) in self.0.iter().enumerate() {
            let tunable = match self.text_at(at) {
                Some(b"proc") => Some("@{PROC}"),
                Some(b"sys") => Some("@{sys}"),
                _ => None,
            };
            // Of the same meaning: the variables are `/proc/` and `/sys/`, and two slashes are one.
            if let Some(tunable) = tunable.filter(|_| at == 0 && self.0.len() > 1) {
                token.push_str(tunable);
                continue;
            }
            token.push('/');
            for part in segment {
                match part {
                    Part::Text(text) => quotes |= quote::push(&mut token, text),
                    Part::Pid => token.push_str("@{pid}"),
                    Part::Tid => token.push_str("@{tid}"),
                    Part::Digits => token.push_str("[0-9]*"),
                    Part::Any(count) => token.push_str(&"?".repeat(*count)),
                    Part::Star => token.push('*'),
                    Part::Deep => token.push_str("**"),
                }
            }
        }
        let token = quote::finish(token, quotes);
        (token.len() <= quote::MAX_TOKEN_LEN).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(segments: &[&[Part]]) -> Pattern {
        Pattern::of(segments.iter().map(|segment| segment.to_vec()).collect())
    }

    fn text(text: &str) -> Part {
        Part::Text(text.into())
    }

    #[test]
    fn globs_match_what_they_stand_for() {
        let pid = pattern(&[&[text("proc")], &[Part::Pid], &[text("stat")]]);
        assert_eq!(pid.token().as_deref(), Some("@{PROC}/@{pid}/stat"));
        let log = pattern(&[&[text("a")], &[text("x-"), Part::Digits, text(".log")]]);
        assert_eq!(log.token().as_deref(), Some("/a/x-[0-9]*.log"));
        let all = pattern(&[&[text("a b")], &[Part::Star]]);
        assert_eq!(all.token().as_deref(), Some("\"/a b/*\""));
        let deep = pattern(&[&[text("a")], &[Part::Deep]]);
        let temporary = pattern(&[&[text("tmp")], &[text("x."), Part::Any(6)]]);
        for (pattern, path, expected) in [
            (&pid, "/proc/1/stat", true),
            (&pid, "/proc/12345678/stat", false),
            (&pid, "/proc/self/stat", false),
            (&log, "/a/x-12.log", true),
            (&log, "/a/x-.log", false),
            (&log, "/a/x-1/2.log", false),
            (&all, "/a b/c", true),
            (&all, "/a b/", false),
            (&all, "/a b/c/d", false),
            (&deep, "/a/b/c/", true),
            (&deep, "/a/", false),
            (&temporary, "/tmp/x.AbCd12", true),
            (&temporary, "/tmp/x.AbCd123", false),
        ] {
            assert_eq!(pattern.matches(&path.into()), expected, "{path}");
        }
    }

    #[test]
    fn path_of_ten_thousand_directories_is_matched() {
        let path = FilePath::from("/d".repeat(10_000).as_str());
        assert!(Pattern::literal(&path).matches(&path));
    }

    #[test]
    fn literal_path_matches_only_itself() {
        for path in ["/", "/etc/", "/etc/passwd", "/a*"] {
            let literal = Pattern::literal(&path.into());
            assert!(!literal.is_glob());
            assert!(literal.matches(&path.into()));
            assert!(!literal.matches(&format!("{path}x").as_str().into()));
        }
        assert_eq!(Pattern::literal(&"/".into()).token().as_deref(), Some("/"));
        assert_eq!(
            Pattern::literal(&"/proc/".into()).token().as_deref(),
            Some("@{PROC}/")
        );
    }
}

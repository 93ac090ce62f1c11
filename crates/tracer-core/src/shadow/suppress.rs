//! What nobody wants to hear of.
//!
//! A pattern is a line of `KEY=GLOB` pairs; an event is suppressed when all of them match. The keys are
//! `workload`, `executable`, `event`, `kind`, `what`, `detail`, `profile` and `severity`, as in JSON lines; a
//! word without a key is for `what`. In a glob `*` stands for any text and `?` for one character. A value
//! with spaces is put in double quotes.

use thiserror::Error;

use super::Event;
use crate::recording::Executable;

/// The keys.
const KEYS: [&str; 8] = [
    "workload",
    "executable",
    "event",
    "kind",
    "what",
    "detail",
    "profile",
    "severity",
];

/// One pattern.
///
/// ```
/// use tracer_core::shadow::Suppression;
///
/// assert!("workload=web* kind=files what=/tmp/*".parse::<Suppression>().is_ok());
/// assert!("what=\"/srv/a b\"".parse::<Suppression>().is_ok());
/// assert!("colour=red".parse::<Suppression>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    pairs: Vec<(&'static str, String)>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SuppressionError {
    /// It says nothing.
    #[error("the pattern is empty; give KEY=GLOB, such as kind=files what=/tmp/*")]
    Empty,
    /// A key is not known.
    #[error(
        "{0:?} is no key; known are workload, executable, event, kind, what, detail, profile and severity"
    )]
    UnknownKey(String),
    /// A quote is not closed.
    #[error("a double quote is not closed")]
    OpenQuote,
    /// A line of a file is wrong.
    #[error("line {line}: {cause}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        cause: Box<SuppressionError>,
    },
}

impl Suppression {
    /// The patterns of a file: one a line, `#` begins a comment line.
    ///
    /// # Errors
    /// The first line that is no pattern.
    pub fn from_file(text: &str) -> Result<Vec<Self>, SuppressionError> {
        let lines = text.lines().zip(1..).map(|(line, at)| (line.trim(), at));
        lines
            .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
            .map(|(line, at)| {
                line.parse().map_err(|cause| SuppressionError::Line {
                    line: at,
                    cause: Box::new(cause),
                })
            })
            .collect()
    }

    /// Whether it is about an event. What was lost cannot be suppressed.
    pub fn matches(&self, event: &Event) -> bool {
        let value = |key: &str| -> Option<String> {
            match key {
                "workload" => event.workload.clone(),
                "executable" => match event.executable.as_ref()? {
                    Executable::Path(path) | Executable::Truncated(path) => Some(path.clone()),
                    Executable::Launcher => Some("launcher".to_owned()),
                    Executable::Unknown => Some("unknown".to_owned()),
                },
                "event" => Some(event.event.as_str().to_owned()),
                "kind" => Some(event.kind?.as_str().to_owned()),
                "what" => event.what.clone(),
                "detail" => event.detail.clone(),
                "profile" => event.profile.clone(),
                "severity" => Some(event.severity.as_str().to_owned()),
                _ => None,
            }
        };
        event.lost.is_none()
            && self
                .pairs
                .iter()
                .all(|(key, glob)| value(key).is_some_and(|value| matches(glob, &value)))
    }
}

impl std::str::FromStr for Suppression {
    type Err = SuppressionError;

    fn from_str(text: &str) -> Result<Self, SuppressionError> {
        let mut pairs = Vec::new();
        for word in words(text)? {
            let (key, glob) = match word.split_once('=') {
                // A path may have one.
                Some((key, glob)) if key.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                    (key.to_owned(), glob.to_owned())
                }
                _ => ("what".to_owned(), word),
            };
            let known = KEYS.into_iter().find(|known| *known == key);
            pairs.push((known.ok_or(SuppressionError::UnknownKey(key))?, glob));
        }
        if pairs.is_empty() {
            return Err(SuppressionError::Empty);
        }
        Ok(Self { pairs })
    }
}

/// Words between spaces; in double quotes a space is none.
fn words(text: &str) -> Result<Vec<String>, SuppressionError> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in text.chars() {
        match (c, words.last_mut()) {
            ('"', _) => is_quoted = !is_quoted,
            (c, Some(last)) if is_quoted || !c.is_whitespace() => last.push(c),
            _ => words.push(String::new()),
        }
    }
    if is_quoted {
        return Err(SuppressionError::OpenQuote);
    }
    words.retain(|word| !word.is_empty());
    Ok(words)
}

/// Whether a text is one of those that a glob stands for. Linear in both but for the last star, to which it
/// goes back.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match glob.get(at) {
            Some('*') => {
                star = Some((at + 1, read));
                at += 1;
            }
            Some(one) if *one == '?' || text.get(read) == Some(one) => {
                at += 1;
                read += 1;
            }
            _ => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    (at, read) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    glob.get(at..)
        .is_some_and(|rest| rest.iter().all(|it| *it == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::Severity, recording::ObservationKind, shadow::EventKind};

    fn event() -> Event {
        Event {
            workload: Some("shop_web".to_owned()),
            executable: Some(Executable::Path("/usr/bin/a b".to_owned())),
            kind: Some(ObservationKind::Files),
            what: Some("/tmp/x/y".to_owned()),
            detail: Some("write".to_owned()),
            ..Event::new(EventKind::New, Severity::Low)
        }
    }

    #[test]
    fn all_pairs_have_to_match() {
        for (pattern, expected) in [
            ("/tmp/*", true),
            ("what=/tmp/*", true),
            ("workload=shop_* kind=files what=/tmp/*", true),
            ("workload=shop_* kind=syscalls what=/tmp/*", false),
            ("executable=\"/usr/bin/a b\"", true),
            ("event=new severity=low detail=write", true),
            ("event=would_be_denied", false),
            ("/tmp/?/?", true),
            ("/tmp/?", false),
            ("*y", true),
            ("*x", false),
            ("", false),
        ] {
            let parsed = pattern.parse::<Suppression>();
            let matches = parsed.is_ok_and(|it| it.matches(&event()));
            assert_eq!(matches, expected, "{pattern:?}");
        }
    }

    #[test]
    fn file_has_a_pattern_a_line() {
        let all = Suppression::from_file("# ours\n\n/tmp/*\nkind=signals\n").unwrap();
        assert_eq!(all.len(), 2);
        let wrong = Suppression::from_file("/tmp/*\ncolour=red\n").unwrap_err();
        assert!(
            wrong
                .to_string()
                .starts_with("line 2: \"colour\" is no key")
        );
        assert!("a \"b".parse::<Suppression>().is_err());
    }

    #[test]
    fn loss_cannot_be_suppressed() {
        let lost = Event {
            lost: Some(crate::recording::LossKind::Events),
            ..Event::new(EventKind::Lost, Severity::Medium)
        };
        assert!(!"event=*".parse::<Suppression>().unwrap().matches(&lost));
    }

    proptest::proptest! {
        /// A star matches what it is put in place of.
        #[test]
        fn star_stands_for_any_text(a in "[ab/]{0,6}", b in "[ab/]{0,6}", c in "[ab/]{0,6}") {
            let (glob, text) = (format!("{a}*{c}"), format!("{a}{b}{c}"));
            proptest::prop_assert!(matches(&glob, &text));
        }
    }
}

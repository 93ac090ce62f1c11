//! Spans of time as people write them.

use std::{fmt, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A span of time: `90` (seconds), `90s`, `10m`, `1h 30m`, `2d`. Never zero.
///
/// ```
/// use std::time::Duration;
/// use tracer_core::agent::Span;
///
/// let span: Span = "1h30m".parse().unwrap();
/// assert_eq!(Duration::from(span), Duration::from_secs(5400));
/// assert!("5 parsecs".parse::<Span>().is_err());
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Span(Duration);

impl Span {
    /// A span of so many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const SENTENCE: &str = "give a time such as 90 (seconds), 90s, 10m, 1h30m or 1d";
        let sentence = || SENTENCE.to_owned();
        let text = text.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            let span = Duration::from_secs(seconds);
            let span = Some(span).filter(|it| !it.is_zero());
            return span.map(Self).ok_or_else(sentence);
        }
        // jiff's unsigned durations end at hours, since a day may have 23 or 25 of them. Here it has 24.
        let (days, rest) = match text.split_once('d') {
            Some((days, rest)) => (
                days.trim().parse::<u64>().map_err(|_| sentence())?,
                rest.trim(),
            ),
            None => (0, text),
        };
        let rest = if rest.is_empty() && days > 0 {
            Duration::ZERO
        } else {
            let span: jiff::SignedDuration = rest.parse().map_err(|_| sentence())?;
            Duration::try_from(span).map_err(|_| sentence())?
        };
        days.checked_mul(86_400)
            .map(Duration::from_secs)
            .and_then(|days| days.checked_add(rest))
            .filter(|duration| !duration.is_zero())
            .map(Self)
            .ok_or_else(sentence)
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

/// Whole seconds in the largest units; what is less in milliseconds.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if self.0.subsec_millis() != 0 {
            return write!(f, "{}ms", self.0.as_millis());
        }
        let mut left = seconds;
        for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            if left >= size {
                write!(f, "{}{unit}", left / size)?;
                left %= size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_is_written() {
        for (text, written) in [
            ("90", "1m30s"),
            ("90s", "1m30s"),
            ("1h30m", "1h30m"),
            ("1.5s", "1500ms"),
            ("1d", "1d"),
            ("1d12h", "1d12h"),
            ("49h", "2d1h"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), written);
            assert_eq!(written.parse(), Ok(span), "{text}");
        }
    }
}

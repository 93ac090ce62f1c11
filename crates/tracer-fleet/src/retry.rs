//! When a store is asked again that did not answer.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait that is our own choice.
const LONGEST: Duration = Duration::from_secs(300);

/// The longest wait that a store may ask for: one that is wrong must not silence a node for ever.
const LONGEST_ASKED: Duration = Duration::from_secs(3_600);

/// How long to wait after so many failures in a row, the first of them being 1. `random` is any number: many nodes that
/// failed together must not come back together. Never earlier than the store asked for.
///
/// ```
/// use std::time::Duration;
/// use tracer_fleet::retry::wait;
///
/// assert!(wait(1, None, 0) <= Duration::from_secs(1));
/// assert!(wait(1, Some(Duration::from_secs(30)), 7) >= Duration::from_secs(30));
/// ```
pub fn wait(failures: u32, retry_after: Option<Duration>, random: u64) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32 << failures.saturating_sub(1).min(16));
    let most = doubled.min(LONGEST);
    // Between a half and all of it.
    let half = most / 2;
    let part = u32::try_from(random % 1_000).unwrap_or(0);
    let jittered = half + half * part / 1_000;
    match retry_after {
        // What was asked for, and the jitter after it.
        Some(asked) => asked.min(LONGEST_ASKED) + jittered.min(Duration::from_secs(10)),
        None => jittered,
    }
}

/// Reads the value of a header `Retry-After`: seconds. A date is taken for a minute (RFC 9110, 10.2.3 allows both).
pub(crate) fn retry_after(value: &str) -> Duration {
    let seconds = value.trim().parse::<u64>();
    Duration::from_secs(seconds.unwrap_or(60)).min(LONGEST_ASKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_bounded_and_differ() {
        let mut last = Duration::ZERO;
        for failures in 1..10 {
            let shortest = wait(failures, None, 0);
            assert!(shortest >= last && wait(failures, None, 999) <= LONGEST);
            assert!(wait(failures, None, 999) > shortest);
            last = shortest;
        }
        assert_eq!(wait(u32::MAX, None, 0), LONGEST / 2);
    }

    #[test]
    fn a_store_is_obeyed_within_reason() {
        let asked = Duration::from_secs(120);
        assert!(wait(1, Some(asked), 5) >= asked);
        assert!(wait(1, Some(Duration::MAX), 5) <= LONGEST_ASKED + Duration::from_secs(10));
        assert_eq!(retry_after(" 7 "), Duration::from_secs(7));
        assert_eq!(
            retry_after("Wed, 21 Oct 2026 07:28:00 GMT"),
            Duration::from_secs(60)
        );
        assert_eq!(retry_after("99999999999999999999"), Duration::from_secs(60));
    }
}

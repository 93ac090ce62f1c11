//! The name that was meant, when one is misspelt.

use std::collections::BTreeSet;

use super::Abi;

/// The call, of any ABI, whose name is nearest to `name`, if one is near: a third of the letters may be
/// wrong. Of several the one that comes first.
///
/// ```
/// use syscalls::suggest;
///
/// assert_eq!(suggest("ptrcae"), Some("ptrace"));
/// assert_eq!(suggest("something_else"), None);
/// ```
pub fn suggest(name: &str) -> Option<&'static str> {
    // No name is longer than 30 letters; what is much longer is near none of them.
    const MAX_LEN: usize = 64;
    if name.len() > MAX_LEN {
        return None;
    }
    let most = (name.chars().count() / 3).max(1);
    let names: BTreeSet<_> = Abi::ALL
        .into_iter()
        .flat_map(|abi| abi.syscalls().map(|(_, name)| name))
        .collect();
    names
        .into_iter()
        .map(|known| (distance(name, known), known))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, known)| known)
}

/// How many letters have to be added, taken away, exchanged, or swapped with their neighbour, to make
/// one name of the other (optimal string alignment).
///
/// ```
/// assert_eq!(syscalls::distance("actoin", "action"), 1);
/// ```
pub fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX);
    let mut before = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, its) in other.iter().enumerate() {
            let exchanged = at(&row, j) + usize::from(letter != its);
            let mut least = exchanged.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped =
                i > 0 && j > 0 && one.get(i - 1) == Some(its) && other.get(j - 1) == Some(letter);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_name() {
        for (wrong, meant) in [
            ("chmodat", Some("fchmodat")),
            ("ptrcae", Some("ptrace")),
            ("opennat", Some("openat")),
            ("read", Some("read")),
            ("Mount", Some("mount")),
            ("frobnicate", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(suggest(wrong), meant, "{wrong}");
        }
        assert_eq!(suggest(&"ptrace".repeat(100)), None);
    }

    #[test]
    fn counts_edits() {
        for (one, other, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "abd", 1),
            ("abc", "xabc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }
}

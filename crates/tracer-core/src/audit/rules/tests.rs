//! What holds of every rule.

use std::collections::BTreeSet;

use super::*;

#[test]
fn rules_are_unique_and_complete() {
    let mut seen = BTreeSet::new();
    for rule in ALL {
        assert!(seen.insert(rule.id), "{}", rule.id);
        assert!(rule.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
        for text in [rule.title, rule.explanation, rule.fix] {
            assert!(text.ends_with('.'), "{}: {text}", rule.id);
        }
        assert_eq!(named(rule.id), Some(*rule));
        assert!(explain(rule).contains(rule.fix));
    }
    assert!(ALL.is_sorted_by_key(|rule| rule.family));
    assert_eq!(named("no-rule"), None);
}

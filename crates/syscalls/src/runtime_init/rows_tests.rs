//! The table is well-formed.

use super::*;
use crate::{Abi, arguments::recorded};

#[test]
fn rows_are_sorted_and_their_names_exist() {
    for row in ROWS {
        assert!(row.calls.is_sorted_by(|a, b| a < b), "{row:?}");
        let measured = matches!(row.source, Source::Measured(_));
        assert_eq!(row.calls.contains(&"execve"), measured, "{row:?}");
        for call in row.calls {
            assert!(Abi::X86_64.syscall_number(call).is_some(), "{call}");
        }
        assert!(row.values.is_sorted_by(|a, b| a < b), "{row:?}");
        for (call, _) in row.values {
            assert!(row.calls.contains(call), "{row:?}");
            let recorded = recorded(Abi::X86_64, call);
            assert_eq!(recorded.map(|it| it.arguments.len()), Some(1), "{call}");
        }
        // Where values are recorded, a row has to know them.
        for call in row.calls {
            let known = row.values.iter().any(|(of, _)| of == call);
            assert_eq!(
                recorded(Abi::X86_64, call).is_some(),
                known,
                "{row:?} {call}"
            );
        }
    }
}

#[test]
fn measured_rows_cover_both_no_new_privs_settings() {
    for row in ROWS {
        if !matches!(row.source, Source::Measured(_)) {
            continue;
        }
        assert!(matches!(row.versions, VersionRange::Exactly(_)), "{row:?}");
        let of_both = ROWS.iter().filter(|other| {
            (other.runtime, other.versions) == (row.runtime, row.versions)
                && other.no_new_privs.is_some()
        });
        assert_eq!(of_both.count(), 2, "{row:?}");
    }
}

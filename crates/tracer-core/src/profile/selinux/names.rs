//! Names in a policy.

use crate::profile::{NameKind, TargetError};

/// Longest name that is written. CIL takes 2,048 bytes (libsepol, `CIL_MAX_NAME_LENGTH`); a context has to
/// fit a page.
const MAX: usize = 255;

/// What stands for something else than a type of that name in CIL.
const CIL_WORDS: [&str; 4] = ["self", "notself", "other", "all"];

/// Whether a name may be written into a policy as it is: a letter, then letters, digits, `_`, `-` and `.`
/// (libsepol, `cil_verify_name`; a dot separates blocks).
///
/// ```
/// use tracer_core::profile::selinux::is_identifier;
///
/// assert!(is_identifier("web.process"));
/// assert!(!is_identifier("web) (allow a b (file (write)))"));
/// ```
pub fn is_identifier(name: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    name.len() <= MAX && name.split('.').all(is_part) && !CIL_WORDS.contains(&name)
}

/// Words of the language of `.te` files (checkpolicy, policy_scan.l). A type of that name cannot be named.
const MODULE_WORDS: [&str; 58] = [
    "allow",
    "allowxperm",
    "and",
    "attribute",
    "attribute_role",
    "auditallow",
    "auditdeny",
    "bool",
    "category",
    "class",
    "clone",
    "common",
    "constrain",
    "cond",
    "default_range",
    "default_role",
    "default_type",
    "default_user",
    "devicetreecon",
    "dom",
    "domby",
    "dominance",
    "dontaudit",
    "else",
    "expandattribute",
    "fs_use_task",
    "fs_use_trans",
    "fs_use_xattr",
    "fscon",
    "genfscon",
    "glblub",
    "high",
    "if",
    "incomp",
    "inherits",
    "iomemcon",
    "ioportcon",
    "level",
    "low",
    "mlsconstrain",
    "module",
    "netifcon",
    "neverallow",
    "nodecon",
    "not",
    "optional",
    "or",
    "permissive",
    "policycap",
    "range_transition",
    "require",
    "role",
    "role_transition",
    "roles",
    "self",
    "sensitivity",
    "sid",
    "source",
];

/// Whether a name may be written into a `.te` file. A dot would make it a part of another type there.
pub(super) fn is_module_identifier(name: &str) -> bool {
    let word = name.to_ascii_lowercase();
    let more = [
        "target",
        "type",
        "type_change",
        "type_member",
        "type_transition",
        "typealias",
        "typeattribute",
        "typebounds",
        "types",
        "user",
        "validatetrans",
        "xor",
        "eq",
        "l1",
        "l2",
        "h1",
        "h2",
        "r1",
        "r2",
        "r3",
        "t1",
        "t2",
        "t3",
        "u1",
        "u2",
        "u3",
        "sameuser",
        "of",
        "true",
        "false",
        "alias",
        "pirqcon",
        "pcidevicecon",
        "ibpkeycon",
        "ibendportcon",
        "portcon",
        "mlsvalidatetrans",
        "low-high",
        "tunable",
        "constraint",
        "identifier",
    ];
    is_identifier(name)
        && !name.contains('.')
        && !MODULE_WORDS.contains(&word.as_str())
        && !more.contains(&word.as_str())
}

/// The name of a workload's block: `tracer_` and its name, in which every byte that no name has is `_x` and
/// two digits, so no two workloads share one.
///
/// # Errors
/// When it is too long.
///
/// ```
/// use tracer_core::profile::selinux::block_name;
///
/// assert_eq!(block_name("web").unwrap(), "tracer_web");
/// assert_eq!(block_name("shop_deployment-cart.v2_web").unwrap(), "tracer_shop_deployment-cart_x2ev2_web");
/// ```
pub fn block_name(workload: &str) -> Result<String, TargetError> {
    let mut name = "tracer_".to_owned();
    for (at, byte) in workload.bytes().enumerate() {
        // `_x` in the name itself would read as an escape.
        let is_escape = byte == b'_' && workload.as_bytes().get(at + 1) == Some(&b'x');
        if (byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) && !is_escape {
            name.push(char::from(byte));
        } else {
            name += &format!("_x{byte:02x}");
        }
    }
    if name.len() > MAX {
        return Err(NameKind::SelinuxType.refuse(workload));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn hostile_names_are_no_identifiers() {
        for name in [
            "", "self", "1a", "a b", "a)", "a;b", "a\nb", "a\"", "é", ".a", "a.", "a..b", "a:b",
            "$a", "all",
        ] {
            assert!(!is_identifier(name), "{name:?}");
        }
        assert!(!is_identifier(&"a".repeat(256)));
        assert!(is_identifier("container_t") && is_identifier("a.b-c.process"));
        assert!(!is_module_identifier("Role") && is_module_identifier("init_t"));
    }

    #[test]
    fn block_names_are_distinct_identifiers() {
        let workloads = [
            "web", "web.1", "web_x2e1", "web-1", "web_1", "web 1", "w\u{e9}b", "1", "_x", "x", ")(",
        ];
        let names: BTreeSet<_> = workloads.iter().map(|it| block_name(it).unwrap()).collect();
        assert_eq!(names.len(), workloads.len());
        assert!(names.iter().all(|name| is_identifier(name)), "{names:?}");
        assert!(block_name(&"a".repeat(300)).is_err());
    }
}

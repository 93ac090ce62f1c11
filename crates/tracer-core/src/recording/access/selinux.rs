//! What the SELinux policy does not allow a workload.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One permission that the SELinux policy did not allow.
///
/// What the policy allows already is not reported by the kernel, so it is not here.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct SelinuxUse {
    /// The type of the process that asked: its domain.
    pub domain: String,
    /// What it asked for.
    pub target: SelinuxTarget,
    /// The object's class, as the kernel names it: `file`, `tcp_socket`.
    pub class: String,
    /// The permission: `read`, `name_bind`.
    pub permission: String,
    /// True when the target has categories (MCS) that the domain lacked: no rule can allow that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub other_categories: bool,
    /// True when the access was refused: the domain was not permissive.
    #[serde(default, skip_serializing_if = "is_false")]
    pub refused: bool,
}

/// What an access was for.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SelinuxTarget {
    /// The domain itself: its own sockets, processes, capabilities.
    Domain,
    /// An object of this type.
    Type(String),
}

impl SelinuxUse {
    /// Reads what the kernel tells of one permission.
    ///
    /// Returns `None` when a context has no type.
    ///
    /// ```
    /// use tracer_core::recording::{SelinuxTarget, SelinuxUse};
    ///
    /// let asked = SelinuxUse::from_contexts(
    ///     "system_u:system_r:web.process:s0:c1,c2",
    ///     "system_u:object_r:container_file_t:s0:c3,c4",
    ///     "file",
    ///     "read",
    /// )
    /// .unwrap();
    /// assert_eq!(asked.domain, "web.process");
    /// assert_eq!(asked.target, SelinuxTarget::Type("container_file_t".to_owned()));
    /// assert!(asked.other_categories);
    /// ```
    pub fn from_contexts(
        source: &str,
        target: &str,
        class: &str,
        permission: &str,
    ) -> Option<Self> {
        let (domain, source_level) = parts(source)?;
        let (target, target_level) = parts(target)?;
        Some(Self {
            domain: domain.to_owned(),
            other_categories: !has_categories(source_level, target_level),
            target: if domain == target {
                SelinuxTarget::Domain
            } else {
                SelinuxTarget::Type(target.to_owned())
            },
            class: class.to_owned(),
            permission: permission.to_owned(),
            refused: false,
        })
    }

    /// The type of the target.
    pub fn target_type(&self) -> &str {
        match &self.target {
            SelinuxTarget::Domain => &self.domain,
            SelinuxTarget::Type(name) => name,
        }
    }
}

/// The type and the level of a context, `user:role:type[:level]`. A level has colons of its own.
fn parts(context: &str) -> Option<(&str, &str)> {
    let mut fields = context.splitn(4, ':').skip(2);
    let kind = fields.next().filter(|kind| !kind.is_empty())?;
    Some((kind, fields.next().unwrap_or_default()))
}

/// Whether the highest level of `source` has all categories of the lowest of `target`.
fn has_categories(source: &str, target: &str) -> bool {
    let high = source.split_once('-').map_or(source, |(_, high)| high);
    let low = target.split_once('-').map_or(target, |(low, _)| low);
    let held: Vec<_> = categories(high).collect();
    categories(low).all(|(from, to)| {
        held.iter()
            .any(|(first, last)| *first <= from && to <= *last)
    })
}

/// The ranges of categories of a level: `s0:c1,c5.c7`.
fn categories(level: &str) -> impl Iterator<Item = (u32, u32)> {
    let list = level.split_once(':').map_or("", |(_, list)| list);
    let number = |name: &str| name.strip_prefix('c')?.parse::<u32>().ok();
    list.split(',').filter_map(move |range| {
        let (first, last) = range.split_once('.').unwrap_or((range, range));
        Some((number(first)?, number(last)?))
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_of_others_are_seen() {
        for (source, target, has) in [
            ("s0:c1,c2", "s0", true),
            ("s0:c1,c2", "s0:c1,c2", true),
            ("s0:c1,c2", "s0:c2", true),
            ("s0:c1,c2", "s0:c3", false),
            ("s0", "s0:c3", false),
            ("s0-s0:c0.c1023", "s0:c3,c700", true),
            ("s0:c0.c3", "s0:c2.c5", false),
            ("", "", true),
        ] {
            assert_eq!(has_categories(source, target), has, "{source} {target}");
        }
    }

    #[test]
    fn same_type_is_the_domain_itself() {
        let of = |source, target| SelinuxUse::from_contexts(source, target, "file", "read");
        let own = of("u:r:web_t:s0", "u:object_r:web_t:s0").unwrap();
        assert_eq!(
            (own.target_type(), own.target.clone()),
            ("web_t", SelinuxTarget::Domain)
        );
        assert_eq!(
            of("u:r:web_t", "u:r:other_t").unwrap().target_type(),
            "other_t"
        );
        for wrong in ["", "kernel", "u:r", "u:r:", "u:r::s0"] {
            assert_eq!(of(wrong, "u:r:t"), None, "{wrong}");
            assert_eq!(of("u:r:t", wrong), None, "{wrong}");
        }
    }
}

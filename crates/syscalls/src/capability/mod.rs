//! Capabilities: their names, and what each opens.

pub mod checks;
mod grants;

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Names by number, without `CAP_` (include/uapi/linux/capability.h, Linux 6.18).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A capability. In text it is `CAP_NAME`, or `CAP_N` when the number has no name here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(u8);

impl Capability {
    /// The capability of a number.
    pub const fn from_number(number: u8) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name without `CAP_`; `None` when it has none here.
    ///
    /// ```
    /// use syscalls::capability::Capability;
    ///
    /// assert_eq!(Capability::from_number(21).name(), Some("SYS_ADMIN"));
    /// assert_eq!(Capability::from_number(21).to_string(), "CAP_SYS_ADMIN");
    /// assert_eq!(Capability::from_number(60).name(), None);
    /// ```
    pub fn name(self) -> Option<&'static str> {
        NAMES.get(usize::from(self.0)).copied()
    }

    /// What an entry of a list of capabilities stands for: one, or each of them for `ALL`, as
    /// `docker run --cap-add` and `securityContext.capabilities` of Kubernetes take it.
    ///
    /// ```
    /// use syscalls::capability::Capability;
    ///
    /// assert_eq!(Capability::listed("net_raw"), Ok(vec![Capability::from_number(13)]));
    /// assert_eq!(Capability::listed("all"), Ok(Capability::all().collect()));
    /// assert!(Capability::listed("every").is_err());
    /// ```
    ///
    /// # Errors
    /// When no capability is called that.
    pub fn listed(name: &str) -> Result<Vec<Self>, UnknownCapability> {
        let is_all = ["ALL", "CAP_ALL"]
            .iter()
            .any(|all| name.eq_ignore_ascii_case(all));
        if is_all {
            return Ok(Self::all().collect());
        }
        Ok(vec![name.parse()?])
    }

    /// All that have a name, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).take(NAMES.len()).map(Self)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "CAP_{name}"),
            None => write!(f, "CAP_{}", self.0),
        }
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// No capability is called that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a capability: their names are CAP_CHOWN, CAP_NET_RAW and so on")]
pub struct UnknownCapability(String);

/// Reads a name in any case, with or without `CAP_`: engines, Kubernetes and AppArmor each write
/// another form. A number that has no name here needs its `CAP_`.
///
/// ```
/// use syscalls::capability::Capability;
///
/// for text in ["CAP_NET_ADMIN", "NET_ADMIN", "net_admin", "cap_net_admin"] {
///     assert_eq!(text.parse(), Ok(Capability::from_number(12)));
/// }
/// assert!("NET_ROOT".parse::<Capability>().is_err());
/// ```
impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        let upper = text.to_ascii_uppercase();
        let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let known = Self::all().find(|one| one.name() == Some(short));
        let number = || {
            let number = Self(short.parse().ok()?);
            (number.to_string() == upper).then_some(number)
        };
        known
            .or_else(number)
            .ok_or_else(|| UnknownCapability(text.to_owned()))
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let capability: Self = text.parse().map_err(de::Error::custom)?;
        // Files have one form alone, as their schema says.
        if capability.to_string() == text {
            Ok(capability)
        } else {
            Err(de::Error::custom(UnknownCapability(text.into_owned())))
        }
    }
}

impl JsonSchema for Capability {
    fn schema_name() -> Cow<'static, str> {
        "Capability".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^CAP_[A-Z0-9_]+$",
            "description": "A capability as CAP_NAME."
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::de::value::BorrowedStrDeserializer;

    use super::*;

    #[test]
    fn every_number_round_trips_through_its_name() {
        for number in 0..=u8::MAX {
            let capability = Capability::from_number(number);
            assert_eq!(capability.to_string().parse(), Ok(capability));
        }
        assert_eq!(Capability::from_number(21).to_string(), "CAP_SYS_ADMIN");
        assert_eq!(
            Capability::from_number(40).to_string(),
            "CAP_CHECKPOINT_RESTORE"
        );
        for wrong in [
            "",
            "CAP_",
            "CAP_21",
            "CAP_099",
            "41",
            "CAP_CAP_CHOWN",
            " CHOWN",
            "ALL",
        ] {
            assert!(wrong.parse::<Capability>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn any_case_is_read_with_and_without_the_prefix() {
        for capability in Capability::all() {
            let text = capability.to_string();
            let short = text.trim_start_matches("CAP_");
            for text in [&text, short, &text.to_lowercase(), &short.to_lowercase()] {
                assert_eq!(text.parse(), Ok(capability));
            }
        }
        assert_eq!("cap_200".parse(), Ok(Capability::from_number(200)));
    }

    #[test]
    fn files_have_one_form_alone() {
        type Source<'a> = BorrowedStrDeserializer<'a, de::value::Error>;
        let read = |text: &'static str| Capability::deserialize(Source::new(text));
        assert_eq!(read("CAP_SYS_ADMIN"), Ok(Capability::from_number(21)));
        assert_eq!(read("CAP_200"), Ok(Capability::from_number(200)));
        for wrong in ["CAP_", "CAP_21", "SYS_ADMIN", "CAP_099", "cap_chown"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

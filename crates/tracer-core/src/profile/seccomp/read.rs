//! Reading profiles as people have them: the OCI form, and what Docker, Podman and CRI-O put around it.
//!
//! | more than OCI | who reads it |
//! | --- | --- |
//! | `archMap` instead of `architectures`: which other ABIs go with a machine's own | Docker (profiles/seccomp/seccomp_linux.go), Podman, CRI-O (containers/common, pkg/seccomp) |
//! | `includes` and `excludes` of an entry, by machine and by capability | the same |
//! | `minKernel` in them | Docker; the others take such an entry on every kernel |
//! | `errno`, `defaultErrno`: the number by its name | Podman, CRI-O; it goes before `errnoRet` |
//! | one `name` an entry, `comment` | all of them |
//!
//! containerd reads a pod's profile as plain OCI, where all of this is ignored: what is resolved here
//! for one machine can be given to it.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::oci::{Action, Condition, Entry, OciSeccomp};
use syscalls::Abi;

/// A profile in any of the forms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    default_action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_errno: Option<String>,
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    architectures: Vec<String>,
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    arch_map: Vec<Machine>,
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    flags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener_metadata: Option<String>,
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    syscalls: Vec<Rule>,
}

/// An architecture and those that go with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Machine {
    architecture: String,
    #[serde(default, deserialize_with = "list")]
    sub_architectures: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Vec<String>>,
    action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<String>,
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    args: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    includes: Option<Filter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excludes: Option<Filter>,
}

/// Where an entry counts, or does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    arches: Vec<String>,
    #[serde(
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    caps: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_kernel: Option<KernelVersion>,
}

/// An empty list, or `null`, which Go writes for one.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// The first two numbers of a kernel's version, all that `minKernel` compares
/// (Docker, profiles/seccomp/kernel_linux.go).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// 6 of `6.1.0-18-amd64`.
    pub version: u32,
    /// 1 of it.
    pub major: u32,
}

impl KernelVersion {
    /// `KernelVersion::new(5, 10)` is Linux 5.10.
    pub const fn new(version: u32, major: u32) -> Self {
        Self { version, major }
    }
}

/// A text that does not begin like the version of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a kernel version; write it as 4.8")]
pub struct InvalidKernelVersion(String);

impl FromStr for KernelVersion {
    type Err = InvalidKernelVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |text: &str| {
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            text.get(..end)?.parse().ok()
        };
        let parse = || {
            let (version, rest) = text.split_once('.')?;
            Some(Self {
                version: version.parse().ok()?,
                major: digits(rest)?,
            })
        };
        parse().ok_or_else(|| InvalidKernelVersion(text.to_owned()))
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.version, self.major)
    }
}

impl Serialize for KernelVersion {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KernelVersion {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// For what a profile is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The ABI of the machine.
    pub native: Abi,
    /// The bounding set of the container, as `CAP_SYS_ADMIN`.
    pub capabilities: BTreeSet<String>,
    /// The kernel.
    pub kernel_version: KernelVersion,
}

/// Why a profile means nothing certain. `entry` counts the entries of `syscalls` from 0.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the fields are what the messages say")]
pub enum ResolveError {
    /// Engines refuse both.
    #[error("the profile has both architectures and archMap; leave one of them out")]
    Architectures,
    /// Engines refuse both.
    #[error("syscalls[{entry}] has both name and names; leave one of them out")]
    NameAndNames { entry: usize },
    /// It would do nothing.
    #[error("syscalls[{entry}] has neither name nor names; say which calls it is for")]
    NoName { entry: usize },
    /// Not a name that is known here.
    #[error("{place}: unknown error {name:?}; give its number as errnoRet")]
    Errno { place: String, name: String },
    /// Docker reads the number, Podman the name.
    #[error(
        "{place}: {name} is not {number}: some engines return the one, some the other; make them agree"
    )]
    TwoErrnos {
        place: String,
        name: String,
        number: u32,
    },
}

impl Document {
    /// Reads a profile in any of the forms.
    ///
    /// # Errors
    ///
    /// When it is not JSON, lacks or repeats a field, or has one that no engine reads; the error has
    /// the line and column.
    pub fn from_json(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    /// The profile as JSON, in the form it has.
    ///
    /// # Errors
    ///
    /// None in practice: every value has a form in JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The plain profile for one machine and container.
    ///
    /// # Errors
    ///
    /// When it contradicts itself.
    pub fn resolve(&self, target: &Target) -> Result<OciSeccomp, ResolveError> {
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(ResolveError::Architectures);
        }
        let default_errno_ret = number(
            "defaultErrno",
            self.default_errno.as_deref(),
            self.default_errno_ret,
        )?;
        let mut syscalls = Vec::new();
        for (at, rule) in self.syscalls.iter().enumerate() {
            let entry = rule.entry(at)?;
            if rule.is_for(target) {
                syscalls.push(entry);
            }
        }
        Ok(OciSeccomp {
            default_action: self.default_action,
            default_errno_ret,
            architectures: self.architectures(target),
            flags: self.flags.clone(),
            listener_path: self.listener_path.clone(),
            listener_metadata: self.listener_metadata.clone(),
            syscalls,
        })
    }

    /// Which entries of `syscalls` the plain profile has, in its order, each counted from 0.
    pub fn entries(&self, target: &Target) -> impl Iterator<Item = usize> {
        let rules = self.syscalls.iter().enumerate();
        rules
            .filter(|(_, rule)| rule.is_for(target))
            .map(|(at, _)| at)
    }

    fn architectures(&self, target: &Target) -> Vec<String> {
        let own = |machine: &&Machine| machine.architecture == target.native.scmp_arch();
        match self.arch_map.iter().find(own) {
            Some(machine) => std::iter::once(&machine.architecture)
                .chain(&machine.sub_architectures)
                .cloned()
                .collect(),
            None => self.architectures.clone(),
        }
    }
}

impl Rule {
    fn entry(&self, at: usize) -> Result<Entry, ResolveError> {
        let named = self.name.iter().any(|name| !name.is_empty());
        let names = match (&self.name, &self.names) {
            (Some(_), Some(names)) if named && !names.is_empty() => {
                return Err(ResolveError::NameAndNames { entry: at });
            }
            (_, Some(names)) if !named => names.clone(),
            (Some(name), _) if named => vec![name.clone()],
            _ => return Err(ResolveError::NoName { entry: at }),
        };
        Ok(Entry {
            names,
            action: self.action,
            errno_ret: number(
                &format!("syscalls[{at}].errno"),
                self.errno.as_deref(),
                self.errno_ret,
            )?,
            args: self.args.clone(),
        })
    }

    /// Each kind that `excludes` names shuts out by itself; of `includes` all kinds must let in.
    fn is_for(&self, target: &Target) -> bool {
        let machine = go_name(target.native);
        let here = |arches: &[String]| arches.iter().any(|arch| arch == machine);
        let has = |capability: &String| target.capabilities.contains(capability);
        let excluded = self.excludes.as_ref().is_some_and(|excludes| {
            here(&excludes.arches)
                || excludes.caps.iter().any(has)
                || excludes
                    .min_kernel
                    .is_some_and(|least| target.kernel_version >= least)
        });
        let included = self.includes.as_ref().is_none_or(|includes| {
            (includes.arches.is_empty() || here(&includes.arches))
                && includes.caps.iter().all(has)
                && includes
                    .min_kernel
                    .is_none_or(|least| target.kernel_version >= least)
        });
        included && !excluded
    }
}

/// What engines call a machine in `arches`: Go's or libseccomp's name.
const fn go_name(abi: Abi) -> &'static str {
    match abi {
        Abi::X86_64 => "amd64",
        Abi::I386 => "x86",
        Abi::X32 => "x32",
        Abi::Aarch64 => "arm64",
        Abi::Arm => "arm",
        Abi::Riscv64 => "riscv64",
    }
}

/// The number of an error that is given by name, by number, or by both. An empty name is none.
fn number(
    place: &str,
    name: Option<&str>,
    number: Option<u32>,
) -> Result<Option<u32>, ResolveError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(number);
    };
    let known = ERRNOS.iter().find(|(known, _)| *known == name);
    let Some(named) = known.map(|(_, number)| *number).or(name.parse().ok()) else {
        return Err(ResolveError::Errno {
            place: place.to_owned(),
            name: name.to_owned(),
        });
    };
    match number {
        Some(number) if number != named => Err(ResolveError::TwoErrnos {
            place: place.to_owned(),
            name: name.to_owned(),
            number,
        }),
        _ => Ok(Some(named)),
    }
}

/// What filters return: include/uapi/asm-generic/errno-base.h, errno.h.
const ERRNOS: [(&str, u32); 21] = [
    ("EPERM", 1),
    ("ENOENT", 2),
    ("ESRCH", 3),
    ("EINTR", 4),
    ("EIO", 5),
    ("ENXIO", 6),
    ("EBADF", 9),
    ("EAGAIN", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EFAULT", 14),
    ("EBUSY", 16),
    ("EEXIST", 17),
    ("ENODEV", 19),
    ("EINVAL", 22),
    ("ENOTTY", 25),
    ("EROFS", 30),
    ("ENOSYS", 38),
    ("EPROTONOSUPPORT", 93),
    ("EOPNOTSUPP", 95),
    ("EAFNOSUPPORT", 97),
];

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;

//! The OCI runtime-spec's form of a seccomp profile (config-linux.md, "Seccomp").
//!
//! JSON has no comments, and a key that the spec does not have would be lost or refused by some
//! reader. So layers are told apart by the order of entries: `observed`, `runtime_init`, `essential`,
//! `fallback`, `headroom`. Each has an entry that allows its names for any arguments, then one for each condition
//! under which it allows others. Then come the old calls that are refused with EPERM, then the new
//! ones that are answered with ENOSYS. An entry with no names is left out. A name is in one entry only,
//! or, if it is allowed for some arguments only, in one for each alternative and in no other.
//!
//! What a call with conditions returns when none of them holds: the default, which is ENOSYS. Where the
//! conditions are those of an older call that is allowed, that is right, its caller falls back to it;
//! elsewhere a caller may have expected EPERM. Nothing else is safe. libseccomp keeps one unconditional
//! rule of a call and drops its others, whichever comes first, so EPERM for "anything else" would deny
//! all (src/db.c, `db_col_rule_add`); among rules with conditions it asks those of higher arguments
//! first, not those that came first, so a condition that always holds may hide the others. EPERM for
//! exactly the rest could only be had by a rule for each bit of a condition, 32 entries for one flag
//! word, and readers take 128 in all (Kubernetes' KEP 6061).
//!
//! What runtimes do with it, checked on runc 1.1.5 and crun 1.8.1 with libseccomp 2.5.4:
//! - Conditions in one entry must all hold, and entries of one name are alternatives; two conditions on
//!   one argument in one entry would be alternatives too.
//! - Socket calls of i386 have two ways in, and by `socketcall` their arguments are in memory. Where one
//!   is allowed, libseccomp allows `socketcall` for that call, without what was asked of argument 0, and
//!   with what was asked of the others, of registers that mean nothing there (src/arch-x86.c,
//!   `x86_rule_add`). An unconditional rule of `socketcall` itself wins: refused, as it is unless it was
//!   observed, it stays so, by another error than the default: a rule that says what the default
//!   says is left out. Else a condition on a socket call does not hold for i386.
//! - A name that libseccomp does not know is skipped: by runc in silence, by crun with a warning on
//!   stderr. The entry of refused calls therefore holds only names that libseccomp 2.5.4 knows (see
//!   [`syscalls::errno`]); what is newer returns ENOSYS by default anyway.
//! - runc's own ENOSYS stub is not added when `defaultErrnoRet` is ENOSYS
//!   (libcontainer/seccomp/patchbpf/enosys_linux.go), crun has none: both do the same here.
//! - Docker 20.10 drops `defaultErrnoRet`, and its own default is EPERM: on `clone3` the C library then
//!   gives up, and no thread starts. So the calls that are probed for say ENOSYS themselves, though it
//!   is the default; libseccomp refuses such a rule, and runtimes leave it out before they ask.
//! - A profile that only logs has `SCMP_ACT_LOG` by default and no entry that denies: all is made, and what
//!   would return an error is in the audit log. The kernel logs since 4.14, runc with libseccomp 2.4 and later.
//! - `errnoRet` on an entry that allows is refused by crun: it is only on those that return it.

use serde::{Deserialize, Serialize};

use super::SeccompProfile;
use crate::profile::Layer;
use syscalls::{
    condition::{self, Conditions},
    errno,
};

/// A profile in the OCI runtime-spec's form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OciSeccomp {
    /// What happens to a call without a rule.
    pub default_action: Action,
    /// The error that [`Action::Errno`] and [`Action::Trace`] return by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// `SCMP_ARCH_*`: the ABIs of which calls are filtered. Those of another kill.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    /// `SECCOMP_FILTER_FLAG_*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// Where to send the descriptor for [`Action::Notify`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<String>,
    /// Handed to the listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// The rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<Entry>,
}

/// One rule for a number of calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// The calls; at least one.
    pub names: Vec<String>,
    /// What happens to them.
    pub action: Action,
    /// The error that [`Action::Errno`] and [`Action::Trace`] return.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions on arguments, all of which must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Condition>,
}

/// A condition on an argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// Which of the six, from 0.
    pub index: u32,
    /// To compare with, or the mask of [`Operator::MaskedEq`].
    pub value: u64,
    /// What the masked argument must be, for [`Operator::MaskedEq`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub value_two: u64,
    /// How to compare.
    pub op: Operator,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the spec's own names")]
pub enum Action {
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the spec's own names")]
pub enum Operator {
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

impl From<&SeccompProfile> for OciSeccomp {
    fn from(profile: &SeccompProfile) -> Self {
        let allowed = allowed(profile).map(|(_, entry)| entry);
        let denied = [
            (profile.refused().collect(), errno::EPERM),
            (profile.absent().collect(), errno::ENOSYS),
        ]
        .map(|(names, errno)| Entry::new(names, Action::Errno, Some(errno), Vec::new()));
        let complain = profile.complain();
        Self {
            default_action: if complain { Action::Log } else { Action::Errno },
            default_errno_ret: (!complain).then(|| profile.default_errno()),
            architectures: profile
                .architectures()
                .map(|abi| abi.scmp_arch().to_owned())
                .collect(),
            flags: Vec::new(),
            listener_path: None,
            listener_metadata: None,
            syscalls: allowed
                .chain(denied.into_iter().flatten().filter(|_| !complain))
                .collect(),
        }
    }
}

/// The entries that allow, each with the layer that it is of.
pub(crate) fn allowed(profile: &SeccompProfile) -> impl Iterator<Item = (Layer, Entry)> {
    Layer::ALL.into_iter().flat_map(|layer| {
        let entries = allowed_in(profile, layer).into_iter();
        entries.map(move |entry| (layer, entry))
    })
}

/// The entries of a layer.
fn allowed_in(profile: &SeccompProfile, layer: Layer) -> Vec<Entry> {
    let mut any = Vec::new();
    // By the name that comes first, and its conditions.
    let mut conditional: Vec<(Conditions, Vec<&str>)> = Vec::new();
    for (name, rule) in profile.rules() {
        let Some(only) = rule.only() else {
            if rule.layer() == Some(layer) {
                any.push(name);
            }
            continue;
        };
        let here = only.iter().filter(|(_, it)| it.layer() == Some(layer));
        for (conditions, _) in here {
            match conditional
                .iter_mut()
                .find(|(known, _)| known == conditions)
            {
                Some((_, names)) => names.push(name),
                None => conditional.push((*conditions, vec![name])),
            }
        }
    }
    let any = Entry::new(any, Action::Allow, None, Vec::new());
    let conditional = conditional.into_iter().filter_map(|(conditions, names)| {
        let args = conditions.iter().map(Condition::from).collect();
        Entry::new(names, Action::Allow, None, args)
    });
    any.into_iter().chain(conditional).collect()
}

impl Entry {
    /// A rule for `names`, if there are any.
    fn new(
        names: Vec<&str>,
        action: Action,
        errno_ret: Option<u32>,
        args: Vec<Condition>,
    ) -> Option<Self> {
        (!names.is_empty()).then(|| Self {
            names: names.into_iter().map(str::to_owned).collect(),
            action,
            errno_ret,
            args,
        })
    }
}

impl From<condition::Condition> for Condition {
    fn from(condition: condition::Condition) -> Self {
        let condition::Condition { index, mask, value } = condition;
        if mask == u64::MAX {
            Self {
                index,
                value,
                value_two: 0,
                op: Operator::Eq,
            }
        } else {
            Self {
                index,
                value: mask,
                value_two: value,
                op: Operator::MaskedEq,
            }
        }
    }
}

impl OciSeccomp {
    /// The profile as JSON, for people too: indented, with a newline at the end.
    ///
    /// # Errors
    ///
    /// None in practice: every value has a form in JSON.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads a profile in plain OCI form.
    ///
    /// # Errors
    ///
    /// When it is not JSON, lacks or repeats a field, or has one that the spec does not; the error
    /// has the line and column.
    pub fn from_json(json: &str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }
}

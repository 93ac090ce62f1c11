//! What the running kernel's SELinux says of itself, by selinuxfs.

use std::{
    fs,
    io::{self, Read as _, Seek as _, Write as _},
    path::PathBuf,
};

use tracer_abi::Config;

use crate::bpf::btf::Btf;

/// Where selinuxfs is mounted (`security/selinux/selinuxfs.c`).
const ROOT: &str = "/sys/fs/selinux";

/// A decision says by this flag that the domain is permissive (`AVD_FLAGS_PERMISSIVE`,
/// security/selinux/include/security.h).
const PERMISSIVE: u32 = 1;

/// Whether SELinux is on and a policy is loaded: without one selinuxfs has no classes.
pub fn is_enabled() -> bool {
    file("enforce").exists() && file("class/process").exists()
}

/// Whether it enforces; `None` when it is off.
pub fn is_enforcing() -> Option<bool> {
    let text = fs::read_to_string(file("enforce")).ok()?;
    Some(text.trim() == "1")
}

/// The version of the policy's language that the kernel takes.
pub fn policy_version() -> Option<u32> {
    let text = fs::read_to_string(file("policyvers")).ok()?;
    text.trim().parse().ok()
}

/// Empties the cache of decisions, so that what was reported once is reported again. It changes nothing: no
/// boolean is pending (`sel_commit_bools_write`, `security_set_bools`, which calls `avc_ss_reset`).
///
/// # Errors
/// When this process may not, or SELinux is off.
pub fn empty_decision_cache() -> io::Result<()> {
    // Where the policy has no booleans, the kernel does nothing (`fsi->bool_pending_values` is null).
    if list("booleans").is_empty() {
        return Err(io::Error::other("the policy has no booleans"));
    }
    // In one write: the kernel reads a number.
    fs::OpenOptions::new()
        .write(true)
        .open(file("commit_pending_bools"))?
        .write_all(b"1")
}

/// Whether the loaded policy knows a context.
pub fn is_valid_context(context: &str) -> bool {
    let write = fs::OpenOptions::new()
        .write(true)
        .open(file("context"))
        .and_then(|mut it| it.write_all(context.as_bytes()));
    write.is_ok()
}

/// The context of a type, for a process: by the first of these users and roles that the policy lets have it.
pub fn context_of_type(name: &str) -> Option<String> {
    let own = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let own: Vec<_> = own.trim_end_matches(['\0', '\n']).split(':').collect();
    let prefixes = [
        own.get(..2).map(|it| it.join(":")),
        Some("system_u:system_r".to_owned()),
        Some("unconfined_u:unconfined_r".to_owned()),
    ];
    let contexts = prefixes
        .into_iter()
        .flatten()
        .flat_map(|prefix| [format!("{prefix}:{name}:s0"), format!("{prefix}:{name}")]);
    contexts
        .into_iter()
        .find(|context| is_valid_context(context))
}

/// What the policy decides of a pair of contexts and a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Permissions that are allowed, in the policy's order.
    pub allowed: u32,
    /// Permissions whose denial is logged.
    pub audited: u32,
    /// Whether the source's domain is permissive.
    pub permissive: bool,
}

/// Asks the policy (`sel_write_access`): the kernel answers the same file that the question was written to.
///
/// # Errors
/// When this process may not ask, or the policy does not know a context.
pub fn decision(source: &str, target: &str, class: u32) -> io::Result<Decision> {
    let mut question = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(file("access"))?;
    question.write_all(format!("{source} {target} {class}").as_bytes())?;
    question.rewind()?;
    let mut answer = String::new();
    question.read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other("selinuxfs gave no decision"))
}

/// `allowed decided auditallow auditdeny seqno flags`, all but the number before the last in hexadecimal.
fn parse(answer: &str) -> Option<Decision> {
    let fields: Vec<_> = answer.trim_end_matches('\0').split_whitespace().collect();
    let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
    Some(Decision {
        allowed: number(0)?,
        audited: number(3)?,
        permissive: number(5)? & PERMISSIVE != 0,
    })
}

/// What is known of a domain before it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Whether it is permissive, or the whole system is.
    pub permissive: bool,
    /// How many of the asked (target, class) pairs have permissions whose denial is not logged.
    pub dontaudit: usize,
}

/// Asks about a domain: against itself and each context that the kernel begins with (files, ports, devices
/// without a label of their own), for each class.
///
/// # Errors
/// When the policy does not know the context.
pub fn domain(context: &str) -> io::Result<Domain> {
    let mut permissive = is_enforcing() == Some(false);
    let mut dontaudit = 0;
    let targets: Vec<String> = list("initial_contexts")
        .into_iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|text| text.trim_end_matches('\0').to_owned())
        .filter(|text| !text.is_empty())
        .chain([context.to_owned()])
        .collect();
    let own = decision(context, context, class_number("process").unwrap_or(2))?;
    permissive |= own.permissive;
    for class in list("class") {
        let name = class.file_name().unwrap_or_default().to_string_lossy();
        let Some(number) = class_number(&name) else {
            continue;
        };
        let known = list(&format!("class/{name}/perms")).len();
        let all = u32::MAX
            .checked_shr(32 - u32::try_from(known).unwrap_or(32))
            .unwrap_or(0);
        for target in &targets {
            if let Ok(decision) = decision(context, target, number) {
                let silent = !decision.audited & !decision.allowed & all;
                dontaudit += usize::from(silent != 0);
            }
        }
    }
    Ok(Domain {
        permissive,
        dontaudit,
    })
}

fn class_number(class: &str) -> Option<u32> {
    let text = fs::read_to_string(file(&format!("class/{class}/index"))).ok()?;
    text.trim().parse().ok()
}

fn list(directory: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(file(directory)) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(ROOT).join(name)
}

/// Sets the offsets of `struct selinux_audit_data`. A kernel without SELinux has none; the program that reads
/// them is then not loaded.
pub(super) fn set_offsets(btf: &Btf<'_>, config: &mut Config) {
    let at = |field: &str| {
        btf.offset(&format!("selinux_audit_data.{field}"))
            .unwrap_or(0)
    };
    config.selinux_ssid = at("ssid");
    config.selinux_tsid = at("tsid");
    config.selinux_tclass = at("tclass");
    config.selinux_audited = at("audited");
    config.selinux_denied = at("denied");
    config.selinux_result = at("result");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_read_in_hexadecimal() {
        let decision = parse("1f ffffffff 0 fffffffd 12 1\0").unwrap();
        let expected = Decision {
            allowed: 0x1f,
            audited: 0xffff_fffd,
            permissive: true,
        };
        assert_eq!(decision, expected);
        assert_eq!(parse("1f 0"), None);
        assert_eq!(parse(""), None);
    }
}

//! Rules about SELinux: domains in CIL and in the operator's objects, and the types that pods ask for.

use std::collections::BTreeMap;

use super::super::{Findings, Severity, rules};
use crate::{
    parse::{Node, Selinux},
    profile::selinux::{Risk, is_unconfined, risk},
};

/// Attributes of domains that may do nearly all (reference policy, unconfined and userdomain modules).
const UNCONFINED_ATTRIBUTES: [&str; 5] = [
    "unconfined_domain_type",
    "unconfined_domain",
    "can_change_object_identity",
    "files_unconfined_type",
    "kern_unconfined",
];

/// Attributes that stand for most types of a kind.
const BROAD: [&str; 12] = [
    "file_type",
    "non_security_file_type",
    "non_auth_file_type",
    "exec_type",
    "domain",
    "port_type",
    "defined_port_type",
    "reserved_port_type",
    "device_node",
    "filesystem_type",
    "sysctl_type",
    "configfile",
];

/// The types that runtimes give to containers by themselves (container-selinux).
const OF_RUNTIMES: [&str; 5] = [
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
    "svirt_lxc_net_t",
];

pub(in super::super) fn check(read: &Selinux, out: &mut Findings<'_>) {
    let name = read.name.as_deref().unwrap_or("the file");
    if let Some(span) = &read.permissive {
        let message = format!("{name} is permissive: it reports and denies nothing");
        out.add(&rules::SELINUX_PERMISSIVE, span.clone(), message);
    }
    for base in &read.inherits {
        if base.text.contains("unconfined") || is_unconfined(&base.text) {
            let message = format!("{name} inherits {}", base.text);
            out.add(&rules::SELINUX_UNCONFINED, base.span.clone(), message);
        }
    }
    for attribute in &read.attributes {
        if UNCONFINED_ATTRIBUTES.contains(&&*attribute.text) {
            let message = format!("{name} has the attribute {}", attribute.text);
            out.add(&rules::SELINUX_UNCONFINED, attribute.span.clone(), message);
        }
    }
    allowed(read, out);
    let mut unread: BTreeMap<&str, (usize, _)> = BTreeMap::new();
    for word in &read.unread {
        let (count, _) = unread.entry(&word.text).or_insert((0, word.span.clone()));
        *count += 1;
    }
    for (keyword, (count, span)) in unread {
        let times = if count == 1 {
            ""
        } else {
            ", and others like it"
        };
        let message = format!("the statement {keyword} was not looked at{times}");
        out.add(&rules::SELINUX_NOT_READ, span, message);
    }
    let others = read.rules.iter();
    for rule in others.filter(|it| !read.is_of_domain(it) && !read.is_to_domain(it)) {
        let message = format!("the rule of {} was not looked at", rule.source);
        out.add(&rules::SELINUX_NOT_READ, rule.span.clone(), message);
    }
}

fn allowed(read: &Selinux, out: &mut Findings<'_>) {
    for rule in read.rules.iter().filter(|it| read.is_of_domain(it)) {
        let target = if rule.is_own() {
            "itself"
        } else {
            &rule.target
        };
        let what = format!(
            "{} on {target} ({})",
            rule.permissions.join(" "),
            rule.class
        );
        if BROAD.contains(&target) || rule.target == "all" {
            let message = format!("{what}: {target} stands for most types of its kind");
            out.add(&rules::SELINUX_BROAD_RULE, rule.span.clone(), message)
                .severity(Severity::High);
        }
        if rule.permissions.iter().any(|it| it == "all" || it == "*") {
            let message = format!("{what}: every permission of the class");
            out.add(&rules::SELINUX_BROAD_RULE, rule.span.clone(), message);
        }
        // A rule with all permissions has the worst of them.
        let given = rule.permissions.iter().map(String::as_str);
        let found = given.filter_map(|it| Some((risk(&rule.target, &rule.class, it)?, it)));
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|(risk, _)| match risk {
            Risk::Severe(_) => 0,
            Risk::High(_) => 1,
            Risk::Notable(_) => 2,
        });
        if let Some((worst, permission)) = found.first() {
            let message = format!(
                "{permission} on {target} ({}): {}",
                rule.class,
                worst.reason()
            );
            out.add(&rules::SELINUX_SENSITIVE_ACCESS, rule.span.clone(), message)
                .severity(match worst {
                    Risk::Severe(_) => Severity::Critical,
                    Risk::High(_) => Severity::High,
                    Risk::Notable(_) => Severity::Low,
                });
        }
    }
}

/// `seLinuxOptions` of a container, its own or its pod's.
pub(super) fn of_container(container: &str, options: Option<&Node>, out: &mut Findings<'_>) {
    let Some(kind) = options.and_then(|it| it.get("type")) else {
        return;
    };
    let name = kind.text().unwrap_or_default();
    if is_unconfined(name) {
        let message =
            format!("container {container} runs as {name}, which SELinux does not confine");
        out.add(&rules::SELINUX_UNCONFINED, kind.span.clone(), message)
            .severity(Severity::Critical);
    } else if !OF_RUNTIMES.contains(&name) && !name.ends_with(".process") {
        let message = format!("container {container} runs as {name} instead of container_t");
        out.add(&rules::SELINUX_TYPE_OVERRIDDEN, kind.span.clone(), message);
    }
}

//! A reference-policy module for a service: `.te` and `.fc`. It is written without the macros of the policy's
//! development files, so that `checkmodule` alone compiles it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use super::{Rule, SelinuxProfile, names::is_module_identifier};
use crate::{
    profile::{Omission, SelinuxOmission},
    recording::{SelinuxTarget, plain_text::plain},
};

/// A module's two files, and what they do not express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The rules.
    pub te: String,
    /// The label of the program.
    pub fc: String,
    /// What is not in them.
    pub omissions: Vec<Omission>,
}

/// What init needs to start a program in the domain (reference policy, `init_daemon_domain`).
const START: &[(&str, &str, &str, &[&str])] = &[
    (
        "init_t",
        "DOMAIN",
        "process",
        &["noatsecure", "rlimitinh", "siginh", "transition"],
    ),
    (
        "init_t",
        "PROGRAM",
        "file",
        &["execute", "getattr", "map", "open", "read"],
    ),
    (
        "DOMAIN",
        "PROGRAM",
        "file",
        &["entrypoint", "execute", "getattr", "map", "open", "read"],
    ),
    ("DOMAIN", "init_t", "process", &["sigchld"]),
];

impl SelinuxProfile {
    /// The module of a service whose program is `program`.
    pub fn to_module(&self, program: Option<&str>) -> Module {
        let domain = format!("{}_t", self.name);
        let label = format!("{}_exec_t", self.name);
        let mut rules = Rules::default();
        for (source, target, class, permissions) in START {
            let name = |it: &str| match it {
                "DOMAIN" => domain.clone(),
                "PROGRAM" => label.clone(),
                other => other.to_owned(),
            };
            let permissions = permissions.iter().map(|it| (*it).to_owned()).collect();
            rules.add(name(source), name(target), class, permissions);
        }
        for ((target, class), rule) in &self.rules {
            let target = match target {
                SelinuxTarget::Domain => "self".to_owned(),
                SelinuxTarget::Type(name) => name.clone(),
            };
            rules.add_rule(domain.clone(), target, class, rule);
        }
        for ((source, class), rule) in &self.callers {
            rules.add_rule(source.clone(), domain.clone(), class, rule);
        }
        let mut omissions = rules.omissions.clone();
        let fc = match program.filter(|path| path.starts_with('/')) {
            Some(path) => format!(
                "{}\t--\tsystem_u:object_r:{label}:s0\n",
                file_context_pattern(path)
            ),
            None => {
                omissions.push(
                    SelinuxOmission::UnknownProgram {
                        label: label.clone(),
                    }
                    .into(),
                );
                "# The recording does not name the program by an absolute path.\n".to_owned()
            }
        };
        omissions.extend(
            self.lost
                .iter()
                .map(|it| SelinuxOmission::Lost(it.clone()).into()),
        );
        Module {
            te: self.te(&domain, &label, &rules, &omissions),
            fc,
            omissions,
        }
    }

    fn te(&self, domain: &str, label: &str, rules: &Rules, omissions: &[Omission]) -> String {
        // A module's name has no dots (checkpolicy, policy_parse.y).
        let mut text = format!(
            "# Made by tracer for {}. REVIEW.md has the evidence of each rule.\n",
            plain(&self.workload)
        );
        for omission in omissions {
            let _ = writeln!(text, "# Not expressed: {}", plain(&omission.to_string()));
        }
        let _ = writeln!(text, "module {} 1.0;\n\nrequire {{", self.name);
        text += "\trole system_r;\n\tattribute domain;\n\tattribute exec_type;\n\tattribute file_type;\n";
        for name in rules.types(&[domain, label, "self"]) {
            let _ = writeln!(text, "\ttype {name};");
        }
        for (class, permissions) in rules.classes() {
            let _ = writeln!(text, "\tclass {class} {{ {} }};", join(&permissions));
        }
        let _ = writeln!(
            text,
            "}}\n\ntype {domain}, domain;\ntype {label}, file_type, exec_type;\n\
             role system_r types {domain};\ntype_transition init_t {label}:process {domain};"
        );
        if self.complain {
            let _ = writeln!(text, "permissive {domain};");
        }
        text.push('\n');
        for ((source, target, class), permissions) in &rules.allow {
            let permissions: BTreeSet<_> = permissions.iter().map(String::as_str).collect();
            let _ = writeln!(
                text,
                "allow {source} {target}:{class} {{ {} }};",
                join(&permissions)
            );
        }
        text
    }
}

#[derive(Default)]
struct Rules {
    allow: BTreeMap<(String, String, String), BTreeSet<String>>,
    omissions: Vec<Omission>,
}

impl Rules {
    fn add_rule(&mut self, source: String, target: String, class: &str, rule: &Rule) {
        let fits = [source.as_str(), &target, class]
            .into_iter()
            .chain(rule.permissions.iter().map(String::as_str))
            .all(|name| name == "self" || is_module_identifier(name));
        if fits {
            return self.add(source, target, class, rule.permissions.clone());
        }
        let class = class.to_owned();
        self.omissions.push(
            SelinuxOmission::ModuleName {
                source,
                target,
                class,
            }
            .into(),
        );
    }

    fn add(&mut self, source: String, target: String, class: &str, permissions: BTreeSet<String>) {
        let key = (source, target, class.to_owned());
        self.allow.entry(key).or_default().extend(permissions);
    }

    /// The types that the module uses and does not declare.
    fn types(&self, declared: &[&str]) -> BTreeSet<&str> {
        let names = self
            .allow
            .keys()
            .flat_map(|(source, target, _)| [source, target]);
        let names = names.map(String::as_str);
        names.filter(|name| !declared.contains(name)).collect()
    }

    fn classes(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut classes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for ((.., class), permissions) in &self.allow {
            let known = classes.entry(class).or_default();
            known.extend(permissions.iter().map(String::as_str));
        }
        classes
    }
}

fn join(names: &BTreeSet<&str>) -> String {
    let names: Vec<_> = names.iter().copied().collect();
    names.join(" ")
}

/// A path as a regular expression of file_contexts(5): all but plain characters escaped, spaces and control
/// characters by `.`, since a line is split at them.
fn file_context_pattern(path: &str) -> String {
    let one = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '/' | '_' | '-' | ',' | '@' | '%' | '=' | ':' => {
            c.to_string()
        }
        c if c.is_ascii_graphic() => format!("\\{c}"),
        _ => ".".repeat(c.len_utf8()),
    };
    path.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::file_context_pattern;

    #[test]
    fn program_paths_match_only_themselves() {
        assert_eq!(file_context_pattern("/usr/sbin/nginx"), "/usr/sbin/nginx");
        assert_eq!(file_context_pattern("/a b/c.d+"), "/a.b/c\\.d\\+");
        assert_eq!(file_context_pattern("/a\n/b"), "/a./b");
    }
}

//! The profile as text for apparmor_parser.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    children::{Division, Parts},
    files::FileRule,
    ipc,
    links::LinkRule,
    model::AppArmorProfile,
    network,
    pattern::Pattern,
    permissions::Permissions,
    quote::{self, quoted},
};
use crate::{
    profile::Layer,
    recording::{FilePath, ObservationKind, Peer, SignalDirection},
};

/// Paths that lead to no root, as files in a mount of another namespace have them, are asked about
/// from the root on, and files that were removed under their last name. Without these flags both are
/// denied, and in containers both are common.
const FLAGS: &str = "attach_disconnected,mediate_deleted";

impl AppArmorProfile {
    /// The profile as text. The same profile gives the same bytes.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "# Made by tracer for {}. REVIEW.md has the reason and the evidence of each rule.\n\nabi <abi/3.0>,\n\ninclude <tunables/global>\n\n",
            quoted(self.workload.as_bytes()),
        );
        match &self.division {
            Division::Divided(parts) => self.divided(&mut text, parts),
            Division::Undivided | Division::Impossible(_) => {
                if let Division::Impossible(why) = &self.division {
                    text.push_str(&format!(
                        "# No child profiles (--children): {}.\n",
                        why.as_str()
                    ));
                }
                text.push_str(&self.opening(&self.name));
                text.push_str(&self.body(&Around::default()));
            }
        }
        text.push_str("}\n");
        text
    }

    /// The profile that the workload begins under, with the others within, but for its end.
    fn divided(&self, text: &mut String, parts: &Parts) {
        let own = ["", "//*"].map(|all| {
            let mut label = String::new();
            quote::push(&mut label, self.name.as_bytes());
            format!("\"{label}{all}\"")
        });
        // A program that another child starts is not below that one.
        let around = |transition: &str, of: &str| Around {
            own: own.to_vec(),
            programs: parts
                .children
                .iter()
                .map(|child| {
                    let profile = quoted(format!("{of}{}", child.name).as_bytes());
                    (child.program.clone(), format!("{transition} -> {profile}"))
                })
                .collect(),
        };
        text.push_str(&self.opening(&self.name));
        text.push_str(&parts.main.body(&around("cx", "")));
        let around = around("px", &format!("{}//", self.name));
        for child in &parts.children {
            let profile = format!(
                "{}{}}}\n",
                self.opening(&child.name),
                child.profile.body(&around)
            );
            text.push('\n');
            for line in profile.lines() {
                if !line.is_empty() {
                    text.push_str("  ");
                    text.push_str(line);
                }
                text.push('\n');
            }
        }
    }

    fn opening(&self, name: &str) -> String {
        let complain = if self.complain { ",complain" } else { "" };
        format!(
            "profile {} flags=({FLAGS}{complain}) {{\n",
            quoted(name.as_bytes())
        )
    }

    /// What is between the braces.
    fn body(&self, around: &Around) -> String {
        let observed = [
            self.unseen_rules(),
            self.capability_rules(),
            self.network_rules(),
            self.ipc_rules(around),
            self.mount_rules(),
            self.file_rules(around),
        ];
        let essential = [self.essential_ipc(around)];
        let mut text = String::new();
        block(&mut text, "Observed.", &observed);
        block(
            &mut text,
            "Needed by workloads, but rarely exercised by tests.",
            &essential,
        );
        text
    }

    /// Whole classes that nothing observed: denying what nobody looked for would break the workload.
    fn unseen_rules(&self) -> Vec<String> {
        let open = [
            (ObservationKind::Capabilities, "capability"),
            (ObservationKind::Sockets, "network"),
            (ObservationKind::Signals, "signal"),
            (ObservationKind::Traces, "ptrace"),
        ];
        let unseen = open.iter().filter(|(kind, _)| self.unseen.contains(kind));
        unseen
            .map(|(kind, rule)| format!("# Not observed, so not restricted: {kind}.\n  {rule},"))
            .collect()
    }

    /// The text of the rules for files that hold for a path, or that stand for it word by word, each with
    /// the rule behind it.
    pub fn rules_for(&self, path: &FilePath) -> Vec<(Vec<String>, &Pattern, &FileRule)> {
        let is_it = |pattern: &Pattern| {
            pattern.matches(path) || pattern.token().as_deref() == Some(&path.to_string())
        };
        let rules = self.files.iter().filter(|(pattern, _)| is_it(pattern));
        rules
            .map(|(pattern, rule)| (file_rule(pattern, rule, &Around::default()), pattern, rule))
            .collect()
    }

    /// The text of the rules for hard links that give a path another name, or are one to it.
    pub fn links_for(&self, path: &FilePath) -> Vec<(String, &LinkRule)> {
        let links = self.links.iter();
        links
            .filter(|((new, old), _)| new.matches(path) || old.matches(path))
            .filter_map(|((new, old), rule)| Some((link_rule(new, old, rule)?, rule)))
            .collect()
    }

    /// The text of the rules for a signal, with their layer.
    pub fn rules_for_signal(&self, number: u8) -> Vec<(Layer, String)> {
        let Some(name) = ipc::signal(number) else {
            return Vec::new();
        };
        let has = |rule: &String| {
            let set = rule.split_once("set=(").map_or("", |(_, rest)| rest);
            let set = set.split(')').next().unwrap_or_default();
            rule.starts_with("signal") && set.split(", ").any(|it| it == name)
        };
        let around = Around::default();
        let observed = self.ipc_rules(&around).into_iter().filter(has);
        let observed = observed.map(|rule| (Layer::Observed, rule));
        let essential = self.essential_ipc(&around).into_iter();
        observed
            .chain(essential.map(|rule| (Layer::Essential, rule)))
            .collect()
    }

    fn capability_rules(&self) -> Vec<String> {
        if self.unseen.contains(&ObservationKind::Capabilities) {
            return Vec::new();
        }
        let names = self.capabilities.keys().filter_map(|one| one.name());
        names
            .map(|name| format!("capability {},", name.to_ascii_lowercase()))
            .collect()
    }

    fn network_rules(&self) -> Vec<String> {
        if self.unseen.contains(&ObservationKind::Sockets) {
            return Vec::new();
        }
        let known = self
            .networks
            .keys()
            .filter_map(|(family, kind)| Some((network::family(*family)?, network::kind(*kind)?)));
        known
            .map(|(family, kind)| format!("network {family} {kind},"))
            .collect()
    }

    fn ipc_rules(&self, around: &Around) -> Vec<String> {
        let mut rules = Vec::new();
        for ((direction, peer), rule) in &self.signals {
            // The essential layer allows all of these.
            let covered =
                self.essential && (*peer == Peer::Own || *direction == SignalDirection::Receive);
            if covered || self.unseen.contains(&ObservationKind::Signals) {
                continue;
            }
            let names: Vec<_> = rule
                .signals
                .iter()
                .filter_map(|it| ipc::signal(*it))
                .collect();
            // `set=()` is no rule.
            if names.is_empty() {
                continue;
            }
            for label in around.labels(*peer) {
                rules.push(format!(
                    "signal ({}) set=({}) peer={label},",
                    ipc::sends(*direction, *peer),
                    names.join(", ")
                ));
            }
        }
        for (direction, peer) in self.traces.keys() {
            if self.unseen.contains(&ObservationKind::Traces) {
                continue;
            }
            for label in around.labels(*peer) {
                rules.push(format!(
                    "ptrace ({}) peer={label},",
                    ipc::traces(*direction, *peer)
                ));
            }
        }
        // Own signals that were sent and received are one rule.
        rules.dedup();
        rules
    }

    fn essential_ipc(&self, around: &Around) -> Vec<String> {
        if !self.essential || self.unseen.contains(&ObservationKind::Signals) {
            return Vec::new();
        }
        let stop = around.labels(Peer::Outside);
        let stop = stop.map(|label| format!("signal (receive) peer={label},"));
        let own = around.labels(Peer::Own);
        let own = own.map(|label| format!("signal (send, receive) peer={label},"));
        stop.chain(own).collect()
    }

    fn mount_rules(&self) -> Vec<String> {
        self.mounts.keys().map(|text| format!("{text},")).collect()
    }

    fn file_rules(&self, around: &Around) -> Vec<String> {
        let mut rules = Vec::new();
        for (pattern, rule) in &self.files {
            rules.extend(file_rule(pattern, rule, around));
        }
        for ((new, old), rule) in &self.links {
            rules.extend(link_rule(new, old, rule));
        }
        rules
    }
}

/// The profiles that a profile is among.
#[derive(Default)]
struct Around {
    /// The labels of the workload's profiles; none: it has one.
    own: Vec<String>,
    /// Programs that are executed under another, and what the rule says of it.
    programs: BTreeMap<FilePath, String>,
}

impl Around {
    fn labels(&self, peer: Peer) -> impl Iterator<Item = &str> {
        let own = self.own.iter().map(String::as_str);
        let others: &[&str] = if peer == Peer::Own && !self.own.is_empty() {
            &[]
        } else {
            ipc::labels(peer)
        };
        own.filter(move |_| peer == Peer::Own)
            .chain(others.iter().copied())
    }

    /// How what a rule is for is executed, if that is not under the same profile.
    fn transition(&self, rule: &FileRule) -> Option<&str> {
        let executed = rule.permissions.has_any(Permissions::EXECUTE);
        let mut paths = rule.paths.keys().filter(|_| executed);
        paths.find_map(|path| Some(self.programs.get(path)?.as_str()))
    }
}

/// The lines of a rule for files: for anyone, and for their owner.
fn file_rule(pattern: &Pattern, rule: &FileRule, around: &Around) -> Vec<String> {
    let Some(token) = pattern.token() else {
        return Vec::new();
    };
    let transition = around.transition(rule);
    let permissions = match transition {
        Some(_) => rule.permissions.without(Permissions::EXECUTE),
        None => rule.permissions,
    };
    let lines = [("", permissions), ("owner ", rule.owner)]
        .into_iter()
        .map(|(owner, permissions)| (owner, permissions.to_string()))
        .filter(|(_, permissions)| !permissions.is_empty())
        .map(|(owner, permissions)| format!("{owner}{token} {permissions},"));
    let transition = transition.map(|transition| format!("{token} {transition},"));
    lines.chain(transition).collect()
}

fn link_rule(new: &Pattern, old: &Pattern, rule: &LinkRule) -> Option<String> {
    let subset = if rule.subset { " subset" } else { "" };
    Some(format!(
        "link{subset} {} -> {},",
        new.token()?,
        old.token()?
    ))
}

fn block(text: &mut String, title: &str, groups: &[Vec<String>]) {
    let groups: Vec<_> = groups.iter().filter(|group| !group.is_empty()).collect();
    if groups.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "  # {title}");
    for (at, group) in groups.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        for rule in *group {
            let _ = writeln!(text, "  {rule}");
        }
    }
}

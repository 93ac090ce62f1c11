//! The profile as text for apparmor_parser.

use std::fmt::Write as _;

use super::{
    ipc,
    model::{AppArmorProfile, kind},
    network,
    quote::quoted,
};
use crate::recording::{Peer, SignalDirection};

/// Paths that lead to no root, as files in a mount of another namespace have them, are asked about
/// from the root on, and files that were removed under their last name. Without these flags both are
/// denied, and in containers both are common.
const FLAGS: &str = "attach_disconnected,mediate_deleted";

impl AppArmorProfile {
    /// The profile as text. The same profile gives the same bytes.
    pub fn to_text(&self) -> String {
        let complain = if self.complain { ",complain" } else { "" };
        let observed = [
            self.unseen_rules(),
            self.capability_rules(),
            self.network_rules(),
            self.ipc_rules(),
            self.mount_rules(),
            self.file_rules(),
        ];
        let essential = [self.essential_ipc()];
        let mut text = format!(
            "# Made by tracer for {}. REVIEW.md has the reason and the evidence of each rule.\n\nabi <abi/3.0>,\n\ninclude <tunables/global>\n\nprofile {} flags=({FLAGS}{complain}) {{\n",
            quoted(self.workload.as_bytes()),
            quoted(self.name.as_bytes())
        );
        block(&mut text, "Observed.", &observed);
        block(
            &mut text,
            "Needed, and hardly ever seen in a test run.",
            &essential,
        );
        text.push_str("}\n");
        text
    }

    /// Whole classes that nothing observed: denying what nobody looked for would break the workload.
    fn unseen_rules(&self) -> Vec<String> {
        let open = [
            (kind::CAPABILITIES, "capability"),
            (kind::SOCKETS, "network"),
            (kind::SIGNALS, "signal"),
            (kind::TRACES, "ptrace"),
        ];
        let unseen = open.iter().filter(|(kind, _)| self.unseen.contains(kind));
        unseen
            .map(|(kind, rule)| format!("# Not observed, so not restricted: {kind}.\n  {rule},"))
            .collect()
    }

    fn capability_rules(&self) -> Vec<String> {
        if self.unseen.contains(kind::CAPABILITIES) {
            return Vec::new();
        }
        let names = self.capabilities.keys().filter_map(|one| one.name());
        names
            .map(|name| format!("capability {},", name.to_ascii_lowercase()))
            .collect()
    }

    fn network_rules(&self) -> Vec<String> {
        if self.unseen.contains(kind::SOCKETS) {
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

    fn ipc_rules(&self) -> Vec<String> {
        let mut rules = Vec::new();
        for ((direction, peer), rule) in &self.signals {
            // The essential layer allows all of these.
            let covered =
                self.essential && (*peer == Peer::Own || *direction == SignalDirection::Receive);
            if covered || self.unseen.contains(kind::SIGNALS) {
                continue;
            }
            let names: Vec<_> = rule
                .signals
                .iter()
                .filter_map(|it| ipc::signal(*it))
                .collect();
            for label in ipc::labels(*peer) {
                rules.push(format!(
                    "signal ({}) set=({}) peer={label},",
                    ipc::sends(*direction, *peer),
                    names.join(", ")
                ));
            }
        }
        for (direction, peer) in self.traces.keys() {
            if self.unseen.contains(kind::TRACES) {
                continue;
            }
            for label in ipc::labels(*peer) {
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

    fn essential_ipc(&self) -> Vec<String> {
        if !self.essential || self.unseen.contains(kind::SIGNALS) {
            return Vec::new();
        }
        let stop = ipc::labels(Peer::Outside)
            .iter()
            .map(|label| format!("signal (receive) peer={label},"));
        let own = ipc::labels(Peer::Own)
            .iter()
            .map(|label| format!("signal (send, receive) peer={label},"));
        stop.chain(own).collect()
    }

    fn mount_rules(&self) -> Vec<String> {
        self.mounts.keys().map(|text| format!("{text},")).collect()
    }

    fn file_rules(&self) -> Vec<String> {
        let mut rules = Vec::new();
        for (pattern, rule) in &self.files {
            let Some(token) = pattern.token() else {
                continue;
            };
            for (owner, permissions) in [("", rule.permissions), ("owner ", rule.owner)] {
                let permissions = permissions.to_string();
                if !permissions.is_empty() {
                    rules.push(format!("{owner}{token} {permissions},"));
                }
            }
        }
        for ((new, old), rule) in &self.links {
            if let (Some(new), Some(old)) = (new.token(), old.token()) {
                let subset = if rule.subset { " subset" } else { "" };
                rules.push(format!("link{subset} {new} -> {old},"));
            }
        }
        rules
    }
}

fn block(text: &mut String, title: &str, groups: &[Vec<String>]) {
    let groups: Vec<_> = groups.iter().filter(|group| !group.is_empty()).collect();
    if groups.is_empty() {
        return;
    }
    if !text.ends_with("{\n") {
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

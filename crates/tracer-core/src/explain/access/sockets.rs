//! Sockets of a family.

use super::{AccessExplanation, ExplainContext, RuleReason, known_risks};
use crate::{
    profile::{Layer, apparmor::AppArmorProfile},
    recording::plain_text::executables,
    recording::{ObservationKind, SocketOperation, SocketUse},
};

pub(super) fn explain(
    of: &ExplainContext<'_>,
    family: u16,
    wanted: Option<u16>,
) -> AccessExplanation {
    let is_it = |its: u16, kind: u16| its == family && wanted.is_none_or(|wanted| wanted == kind);
    let name = match wanted {
        Some(kind) => AppArmorProfile::socket_name(family, kind),
        // Of no type: the family's name alone.
        None => {
            let both = AppArmorProfile::socket_name(family, 0);
            both.split(' ').next().unwrap_or_default().to_owned()
        }
    };
    let mut it = of.blank(format!("network {name}"), ObservationKind::Sockets);
    let all = of.recording.sockets.iter();
    let seen: Vec<_> = all
        .filter(|seen| is_it(seen.what.family, seen.what.kind))
        .collect();
    it.seen = seen
        .iter()
        .map(|seen| of.done(words(&seen.what), seen))
        .collect();
    let rules = of.profile.networks();
    for ((its, kind), rule) in rules.filter(|((its, kind), _)| is_it(*its, *kind)) {
        it.rules.push(RuleReason {
            rule: format!("network {},", AppArmorProfile::socket_name(its, kind)),
            layer: Layer::Observed.as_str(),
            reasons: vec![format!("used by {}", executables(&rule.executables))],
        });
    }
    it.known = known_risks::socket_risks(family, wanted)
        .map(str::to_owned)
        .collect();
    it.allowed = !it.rules.is_empty();
    if it.allowed {
        let who = of.who(seen.iter().flat_map(|seen| &seen.evidence));
        it.without = vec![
            format!(
                "socket, connect, bind and the like would return EACCES to {}",
                executables(&who)
            ),
            "AppArmor 3.0 cannot restrict addresses or ports: the rule covers all of them"
                .to_owned(),
        ];
    } else {
        it.why_not = Some(of.why_not(seen.iter().flat_map(|seen| &seen.evidence)));
        it.without = vec!["making one returns EACCES".to_owned()];
    }
    it
}

fn words(socket: &SocketUse) -> String {
    let what = match socket.operation {
        SocketOperation::Create => "created",
        SocketOperation::Bind => "bound",
        SocketOperation::Connect => "connected",
        SocketOperation::Listen => "listened",
        SocketOperation::Accept => "accepted",
    };
    let mut text = format!(
        "{what}, {}",
        AppArmorProfile::socket_name(socket.family, socket.kind)
    );
    if let Some(address) = &socket.address {
        text.push_str(&format!(", {address}"));
    }
    if socket.more {
        text.push_str(" and more addresses than are listed");
    }
    text
}

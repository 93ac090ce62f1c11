//! A signal.

use super::{AccessExplanation, ExplainContext, RuleReason};
use crate::{
    profile::{Layer, apparmor::signal_name},
    recording::plain_text::executables,
    recording::{ObservationKind, Peer, SignalDirection, SignalUse},
};

pub(super) fn explain(of: &ExplainContext<'_>, number: u8) -> AccessExplanation {
    let name = signal_name(number).unwrap_or_else(|| number.to_string());
    let mut it = of.blank(format!("signal {name}"), ObservationKind::Signals);
    let all = of.recording.signals.iter();
    let seen: Vec<_> = all.filter(|seen| seen.what.signal == number).collect();
    it.seen = seen
        .iter()
        .map(|seen| of.done(words(seen.what), seen))
        .collect();
    let rules = of.profile.rules_for_signal(number);
    it.rules = rules
        .into_iter()
        .map(|(layer, rule)| RuleReason {
            rule,
            layer: layer.as_str(),
            reasons: vec![match layer {
                Layer::Essential => "a container is stopped by signals, and processes of one workload signal each other; tests rarely exercise all of them".to_owned(),
                _ => "it was sent while the workload was recorded".to_owned(),
            }],
        })
        .collect();
    it.known =
        vec!["a signal can stop or end a process; SIGKILL and SIGSTOP cannot be caught".to_owned()];
    it.allowed = !it.rules.is_empty();
    let who = of.who(seen.iter().flat_map(|seen| &seen.evidence));
    if it.allowed {
        it.without = vec![if who.is_empty() {
            "nothing that was recorded would be denied".to_owned()
        } else {
            format!(
                "kill and the like would return EACCES where {} did it",
                executables(&who)
            )
        }];
        it.without.push(
            "without the rule for the runtime's signals, a container could not be stopped cleanly"
                .to_owned(),
        );
    } else {
        it.why_not = Some(of.why_not(seen.iter().flat_map(|seen| &seen.evidence)));
        it.without = vec!["sending it returns EACCES".to_owned()];
    }
    it
}

fn words(signal: SignalUse) -> String {
    let direction = match signal.direction {
        SignalDirection::Send => "sent to",
        SignalDirection::Receive => "received from",
    };
    let peer = match signal.peer {
        Peer::Own => "a process of its own instance",
        Peer::Outside => "a process outside",
    };
    format!("{direction} {peer}")
}

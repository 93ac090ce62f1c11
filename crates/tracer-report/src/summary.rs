//! The numbers of a profile, in sentences that REVIEW.md and the page share.

use super::{markdown::count, rules::list};
use syscalls::{Abi, defaults};
use tracer_core::profile::{Layer, seccomp::SeccompProfile};

/// How many system calls the workload made, as the profile counts them.
pub(crate) fn observed(profile: &SeccompProfile) -> usize {
    profile.names_in(Layer::Observed).count() + usize::from(profile.replaced_clone3().is_some())
}

/// `The profile allows 103 system calls: 62 observed (…)`, and for which ABIs.
pub(crate) fn allowed(profile: &SeccompProfile) -> String {
    let in_layer = |layer| profile.names_in(layer).count();
    let abis = list(profile.architectures().map(|abi| abi.to_string()));
    let several = if profile.architectures().nth(1).is_some() {
        " A rule applies to all of them, since this format has no rules for a single ABI."
    } else {
        ""
    };
    let made = count(observed(profile), "system call", "system calls");
    let made = match profile.translation() {
        None => format!("The workload made {made}."),
        Some(to) => format!("What the workload did needs {made} on {}.", to.to()),
    };
    let others: Vec<_> = Layer::ALL
        .into_iter()
        .filter(|layer| *layer != Layer::Observed)
        .map(|layer| (in_layer(layer), layer))
        .filter(|(count, _)| *count > 0)
        .map(|(count, layer)| format!("{count} {}", why(layer)))
        .collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!(" The profile also allows {}.", list(others))
    };
    format!("{made}{others} It is for {abis}.{several}")
}

/// Why calls of a layer are allowed although the workload did not make them.
const fn why(layer: Layer) -> &'static str {
    match layer {
        Layer::Observed => "that it made",
        Layer::RuntimeInit => "that a container runtime needs to start it (layer `runtime-init`)",
        Layer::Essential => "that tests rarely exercise but workloads need (layer `essential`)",
        Layer::Fallback => "that another libc or kernel uses for the same work (layer `fallback`)",
        Layer::Headroom => "that are harmless and were not observed (layer `headroom`)",
    }
}

/// The comparison with Docker's and containerd's default profile; `None` for machines that it is not for.
pub(crate) fn against_default(profile: &SeccompProfile) -> Option<String> {
    profile.architectures().find(|abi| *abi == Abi::X86_64)?;
    let granted: Vec<_> = defaults::allowed_by_default().collect();
    let denied = granted.iter().filter(|name| profile.rule(name).is_none());
    let native = profile
        .rules()
        .map(|(name, _)| name)
        .filter(|name| Abi::X86_64.syscall_number(name).is_some());
    let added: Vec<_> = native.filter(|name| !granted.contains(name)).collect();
    let more = if added.is_empty() {
        "it allows none that the default denies".to_owned()
    } else {
        let names = added.iter().map(|name| format!("`{name}`"));
        format!(
            "it allows {} that the default denies: {}",
            added.len(),
            list(names)
        )
    };
    Some(format!(
        "Compared with Docker's default profile, it denies {} of {} allowed system calls; {more}.",
        denied.count(),
        granted.len()
    ))
}

//! CIL: the language of policy modules (SELinuxProject, `secilc/docs`), in udica's form: one block whose type
//! is called `process`.

use std::fmt::Write as _;

use super::{Base, Rule, SelinuxProfile};
use crate::recording::{
    SelinuxTarget,
    plain_text::{executables, plain},
};

impl SelinuxProfile {
    /// The profile as a CIL block.
    pub fn to_cil(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "; Made by tracer for {}. REVIEW.md has the evidence of each rule.",
            plain(&self.workload)
        );
        for lost in &self.lost {
            let _ = writeln!(
                text,
                "; Not in a rule: {}: {}.",
                lost.what,
                lost.reason.as_str()
            );
        }
        let _ = writeln!(text, "(block {}", self.name);
        text += &self.statements();
        text += ")\n";
        text
    }

    /// What is in the block, one statement a line. A RawSelinuxProfile has this alone: the operator adds the
    /// block.
    pub fn statements(&self) -> String {
        let mut text = base_statements(&self.base);
        if self.complain {
            text += "  (typepermissive process)\n";
        }
        for ((target, class), rule) in &self.rules {
            let target = match target {
                SelinuxTarget::Domain => "process",
                SelinuxTarget::Type(name) => name,
            };
            let _ = writeln!(
                text,
                "  (allow process {target} ({class} ({}))) ; {}{}",
                list(rule),
                origin(rule),
                executables(&rule.executables)
            );
        }
        for ((source, class), rule) in &self.callers {
            let _ = writeln!(
                text,
                "  (allow {source} process ({class} ({}))) ; the container runtime, or init, needs this",
                list(rule)
            );
        }
        text
    }
}

/// What a block has before any rule.
pub(super) fn base_statements(base: &Base) -> String {
    match base {
        Base::Block(name) => format!("  (blockinherit {name})\n"),
        Base::Standalone => concat!(
            "  (type process)\n",
            "  (roletype system_r process)\n",
            "  (typeattributeset domain (process))\n"
        )
        .to_owned(),
    }
}

fn list(rule: &Rule) -> String {
    let names: Vec<_> = rule.permissions.iter().map(String::as_str).collect();
    names.join(" ")
}

fn origin(rule: &Rule) -> &'static str {
    if rule.inherited {
        "inherited from the program that started it; "
    } else {
        ""
    }
}

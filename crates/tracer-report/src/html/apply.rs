//! The files to apply, as they are, and how.

use maud::{Markup, html};

use super::{Report, page::Part, text::literal};
use crate::apply::commands;

pub(super) fn part(report: &Report<'_>) -> Part {
    Part {
        id: "apply",
        title: "Apply it",
        number: None,
        body: html! {
            p { "With Docker or Podman:" }
            (copied(&commands(report.apparmor, report.capabilities)))
            p { "In Kubernetes, below a container's " code { "securityContext" } ", with the files on each node:" }
            (copied(&security_context(report)))
            h3 { "The files" }
            @for (name, text) in report.files { (file(name, text)) }
        },
    }
}

/// Text with a button that copies it.
fn copied(text: &str) -> Markup {
    html! { div.copied {
        button.copy type="button" hidden { "Copy" }
        pre tabindex="0" { code { (text) } }
    } }
}

fn security_context(report: &Report<'_>) -> String {
    let mut text = format!(
        "seccompProfile:\n  type: Localhost\n  localhostProfile: {}  # below /var/lib/kubelet/seccomp\n",
        crate::escape::visible(report.localhost)
    );
    if let Some(profile) = report.apparmor {
        text.push_str("appArmorProfile:\n  type: Localhost\n  localhostProfile: ");
        text.push_str(&crate::escape::visible(profile.name()));
        text.push('\n');
    }
    if let Some(needed) = report.capabilities {
        let lines = needed.to_kubernetes();
        for line in lines.lines().skip(1) {
            text.push_str(line.strip_prefix("  ").unwrap_or(line));
            text.push('\n');
        }
    }
    text
}

fn file(name: &str, text: &str) -> Markup {
    html! {
        details.file {
            summary { (literal(name)) " " small { (super::text::count(text.lines().count(), "line", "lines")) } }
            button.copy type="button" hidden { "Copy" }
            pre tabindex="0" { code { @for line in text.lines() { (crate::escape::printable(line)) "\n" } } }
        }
    }
}

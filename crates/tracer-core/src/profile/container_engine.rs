//! Docker and Podman: flags of `run`, and keys of a compose file.

use super::{
    Omission, PlacementOmission, Rendering,
    capabilities::Capabilities,
    hardening::Hardening,
    yaml::{Map, Value},
};
use crate::recording::plain_text::plain;

/// What a container of an engine's is to be started with.
#[derive(Clone, Debug)]
pub struct ContainerOptions<'a> {
    /// The workload.
    pub workload: &'a str,
    /// The file of the seccomp profile.
    pub seccomp: &'a str,
    /// The AppArmor profile, if there is one; it has to be loaded.
    pub apparmor: Option<&'a str>,
    /// The capabilities that it needs, if they were observed.
    pub capabilities: Option<&'a Capabilities>,
    /// What else it may have.
    pub hardening: &'a Hardening,
}

impl ContainerOptions<'_> {
    /// Flags of `docker run` and `podman run`, one a line, and what is not among them as lines that begin
    /// with `#`.
    pub fn flags(&self) -> Rendering {
        let mut text = format!(
            "# Made by tracer for {}.\n# docker run $(grep -v '^#' engine.args) IMAGE\n",
            plain(self.workload)
        );
        text += &format!("--security-opt=seccomp={}\n", self.seccomp);
        if let Some(name) = self.apparmor {
            text += "# Loaded first, by: apparmor_parser -r apparmor.profile\n";
            text += &format!("--security-opt=apparmor={name}\n");
        } else {
            text += "# No AppArmor profile: files were not observed.\n";
        }
        match self.capabilities {
            Some(needed) => {
                for flag in needed.to_engine_flags().split_whitespace() {
                    text += &format!("{flag}\n");
                }
            }
            None => text += "# No --cap-drop: capabilities were not observed.\n",
        }
        for (flag, setting) in [
            (
                "--security-opt=no-new-privileges",
                &self.hardening.no_new_privileges,
            ),
            ("--read-only", &self.hardening.read_only_root),
        ] {
            let reason = plain(&setting.reason);
            if setting.holds {
                text += &format!("# Because {reason}.\n{flag}\n");
            } else {
                text += &format!("# No {flag}: {reason}.\n");
            }
        }
        Rendering {
            text,
            omissions: Vec::new(),
        }
    }

    /// A compose file to give after the project's own. Podman's compose reads it too.
    pub fn compose(&self, service: &str) -> Rendering {
        let mut options = vec![format!("seccomp={}", self.seccomp)];
        options.extend(self.apparmor.map(|name| format!("apparmor={name}")));
        let mut keys = Map::new();
        match self.capabilities {
            Some(needed) => {
                let add = needed.names().map(str::to_owned).collect();
                keys = keys
                    .with_texts("cap_drop", vec!["ALL".to_owned()])
                    .with_texts("cap_add", add);
            }
            None => keys = keys.comment("No cap_drop: capabilities were not observed."),
        }
        let hardening = self.hardening;
        if hardening.no_new_privileges.holds {
            options.push("no-new-privileges:true".to_owned());
            keys = keys.comment(&format!(
                "no-new-privileges because {}.",
                hardening.no_new_privileges.reason
            ));
        } else {
            keys = keys.comment(&format!(
                "No no-new-privileges: {}.",
                hardening.no_new_privileges.reason
            ));
        }
        if self.apparmor.is_some() {
            keys = keys.comment(
                "The AppArmor profile is loaded first, by: apparmor_parser -r apparmor.profile",
            );
        }
        keys = keys.with("security_opt", Value::Texts(options));
        let reason = &hardening.read_only_root.reason;
        keys = if hardening.read_only_root.holds {
            keys.comment(&format!("Because {reason}."))
                .with("read_only", true)
        } else {
            keys.comment(&format!("No read_only: {reason}."))
        };
        let omissions = vec![Omission::from(PlacementOmission::ServiceName)];
        let mut head = Map::new().comment(&format!("Made by tracer for {}.", self.workload));
        head = head.comment("This format cannot express:");
        for omission in &omissions {
            head = head.comment(&format!("- {omission}"));
        }
        let text = head
            .comment("docker compose -f compose.yaml -f THIS up; paths are relative to the directory of the first file.")
            .with("services", Map::new().with(service, keys))
            .to_text();
        Rendering { text, omissions }
    }
}

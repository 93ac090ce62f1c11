//! `systemd.conf`.

use super::{Error, Models, Need, Output, OutputFormat};
use crate::profile::{
    seccomp::{Options, SeccompProfile},
    systemd::{self, Service},
};
use syscalls::runtime_init::RuntimeSelection;

const FILE: &str = "systemd.conf";

/// A drop-in for a service.
pub(super) struct Systemd;

impl OutputFormat for Systemd {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn help(&self) -> &'static str {
        "a drop-in for a systemd service"
    }

    fn files(&self) -> &'static [&'static str] {
        &[FILE]
    }

    fn needs(&self) -> &'static [Need] {
        &[Need::SameMachine]
    }

    fn cannot_express(&self) -> &'static str {
        "arguments of system calls, an error for each system call, socket families without a name, that the recording is incomplete"
    }

    fn render(&self, models: &Models<'_>) -> Result<Output, Error> {
        // No container runtime starts a service, so it has a seccomp profile of its own.
        let options = Options {
            runtime_init: RuntimeSelection::None,
            ..models.settings.seccomp.clone()
        };
        let recordings = std::slice::from_ref(models.recording);
        let seccomp = SeccompProfile::from_recordings(recordings, &options)?;
        let families = systemd::families(models.recording, models.settings.apparmor.exec);
        let hardening = models.hardening();
        let service = Service {
            workload: models.workload(),
            seccomp: &seccomp,
            families: families.as_ref(),
            capabilities: models.capabilities,
            hardening: &hardening,
        };
        Ok(Output::rendering(FILE, service.drop_in()))
    }
}

//! `CapabilityBoundingSet=` of a systemd unit.

use super::Capabilities;

impl Capabilities {
    /// A drop-in for a service. An empty set drops all (systemd.exec(5)).
    pub fn to_systemd(&self) -> String {
        let names: Vec<_> = self.names().map(|name| format!("CAP_{name}")).collect();
        format!("[Service]\nCapabilityBoundingSet={}\n", names.join(" "))
    }
}

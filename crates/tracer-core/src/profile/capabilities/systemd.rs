//! `CapabilityBoundingSet=` of a systemd unit.

use super::Capabilities;

impl Capabilities {
    /// A drop-in for a service.
    pub fn to_systemd(&self) -> String {
        format!("[Service]\n{}", self.bounding_set())
    }

    /// The setting. The empty assignment drops all that the unit has (systemd.exec(5)): without it the two
    /// lists add up.
    pub(crate) fn bounding_set(&self) -> String {
        let names: Vec<_> = self.names().map(|name| format!("CAP_{name}")).collect();
        let mut text = "CapabilityBoundingSet=\n".to_owned();
        if !names.is_empty() {
            text.push_str(&format!("CapabilityBoundingSet={}\n", names.join(" ")));
        }
        text
    }
}

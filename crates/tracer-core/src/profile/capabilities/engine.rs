//! Flags of `docker run` and `podman run`.

use super::Capabilities;

impl Capabilities {
    /// `--cap-drop` and `--cap-add`, on one line.
    pub fn to_engine_flags(&self) -> String {
        let add: String = self
            .names()
            .map(|name| format!(" --cap-add={name}"))
            .collect();
        format!("--cap-drop=ALL{add}\n")
    }
}

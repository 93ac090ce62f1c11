//! Recordings as many nodes would make them of one workload, out of one that tracer made.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The recording of nginx that is kept with the sources.
pub fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/nginx/recording.json")
}

/// One replica.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replica<'a> {
    /// Which one; no two of one number are told apart.
    pub number: u32,
    /// The kernel it ran on, when not the example's.
    pub kernel: Option<&'a str>,
    /// Digest of its image; without one it is no container.
    pub digest: Option<&'a str>,
    /// Numbers of calls that it made besides the others'.
    pub also: &'a [u32],
    /// An executable that made its first call, when not the example's.
    pub executable: Option<&'a str>,
}

impl Replica<'_> {
    /// Its recording.
    ///
    /// # Errors
    /// When the example is not what it is expected to be.
    pub fn recording(&self) -> Result<Value> {
        let text = fs::read_to_string(example())?;
        let mut recording: Value = serde_json::from_str(&text)?;
        first_instance(&mut recording);
        if let Some(kernel) = self.kernel {
            recording["host"]["kernel"] = kernel.into();
        }
        let instance = &mut recording["instances"][0];
        instance["cgroup"] = format!("/kubepods/pod{}", self.number).into();
        if let Some(digest) = self.digest {
            instance["source"] = "container".into();
            instance["container"] = json!({
                "engine": "containerd",
                "runtime": "runc",
                "id": format!("{:064x}", self.number),
                "name": "nginx",
                "pod": format!("shop/nginx-{}", self.number),
                "owner": "Deployment/nginx",
                "role": "main",
                "labels": {"app": "nginx"},
                "image": "nginx:1",
                "image_digest": digest,
                "security": null,
                "warnings": [],
                "unresolved": [],
            });
        }
        let calls = recording["syscalls"].as_array_mut();
        let calls = calls.context("no system calls")?;
        if let Some(executable) = self.executable {
            calls[0]["evidence"][0]["executable"] = json!({"path": executable});
        }
        for nr in self.also {
            let mut call = calls[0].clone();
            call["nr"] = (*nr).into();
            calls.push(call);
        }
        Ok(recording)
    }

    /// Writes its recording into a directory, and tells where.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        let path = directory.join(format!("{}.json", self.number));
        fs::write(&path, serde_json::to_vec(&self.recording()?)?)?;
        Ok(path)
    }
}

/// Leaves of a merged recording what its first instance did.
fn first_instance(recording: &mut Value) {
    if let Some(instances) = recording["instances"].as_array_mut() {
        instances.truncate(1);
    }
    if let Some(calls) = recording["syscalls"].as_array_mut() {
        for call in &mut *calls {
            if let Some(evidence) = call["evidence"].as_array_mut() {
                evidence.retain(|it| it["instance"] == 0);
            }
        }
        calls.retain(|call| call["evidence"] != json!([]));
    }
    for kind in [
        "files",
        "capabilities",
        "sockets",
        "signals",
        "traces",
        "mounts",
    ] {
        let Some(seen) = recording.get_mut(kind).and_then(Value::as_array_mut) else {
            continue;
        };
        for thing in &mut *seen {
            if let Some(evidence) = thing["evidence"].as_array_mut() {
                evidence.retain(|it| {
                    it["instances"]
                        .as_array()
                        .is_some_and(|it| it.contains(&json!(0)))
                });
                for witness in evidence {
                    witness["instances"] = json!([0]);
                }
            }
        }
        seen.retain(|thing| thing["evidence"] != json!([]));
    }
}

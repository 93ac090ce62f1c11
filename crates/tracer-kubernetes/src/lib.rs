//! What tracer asks of a Kubernetes API server. The only crate that names kube.
//!
//! [`names`] tells who the containers of a node are: namespace, pod, owner, container, image and its digest. It asks
//! for the pods of one node and for the metadata of their owners, and for nothing else, so that ten thousand agents
//! cost an API server little. [`install`] has the manifests, and applies them.

mod client;
pub mod install;
pub mod names;

pub use client::{ClientError, connect};

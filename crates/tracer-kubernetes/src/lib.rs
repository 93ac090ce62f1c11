//! tracer's requests to a Kubernetes API server. The only crate that names kube.
//!
//! [`names`] reports the containers of a node: namespace, pod, owner, container, image and its digest. It requests only
//! the pods of one node and the metadata of their owners, so ten thousand agents cost an API server little.
//! [`install`] holds the manifests and applies them.

mod client;
pub mod install;
pub mod names;

pub use client::{ClientError, connect};

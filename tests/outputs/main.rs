//! What is rendered for Kubernetes, engines and systemd, judged by others: the schemas of the objects, the
//! rules of the targets, kubectl, systemd, skopeo, and the reader of `tracer audit`.

mod fixture;
mod hostile;
mod objects;
mod oci_artifact;
mod operator_apparmor;
mod patch;
mod round_trip;
mod rules;
mod schemas;
mod selinux;
mod systemd_service;

/// What the renderers make of a recording.
mod renderers;

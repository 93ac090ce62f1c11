//! What the end-to-end tests share: one concern a file.
//!
//! A test drives the built `tracer` like a user does and judges it by other programs' word:
//! `strace`, the container runtimes, or what the recorded program says of itself. So nothing here
//! uses the `tracer` crate, not even for reading what it wrote.

pub mod agent;
pub mod batch;
mod bundle;
pub mod cgroup;
pub mod churn;
pub mod containerd;
pub mod cri;
pub mod docker;
pub mod filter;
pub mod gvisor;
pub mod isolated_node;
pub mod kernel_log;
pub mod kubernetes;
pub mod libseccomp;
pub mod lifecycle;
pub mod missed;
pub mod oci;
pub mod pfc;
pub mod process;
pub mod programs;
pub mod pty;
pub mod recording;
pub mod release;
pub mod replicas;
pub mod requires;
pub mod rootfs;
pub mod scratch;
pub mod seccomp;
pub mod selinux;
pub mod servers;
pub mod strace;
pub mod strace_files;
pub mod tracer;
pub mod wait;
pub mod work;

/// What a test returns.
pub type Outcome = anyhow::Result<()>;

//! Records workloads: loads the kernel programs, finds cgroups and containers, and turns what the
//! kernel reports into recordings.
//!
//! | module | does | touches |
//! | --- | --- | --- |
//! | [`bpf`] | loads, attaches and reads the kernel programs | the kernel, by aya: nothing else names it |
//! | [`cgroup`] | the v2 hierarchy, and a cgroup of our own | the cgroup file system |
//! | [`container`] | finds the container, pod and workload of a cgroup | runtimes' files, the CRI socket |
//! | [`denials`] | reads the kernel's audit records, and tells whose they are | the audit socket, `/dev/kmsg` |
//! | [`gvisor`] | records guests of gVisor, which reports their calls itself | runsc, a socket of our own |
//! | [`record`] | runs a recording from start to end | processes, signals |

pub mod bpf;
pub mod cgroup;
pub mod confine;
pub mod container;
pub mod denials;
pub mod gvisor;
pub mod record;

//! tracer watches a workload with eBPF, writes down every system call it makes, and turns that into
//! the smallest profile that still lets it run.
//!
//! Data flows one way; each module uses only those before it:
//!
//! | module | does | touches |
//! | --- | --- | --- |
//! | [`syscall`] | ABIs, numbers, names, what is known of each call | nothing |
//! | [`capability`] | the names of capabilities, and what each opens | nothing |
//! | [`recording`] | observations, evidence, coverage; the file format | files in [`recording::store`] |
//! | [`profile`] | the model of a profile, and a renderer a format | nothing |
//! | [`read`] | profiles that somebody wrote, in all their forms | nothing |
//! | [`audit`] | what a profile that somebody wrote misses, grants for nothing, and breaks | nothing |
//! | [`verify`], [`diff`], [`explain`] | what a profile would deny, what changed, why a call is there | nothing |
//! | [`manifest`] | puts what names a profile into a manifest of Kubernetes | nothing |
//! | [`report`] | what people read | nothing |
//! | [`cgroup`] | the v2 hierarchy, and a cgroup of our own | the cgroup file system |
//! | [`container`] | which container, pod and workload a cgroup is | what runtimes keep, the CRI socket |
//! | [`probe`] | the kernel side: load, attach, read | the kernel, by aya |
//! | [`record`] | makes recordings: brings the ones above together | processes, signals |
//! | [`cli`] | the command line | the terminal |

pub mod audit;
pub mod capability;
pub mod cgroup;
pub mod cli;
pub mod container;
pub mod diff;
pub mod explain;
pub mod manifest;
pub mod probe;
pub mod profile;
pub mod read;
pub mod record;
pub mod recording;
pub mod report;
pub mod syscall;
pub mod verify;

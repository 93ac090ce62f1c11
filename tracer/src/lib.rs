//! The `tracer` program: arguments, exit statuses, files on disk.
//!
//! What it does is in other crates: `syscalls` has the facts of the kernel, `tracer-core` recordings
//! and profiles, `tracer-report` the words, `tracer-recorder` the kernel side and containers.

pub mod cli;
pub mod store;

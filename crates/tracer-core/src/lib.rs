//! Recordings, profiles, and what can be said of both.
//!
//! Everything that a user has to trust, from an observation to the text of a profile, is decided
//! here. Nothing here reads a file, asks the kernel or prints: the same input gives the same bytes.
//!
//! | module | does |
//! | --- | --- |
//! | [`recording`] | observations, evidence, coverage; the text of `recording.json` |
//! | [`profile`] | the models of profiles, and their renderers |
//! | [`formats`] | the output formats: what they write, need and cannot express |
//! | [`parse`] | profiles that people have, in all their forms |
//! | [`audit`] | what such a profile misses, grants without need, and breaks |
//! | [`verify`], [`diff`], [`explain`] | what a profile would deny, what changed, why a call is there |
//! | [`learn`] | what the audit log of a workload under its profile adds to its recording |
//! | [`agent`] | the configuration of an agent, what it selects, where it keeps what, when to enforce |
//! | [`fleet`] | what nodes ship, under which name, and how it is put together again |
//! | [`shadow`] | what a workload does that its profiles, not in force, would deny, or its recording lacks |
//! | [`patch`] | puts the name of a profile into a Kubernetes manifest |
#![forbid(unsafe_code)]

pub mod agent;
pub mod audit;
pub mod diff;
pub mod explain;
pub mod fleet;
pub mod formats;
pub mod learn;
pub mod parse;
pub mod patch;
pub mod profile;
pub mod recording;
pub mod shadow;
pub mod verify;

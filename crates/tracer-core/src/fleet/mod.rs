//! Many nodes, one recording: what each node ships, under which name, and how it is put together again.
//!
//! Recordings merge by union, so they form a join-semilattice: the order of merging, repetition and lateness change no
//! byte. That is why a store needs no coordinator. A node ships an [`Object`] that holds what is new against what it
//! has shipped before ([`news`]), split so that none is too large ([`split`]). [`Gathering`] puts objects together.
//! [`plan`] says how a store with many of them gets small again.
//!
//! Nothing here reads or writes a store.

mod compact;
mod name;
mod news;
mod object;
mod part;
mod split;
mod statement;
#[cfg(test)]
mod tests;

pub use compact::{Compaction, Kept, Planner, plan};
pub use name::{ObjectName, SUFFIX, prefix};
pub use news::{MIN_AGE_OF_GARBAGE, News, is_due, may_be_deleted, news};
pub use object::{
    FLEET_SCHEMA, Gathering, MAX_NODES, NodeState, Object, ObjectError, newer_schema,
};
pub use split::{Split, split};
pub use statement::{
    Digest, MAX_STATEMENT, PREDICATE_TYPE, Predicate, STATEMENT_TYPE, Statement, StatementError,
    Subject,
};

//! What AppArmor profiles mean, by the word of apparmor_parser.
//!
//! | module | promise |
//! | --- | --- |
//! | [`children`] | profiles within a profile are taken, and no more than there is room for |
//! | [`hostile`] | whatever a file is called, its rule is about that file and no other |
//! | [`automaton`] | what tracer says that a profile allows is what the parser makes of it |
//! | [`generalisation`] | how much the next run misses, and how much is granted in excess |
//! | [`resolved`] | what the audit resolves of a profile is what the parser makes of it |
//! | [`corpus`] | the audit understands every profile of the machine |
//! | [`parser`] | the parser takes everything that is written |

mod automaton;
mod children;
mod corpus;
mod fixture;
mod generalisation;
mod hostile;
mod parser;
mod policy;
mod resolved;

//! What profiles mean, by the word of libseccomp.
//!
//! | module | promise |
//! | --- | --- |
//! | [`differential`] | the evaluator says what the filter does that libseccomp compiles |
//! | [`audit_findings`] | an audit of the engines' own profiles says what is true of them, and nothing else |
//! | [`bypass`] | what an audit calls a gap is one: the bypass is performed, and fails once it is mended |
//! | [`claims`] | each way around a denial that an audit names is open in libseccomp's filter |
//! | [`corpus`] | profiles that are shipped are read, and what is high in them is true |
//! | [`fixes`] | what an audit proposes is applied, and programs still run |
//! | [`learn`] | what a filter logs is learned, and the next profile allows it |
//! | [`baselines`] | the engines' own profiles are read, and mean what libseccomp makes of them |

mod audit_findings;
mod baselines;
mod bypass;
mod claims;
mod corpus;
mod differential;
mod drawn;
mod enforcer;
mod fixes;
mod learn;
mod profiles;

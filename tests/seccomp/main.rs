//! What profiles mean, by the word of libseccomp.
//!
//! | module | promise |
//! | --- | --- |
//! | [`differential`] | the evaluator says what the filter does that libseccomp compiles |
//! | [`bypass`] | what an audit calls a gap is one: the bypass is performed, and fails once it is mended |
//! | [`baselines`] | the engines' own profiles are read, and mean what libseccomp makes of them |

mod baselines;
mod bypass;
mod differential;
mod enforcer;
mod profiles;

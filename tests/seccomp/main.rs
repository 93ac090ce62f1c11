//! What profiles mean, by the word of libseccomp.
//!
//! | module | promise |
//! | --- | --- |
//! | [`differential`] | the evaluator says what the filter does that libseccomp compiles |
//! | [`baselines`] | the engines' own profiles are read, and mean what libseccomp makes of them |

mod baselines;
mod differential;
mod enforcer;
mod profiles;

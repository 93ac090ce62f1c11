//! End-to-end tests: one binary, a module a promise.
//!
//! | module | promise |
//! | --- | --- |
//! | [`ground_truth`] | what is recorded is what strace sees, in both directions |
//! | [`races`] | no call is lost, however many are made at one moment |
//! | [`attribution`] | every call is filed under the cgroup it was made in |
//! | [`enforcement`] | the profile runs the workload, and without one of its calls does not |

mod attribution;
mod enforcement;
mod ground_truth;
mod races;

//! Reading and writing of recordings.

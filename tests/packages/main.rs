//! The files of a release, as a user takes them: packages are installed in fresh root directories,
//! images are loaded into engines, and the program in them records something.
//!
//! `cargo xtask test` builds them first. Each module's name begins with `package`, so that
//! `cargo xtask test package` runs them alone.

mod package_action;
mod package_deb;
mod package_files;
mod package_image;
mod package_rpm;
mod package_sbom;
mod root;

//! Hands the kernel object to `include_bytes!`: the file that `TRACER_EBPF_OBJECT` names, else the
//! one that `cargo xtask build` leaves in the target directory. Without either the program still
//! builds, so that `cargo check` and the unit tests need no BPF toolchain, and says at run time
//! what it lacks.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=TRACER_EBPF_OBJECT");
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let object = env::var_os("TRACER_EBPF_OBJECT").map_or_else(
        || manifest.join("../../target/ebpf/tracer.bpf.o"),
        PathBuf::from,
    );
    println!("cargo::rerun-if-changed={}", object.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("tracer.bpf.o");
    let bytes = fs::read(&object).unwrap_or_default();
    if let Err(error) = fs::write(&out, bytes) {
        println!("cargo::error={}: {error}", out.display());
    }
}

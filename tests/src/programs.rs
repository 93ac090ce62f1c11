//! Test programs in C (`tests/programs/`), compiled when they are needed and kept by content.

use std::{
    collections::hash_map::DefaultHasher,
    env, fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, ensure};

use crate::{process, scratch::unique};

/// How to compile a program.
#[derive(Clone, Copy, Debug)]
pub enum Build {
    /// As most programs are.
    Dynamic,
    /// With all its libraries inside.
    Static,
    /// [`Self::Static`] with musl in place of the machine's own libc.
    StaticMusl,
    /// For the 32-bit machine, with all its libraries inside.
    StaticI386,
    /// With no library at all, not even what runs before `main`.
    Bare,
    /// [`Self::Bare`] for the 32-bit machine.
    BareI386,
}

impl Build {
    fn compiler(self) -> &'static str {
        match self {
            Self::StaticMusl => "musl-gcc",
            _ => "cc",
        }
    }

    fn flags(self) -> &'static [&'static str] {
        const BARE: [&str; 5] = [
            "-static",
            "-nostdlib",
            "-ffreestanding",
            "-fno-stack-protector",
            "-fno-pie",
        ];
        match self {
            Self::Dynamic => &["-pthread"],
            Self::Static | Self::StaticMusl => &["-static", "-pthread"],
            Self::StaticI386 => &["-m32", "-static"],
            Self::Bare => &BARE,
            Self::BareI386 => &["-m32", BARE[0], BARE[1], BARE[2], BARE[3], BARE[4]],
        }
    }
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where cargo builds.
pub fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The compiled `tests/programs/<name>.c`.
///
/// # Errors
/// When there is no such file, or the compiler refuses it: its words are in the message.
pub fn compiled(name: &str, build: Build) -> Result<PathBuf> {
    let sources = workspace().join("tests/programs");
    let source = sources.join(name).with_extension("c");
    let mut hasher = DefaultHasher::new();
    // Not the name of the build: what it means may change.
    (build.compiler(), build.flags()).hash(&mut hasher);
    let headers = ["abi.h", "wrappers.h"].map(|header| sources.join(header));
    for file in [&source].into_iter().chain(&headers) {
        fs::read(file)
            .with_context(|| format!("reading {}", file.display()))?
            .hash(&mut hasher);
    }
    let dir = target_dir().join("test-programs");
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let dir = dir.canonicalize()?;
    let program = dir.join(format!("{name}-{:016x}", hasher.finish()));
    if !program.exists() {
        // Several tests may want it at once: each compiles to a name of its own, the last one
        // stays.
        let scratch = dir.join(unique(name));
        compile(&source, build, &scratch)?;
        fs::rename(&scratch, &program)?;
    }
    Ok(program)
}

fn compile(source: &Path, build: Build, output: &Path) -> Result<()> {
    let finished = process::run(
        Command::new(build.compiler())
            .args(["-O1", "-Wall", "-Wextra", "-Werror"])
            .args(build.flags())
            .arg("-o")
            .args([output, source]),
    )?;
    ensure!(
        finished.status.success(),
        "{} refuses {}:\n{}",
        build.compiler(),
        source.display(),
        finished.stderr
    );
    Ok(())
}

/// Tries to compile and run a program for i386, once.
///
/// # Errors
/// When the compiler or the kernel cannot.
pub fn i386_works() -> Result<()> {
    static ANSWER: OnceLock<Result<(), String>> = OnceLock::new();
    ANSWER
        .get_or_init(|| {
            compiled("i386", Build::StaticI386)
                .and_then(|program| process::run(&mut Command::new(program)))
                .and_then(process::Finished::success)
                .map(drop)
                .map_err(|error| format!("{error:#}"))
        })
        .clone()
        .map_err(|error| anyhow!(error))
}

//! Loading programs, several at a time: the verifier takes most of the time of a start, and works on as many
//! as there are processors (it has a lock for the unprivileged only, `bpf_check`,
//! kernel/bpf/verifier.c).

use std::{sync::Mutex, thread};

use anyhow::Context as _;
use aya::{
    Btf, Ebpf,
    programs::{Program, ProgramError},
};

/// A program, and what it is to be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Its name in the object.
    pub(super) program: &'a str,
    /// The tracepoint, the hook or the function.
    pub(super) what: &'a str,
}

/// More would only wait for one another.
const MAX_THREADS: usize = 8;

/// Loads all of them, beginning with the first, as far as the kernel lets them be: one that is refused is refused again when
/// [`load`] asks for it, with the reason.
pub(super) fn load_all(ebpf: &mut Ebpf, btf: &Btf, targets: &[Target<'_>]) {
    let mut wanted: Vec<_> = ebpf
        .programs_mut()
        .filter_map(|(name, program)| {
            let at = targets.iter().position(|target| target.program == name)?;
            Some((at, program, *targets.get(at)?))
        })
        .collect();
    wanted.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MAX_THREADS);
    let waiting = Mutex::new(wanted);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().ok().and_then(|mut waiting| waiting.pop());
                    let Some((_, program, target)) = next else {
                        return;
                    };
                    if let Err(error) = verify(program, btf, target) {
                        log::debug!("{}: {error:#}", target.program);
                    }
                }
            });
        }
    });
}

/// Loads one, unless it is loaded already.
///
/// # Errors
/// What the kernel or aya says against it.
pub(super) fn load(ebpf: &mut Ebpf, btf: &Btf, target: Target<'_>) -> anyhow::Result<()> {
    let program = ebpf
        .program_mut(target.program)
        .context("it is not in the object")?;
    Ok(verify(program, btf, target)?)
}

fn verify(program: &mut Program, btf: &Btf, target: Target<'_>) -> Result<(), ProgramError> {
    if program.fd().is_ok() {
        return Ok(());
    }
    match program {
        Program::Lsm(program) => program.load(target.what, btf),
        Program::FExit(program) => program.load(target.what, btf),
        Program::BtfTracePoint(program) => program.load(target.what, btf),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

//! The same work in another ABI: by which calls it is done there.
//!
//! A profile can be made for a machine that nobody recorded on. Most calls have the same name
//! everywhere. What differs is of few kinds ([`rows`]): calls that older ABIs have and later ones leave
//! to a more general call (open and openat), the wide forms of 32-bit ABIs (stat and stat64), what each
//! program of an ABI does when it starts, and what one machine has only.
//!
//! Only from 64-bit ABIs: what a 32-bit program does on a 64-bit machine is not what it does elsewhere,
//! and nobody records on a 32-bit machine.

mod rows;

use super::{Abi, condition::ArgumentConstraint};

pub use rows::{FORMS, MISSING, START_UP_CALLS, WIDE};

/// An older call, and the more general one that ABIs have which do without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OlderForm {
    /// The older call.
    pub older: &'static str,
    /// More general ones; the first that an ABI has is what is called there.
    pub general: &'static [&'static str],
    /// The arguments that make the general call the older one; `None`: any.
    pub only: Option<&'static ArgumentConstraint>,
}

/// A call, and what 32-bit ABIs have beside it or in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wide {
    /// The call.
    pub call: &'static str,
    /// Whichever of these an ABI has is called for it.
    pub also: &'static [&'static str],
    /// Whether the arguments of the call itself and of the others are the same, one by one.
    pub same_arguments: bool,
}

/// Calls that have no equivalent, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The calls.
    pub calls: &'static [&'static str],
    /// After "not translated:".
    pub why: &'static str,
}

/// A call by which observed work is done in another ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counterpart {
    /// The call.
    pub call: &'static str,
    /// The arguments for which it is the same work; `None`: any.
    pub only: Option<&'static ArgumentConstraint>,
    /// Whether its arguments are those of the observed call, one by one.
    pub same_arguments: bool,
}

impl Counterpart {
    /// The call itself.
    pub fn itself(call: &'static str) -> Self {
        Self {
            call,
            only: None,
            same_arguments: true,
        }
    }
}

/// What becomes of a call of the ABI `from` in the ABI `to`: what does the same work there, or why
/// nothing does.
///
/// # Errors
///
/// The reason, after "not translated:".
///
/// ```
/// use syscalls::{Abi, translate::translate};
///
/// let counterparts = translate("open", Abi::X86_64, Abi::Aarch64).unwrap();
/// assert_eq!(counterparts[0].call, "openat");
/// ```
pub fn translate(name: &'static str, from: Abi, to: Abi) -> Result<Vec<Counterpart>, &'static str> {
    let has = |abi: Abi, name: &str| abi.syscall_number(name).is_some();
    let mut found = Vec::new();
    if has(to, name) {
        found.push(Counterpart {
            call: name,
            only: None,
            same_arguments: has_same_arguments(name, from, to),
        });
    } else {
        let forms = FORMS.iter().filter(|form| form.older == name);
        found.extend(forms.filter_map(|form| {
            let call = form.general.iter().find(|name| has(to, name))?;
            Some(Counterpart {
                call,
                only: form.only,
                same_arguments: false,
            })
        }));
    }
    // Where the ABI recorded on has only the general call, it may have been the older one's work.
    let older = FORMS
        .iter()
        .filter(|form| form.general.contains(&name) && !has(from, form.older))
        .filter(|form| has(to, form.older));
    found.extend(older.map(|form| Counterpart {
        call: form.older,
        only: None,
        same_arguments: false,
    }));
    if to.is_32_bit() {
        for wide in WIDE.iter().filter(|wide| wide.call == name) {
            let also = wide.also.iter().filter(|name| has(to, name));
            found.extend(also.map(|call| Counterpart {
                call,
                only: None,
                same_arguments: wide.same_arguments,
            }));
        }
    }
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        return Err(MISSING
            .iter()
            .find(|lacking| lacking.calls.contains(&name))
            .map_or("it has no equivalent there that is known", |it| it.why));
    }
    Ok(found)
}

/// Whether a call is given the same values in both ABIs, where values are recorded.
///
/// ptrace's requests are the machine's own. Where registers have 32 bits, locks and options of sockets
/// that take times have wide forms (F_SETLK64, SO_RCVTIMEO_NEW), and ioctl's commands have the size of
/// what they point at in them. i386's mmap and select have their arguments in memory (sys_old_mmap,
/// sys_old_select).
fn has_same_arguments(name: &str, from: Abi, to: Abi) -> bool {
    match name {
        "ptrace" => from == to,
        "fcntl" | "ioctl" | "setsockopt" => !to.is_32_bit(),
        "mmap" | "select" => to != Abi::I386,
        _ => true,
    }
}

/// Whether a call can be made by i386's `socketcall` too, where its arguments are in memory.
pub fn uses_socketcall(name: &str) -> bool {
    let mut rows = WIDE.iter().filter(|wide| wide.call == name);
    rows.any(|wide| wide.also.contains(&"socketcall"))
}

/// What each program of `to` calls when it starts and none of `from` does, and why.
pub fn start(from: Abi, to: Abi) -> impl Iterator<Item = (&'static str, &'static str)> {
    let of = |abi| move |(of, ..): &&(Abi, _, _)| *of == abi;
    START_UP_CALLS
        .iter()
        .filter(of(to))
        .filter(move |_| from != to)
        .map(|(_, name, why)| (*name, *why))
}

#[cfg(test)]
mod tests;

//! What tracer knows of the version that a call came with holds for the kernel that this runs on.

use anyhow::{Context as _, ensure};
use syscalls::{
    Abi, Machine,
    introduced::{INTRODUCED, LinuxVersion},
};
use tracer_tests::Outcome;

/// Calls that end whoever makes them outside of a place that the kernel made for them.
const NOT_TRIED: [&str; 2] = ["uprobe", "uretprobe"];

/// Calls that every kernel has which is new enough, however it was configured for these tests. Others may
/// have been left out.
const ALWAYS: [&str; 15] = [
    "clone3",
    "faccessat2",
    "close_range",
    "epoll_pwait2",
    "mount_setattr",
    "process_mrelease",
    "futex_waitv",
    "cachestat",
    "fchmodat2",
    "futex_wake",
    "statmount",
    "listmount",
    "mseal",
    "open_tree_attr",
    "file_getattr",
];

fn this() -> anyhow::Result<LinuxVersion> {
    let release = nix::sys::utsname::uname()?
        .release()
        .to_string_lossy()
        .into_owned();
    let mut numbers = release.split(['.', '-']).map(str::parse);
    let mut number = || {
        numbers
            .next()
            .context("no number")?
            .context(release.clone())
    };
    Ok(LinuxVersion(number()?, number()?))
}

/// Whether the kernel has a call. It is made with arguments that no call takes.
fn has(nr: u32) -> bool {
    let none = -1_i64;
    // SAFETY: no argument is a descriptor, an address or a size that there is.
    let result = unsafe { libc::syscall(i64::from(nr), none, none, none, none, none, none) };
    result != -1 || nix::errno::Errno::last() != nix::errno::Errno::ENOSYS
}

#[test]
fn table_matches_the_running_kernel() -> Outcome {
    let this = this()?;
    let native = Machine::this().context("an unknown machine")?.native;
    let mut asked = 0;
    // What is older takes such arguments for others than errors.
    for (version, names) in INTRODUCED
        .iter()
        .filter(|(version, _)| *version >= LinuxVersion(5, 2))
    {
        for name in names.iter().filter(|name| !NOT_TRIED.contains(name)) {
            let Some(nr) = Abi::syscall_number(native, name) else {
                continue;
            };
            let has = has(nr);
            asked += 1;
            ensure!(
                !has || *version <= this,
                "{name} is of {version}, and {this} has it"
            );
            ensure!(
                has || *version > this || !ALWAYS.contains(name),
                "{name} is of {version}, and {this} does not have it"
            );
        }
    }
    ensure!(asked > 30, "only {asked} calls");
    Ok(())
}

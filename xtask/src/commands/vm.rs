//! `cargo xtask vm [--kernel …] [-- COMMAND…]`: other kernels than this machine's own.
//!
//! Without a command, it is a part of the end-to-end tests: what tracer records there is what
//! strace sees there.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cmd::{self, say};
use crate::commands::build::{self, Object};
use crate::commands::{dist, setup};
use crate::kernels::{Kernel, Release};
use crate::machine::{self, Boot};
use crate::packages;
use crate::tally::{Tally, Verdict};
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The kernels, one machine after the other
    #[arg(long, value_enum, value_delimiter = ',', default_value = "debian12")]
    kernel: Vec<Release>,
    /// Boots with SELinux in the place of AppArmor
    #[arg(long)]
    selinux: bool,
    /// Installs no packages
    #[arg(long)]
    no_install: bool,
    /// How long each machine may run
    #[arg(long, value_name = "SECONDS", default_value_t = 1500)]
    timeout: u64,
    /// What runs there as root, from this directory; a part of the end-to-end tests when none is named
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// The tests that run there, each for something that differs between kernels: how programs are
/// loaded and attached, where the registers of a call lie in each ABI, how cgroups and their
/// children are followed, and that no mark is lost when CPUs meet.
const TESTS: [&str; 12] = [
    "command_lifetime::records_an_existing_cgroup",
    "command_lifetime::records_cgroups_created_by_the_command",
    "command_lifetime::leaves_nothing_behind",
    "ground_truth::cp",
    "ground_truth::forks",
    "ground_truth::i386",
    "ground_truth::int80_from_64_bit",
    "ground_truth::ls",
    "ground_truth::threads",
    "ground_truth::unknown_numbers",
    "races::concurrent_first_calls_are_not_lost",
    "kernel_versions::table_matches_the_running_kernel",
];

/// The same with a container runtime: in which place a filter stops a call. On Linux 5.10 neither runc
/// nor crun can seal itself (a memfd of its own program, CVE-2019-5736) on the file system that the
/// machine has there.
const CONTAINER_TESTS: [&str; 1] = ["blocked::reports_every_way_a_filter_blocks"];

/// What a kernel with AppArmor and BPF among its security modules is for: accesses by the modules' own
/// hooks, and profiles enforced. It takes `bpf_loop`, which Linux 5.10 does not have.
const MODULE_TESTS: [&str; 16] = [
    "apparmor::child_profiles_are_enforced",
    "apparmor::every_file_access",
    "apparmor::each_mount_operation_needs_its_rule",
    "apparmor::nameless_memory_and_files_are_recorded",
    "apparmor::nginx",
    "apparmor::pipeline",
    "apparmor::python",
    "apparmor::redis",
    "apparmor::temporary_names",
    "apparmor::denies_what_was_not_recorded",
    "files::many_files_are_folded_into_their_directory",
    "files::many_links_are_folded_into_two_directories",
    "files::every_file_access",
    "files::nginx",
    "files::lsm_and_sys_exit_providers_agree",
    "mounts::lsm_hooks_record_mounts",
];

/// What a kernel with SELinux is for: what its policy does not allow is recorded, and the profile enforced.
const SELINUX_TESTS: [&str; 1] = ["selinux::recorded_profile_is_enforced"];

/// Each machine is booted once for each of these.
const BOOTS: [Boot; 2] = [Boot::Configured, Boot::Selinux];

/// The tests of one boot. What a kernel records of SELinux takes `bpf_loop` too.
fn tests(kernel: &Kernel, boot: Boot) -> Vec<&'static str> {
    if boot == Boot::Selinux {
        return if kernel.version.starts_with("5.10.") {
            Vec::new()
        } else {
            SELINUX_TESTS.to_vec()
        };
    }
    let more = if kernel.version.starts_with("5.10.") {
        [].iter().chain(&[])
    } else {
        CONTAINER_TESTS.iter().chain(&MODULE_TESTS)
    };
    TESTS.iter().chain(more).copied().collect()
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let missing = packages::ensure(workspace, &machine::PACKAGES, !args.no_install)?;
    ensure!(
        missing.is_empty(),
        "a virtual machine needs: apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    let work = match args.command.split_first() {
        Some((program, arguments)) => {
            let here = std::env::current_dir().context("this directory is gone")?;
            Work::Command(in_directory(&here, Command::new(program).args(arguments)))
        }
        None => Work::Checks(Checks::build(workspace)?),
    };
    let patience = Duration::from_secs(args.timeout);
    let boots = if args.selinux {
        &[Boot::Selinux]
    } else {
        &BOOTS[..]
    };
    let mut worst = 0;
    for release in &args.kernel {
        let kernel = Kernel::of(workspace, *release)?;
        let start = Instant::now();
        let status = match &work {
            Work::Command(command) => {
                machine::run(workspace, &kernel, boots[0], command, patience, print)?
            }
            Work::Checks(checks) => checks.run(workspace, &kernel, boots, patience)?,
        };
        say(format_args!(
            "Linux {}: exit status {status} after {} s",
            kernel.version,
            start.elapsed().as_secs()
        ));
        worst = worst.max(status);
    }
    Ok(ExitCode::from(worst))
}

enum Work {
    /// As a shell reads it.
    Command(String),
    Checks(Checks),
}

/// The name by which `cargo xtask test` counts [`test`].
pub(crate) const TEST: &str = "vm::debian12_records_and_agrees_with_strace";

/// Runs the checks on Debian 12's kernel. Where that cannot be had, they skip with the reason.
pub(crate) fn test(workspace: &Workspace, checks: &Checks, install: bool) -> Result<Verdict> {
    let missing = packages::ensure(workspace, &machine::PACKAGES, install)?;
    if !missing.is_empty() {
        let missing = missing.join(" ");
        return Ok(Verdict::Skipped(format!("needs apt-get install {missing}")));
    }
    let kernel = match Kernel::of(workspace, Release::Debian12) {
        Ok(kernel) => kernel,
        Err(error) => {
            let reason = format!("{error:#}").replace('\n', "; ");
            return Ok(Verdict::Skipped(reason));
        }
    };
    say(format_args!(
        "boots Linux {} for {} of the tests",
        kernel.version,
        BOOTS
            .iter()
            .map(|boot| tests(&kernel, *boot).len())
            .sum::<usize>()
    ));
    Ok(match checks.run(workspace, &kernel, &BOOTS, PATIENCE) {
        Ok(0) => Verdict::Passed,
        Ok(_) => Verdict::Failed,
        Err(error) => {
            say(format_args!("{error:#}"));
            Verdict::Failed
        }
    })
}

/// How long a machine may run; with emulation on two slow CPUs it takes half of that.
const PATIENCE: Duration = Duration::from_secs(900);

fn print(line: &[u8]) -> Result<()> {
    std::io::stdout()
        .write_all(line)
        .context("cannot write to stdout")
}

/// What runs in a machine that is to be checked.
pub(crate) struct Checks {
    /// The program under test.
    pub(crate) tracer: PathBuf,
    /// The program of the end-to-end tests.
    pub(crate) tests: PathBuf,
    /// Whether a test that cannot run there is a failure.
    pub(crate) must_run_all: bool,
}

impl Checks {
    /// With the static binary: the one that goes to other machines.
    fn build(workspace: &Workspace) -> Result<Self> {
        let tools = setup::ensure(workspace)?;
        let object = build::kernel_object(workspace, &tools, Object::Tracer)?;
        let bench_object = build::kernel_object(workspace, &tools, Object::Bench)?;
        let mut cargo = workspace.cargo();
        cargo
            .env("TRACER_EBPF_OBJECT", object)
            .env("TRACER_BENCH_OBJECT", bench_object);
        Ok(Self {
            tracer: dist::native(workspace, &tools)?,
            tests: end_to_end(&mut cargo)?,
            must_run_all: false,
        })
    }

    /// Runs those of each boot, and returns a status that is 0 when all of them ran and succeeded.
    fn run(
        &self,
        workspace: &Workspace,
        kernel: &Kernel,
        boots: &[Boot],
        patience: Duration,
    ) -> Result<u8> {
        let mut worst = 0;
        for boot in boots {
            if !tests(kernel, *boot).is_empty() {
                worst = worst.max(self.run_boot(workspace, kernel, *boot, patience)?);
            }
        }
        Ok(worst)
    }

    fn run_boot(
        &self,
        workspace: &Workspace,
        kernel: &Kernel,
        boot: Boot,
        patience: Duration,
    ) -> Result<u8> {
        let mut tally = Tally::default();
        let status = machine::run(
            workspace,
            kernel,
            boot,
            &self.command(workspace, kernel, boot),
            patience,
            |line| {
                tally.line(String::from_utf8_lossy(line).trim_end());
                print(line)
            },
        )?;
        tally.end();
        // A name that no longer is one would leave its test out in silence.
        ensure!(
            status != 0 || tally.passed() == tests(kernel, boot).len(),
            "{} tests were to run in the machine, but it told of {tally}: see TESTS in \
             xtask/src/commands/vm.rs",
            tests(kernel, boot).len()
        );
        Ok(status)
    }

    /// As a shell reads it.
    fn command(&self, workspace: &Workspace, kernel: &Kernel, boot: Boot) -> String {
        let mut tests = Command::new(&self.tests);
        tests
            .args(["--exact", "--test-threads=2"])
            .args(self::tests(kernel, boot))
            .env("TRACER_BIN", &self.tracer)
            .env("TRACER_VM", "1")
            .env("CARGO_TARGET_DIR", &workspace.target);
        if self.must_run_all {
            tests.env("TRACER_REQUIRE_ALL", "1");
        }
        let doctor = cmd::describe(Command::new(&self.tracer).arg("doctor"));
        format!(
            "uname -sr && {doctor} && {}",
            in_directory(&workspace.root, &tests)
        )
    }
}

fn in_directory(directory: &Path, command: &Command) -> String {
    let enter = cmd::describe(Command::new("cd").arg(directory));
    format!("{enter} && {}", cmd::describe(command))
}

/// The program of the end-to-end tests, which `cargo test` builds as it does for all tests.
pub(crate) fn end_to_end(cargo: &mut Command) -> Result<PathBuf> {
    let messages = cmd::read(cargo.args([
        "test",
        "--quiet",
        "--workspace",
        "--no-run",
        "--message-format=json",
    ]))?;
    executable(&messages, "e2e").context("`cargo test` did not build the end-to-end tests")
}

fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == target)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_the_test_binary_by_name() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"e2e-not"},"executable":"/a"}
{"reason":"compiler-artifact","target":{"name":"e2e"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"e2e"},"executable":"/target/debug/deps/e2e-1"}
{"reason":"build-finished","success":true}"#;
        let found = executable(messages, "e2e");
        assert_eq!(found, Some(PathBuf::from("/target/debug/deps/e2e-1")));
    }

    #[test]
    fn command_runs_in_the_users_directory() {
        let text = in_directory(Path::new("/a b"), Command::new("ls").arg("c d"));
        assert_eq!(text, "cd '/a b' && ls 'c d'");
    }
}

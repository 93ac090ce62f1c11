//! `cargo xtask measure-runtime --runtime PATH`: what a runtime calls under the workload's filter
//! before it starts the workload, as rows for `crates/syscalls/src/runtime_init/rows.rs`.
//!
//! All of it happens in namespaces of its own, so that no container and no mount outlives it,
//! however it ends; cgroups are taken away from outside.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bundle::{Life, Setting, Variation};
use crate::cmd::{self, say};
use crate::container::Container;
use crate::packages;
use crate::runtime_init::{self, Condition, Tally};
use crate::runtimes::Runtime;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The program of the runtime, for instance one that `cargo xtask runtimes` printed
    #[arg(long, value_name = "PATH")]
    runtime: PathBuf,
    /// How often each combination of settings is measured
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: u32,
    /// Where this very process measures: it is in namespaces of its own already
    #[arg(long, hide = true, value_name = "DIR")]
    inside: Option<PathBuf>,
}

/// What it needs.
const PACKAGES: [&str; 2] = ["busybox-static", "strace"];

/// Runs what follows the first two arguments in namespaces of its own, then removes the directory and
/// the cgroups of those names, also when it is interrupted. When `unshare` is killed, so is the
/// first process in the namespace, and with that all others. crun wants cgroup v2 and nothing else
/// (crun 1.8, libcrun/cgroup.c); the shell in between takes in orphans.
const OUTSIDE: &str = r#"
directory=$1 group=$2
shift 2
clean() {
    kill -KILL "$child" 2>/dev/null
    wait "$child"
    tries=0
    while [ -n "$(find /sys/fs/cgroup -depth -type d \( -name "$group" -o -path "*/$group/*" \) \
        ! -exec rmdir {} \; -print 2>/dev/null)" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || break
        sleep 0.05
    done
    rm -rf "$directory"
}
unshare --mount --pid --fork --kill-child --mount-proc sh -c '
    if grep -q " - cgroup " /proc/self/mountinfo; then
        umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit 1
    fi
    "$@"
    exit $?' sh "$@" &
child=$!
trap clean EXIT
trap 'exit 130' HUP INT TERM
wait "$child"
"#;

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if let Some(directory) = &args.inside {
        return measure(&Runtime::at(&args.runtime)?, directory, args.repeat);
    }
    ensure!(
        cmd::is_root(),
        "measuring a runtime needs root: it runs containers"
    );
    let missing = packages::ensure(workspace, &PACKAGES, true)?;
    ensure!(
        missing.is_empty(),
        "measuring a runtime needs: apt-get install {}",
        missing.join(" ")
    );
    let runtime = fs::canonicalize(&args.runtime)
        .with_context(|| format!("there is no {}", args.runtime.display()))?;
    let group = format!("tracer-measure-{}", std::process::id());
    let directory = workspace.target.join(&group);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let this = std::env::current_exe().context("this program's file is gone")?;
    let mut outside = Command::new("sh");
    outside
        .args(["-c", OUTSIDE, "sh"])
        .args([directory.as_os_str(), group.as_ref(), this.as_os_str()])
        .arg("measure-runtime")
        .arg("--runtime")
        .arg(runtime)
        .args(["--repeat", &args.repeat.to_string()])
        .arg("--inside")
        .arg(&directory);
    Err(cmd::exec(&mut outside))
}

/// All settings.
fn settings() -> impl Iterator<Item = Setting> {
    (0..8).flat_map(|bits| {
        Variation::ALL.map(|variation| Setting {
            no_new_privs: bits & 1 == 0,
            capabilities: bits & 2 == 0,
            user: if bits & 4 == 0 { 0 } else { 1000 },
            variation,
        })
    })
}

fn condition(setting: Setting, way: &'static str) -> Condition {
    let capabilities = if setting.capabilities { "some" } else { "none" };
    let user = if setting.user == 0 { "root" } else { "other" };
    let variation = match setting.variation {
        Variation::Plain => "nothing",
        Variation::ByName => "by-name",
        Variation::Limits => "limits",
        Variation::LowSoftLimit => "low-soft-limit",
        Variation::NoCloseRange => "no-close-range",
        Variation::Terminal => "terminal",
    };
    Condition {
        no_new_privs: setting.no_new_privs,
        others: vec![
            ("way", way),
            ("capabilities", capabilities),
            ("user", user),
            ("with", variation),
        ],
    }
}

fn measure(runtime: &Runtime, directory: &Path, repeat: u32) -> Result<()> {
    let busybox =
        cmd::find("busybox").context("busybox is gone: apt-get install busybox-static")?;
    let group = directory
        .file_name()
        .context("the directory has a name")?
        .to_string_lossy();
    let mut tally = Tally::default();
    for round in 1..=repeat {
        say(format_args!(
            "measures {} {}, round {round} of {repeat}",
            runtime.name, runtime.version
        ));
        for setting in settings() {
            let container = |life| {
                let directory = directory.join("container");
                Container::new(&runtime.path, &busybox, &directory, &group, setting, life)
            };
            let mut add = |way, log: String| {
                let calls =
                    runtime_init::calls(&log).with_context(|| format!("{way}, {setting:?}"))?;
                tally.add(&condition(setting, way), calls);
                anyhow::Ok(())
            };
            add("run", container(Life::Ends)?.run()?)?;
            let mut container = container(Life::Lasts)?;
            container.start()?;
            add("exec", container.exec()?)?;
            add("start", container.end()?)?;
        }
    }
    std::io::stdout()
        .write_all(format!("{}\n{}", tally.rows(runtime)?, tally.differences()).as_bytes())
        .context("cannot write to stdout")
}

//! The drop-in, by systemd-analyze, and by systemd itself.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::ensure;
use syscalls::capability::Capability;
use tracer_core::recording::{CapabilityUse, Recording, SocketOperation, SocketUse};
use tracer_tests::{
    Outcome,
    cgroup::{self, Cgroup},
    needs, process,
    requires::{Need, program},
    scratch::Scratch,
    tracer::Record,
    wait,
};

use super::{
    fixture::{by_run, empty, examples, generated},
    renderers::Models,
};

/// What systemd says of a service with a drop-in: nothing when it takes all of it.
fn verify(drop_in: &str) -> anyhow::Result<String> {
    let scratch = Scratch::new()?;
    let unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
    fs::write(scratch.join("web.service"), unit)?;
    fs::write(scratch.dir("web.service.d")?.join("tracer.conf"), drop_in)?;
    let mut analyze = Command::new("systemd-analyze");
    analyze
        .args(["verify", "--man=no", "--generators=no", "web.service"])
        .env(
            "SYSTEMD_UNIT_PATH",
            format!("{}:", scratch.path().display()),
        )
        .env("SYSTEMD_LOG_LEVEL", "warning")
        .current_dir(scratch.path());
    let finished = process::run(&mut analyze)?;
    let said: Vec<_> = finished
        .stderr
        .lines()
        // What else is wrong with the units of this machine is not ours.
        .filter(|line| line.contains("tracer.conf") || line.contains("web.service"))
        .map(str::to_owned)
        .collect();
    Ok(said.join("\n"))
}

/// Every capability, and every family that has a name.
fn everything() -> Recording {
    let mut all = empty();
    all.capabilities = Capability::all()
        .map(|capability| {
            by_run(CapabilityUse {
                capability,
                audited: None,
                own_namespace: false,
                by_exec: false,
            })
        })
        .collect();
    // 12 is DECnet, which Linux 6.1 took away, and systemd with it.
    all.sockets = (1..45)
        .filter(|family| *family != 12)
        .filter(|family| !matches!(family, 18..=20 | 22))
        .map(|family| {
            by_run(SocketUse {
                family,
                kind: 1,
                protocol: 0,
                operation: SocketOperation::Create,
                address: None,
                more: false,
            })
        })
        .collect();
    all
}

#[test]
fn systemd_accepts_the_drop_in() -> Outcome {
    needs!(program::SYSTEMD_ANALYZE);
    let said = verify("[Service]\nSystemCallFilter=no_such_call\nNonsense=1\n")?;
    ensure!(
        said.contains("no_such_call") && said.contains("Nonsense"),
        "it is asked: {said}"
    );
    let generated = generated(12)?;
    let known = examples().into_iter().chain([empty(), everything()]);
    for recording in known.chain(generated) {
        let drop_in = Models::new(recording)?.drop_in()?.text;
        let said = verify(&drop_in)?;
        // Calls that are newer than this machine's libseccomp it leaves out, and says so.
        let wrong: Vec<_> = said
            .lines()
            .filter(|line| !line.contains("Failed to parse system call"))
            .filter(|line| !line.contains("System call") || !line.contains("is not known"))
            .collect();
        ensure!(wrong.is_empty(), "{wrong:#?}\n{drop_in}");
    }
    Ok(())
}

/// What `systemd-analyze security` says of a unit with a drop-in, by the check's name.
fn security(unit: &str, drop_in: &str) -> anyhow::Result<BTreeMap<String, bool>> {
    let scratch = Scratch::new()?;
    fs::write(scratch.join("web.service"), unit)?;
    fs::write(scratch.dir("web.service.d")?.join("tracer.conf"), drop_in)?;
    let mut analyze = Command::new("systemd-analyze");
    analyze
        .args(["security", "--offline=yes", "--json=short", "--no-pager"])
        .arg("web.service")
        .env(
            "SYSTEMD_UNIT_PATH",
            format!("{}:", scratch.path().display()),
        )
        .current_dir(scratch.path());
    let finished = process::run(&mut analyze)?;
    let checks: Vec<serde_json::Value> = serde_json::from_slice(&finished.stdout)?;
    let checks = checks.iter().filter_map(|check| {
        let name = check.get("json_field")?.as_str()?.to_owned();
        Some((name, check.get("set")?.as_bool()?))
    });
    Ok(checks.collect())
}

#[test]
fn drop_in_replaces_the_lists_of_a_unit() -> Outcome {
    needs!(program::SYSTEMD_ANALYZE);
    let units = [
        // What a unit allows is not allowed any more.
        "SystemCallFilter=@system-service @mount @debug\nCapabilityBoundingSet=CAP_SYS_ADMIN\nRestrictAddressFamilies=AF_NETLINK AF_PACKET\n",
        // What began as a deny-list does not stay one.
        "SystemCallFilter=~@reboot\nCapabilityBoundingSet=~CAP_SYS_BOOT\nRestrictAddressFamilies=~AF_BLUETOOTH\n",
    ];
    let checks = [
        "SystemCallFilter_mount",
        "SystemCallFilter_debug",
        "CapabilityBoundingSet_CAP_SYS_ADMIN",
        "RestrictAddressFamilies_AF_PACKET",
        "RestrictAddressFamilies_AF_NETLINK",
    ];
    let mut recording = empty();
    recording.sockets.clear();
    let drop_in = Models::new(recording)?.drop_in()?.text;
    for settings in units {
        // For the shell's single quotes.
        let drop_in = drop_in.replace('\'', "'\\''");
        let unit = format!("[Service]\nExecStart=/bin/true\n{settings}");
        let before = security(&unit, "")?;
        let after = security(&unit, &drop_in)?;
        for check in checks {
            ensure!(before.get(check) == Some(&false), "{check}: {before:#?}");
            ensure!(
                after.get(check) == Some(&true),
                "{check}: {after:#?}\n{drop_in}"
            );
        }
    }
    Ok(())
}

/// Begins systemd so that it can change nothing outside, and has no unit but those of the test: the machine's
/// own would have systemd-tmpfiles empty the machine's `/tmp`, and systemd-sysctl set what the kernel has
/// once for all. Whatever fails ends it.
const INNER: &str = r#"
set -e
mount --make-rprivate /
mount -o remount,bind,ro /
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
for writable in /tmp /var /run; do mount -t tmpfs none "$writable"; done
if touch /usr/tracer-test 2>/dev/null; then exit 1; fi
mount -t cgroup2 none /sys/fs/cgroup
export SYSTEMD_UNIT_PATH=/run/systemd/system
mkdir -p "$SYSTEMD_UNIT_PATH"
printf '[Unit]\nDefaultDependencies=no\n' >"$SYSTEMD_UNIT_PATH/bare.target"
exec /lib/systemd/systemd --unit=bare.target --log-target=null --show-status=0
"#;

/// systemd as the first process of namespaces and a cgroup of its own.
struct Manager {
    unshare: Child,
    /// Last: it is empty when the process is gone.
    cgroup: Cgroup,
}

impl Manager {
    fn start() -> anyhow::Result<Self> {
        let cgroup = Cgroup::new("systemd")?;
        let outer = r#"echo $$ >"$1" && exec unshare --pid --mount --cgroup --ipc --fork --mount-proc --kill-child=KILL -- env container=test sh -c "$2""#;
        let unshare = Command::new("sh")
            .args(["-c", outer, "sh"])
            .arg(cgroup.procs())
            .arg(INNER)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let manager = Self { unshare, cgroup };
        wait::until("systemd to answer", || {
            let asked = manager.run("systemctl is-system-running 2>&1")?;
            let answer = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
            Ok(matches!(answer.as_str(), "running" | "degraded" | "starting").then_some(()))
        })?;
        Ok(manager)
    }

    /// Runs a script beside it.
    fn run(&self, script: &str) -> anyhow::Result<process::Finished> {
        let children = format!("/proc/{0}/task/{0}/children", self.unshare.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        let first = children.split_whitespace().next().unwrap_or("0").to_owned();
        process::run(
            Command::new("timeout")
                .args(["--signal=KILL", "30", "nsenter", "-t"])
                .args([&first, "-m", "-p", "-C", "sh", "-c", script]),
        )
    }

    /// The exit status of a service that runs a command under a drop-in.
    fn serve(&self, command: &str, drop_in: &str) -> anyhow::Result<String> {
        // For the shell's single quotes.
        let drop_in = drop_in.replace('\'', "'\\''");
        let unit = format!(
            "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nStandardOutput=null\nStandardError=null\nExecStart={command}\n"
        );
        let script = format!(
            "mkdir -p /run/systemd/system/web.service.d; printf %s '{unit}' >/run/systemd/system/web.service; printf %s '{drop_in}' >/run/systemd/system/web.service.d/tracer.conf; systemctl daemon-reload; systemctl start web.service; systemctl show web.service --value -p Result -p SystemCallErrorNumber"
        );
        let finished = self.run(&script)?;
        Ok(String::from_utf8(finished.stdout)?
            .trim()
            .replace('\n', " "))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // Its child ends with it, and the namespace with that.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let below =
            |path: &PathBuf| path != self.cgroup.path() && path.starts_with(self.cgroup.path());
        let mut left: Vec<_> = cgroup::all().into_iter().flatten().filter(below).collect();
        left.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
        for path in left {
            // As the cgroup's own end: it waits for what is in it.
            drop(Cgroup::adopt(path));
        }
    }
}

#[test]
fn service_runs_only_with_its_recorded_calls() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::SYSTEMD_ANALYZE,
        program::UNSHARE
    );
    let scratch = Scratch::new()?;
    let command = ["/bin/cat", "/etc/hostname"];
    let (finished, recorded) = Record::new(&scratch.join("out"), "web")?
        .of(command)
        .run()?;
    finished.success()?;
    let recording = tracer::store::read(&recorded.directory)?;
    let drop_in = Models::new(recording)?.drop_in()?.text;
    let manager = Manager::start()?;
    let command = command.join(" ");
    let result = manager.serve(&command, &drop_in)?;
    ensure!(result == "success 38", "{result}\n{drop_in}");
    let less = drop_in.replace(" write", "").replace("=write", "=");
    let less = less.replace("writev", "");
    let result = manager.serve(&command, &less)?;
    ensure!(result.starts_with("exit-code"), "{result}\n{less}");
    Ok(())
}

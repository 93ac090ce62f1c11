//! Guests of gVisor: what is recorded is what runsc's own log of calls has, on each version and platform;
//! the profile is enforced by `runsc --oci-seccomp`, with one call less it denies that call.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tracer_tests::{
    Outcome,
    gvisor::{self, Guest, Runsc, piped},
    needs,
    process::{Finished, Running},
    programs::{self, Build},
    recording::Recording,
    requires::{Need, program},
    scratch::Scratch,
    seccomp, tracer, wait,
};

/// A guest is recorded by name.
fn record(guest: &Guest, output: &Path) -> Result<(Finished, Recording)> {
    let mut what = vec!["--name".into(), "guest".into(), "--".into()];
    what.extend(guest.command_line());
    let finished = piped(&gvisor::record(output, &what)?)?;
    let path = output.join("guest/recording.json");
    let recording = Recording::read(&path).with_context(|| format!("{finished:?}"))?;
    Ok((finished, recording))
}

/// The recording has the calls that runsc's log has: each name, and as many in all.
fn ensure_same(guest: &Guest, recording: &Recording) -> Outcome {
    let logged = guest.calls()?;
    let names: BTreeSet<_> = logged.keys().cloned().collect();
    let recorded: BTreeSet<_> = recording
        .syscalls
        .iter()
        .map(|call| call.name.clone().unwrap_or_default())
        .collect();
    ensure!(
        names == recorded,
        "only in the log: {:?}; only in the recording: {:?}",
        names.difference(&recorded).collect::<Vec<_>>(),
        recorded.difference(&names).collect::<Vec<_>>()
    );
    let total: u64 = logged.values().sum();
    let counted = recording.instances.iter().map(|it| it.calls.unwrap_or(0));
    ensure!(
        total == counted.clone().sum::<u64>(),
        "the log has {total} calls, {:?} were recorded",
        counted.collect::<Vec<_>>()
    );
    Ok(())
}

fn ensure_complete(recording: &Recording) -> Outcome {
    let coverage = &recording.coverage;
    ensure!(
        coverage.complete && coverage.losses.messages == 0,
        "{coverage:?}"
    );
    Ok(())
}

/// Records what `argv` does on each runsc, then enforces the profile there. `needed` is a call without which
/// it fails.
fn agrees_and_is_enforced(argv: &[&str], needed: &str) -> Outcome {
    for runsc in gvisor::all()? {
        let case = format!("{runsc:?}");
        let scratch = Scratch::new()?;
        let guest = Guest::new(&runsc, argv, &Value::Null)?.logged()?;
        let (finished, recording) = record(&guest, scratch.path())?;
        ensure!(finished.code() == 0, "{case}: {finished:?}");
        ensure_complete(&recording).context(case.clone())?;
        ensure_same(&guest, &recording).context(case.clone())?;
        enforce(&runsc, argv, &finished, &scratch.join("guest"), needed).context(case)?;
    }
    Ok(())
}

fn enforce(
    runsc: &Runsc,
    argv: &[&str],
    recorded: &Finished,
    directory: &Path,
    needed: &str,
) -> Outcome {
    let profile = seccomp::read(&directory.join("seccomp.json"))?;
    let same = Guest::new(runsc, argv, &profile)?.run()?;
    ensure!(
        (same.code(), same.text()) == (recorded.code(), recorded.text()),
        "under its profile: {same:?}, recorded: {recorded:?}"
    );
    let lacking = seccomp::without(&profile, needed)?;
    let denied = Guest::new(runsc, argv, &lacking)?.run()?;
    let said = format!("{}{}", denied.text(), denied.stderr).to_lowercase();
    ensure!(
        denied.code() != 0 && said.contains("operation not permitted"),
        "without {needed}: {denied:?}"
    );
    Ok(())
}

#[test]
fn shell_pipelines_agree_with_the_log_and_are_enforced() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc, program::BUSYBOX);
    let script =
        "set -e; ls /usr | sort | wc -l; echo hello | tr a-z A-Z > out; cat out; mkdir d; echo ok";
    agrees_and_is_enforced(&["busybox", "sh", "-c", script], "mkdir")
}

#[test]
fn python_agrees_with_the_log_and_is_enforced() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc, Need::SystemPython);
    let script = "import os, socket, threading
t = threading.Thread(target=lambda: print('thread'))
t.start(); t.join()
a, b = socket.socketpair()
a.send(b'x'); print(b.recv(1))
os.mkdir('d'); print(os.listdir('.'))";
    agrees_and_is_enforced(&["/usr/bin/python3", "-c", script], "mkdir")
}

#[test]
fn redis_agrees_with_the_log_and_is_enforced() -> Outcome {
    needs!(
        Need::Root,
        Need::X86,
        Need::Runsc,
        program::REDIS,
        program::REDIS_TOOLS
    );
    let script = "redis-server --port 0 --unixsocket /mnt/s --save '' --daemonize no --logfile /mnt/log &
for i in $(seq 600); do redis-cli -s /mnt/s ping >/dev/null 2>&1 && break; sleep 0.1; done
redis-cli -s /mnt/s set greeting hello && redis-cli -s /mnt/s get greeting || { cat /mnt/log; exit 1; }
redis-cli -s /mnt/s shutdown nosave; wait; mkdir /mnt/d && echo ended";
    agrees_and_is_enforced(&["bash", "-c", script], "mkdir")
}

#[test]
fn nginx_agrees_with_the_log_and_is_enforced() -> Outcome {
    needs!(
        Need::Root,
        Need::X86,
        Need::Runsc,
        program::NGINX,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let conf = scratch.file(
        "nginx.conf",
        "daemon off; master_process off; pid /mnt/pid; error_log /mnt/log;
         events { worker_connections 32; }
         http { access_log off; client_body_temp_path /mnt/1; proxy_temp_path /mnt/2;
                fastcgi_temp_path /mnt/3; uwsgi_temp_path /mnt/4; scgi_temp_path /mnt/5;
                server { listen 127.0.0.1:8080; location / { return 200 'hello\\n'; } } }",
    )?;
    let script = format!(
        "nginx -e /mnt/log -c {} & server=$!
for i in $(seq 600); do busybox wget -qO- http://127.0.0.1:8080/ 2>/dev/null && break; kill -0 $server 2>/dev/null || break; sleep 0.1; done
kill -QUIT $server; wait $server || {{ cat /mnt/log; exit 1; }}; echo ended",
        conf.display()
    );
    agrees_and_is_enforced(&["bash", "-c", &script], "listen")
}

/// runsc itself is a static program of Go.
#[test]
fn go_agrees_with_the_log_and_is_enforced() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc);
    let runsc = gvisor::newest()?.program;
    let runsc = runsc.to_str().context("the path")?;
    agrees_and_is_enforced(&[runsc, "spec", "--bundle", "/mnt"], "openat")
}

#[test]
fn static_programs_agree_with_the_log_and_are_enforced() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc, program::CC);
    let guest = program_of_ours()?;
    agrees_and_is_enforced(&[&guest, "mkdir", "/mnt/d"], "mkdir")
}

fn program_of_ours() -> Result<String> {
    let path = programs::compiled("gvisor_guest", Build::Static)?;
    Ok(path.to_str().context("the path")?.to_owned())
}

/// Messages arrive, or their loss is counted and the recording is not complete.
#[test]
fn a_hundred_thousand_calls_are_recorded_or_counted_as_lost() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc, program::CC);
    let path = program_of_ours()?;
    for runsc in gvisor::all()? {
        let scratch = Scratch::new()?;
        let guest = Guest::new(&runsc, &[&path, "many", "100000"], &Value::Null)?;
        let (finished, recording) = record(&guest, scratch.path())?;
        ensure!(finished.code() == 0, "{finished:?}");
        let calls = recording.instances[0]
            .calls
            .context("the number of calls")?;
        let lost = recording.coverage.losses.messages;
        ensure!(
            calls + lost >= 100_000,
            "{runsc:?}: {calls} and {lost} lost"
        );
        ensure!(
            recording.coverage.complete == (lost == 0),
            "{:?}",
            recording.coverage
        );
    }
    Ok(())
}

/// A guest that calls its threads and arguments what protobuf does not take hides nothing.
#[test]
fn names_that_are_not_utf8_hide_no_call() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc, program::CC);
    let path = program_of_ours()?;
    for runsc in gvisor::all()? {
        let scratch = Scratch::new()?;
        let guest = Guest::new(&runsc, &[&path, "hide"], &Value::Null)?.logged()?;
        let (finished, recording) = record(&guest, scratch.path())?;
        ensure!(finished.code() == 0, "{finished:?}");
        ensure_same(&guest, &recording)?;
        ensure!(
            recording.coverage.losses.executables == 1,
            "{:?}",
            recording.coverage
        );
        let of = |name: &str| {
            let call = recording
                .syscalls
                .iter()
                .find(|it| it.name.as_deref() == Some(name));
            call.map(|call| format!("{:?}", call.evidence))
        };
        ensure!(of("getpgid").is_some_and(|it| it.contains("gvisor_guest")));
        // Which program it is, nobody said.
        ensure!(
            of("getsid").is_some_and(|it| it.contains("Unknown")),
            "{:?}",
            of("getsid")
        );
    }
    Ok(())
}

/// What the review and docs/gvisor.md say of calls that gVisor has no number for.
#[test]
fn calls_without_a_number_fail_with_eperm_under_a_profile() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc, program::CC);
    let path = program_of_ours()?;
    for runsc in gvisor::all()? {
        let scratch = Scratch::new()?;
        let argv = [path.as_str(), "numbers"];
        let guest = Guest::new(&runsc, &argv, &Value::Null)?;
        let (without, recording) = record(&guest, scratch.path())?;
        ensure!(
            without.text().lines().all(|it| it.ends_with("ENOSYS")),
            "{without:?}"
        );
        ensure!(recording.syscalls.iter().all(|it| it.nr < 442));
        let profile = seccomp::read(&scratch.join("guest/seccomp.json"))?;
        let under = Guest::new(&runsc, &argv, &profile)?.run()?;
        ensure!(under.text().lines().count() == 19, "{under:?}");
        ensure!(
            under.text().lines().all(|it| it.ends_with("EPERM")),
            "{under:?}"
        );
    }
    Ok(())
}

fn start(line: &[PathBuf]) -> Result<Running> {
    let mut command = std::process::Command::new(&line[0]);
    tracer::plain_environment(&mut command).args(&line[1..]);
    Running::spawn(command.stdin(std::process::Stdio::null()))
}

/// A guest that runs is recorded from now on, says so, and goes on without tracer.
#[test]
fn running_guests_are_recorded_and_left_as_they_were() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc, program::BUSYBOX);
    for runsc in gvisor::all()? {
        let scratch = Scratch::new()?;
        let script = "echo ready; while true; do mkdir d; rmdir d; echo tick; sleep 0.1; done";
        let argv = ["busybox", "sh", "-c", script];
        let guest = Guest::new(&runsc, &argv, &Value::Null)?;
        let mut running = start(&guest.command_line())?;
        running.until_stdout("ready")?;

        // The ordinary way is refused, with the one that works.
        let mut refused = tracer::command()?;
        refused.args(["record", "--container", &guest.id]);
        let refused = Running::spawn(&mut refused)?.wait()?;
        ensure!(
            refused.code() == 125 && refused.stderr.contains("record --gvisor --container"),
            "{refused:?}"
        );

        let what = ["--container", &guest.id, "--name", "guest", "--runsc"].map(PathBuf::from);
        let what = [&what[..], std::slice::from_ref(&runsc.program)].concat();
        let mut recorder = start(&gvisor::record(scratch.path(), &what)?)?;
        recorder.until_stderr("which runs already")?;
        let sessions = || -> Result<String> {
            let listed = Running::spawn(&mut guest.tool(&["trace", "list", &guest.id]))?.wait()?;
            Ok(listed.text())
        };
        ensure!(sessions()?.contains("Default"), "{}", sessions()?);
        // It goes round a few times while it is recorded.
        let ticks = || -> Result<usize> {
            let said = running.stdout()?;
            Ok(String::from_utf8_lossy(&said).matches("tick").count())
        };
        let before = ticks()?;
        wait::until("the guest to go on", || {
            Ok((ticks()? > before + 3).then_some(()))
        })?;
        recorder.signal(Signal::SIGINT)?;
        let recorded = recorder.wait()?;
        ensure!(recorded.code() == 0, "{recorded:?}");
        let recording = Recording::read(&scratch.join("guest/recording.json"))?;
        ensure!(
            recording.has_reason("guest-start-not-observed"),
            "{:?}",
            recording.coverage
        );
        ensure!(
            recording.has_reason("still-running"),
            "{:?}",
            recording.coverage
        );
        ensure!(
            recording
                .syscalls
                .iter()
                .any(|it| format!("{:?}", it.evidence).contains("busybox")),
            "busybox is nowhere in it: {recorded:?}"
        );
        ensure!(!sessions()?.contains("Default"), "{}", sessions()?);
        ensure!(
            running.ended()?.is_none(),
            "the guest ended with the recording"
        );
        running.signal(Signal::SIGKILL)?;
        running.wait()?;
    }
    Ok(())
}

/// Sandboxes that others start report by the file that `tracer gvisor config` writes.
#[test]
fn guests_that_others_start_report_to_the_socket() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc, program::BUSYBOX);
    for runsc in gvisor::all()? {
        let scratch = Scratch::new()?;
        let (socket, config) = (scratch.join("sink"), scratch.join("gvisor.json"));
        let mut configure = tracer::command()?;
        configure
            .args(["gvisor", "config", "--socket"])
            .arg(&socket);
        configure
            .arg("--output")
            .arg(&config)
            .arg("--runsc")
            .arg(&runsc.program);
        let configured = Running::spawn(&mut configure)?.wait()?.success()?;
        let expected = format!("[runsc_config]\n  pod-init-config = {:?}\n", config);
        ensure!(configured.text() == expected, "{configured:?}");

        let mut what = ["--all", "--gvisor-socket"].map(PathBuf::from).to_vec();
        what.push(socket.clone());
        let mut recorder = start(&gvisor::record(&scratch.join("out"), &what)?)?;
        recorder.until_stderr("all guests of gVisor")?;
        let option = format!("--pod-init-config={}", config.display());
        let mut ids = Vec::new();
        for _ in 0..2 {
            let argv = ["busybox", "true"];
            let guest = Guest::new(&runsc, &argv, &Value::Null)?
                .with([option.as_str()])
                .logged()?;
            let ran = guest.run()?;
            ensure!(ran.code() == 0, "{ran:?}");
            ids.push(guest);
        }
        recorder.signal(Signal::SIGINT)?;
        let finished = recorder.wait()?;
        ensure!(finished.code() == 0, "{finished:?}");
        // Nobody listens any more: a guest starts all the same.
        let alone = Guest::new(&runsc, &["busybox", "true"], &Value::Null)?.with([option.as_str()]);
        let alone = alone.run()?;
        ensure!(alone.code() == 0, "{alone:?}");
        for guest in &ids {
            let path = scratch.join("out").join(&guest.id).join("recording.json");
            let recording = Recording::read(&path)?;
            ensure_complete(&recording)?;
            ensure_same(guest, &recording)?;
        }
        ensure!(!socket.exists(), "the socket is left");
    }
    Ok(())
}

/// What programs are put in later is in a phase of its own.
#[test]
fn programs_that_are_put_in_later_are_told_apart() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc, program::BUSYBOX);
    let runsc = gvisor::newest()?;
    let scratch = Scratch::new()?;
    let script = "echo ready; while ! test -e /mnt/go; do sleep 0.1; done";
    let argv = ["busybox", "sh", "-c", script];
    let guest = Guest::new(&runsc, &argv, &Value::Null)?;
    let mut what: Vec<PathBuf> = vec!["--name".into(), "guest".into(), "--".into()];
    what.extend(guest.command_line());
    let mut recorder = start(&gvisor::record(scratch.path(), &what)?)?;
    recorder.until_stdout("ready")?;
    let words = [
        "exec",
        guest.id.as_str(),
        "/bin/busybox",
        "sh",
        "-c",
        "uname -r; touch /mnt/go",
    ];
    wait::until("a program put in", || {
        let put_in = Running::spawn(&mut guest.tool(&words))?.wait()?;
        Ok((put_in.code() == 0).then_some(()))
    })?;
    let finished = recorder.wait()?;
    ensure!(finished.code() == 0, "{finished:?}");
    let recording = Recording::read(&scratch.join("guest/recording.json"))?;
    ensure_complete(&recording)?;
    let uname = recording
        .syscalls
        .iter()
        .find(|it| it.name.as_deref() == Some("uname"));
    let evidence = uname.map(|it| it.evidence.as_slice()).unwrap_or_default();
    ensure!(evidence.iter().any(|it| it.phase == "exec"), "{evidence:?}");
    Ok(())
}

#[test]
fn runtime_of_gvisor_is_refused_with_the_command_that_records_it() -> Outcome {
    needs!(Need::Root, Need::X86, Need::Runsc);
    let scratch = Scratch::new()?;
    let runsc = gvisor::newest()?;
    let guest = Guest::new(&runsc, &["/bin/true"], &Value::Null)?;
    let mut refused = tracer::command()?;
    refused
        .arg("record")
        .arg("--output-dir")
        .arg(scratch.path())
        .arg("--");
    refused.args(guest.command_line());
    let refused = Running::spawn(&mut refused)?.wait()?;
    let advice = "tracer record --gvisor -- runsc run";
    ensure!(
        refused.code() == 125 && refused.stderr.contains(advice),
        "{refused:?}"
    );
    // The advice is true.
    let (finished, _) = record(&guest, scratch.path())?;
    ensure!(finished.code() == 0, "{finished:?}");
    let review = fs::read_to_string(scratch.join("guest/REVIEW.md"))?;
    ensure!(
        review.contains("--oci-seccomp") && review.contains("No AppArmor profile"),
        "{review}"
    );
    let mut apparmor = tracer::command()?;
    apparmor
        .args(["generate", "--format", "apparmor"])
        .arg(scratch.join("guest"));
    let apparmor = Running::spawn(&mut apparmor)?.wait()?;
    ensure!(
        apparmor.code() == 1 && apparmor.stderr.contains("gVisor"),
        "{apparmor:?}"
    );
    Ok(())
}

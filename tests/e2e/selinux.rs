//! The SELinux profile of a recording runs the same work, and nothing more: enforced by a kernel that has
//! SELinux, in the virtual machine.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tracer_core::recording::{Reason, Recording, json};
use tracer_tests::{
    Outcome,
    kernel_log::KernelLog,
    needs, process,
    requires::{Need, program},
    scratch::{Mounted, Scratch},
    selinux::{self, Denied, Policy},
    tracer,
};

const SECILC: Need = Need::Program("secilc", "secilc");

/// The domain that the work is recorded in.
const RECORDED: &str = "tracer_record.process";

/// The domain of the profile.
const ENFORCED: &str = "tracer_web.process";

/// Does what it is asked, and prints the error of what it could not do. What is forbidden later is not
/// done when it records. The other program is executed without a child, which could not tell the error: the
/// pipe for it was never written to while recording.
const WORK: &str = r#"
import errno, os, socket, subprocess, sys
directory = sys.argv[2]
def at(name): return os.path.join(directory, name)
def listen(port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(1)
    client = socket.create_connection(("127.0.0.1", port))
    accepted, _ = server.accept()
    accepted.sendall(b"x")
    assert client.recv(1) == b"x"
def work():
    listen(8080)
    assert open(at("data")).read() == "data"
    open(at("log"), "a").write("line")
    open(at("made"), "w").close()
    os.unlink(at("made"))
    subprocess.run(["busybox", "true"], executable=at("program"), check=True)
tries = {
    "work": work,
    "secret": lambda: open(at("secret")).read(),
    "port": lambda: listen(8081),
    "program": lambda: os.execv(at("other"), ["busybox", "true"]),
    "readonly": lambda: open(at("readonly"), "a").close(),
}
try:
    tries[sys.argv[1]]()
    print("done")
except OSError as error:
    print(errno.errorcode[error.errno])
"#;

/// A file system that keeps labels, with what the work uses.
struct Files {
    directory: PathBuf,
    _mount: Mounted,
}

impl Files {
    fn new(directory: PathBuf) -> Result<Self> {
        fs::create_dir_all(&directory)?;
        let files = Self {
            _mount: Mounted::tmpfs(&directory, "mode=755")?,
            directory,
        };
        for (name, text, kind) in [
            ("data", "data", "data_t"),
            ("log", "", "log_t"),
            ("secret", "secret", "secret_t"),
            ("readonly", "", "data_t"),
            ("work.py", WORK, "data_t"),
        ] {
            fs::write(files.at(name), text)?;
            selinux::label(&files.at(name), kind)?;
        }
        let busybox = tracer_tests::requires::which("busybox").context("busybox")?;
        for (name, kind) in [("program", "program_exec_t"), ("other", "other_exec_t")] {
            fs::copy(&busybox, files.at(name))?;
            selinux::label(&files.at(name), kind)?;
        }
        selinux::label(&files.directory, "dir_t")?;
        Ok(files)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The command line that does one thing.
    fn line(&self, what: &str) -> Vec<PathBuf> {
        let mut line: Vec<PathBuf> = ["python3", "-S", "-E"].map(PathBuf::from).into();
        line.extend([self.at("work.py"), what.into(), self.directory.clone()]);
        line
    }

    /// What came of it: `done`, or the name of an error.
    fn attempt(&self, domain: &str, what: &str) -> Result<String> {
        // runcon(1) does not work where /etc has no settings for SELinux.
        let mut command = Command::new("sh");
        command.args(["-c", r#"printf %s "$0" >/proc/self/attr/exec; exec "$@""#]);
        command.arg(selinux::process_context(domain));
        tracer::plain_environment(command.args(self.line(what))).stdin(Stdio::null());
        // With files for its output, as the recorded command had: a pipe is another type.
        let finished = process::run(&mut command)?;
        let said = String::from_utf8_lossy(&finished.stdout).trim().to_owned();
        ensure!(
            finished.status.success(),
            "{what} in {domain}: {finished:?}"
        );
        Ok(said)
    }
}

fn policy() -> Policy {
    Policy::new(
        &[
            "data_t",
            "log_t",
            "secret_t",
            "dir_t",
            "program_exec_t",
            "other_exec_t",
            "web_port_t",
            "other_port_t",
        ],
        &[(8080, "web_port_t"), (8081, "other_port_t")],
    )
}

fn load(scratch: &Scratch, cil: &str) -> Outcome {
    let binary = policy().with(cil).compile(scratch.path())?;
    selinux::load(&binary)
}

fn tracer(arguments: &[&str], more: &[PathBuf]) -> Result<String> {
    let finished = process::run(tracer::command()?.args(arguments).args(more))?;
    ensure!(finished.status.success(), "{finished:?}");
    Ok(String::from_utf8_lossy(&finished.stdout).into_owned())
}

/// What a recording says of one domain, as the log would.
fn recorded(recording: &Recording, domain: &str) -> BTreeSet<Denied> {
    let of_domain = recording
        .selinux
        .iter()
        .filter(|it| it.what.domain == domain);
    let all = of_domain.flat_map(|seen| {
        seen.evidence.iter().map(|who| Denied {
            comm: who
                .first
                .as_ref()
                .map_or_else(String::new, |it| it.comm.clone()),
            source: seen.what.domain.clone(),
            target: seen.what.target_type().to_owned(),
            class: seen.what.class.clone(),
            permission: seen.what.permission.clone(),
        })
    });
    all.collect()
}

fn logged(lines: &[String], domain: &str) -> BTreeSet<Denied> {
    let all = lines.iter().flat_map(|line| selinux::denied(line));
    all.filter(|it| it.source == domain).collect()
}

#[test]
fn recorded_profile_is_enforced() -> Outcome {
    needs!(
        Need::Root,
        Need::Selinux,
        Need::Cgroup2,
        SECILC,
        program::PYTHON,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    selinux::mount_selinuxfs()?;
    let domain = tracer(
        &[
            "selinux",
            "domain",
            "--standalone",
            "--from",
            selinux::UNCONFINED,
        ],
        &[],
    )?;
    load(&scratch, &domain)?;
    let files = Files::new(scratch.join("files"))?;

    let (cil, lines, recording) = record(&scratch, &files)?;
    let in_log = logged(&lines, RECORDED);
    ensure!(!in_log.is_empty(), "the log has no line of the domain");
    assert_eq!(recorded(&recording, RECORDED), in_log);
    // A machine under load may lose the name of a file, which says nothing of SELinux.
    let reasons = recording.coverage.reasons.iter();
    let of_selinux: Vec<_> = reasons
        .filter(|reason| format!("{reason:?}").contains("Selinux"))
        .collect();
    assert_eq!(of_selinux, Vec::<&Reason>::new());

    load(&scratch, &cil)?;
    selinux::enforce(true)?;
    let outcome = enforced(&scratch, &files, &cil);
    selinux::enforce(false)?;
    outcome
}

/// The profile, the log of the recording, and the recording.
fn record(scratch: &Scratch, files: &Files) -> Result<(String, Vec<String>, Recording)> {
    let output = scratch.join("out");
    let mut log = KernelLog::from_now()?;
    let mut more = vec![output.clone(), "--".into()];
    more.extend(files.line("work"));
    let printed = tracer(
        &[
            "record",
            "--standalone",
            "--selinux-type",
            RECORDED,
            "--name",
            "web",
            "--output-dir",
        ],
        &more,
    )?;
    ensure!(printed.contains("done"), "{printed}");
    let lines = log.lines()?;
    let cil = fs::read_to_string(output.join("web/selinux.cil"))?;
    let recording = json::parse(&fs::read(output.join("web/recording.json"))?)?;
    Ok((cil, lines, recording))
}

/// The same work, what was not recorded, and the work without one of its rules.
fn enforced(scratch: &Scratch, files: &Files, cil: &str) -> Outcome {
    let mut log = KernelLog::from_now()?;
    let did = files.attempt(ENFORCED, "work")?;
    let denied = logged(&log.lines()?, ENFORCED);
    ensure!(
        did == "done" && denied.is_empty(),
        "{did} {denied:?}\n{cil}"
    );
    for what in ["secret", "port", "program", "readonly"] {
        assert_eq!(files.attempt(ENFORCED, what)?, "EACCES", "{what}");
    }
    let rule = "(allow process web_port_t (tcp_socket (";
    let without: String = cil
        .lines()
        .filter(|line| !line.trim_start().starts_with(rule))
        .map(|line| format!("{line}\n"))
        .collect();
    ensure!(without.len() < cil.len(), "no rule for the port:\n{cil}");
    load(scratch, &without)?;
    assert_eq!(files.attempt(ENFORCED, "work")?, "EACCES");
    load(scratch, cil)?;
    assert_eq!(files.attempt(ENFORCED, "work")?, "done");
    Ok(())
}

/// The labels of a path that nothing is known of do not matter to the policy.
#[test]
fn domain_is_accepted_by_the_compiler() -> Outcome {
    needs!(SECILC);
    let scratch = Scratch::new()?;
    let standalone = tracer(
        &["selinux", "domain", "--standalone", "--from", "kernel_t"],
        &[],
    )?;
    policy().with(&standalone).compile(scratch.path())?;
    let inherited = tracer(&["selinux", "domain"], &[])?;
    let base =
        "(block container (blockabstract container) (type process) (roletype system_r process))\n";
    policy()
        .with(base)
        .with(&inherited)
        .compile(scratch.path())?;
    Ok(())
}

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};

use super::*;

fn parse(line: &str) -> Result<RunscCommand, GvisorError> {
    let words: Vec<_> = line.split(' ').map(OsString::from).collect();
    RunscCommand::parse(&words, Path::new("/run/t/init.json"))
}

#[test]
fn option_is_added_before_the_others() {
    let command =
        parse("/usr/bin/runsc --root ST --network=none -debug run -bundle B web").unwrap();
    assert_eq!(command.words[0], "/usr/bin/runsc");
    assert_eq!(command.words[1], "--pod-init-config=/run/t/init.json");
    assert_eq!(command.words[2], "--root");
    assert_eq!(command.words.len(), 10);
    assert_eq!(command.subcommand, "run");
    assert_eq!(command.bundle, Some("B".into()));
    assert!(!command.applies_seccomp);
}

#[test]
fn bundles_and_filters_are_found_in_every_form() {
    for (line, bundle, filtered) in [
        ("runsc run web", Some("."), false),
        (
            "runsc --oci-seccomp create --bundle=/b web",
            Some("/b"),
            true,
        ),
        (
            "runsc --oci-seccomp=false run --bundle /b web",
            Some("/b"),
            false,
        ),
        ("runsc -oci-seccomp -root /r do ls --bundle x", None, true),
    ] {
        let command = parse(line).unwrap();
        assert_eq!(command.bundle, bundle.map(PathBuf::from), "{line}");
        assert_eq!(command.applies_seccomp, filtered, "{line}");
    }
}

#[test]
fn what_starts_no_sandbox_is_refused() {
    for line in [
        "runsc",
        "runsc list",
        "runsc --root run",
        "runsc exec web ls",
    ] {
        let error = parse(line).unwrap_err();
        assert!(matches!(error, GvisorError::NoStart { .. }), "{line}");
    }
    assert!(matches!(
        parse("runsc --pod-init-config=x run web"),
        Err(GvisorError::HasConfig)
    ));
}

#[test]
fn processes_are_read_from_the_dump() {
    let text = "PROCFS DUMP\n\n\
        {\"exe\":\"/bin/busybox\",\"args\":[\"sleep\"],\"status\":{\"comm\":\"sleep\",\"pid\":1}}\n\
        {\"exe\":\"/bin/x\",\"status\":{\"pid\":99999999999}}\n{}\n";
    assert_eq!(processes(text), [(1, "/bin/busybox".to_owned())]);
}

/// A directory of processes, of state, and a runsc that is trusted.
struct Machine {
    directory: tempfile::TempDir,
    runsc: Runsc,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["proc", "state"] {
            let mut builder = fs::DirBuilder::new();
            builder
                .mode(0o755)
                .create(directory.path().join(name))
                .unwrap();
        }
        for name in ["runsc", "evil"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let runsc = Runsc::find(Some(&directory.path().join("runsc")), None).unwrap();
        Self { directory, runsc }
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.directory.path();
        fs::canonicalize(path).unwrap().join(name)
    }

    fn state(&self, name: &str) {
        fs::write(self.path("state").join(name), "{}").unwrap();
    }

    /// A process that runs `exe` with these words.
    fn process(&self, pid: u32, exe: &str, words: &[&str]) {
        let process = self.path("proc").join(pid.to_string());
        fs::create_dir(&process).unwrap();
        fs::write(process.join("cmdline"), words.join("\0") + "\0").unwrap();
        symlink(self.path(exe), process.join("exe")).unwrap();
    }

    fn find(&self, given: &str) -> Found {
        find_running(&self.path("proc"), given, &self.runsc)
    }

    fn ids(&self, given: &str) -> Vec<String> {
        let found = self.find(given).sandboxes;
        found.into_iter().map(|it| it.container).collect()
    }
}

#[test]
fn sandboxes_are_found_with_their_containers() {
    let machine = Machine::new();
    assert!(!is_any_called_sandbox(&machine.path("proc")));
    for id in ["pod1", "web", "web-2"] {
        machine.state(&format!("pod1_sandbox:{id}.state"));
    }
    machine.state("other_sandbox:db.state");
    let root = format!("--root={}", machine.path("state").display());
    let words = [
        "runsc-sandbox",
        &root,
        "--oci-seccomp=true",
        "boot",
        "--bundle=b",
        "pod1",
    ];
    machine.process(7, "runsc", &words);
    machine.process(8, "evil", &["nginx", "--root=/x", "web"]);
    assert!(is_any_called_sandbox(&machine.path("proc")));
    assert_eq!(machine.ids("web"), ["web"]);
    assert_eq!(machine.ids("we"), ["web", "web-2"]);
    assert_eq!(machine.ids("pod1"), ["pod1"]);
    assert!(machine.ids("db").is_empty());
    let found = machine.find("web");
    assert!(found.refused.is_none(), "{found:?}");
    let web = &found.sandboxes[0];
    assert_eq!(web.root, machine.path("state"));
    assert_eq!(web.program, machine.path("runsc"));
    assert!(web.applies_seccomp);
}

/// A process of a container can have any command line and any file.
#[test]
fn processes_that_do_not_run_runsc_are_no_sandboxes() {
    let machine = Machine::new();
    let root = format!("--root={}", machine.path("state").display());
    machine.process(9, "evil", &["runsc-sandbox", &root, "boot", "web"]);
    let found = machine.find("web");
    assert!(found.sandboxes.is_empty(), "{found:?}");
    let why = found.refused.unwrap();
    assert!(
        why.contains("process 9 ") && why.contains("does not run"),
        "{why}"
    );
    // Its whole id does not win over the beginning of a real one.
    machine.state("web-1_sandbox:web-1.state");
    machine.process(10, "runsc", &["runsc-sandbox", &root, "boot", "web-1"]);
    assert_eq!(machine.ids("web"), ["web-1"]);
    assert_eq!(
        machine.find("web").sandboxes[0].program,
        machine.path("runsc")
    );
}

#[test]
fn directories_of_state_that_others_may_change_are_not_used() {
    let machine = Machine::new();
    let state = machine.path("state");
    let root = format!("--root={}", state.display());
    machine.process(7, "runsc", &["runsc-sandbox", &root, "boot", "web"]);
    machine.process(8, "runsc", &["runsc-sandbox", "boot", "web"]);
    assert_eq!(machine.ids("web"), ["web"]);
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    let found = machine.find("web");
    assert!(
        found.sandboxes.is_empty() && found.refused.is_some(),
        "{found:?}"
    );
}

//! `tracer audit`: what it names can be done, and cannot once it is mended; its exit statuses; the
//! examples of docs/audit.md.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tracer_tests::{
    Outcome, needs,
    oci::{Container, Runtime},
    process::{self, Finished},
    programs::{self, Build, workspace},
    requires::{Need, program},
    scratch::Scratch,
    tracer,
};

/// The deny-list of Azure's page on AKS, in its two forms.
fn aks() -> Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["chmod", "fchmodat", "chmodat"], "action": "SCMP_ACT_ERRNO"}],
    })
}

fn aks_old() -> Value {
    let entries = ["chmod", "fchmodat", "chmodat"]
        .map(|name| json!({"name": name, "action": "SCMP_ACT_ERRNO"}));
    json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": entries})
}

fn audit(dir: &Path, args: &[&str]) -> Result<Finished> {
    process::run(tracer::command()?.arg("audit").args(args).current_dir(dir))
}

/// The findings of a profile.
fn findings(scratch: &Scratch, profile: &Value) -> Result<Vec<Value>> {
    scratch.file("profile.json", serde_json::to_vec_pretty(profile)?)?;
    let finished = audit(
        scratch.path(),
        &["--format=json", "--fail-on=never", "profile.json"],
    )?
    .success()?;
    let report: Value = serde_json::from_slice(&finished.stdout)?;
    Ok(report["findings"]
        .as_array()
        .context("no findings")?
        .clone())
}

fn of<'a>(findings: &'a [Value], id: &str) -> impl Iterator<Item = &'a str> {
    findings
        .iter()
        .filter(move |finding| finding["id"] == id)
        .filter_map(|finding| finding["message"].as_str())
}

/// What chmod and fchmod return in a container, and the mode that the file has then.
fn in_container(runtime: Runtime, scratch: &Scratch, profile: &Value) -> Result<(Vec<i64>, u32)> {
    let dir = scratch.dir("work")?;
    let file = dir.join("file");
    fs::write(&file, "")?;
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
    let path = file.display();
    let calls = format!("64 90 s:{path} n:0601 + 64 91 f:0:{path} n:0602");
    let argv: Vec<PathBuf> = [
        programs::compiled("bypass", Build::Static)?,
        dir.join("results"),
        "-".into(),
        "0".into(),
    ]
    .into_iter()
    .chain(calls.split(' ').map(PathBuf::from))
    .collect();
    let container = Container::new(runtime, &argv, &dir, profile, true)?;
    let line = container.command_line()?;
    let (program, args) = line.split_first().context("an empty command line")?;
    process::run(Command::new(program).args(args))?.success()?;
    let bytes = fs::read(dir.join("results"))?;
    let results = bytes.chunks_exact(8).take(2).map(|word| {
        let word: [u8; 8] = word.try_into()?;
        Ok(i64::from_ne_bytes(word))
    });
    let mode = fs::metadata(&file)?.permissions().mode() & 0o777;
    Ok((results.collect::<Result<_>>()?, mode))
}

#[test]
fn reported_gap_lets_a_container_change_a_mode() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::X86,
        program::CC,
        program::UNSHARE,
        program::RUNC,
        program::CRUN
    );
    let scratch = Scratch::new()?;
    let found = findings(&scratch, &aks())?;
    let gap = of(&found, "equivalent-syscall-allowed")
        .next()
        .context("no gap is named")?;
    ensure!(gap.contains("fchmod, fchmodat2"), "{gap}");
    // chmod is refused, fchmod changes the mode.
    let (results, mode) = in_container(Runtime::Runc, &scratch, &aks())?;
    ensure!(results == [-1, 0] && mode == 0o602, "{results:?} {mode:o}");

    // The older form does nothing at all on runc, as is said of it.
    let found = findings(&scratch, &aks_old())?;
    ensure!(of(&found, "legacy-name-key").next().is_some());
    let (results, _) = in_container(Runtime::Runc, &scratch, &aks_old())?;
    ensure!(results == [0, 0], "{results:?}");
    // crun does not start it.
    ensure!(in_container(Runtime::Crun, &scratch, &aks_old()).is_err());
    ensure!(in_container(Runtime::Crun, &scratch, &aks()).is_ok());

    let mended = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {"names": ["chmod", "fchmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {"names": ["fchmodat2", "setxattrat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            // What a POSIX ACL is set with.
            {"names": ["setxattr", "lsetxattr", "fsetxattr"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
        ],
    });
    let found = findings(&scratch, &mended)?;
    ensure!(
        of(&found, "equivalent-syscall-allowed").next().is_none(),
        "{found:?}"
    );
    let (results, mode) = in_container(Runtime::Runc, &scratch, &mended)?;
    ensure!(results == [-1, -1] && mode == 0o644, "{results:?} {mode:o}");
    Ok(())
}

#[test]
fn exit_status_reflects_findings_and_errors() -> Outcome {
    let scratch = Scratch::new()?;
    let dir = scratch.path();
    scratch.file("gap.json", serde_json::to_vec(&aks())?)?;
    scratch.file("broken.json", "{\n  \"defaultAction\": 7\n}")?;
    scratch.file("binary.json", b"\xff\xfe")?;
    scratch.file("other.json", "{}")?;
    scratch.file("deep.json", "[".repeat(1 << 20))?;
    scratch.file("large.json", vec![b' '; 100 << 20])?;
    for (args, code, says) in [
        (&["gap.json"][..], 3, "high"),
        (
            &["--fail-on=critical", "gap.json"],
            0,
            "1 file or object checked",
        ),
        (&["--fail-on=bad", "gap.json"], 2, "known are info"),
        (&["broken.json"], 1, "broken.json:2:20: "),
        (
            &["binary.json"],
            1,
            "binary.json:1:1: this is not UTF-8 text",
        ),
        (&["deep.json"], 1, "deep.json:1:"),
        (&["large.json"], 1, "more than 4 MiB"),
        (
            &["other.json"],
            1,
            "this is neither a profile nor a manifest",
        ),
        (&["missing.json"], 1, "cannot read missing.json"),
        (
            &["--explain=none"],
            2,
            "the rules are equivalent-syscall-allowed",
        ),
        (&["--explain=equivalent-syscall-allowed"], 0, ""),
        (&[], 2, "required"),
    ] {
        let finished = audit(dir, args)?;
        ensure!(
            finished.code() == code && finished.stderr.contains(says),
            "{args:?}: {} {}",
            finished.code(),
            finished.stderr
        );
        ensure!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    }
    Ok(())
}

#[test]
fn searches_directories_for_profiles() -> Outcome {
    let scratch = Scratch::new()?;
    let dir = scratch.dir("deploy/b")?;
    fs::write(dir.join("deny.json"), serde_json::to_vec(&aks())?)?;
    fs::write(dir.join("values.yaml"), "{{ helm }}: [")?;
    fs::write(
        scratch.join("deploy/a.yaml"),
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: web\n    securityContext:\n      seccompProfile: {type: Localhost, localhostProfile: deny.json}\n",
    )?;
    // A link to itself is no circle.
    std::os::unix::fs::symlink(".", scratch.join("deploy/loop"))?;
    let finished = audit(
        scratch.path(),
        &[
            "--format=json",
            "--fail-on=never",
            "--profile-root=deploy/b",
            "deploy",
        ],
    )?
    .success()?;
    let report: Value = serde_json::from_slice(&finished.stdout)?;
    let files: Vec<_> = report["findings"]
        .as_array()
        .context("no findings")?
        .iter()
        .filter_map(|finding| finding["file"].as_str())
        .collect();
    for file in ["deploy/a.yaml", "deploy/b/deny.json"] {
        ensure!(files.contains(&file), "{file} is not among {files:?}");
    }
    ensure!(!files.contains(&"deploy/loop/a.yaml"), "{files:?}");
    Ok(())
}

#[test]
fn audits_a_thousand_profiles_quickly() -> Outcome {
    let scratch = Scratch::new()?;
    let dir = scratch.dir("many")?;
    for number in 0..1000 {
        fs::write(
            dir.join(format!("{number}.json")),
            serde_json::to_vec(&aks())?,
        )?;
    }
    let begun = std::time::Instant::now();
    audit(
        scratch.path(),
        &["--format=json", "--fail-on=never", "many"],
    )?
    .success()?;
    let took = begun.elapsed();
    println!("1,000 profiles in {took:?}");
    ensure!(took.as_secs() < 300, "{took:?}");
    Ok(())
}

/// Each file of docs/audit.md is written, each command is run, and what it prints is what stands there.
#[test]
fn documented_examples_run_as_written() -> Outcome {
    let text = fs::read_to_string(workspace().join("docs/audit.md"))?;
    let scratch = Scratch::new()?;
    let bin = scratch.dir("bin")?;
    std::os::unix::fs::symlink(tracer::binary()?, bin.join("tracer"))?;
    let nginx = workspace().canonicalize()?.join("examples/nginx");
    fs::create_dir_all(scratch.join("profiles-out"))?;
    std::os::unix::fs::symlink(nginx, scratch.join("profiles-out/nginx"))?;
    let mut commands = 0;
    for block in text.split("\n```").skip(1).step_by(2) {
        let (head, body) = block.split_once('\n').context("an empty block")?;
        match head.split_once(' ') {
            Some((_, name)) => {
                scratch.file(name, body)?;
            }
            None if head == "console" => {
                for example in format!("\n{body}").split("\n$ ").skip(1) {
                    let (command, expected) = example.split_once('\n').unwrap_or((example, ""));
                    let finished = process::run(
                        Command::new("sh")
                            .args(["-c", command])
                            .current_dir(scratch.path())
                            .env("PATH", format!("{}:{}", bin.display(), tracer::PATH)),
                    )?;
                    let said = finished.text();
                    ensure!(
                        expected.trim().is_empty() || said.trim() == expected.trim(),
                        "{command} says\n{said}\nand not\n{expected}"
                    );
                    ensure!(!finished.stderr.contains("error:"), "{}", finished.stderr);
                    commands += 1;
                }
            }
            None => {}
        }
    }
    ensure!(commands >= 5, "{commands}");
    Ok(())
}

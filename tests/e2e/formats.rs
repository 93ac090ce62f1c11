//! `tracer generate` for where profiles are enforced: what is asked for, and what is said of it.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tracer_tests::{Outcome, needs, process::Finished, requires::Need, scratch::Scratch};

use crate::output::{files, tracer};

/// An example, by another name.
fn example(scratch: &Scratch, name: &str) -> anyhow::Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("examples/nginx/recording.json"))?;
    let mut recording: Value = serde_json::from_str(&text)?;
    recording["workload"]["name"] = name.into();
    let path = scratch.join("recording.json");
    fs::write(&path, recording.to_string())?;
    Ok(path.to_str().context("a path in UTF-8")?.to_owned())
}

fn generate(scratch: &Scratch, options: &[&str], recording: &str) -> anyhow::Result<Finished> {
    let out = scratch.join("out").display().to_string();
    let mut arguments = vec!["generate", "--output", &out];
    arguments.extend(options);
    arguments.push(recording);
    tracer(&arguments)
}

#[test]
fn lists_every_format() -> Outcome {
    let listed = tracer(&["generate", "--format", "help"])?.success()?.text();
    for form in [
        "seccomp ",
        "seccomp-profile ",
        "apparmor-profile ",
        "profile-binding ",
        "security-context ",
        "patch ",
        "kubescape ",
        "artifact ",
        "engine ",
        "compose ",
        "systemd ",
    ] {
        let line = listed.lines().find(|line| line.starts_with(form));
        ensure!(
            line.is_some_and(|line| line.contains(':')),
            "{form}: {listed}"
        );
    }
    ensure!(tracer(&["generate", "--format", "seccomp"])?.status.code() == Some(2));
    Ok(())
}

#[test]
fn invalid_object_name_is_reported() -> Outcome {
    needs!(Need::X86);
    let scratch = Scratch::new()?;
    let recording = example(&scratch, "My_Web")?;
    // By default the rest is written all the same, and what is not is told.
    let finished = generate(&scratch, &[], &recording)?.success()?;
    ensure!(finished.stderr.contains("is not written"), "{finished:?}");
    ensure!(finished.stderr.contains("--profile-name"), "{finished:?}");
    let written: Vec<_> = files(&scratch.join("out/My_Web"))?.into_keys().collect();
    ensure!(
        written.iter().any(|name| name == "seccomp.json")
            && !written.iter().any(|name| name.starts_with("kubernetes/")),
        "{written:?}"
    );
    let asked = generate(&scratch, &["--format", "seccomp-profile"], &recording)?;
    ensure!(asked.status.code() == Some(1), "{asked:?}");
    ensure!(asked.stderr.contains("--profile-name"), "{asked:?}");
    let named = ["--format", "seccomp-profile", "--profile-name", "web"];
    generate(&scratch, &named, &recording)?.success()?;
    let path = scratch.join("out/My_Web/kubernetes/seccompprofile.yaml");
    ensure!(fs::read_to_string(path)?.contains("  name: web\n"));
    Ok(())
}

#[test]
fn renders_for_older_operators_and_clusters() -> Outcome {
    needs!(Need::X86);
    let scratch = Scratch::new()?;
    let recording = example(&scratch, "web")?;
    let of = |options: &[&str]| -> anyhow::Result<String> {
        generate(&scratch, options, &recording)?.success()?;
        let path = scratch.join("out/web/kubernetes/seccompprofile.yaml");
        Ok(fs::read_to_string(path)?)
    };
    ensure!(of(&["--format=seccomp-profile"])?.contains("x-k8s.io/v1\n"));
    let old = of(&["--format=seccomp-profile", "--spo=0.10"])?;
    ensure!(old.contains("x-k8s.io/v1beta1\n"), "{old}");
    for (option, says) in [
        ("--spo=0.8", "update older ones"),
        (
            "--localhost-profile=../x",
            "below the kubelet's seccomp directory",
        ),
        ("--kubernetes=new", "such as 1.29"),
        ("--container=A_b", "a container's name"),
    ] {
        let refused = generate(&scratch, &[option], &recording)?;
        ensure!(refused.status.code() == Some(2), "{refused:?}");
        // Wrapped for a terminal of no known width.
        let said = refused.stderr.replace('\n', " ");
        ensure!(said.contains(says), "{option}: {said}");
    }
    Ok(())
}

#[test]
fn artifact_removes_blobs_of_an_earlier_one() -> Outcome {
    needs!(Need::X86);
    let scratch = Scratch::new()?;
    let recording = example(&scratch, "web")?;
    let blobs = scratch.join("out/web/seccomp-artifact/blobs/sha256");
    generate(&scratch, &["--format=artifact"], &recording)?.success()?;
    let before = files(&blobs)?;
    fs::write(blobs.join("README"), "somebody's")?;
    generate(
        &scratch,
        &["--format=artifact", "--arguments=off"],
        &recording,
    )?
    .success()?;
    let after = files(&blobs)?;
    ensure!(before.len() == 3 && after.len() == 4, "{:?}", after.keys());
    ensure!(after.contains_key("README"));
    ensure!(
        before
            .keys()
            .filter(|name| after.contains_key(*name))
            .count()
            == 1
    );
    Ok(())
}

#[test]
fn manifest_is_rewritten_whole_or_not_at_all() -> Outcome {
    use std::os::unix::fs::PermissionsExt as _;

    needs!(Need::X86);
    let scratch = Scratch::new()?;
    let recording = example(&scratch, "web")?;
    let pod = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: web # it\n";
    let manifest = scratch.file("pod.yaml", pod)?;
    fs::set_permissions(&manifest, fs::Permissions::from_mode(0o640))?;
    let path = manifest.to_str().context("a path in UTF-8")?;
    let printed = generate(&scratch, &["--for", path], &recording)?.success()?;
    ensure!(fs::read_to_string(&manifest)? == pod, "it was changed");
    let printed = String::from_utf8(printed.stdout)?;
    ensure!(
        printed.starts_with(pod) && printed.len() > pod.len(),
        "{printed}"
    );
    generate(&scratch, &["--for", path, "--in-place"], &recording)?.success()?;
    ensure!(fs::read_to_string(&manifest)? == printed);
    ensure!(fs::metadata(&manifest)?.permissions().mode() & 0o777 == 0o640);
    fs::write(
        &manifest,
        "apiVersion: v1\nkind: Pod\nspec: {{ .Values.x }}\n",
    )?;
    let refused = generate(&scratch, &["--for", path, "--in-place"], &recording)?;
    ensure!(refused.status.code() == Some(1), "{refused:?}");
    ensure!(fs::read_to_string(&manifest)?.contains("Values"));
    ensure!(!scratch.join("out").exists(), "profiles were written");
    Ok(())
}

//! `tracer diff` tells real changes, and nothing of what is the same.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome, needs,
    requires::{Need, program},
    scratch::Scratch,
    tracer::{Record, Recorded},
};

use crate::output::tracer;

fn record(scratch: &Scratch, output: &str, script: &str) -> Result<Recorded> {
    let (finished, recorded) = Record::new(&scratch.join(output), "work")?
        .of(["bash", "-c", script])
        .run()?;
    finished.success()?;
    Ok(recorded)
}

/// The calls that changed, with how, in the order of output.
fn changes(before: &str, after: &str) -> Result<Vec<(String, String)>> {
    let finished = tracer(&["diff", before, after, "--format", "json", "--exit-code"])?;
    let diff: Value =
        serde_json::from_slice(&finished.stdout).with_context(|| format!("{finished:?}"))?;
    let changes = diff["changes"].as_array().context("no changes")?;
    ensure!(
        finished.code() == if changes.is_empty() { 0 } else { 3 },
        "{finished:?}"
    );
    let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
    let told = changes
        .iter()
        .map(|it| (text(it, "call"), text(it, "kind")));
    Ok(told.collect())
}

/// The same work recorded twice is no difference, in its recording or in its profile; more work is.
#[test]
fn reports_only_changes_in_the_recorded_work() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::BASH);
    let scratch = Scratch::new()?;
    let once = record(&scratch, "once", "true | cat")?;
    let again = record(&scratch, "again", "true | cat")?;
    let made = scratch.join("made");
    let script = format!("true | cat; mkdir {0}; chmod 700 {0}", made.display());
    let more = record(&scratch, "more", &script)?;
    let directory = |of: &Recorded| of.directory.to_string_lossy().into_owned();
    let profile = |of: &Recorded| of.profile().to_string_lossy().into_owned();
    for path in [directory, profile] {
        let same = changes(&path(&once), &path(&again))?;
        ensure!(same.is_empty(), "{same:?}");
        let told = changes(&path(&once), &path(&more))?;
        let has = |name: &str, kind: &str| told.contains(&(name.to_owned(), kind.to_owned()));
        ensure!(
            has("mkdir", "added") && has("fchmodat", "added"),
            "{told:?}"
        );
        ensure!(told.iter().all(|(_, kind)| kind != "removed"), "{told:?}");
        let back = changes(&path(&more), &path(&once))?;
        ensure!(
            back.contains(&("mkdir".to_owned(), "removed".to_owned())),
            "{back:?}"
        );
    }
    Ok(())
}

#[test]
fn rejects_inputs_that_cannot_be_compared() -> Outcome {
    let scratch = Scratch::new()?;
    let profile = scratch.file("a.json", r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#)?;
    let other = scratch.file("b.json", r#"{"what":1}"#)?;
    let refused = scratch.file(
        "c.json",
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["VAX"]}"#,
    )?;
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/nginx");
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    for (before, after, says) in [
        (text(&profile), example.to_owned(), "is a recording and"),
        (
            text(&profile),
            text(&other),
            "this is not a profile: seccomp has defaultAction",
        ),
        (text(&profile), text(&refused), "c.json:1:1: "),
        (text(&profile), "nowhere".to_owned(), "cannot read nowhere"),
    ] {
        let finished = tracer(&["diff", &before, &after])?;
        ensure!(
            finished.code() == 1 && finished.stderr.contains(says) && finished.stdout.is_empty(),
            "{finished:?}"
        );
    }
    Ok(())
}

/// One profile in each form that people have is the same profile to `diff`, and to `verify`.
#[test]
fn accepts_every_profile_format() -> Outcome {
    let scratch = Scratch::new()?;
    let spec = r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64"],"syscalls":[{"names":["read","ptrace"],"action":"SCMP_ACT_ALLOW"}]}"#;
    let plain = scratch.file("plain.json", spec)?;
    let operator = "apiVersion: security-profiles-operator.x-k8s.io";
    let pod = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: web\n    securityContext: {seccompProfile: {type: Localhost, localhostProfile: web.json}}\n";
    let map = format!("apiVersion: v1\nkind: ConfigMap\ndata:\n  web.json: '{spec}'\n");
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/nginx");
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    for (name, written) in [
        ("docker.json", spec.replace(
            r#""architectures":["SCMP_ARCH_X86_64"]"#,
            r#""archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":[]},{"architecture":"SCMP_ARCH_AARCH64","subArchitectures":[]}]"#,
        )),
        ("names.json", spec.replace(
            r#"{"names":["read","ptrace"],"action":"SCMP_ACT_ALLOW"}"#,
            r#"{"name":"read","action":"SCMP_ACT_ALLOW"},{"name":"ptrace","action":"SCMP_ACT_ALLOW"}"#,
        )),
        ("v1.yaml", format!("{operator}/v1\nkind: SeccompProfile\nmetadata: {{name: web}}\nspec: {spec}\n")),
        ("v1beta1.yaml", format!("{operator}/v1beta1\nkind: SeccompProfile\nmetadata: {{name: web, namespace: shop}}\nspec: {spec}\n")),
        ("v1alpha1.yaml", format!("{operator}/v1alpha1\nkind: SeccompProfile\nmetadata: {{name: web}}\nspec: {{\"targetWorkload\": \"web\", {}\n", &spec[1..])),
        ("kubescape.yaml", format!("apiVersion: kubescape.io/v1\nkind: SeccompProfile\nspec:\n  containers:\n  - name: web\n    path: web.json\n    spec: {spec}\n")),
        ("map.yaml", map.clone()),
        ("pod.yaml", format!("{pod}---\n{map}")),
    ] {
        let file = scratch.file(name, &written)?;
        let same = changes(&text(&plain), &text(&file))?;
        ensure!(same.is_empty(), "{name}: {same:?}");
        let verified = tracer(&["verify", &text(&file), "--recording", recording, "--arch", "x86_64"])?;
        ensure!(
            verified.code() == 3 && verified.text().contains("calls of the workload would be denied"),
            "{name}: {verified:?}"
        );
    }
    let only_names = scratch.file("only.yaml", pod)?;
    let finished = tracer(&["diff", &text(&plain), &text(&only_names)])?;
    ensure!(
        finished.code() == 1 && finished.stderr.contains("names profiles and holds none"),
        "{finished:?}"
    );
    Ok(())
}

/// Whoever asks about a release names its directory, or the profile that is enforced.
#[test]
fn accepts_directories_and_files_beside_a_recording() -> Outcome {
    let scratch = Scratch::new()?;
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    for release in ["v1", "v2"] {
        std::fs::create_dir_all(scratch.join(release).join("nginx"))?;
        for file in ["recording.json", "seccomp.json"] {
            std::fs::copy(
                format!("{example}/nginx/{file}"),
                scratch.join(release).join("nginx").join(file),
            )?;
        }
    }
    let path = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    let same = changes(&path("v1"), &path("v2/nginx"))?;
    ensure!(same.is_empty(), "{same:?}");
    let explained = tracer(&["explain", &path("v1/nginx/seccomp.json"), "futex"])?;
    ensure!(
        explained.code() == 0 && explained.text().starts_with("futex is allowed"),
        "{explained:?}"
    );
    let verified = tracer(&["verify", &path("v1/nginx"), "--recording", &path("v2")])?;
    ensure!(verified.code() == 0, "{verified:?}");
    // Of several workloads it is not known which is meant.
    std::fs::rename(scratch.join("v2/nginx"), scratch.join("v1/other"))?;
    let several = tracer(&["explain", &path("v1"), "futex"])?;
    ensure!(
        several.code() == 1
            && several
                .stderr
                .contains("recordings of 2 workloads; give one of them"),
        "{several:?}"
    );
    let none = tracer(&["explain", &path("v2"), "futex"])?;
    ensure!(
        none.code() == 1 && none.stderr.contains("recording.json"),
        "{none:?}"
    );
    Ok(())
}

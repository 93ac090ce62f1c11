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
fn of_what_was_recorded() -> Outcome {
    needs!(Need::Root, Need::Cgroup2, program::BASH);
    let scratch = Scratch::new()?;
    let once = record(&scratch, "once", "true | cat")?;
    let again = record(&scratch, "again", "true | cat")?;
    let made = scratch.join("made");
    let script = format!("true | cat; mkdir {0}; chmod 700 {0}", made.display());
    let more = record(&scratch, "more", &script)?;
    let folder = |of: &Recorded| of.folder.to_string_lossy().into_owned();
    let profile = |of: &Recorded| of.profile().to_string_lossy().into_owned();
    for path in [folder, profile] {
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
fn of_things_that_cannot_be_compared() -> Outcome {
    let scratch = Scratch::new()?;
    let profile = scratch.file("a.json", r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#)?;
    let other = scratch.file("b.json", r#"{"what":1}"#)?;
    let refused = scratch.file(
        "c.json",
        r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["VAX"]}"#,
    )?;
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../profiles-out/examples/nginx"
    );
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    for (before, after, says) in [
        (text(&profile), example.to_owned(), "is a recording and"),
        (
            text(&profile),
            text(&other),
            "neither a recording nor a seccomp profile",
        ),
        (text(&profile), text(&refused), "no runtime accepts"),
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

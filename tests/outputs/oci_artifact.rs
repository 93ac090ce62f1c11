//! The image layout, by skopeo: it is read, its sums are right, and it is what KEP-6061 asks for.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tracer_tests::{Outcome, needs, process, requires::program, scratch::Scratch};

use super::{
    fixture::{empty, examples, generated},
    renderers::Models,
};

const MEDIA_TYPE: &str = "application/vnd.cncf.seccomp-profile.config.v1+json";

fn write(directory: &Path, files: &[(String, String)]) -> Outcome {
    for (name, text) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().context("a directory")?)?;
        fs::write(path, text)?;
    }
    Ok(())
}

#[test]
fn artifact_layout_matches_kep_6061() -> Outcome {
    let files = Models::new(empty())?.layout()?;
    let text = |name: &str| {
        files
            .iter()
            .find(|(it, _)| it == name)
            .map(|(_, text)| text)
    };
    let index: Value = serde_json::from_str(text("index.json").context("an index")?)?;
    let digest = |value: &Value| {
        let digest = value["digest"].as_str().unwrap_or_default();
        format!("blobs/{}", digest.replace(':', "/"))
    };
    let manifest = text(&digest(&index["manifests"][0])).context("a manifest")?;
    let manifest: Value = serde_json::from_str(manifest)?;
    ensure!(manifest["config"]["mediaType"] == MEDIA_TYPE);
    ensure!(manifest["artifactType"] == MEDIA_TYPE);
    let layers = manifest["layers"].as_array().context("layers")?;
    ensure!(layers.len() == 1, "exactly one layer");
    let layer = text(&digest(&layers[0])).context("a layer")?;
    ensure!(layers[0]["size"] == layer.len());
    let profile: Value = serde_json::from_str(layer)?;
    ensure!(profile["defaultAction"] == "SCMP_ACT_ERRNO");
    let layout: Value = serde_json::from_str(text("oci-layout").context("a layout")?)?;
    ensure!(layout["imageLayoutVersion"] == "1.0.0");
    Ok(())
}

#[test]
fn skopeo_copies_the_artifact() -> Outcome {
    needs!(program::SKOPEO);
    for recording in examples().into_iter().chain([empty()]).chain(generated(6)?) {
        let scratch = Scratch::new()?;
        let from = scratch.dir("from")?;
        write(&from, &Models::new(recording)?.layout()?)?;
        // The sum of each blob is checked on the way.
        let copied = process::run(Command::new("skopeo").args([
            "copy",
            "--insecure-policy",
            &format!("oci:{}:web", from.display()),
            &format!("dir:{}", scratch.join("to").display()),
        ]))?;
        copied.success()?;
        let manifest = fs::read_to_string(scratch.join("to/manifest.json"))?;
        let manifest: Value = serde_json::from_str(&manifest)?;
        ensure!(
            manifest["config"]["mediaType"] == MEDIA_TYPE,
            "{manifest:#}"
        );
        let digest = manifest["layers"][0]["digest"].as_str().unwrap_or_default();
        let blob = scratch
            .join("to")
            .join(digest.trim_start_matches("sha256:"));
        let profile: Value = serde_json::from_str(&fs::read_to_string(blob)?)?;
        ensure!(profile["syscalls"].is_array());
    }
    Ok(())
}

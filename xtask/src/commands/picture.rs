//! `cargo xtask picture`: draws README's picture of the page that `tracer report` makes.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::cmd::{self, say};
use crate::commands::build::{self, Object, Progress};
use crate::commands::setup;
use crate::packages;
use crate::workspace::Workspace;

/// Of which recording.
const EXAMPLE: &str = "examples/nginx";

/// Where README looks for it.
const PICTURE: &str = "docs/page.png";

/// How much of the page is in it, in pixels: as much as answers whether to enforce.
const SIZE: &str = "1200,1010";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let missing = packages::ensure(workspace, &["chromium", "fonts-dejavu-core"], true)?;
    ensure!(
        missing.is_empty(),
        "there is no Chromium to draw with: install {missing:?}"
    );
    let tools = setup::ensure(workspace)?;
    let object = build::kernel_object(workspace, &tools, Object::Tracer)?;
    let tracer = build::tracer(workspace, &object, Progress::Shown)?;
    let directory = workspace.target.join("picture");
    std::fs::create_dir_all(&directory)?;
    let (page, picture) = (directory.join("page.html"), directory.join("page.png"));
    let mut report = Command::new(tracer);
    report
        .arg("report")
        .arg(workspace.root.join(EXAMPLE))
        .arg("--output")
        .arg(&page);
    cmd::run(&mut report)?;
    // Root's Chromium has no sandbox; the page is our own.
    let mut browser = Command::new("chromium");
    browser
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        .arg(format!("--window-size={SIZE}"))
        .arg(format!(
            "--user-data-dir={}",
            directory.join("browser").display()
        ))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()));
    cmd::run(&mut browser)?;
    let target = workspace.root.join(PICTURE);
    std::fs::copy(&picture, &target)
        .with_context(|| format!("cannot write {}", target.display()))?;
    say(format_args!("wrote {PICTURE}"));
    Ok(())
}

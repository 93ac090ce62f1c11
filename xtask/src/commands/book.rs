//! `cargo xtask book`: makes a book of the documents, with mdBook.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cmd::{self, say};
use crate::workspace::Workspace;

/// The version that is built where there is none.
const VERSION: &str = "0.5.4";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mdbook = match cmd::find("mdbook") {
        Some(found) => found,
        None => install(workspace)?,
    };
    let target = workspace.target.join("book");
    let mut build = Command::new(mdbook);
    build
        .arg("build")
        .arg(&workspace.root)
        .arg("--dest-dir")
        .arg(&target);
    cmd::run(&mut build)?;
    say(format_args!(
        "the book begins at {}",
        target.join("index.html").display()
    ));
    Ok(())
}

/// mdBook in the target directory, built the first time.
fn install(workspace: &Workspace) -> Result<PathBuf> {
    let root = workspace.target.join("tools");
    let mdbook = root.join("bin/mdbook");
    if !mdbook.exists() {
        say(format_args!("builds mdBook {VERSION}, once"));
        let mut install = workspace.cargo();
        install
            .args([
                "install",
                "--locked",
                "--no-default-features",
                "--version",
                VERSION,
                "--root",
            ])
            .arg(&root)
            .arg("mdbook");
        cmd::run(&mut install)?;
    }
    Ok(mdbook)
}

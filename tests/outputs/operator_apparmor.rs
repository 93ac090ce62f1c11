//! What the operator makes of an AppArmorProfile is taken by apparmor_parser: a rule for each entry, in the
//! forms that the operator gives them (internal/pkg/daemon/apparmorprofile/crd2armor).

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tracer_core::profile::kubernetes::Operator;
use tracer_tests::{Outcome, needs, requires::Need};

use super::{
    fixture::{HOSTILE, generated, hostile},
    renderers::{Models, OPERATORS, documents},
};

fn text(object: &Value, operator: Operator) -> String {
    let rules = &object["spec"]["abstract"];
    let (execute, write, both) = match operator {
        Operator::V1 => ("ixr", "wlk", "rwlk"),
        Operator::V0_10 => ("ix", "wl", "rwl"),
    };
    let mut text = String::from(
        "include <tunables/global>\nprofile web flags=(attach_disconnected,mediate_deleted) {\n",
    );
    for (group, list, permissions, denied) in [
        ("executable", "allowedExecutables", execute, ""),
        ("executable", "allowedLibraries", "mr", ""),
        ("filesystem", "readOnlyPaths", "r", write),
        ("filesystem", "writeOnlyPaths", write, "r"),
        ("filesystem", "readWritePaths", both, ""),
    ] {
        for path in rules[group][list].as_array().into_iter().flatten() {
            let path = path.as_str().unwrap_or_default();
            let path = match operator {
                Operator::V1 => format!("\"{path}\""),
                // It puts no quotes around them.
                Operator::V0_10 => path.to_owned(),
            };
            text += &format!("  {path} {permissions},\n");
            if !denied.is_empty() {
                text += &format!("  deny {path} {denied},\n");
            }
        }
    }
    let capabilities = &rules["capability"]["allowedCapabilities"];
    for name in capabilities.as_array().into_iter().flatten() {
        text += &format!("  capability {},\n", name.as_str().unwrap_or_default());
    }
    text + "}\n"
}

#[test]
fn apparmor_parser_accepts_the_operators_text() -> Outcome {
    needs!(Need::Program("apparmor_parser", "apparmor"));
    let generated = generated(10)?;
    for recording in HOSTILE.iter().map(|text| hostile(text)).chain(generated) {
        let models = Models::new(recording)?;
        for operator in OPERATORS {
            let made = models
                .apparmor_profile(operator)?
                .context("files were observed")?;
            let object = documents(&made.text)?
                .into_iter()
                .next()
                .context("an object")?;
            let text = text(&object, operator);
            let mut parser = Command::new("apparmor_parser")
                .args([
                    "--skip-kernel-load",
                    "--skip-cache",
                    "--optimize",
                    "no-expr-simplify",
                ])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?;
            std::io::Write::write_all(
                &mut parser.stdin.take().context("it was asked for")?,
                text.as_bytes(),
            )?;
            let output = parser.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{operator:?}: {said}\n{text}");
        }
    }
    Ok(())
}

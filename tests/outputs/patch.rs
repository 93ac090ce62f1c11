//! The patch, by kubectl: it changes the container that it names and nothing else.

use std::{fs, process::Command};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tracer_tests::{Outcome, needs, process, requires::Need, scratch::Scratch};

use super::{
    fixture::{empty, examples, generated},
    renderers::{Models, documents},
};

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata:
      labels: {app: cart}
    spec:
      containers:
      - name: side
        image: side:1
      - name: web
        image: cart:1
        securityContext:
          runAsUser: 101
          seccompProfile: {type: RuntimeDefault}
";

#[test]
fn kubectl_accepts_the_patch_of_any_recording() -> Outcome {
    needs!(Need::Kubectl);
    for recording in examples().into_iter().chain(generated(6)?) {
        let scratch = Scratch::new()?;
        let patch = Models::new(recording)?.patch(false)?.text;
        fs::write(scratch.join("deployment.yaml"), DEPLOYMENT)?;
        fs::write(scratch.join("patch.yaml"), &patch)?;
        let mut kubectl = Command::new("kubectl");
        kubectl
            .args(["patch", "--local", "--type=strategic", "-o", "yaml"])
            .args(["-f", "deployment.yaml", "--patch-file", "patch.yaml"])
            .current_dir(scratch.path());
        let finished = process::run(&mut kubectl)?.success()?;
        let merged = documents(&String::from_utf8(finished.stdout)?)?;
        let containers = &merged[0]["spec"]["template"]["spec"]["containers"];
        ensure!(
            containers.as_array().is_some_and(|all| all.len() == 2),
            "{patch}"
        );
        ensure!(containers[1]["securityContext"]["seccompProfile"]["type"] == "Localhost");
    }
    Ok(())
}

#[test]
fn kubectl_merges_the_patch() -> Outcome {
    needs!(Need::Kubectl);
    let models = Models::new(empty())?;
    for old in [false, true] {
        let scratch = Scratch::new()?;
        fs::write(scratch.join("deployment.yaml"), DEPLOYMENT)?;
        fs::write(scratch.join("patch.yaml"), models.patch(old)?.text)?;
        let mut kubectl = Command::new("kubectl");
        kubectl
            .args(["patch", "--local", "--type=strategic", "-o", "yaml"])
            .args(["-f", "deployment.yaml", "--patch-file", "patch.yaml"])
            .current_dir(scratch.path());
        let finished = process::run(&mut kubectl)?.success()?;
        let merged = documents(&String::from_utf8(finished.stdout)?)?;
        let pod = &merged.first().context("an object")?["spec"]["template"];
        let containers = pod["spec"]["containers"].as_array().context("containers")?;
        ensure!(containers.len() == 2, "{containers:#?}");
        ensure!(
            containers[0] == json!({"name": "side", "image": "side:1", "resources": {}})
                || containers[0] == json!({"name": "side", "image": "side:1"}),
            "{:#}",
            containers[0]
        );
        let context = &containers[1]["securityContext"];
        let name = "shop.deployment-cart.web";
        let seccomp =
            json!({"type": "Localhost", "localhostProfile": format!("operator/{name}.json")});
        ensure!(context["seccompProfile"] == seccomp, "{context:#}");
        ensure!(context["runAsUser"] == 101);
        ensure!(context["runAsNonRoot"] == true);
        ensure!(context["allowPrivilegeEscalation"] == false);
        ensure!(context["capabilities"] == json!({"drop": ["ALL"]}));
        let annotation =
            &pod["metadata"]["annotations"]["container.apparmor.security.beta.kubernetes.io/web"];
        if old {
            ensure!(*annotation == format!("localhost/{name}"));
            ensure!(context["appArmorProfile"] == Value::Null);
        } else {
            ensure!(*annotation == Value::Null);
            ensure!(context["appArmorProfile"]["localhostProfile"] == name);
        }
    }
    Ok(())
}

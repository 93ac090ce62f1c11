//! The agent as a DaemonSet of a real cluster, as its manifests install it: two capabilities, and no socket of the
//! runtime. The API server says who is who.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome,
    kubernetes::{self, Cluster, IMAGE},
    needs, process,
    recording::{Recording, SyscallId},
    requires::{Need, program},
    rootfs::Rootfs,
    scratch::Scratch,
    tracer, wait,
};

/// How long pods may take, several of them one after the other.
const PATIENCE: Duration = Duration::from_secs(180);

/// What each of three replicas does and the others do not. `mkdir` says who is first.
const SCRIPT: &str = "for n in 1 2 3; do mkdir /shared/$n 2>/dev/null && break; done; \
    case $n in 1) mkfifo /tmp.fifo;; 2) ln -s a /tmp.link;; 3) chgrp 7 /bin/busybox;; esac; \
    touch /shared/$n/done; while true; do sleep 1; done";

/// The calls of these, by whichever name libc makes them: mknod and mknodat, symlink and symlinkat, chown, lchown and
/// fchownat.
const ONE_EACH: [&[u32]; 3] = [&[133, 259], &[88, 266], &[92, 94, 260]];

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> Result<String> {
    Ok(process::run(&mut cluster.kubectl(arguments))?
        .success()?
        .text())
}

/// Installs the agent by the manifests that `tracer kubernetes install` prints. Its spool is in `spool`, and not in
/// the machine's own place for one.
fn install(cluster: &Cluster, scratch: &Scratch, spool: &Path) -> Result<()> {
    let program = tracer::binary()?;
    let rootfs = Rootfs::new(&scratch.dir("image")?)?.with_program(&program)?;
    let archive = scratch.join("tracer.tar");
    let program = program.to_str().context("the program's path")?;
    let scratch = scratch.join("image-parts");
    rootfs.archive(&scratch, "localhost/tracer:0.1.0", &[program], &archive)?;
    cluster.load(&archive)?;
    let mut print = tracer::command()?;
    print.args(["kubernetes", "install", "--dry-run"]);
    let manifests = process::run(&mut print)?.success()?.text();
    // The image of a release begins with the program, and this one with a shell.
    let manifests = manifests
        .replace(
            "path: /var/lib/tracer",
            &format!("path: {}", spool.display()),
        )
        .replace(
            "args: [agent,",
            &format!("command: [{program}]\n          args: [agent,"),
        );
    ensure!(manifests.contains("command: ["), "{manifests}");
    cluster.apply(&manifests)?;
    kubectl(
        cluster,
        &[
            "-n",
            "tracer",
            "rollout",
            "status",
            "ds/tracer-agent",
            "--timeout=120s",
        ],
    )
    .with_context(|| logs(cluster))?;
    Ok(())
}

fn logs(cluster: &Cluster) -> String {
    let arguments = ["-n", "tracer", "logs", "ds/tracer-agent", "--tail=50"];
    kubectl(cluster, &arguments).unwrap_or_default()
}

fn deployment(shared: &Path, profile: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      initContainers:
      - {{name: init, image: \"{IMAGE}\", imagePullPolicy: Never, command: [sh, -c, id]}}
      containers:
      - name: main
        image: \"{IMAGE}\"
        imagePullPolicy: Never
        command: [sh, -c, {SCRIPT:?}]
        volumeMounts: [{{name: shared, mountPath: /shared}}]
        securityContext: {{{profile}}}
      volumes: [{{name: shared, hostPath: {{path: {shared:?}, type: Directory}}}}]
"
    )
}

fn spool(directory: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let mut command = tracer::command()?;
    command.arg("spool").args(arguments);
    command
        .arg("--spool-directory")
        .arg(directory.join("spool"));
    Ok(process::run(&mut command)?.success()?.stdout)
}

/// The workloads of the spool, as NAMESPACE/KIND/OWNER/CONTAINER.
fn workloads(directory: &Path) -> Result<Vec<String>> {
    let listed: Value = serde_json::from_slice(&spool(directory, &["list", "--format", "json"])?)?;
    let text = |key: &Value, part: &str| key[part].as_str().unwrap_or_default().to_owned();
    let entries = listed.as_array().context("a list")?.iter();
    let mut names: Vec<_> = entries
        .map(|entry| ["namespace", "kind", "owner", "container"].map(|it| text(&entry["key"], it)))
        .map(|parts| parts.join("/"))
        .collect();
    names.sort();
    Ok(names)
}

/// Waits until three replicas have done their work.
fn until_done(shared: &Path) -> Result<()> {
    wait::within(PATIENCE, "each replica to do its part", || {
        let is_done = |n: u32| shared.join(format!("{n}/done")).exists();
        Ok((1..=3).all(is_done).then_some(()))
    })
}

fn empty(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        fs::remove_dir_all(entry?.path())?;
    }
    Ok(())
}

/// Waits until the agent's recording of the Deployment has all that its replicas did, and returns its file.
fn recorded(cluster: &Cluster, directory: &Path, scratch: &Scratch) -> Result<std::path::PathBuf> {
    let name = "default/deployment/web/main";
    wait::within(PATIENCE, "one recording of three replicas", || {
        if !workloads(directory)?.iter().any(|it| it == name) {
            return Ok(None);
        }
        let exported = spool(directory, &["export", name])?;
        let recording: Recording = serde_json::from_slice(&exported)?;
        let calls = recording.made_in("run");
        let is_made = |nr: &u32| calls.contains(&SyscallId::x86_64(*nr));
        let has_all = ONE_EACH.iter().all(|names| names.iter().any(is_made));
        if recording.instances.len() != 3 || !has_all {
            return Ok(None);
        }
        Ok(Some(
            scratch.file("recording.json", &String::from_utf8(exported)?)?,
        ))
    })
    .with_context(|| logs(cluster))
}

/// Makes a profile of the recording, and puts it where kubelet looks.
fn enforce(cluster: &Cluster, recording: &Path, scratch: &Scratch) -> Result<()> {
    let mut generate = tracer::command()?;
    generate.args(["generate", "--format", "seccomp", "--output-dir"]);
    generate.arg(scratch.join("profiles")).arg(recording);
    let paths = process::run(&mut generate)?.success()?.text();
    let profile = paths.lines().next().context("a profile was written")?;
    let place = cluster.seccomp_profiles(1).join("tracer");
    fs::create_dir_all(&place)?;
    fs::copy(profile, place.join("web.json"))?;
    Ok(())
}

/// Runs a command in a pod. Returns whether it could.
fn runs_in(cluster: &Cluster, pod: &str, command: &[&str]) -> Result<bool> {
    let mut exec: Command = cluster.kubectl(&["exec", pod, "-c", "main", "--"]);
    let finished = process::run(exec.args(command))?;
    let said = finished.stderr.clone();
    match finished.success() {
        Ok(_) => Ok(true),
        Err(_) if said.contains("Operation not permitted") => Ok(false),
        Err(error) => Err(error),
    }
}

/// What the agent may do in the cluster, and what the process may do that asks the API server.
fn has_few_rights(cluster: &Cluster) -> Result<()> {
    let account = "--as=system:serviceaccount:tracer:tracer-agent";
    for (verb, resource, is_allowed) in [
        ("list", "pods", true),
        ("watch", "pods", true),
        ("get", "replicasets.apps", true),
        ("get", "pods", false),
        ("create", "pods", false),
        ("create", "pods/exec", false),
        ("get", "secrets", false),
        ("list", "replicasets.apps", false),
        ("patch", "deployments.apps", false),
        ("create", "serviceaccounts/token", false),
    ] {
        let question = ["auth", "can-i", verb, resource, "-A", account];
        // Its status is 1 for "no".
        let said = process::run(&mut cluster.kubectl(&question))?.text();
        let expected = if is_allowed { "yes" } else { "no" };
        ensure!(said.trim() == expected, "{verb} {resource}: {said}");
    }
    let asks = fs::read_dir("/proc")?.flatten().map(|it| it.path());
    let asks: Vec<_> = asks
        .filter(|it| {
            let line = fs::read(it.join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("kubernetes\0names\0--node\0node-1")
        })
        .collect();
    ensure!(!asks.is_empty(), "nobody asks the API server");
    for process in asks {
        let status = fs::read_to_string(process.join("status"))?;
        for expected in ["CapPrm:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
            ensure!(status.contains(expected), "no {expected} in {status}");
        }
    }
    Ok(())
}

/// The objects of a YAML stream, in an order of their own.
fn objects(text: &str) -> Result<Vec<Value>> {
    let mut objects: Vec<Value> = text
        .split("---\n")
        .map(|it| Ok(serde_saphyr::from_str(it)?))
        .collect::<Result<_>>()?;
    objects.sort_by_key(|it| (it["kind"].to_string(), it["metadata"].to_string()));
    Ok(objects)
}

/// What `tracer kubernetes install` prints is what kustomize makes of `packaging/kubernetes`.
#[test]
fn kustomize_makes_what_install_prints() -> Outcome {
    needs!(Need::Kubernetes);
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/kubernetes");
    for (directory, options) in [
        ("base", &[][..]),
        ("overlays/namespaced", &["--only-namespace", "shop"]),
    ] {
        let mut kustomize = Command::new(kubernetes::programs()?.join("kubectl"));
        kustomize.arg("kustomize").arg(place.join(directory));
        let made = process::run(&mut kustomize)?.success()?.text();
        let mut install = tracer::command()?;
        install
            .args(["kubernetes", "install", "--dry-run"])
            .args(options);
        let printed = process::run(&mut install)?.success()?.text();
        let (made, printed) = (objects(&made)?, objects(&printed)?);
        ensure!(made == printed, "{directory}: {made:#?}\n{printed:#?}");
    }
    Ok(())
}

/// While the API server does not answer, containers are recorded that start meanwhile, and named afterwards.
fn names_come_late(cluster: &Cluster, directory: &Path) -> Result<()> {
    cluster.apply(&format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: again}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, image: \"{IMAGE}\", imagePullPolicy: Never, command: [sh, -c, \"id; sleep 3\"]}}]
"
    ))?;
    let started = || -> Result<Vec<jiff::Timestamp>> {
        let name = "default/pod/again/main";
        if !workloads(directory)?.iter().any(|it| it == name) {
            return Ok(Vec::new());
        }
        let recording: Recording = serde_json::from_slice(&spool(directory, &["export", name])?)?;
        let began = recording.instances.iter().map(|it| Ok(it.began.parse()?));
        began.collect()
    };
    wait::within(PATIENCE, "the first run of the container", || {
        Ok((!started()?.is_empty()).then_some(()))
    })?;
    cluster.pause_api_server()?;
    let paused = jiff::Timestamp::now();
    // kubelet starts it again without asking anybody; at first at once, then after ten seconds.
    std::thread::sleep(Duration::from_secs(16));
    let is_before = started()?.iter().all(|it| *it <= paused);
    ensure!(is_before, "it was named while nobody could tell");
    cluster.continue_api_server()?;
    let continued = jiff::Timestamp::now();
    let what = "a run that began while the API server was away";
    wait::within(PATIENCE, what, || {
        let is_meant = |it: &jiff::Timestamp| *it > paused && *it < continued;
        Ok(started()?.iter().any(is_meant).then_some(()))
    })
    .with_context(|| logs(cluster))
}

/// The example of a policy refuses a pod without a profile, and no other.
fn policy_refuses_pods_without_a_profile(cluster: &Cluster) -> Result<()> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/kubernetes/policies");
    cluster.apply(&fs::read_to_string(place.join("require-profile.yaml"))?)?;
    kubectl(
        cluster,
        &["label", "ns", "default", "tracer.io/require-profile=true"],
    )?;
    let pod = |of_pod: &str, of_container: &str| {
        format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: asked}}
spec:
  securityContext: {{{of_pod}}}
  containers: [{{name: main, image: \"{IMAGE}\", securityContext: {{{of_container}}}}}]
"
        )
    };
    let is_refused = |objects: &str| -> Result<bool> {
        let scratch = Scratch::new()?;
        let file = scratch.file("pod.yaml", objects)?;
        let mut create = cluster.kubectl(&["create", "--dry-run=server", "-f"]);
        let finished = process::run(create.arg(file))?;
        let is_refused = finished.stderr.contains("tracer-require-profile");
        ensure!(is_refused || finished.success().is_ok(), "{objects}");
        Ok(is_refused)
    };
    // The API server takes a moment to know it.
    wait::within(PATIENCE, "the policy to be in force", || {
        Ok(is_refused(&pod("", ""))?.then_some(()))
    })?;
    let own = "seccompProfile: {type: Localhost, localhostProfile: tracer/web.json}";
    let other = "seccompProfile: {type: RuntimeDefault}";
    let another = "seccompProfile: {type: Localhost, localhostProfile: a.json}";
    let privileged = format!("privileged: true, {own}");
    for (of_pod, of_container, expected) in [
        (own, "", false),
        ("", own, false),
        (other, own, false),
        (own, other, true),
        (other, "", true),
        ("", another, true),
        ("", &privileged, true),
    ] {
        let refused = is_refused(&pod(of_pod, of_container))?;
        ensure!(refused == expected, "{of_pod} {of_container}: {refused}");
    }
    Ok(())
}

/// Three replicas, each of which does one thing that the others do not, are one workload under the Deployment's name.
/// The profile of it runs them, and denies what none of them did. The sandboxes, the agent and containers of no pod
/// are no workloads.
#[test]
fn daemon_set_records_a_deployment_whose_profile_runs_it() -> Outcome {
    needs!(
        Need::Root,
        Need::Cgroup2,
        Need::Kubernetes,
        program::RUNC,
        program::BUSYBOX
    );
    let scratch = Scratch::new()?;
    let cluster = Cluster::start(1)?;
    let directory = scratch.dir("agent")?;
    install(&cluster, &scratch, &directory)?;
    let shared = scratch.dir("shared")?;
    cluster.apply(&deployment(&shared, ""))?;
    until_done(&shared)?;
    let recording = recorded(&cluster, &directory, &scratch)?;
    let found = workloads(&directory)?;
    let expected = ["default/deployment/web/init", "default/deployment/web/main"];
    ensure!(found == expected, "{found:?}:\n{}", logs(&cluster));
    let read = Recording::read(&recording)?;
    let reasons = read.coverage.reasons.iter();
    let reasons: Vec<_> = reasons.filter(|it| it.code != "still-running").collect();
    ensure!(reasons.is_empty(), "{reasons:?}");
    has_few_rights(&cluster)?;

    // A pod without a profile can make the call that none of the replicas made.
    let plain = format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: plain}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, image: \"{IMAGE}\", imagePullPolicy: Never, command: [sleep, 1d]}}]
"
    );
    cluster.apply(&plain)?;
    kubectl(
        &cluster,
        &[
            "wait",
            "--for=condition=Ready",
            "pod/plain",
            "--timeout=120s",
        ],
    )?;
    let link = ["ln", "/bin/busybox", "/linked"];
    ensure!(runs_in(&cluster, "plain", &link)?);

    enforce(&cluster, &recording, &scratch)?;
    kubectl(&cluster, &["scale", "deploy/web", "--replicas=0"])?;
    kubectl(
        &cluster,
        &[
            "wait",
            "--for=delete",
            "pod",
            "-l",
            "app=web",
            "--timeout=120s",
        ],
    )?;
    empty(&shared)?;
    let profile = "seccompProfile: {type: Localhost, localhostProfile: tracer/web.json}";
    cluster.apply(&deployment(&shared, profile))?;
    kubectl(
        &cluster,
        &["rollout", "status", "deploy/web", "--timeout=180s"],
    )?;
    until_done(&shared)?;
    ensure!(
        !runs_in(&cluster, "deploy/web", &link)?,
        "link was not denied"
    );
    names_come_late(&cluster, &directory)?;
    policy_refuses_pods_without_a_profile(&cluster)
}

use super::*;
use crate::container::{Files, cri::Snapshot};

/// Two containers whose ids begin alike, one of them in a pod, and one of plain crun.
fn machine() -> (tempfile::TempDir, tempfile::TempDir, MetadataSources) {
    let (cgroups, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (
        format!("ab{}", "0".repeat(62)),
        format!("ab{}", "1".repeat(62)),
    );
    for path in [
        format!("docker/{a}/init.scope/x"),
        format!("kubepods/pod1/{b}"),
        "t/c1/container".to_owned(),
        "system.slice/nginx.service".to_owned(),
    ] {
        fs::create_dir_all(cgroups.path().join(path)).unwrap();
    }
    for (file, text) in [
        (
            "run/crun/ab/status".to_owned(),
            r#"{"cgroup-path":"/t/c1","bundle":"/b"}"#.to_owned(),
        ),
        (
            format!("var/lib/docker/containers/{a}/config.v2.json"),
            r#"{"Name":"/web"}"#.to_owned(),
        ),
        (
            format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{b}/config.json"),
            r#"{"annotations":{"io.kubernetes.cri.container-name":"web","io.kubernetes.cri.sandbox-name":"p",
            "io.kubernetes.cri.sandbox-namespace":"n"}}"#
                .to_owned(),
        ),
    ] {
        let path = files.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let sources = MetadataSources {
        api: Snapshot::default(),
        asks_api: false,
        files: Files::new(files.path()),
        cri: Snapshot::default(),
        node: None,
        problems: Vec::new(),
    };
    (cgroups, files, sources)
}

#[test]
fn each_selector_finds_its_containers() {
    let (cgroups, _files, sources) = machine();
    let all = walk(cgroups.path(), &sources).unwrap().found;
    let ids: Vec<&str> = all
        .iter()
        .map(|found| &found.container.id[..3.min(found.container.id.len())])
        .collect();
    assert_eq!(ids, ["ab0", "ab1", "ab"]);
    for found in &all {
        assert_eq!(
            found.cgroup.path.to_str(),
            Some(found.container.cgroup.as_str())
        );
        assert_eq!(
            found.cgroup.id,
            fs::metadata(&found.cgroup.directory).unwrap().ino()
        );
    }
    let chosen = |selector: Selector| choose(all.clone(), &selector).len();
    assert_eq!(chosen(Selector::All), 3);
    assert_eq!(chosen(Selector::container("ab0").unwrap()), 1);
    // A whole id counts more than the beginning of others.
    assert_eq!(chosen(Selector::container("ab").unwrap()), 1);
    assert_eq!(chosen(Selector::container("a").unwrap()), 3);
    assert_eq!(chosen(Selector::container("web").unwrap()), 2);
    assert_eq!(chosen(Selector::pod("n/p").unwrap()), 1);
    assert_eq!(chosen(Selector::pod("n/q").unwrap()), 0);
    assert_eq!(chosen(Selector::container("../../etc").unwrap()), 0);
}

#[test]
fn short_text_is_not_an_id_of_later_containers() {
    let (cgroups, _files, sources) = machine();
    let all = walk(cgroups.path(), &sources).unwrap().found;
    let later = |text: &str| {
        let selector = Selector::container(text).unwrap();
        let means = |found: &&Found| selector.matches_later(&found.container);
        all.iter().filter(means).count()
    };
    assert_eq!((later("a"), later("ab"), later("ab0")), (0, 1, 0));
    assert_eq!((later("ab0000000000"), later("web")), (1, 2));
}

#[test]
fn unreadable_file_is_reported() {
    let (cgroups, files, sources) = machine();
    fs::write(files.path().join("run/crun/ab/status"), "{").unwrap();
    let search = walk(cgroups.path(), &sources).unwrap();
    assert_eq!((search.found.len(), search.problems.len()), (2, 1));
}

#[test]
fn empty_selectors_are_rejected() {
    for text in ["", "n", "/p", "n/", "a/b/c"] {
        assert!(Selector::pod(text).is_err(), "{text}");
    }
    assert!(Selector::container("").is_err());
    let error = Selector::container(&"\u{1b}".repeat(300))
        .unwrap_err()
        .to_string();
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn missing_hierarchy_is_an_error() {
    let (_cgroups, _files, sources) = machine();
    assert!(walk(Path::new("/nonexistent"), &sources).is_err());
}

/// Prints every container of this machine, as `record --all` sees it.
#[test]
#[ignore = "needs containers: cargo test -p tracer-recorder --lib container::find -- --ignored --nocapture"]
fn lists_this_machines_containers() {
    let mut sources = MetadataSources::local();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(sources.refresh_cri(None));
    eprintln!("problems: {:?}", sources.problems);
    let hierarchy = Hierarchy::open().unwrap();
    for found in walk(hierarchy.root(), &sources).unwrap().found {
        eprintln!("{found:#?}");
        assert!(found.cgroup.exists());
    }
}

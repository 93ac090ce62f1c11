use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    path::PathBuf,
    thread,
    time::Instant,
};

use super::*;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A socket where each connection is handed to `serve`.
fn socket(
    serve: impl Fn(std::os::unix::net::UnixStream) + Send + 'static,
) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cri.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            serve(stream);
        }
    });
    (directory, path)
}

fn fails(path: &Path, limit: Duration) -> String {
    let began = Instant::now();
    let error = block_on(Snapshot::ask(path, limit))
        .unwrap_err()
        .to_string();
    assert!(
        began.elapsed() < limit * 4 + Duration::from_secs(2),
        "{error}"
    );
    assert!(!error.contains(['\n', '\u{1b}']), "{error:?}");
    error
}

#[test]
fn silent_socket_times_out() {
    let (_directory, path) = socket(|stream| {
        // Take all, say nothing, keep it open.
        thread::spawn(move || {
            let mut stream = stream;
            let _ = stream.read_to_end(&mut Vec::new());
        });
    });
    let error = fails(&path, Duration::from_millis(300));
    assert!(error.contains("did not answer"), "{error}");
}

#[test]
fn full_accept_queue_times_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cri.sock");
    // Nobody accepts.
    let _listener = UnixListener::bind(&path).unwrap();
    fails(&path, Duration::from_millis(300));
}

#[test]
fn malformed_answers_are_errors() {
    for said in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"\x1b[2J\n\n", b""] {
        let (_directory, path) = socket(move |mut stream| {
            let _ = stream.write_all(said);
        });
        fails(&path, Duration::from_millis(500));
    }
    let absent = Path::new("/nonexistent/cri.sock");
    assert!(fails(absent, TIMEOUT).contains("No such file"));
}

#[test]
fn containers_are_joined_with_pods_and_images() {
    let map = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let pods = ListPodSandboxResponse {
        items: vec![wire::PodSandbox {
            id: "sandbox".to_owned(),
            metadata: Some(wire::PodSandboxMetadata {
                name: "web-0".to_owned(),
                uid: "u".to_owned(),
                namespace: "shop".to_owned(),
            }),
            labels: map("app", "web"),
            annotations: map("k", "v"),
        }],
    };
    let container = wire::Container {
        id: "c".to_owned(),
        pod_sandbox_id: "sandbox".to_owned(),
        metadata: Some(wire::ContainerMetadata {
            name: "nginx".to_owned(),
            attempt: 2,
        }),
        image: Some(wire::ImageSpec {
            image: "sha256:1".to_owned(),
            ..wire::ImageSpec::default()
        }),
        image_ref: "sha256:1".to_owned(),
        state: 1,
        ..wire::Container::default()
    };
    let orphan = wire::Container {
        id: "orphan".to_owned(),
        state: 77,
        ..wire::Container::default()
    };
    let images = ListImagesResponse {
        images: vec![wire::Image {
            id: "sha256:1".to_owned(),
            repo_tags: vec!["nginx:1".to_owned()],
            repo_digests: vec!["nginx@sha256:2".to_owned()],
        }],
    };
    let list = ListContainersResponse {
        containers: vec![container, orphan],
    };
    let snapshot = Snapshot::of(pods, list, &images);
    assert_eq!(snapshot.len(), 3);
    let container = snapshot.get("c").unwrap();
    assert_eq!(
        (container.namespace.as_str(), container.pod.as_str()),
        ("shop", "web-0")
    );
    assert_eq!((container.name.as_str(), container.attempt), ("nginx", 2));
    assert_eq!(
        (container.image.as_str(), container.digest.as_str()),
        ("nginx:1", "nginx@sha256:2")
    );
    assert_eq!(
        (container.state, container.sandbox),
        (CriState::Running, false)
    );
    assert_eq!(
        container.pod_labels.get("app").map(String::as_str),
        Some("web")
    );
    assert!(snapshot.get("sandbox").unwrap().sandbox);
    assert_eq!(snapshot.get("orphan").unwrap().state, CriState::Unknown);
}

/// Prints what the runtime of this machine says.
#[test]
#[ignore = "needs a CRI socket: cargo test -p tracer-recorder --lib container::cri -- --ignored --nocapture"]
fn lists_this_machines_cri_containers() {
    let (snapshot, problems) = block_on(Snapshot::ask_all(None));
    assert!(problems.is_empty(), "{problems:?}");
    assert!(!snapshot.is_empty(), "no container runs");
    for container in snapshot.containers.values() {
        eprintln!("{container:#?}");
        assert!(!container.id.is_empty() && !container.pod.is_empty());
    }
}

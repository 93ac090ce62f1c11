//! The conformance suite against a little of S3's protocol, served here. The real servers are in the end-to-end tests.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use super::*;
use crate::conformance;

/// Objects by key, as they come in URLs.
type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A server that answers `busy` requests with 503 and `Retry-After: 7` first.
fn server(busy: u32) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let objects = Objects::default();
    let busy = Arc::new(AtomicU32::new(busy));
    let shared = Arc::clone(&busy);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (objects, busy) = (Arc::clone(&objects), Arc::clone(&shared));
            thread::spawn(move || serve(stream.unwrap(), &objects, &busy));
        }
    });
    (format!("http://{address}"), busy)
}

fn serve(stream: TcpStream, objects: &Objects, busy: &AtomicU32) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split(' ');
        let (method, target) = (
            words.next().unwrap().to_owned(),
            words.next().unwrap().to_owned(),
        );
        let (mut length, mut is_conditional) = (0, false);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let header = header.trim().to_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            is_conditional |= header.starts_with("if-none-match:");
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let is_busy = busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |it| it.checked_sub(1));
        let (status, more, answer) = if is_busy.is_ok() {
            ("503 Slow Down", "Retry-After: 7\r\n", Vec::new())
        } else {
            let (status, answer) = answer(&method, &target, body, is_conditional, objects);
            (status, "", answer)
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"x\"\r\nLast-Modified: Mon, 30 Nov 2026 15:00:00 GMT\r\n{more}\r\n",
            answer.len()
        );
        let stream = reader.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        if method != "HEAD" {
            stream.write_all(&answer).unwrap();
        }
    }
}

fn answer(
    method: &str,
    target: &str,
    body: Vec<u8>,
    is_conditional: bool,
    objects: &Objects,
) -> (&'static str, Vec<u8>) {
    let mut objects = objects.lock().unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let key = path
        .strip_prefix("/bucket")
        .unwrap()
        .trim_start_matches('/')
        .to_owned();
    let key = key.replace("%3D", "=");
    if query.contains("list-type=2") {
        return ("200 OK", listing(query, &objects));
    }
    match method {
        // Several at once.
        "POST" => {
            let text = String::from_utf8(body).unwrap();
            let mut answer = "<DeleteResult>".to_owned();
            for part in text.split("<Key>").skip(1) {
                let key = part.split('<').next().unwrap();
                objects.remove(key);
                answer += &format!("<Deleted><Key>{key}</Key></Deleted>");
            }
            answer += "</DeleteResult>";
            ("200 OK", answer.into_bytes())
        }
        "PUT" if is_conditional && objects.contains_key(&key) => {
            ("412 Precondition Failed", Vec::new())
        }
        "PUT" => {
            objects.insert(key, body);
            ("200 OK", Vec::new())
        }
        "DELETE" => {
            objects.remove(&key);
            ("204 No Content", Vec::new())
        }
        _ => match objects.get(&key) {
            Some(bytes) => ("200 OK", bytes.clone()),
            None => ("404 Not Found", Vec::new()),
        },
    }
}

/// A page of at most a thousand.
fn listing(query: &str, objects: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let value = |name: &str| {
        let found = query
            .split('&')
            .find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        found
            .unwrap_or_default()
            .replace("%2F", "/")
            .replace("%3D", "=")
    };
    let (prefix, after) = (value("prefix"), value("continuation-token"));
    let mut found = objects
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix) && **key > after);
    let page: Vec<_> = found.by_ref().take(1_000).collect();
    let next = match (found.next(), page.last()) {
        (Some(_), Some((key, _))) => {
            format!("<NextContinuationToken>{key}</NextContinuationToken>")
        }
        _ => String::new(),
    };
    let mut text = format!("<ListBucketResult>{next}");
    for (key, bytes) in page {
        text.push_str(&format!(
            "<Contents><Key>{key}</Key><Size>{}</Size><LastModified>2026-11-30T15:00:00.000Z</LastModified><ETag>x</ETag></Contents>",
            bytes.len()
        ));
    }
    (text + "</ListBucketResult>").into_bytes()
}

fn cloud(endpoint: &str, prefix: &str) -> Cloud {
    let builder = AmazonS3Builder::new()
        .with_access_key_id("id")
        .with_secret_access_key("secret")
        .with_region("us-east-1")
        .with_endpoint(endpoint)
        .with_allow_http(true);
    let retry_after = RetryAfter::default();
    let connector = Connector {
        agent: agent(),
        retry_after: retry_after.clone(),
    };
    let store = s3(builder, "bucket", connector).unwrap();
    Cloud::new(store, prefix, retry_after).unwrap()
}

#[test]
fn s3_does_what_a_store_must() {
    let (endpoint, _) = server(0);
    for prefix in ["", "some/where"] {
        let (endpoint, _) = if prefix.is_empty() {
            server(0)
        } else {
            (endpoint.clone(), Arc::default())
        };
        conformance::check(&cloud(&endpoint, prefix)).unwrap();
    }
}

#[test]
fn a_busy_store_says_when_it_wants_to_be_asked_again() {
    let (endpoint, busy) = server(u32::MAX);
    let store = cloud(&endpoint, "");
    let error = store.put("a/b", b"x").unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{error}");
    busy.store(0, Ordering::SeqCst);
    assert_eq!(store.put("a/b", b"x").unwrap(), Put::Written);
}

#[test]
fn a_store_that_is_away_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = cloud(&endpoint, "").get("a/b", 10).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Unavailable {
                retry_after: None,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn addresses_without_a_bucket_are_refused() {
    for url in [
        "s3://",
        "s3:///a",
        "s3://bucket/a//b",
        "s3://bucket/../b",
        "ftp://a",
        "a/b",
        "file://a",
    ] {
        let error = crate::open(url, false).err().unwrap();
        assert!(
            matches!(error, StoreError::Address { .. } | StoreError::Name(_)),
            "{url}: {error}"
        );
    }
}

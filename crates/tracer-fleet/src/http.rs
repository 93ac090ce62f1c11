//! HTTP for the clouds' stores: `object_store` says what to ask, ureq asks, and what a store says of when to come back is
//! kept.

use std::{
    io::Read as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    },
};
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig, TlsProvider},
};

use crate::retry;

/// How long one request may take. A slow store is one that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an answer may be: an object, or a page of a list.
const MAX_ANSWER: u64 = 32 << 20;

/// A client of HTTP that speaks TLS with the certificates of the system.
pub(crate) fn agent() -> Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider)
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("tracer/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent()
}

/// When a store wants to be asked again; 0 when it did not say.
#[derive(Clone, Debug, Default)]
pub(crate) struct RetryAfter(Arc<AtomicU64>);

impl RetryAfter {
    /// What was said last, which then counts no more.
    pub(crate) fn take(&self) -> Option<Duration> {
        let milliseconds = self.0.swap(0, Ordering::Relaxed);
        (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
    }

    fn note(&self, value: Option<&str>) {
        let asked = value.map_or(Duration::ZERO, retry::retry_after);
        let milliseconds = u64::try_from(asked.as_millis()).unwrap_or(u64::MAX);
        self.0.store(milliseconds, Ordering::Relaxed);
    }
}

/// Makes clients of HTTP for `object_store`.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) agent: Agent,
    pub(crate) retry_after: RetryAfter,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        // The one thread of this runtime has nothing else to do meanwhile.
        let answer = self
            .agent
            .run(http::Request::from_parts(head, body.to_vec()));
        let (head, body) = answer.map_err(failed)?.into_parts();
        if head.status.is_server_error() || head.status == http::StatusCode::TOO_MANY_REQUESTS {
            let value = head.headers.get(http::header::RETRY_AFTER);
            self.retry_after.note(value.and_then(|it| it.to_str().ok()));
        }
        let mut bytes = Vec::new();
        let mut reader = body.into_reader().take(MAX_ANSWER + 1);
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))?;
        if bytes.len() as u64 > MAX_ANSWER {
            let error = std::io::Error::other("the answer is too large");
            return Err(HttpError::new(HttpErrorKind::Decode, error));
        }
        Ok(http::Response::from_parts(
            head,
            bytes::Bytes::from(bytes).into(),
        ))
    }
}

fn failed(error: ureq::Error) -> HttpError {
    let kind = match &error {
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => HttpErrorKind::Connect,
        ureq::Error::Io(_) => HttpErrorKind::Interrupted,
        _ => HttpErrorKind::Unknown,
    };
    HttpError::new(kind, error)
}

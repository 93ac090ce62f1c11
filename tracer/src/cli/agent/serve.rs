//! A server for metrics and health: one request at a time, of the little of HTTP/1.1 that it takes (RFC 9112).

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::metrics::Metrics;

/// How long a client may take to ask and to read.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a request may be.
const MAX_REQUEST: usize = 8 << 10;

/// Where it listens.
pub(super) enum Server {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Server {
    /// Listens at an address with a port, or at `unix:` and a path. A socket that an agent left there is replaced.
    pub(super) fn bind(listen: &str) -> io::Result<Self> {
        if let Some(path) = listen.strip_prefix("unix:") {
            return Self::bind_unix(Path::new(path)).map(Self::Unix);
        }
        let address: SocketAddr = listen.parse().map_err(io::Error::other)?;
        TcpListener::bind(address).map(Self::Tcp)
    }

    fn bind_unix(path: &Path) -> io::Result<UnixListener> {
        let metadata = fs::symlink_metadata(path);
        if metadata.is_ok_and(|metadata| metadata.file_type().is_socket()) {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Answers in a thread of its own, until the process ends.
    pub(super) fn start(self, metrics: Arc<Metrics>) -> io::Result<()> {
        let named = thread::Builder::new().name("tracer-metrics".to_owned());
        named.spawn(move || {
            loop {
                // A client that is gone, or too slow, is no reason to end.
                if let Err(error) = self.next(&metrics) {
                    log::debug!("a request for metrics: {error}");
                }
            }
        })?;
        Ok(())
    }

    fn next(&self, metrics: &Metrics) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().inspect_err(pause)?;
                answer(&mut Limited::new(stream), metrics)
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().inspect_err(pause)?;
                answer(&mut Limited::new(stream), metrics)
            }
        }
    }
}

/// A connection that takes [`PATIENCE`] in all: a client that sends a byte now and then keeps others from nothing.
struct Limited<S> {
    stream: S,
    until: Instant,
}

/// A socket whose next read or write may be limited.
trait Patient {
    fn limit(&self, time: Duration) -> io::Result<()>;
}

impl Patient for TcpStream {
    fn limit(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

impl Patient for UnixStream {
    fn limit(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

impl<S: Patient> Limited<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            until: Instant::now() + PATIENCE,
        }
    }

    fn limit(&self) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.limit(left)
    }
}

impl<S: Patient + Read> Read for Limited<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.limit()?;
        self.stream.read(into)
    }
}

impl<S: Patient + Write> Write for Limited<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.limit()?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// When there are too many open files, asking again at once would only turn in a circle.
fn pause(_: &io::Error) {
    thread::sleep(Duration::from_millis(100));
}

fn answer(stream: &mut (impl Read + Write), metrics: &Metrics) -> io::Result<()> {
    let request = request(stream)?;
    let (status, kind, body) = response(&request, metrics);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if !request.starts_with("HEAD ") {
        stream.write_all(body.as_bytes())?;
    }
    stream.flush()
}

/// Reads up to the empty line that ends a request without a body.
fn request(stream: &mut impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut part = [0; 1024];
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut part)?;
        if length == 0 || bytes.len() + length > MAX_REQUEST {
            break;
        }
        bytes.extend_from_slice(part.get(..length).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Status, media type and text.
fn response(request: &str, metrics: &Metrics) -> (&'static str, &'static str, String) {
    const TEXT: &str = "text/plain; charset=utf-8";
    let mut words = request.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if !matches!(method, "GET" | "HEAD") {
        return (
            "405 Method Not Allowed",
            TEXT,
            "only GET and HEAD\n".to_owned(),
        );
    }
    let health = |problem: Option<&str>| match problem {
        None => ("200 OK", TEXT, "ok\n".to_owned()),
        Some(problem) => ("503 Service Unavailable", TEXT, format!("{problem}\n")),
    };
    match target.split('?').next().unwrap_or_default() {
        "/metrics" => (
            "200 OK",
            "text/plain; version=0.0.4; charset=utf-8",
            metrics.text(),
        ),
        "/healthz" => health(metrics.problem()),
        "/readyz" => health(metrics.missing()),
        _ => (
            "404 Not Found",
            TEXT,
            "there are /metrics, /healthz and /readyz\n".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(mut stream: impl Read + Write, request: &str) -> String {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn answers_over_both_kinds_of_socket() {
        let metrics = Arc::new(Metrics::new(1));
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("socket");
        // As an agent that was killed leaves it.
        drop(UnixListener::bind(&path).unwrap());
        let unix = Server::bind(&format!("unix:{}", path.display())).unwrap();
        unix.start(Arc::clone(&metrics)).unwrap();
        let tcp = Server::bind("127.0.0.1:0").unwrap();
        let Server::Tcp(listener) = &tcp else {
            panic!("it is a port");
        };
        let address = listener.local_addr().unwrap();
        tcp.start(Arc::clone(&metrics)).unwrap();

        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let text = ask(UnixStream::connect(&path).unwrap(), &get("/metrics"));
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("\ntracer_agent_info{"));
        let tcp = |request: &str| ask(TcpStream::connect(address).unwrap(), request);
        assert!(tcp(&get("/metrics?a=b")).contains("tracer_spool_bytes"));
        assert!(tcp(&get("/healthz")).ends_with("\r\n\r\nok\n"));
        assert!(tcp(&get("/readyz")).starts_with("HTTP/1.1 503 "));
        metrics.ready();
        assert!(tcp(&get("/readyz")).starts_with("HTTP/1.1 200 "));
        assert!(tcp(&get("/")).starts_with("HTTP/1.1 404 "));
        assert!(tcp("POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        assert!(tcp("HEAD /healthz HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
        // What is no request ends, and the next one is answered.
        drop(TcpStream::connect(address).unwrap());
        assert!(tcp(&get("/healthz")).ends_with("ok\n"));
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_slow_client_has_two_seconds_in_all() {
        let metrics = Arc::new(Metrics::new(1));
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("socket");
        let server = Server::bind(&format!("unix:{}", path.display())).unwrap();
        server.start(metrics).unwrap();
        let mut slow = UnixStream::connect(&path).unwrap();
        let begin = Instant::now();
        // A byte now and then, until the server hangs up.
        while slow.write_all(b"G").is_ok() {
            thread::sleep(Duration::from_millis(200));
            assert!(begin.elapsed() < Duration::from_secs(60));
        }
        let request = "GET /healthz HTTP/1.1\r\n\r\n";
        assert!(ask(UnixStream::connect(&path).unwrap(), request).ends_with("ok\n"));
    }

    #[test]
    fn a_file_is_not_taken_for_a_socket() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        fs::write(&path, "kept").unwrap();
        assert!(Server::bind(&format!("unix:{}", path.display())).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    }
}

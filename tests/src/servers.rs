//! Servers to record, and the clients that give them work from outside.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::{process, process::Running, requires, wait};

/// A server that listens on a unix socket in a directory of the test's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// One master and one worker.
    Nginx,
    /// In memory only.
    Redis,
    /// A database of its own, by a user who is not root: it refuses root.
    Postgres,
}

impl Server {
    /// Writes the server's files into `dir` and tells the command that runs it, in the foreground.
    ///
    /// # Errors
    /// When a file cannot be written or the server is not installed.
    pub fn prepare(self, dir: &Path) -> Result<Vec<PathBuf>> {
        match self {
            Self::Nginx => prepare_nginx(dir),
            Self::Redis => prepare_redis(dir),
            Self::Postgres => prepare_postgres(dir),
        }
    }

    /// Where the server in `dir` writes its process id.
    pub fn pid_file(self, dir: &Path) -> PathBuf {
        dir.join("server.pid")
    }

    /// The signal that asks it to finish its work and end with status 0.
    pub fn stop_signal(self) -> Signal {
        match self {
            Self::Nginx => Signal::SIGQUIT,
            Self::Redis => Signal::SIGTERM,
            Self::Postgres => Signal::SIGINT,
        }
    }

    /// Waits for the server and gives it work; tells what it answered.
    ///
    /// # Errors
    /// When the server ends, or does not answer, or not as it should.
    pub fn exercise(self, dir: &Path, server: &mut Running) -> Result<String> {
        let socket = match self {
            Self::Nginx | Self::Redis => dir.join("socket"),
            Self::Postgres => dir.join(".s.PGSQL.5432"),
        };
        wait::until("a server that accepts connections", || {
            let stderr = server.stderr()?;
            ensure!(server.ended()?.is_none(), "the server ended:\n{stderr}");
            Ok(UnixStream::connect(&socket).ok())
        })?;
        match self {
            Self::Nginx => exercise_nginx(&socket),
            Self::Redis => exercise_redis(&socket),
            Self::Postgres => exercise_postgres(dir),
        }
    }
}

fn prepare_nginx(dir: &Path) -> Result<Vec<PathBuf>> {
    let directory = dir.display();
    let config = dir.join("nginx.conf");
    fs::write(
        &config,
        format!(
            "daemon off;
             master_process on;
             worker_processes 1;
             pid {directory}/server.pid;
             error_log {directory}/log;
             events {{ worker_connections 64; }}
             http {{
                 access_log {directory}/access.log;
                 client_body_temp_path {directory}/body;
                 proxy_temp_path {directory}/proxy;
                 fastcgi_temp_path {directory}/fastcgi;
                 uwsgi_temp_path {directory}/uwsgi;
                 scgi_temp_path {directory}/scgi;
                 sendfile on;
                 types {{ text/html html; }}
                 server {{
                     listen unix:{directory}/socket;
                     root {directory}/html;
                     location /moved {{ return 302 /index.html; }}
                 }}
             }}"
        ),
    )?;
    let html = dir.join("html");
    fs::create_dir_all(&html)?;
    fs::write(html.join("index.html"), "<p>hello\n")?;
    fs::write(html.join("large.html"), "0123456789abcdef".repeat(1 << 16))?;
    // The worker is another user.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    let nginx = requires::which("nginx").context("nginx is not installed")?;
    Ok(vec![
        nginx,
        "-e".into(),
        dir.join("log"),
        "-p".into(),
        dir.into(),
        "-c".into(),
        config,
    ])
}

/// Files small and large, a file that is not there, a redirection, a method that is not allowed,
/// two requests on one connection.
fn exercise_nginx(socket: &Path) -> Result<String> {
    let mut answers = String::new();
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/large.html"),
        ("HEAD", "/index.html"),
        ("GET", "/missing"),
        ("GET", "/moved"),
        ("POST", "/index.html"),
    ] {
        let response = http(socket, &format!("{method} {path} HTTP/1.0\r\n\r\n"))?;
        answers += &format!("{method} {path}: {}\n", summary(&response));
    }
    let twice =
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let response = http(socket, twice)?;
    let hellos = String::from_utf8_lossy(&response)
        .matches("<p>hello")
        .count();
    answers += &format!("kept alive: {hellos} answers\n");
    Ok(answers)
}

fn http(socket: &Path, request: &str) -> Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).context("connecting to nginx")?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    stream
        .read_to_end(&mut response)
        .with_context(|| format!("reading the answer to {request:?}"))?;
    Ok(response)
}

/// Status line and length of the body: what does not depend on the date.
fn summary(response: &[u8]) -> String {
    let text = String::from_utf8_lossy(response);
    let status = text.lines().next().unwrap_or("no answer");
    let body = text
        .split_once("\r\n\r\n")
        .map_or(0, |(_, body)| body.len());
    format!("{status}, {body} bytes")
}

fn prepare_redis(dir: &Path) -> Result<Vec<PathBuf>> {
    let config = dir.join("redis.conf");
    fs::write(
        &config,
        format!(
            "port 0\nunixsocket {0}/socket\npidfile {0}/server.pid\ndir {0}\nlogfile {0}/log\n\
             save \"\"\nappendonly no\ndaemonize no\n",
            dir.display()
        ),
    )?;
    let redis = requires::which("redis-server").context("redis-server is not installed")?;
    Ok(vec![redis, config])
}

/// The benchmark's own mix of commands, then a few whose answers are known.
fn exercise_redis(socket: &Path) -> Result<String> {
    client(
        "redis-benchmark",
        socket,
        &[
            "-q",
            "-n",
            "2000",
            "-c",
            "8",
            "-t",
            "set,get,incr,lpush,lpop,sadd,mset",
        ],
    )?;
    let mut answers = String::new();
    for command in [
        &["set", "greeting", "hello"][..],
        &["get", "greeting"],
        &["append", "greeting", ", world"],
        &["get", "greeting"],
        &["rpush", "list", "a", "b", "c"],
        &["lrange", "list", "0", "-1"],
        &["expire", "greeting", "100"],
        &["flushall"],
    ] {
        answers += &format!("{command:?}: {}\n", client("redis-cli", socket, command)?);
    }
    Ok(answers)
}

fn client(program: &str, socket: &Path, args: &[&str]) -> Result<String> {
    let finished = process::run(
        Command::new(program)
            .arg("-s")
            .arg(socket)
            .args(args)
            .stdin(Stdio::null()),
    )?
    .success()?;
    Ok(finished.text().trim().replace('\n', " "))
}

/// The programs of PostgreSQL's server; Debian keeps those of each version in a directory of its own.
pub fn postgres_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let directories = versions.flatten().map(|version| version.path().join("bin"));
    directories
        .filter(|bin| bin.join("postgres").is_file())
        .max()
}

/// A user who owns nothing else.
const NOBODY: u32 = 65534;

/// What runs a command as that user.
fn as_nobody() -> Result<Vec<PathBuf>> {
    let setpriv = requires::which("setpriv").context("setpriv is not installed")?;
    let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
    let options = ids.iter().map(PathBuf::from);
    let clear = PathBuf::from("--clear-groups");
    Ok([setpriv]
        .into_iter()
        .chain(options)
        .chain([clear])
        .collect())
}

fn prepare_postgres(dir: &Path) -> Result<Vec<PathBuf>> {
    let programs = postgres_programs().context("PostgreSQL is not installed")?;
    std::os::unix::fs::chown(dir, Some(NOBODY), Some(NOBODY))?;
    let data = dir.join("data");
    let user = as_nobody()?;
    process::run(
        Command::new(&user[0])
            .args(&user[1..])
            .arg(programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=tests", "-D"])
            .arg(&data)
            .current_dir(dir),
    )?
    .success()?;
    let mut command = user;
    command.push(programs.join("postgres"));
    for word in ["-D", "data", "-k"] {
        command.push(word.into());
    }
    command.push(dir.into());
    for setting in [
        "listen_addresses=".to_owned(),
        format!("external_pid_file={}/server.pid", dir.display()),
        // A line for each connection would be a matter of time.
        "log_checkpoints=off".to_owned(),
    ] {
        command.push("-c".into());
        command.push(setting.into());
    }
    Ok(command)
}

/// A table, an index, a sort that does not fit, two sessions, a mistake.
fn exercise_postgres(dir: &Path) -> Result<String> {
    let statements = [
        "create table t (id serial primary key, name text)",
        "insert into t (name) select md5(i::text) from generate_series(1, 2000) i",
        "create index on t (name)",
        "set work_mem = '64kB'; select count(*) from (select * from t order by name desc) s",
        "copy t to stdout",
        "select no_such_function()",
        "vacuum analyze t",
    ];
    let mut answers = String::new();
    for statement in statements {
        // It listens before it is ready.
        let finished = wait::until("the database to be ready", || {
            let finished = process::run(
                Command::new("psql")
                    .arg("-h")
                    .arg(dir)
                    .args([
                        "-U", "tests", "-X", "-A", "-t", "-d", "postgres", "-c", statement,
                    ])
                    .stdin(Stdio::null()),
            )?;
            let is_ready = !finished
                .stderr
                .contains("the database system is starting up");
            Ok(is_ready.then_some(finished))
        })?;
        let refused = finished.code() != 0;
        ensure!(
            refused == statement.contains("no_such"),
            "{statement}: {finished:?}"
        );
        answers += &format!(
            "{statement}: {}, {} bytes\n",
            finished.code(),
            finished.text().len()
        );
    }
    Ok(answers)
}

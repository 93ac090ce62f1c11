//! The servers, as a distribution configures them, and the work that they get.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{sys::signal::Signal, unistd::User};
use tracer_tests::{
    process::{self, Running},
    programs, requires,
    servers::postgres_programs,
    wait,
};

/// A server that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Example {
    /// Static files, as root with workers of another user.
    Nginx,
    /// With snapshots on disk.
    Redis,
    /// A database of its own.
    Postgres,
    /// A web application on the standard library, with SQLite.
    Python,
}

impl Example {
    pub(crate) const ALL: [Self; 4] = [Self::Nginx, Self::Redis, Self::Postgres, Self::Python];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Redis => "redis",
            Self::Postgres => "postgresql",
            Self::Python => "python-web",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::Nginx => 80,
            Self::Redis => 6379,
            Self::Postgres => 5432,
            Self::Python => 8000,
        }
    }

    /// Who runs it; `None`: root, and it changes its user by itself.
    pub(crate) const fn user(self) -> Option<&'static str> {
        match self {
            Self::Nginx => None,
            Self::Redis => Some("redis"),
            Self::Postgres => Some("postgres"),
            Self::Python => Some("www-data"),
        }
    }

    pub(crate) const fn stop_signal(self) -> Signal {
        match self {
            Self::Nginx => Signal::SIGQUIT,
            Self::Redis | Self::Python => Signal::SIGTERM,
            Self::Postgres => Signal::SIGINT,
        }
    }

    /// Writes its files into `dir` and tells the command that runs it in the foreground.
    pub(crate) fn prepare(self, dir: &Path) -> Result<Vec<PathBuf>> {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
        let argv = match self {
            Self::Nginx => nginx(dir)?,
            Self::Redis => redis(dir)?,
            Self::Postgres => return postgres(dir),
            Self::Python => python(dir)?,
        };
        if let Some(user) = self.user() {
            give(dir, user)?;
        }
        Ok(argv)
    }

    /// Waits for the server and gives it work.
    pub(crate) fn exercise(self, dir: &Path, server: &mut Running) -> Result<()> {
        wait::until("a server that accepts connections", || {
            let stderr = server.stderr()?;
            ensure!(server.ended()?.is_none(), "the server ended:\n{stderr}");
            Ok(TcpStream::connect(("127.0.0.1", self.port())).ok())
        })?;
        match self {
            Self::Nginx => exercise_nginx(dir),
            Self::Redis => exercise_redis(dir),
            Self::Postgres => exercise_postgres(),
            Self::Python => exercise_python(),
        }
    }
}

fn find(program: &str) -> Result<PathBuf> {
    requires::which(program).with_context(|| format!("{program} is not installed"))
}

/// Makes a user the owner of a directory and the files in it.
fn give(dir: &Path, user: &str) -> Result<()> {
    let user = User::from_name(user)?.with_context(|| format!("there is no user {user}"))?;
    let (uid, gid) = (Some(user.uid.as_raw()), Some(user.gid.as_raw()));
    chown(dir, uid, gid)?;
    for entry in fs::read_dir(dir)? {
        chown(entry?.path(), uid, gid)?;
    }
    Ok(())
}

fn http(port: u16, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .with_context(|| format!("reading the answer to {request:?}"))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn nginx(dir: &Path) -> Result<Vec<PathBuf>> {
    let directory = dir.display();
    fs::write(
        dir.join("nginx.conf"),
        format!(
            "daemon off;
             user www-data;
             worker_processes 2;
             pid {directory}/server.pid;
             events {{ worker_connections 64; }}
             http {{
                 include /etc/nginx/mime.types;
                 access_log /var/log/nginx/access.log;
                 sendfile on;
                 gzip on;
                 server {{
                     listen 80;
                     listen [::]:80;
                     root {directory}/html;
                     location /moved {{ return 302 /index.html; }}
                 }}
             }}\n"
        ),
    )?;
    let html = dir.join("html");
    fs::create_dir(&html)?;
    fs::write(html.join("index.html"), "<p>hello\n")?;
    fs::write(html.join("large.html"), "0123456789abcdef".repeat(1 << 16))?;
    Ok(vec![find("nginx")?, "-c".into(), dir.join("nginx.conf")])
}

/// Pages that are there and not, compressed and not, then a reload and new log files.
fn exercise_nginx(dir: &Path) -> Result<()> {
    let work = || -> Result<()> {
        for (request, status) in [
            ("GET / HTTP/1.0\r\n\r\n", "200"),
            ("GET /large.html HTTP/1.0\r\n\r\n", "200"),
            (
                "GET /large.html HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
                "200",
            ),
            (
                "GET /large.html HTTP/1.0\r\nRange: bytes=100-199\r\n\r\n",
                "206",
            ),
            ("HEAD /index.html HTTP/1.0\r\n\r\n", "200"),
            ("GET /missing HTTP/1.0\r\n\r\n", "404"),
            ("GET /moved HTTP/1.0\r\n\r\n", "302"),
            (
                "POST /index.html HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",
                "405",
            ),
        ] {
            let answer = http(80, request)?;
            let got = answer.split(' ').nth(1).unwrap_or_default();
            ensure!(got == status, "{request:?}: {answer:.200}");
        }
        Ok(())
    };
    work()?;
    let pid = wait::pid_in(&dir.join("server.pid"))?;
    let workers = || process::descendants(pid);
    let before = workers();
    process::send(pid, Signal::SIGHUP)?;
    wait::until("workers with the new configuration", || {
        let now = workers();
        Ok((!now.is_empty() && now.iter().all(|it| !before.contains(it))).then_some(()))
    })?;
    process::send(pid, Signal::SIGUSR1)?;
    work()
}

fn redis(dir: &Path) -> Result<Vec<PathBuf>> {
    let config = dir.join("redis.conf");
    fs::write(
        &config,
        format!(
            "port 6379\nbind 127.0.0.1\npidfile {0}/server.pid\ndir {0}\nlogfile {0}/redis.log\n\
             save 3600 1\nappendonly yes\ndaemonize no\n",
            dir.display()
        ),
    )?;
    Ok(vec![find("redis-server")?, config])
}

/// The benchmark's own mix of commands, a snapshot in the background, and a rewritten log.
fn exercise_redis(dir: &Path) -> Result<()> {
    let run = |program: &str, args: &[&str]| -> Result<String> {
        let finished = process::run(Command::new(program).args(args).stdin(Stdio::null()))?;
        Ok(finished.success()?.text())
    };
    let tests = "set,get,incr,lpush,lpop,sadd,mset";
    run(
        "redis-benchmark",
        &["-q", "-n", "2000", "-c", "8", "-t", tests],
    )?;
    run("redis-cli", &["set", "greeting", "hello"])?;
    ensure!(run("redis-cli", &["get", "greeting"])?.contains("hello"));
    run("redis-cli", &["bgsave"])?;
    wait::until("a snapshot", || {
        let done = run("redis-cli", &["info", "persistence"])?.contains("rdb_bgsave_in_progress:0");
        Ok((done && dir.join("dump.rdb").exists()).then_some(()))
    })?;
    run("redis-cli", &["bgrewriteaof"])?;
    wait::until("a rewritten log", || {
        let info = run("redis-cli", &["info", "persistence"])?;
        let done =
            info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0");
        Ok(done.then_some(()))
    })
}

fn postgres(dir: &Path) -> Result<Vec<PathBuf>> {
    let programs = postgres_programs().context("PostgreSQL is not installed")?;
    give(dir, "postgres")?;
    let data = dir.join("data");
    process::run(
        Command::new(find("setpriv")?)
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres", "-D"])
            .arg(&data)
            .current_dir(dir),
    )?
    .success()?;
    let mut argv = vec![programs.join("postgres"), "-D".into(), data];
    argv.extend(["-k".into(), dir.to_owned(), "-c".into()]);
    argv.push(format!("external_pid_file={}/server.pid", dir.display()).into());
    Ok(argv)
}

/// A table, an index, a sort that does not fit, parallel workers, a mistake, a checkpoint.
fn exercise_postgres() -> Result<()> {
    let psql = |statement: &str| {
        process::run(
            Command::new("psql")
                .args([
                    "-h",
                    "127.0.0.1",
                    "-U",
                    "postgres",
                    "-X",
                    "-A",
                    "-t",
                    "-c",
                    statement,
                ])
                .stdin(Stdio::null()),
        )
    };
    // It accepts connections before it answers.
    wait::until("a database that answers", || {
        Ok((psql("select 1")?.code() == 0).then_some(()))
    })?;
    for statement in [
        "create table t (id serial primary key, name text)",
        "insert into t (name) select md5(i::text) from generate_series(1, 20000) i",
        "create index on t (name)",
        "set work_mem = '64kB'; select count(*) from (select * from t order by name desc) s",
        "set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; select count(*) from t where name like '%a%'",
        "copy t to stdout",
        "select no_such_function()",
        "checkpoint",
        "vacuum analyze t",
        "drop table t",
    ] {
        let finished = psql(statement)?;
        let refused = finished.code() != 0;
        ensure!(
            refused == statement.contains("no_such"),
            "{statement}: {finished:?}"
        );
    }
    Ok(())
}

fn python(dir: &Path) -> Result<Vec<PathBuf>> {
    let application = dir.join("app.py");
    let source = programs::workspace().join("tests/programs/web.py");
    fs::copy(&source, &application).with_context(|| format!("copying {}", source.display()))?;
    fs::write(dir.join("index.html"), "<p>notes\n")?;
    Ok(vec![find("python3")?, application, dir.to_owned()])
}

fn exercise_python() -> Result<()> {
    let form = "text=buy+milk";
    let post = format!(
        "POST /notes HTTP/1.0\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    for (request, status) in [
        ("GET / HTTP/1.0\r\n\r\n", "200"),
        (post.as_str(), "201"),
        ("GET /notes HTTP/1.0\r\n\r\n", "200"),
        ("GET /missing HTTP/1.0\r\n\r\n", "404"),
        ("PUT / HTTP/1.0\r\n\r\n", "501"),
    ] {
        let answer = http(8000, request)?;
        let got = answer.split(' ').nth(1).unwrap_or_default();
        ensure!(got == status, "{request:?}: {answer:.200}");
    }
    Ok(())
}

//! The conformance suite of stores against a real S3 server.

use std::{
    net::{TcpListener, TcpStream},
    process::Command,
};

use anyhow::{Result, ensure};
use tracer_fleet::{Variables, conformance, open_with};
use tracer_tests::{
    Outcome, kubernetes, needs,
    process::{self, Running},
    requires::Need,
    scratch::Scratch,
    tracer, wait,
};

/// An S3 server, and how it is reached.
struct S3 {
    _server: Running,
    variables: Variables,
}

impl S3 {
    fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(kubernetes::programs()?.join("gofakes3"));
        command.args(["-backend", "memory", "-autobucket", "-host", &address]);
        let server = Running::spawn(&mut command)?;
        wait::until("the S3 server", || Ok(TcpStream::connect(&address).ok()))?;
        let endpoint = format!("http://{address}");
        let variables = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ENDPOINT", &endpoint),
        ];
        Ok(Self {
            _server: server,
            variables: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        })
    }
}

#[test]
fn a_real_s3_server_does_what_a_store_must() -> Outcome {
    needs!(Need::Kubernetes);
    let s3 = S3::start()?;
    for url in ["s3://suite", "s3://suite-2/some/where"] {
        let store = open_with(url, true, &s3.variables)?;
        conformance::check(store.as_ref()).map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

/// What an object holds is the same in each store.
#[test]
fn commands_read_s3_as_a_directory() -> Outcome {
    needs!(Need::Kubernetes);
    let s3 = S3::start()?;
    let scratch = Scratch::new()?;
    let ask = |url: &str, words: &[&str]| {
        let mut command = tracer::command()?;
        command
            .arg("fleet")
            .args(words)
            .args(["--store", url])
            .envs(&s3.variables);
        process::run(&mut command)
    };
    let directory = format!("file://{}", scratch.dir("store")?.display());
    for url in ["s3://fleet/prefix", &directory] {
        let store = open_with(url, true, &s3.variables)?;
        store.put("not/an/object", b"x")?;
        let listed = ask(url, &["list", "--format", "json"])?;
        ensure!(listed.code() == 3, "{url}: {listed:?}");
        let value: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
        ensure!(value["left_out"]["foreign"] == 1, "{value}");
        ensure!(ask(url, &["pull", "shop/cart"])?.code() == 1);
    }
    Ok(())
}

//! Work that can be done again and again: bare, under strace, under tracer, in a container.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{
    process::{self, Running},
    programs::{self, Build},
    requires::{self, Need, program},
    servers::Server,
    tracer, wait,
};

/// A kind of work. Each is written so that it makes the same system calls every time.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    /// A command line; `DIR` in it is a directory that the work may write to.
    Command(&'static [&'static str]),
    /// An interpreter, and a script of `tests/programs`, which gets that directory as its argument.
    Script(Need, &'static str),
    /// A compiled program of `tests/programs`.
    Program(&'static str, Build),
    /// The statically linked busybox, with its own applets.
    Busybox,
    /// A server, with its client outside.
    Server(Server),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Exit status of the command.
    pub code: i32,
    /// What the work wrote to stdout, or what a server answered to its client.
    pub said: String,
    /// What the command wrote to stderr.
    pub stderr: String,
}

impl Work {
    /// What it needs of the machine.
    pub fn needs(self) -> Vec<Need> {
        match self {
            Self::Command(_) => vec![],
            Self::Script(interpreter, _) => vec![interpreter],
            Self::Program(_, Build::StaticI386 | Build::BareI386) => {
                vec![program::CC, Need::X86, Need::I386]
            }
            Self::Program(_, Build::StaticMusl) => vec![program::MUSL],
            Self::Program(..) => vec![program::CC],
            Self::Busybox => vec![program::BUSYBOX],
            Self::Server(Server::Nginx) => vec![program::NGINX],
            Self::Server(Server::Redis) => vec![program::REDIS, program::REDIS_TOOLS],
            Self::Server(Server::Postgres) => {
                vec![Need::Postgres, program::PSQL, program::SETPRIV]
            }
        }
    }

    /// Whether its threads have names of their own, which tell nothing of the executable.
    pub fn names_its_threads(self) -> bool {
        matches!(self, Self::Server(Server::Redis))
    }

    /// Prepares it in `dir`, a directory of its own; tells the command that does it.
    ///
    /// # Errors
    /// When a program is missing or a file cannot be written.
    pub fn prepare(self, dir: &Path) -> Result<Vec<PathBuf>> {
        let find =
            |name: &str| requires::which(name).with_context(|| format!("{name} is not installed"));
        // Into the directory, which every user can read.
        let script = |name: &str| -> Result<PathBuf> {
            let copy = dir.join(name);
            fs::copy(
                programs::workspace().join("tests/programs").join(name),
                &copy,
            )
            .with_context(|| format!("copying {name}"))?;
            Ok(copy)
        };
        let files = dir.join("files");
        fs::create_dir_all(&files)?;
        Ok(match self {
            Self::Command(argv) => {
                let mut argv = argv
                    .iter()
                    .map(|word| PathBuf::from(word.replace("DIR", &files.to_string_lossy())))
                    .collect::<Vec<_>>();
                argv[0] = find(&argv[0].to_string_lossy())?;
                argv
            }
            Self::Script(Need::Program(interpreter, _), name) => {
                vec![find(interpreter)?, script(name)?, files]
            }
            Self::Script(..) => anyhow::bail!("a script needs an interpreter"),
            Self::Program(name, build) => vec![programs::compiled(name, build)?],
            Self::Busybox => {
                let busybox = find("busybox")?;
                vec![
                    busybox.clone(),
                    "sh".into(),
                    script("work.sh")?,
                    busybox,
                    files,
                ]
            }
            Self::Server(server) => server.prepare(dir)?,
        })
    }

    /// What a server wrote of itself in `dir`.
    pub fn log(self, dir: &Path) -> String {
        fs::read_to_string(dir.join("log")).unwrap_or_default()
    }

    /// Does it by `command_line`: what [`Self::prepare`] told, behind whatever is to watch it.
    /// `pid_file` tells where a server's process id is to be read when its work is done.
    ///
    /// # Errors
    /// When it cannot be started or does not end, or a server does not do its work.
    pub fn run(
        self,
        dir: &Path,
        command_line: &[impl AsRef<OsStr>],
        pid_file: Option<&Path>,
    ) -> Result<Done> {
        let (program, args) = command_line
            .split_first()
            .context("an empty command line")?;
        let mut command = Command::new(program);
        tracer::plain_environment(&mut command)
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::null());
        let mut running = Running::spawn(&mut command)?;
        let answers = match self {
            Self::Server(server) => {
                let answers = server.exercise(dir, &mut running)?;
                let own = server.pid_file(dir);
                let pid = wait::pid_in(pid_file.unwrap_or(&own))?;
                process::send(pid, server.stop_signal())?;
                Some(answers)
            }
            _ => None,
        };
        let finished = running.wait()?;
        Ok(Done {
            code: finished.code(),
            said: answers.unwrap_or_else(|| finished.text()),
            stderr: finished.stderr,
        })
    }
}

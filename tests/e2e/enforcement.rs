//! A written profile is proven by enforcing it: recorded on the host, the same work runs in a
//! container under the profile, on each runtime and with and without `no_new_privs`; with one of the
//! calls that the work needs taken out, it does not.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;
use tracer_tests::{
    Outcome,
    oci::{Container, Runtime},
    programs::Build,
    requires::{self, Need, program},
    scratch::Scratch,
    seccomp,
    servers::Server,
    tracer::Record,
    work::{Done, Work},
};

/// Records `work`, then enforces its profile. `needed` is a call without which the work cannot be
/// done, and which no runtime needs.
fn runs_under_its_profile(test: &str, runtime: Runtime, work: Work, needed: &str) -> Outcome {
    let mut needs = vec![Need::Root, Need::Cgroup2, runtime.need(), program::UNSHARE];
    needs.extend(work.needs());
    if !requires::met(test, &needs)? {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let dir = scratch.dir("host")?;
    let (line, recorded) = Record::new(&scratch.join("out"), "work")?
        .of(work.prepare(&dir)?)
        .into_command_line();
    let on_host = work.run(&dir, &line, None)?;
    ensure!(on_host.code == 0, "recording failed: {on_host:?}");
    let profile = seccomp::read(&recorded.profile())?;
    let lacking = seccomp::without(&profile, needed)?;

    for no_new_privileges in [true, false] {
        let case = format!("{}, noNewPrivileges {no_new_privileges}", runtime.name());
        let dir = scratch.dir(&format!("container-{no_new_privileges}"))?;
        let contained = contain(runtime, work, &dir, &profile, no_new_privileges)?;
        ensure!(
            (contained.code, &contained.said) == (on_host.code, &on_host.said),
            "{case}: {contained:?}, but on the host {on_host:?}"
        );

        let dir = scratch.dir(&format!("lacking-{no_new_privileges}"))?;
        let lacking = contain(runtime, work, &dir, &lacking, no_new_privileges);
        ensure!(
            !matches!(&lacking, Ok(done) if done.code == 0),
            "{case}: without {needed} it runs just as well: {lacking:?}"
        );
        // It was the profile that stopped it, and not the runtime.
        let complaint = format!("{lacking:?}{}", work.log(&dir));
        ensure!(
            complaint.contains(seccomp::DENIED.1),
            "{case}: without {needed} it fails for another reason: {complaint}"
        );
    }
    Ok(())
}

/// Does `work` in a container.
fn contain(
    runtime: Runtime,
    work: Work,
    dir: &Path,
    profile: &Value,
    no_new_privileges: bool,
) -> Result<Done> {
    let container = Container::new(
        runtime,
        &work.prepare(dir)?,
        dir,
        profile,
        no_new_privileges,
    )?;
    work.run(dir, &container.command_line()?, Some(&container.pid_file()))
}

macro_rules! enforced {
    ($($name:ident: $work:expr, needs $needed:expr;)*) => {
        $(
            mod $name {
                use super::*;

                #[test]
                fn on_runc() -> Outcome {
                    runs_under_its_profile(tracer_tests::test_name!(), Runtime::Runc, $work, $needed)
                }

                #[test]
                fn on_crun() -> Outcome {
                    runs_under_its_profile(tracer_tests::test_name!(), Runtime::Crun, $work, $needed)
                }
            }
        )*
    };
}

enforced! {
    nginx: Work::Server(Server::Nginx), needs "bind";
    redis: Work::Server(Server::Redis), needs "bind";
    python: Work::Script(program::PYTHON, "work.py"), needs "pipe2";
    bash: Work::Script(program::BASH, "work.bash"), needs "pipe2";
    perl: Work::Script(program::PERL, "work.pl"), needs "socketpair";
    busybox: Work::Busybox, needs "mkdir";
    i386: Work::Program("i386", Build::StaticI386), needs "_llseek";
}

//! The drop-in, by systemd-analyze.

use std::{fs, process::Command};

use anyhow::ensure;
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use tracer::{
    capability::Capability,
    recording::{CapabilityUse, Recording, SocketOperation, SocketUse},
};
use tracer_tests::{Outcome, needs, process, requires::program, scratch::Scratch};

use super::{
    fixture::{any_recording, by_run, empty, examples},
    rendered::Models,
};

/// What systemd says of a service with a drop-in: nothing when it takes all of it.
fn verify(drop_in: &str) -> anyhow::Result<String> {
    let scratch = Scratch::new()?;
    let unit = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
    fs::write(scratch.join("web.service"), unit)?;
    fs::write(scratch.dir("web.service.d")?.join("tracer.conf"), drop_in)?;
    let mut analyze = Command::new("systemd-analyze");
    analyze
        .args(["verify", "--man=no", "--generators=no", "web.service"])
        .env(
            "SYSTEMD_UNIT_PATH",
            format!("{}:", scratch.path().display()),
        )
        .env("SYSTEMD_LOG_LEVEL", "warning")
        .current_dir(scratch.path());
    let finished = process::run(&mut analyze)?;
    let said: Vec<_> = finished
        .stderr
        .lines()
        // What else is wrong with the units of this machine is not ours.
        .filter(|line| line.contains("tracer.conf") || line.contains("web.service"))
        .map(str::to_owned)
        .collect();
    Ok(said.join("\n"))
}

/// Every capability, and every family that has a name.
fn everything() -> Recording {
    let mut all = empty();
    all.capabilities = Capability::all()
        .map(|capability| {
            by_run(CapabilityUse {
                capability,
                audited: None,
                own_namespace: false,
            })
        })
        .collect();
    // 12 is DECnet, which Linux 6.1 took away, and systemd with it.
    all.sockets = (1..45)
        .filter(|family| *family != 12)
        .filter(|family| !matches!(family, 18..=20 | 22))
        .map(|family| {
            by_run(SocketUse {
                family,
                kind: 1,
                protocol: 0,
                operation: SocketOperation::Create,
                address: None,
                more: false,
            })
        })
        .collect();
    all
}

#[test]
fn systemd_takes_it() -> Outcome {
    needs!(program::SYSTEMD_ANALYZE);
    let said = verify("[Service]\nSystemCallFilter=no_such_call\nNonsense=1\n")?;
    ensure!(
        said.contains("no_such_call") && said.contains("Nonsense"),
        "it is asked: {said}"
    );
    let mut runner = TestRunner::deterministic();
    let any = any_recording();
    let generated = (0..12).map(|_| any.new_tree(&mut runner).map(|tree| tree.current()));
    let generated = generated
        .collect::<Result<Vec<_>, _>>()
        .map_err(|it| anyhow::anyhow!("{it}"))?;
    let known = examples().into_iter().chain([empty(), everything()]);
    for recording in known.chain(generated) {
        let drop_in = Models::new(recording)?.drop_in()?.text;
        let said = verify(&drop_in)?;
        // Calls that are newer than this machine's libseccomp it leaves out, and says so.
        let wrong: Vec<_> = said
            .lines()
            .filter(|line| !line.contains("Failed to parse system call"))
            .filter(|line| !line.contains("System call") || !line.contains("is not known"))
            .collect();
        ensure!(wrong.is_empty(), "{wrong:#?}\n{drop_in}");
    }
    Ok(())
}

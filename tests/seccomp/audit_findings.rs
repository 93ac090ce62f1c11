//! The engines' own profiles, audited: each finding is listed with what makes it true, and what can be
//! performed is.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result, ensure};
use tracer_core::audit::Severity;
use tracer_tests::{
    Outcome, needs,
    requires::{self, Need, program},
};

use crate::bypass::{Sandbox, audit};

fn read(name: &str) -> Result<String> {
    let path = requires::baselines().join(name);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// The findings of a profile are these, whatever is only information aside.
fn says(text: &str, expected: &[&str]) -> Outcome {
    let findings = audit(text)?;
    let found: BTreeSet<_> = findings
        .iter()
        .filter(|finding| finding.severity > Severity::Info)
        .map(|finding| finding.id)
        .collect();
    // No shipped default ends an audit with status 3.
    let bad = findings.iter().find(|it| it.severity >= Severity::High);
    ensure!(bad.is_none(), "{bad:#?}");
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    ensure!(
        found == expected,
        "{found:?} and not {expected:?}: {findings:#?}"
    );
    Ok(())
}

#[test]
fn audits_dockers_default_profile() -> Outcome {
    needs!(
        Need::Libseccomp,
        Need::X86,
        Need::I386,
        Need::Baselines,
        program::CC
    );
    let text = read("moby-default.json")?;
    says(
        &text,
        &[
            // defaultErrnoRet is 1: mount_setattr and others that callers probe for get EPERM.
            "eperm-prevents-fallback",
            // Performed below.
            "multiplexer",
            "unchecked-argument-bits",
        ],
    )?;
    let sandbox = Sandbox::new()?;
    // AF_ALG, as an int and with a bit that the kernel does not read.
    let (_, results) = sandbox.run(&text, 0, "64 41 n:38 n:5 n:0 + 64 41 n:0x100000026 n:5 n:0")?;
    ensure!(results[0] == -1, "{results:?}");
    ensure!(results[1] != -1, "{results:?}");
    // AF_VSOCK by socketcall(SYS_SOCKET).
    let (_, results) = sandbox.run(&text, 0, "64 41 n:40 n:1 n:0 + 32 102 n:1 d:40,1,0")?;
    ensure!(results[0] == -1 && results[1] != -1, "{results:?}");
    Ok(())
}

#[test]
fn audits_podmans_default_profile() -> Outcome {
    needs!(
        Need::Libseccomp,
        Need::X86,
        Need::I386,
        Need::Baselines,
        program::CC
    );
    let text = read("containers-common.json")?;
    says(
        &text,
        &[
            // cachestat and others are named with EPERM, where the default would be ENOSYS.
            "eperm-prevents-fallback",
            // setns is in the entry that allows, and refused without CAP_SYS_ADMIN: performed below.
            "conflicting-rules",
            "multiplexer",
            "unchecked-argument-bits",
        ],
    )?;
    let sandbox = Sandbox::new()?;
    // setns of a descriptor that is none: EBADF is the kernel's word, so it is allowed.
    let (_, results) = sandbox.run(&text, 0, "64 308 n:-1 n:0 + 64 41 n:0x100000028 n:1 n:0")?;
    ensure!(results[0] == -9, "{results:?}");
    ensure!(results[1] != -1, "{results:?}");
    Ok(())
}

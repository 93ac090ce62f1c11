//! Divided profiles: the parser takes them, whatever programs are called, and no more of them than it has
//! room for.

use anyhow::{Context as _, ensure};
use syscalls::Abi;
use tracer_core::{
    profile::apparmor::{AppArmorProfile, Division, Options},
    recording::{Executable, FileAccess, Phase, Recording, Syscall},
};
use tracer_tests::{Outcome, needs};

use super::{
    fixture::{recording, used},
    parser::{PARSER, compile},
};

/// A program that executes these, each of which reads a file of its own.
fn starts(programs: &[String]) -> Recording {
    let begins = Executable::Path("/usr/sbin/begins".to_owned());
    let mut files = Vec::new();
    for (at, program) in programs.iter().enumerate() {
        let mut executed = used(program.as_bytes(), FileAccess::Execute, &[0]);
        let mut mapped = used(program.as_bytes(), FileAccess::MapExecutable, &[0]);
        let mut read = used(format!("/etc/{at}").as_bytes(), FileAccess::Read, &[0]);
        executed.evidence[0].executable = begins.clone();
        for seen in [&mut mapped, &mut read] {
            seen.evidence[0].executable = Executable::Path(program.clone());
        }
        files.extend([executed, mapped, read]);
    }
    let mut recording = recording(1, files);
    recording.syscalls = vec![Syscall {
        abi: Abi::X86_64,
        nr: 0,
        name: None,
        phases: [Phase::Run].into(),
        blocked: false,
        evidence: Vec::new(),
        arguments: None,
    }];
    recording
}

fn divided(programs: &[String]) -> anyhow::Result<AppArmorProfile> {
    let options = Options {
        children: true,
        ..Options::default()
    };
    AppArmorProfile::from_recordings(&[starts(programs)], &options).context("it has files")
}

#[test]
fn parser_accepts_children_with_hostile_names() -> Outcome {
    needs!(PARSER);
    let programs = [
        "/bin/a b",
        "/bin/\"",
        "/bin/\\",
        "/bin/*",
        "/bin/[",
        "/bin/{a,b}",
        "/bin/@{PROC}",
        "/bin/é",
        "/bin/a\n/etc/shadow r,",
        "/bin/-> x",
        "/sbin/a b",
        "/bin/}",
    ]
    .map(str::to_owned);
    let profile = divided(&programs)?;
    let Division::Divided(parts) = profile.division() else {
        anyhow::bail!("{:?}", profile.division());
    };
    ensure!(parts.children.len() == programs.len());
    compile(&profile.to_text()).with_context(|| profile.to_text())?;
    Ok(())
}

#[test]
fn child_profiles_stay_within_the_parsers_limit() -> Outcome {
    needs!(PARSER);
    let programs: Vec<_> = (0..40).map(|at| format!("/usr/bin/p{at}")).collect();
    let profile = divided(&programs)?;
    let Division::Divided(parts) = profile.division() else {
        anyhow::bail!("{:?}", profile.division());
    };
    ensure!(parts.children.len() == 12 && parts.without.len() == 28);
    let text = profile.to_text();
    compile(&text).with_context(|| text.clone())?;
    // One more is what the parser refuses.
    let line = text
        .lines()
        .find(|line| line.contains(" cx -> "))
        .context("nothing is executed under another profile")?;
    let more = text.replacen(line, &format!("{line}\n  /usr/bin/more cx -> \"more\","), 1);
    let refused = compile(&more).err().context("thirteen are taken")?;
    ensure!(
        refused.to_string().contains("profile transitions"),
        "{refused}"
    );
    Ok(())
}

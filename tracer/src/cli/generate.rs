//! `tracer generate`: profiles from recordings.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;

use super::{
    Exit, Failure, name,
    output::{self, Format},
    profile::ProfileArgs,
    say::say,
    since::{Models, changes},
};
use crate::{
    recording::{merge::Merge, store},
    report,
    syscall::Abi,
};

/// Renders profiles from recordings.
///
/// Recordings of the same workload make one profile that allows what any of them observed.
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(
    "Examples:\n",
    "  tracer generate profiles-out/nginx\n",
    "  tracer generate run-1/recording.json run-2/recording.json --output profiles\n",
    "  tracer generate --since main/profiles-out/nginx profiles-out/nginx\n",
    "  tracer generate --arch aarch64 profiles-out/nginx\n",
    "  tracer generate --runtime runc@1.1,crun profiles-out/nginx",
))]
pub(super) struct Args {
    /// Recordings: recording.json files, or folders that hold one
    #[arg(required = true, value_name = "RECORDING")]
    recordings: Vec<PathBuf>,

    /// What to render [default: all that the recordings have something for]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMAT")]
    format: Vec<Format>,

    /// The folder that holds a folder for each workload
    #[arg(long, short, default_value = output::FOLDER, value_name = "DIR")]
    output: PathBuf,

    /// The machine to make them for: x86_64, i386, aarch64, arm or riscv64. What was recorded on another
    /// one is translated, and goes to a folder of that name in the workload's
    #[arg(long, value_name = "MACHINE", value_parser = arch)]
    arch: Option<Abi>,

    /// Begin REVIEW.md with what changed since then: a recording, its folder, a seccomp profile, or an
    /// AppArmor profile. For recordings of one workload
    #[arg(long, value_name = "OLD")]
    since: Option<PathBuf>,

    /// Have apparmor_parser look at each AppArmor profile before anything is written
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    profile: ProfileArgs,
}

/// A machine by the name of its native ABI.
pub(super) fn arch(name: &str) -> Result<Abi, String> {
    Abi::ALL
        .into_iter()
        // No machine has x32 for its own.
        .find(|abi| abi.as_str() == name && *abi != Abi::X32)
        .ok_or_else(|| "known are x86_64, i386, aarch64, arm and riscv64".to_owned())
}

pub(super) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut settings = args.profile.settings()?;
    settings.seccomp.arch = args.arch;
    let mut workloads: BTreeMap<String, Merge> = BTreeMap::new();
    for path in &args.recordings {
        let recording = store::read(path)?;
        name::check(&recording, path)?;
        workloads
            .entry(recording.workload.name.clone())
            .or_default()
            .add(recording);
    }
    if args.since.is_some() && workloads.len() > 1 {
        let several = "--since is for recordings of one workload; these are of several";
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!(several)));
    }
    // All of it is rendered before the first file is written.
    let rendered = workloads
        .into_iter()
        .filter_map(|(name, merge)| Some((name, merge.finish()?)))
        .map(|(name, recording)| {
            let mut files = output::render(&recording, &args.format, &settings)
                .with_context(|| format!("cannot make a profile for {name}"))?;
            if let Some(since) = &args.since {
                let models = Models::of(&recording, &settings)?;
                let changes = changes(since, &recording, &models, &settings)?;
                for (_, text) in files.iter_mut().filter(|file| file.0 == output::REVIEW) {
                    *text = format!("{}\n{text}", report::changes_markdown(&changes));
                }
            }
            let folder = args.output.join(name);
            // Beside what was rendered for the machine recorded on, and never in its place.
            let folder = args
                .arch
                .map_or(folder.clone(), |arch| folder.join(arch.as_str()));
            Ok((folder, files))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    if args.check {
        let mut parser = true;
        for (folder, files) in &rendered {
            let profile = folder.join(output::APPARMOR);
            parser &= output::check(files).with_context(|| profile.display().to_string())?;
        }
        if !parser {
            say!(
                "AppArmor profiles were not checked: apparmor_parser is not installed (apt-get install apparmor)"
            );
        }
    }
    let mut written = String::new();
    for (folder, files) in rendered {
        store::prepare(&folder)?;
        store::write(&folder, &files)?;
        for (name, _) in files {
            written += &format!("{}\n", folder.join(name).display());
        }
    }
    // Last: whoever reads the list may have gone, the files are there all the same.
    io::stdout().write_all(written.as_bytes())?;
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_those_that_have_the_abi_for_their_own() {
        assert_eq!(arch("aarch64"), Ok(Abi::Aarch64));
        for wrong in ["x32", "arm64", "amd64", ""] {
            assert!(arch(wrong).unwrap_err().contains("known are x86_64"));
        }
    }
}

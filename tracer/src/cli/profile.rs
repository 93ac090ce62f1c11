//! What `record` and `generate` are told about the profile they write.

use super::{Exit, Failure, name};
use syscalls::{arguments::Mode, runtime_init::RuntimeSelection};
use tracer_core::{
    formats::{Settings, Targets},
    profile::{
        apparmor::{self, Policy},
        seccomp::{ErrnoPolicy, ExecPolicy, FallbackPolicy, HeadroomPolicy, Options},
        selinux::{self, Base, DEFAULT_BLOCK, is_identifier},
    },
};

/// The heading of these options in a help text.
pub(super) const HEADING: &str = "Profile options";

/// What a profile is to hold, as it was typed.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = HEADING)]
pub(super) struct ProfileArgs {
    /// Container runtimes that must be able to start the workload: runc, crun@1.21, a comma-separated list,
    /// or none [default: all]
    #[arg(long, value_name = "RUNTIME[@VERSION]")]
    runtime: Vec<RuntimeSelection>,

    /// Which processes started in a running container (docker exec, probes) count
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    exec: Exec,

    /// Allow system calls that another libc or kernel uses for the same work, if they grant nothing new
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "WHICH",
        alias = "variants"
    )]
    fallbacks: Fallbacks,

    /// Allow harmless system calls that were not observed: sleeping, reading one's own ids and limits,
    /// flushing a file that is written
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    headroom: Headroom,

    /// How far to restrict the arguments of calls
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    arguments: Arguments,

    /// Also allow calls that a seccomp filter blocked while recording
    #[arg(long)]
    allow_blocked: bool,

    /// Error that denied calls return
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    errno: Errno,

    /// How far paths in the AppArmor profile are generalised
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "HOW",
        alias = "generalize"
    )]
    generalise: Generalise,

    /// Give each program that the workload starts its own AppArmor child profile (cx); not with no_new_privs,
    /// under which the kernel does not change profiles
    #[arg(long)]
    children: bool,

    /// Write profiles that only log what they would deny: seccomp with SCMP_ACT_LOG (Linux 4.14, libseccomp 2.4),
    /// AppArmor in complain mode, SELinux as a permissive domain
    #[arg(long)]
    complain: bool,

    /// Block of the SELinux policy that the profile inherits: the one that the recorded domain inherits
    #[arg(long, value_name = "BLOCK", value_parser = selinux_block, default_value = DEFAULT_BLOCK)]
    selinux_inherit: String,

    /// Write an SELinux profile that inherits nothing, for a workload that was recorded in such a domain
    #[arg(long, conflicts_with = "selinux_inherit")]
    standalone: bool,

    /// Name of the AppArmor and SELinux profiles and of the Kubernetes objects [default: the workload's]
    #[arg(long, value_name = "NAME", value_parser = name::parse)]
    profile_name: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Generalise {
    /// Exactly the observed paths; process ids and names of temporary files will differ next time
    None,
    /// Process ids, temporary names, UUIDs, hashes, library versions, series of numbers, names that differ
    /// between replicas, directories with many used files
    #[default]
    Safe,
    /// The same with less evidence, and whole trees
    Wide,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Exec {
    /// Those without a terminal, such as probes; interactive sessions are only reported
    #[default]
    Probes,
    /// Interactive sessions as well
    All,
    /// None: the profile denies what they do
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Fallbacks {
    /// Equivalent calls: open and openat, stat and newfstatat, fork and clone with the flags of fork
    #[default]
    #[value(alias = "fallbacks")]
    Safe,
    /// No fallbacks
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Headroom {
    /// Calls that touch nothing outside of the process and grant nothing new
    #[default]
    Safe,
    /// Only observed calls, and those of the other layers
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Arguments {
    /// Not at all
    Off,
    /// Arguments that do not vary with load, libc or hardware: socket families, namespaces, operations of
    /// prctl, ptrace, bpf and the like
    #[default]
    Safe,
    /// All recorded arguments, including ioctl, fcntl, setsockopt and madvise; record under load first
    All,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Errno {
    /// ENOSYS for calls that libraries probe for and for unknown numbers, so that callers fall back; EPERM
    /// for long-established calls
    #[default]
    Probed,
    /// EPERM for all calls; a libc that probes for a new call may then give up. runc still answers ENOSYS
    /// to numbers above the largest one in the profile
    Eperm,
}

impl ProfileArgs {
    /// What was typed, resolved.
    ///
    /// # Errors
    ///
    /// Wrong usage, when one thing rules out another.
    pub(super) fn settings(&self) -> Result<Settings, Failure> {
        let exec = match self.exec {
            Exec::Probes => ExecPolicy::Probes,
            Exec::All => ExecPolicy::All,
            Exec::None => ExecPolicy::None,
        };
        let seccomp = Options {
            runtime_init: RuntimeSelection::union(self.runtime.iter().cloned())
                .map_err(|error| Failure::new(Exit::Usage, error))?,
            exec,
            fallbacks: match self.fallbacks {
                Fallbacks::Safe => FallbackPolicy::Fallbacks,
                Fallbacks::None => FallbackPolicy::None,
            },
            headroom: match self.headroom {
                Headroom::Safe => HeadroomPolicy::Safe,
                Headroom::None => HeadroomPolicy::None,
            },
            arguments: match self.arguments {
                Arguments::Off => Mode::Off,
                Arguments::Safe => Mode::Safe,
                Arguments::All => Mode::All,
            },
            allow_blocked: self.allow_blocked,
            errno: match self.errno {
                Errno::Probed => ErrnoPolicy::Probed,
                Errno::Eperm => ErrnoPolicy::Eperm,
            },
            complain: self.complain,
            ..Options::default()
        };
        let apparmor = apparmor::Options {
            name: self.profile_name.clone(),
            complain: self.complain,
            generalise: match self.generalise {
                Generalise::None => Policy::None,
                Generalise::Safe => Policy::Safe,
                Generalise::Wide => Policy::Wide,
            },
            exec,
            children: self.children,
            ..apparmor::Options::default()
        };
        let selinux = selinux::Options {
            name: self.profile_name.clone(),
            complain: self.complain,
            base: if self.standalone {
                Base::Standalone
            } else {
                Base::Block(self.selinux_inherit.clone())
            },
            exec,
        };
        Ok(Settings {
            seccomp,
            apparmor,
            selinux,
            targets: Targets::default(),
        })
    }
}

/// A block's name.
pub(super) fn selinux_block(name: &str) -> Result<String, String> {
    if is_identifier(name) {
        return Ok(name.to_owned());
    }
    Err("give the name of a block or type: a letter, then letters, digits, _, - and .".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        profile: ProfileArgs,
    }

    fn settings(arguments: &[&str]) -> Result<Settings, String> {
        let arguments = ["tracer"].iter().chain(arguments);
        let cli = Cli::try_parse_from(arguments).map_err(|error| error.to_string())?;
        let settings = cli.profile.settings();
        settings.map_err(|failure| failure.error.to_string())
    }

    #[test]
    fn no_options_give_the_defaults() {
        assert_eq!(settings(&[]), Ok(Settings::default()));
    }

    #[test]
    fn errno_is_chosen_by_name() {
        let errno = |arguments: &[&str]| settings(arguments).map(|it| it.seccomp.errno);
        assert_eq!(errno(&["--errno=probed"]), Ok(ErrnoPolicy::Probed));
        assert_eq!(errno(&["--errno", "eperm"]), Ok(ErrnoPolicy::Eperm));
        assert!(errno(&["--errno=13"]).is_err());
    }

    #[test]
    fn headroom_can_be_left_out() {
        let headroom = |arguments: &[&str]| settings(arguments).map(|it| it.seccomp.headroom);
        assert_eq!(headroom(&[]), Ok(HeadroomPolicy::Safe));
        assert_eq!(headroom(&["--headroom=none"]), Ok(HeadroomPolicy::None));
        assert!(headroom(&["--headroom=all"]).is_err());
    }

    #[test]
    fn apparmor_uses_the_exec_policy() {
        let all = settings(&[
            "--exec=all",
            "--generalise=wide",
            "--complain",
            "--children",
            "--profile-name=x",
        ]);
        let expected = apparmor::Options {
            name: Some("x".to_owned()),
            complain: true,
            generalise: Policy::Wide,
            exec: ExecPolicy::All,
            essential: true,
            children: true,
        };
        assert_eq!(all.map(|it| it.apparmor), Ok(expected));
        assert!(settings(&["--profile-name=a b"]).is_err());
    }

    #[test]
    fn runtimes_can_be_repeated_or_listed() {
        let runtime_init =
            |arguments: &[&str]| settings(arguments).map(|it| it.seccomp.runtime_init.to_string());
        let both = Ok("runc@1.1,crun".to_owned());
        assert_eq!(runtime_init(&["--runtime", "crun,runc@1.1"]), both);
        assert_eq!(
            runtime_init(&["--runtime=crun", "--runtime=runc@1.1"]),
            both
        );
        assert_eq!(runtime_init(&["--runtime=none"]), Ok("none".to_owned()));
        assert!(runtime_init(&["--runtime=none", "--runtime=runc"]).is_err());
        let wrong = runtime_init(&["--runtime=docker"]).unwrap_err();
        assert!(wrong.contains("no runtime \"docker\" is known"), "{wrong}");
    }
}

//! What a test needs of the machine, and what happens where it is missing: the test is skipped by
//! name where everybody sees it, or fails where the machine was promised to have everything.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Result, bail};

use crate::{
    cgroup, containerd::Containerd, docker::Docker, filter, gvisor, kubernetes,
    libseccomp::Libseccomp, oci, programs, release, servers, tracer,
};

/// Set to `1` where nothing may be missing: a skip is then a failure.
const REQUIRE_ALL: &str = "TRACER_REQUIRE_ALL";

/// Names a file that gets a line for each skipped test.
const SKIP_LOG: &str = "TRACER_SKIP_LOG";

/// Something that not every machine has.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// Effective user id 0.
    Root,
    /// A program on the `PATH`, and the Debian package that has it.
    Program(&'static str, &'static str),
    /// PostgreSQL's server, whose programs are not on the `PATH`.
    Postgres,
    /// A kernel that runs i386 programs, and a compiler that makes them.
    I386,
    /// A mounted cgroup v2 hierarchy.
    Cgroup2,
    /// The x86-64 machine, whose system call numbers the test names.
    X86,
    /// A containerd that starts here.
    Containerd,
    /// A Docker that starts here.
    Docker,
    /// The device by which programs serve file systems.
    Fuse,
    /// That the filters of processes can be read.
    Filters,
    /// libseccomp, to be opened at run time.
    Libseccomp,
    /// The engines' own profiles, which are not part of the project: nobody promises them.
    Baselines,
    /// The definitions of the operator's objects, which are not part of the project: nobody promises them.
    Definitions,
    /// kubectl, which no distribution has in a version of today: nobody promises it.
    Kubectl,
    /// A Kubernetes that `cargo xtask kubernetes` built: it takes minutes, so nobody promises it.
    Kubernetes,
    /// The files of a release, which `cargo xtask test` makes: promised where `TRACER_PACKAGES` names
    /// them.
    Packages,
    /// lintian, which needs a hundred packages of Perl: nobody promises it.
    Lintian,
    /// Newer container runtimes than the machine's own, which nobody can promise: they are fetched
    /// from a mirror.
    NewerRuntimes,
    /// gVisor's runtime, which nobody can promise: it is fetched from a mirror.
    Runsc,
    /// Python where the distribution has it, with its library.
    SystemPython,
    /// A kernel with AppArmor, and with BPF programs among its security modules: promised in the
    /// virtual machines of `cargo xtask vm`, which `TRACER_VM` tells.
    SecurityModules,
    /// A kernel with SELinux among its security modules: run by the boot with SELinux of `cargo xtask vm`, which
    /// loads a policy of the test's own. Nobody promises it elsewhere.
    Selinux,
}

/// Often needed programs.
pub mod program {
    use super::Need;

    /// The C compiler.
    pub const CC: Need = Need::Program("cc", "gcc libc6-dev");
    /// The C compiler for musl.
    pub const MUSL: Need = Need::Program("musl-gcc", "musl-tools");
    /// strace.
    pub const STRACE: Need = Need::Program("strace", "strace");
    /// nginx.
    pub const NGINX: Need = Need::Program("nginx", "nginx-light");
    /// The redis server.
    pub const REDIS: Need = Need::Program("redis-server", "redis-server");
    /// The redis client programs.
    pub const REDIS_TOOLS: Need = Need::Program("redis-benchmark", "redis-tools");
    /// PostgreSQL's client.
    pub const PSQL: Need = Need::Program("psql", "postgresql-client");
    /// Node.js.
    pub const NODE: Need = Need::Program("node", "nodejs");
    /// Python.
    pub const PYTHON: Need = Need::Program("python3", "python3");
    /// Perl.
    pub const PERL: Need = Need::Program("perl", "perl");
    /// Bash.
    pub const BASH: Need = Need::Program("bash", "bash");
    /// busybox, statically linked.
    pub const BUSYBOX: Need = Need::Program("busybox", "busybox-static");
    /// runc.
    pub const RUNC: Need = Need::Program("runc", "runc");
    /// crun.
    pub const CRUN: Need = Need::Program("crun", "crun");
    /// unshare(1).
    pub const UNSHARE: Need = Need::Program("unshare", "util-linux");
    /// What containerd and its clients are.
    pub const CONTAINERD: [Need; 5] = [
        Need::Program("containerd", "containerd"),
        Need::Program("ctr", "containerd"),
        Need::Program("nsenter", "util-linux"),
        RUNC,
        BUSYBOX,
    ];
    /// What Docker and its client are.
    pub const DOCKER: [Need; 7] = [
        Need::Program("dockerd", "docker.io"),
        Need::Program("docker", "docker.io"),
        CONTAINERD[0],
        CONTAINERD[1],
        CONTAINERD[2],
        RUNC,
        BUSYBOX,
    ];
    /// skopeo(1), which reads image layouts.
    pub const SKOPEO: Need = Need::Program("skopeo", "skopeo");
    /// systemd-analyze(1).
    pub const SYSTEMD_ANALYZE: Need = Need::Program("systemd-analyze", "systemd");
    /// setpriv(1).
    pub const SETPRIV: Need = Need::Program("setpriv", "util-linux");
}

impl Need {
    /// What is missing, with the command that mends it; `None` when nothing is.
    fn missing(self) -> Option<String> {
        match self {
            Self::Root => {
                (!nix::unistd::geteuid().is_root()).then(|| "root: run the tests as root".into())
            }
            Self::Program(name, package) => which(name)
                .is_none()
                .then(|| format!("{name}: apt-get install {package}")),
            Self::Postgres => servers::postgres_programs()
                .is_none()
                .then(|| "PostgreSQL: apt-get install postgresql".into()),
            Self::I386 => programs::i386_works()
                .err()
                .map(|_| "programs for i386: apt-get install gcc-multilib".into()),
            Self::Cgroup2 => cgroup::v2_mount()
                .is_err()
                .then(|| "cgroup v2: mount it with `mount -t cgroup2 none /sys/fs/cgroup`".into()),
            Self::X86 => {
                (!cfg!(target_arch = "x86_64")).then(|| "an x86-64 machine: none here".into())
            }
            Self::Containerd => engine_missing(&program::CONTAINERD, &CONTAINERD, || {
                Containerd::start().map(drop)
            }),
            Self::Docker => engine_missing(&program::DOCKER, &DOCKER, || Docker::start().map(drop)),
            Self::Fuse => (!Path::new("/dev/fuse").exists())
                .then(|| "/dev/fuse: a kernel with CONFIG_FUSE_FS".into()),
            Self::Filters => filter::unreadable().map(str::to_owned),
            Self::Libseccomp => Libseccomp::open()
                .err()
                .map(|_| "libseccomp.so.2: apt-get install libseccomp2".into()),
            Self::Baselines => (!baselines().is_dir()).then(|| {
                "the engines' own profiles: name their directory in TRACER_BASELINES".into()
            }),
            Self::Definitions => (!crds().is_dir()).then(|| {
                "the definitions of the operator's objects: name their directory in TRACER_CRDS"
                    .into()
            }),
            Self::Kubectl => which("kubectl")
                .is_none()
                .then(|| "kubectl: see kubernetes.io, Install Tools".into()),
            Self::Kubernetes => kubernetes::programs()
                .err()
                .map(|_| "Kubernetes: run `cargo xtask kubernetes`".into()),
            Self::Packages => (!release::files().is_dir())
                .then(|| "the files of a release: run `cargo xtask test package`".into()),
            Self::Lintian => which("lintian")
                .is_none()
                .then(|| "lintian: apt-get install lintian".into()),
            Self::SecurityModules => {
                let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
                let has = |module| modules.trim().split(',').any(|one| one == module);
                (!has("bpf") || !has("apparmor")).then(|| {
                    "AppArmor and BPF among the security modules: run it by `cargo xtask vm`".into()
                })
            }
            Self::Runsc => gvisor::programs()
                .is_empty()
                .then(|| "runsc: run `cargo xtask test` as root, online".into()),
            Self::SystemPython => (!Path::new("/usr/bin/python3").exists())
                .then(|| "/usr/bin/python3: apt-get install python3".into()),
            Self::Selinux => {
                let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
                let is_there = modules.trim().split(',').any(|one| one == "selinux");
                (!is_there || env::var_os("TRACER_VM").is_none()).then(|| {
                    "a virtual machine with SELinux: run it by `cargo xtask vm --selinux`".into()
                })
            }
            Self::NewerRuntimes => env::var_os(oci::RUNTIMES)
                .is_none_or(|paths| paths.is_empty())
                .then(|| "newer runc and crun: run `cargo xtask test` as root, online".into()),
        }
    }
}

/// What starting an engine came to, for all tests of this run.
static CONTAINERD: OnceLock<Option<String>> = OnceLock::new();
static DOCKER: OnceLock<Option<String>> = OnceLock::new();

/// What is missing for an engine that is to start here: a program, or whatever it said when it was
/// tried.
fn engine_missing(
    programs: &[Need],
    tried: &OnceLock<Option<String>>,
    start: impl FnOnce() -> Result<()>,
) -> Option<String> {
    programs.iter().find_map(|need| need.missing()).or_else(|| {
        let tried = tried.get_or_init(|| Some(format!("{:#}", start().err()?)));
        let said = tried.as_ref()?.replace('\n', "; ");
        Some(format!("an engine that starts here: {said}"))
    })
}

/// Where the engines' own profiles are, if anywhere: in the directory that `TRACER_BASELINES` names, or
/// beside the project.
pub fn baselines() -> PathBuf {
    env::var_os("TRACER_BASELINES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/baselines"),
        PathBuf::from,
    )
}

/// Where the definitions of the operator's objects are, if anywhere: in the directory that `TRACER_CRDS`
/// names, or beside the project.
pub fn crds() -> PathBuf {
    env::var_os("TRACER_CRDS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/crds"),
        PathBuf::from,
    )
}

/// The file of a program.
pub fn which(name: &str) -> Option<PathBuf> {
    env::split_paths(tracer::PATH)
        .map(|dir| dir.join(name))
        .find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok() && path.is_file()
}

/// Whether `test` can run here. Says so when it cannot.
///
/// # Errors
/// When something is missing and the environment promised that nothing is.
pub fn met(test: &str, needs: &[Need]) -> Result<bool> {
    let missing = |need: &Need| need.missing().map(|missing| (*need, missing));
    let Some((need, missing)) = needs.iter().find_map(missing) else {
        return Ok(true);
    };
    let is_promised = match need {
        Need::NewerRuntimes
        | Need::Runsc
        | Need::Selinux
        | Need::Baselines
        | Need::Definitions
        | Need::Kubectl
        | Need::Kubernetes
        | Need::Lintian => false,
        Need::Packages => env::var_os(release::PACKAGES).is_some(),
        Need::SecurityModules => env::var_os("TRACER_VM").is_some(),
        _ => true,
    };
    if is_promised && env::var(REQUIRE_ALL).as_deref() == Ok("1") {
        bail!("{test} needs {missing}");
    }
    // Not `eprintln!`: the test harness keeps what a passing test prints by that to itself.
    writeln!(io::stderr(), "SKIPPED {test}: needs {missing}")?;
    if let Some(log) = env::var_os(SKIP_LOG) {
        let mut log = OpenOptions::new().create(true).append(true).open(log)?;
        log.write_all(format!("{test}: needs {missing}\n").as_bytes())?;
    }
    Ok(false)
}

/// Leaves the test, visibly, unless everything it needs is here.
#[macro_export]
macro_rules! needs {
    ($($need:expr),+ $(,)?) => {
        if !$crate::requires::met($crate::test_name!(), &[$($need),+])? {
            return Ok(());
        }
    };
}

/// The path of the function it stands in, without the crate.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        let name = ::std::any::type_name_of_val(&here);
        let name = name.strip_suffix("::here").unwrap_or(name);
        name.split_once("::").map_or(name, |(_, name)| name)
    }};
}

/// A test for each workload, of a function that takes the test's name and the workload.
#[macro_export]
macro_rules! for_each_work {
    ($check:ident: $($name:ident: $work:expr;)*) => {
        $(
            #[test]
            fn $name() -> $crate::Outcome {
                $check($crate::test_name!(), $work)
            }
        )*
    };
}

//! Every rule: what it is called, how bad it is, why, and what mends it. The one source of `tracer
//! audit --explain`, of docs/rules/ and of what SARIF says of rules.

use super::Severity;

/// The text of a rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it is called.
    pub id: &'static str,
    /// Which family it is of.
    pub family: RuleGroup,
    /// How bad a finding is, unless the case makes it better or worse.
    pub severity: Severity,
    /// A short sentence.
    pub title: &'static str,
    /// Why it matters.
    pub explanation: &'static str,
    /// What to do.
    pub fix: &'static str,
}

/// What rules are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "`title` says what each is")]
pub enum RuleGroup {
    Gaps,
    Names,
    Forms,
    Errno,
    Recording,
    Baseline,
    Context,
    AppArmor,
    Selinux,
}

impl RuleGroup {
    /// All of them, in the order of the documents.
    pub const ALL: [Self; 9] = [
        Self::Gaps,
        Self::Names,
        Self::Forms,
        Self::Errno,
        Self::Recording,
        Self::Baseline,
        Self::Context,
        Self::AppArmor,
        Self::Selinux,
    ];

    /// What it is about.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Gaps => "Gaps",
            Self::Names => "Names and rules that do nothing",
            Self::Forms => "Old forms",
            Self::Errno => "What a denied call returns",
            Self::Recording => "Against recordings",
            Self::Baseline => "Against other profiles",
            Self::Context => "Where the profile is used",
            Self::AppArmor => "AppArmor",
            Self::Selinux => "SELinux",
        }
    }
}

macro_rules! rules {
    ($($name:ident = $id:literal, $family:ident, $severity:ident, $title:literal, $explanation:literal, $fix:literal;)*) => {
        $(
            #[doc = $title]
            pub static $name: Rule = Rule {
                id: $id,
                family: RuleGroup::$family,
                severity: Severity::$severity,
                title: $title,
                explanation: $explanation,
                fix: $fix,
            };
        )*

        /// All of them, by family.
        pub static ALL: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    EQUIVALENT_SYSCALL_ALLOWED = "equivalent-syscall-allowed", Gaps, High,
        "A system call is denied, but another one that does the same is allowed.",
        "Most things can be done by several system calls: a file's mode is changed by chmod, fchmod, fchmodat, fchmodat2, and by setting a POSIX ACL. A profile that denies some of them stops programs that happen to use these, but not an attacker. Each way that a finding names is performed in the project's tests under a filter that denies the call. A new call that is denied with ENOSYS is not a gap: its callers fall back to the older ones.",
        "Deny the other ways too, as the finding says, or make the profile an allow-list.";
    IO_URING = "io-uring", Gaps, High,
        "io_uring is allowed, and its operations bypass the profile.",
        "io_uring opens, reads, writes, renames, connects and more from inside the kernel, without system calls. seccomp never sees these operations, so no rule for openat, connect or unlinkat binds them. Docker, containerd and Google's products deny it for that reason and for its history of kernel vulnerabilities.",
        "Deny io_uring_setup, io_uring_enter and io_uring_register with ENOSYS (errnoRet 38): programs then go back to ordinary calls.";
    DEFAULT_ALLOW = "default-allow", Gaps, Medium,
        "The profile allows every system call that it does not name.",
        "A deny-list is right on the day it is written. Each kernel adds calls that it does not name, all of them are allowed, and no list of bad calls has ever been complete.",
        "Record the workload and enforce what it used: tracer record, then tracer generate.";
    NEWER_SYSCALLS_ALLOWED = "newer-syscalls-allowed", Gaps, Low,
        "System calls that are newer than the profile are allowed.",
        "A profile that allows by default also allows what did not exist when it was written. The finding names the calls that came with kernels later than the newest call that the profile names, high-risk ones first.",
        "Deny these calls with ENOSYS, or make the profile an allow-list.";
    ABI_BYPASS = "abi-bypass", Gaps, High,
        "A system call is denied to 64-bit programs and allowed in another ABI.",
        "The same kernel takes calls of several ABIs: i386 by int 0x80 and x32 by a bit of the number, from any process. Where a profile lists their architectures, what it denies by one name may be allowed there by another, such as socketcall or chown32.",
        "Remove the architecture from the profile, or deny the names that do the same there.";
    ABI_KILLED = "abi-killed", Gaps, Medium,
        "Programs of another ABI are neither allowed nor denied: they are killed.",
        "A filter is for the architectures that the profile lists and for the runtime's own. A call of any other ABI kills its thread (libseccomp's SCMP_FLTATR_ACT_BADARCH), whatever the default action says. So i386 and x32 do not bypass the profile on runc and crun, but a 32-bit program that defaultAction seems to allow dies with SIGSYS, and a loader that is not built on libseccomp may allow them instead.",
        "Add \"architectures\" with the ABIs that should be able to run, and nothing else.";
    LEGACY_ABI_ALLOWED = "legacy-abi-allowed", Gaps, Info,
        "The profile lets programs of an older ABI in.",
        "With SCMP_ARCH_X86 and SCMP_ARCH_X32 in the list, each allowed name is allowed in these ABIs, too: another entry to the kernel, with code that few use. i386 has calls that act by what is in memory (socketcall, ipc), where no condition can look.",
        "List the architectures of the programs that are in the image: for most SCMP_ARCH_X86_64 alone.";
    MULTIPLEXER = "multiplexer", Gaps, High,
        "A condition on a socket call does not hold for i386, where socketcall does the same.",
        "32-bit x86 programs may make socket calls through socketcall, with the arguments in memory. A filter sees a number and a pointer there. libseccomp turns a rule for socket into one for socketcall as well, but a condition on the first argument is lost and one on the second compares the pointer.",
        "Take SCMP_ARCH_X86 out of architectures, or deny socketcall: libc falls back to the calls of their own.";
    UNCHECKED_ARGUMENT_BITS = "unchecked-argument-bits", Gaps, High,
        "Bits that the kernel does not read bypass a condition.",
        "A filter compares 64 bits of a register, and of an int the kernel reads 32. A program sets a bit above them: to the filter it is another value, to the kernel the same. That bypasses whatever is denied by equality, and allowed by NE, GT or GE.",
        "Compare with SCMP_CMP_MASKED_EQ and a mask of the bits that the kernel reads, or allow the wanted values by SCMP_CMP_EQ.";
    POINTER_ARGUMENT = "pointer-argument", Gaps, High,
        "A condition is on a pointer.",
        "A filter sees the address and not what lies there, and another thread can change that after the filter has looked. Such a condition holds or fails by where memory happens to be.",
        "Restrict what the pointer leads to with AppArmor, Landlock or mounts; here, allow or deny the call as a whole.";
    CONDITION_BYPASS = "condition-bypass", Gaps, High,
        "A call is restricted by its arguments, and another that does the same is not.",
        "unshare may be denied with CLONE_NEWUSER, and clone makes a user namespace by the same flag; clone3 takes it in memory, where no filter sees it. chmod may be denied with the set-user-ID bit, and fchmod sets it. One of them allowed undoes the condition.",
        "Give the other calls the same condition, as the finding says; deny those that take their arguments in memory with ENOSYS (errnoRet 38), so that their callers fall back.";
    INVERTED_MASK = "inverted-mask", Gaps, High,
        "A condition denies what is harmless and allows what was meant.",
        "SCMP_CMP_MASKED_EQ compares argument & value with valueTwo, and a valueTwo that is left out is 0. So a rule that is to deny a flag denies every call without it, and allows the call with it.",
        "Write \"valueTwo\" with the flag; several flags take an entry each.";
    COMBINED_FLAGS = "combined-flags", Gaps, High,
        "A condition denies flags only when all of them are set together.",
        "SCMP_CMP_MASKED_EQ holds when the masked bits have exactly the value. With several flags in it, a program that sets one of them passes.",
        "Write an entry for each flag, with the flag as value and valueTwo.";
    EXACT_FLAGS = "exact-flags", Gaps, High,
        "A condition compares a whole argument of which only some bits matter.",
        "An argument of flags may have others beside the one that is denied: unshare(CLONE_NEWUSER|CLONE_FS) is not equal to CLONE_NEWUSER, and does the same. The type of a socket and of a special file has flags beside it, too.",
        "Compare with SCMP_CMP_MASKED_EQ and a mask of the bits that matter.";
    VALUE_OUTSIDE_MASK = "value-outside-mask", Gaps, High,
        "A condition wants bits that it does not compare.",
        "SCMP_CMP_MASKED_EQ compares argument & value with valueTwo. Bits of valueTwo that value does not have can never be set in the result; libseccomp drops them, so the condition holds for other arguments than those that are written.",
        "Let value be the mask, with all bits of valueTwo.";
    UNREAD_VALUE = "unread-value", Gaps, Low,
        "A second value is given but not used.",
        "Only SCMP_CMP_MASKED_EQ uses valueTwo. A mask may have been meant.",
        "Use SCMP_CMP_MASKED_EQ, or remove valueTwo.";
    WEAKER_THAN_DEFAULT = "weaker-than-default", Gaps, High,
        "The profile lets through what the default profiles of Docker and containerd block.",
        "Every container can have RuntimeDefault at no cost. A custom profile that is weaker for a call should have a reason for it. The evidence says of each call why the defaults block it, and which capability would allow it there.",
        "Deny the calls that the workload does not need, or use RuntimeDefault.";

    UNKNOWN_NAME = "unknown-name", Names, High,
        "No system call has this name.",
        "A runtime leaves out a name that its libseccomp does not know: runc silently, crun with a warning. The rule does nothing.",
        "Correct the name, or remove it.";
    OTHER_ARCHITECTURE_NAME = "other-architecture-name", Names, Info,
        "System calls do not exist on this profile's architectures.",
        "They do nothing here and do no harm. They are a mistake where the call of the profile's own architecture was meant.",
        "Leave them, or remove them.";
    NEWER_THAN_LIBSECCOMP = "newer-than-libseccomp", Names, Medium,
        "A rule does nothing where libseccomp is older than the call.",
        "A runtime leaves out names that its libseccomp does not know, and version 2.5.4 knows those of Linux 5.17. On a node with it, a deny-list still allows the call. A profile that denies by default denies it.",
        "Make the profile an allow-list, or make sure that the nodes' libseccomp is 2.6 or newer.";
    DUPLICATE_NAME = "duplicate-name", Names, Low,
        "A name is there twice and says the same.",
        "The second one does nothing now. But if only the first one is removed, the call is still listed.",
        "Remove one of them.";
    SHADOWED_RULE = "shadowed-rule", Names, Medium,
        "A rule has no effect, because another rule for the same call decides.",
        "libseccomp keeps a rule without conditions and drops all with conditions, wherever they stand. An entry that says the same as defaultAction is left out by the runtime, so it is not an exception to another entry.",
        "Keep the one that is meant.";
    CONFLICTING_RULES = "conflicting-rules", Names, High,
        "Two rules for the same call contradict each other.",
        "The order of entries does not decide: libseccomp's does, and some pairs it refuses.",
        "Keep the one that is meant.";
    REFUSED_PROFILE = "refused-profile", Names, Critical,
        "A runtime refuses the profile, and no container starts with it.",
        "runc, crun and libseccomp check what they are given before they load it.",
        "Fix what the message names.";
    EXIT_DENIED = "exit-denied", Names, Critical,
        "No program can run under this profile.",
        "Without execve nothing starts. Without exit and exit_group a process cannot end: libc retries forever, using a whole CPU (kubernetes#85191). Without rt_sigreturn the first signal handler that returns kills.",
        "Allow exit, exit_group, execve and rt_sigreturn.";

    UNCLEAR_IGNORE = "unclear-ignore", Forms, Low,
        "A comment that should suppress a finding has no effect.",
        "`# tracer:ignore RULE reason` suppresses the findings of a rule for its line, or for the next one when it stands on a line of its own; `tracer:ignore-file` for the whole file. It has to name a rule, and to say why.",
        "Write the rule's id and the reason behind it.";
    LEGACY_NAME_KEY = "legacy-name-key", Forms, High,
        "Entries use the legacy key \"name\" instead of \"names\".",
        "Docker read one name an entry until 1.13, and its readers still do. The runtime-spec has only names. Handed to runc as it is, as containerd does with a pod's profile, the entry is one without names and silently does nothing (runc 1.1.5: a profile that denies chmod this way allows it); crun refuses to start. Azure's page on AKS shows both forms.",
        "Write names with a list.";
    ENGINE_SPECIFIC_FIELDS = "engine-specific-fields", Forms, Info,
        "The profile uses what only Docker, Podman and CRI-O read.",
        "Only these engines read archMap, includes, excludes and minKernel. Software that reads the file as plain OCI, as containerd does with a pod's profile, ignores them: entries for some capability or architecture then count for all.",
        "For containerd and Kubernetes write plain OCI: architectures instead of archMap, and the entries that count for the container.";
    DEPRECATED_CRD = "deprecated-crd", Forms, Low,
        "The object is of a version or has a field that the operator is giving up.",
        "Since Security Profiles Operator 1.0 each kind is v1. Older versions are served for a while, and fields of theirs (disabled, complainMode, permissive) are ignored by v1.",
        "Write apiVersion: security-profiles-operator.x-k8s.io/v1, state: Enabled or Disabled, mode: Enforce or Complain.";
    BASE_PROFILE = "base-profile", Forms, Medium,
        "The profile is only a part of what will be enforced.",
        "The operator adds the entries of the profile that baseProfileName names to this one's. The findings cover this profile alone: rules of the base are not taken into account and may close a gap.",
        "Audit the file together with the base: put both into one, with --- between them.";
    UNREAD_KEY = "unread-key", Forms, Low,
        "No runtime reads a key of the profile.",
        "Runtimes ignore keys that they do not know, so the profile is enforced without them. That is harmless for a comment. A misspelt key is a rule or a setting that is missing; the finding is then high.",
        "Remove the key, or correct it. Docker's form has \"comment\" in each entry of syscalls.";
    NOT_STANDARD_JSON = "not-standard-json", Forms, Critical,
        "Runtimes refuse the file, because it is not standard JSON.",
        "JSON has no comments, and the JSON readers of Docker, containerd, CRI-O, Podman and Kubernetes do not accept a byte order mark (BOM) either. A container with the profile does not start. The audit reads the rest of the file anyway.",
        "Remove the comments, and save the file as UTF-8 without BOM.";
    REMOVED_SECCOMP_ANNOTATION = "removed-seccomp-annotation", Forms, Critical,
        "The seccomp annotation is not read any more.",
        "Kubernetes has ignored seccomp.security.alpha.kubernetes.io and container.seccomp.security.alpha.kubernetes.io since 1.27: the pod runs without the profile.",
        "Set securityContext.seccompProfile.";
    DEPRECATED_APPARMOR_ANNOTATION = "deprecated-apparmor-annotation", Forms, Low,
        "The AppArmor annotation is deprecated.",
        "Since 1.30 Kubernetes has the field securityContext.appArmorProfile; container.apparmor.security.beta.kubernetes.io is read for a while.",
        "Set securityContext.appArmorProfile.";

    EPERM_PREVENTS_FALLBACK = "eperm-prevents-fallback", Errno, Medium,
        "A new call is denied with EPERM, and its callers do not fall back.",
        "libc and language runtimes try a new call first. ENOSYS tells them that the kernel does not have it, and they use the old one; EPERM tells them that it is forbidden, and they give up. glibc 2.34 could start no thread under filters that answered clone3 with EPERM (moby#42680).",
        "Deny it with \"errnoRet\": 38 (ENOSYS).";
    IMPLICIT_ERRNO = "implicit-errno", Errno, Info,
        "The error of denied calls is not written down.",
        "Without errnoRet and defaultErrnoRet a denied call returns EPERM. For old calls that is right. For those that libc probes it is not, and a reader cannot tell whether that was intended.",
        "Write \"errnoRet\": 1 for old calls, and 38 (ENOSYS) for those that are newer than Linux 5.1.";
    KILL_PREVENTS_FALLBACK = "kill-prevents-fallback", Errno, High,
        "A system call that programs merely probe for kills them.",
        "libc, the dynamic linker and language runtimes try new calls to find out whether the kernel has them. With KILL or TRAP the first attempt ends the program.",
        "Deny it with SCMP_ACT_ERRNO and \"errnoRet\": 38 (ENOSYS).";
    ERRNO_ZERO = "errno-zero", Errno, High,
        "A denied call seems to succeed.",
        "With errnoRet 0 the call is not made and returns 0. The caller believes that it was: setuid that did not change the user, close that closed nothing.",
        "Give the error that the caller expects: 1 (EPERM) or 38 (ENOSYS).";
    LOG_ONLY = "log-only", Errno, Medium,
        "Calls are logged and let through.",
        "SCMP_ACT_LOG is for testing a profile. It denies nothing.",
        "Use SCMP_ACT_ERRNO once the log has stayed empty.";
    NOTIFY_WITHOUT_LISTENER = "notify-without-listener", Errno, High,
        "Calls are left to a supervisor, but none is named.",
        "SCMP_ACT_NOTIFY hands the call to the supervisor that listens at listenerPath. Without one, runc and crun refuse the profile or the call returns ENOSYS.",
        "Name the supervisor's socket in listenerPath, or use another action.";

    BREAKS_WORKLOAD = "breaks-workload", Recording, High,
        "The recorded workload made a call that the profile denies.",
        "The recording holds what the workload did. Under this profile the call returns the error that the evidence names, or ends the process.",
        "Allow the call, or record again if the workload no longer makes it.";
    BREAKS_CONTAINER_START = "breaks-container-start", Recording, High,
        "A runtime cannot start a container under the profile.",
        "Between loading the filter and executing the workload, the runtime itself makes calls that the filter is for. Which they are depends on the runtime, its version and no_new_privs. A profile that works today stops containers after an upgrade of the node.",
        "Allow the calls that the message names, or generate the profile again: its layer runtime-init has them.";
    UNUSED_SYSCALLS_ALLOWED = "unused-syscalls-allowed", Recording, Low,
        "The profile allows calls that were never used.",
        "Each allowed call is kernel code that an attacker in the container can reach. The evidence has the calls by what they have been used for. What recordings did not show may still be needed: the coverage of the recordings says how sure that is.",
        "Deny them: tracer generate makes a profile of the recordings.";

    EXCEEDS_BASELINE = "exceeds-baseline", Baseline, Medium,
        "The profile lets through what the baseline blocks.",
        "The profiles are compared call by call, in each ABI, with the arguments that at least one of them names.",
        "Deny the calls that are not needed, or document why they are allowed.";

    PRIVILEGED = "privileged", Context, Critical,
        "A privileged container runs without its profile.",
        "Container runtimes ignore the seccomp and AppArmor profiles of a privileged container, give it all capabilities, and run it in an SELinux domain that is not confined (spc_t).",
        "Remove privileged: true, and add the capabilities that are needed.";
    UNCONFINED = "unconfined", Context, High,
        "A container runs without a profile.",
        "Unconfined, or no seccompProfile at all where kubelet's seccompDefault is off, allows every system call.",
        "Set seccompProfile: {type: RuntimeDefault}, or Localhost with a profile of its own.";
    PROFILE_MISSING = "profile-missing", Context, Medium,
        "The profile that a container names was not found.",
        "kubelet looks for localhostProfile below its seccomp directory on the node, and a container whose profile is not there does not start.",
        "Put it on each node, or say where it is on this machine with --profile-root.";
    REFUSED_OBJECT = "refused-object", Context, Critical,
        "The API server refuses the object.",
        "A profile's type is RuntimeDefault, Localhost or Unconfined, spelt so. localhostProfile is for Localhost alone; of seccomp it is a path below kubelet's directory, without `..`. AppArmor's annotation has to say what the field says, and to name a container of the pod. What breaks one of these is not stored, so no pod starts.",
        "Write the value that the message names.";
    PRIVILEGE_ESCALATION_ALLOWED = "privilege-escalation-allowed", Context, Medium,
        "A container with a profile may gain privileges.",
        "Without allowPrivilegeEscalation: false (no_new_privs) the runtime loads the filter before it drops privileges, so the profile has to allow more calls for the runtime, and set-uid programs work.",
        "Set allowPrivilegeEscalation: false.";
    RUNTIME_DEFAULT = "runtime-default", Context, Info,
        "What would change if the container used RuntimeDefault instead.",
        "RuntimeDefault is the profile of the container runtime, and costs nothing to keep. A custom profile should be stronger; where it is weaker for some calls, they are the price of the rest. A custom profile that is nowhere stronger is worse than RuntimeDefault. Compared are whole calls of the machine's own ABI, for the container's capabilities, with Docker's and containerd's default.",
        "Deny the calls that RuntimeDefault denies and the workload does not need; use RuntimeDefault when the profile is nowhere stronger.";
    CAPABILITY_WITHOUT_SYSCALLS = "capability-without-syscalls", Context, Low,
        "A capability is added, but the profile denies all calls that need it.",
        "Either the capability is not needed, or the workload will fail when it uses it.",
        "Remove the capability, or allow the calls.";
    SYSCALLS_WITHOUT_CAPABILITY = "syscalls-without-capability", Context, Info,
        "System calls are allowed that fail without a capability that the container does not have.",
        "The kernel refuses them. They are needless attack surface, unless a user namespace gives the capability.",
        "Deny the calls.";

    APPARMOR_ALLOWS_EVERYTHING = "apparmor-allows-everything", AppArmor, High,
        "A rule allows everything of a kind.",
        "`file,` allows every access to every file, `capability,` every capability, `network,` every socket: nothing of that kind is confined.",
        "Write the paths, capabilities and families that the workload uses.";
    APPARMOR_UNCONFINED_EXEC = "apparmor-unconfined-exec", AppArmor, High,
        "A program is executed without a profile.",
        "ux and Ux leave the profile, as does pux and cux if the program has no profile: whatever the program is made to do is not confined.",
        "Use ix to keep the profile, or px with a profile for the program.";
    APPARMOR_WRITE_EXEC = "apparmor-write-exec", AppArmor, High,
        "A path can be written and executed.",
        "A program that can write a file there can run it.",
        "Give w or x, and not both, to a path.";
    APPARMOR_DENY_OVERLAP = "apparmor-deny-overlap", AppArmor, Medium,
        "A deny rule revokes what another rule allows.",
        "deny wins whatever stands after it, and is not logged: the denials that it causes appear nowhere.",
        "Allow less instead, or use `audit deny`.";
    APPARMOR_NO_ABI = "apparmor-no-abi", AppArmor, Low,
        "The profile does not say which ABI it was written for.",
        "Without abi the parser takes its own default, which may be that of an older kernel: rules of newer kinds are then not enforced.",
        "Begin with `abi <abi/3.0>,` or the version that the profile was written for.";
    APPARMOR_NOT_UNDERSTOOD = "apparmor-not-understood", AppArmor, Medium,
        "A rule was not understood.",
        "It is none of the rules of apparmor.d(5) that tracer knows, so nothing was audited in it. It may be a mistake, or of a newer version of AppArmor.",
        "Check the file with apparmor_parser --skip-kernel-load --skip-cache, and read the rule yourself.";
    APPARMOR_NOT_INCLUDED = "apparmor-not-included", AppArmor, Info,
        "A file that the profile includes was not read.",
        "Its rules count for the profile, and nothing is said of them here. apparmor_parser refuses a profile whose include is missing, unless it is written as `include if exists`.",
        "Say where the profiles are with --apparmor-root, or remove the include.";
    APPARMOR_UNDEFINED_VARIABLE = "apparmor-undefined-variable", AppArmor, High,
        "A rule has a variable that nothing defines.",
        "apparmor_parser refuses the profile. @{HOME}, @{PROC}, @{run} and the like are defined by tunables/global, which a profile has to include before its head.",
        "Begin the file with `include <tunables/global>`, or define the variable.";
    APPARMOR_PROC_SYS = "apparmor-proc-sys", AppArmor, High,
        "Files in /proc or /sys can be written.",
        "Writable files there change the kernel or other processes: /proc/sys/kernel/core_pattern, the release_agent of a cgroup and /proc/sysrq-trigger have been ways out of containers. A file that opens none of these is medium, and what a process writes of itself is low.",
        "Name the files that have to be written, or deny the rest.";
    APPARMOR_ENGINE_SOCKET = "apparmor-engine-socket", AppArmor, High,
        "The socket of a container engine or of a service that starts programs is open.",
        "A process that can write to the socket of Docker, containerd, CRI-O, Podman, LXD or libvirt has them start a container or a machine with the host's files in it: that is root on the host, outside of the profile. Connecting needs w on the socket's path.",
        "Remove the rule, or put a proxy in front that allows only the requests that are needed.";
    APPARMOR_RAW_DEVICE = "apparmor-raw-device", AppArmor, High,
        "A device below the file systems is open.",
        "/dev/mem and /proc/kcore hold the memory of the machine, /dev/sda and the like all files of a disk. No rule for a path binds what is done through them.",
        "Remove the rule, or name the one device that is the workload's own.";
    APPARMOR_HOST_FILES = "apparmor-host-files", AppArmor, High,
        "Files can be written that root's programs trust.",
        "cron, sudo, systemd, the dynamic loader, udev and login shells do what files in known places say, as root and outside of the profile. Of a user's own home the gain is the user's account; such findings are medium.",
        "Name the files that have to be written, or deny those that the finding names.";
    APPARMOR_CAPABILITY = "apparmor-capability", AppArmor, High,
        "A capability is allowed that ends what the profile is for.",
        "sys_module loads code into the kernel, sys_rawio reads physical memory, mac_admin replaces profiles, mac_override passes by them, and sys_admin is most of root. A process has only the capabilities that it was started with; the profile is what keeps a root process from these.",
        "Remove the capability, unless the program cannot do its work without it.";
    APPARMOR_CHANGE_PROFILE = "apparmor-change-profile", AppArmor, High,
        "A process may choose another profile for itself.",
        "With `change_profile,` or a target that `unconfined` matches, code that an attacker runs leaves the profile by writing to /proc/self/attr/current. A target that is weaker than the profile is medium.",
        "Name the profiles that the program has to change to, as in `change_profile -> web-worker,`.";
    APPARMOR_WEAKER_TRANSITION = "apparmor-weaker-transition", AppArmor, Medium,
        "A program runs under a profile that confines less.",
        "px and cx leave the profile for that of the program. Where that one is in complain mode, allows by default or lets every file be written, an attacker who can make the program do something is out.",
        "Confine the other profile, or use ix.";
    APPARMOR_MOUNT = "apparmor-mount", AppArmor, High,
        "File systems can be mounted where other rules count for them.",
        "Rules for files are about paths. A bind mount gives a directory another path, a new proc or sysfs shows the kernel's files at a place that no rule denies, and pivot_root gives every file another name.",
        "Write the source, the place, the type and the options of each mount that is needed.";
    APPARMOR_USERNS = "apparmor-userns", AppArmor, Medium,
        "User namespaces can be made.",
        "In a user namespace of its own a process has every capability, and much of the kernel's code is open that otherwise only root reaches.",
        "Remove the rule, unless the program makes sandboxes.";
    APPARMOR_IO_URING = "apparmor-io-uring", AppArmor, Low,
        "A ring of io_uring may use other credentials.",
        "With override_creds a ring does its work with the credentials of the process that registered them.",
        "Allow `io_uring sqpoll,` alone, or remove the rule.";
    APPARMOR_PTRACE = "apparmor-ptrace", AppArmor, High,
        "Processes outside of the profile can be controlled.",
        "Who may trace an unconfined process makes it do what the profile denies. The kernel asks for the same user or CAP_SYS_PTRACE as well. Reading alone is low.",
        "Name the peer: `ptrace (trace) peer=@{profile_name},`.";
    APPARMOR_DBUS = "apparmor-dbus", AppArmor, Medium,
        "Every service of a bus can be called.",
        "systemd is on both buses and starts programs for any process that may ask it: for root on the system bus, for the user on the session bus. They run outside of the profile.",
        "Name the service, the path and the interface: `dbus send bus=system peer=(name=org.example.Service),`.";
    APPARMOR_DENY_BYPASS = "apparmor-deny-bypass", AppArmor, Medium,
        "A deny rule does not reach what it is to deny.",
        "AppArmor denies names. Where a profile allows every file and denies some, the same file may be had under another name: at another mount, below a directory that was renamed, by a hard link, by the path that a symbolic link leads to, or as a copy.",
        "Allow the files that are used instead of denying those that are known, and deny mounts.";
    APPARMOR_BREAKS_WORKLOAD = "apparmor-breaks-workload", AppArmor, High,
        "The recorded workload did what the profile denies.",
        "The recording holds the files and capabilities that the workload used. Under this profile these accesses fail, unless the profile is in complain mode.",
        "Allow what the evidence names, or record again if the workload does not do it any more.";
    APPARMOR_UNUSED_RULES = "apparmor-unused-rules", AppArmor, Low,
        "Rules allow files that were never used.",
        "What recordings did not show may still be needed: the coverage of the recordings says how sure that is.",
        "Remove the rules: tracer generate makes a profile of the recordings.";
    APPARMOR_COMPLAIN = "apparmor-complain", AppArmor, High,
        "The profile is in complain mode and denies nothing.",
        "complain logs what would be denied. Only deny rules are enforced.",
        "Remove complain from flags once the log has stayed empty.";
    SELINUX_PERMISSIVE = "selinux-permissive", Selinux, High,
        "The SELinux domain is permissive.",
        "In a permissive domain the policy reports what it would deny and denies nothing.",
        "Remove typepermissive, or set mode: Enforcing, once the profile has been tried.";
    SELINUX_UNCONFINED = "selinux-unconfined", Selinux, High,
        "The SELinux domain is not confined.",
        "spc_t, unconfined_t, and every domain that has an attribute of theirs, may do nearly all that the system may.",
        "Give the workload a domain of its own: record it, then tracer generate --format selinux.";
    SELINUX_SENSITIVE_ACCESS = "selinux-sensitive-access", Selinux, High,
        "The SELinux profile allows something sensitive.",
        "Some types hold the host's secrets, its programs or its devices, and some permissions lead past SELinux. The finding says what the rule reaches.",
        "Remove the rule, or give the workload its own file, socket or capability instead.";
    SELINUX_BROAD_RULE = "selinux-broad-rule", Selinux, Medium,
        "A rule of the SELinux profile allows far more than one object.",
        "A rule for an attribute such as file_type is for every type that has it, those of packages that are installed later included. So is a rule with all permissions for every one that a later kernel adds.",
        "Name the types and permissions that are needed.";
    SELINUX_TYPE_OVERRIDDEN = "selinux-type-overridden", Selinux, Low,
        "A container runs in another SELinux type than the runtime's.",
        "The runtime's type, container_t, confines a container to its own files. Another type has whatever rules its policy gives it, which the manifest does not show.",
        "Audit the policy that declares the type, or remove seLinuxOptions.type.";
    SELINUX_NOT_READ = "selinux-not-read", Selinux, Info,
        "A part of the policy was not looked at.",
        "tracer reads blocks, what they inherit, typepermissive and allow. Macros, rules that depend on booleans, and rules for sets of permissions may allow more.",
        "Look at these statements yourself.";
}

/// Ids of version 0.1, and what they are now.
const ALIASES: &[(&str, &str)] = &[
    ("family-gap", "equivalent-syscall-allowed"),
    ("unheard-calls", "newer-syscalls-allowed"),
    ("abi-gap", "abi-bypass"),
    ("abi-listed", "legacy-abi-allowed"),
    ("narrow-argument", "unchecked-argument-bits"),
    ("foreign-name", "other-architecture-name"),
    ("missing-exit", "exit-denied"),
    ("contradiction", "conflicting-rules"),
    ("old-name-form", "legacy-name-key"),
    ("engine-form", "engine-specific-fields"),
    ("old-crd", "deprecated-crd"),
    ("old-seccomp-annotation", "removed-seccomp-annotation"),
    ("old-apparmor-annotation", "deprecated-apparmor-annotation"),
    ("eperm-for-probed", "eperm-prevents-fallback"),
    ("kill-for-probed", "kill-prevents-fallback"),
    ("breaks-start", "breaks-container-start"),
    ("needless-grant", "unused-syscalls-allowed"),
    ("beyond-baseline", "exceeds-baseline"),
    ("escalation", "privilege-escalation-allowed"),
    ("capability-without-calls", "capability-without-syscalls"),
    ("calls-without-capability", "syscalls-without-capability"),
    ("apparmor-blanket", "apparmor-allows-everything"),
];

/// A rule by its id, or by the id that it had in version 0.1.
pub fn named(id: &str) -> Option<&'static Rule> {
    let alias = ALIASES.iter().find(|(old, _)| *old == id);
    let id = alias.map_or(id, |(_, new)| *new);
    ALL.iter().copied().find(|rule| rule.id == id)
}

/// The names that a rule had before.
pub fn old_names(id: &str) -> impl Iterator<Item = &'static str> {
    ALIASES
        .iter()
        .filter(move |(_, new)| *new == id)
        .map(|(old, _)| *old)
}

/// What `--explain` prints of a rule.
pub fn explain(rule: &Rule) -> String {
    format!(
        "{} ({})\n\n{}\n\n{}\n\nHow to fix: {}\n",
        rule.id, rule.severity, rule.title, rule.explanation, rule.fix
    )
}

#[cfg(test)]
mod tests;

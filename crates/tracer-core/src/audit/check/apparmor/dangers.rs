//! Files by which a confined process gets more than its profile was to give it.
//!
//! Each has its reason; which of them the kernel reads as root's, says the kernel's own documentation
//! (Documentation/admin-guide/sysctl, cgroup-v1 and sysrq.rst, Linux 6.12).

use super::super::super::{Severity, rules, rules::Rule};

/// A kind of file.
pub(super) struct Danger {
    /// The rule of the audit that reports it.
    pub(super) rule: &'static Rule,
    /// Patterns of AppArmor, without variables.
    pub(super) paths: &'static [&'static str],
    /// The permission that is enough.
    pub(super) letter: char,
    pub(super) severity: Severity,
    /// What an attacker gains.
    pub(super) gain: &'static str,
    /// Whether the profile that Docker and containerd load by default leaves it open: mounts and device cgroups
    /// keep it from containers.
    pub(super) by_default: bool,
    /// Whether only names without a dot are read there, as cron and sudo do (run-parts(8), sudoers(5)).
    pub(super) without_dots: bool,
    /// Whether it counts for a rule about somebody's home, which `@{HOME}` makes about root's too.
    pub(super) of_root: bool,
}

const fn danger(
    rule: &'static Rule,
    letter: char,
    paths: &'static [&'static str],
    gain: &'static str,
) -> Danger {
    Danger {
        rule,
        paths,
        letter,
        severity: Severity::High,
        gain,
        by_default: true,
        without_dots: false,
        of_root: false,
    }
}

impl Danger {
    const fn medium(self) -> Self {
        Self {
            severity: Severity::Medium,
            ..self
        }
    }

    /// The default profile of the runtimes denies it.
    const fn denied_by_default(self) -> Self {
        Self {
            by_default: false,
            ..self
        }
    }

    const fn without_dots(self) -> Self {
        Self {
            without_dots: true,
            ..self
        }
    }

    const fn of_root(self) -> Self {
        Self {
            of_root: true,
            ..self
        }
    }
}

pub(super) static DANGERS: [Danger; 29] = [
    danger(
        &rules::APPARMOR_ENGINE_SOCKET,
        'w',
        &[
            "/{var/,}run/docker.sock",
            "/{var/,}run/{docker/,k3s/,}containerd/containerd.sock",
            "/{var/,}run/crio/crio.sock",
            "/{var/,}run/podman/podman.sock",
            "/{var/,}run/{cri-dockerd,dockershim}.sock",
            "/{var/,}run/buildkit/buildkitd.sock",
            "/{var/,}run/nri/nri.sock",
            "/var/{lib,snap}/{lxd,incus}{/common/lxd,}/unix.socket",
        ],
        "a container engine starts containers with the host's files for whoever asks",
    ),
    danger(
        &rules::APPARMOR_ENGINE_SOCKET,
        'w',
        &["/{var/,}run/libvirt/libvirt-sock", "/{var/,}run/systemd/private"],
        "the service behind it starts what it is asked to, as root",
    ),
    danger(
        &rules::APPARMOR_RAW_DEVICE,
        'w',
        &["/dev/{mem,kmem,port}"],
        "the memory of the kernel can be changed",
    ),
    danger(
        &rules::APPARMOR_RAW_DEVICE,
        'r',
        &["/dev/{mem,kmem,port}"],
        "the memory of the machine can be read",
    ),
    danger(
        &rules::APPARMOR_RAW_DEVICE,
        'r',
        &["/proc/kcore"],
        "the memory of the kernel can be read",
    )
    .denied_by_default(),
    danger(
        &rules::APPARMOR_RAW_DEVICE,
        'w',
        &["/dev/{sd[a-z],hd[a-z],vd[a-z],xvd[a-z],nvme[0-9]n[0-9],mmcblk[0-9],dm-[0-9],md[0-9],mapper/vg-root}{,[0-9],p[0-9]}"],
        "the disk below the file systems can be changed, whatever the rules for files say",
    ),
    danger(
        &rules::APPARMOR_RAW_DEVICE,
        'r',
        &["/dev/{sd[a-z],hd[a-z],vd[a-z],xvd[a-z],nvme[0-9]n[0-9],mmcblk[0-9],dm-[0-9],md[0-9],mapper/vg-root}{,[0-9],p[0-9]}"],
        "the disk below the file systems can be read, whatever the rules for files say",
    )
    .medium(),
    danger(
        &rules::APPARMOR_PROC_SYS,
        'w',
        &["/proc/sys/kernel/core_pattern"],
        "the kernel starts the program that it names, as root, when a process crashes",
    )
    .denied_by_default(),
    danger(
        &rules::APPARMOR_PROC_SYS,
        'w',
        &[
            "/proc/sys/kernel/{modprobe,hotplug,poweroff_cmd}",
            "/proc/sys/kernel/usermodehelper/{bset,inheritable}",
            "/sys/kernel/uevent_helper",
        ],
        "the kernel starts the program that it names, as root",
    )
    .denied_by_default(),
    danger(
        &rules::APPARMOR_PROC_SYS,
        'w',
        &["/proc/sys/fs/binfmt_misc/{register,status}"],
        "the kernel starts an interpreter of the writer's choice for other people's programs",
    )
    .denied_by_default(),
    danger(
        &rules::APPARMOR_PROC_SYS,
        'w',
        &["/proc/sysrq-trigger"],
        "the host can be restarted or crashed",
    )
    .denied_by_default(),
    danger(
        &rules::APPARMOR_PROC_SYS,
        'w',
        &["/sys/fs/cgroup/{,**/}release_agent"],
        "the kernel starts the program that it names, as root, when a cgroup becomes empty",
    ),
    danger(
        &rules::APPARMOR_PROC_SYS,
        'w',
        &["/sys/fs/cgroup/{,**/}devices.allow"],
        "devices that the cgroup denies can be allowed",
    ),
    danger(
        &rules::APPARMOR_PROC_SYS,
        'w',
        &["/sys/kernel/security/{apparmor/.{load,replace,remove},ima/policy,tomoyo/exception_policy}"],
        "the policy of the security modules can be changed",
    )
    .denied_by_default(),
    danger(
        &rules::APPARMOR_PROC_SYS,
        'w',
        &["/sys/kernel/{debug/,}tracing/{kprobe_events,set_event,current_tracer}"],
        "the kernel's own debugging interface can be used",
    )
    .denied_by_default(),
    danger(
        &rules::APPARMOR_PROC_SYS,
        'w',
        &["/sys/firmware/efi/efivars/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c"],
        "what the machine boots can be changed",
    )
    .denied_by_default(),
    danger(
        &rules::APPARMOR_PROC_SYS,
        'w',
        &[
            "/proc/sys/kernel/{randomize_va_space,kptr_restrict,yama/ptrace_scope,dmesg_restrict}",
            "/proc/sys/fs/{suid_dumpable,protected_symlinks,protected_hardlinks}",
        ],
        "a protection of the kernel can be turned off",
    ),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &[
            "/etc/{crontab,anacrontab}",
            "/etc/cron.{d,hourly,daily,weekly,monthly}/**",
            "/var/spool/cron/**",
        ],
        "cron runs the commands in it as root",
    )
    .without_dots(),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &["/etc/ld.so.{preload,conf,cache}", "/etc/ld.so.conf.d/*.conf"],
        "each program that starts loads the libraries that it names",
    ),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &[
            "/etc/{sudoers,passwd,shadow,group,gshadow,doas.conf}",
            "/etc/{sudoers.d,pam.d}/*",
        ],
        "it says who is root",
    )
    .without_dots(),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &["/root/.ssh/{authorized_keys,rc,config}", "/root/.{bashrc,profile,bash_profile,bash_login,zshrc}"],
        "root's next login runs what it says, or lets the writer in",
    )
    .of_root(),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &["/home/*/.ssh/{authorized_keys,rc,config}", "/home/*/.{bashrc,profile,bash_profile,bash_login,zshrc}"],
        "the user's next login runs what it says, outside of the profile",
    )
    .medium(),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &[
            "/{etc,run,lib,usr/lib,usr/local/lib}/systemd/system/{,**/}*.{service,socket,timer,path,conf}",
            "/etc/profile.d/*.sh",
            "/etc/{rc.local,inittab,profile,bash.bashrc,environment}",
        ],
        "root's services or shells run what it says",
    ),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &["/etc/{init.d,rc[0-9S].d,update-motd.d,logrotate.d}/[a-zA-Z]*"],
        "root's services run what it says",
    )
    .without_dots(),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &[
            "/{etc,run,lib,usr/lib}/udev/rules.d/*.rules",
            "/etc/polkit-1/rules.d/*.rules",
            "/etc/{modprobe.d,modules-load.d,dbus-1/system.d,apt/apt.conf.d}/*.conf",
            "/etc/{docker/daemon.json,containerd/config.toml,crio/crio.conf}",
            "/etc/kubernetes/manifests/*.{yaml,json}",
        ],
        "a service runs what it says, as root",
    ),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &[
            "/etc/apparmor.d/{,local/,abstractions/,tunables/}{,usr.bin.,usr.sbin.,usr.lib.}[a-z]",
            "/etc/apparmor.d/{abstractions/base,tunables/global}",
        ],
        "the profiles are loaded from there",
    ),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &["/boot/{vmlinuz,initrd.img}{,-[0-9]}",
            "/boot/grub/grub.cfg", "/{boot/efi,efi,boot}/**.efi", "/{usr/,}lib/modules/**.ko"],
        "the machine's next start runs it as the kernel",
    ),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &[
            "/{usr/,usr/local/,}{bin,sbin}/[a-z]*",
        ],
        "others run it, as root too",
    )
    .without_dots(),
    danger(
        &rules::APPARMOR_HOST_FILES,
        'w',
        &["/{usr/,}lib{,32,64}/{,*-linux-gnu/}{ld,lib[a-z]}*.so{,.[0-9]}"],
        "others load it, as root too",
    ),
];

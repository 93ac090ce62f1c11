//! A virtual machine that runs one command on another kernel, over a copy-on-write view of this
//! machine's files: it sees everything and changes nothing.
//!
//! QEMU boots the kernel with a ramdisk of busybox and the few modules that reach the host's files
//! by 9p. The command's output comes by one virtio port, its status by another; what the kernel
//! says goes to a log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::cmd;
use crate::kernels::Kernel;
use crate::workspace::Workspace;

/// What this needs; all are packages of Debian and Ubuntu.
pub(crate) const PACKAGES: [&str; 4] = ["busybox-static", "kmod", "qemu-system-x86", "xz-utils"];

/// The host's files, and the two ports. Not every kernel has them as modules.
const MODULES: [&str; 5] = [
    "virtio_pci",
    "virtio_console",
    "9pnet_virtio",
    "9p",
    "overlay",
];

/// The first program in the ramdisk: mounts, then becomes [`SECOND`] on the host's own shell.
const FIRST: &str = r#"#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /host /cow /new
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod "$module"; done
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144,cache=loose host /host
$b mount -t tmpfs tmpfs /cow
$b mkdir /cow/upper /cow/work
$b mount -t overlay -o lowerdir=/host,upperdir=/cow/upper,workdir=/cow/work overlay /new
$b umount /proc /sys
exec $b switch_root /new /bin/sh -c "$($b cat /second)"
"#;

/// What runs as process 1 on the host's files. `sysrq-trigger` turns a machine off without a
/// program for it (Documentation/admin-guide/sysrq.rst).
const SECOND: &str = r#"
PATH=/usr/bin:/usr/sbin:/bin:/sbin
export PATH
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
ip link set lo up
# Their first number is that of the virtio device.
until [ -e /dev/vport*p1 ] && [ -e /dev/vport*p2 ]; do sleep 0.1; done
output=$(echo /dev/vport*p1)
status=$(echo /dev/vport*p2)
(
@COMMAND@
) </dev/null >"$output" 2>&1
echo $? >"$status"
echo o >/proc/sysrq-trigger
sleep 60
"#;

/// Which security modules a kernel is booted with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Boot {
    /// Those that it is configured with.
    #[default]
    Configured,
    /// SELinux in the place of AppArmor, permissive until a test says otherwise. The log is larger, since all
    /// that a test is compared with is in it.
    Selinux,
}

impl Boot {
    /// What it adds to the kernel's command line.
    const fn parameters(self) -> &'static str {
        match self {
            Self::Configured => "",
            Self::Selinux => {
                " lsm=landlock,lockdown,yama,selinux,bpf selinux=1 enforcing=0 log_buf_len=4M"
            }
        }
    }
}

/// Boots the kernel and runs the shell's command text in it, as root. Shows each line of output to
/// `see` and returns the exit status.
pub(crate) fn run(
    workspace: &Workspace,
    kernel: &Kernel,
    boot: Boot,
    command: &str,
    patience: Duration,
    see: impl FnMut(&[u8]) -> Result<()>,
) -> Result<u8> {
    let directory = Directory::new(workspace)?;
    let ramdisk = directory.0.join("ramdisk");
    fs::write(&ramdisk, self::ramdisk(kernel, command)?)
        .with_context(|| format!("cannot write {}", ramdisk.display()))?;
    let log = workspace
        .target
        .join(format!("log/vm-{}.log", kernel.version));
    let status = directory.0.join("status");
    let mut qemu = qemu(kernel, &ramdisk, &log, &status, patience);
    qemu.arg("-append").arg(format!(
        "console=ttyS0 loglevel=5 panic=-1 mitigations=off{}",
        boot.parameters()
    ));
    let mut child = qemu.spawn().with_context(|| cmd::not_started(&qemu))?;
    // Kept open: at its end QEMU would take the port for closed, and drop what the command says.
    let stdin = child.stdin.take();
    let output = child.stdout.take().context("the output was asked for")?;
    let seen = lines(output, see);
    if seen.is_err() {
        // It is our own child, and what it says no longer reaches anybody.
        let _ = child.kill();
    }
    let ended = child.wait().context("cannot wait for QEMU")?;
    drop(stdin);
    seen?;
    let told = fs::read_to_string(&status).unwrap_or_default();
    let Ok(status) = told.trim().parse() else {
        bail!(
            "Linux {} did not come to the command's end within {} seconds (QEMU: {ended}); the \
             kernel's last words, from {}:\n{}",
            kernel.version,
            patience.as_secs(),
            workspace.short(&log),
            last_words(&log)
        );
    };
    Ok(status)
}

fn qemu(kernel: &Kernel, ramdisk: &Path, log: &Path, status: &Path, patience: Duration) -> Command {
    let mut qemu = Command::new("timeout");
    qemu.args(["--foreground", "--kill-after=5"])
        .arg(patience.as_secs().to_string())
        .args(["qemu-system-x86_64", "-nodefaults", "-no-user-config"])
        .args(["-display", "none", "-no-reboot"])
        // Emulation is the same everywhere; a KVM inside another virtual machine may be there and
        // abort QEMU. One after the other: with a thread for each CPU, one may still run the breakpoint
        // by which another patches the kernel's code (a static key) when that is done, and the kernel
        // panics of an `int3` that is nobody's (6.12, when crun enables the memory controller).
        .args(["-accel", "tcg,thread=single"])
        // Without the fifth level of page tables, which only costs time.
        .args(["-cpu", "max,la57=off", "-smp", "2", "-m", "2G"])
        .arg("-kernel")
        .arg(kernel.image())
        .arg("-initrd")
        .arg(ramdisk)
        .arg("-serial")
        .arg(format!("file:{}", log.display()))
        .args([
            "-fsdev",
            "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
        ])
        .args(["-device", "virtio-9p-pci,fsdev=host,mount_tag=host"])
        .args(["-device", "virtio-serial-pci"])
        .args(["-chardev", "stdio,id=output,signal=off"])
        .args(["-device", "virtserialport,chardev=output,nr=1"])
        .arg("-chardev")
        .arg(format!("file,id=status,path={}", status.display()))
        .args(["-device", "virtserialport,chardev=status,nr=2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    qemu
}

fn lines(output: impl std::io::Read, mut see: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    use std::io::BufRead;
    let mut output = std::io::BufReader::new(output);
    let mut line = Vec::new();
    while output
        .read_until(b'\n', &mut line)
        .context("cannot read what the machine prints")?
        > 0
    {
        see(&line)?;
        line.clear();
    }
    Ok(())
}

fn last_words(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// A directory of this process's own, gone with it.
struct Directory(PathBuf);

impl Directory {
    fn new(workspace: &Workspace) -> Result<Self> {
        let directory = workspace
            .target
            .join(format!("vm/.run.{}", std::process::id()));
        for directory in [&directory, &workspace.target.join("log")] {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        ensure!(
            !directory.to_string_lossy().contains(','),
            "QEMU does not take a path with a comma: {}",
            directory.display()
        );
        Ok(Self(directory))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Left behind, it harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ramdisk(kernel: &Kernel, command: &str) -> Result<Vec<u8>> {
    let busybox =
        cmd::find("busybox").context("there is no busybox: apt-get install busybox-static")?;
    let busybox =
        fs::read(&busybox).with_context(|| format!("cannot read {}", busybox.display()))?;
    let mut archive = Archive::default();
    for directory in ["bin", "modules"] {
        archive.add(directory, 0o040_755, b"");
    }
    archive.add("bin/busybox", 0o100_755, &busybox);
    archive.add("init", 0o100_755, FIRST.as_bytes());
    let second = SECOND.replace("@COMMAND@", command);
    archive.add("second", 0o100_644, second.as_bytes());
    for (index, file) in kernel.modules(&MODULES)?.iter().enumerate() {
        // The shell's `*` sorts them.
        archive.add(&format!("modules/{index:03}.ko"), 0o100_644, &module(file)?);
    }
    Ok(archive.end())
}

/// A module's own bytes: Debian packs them since release 13, and busybox does not unpack them.
fn module(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_some_and(|kind| kind == "ko") {
        return fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    }
    let mut xz = Command::new("xz");
    xz.args(["--decompress", "--stdout"]).arg(file);
    let output = xz
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| cmd::not_started(&xz))?;
    cmd::check(&xz, output.status)?;
    Ok(output.stdout)
}

/// A ramdisk as the kernel unpacks it: cpio's "newc"
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    files: usize,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.files += 1;
        // inode, mode, owner and group, links, time, size, four device numbers, length of the name
        // with its NUL, checksum.
        let header = format!(
            "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
            self.files,
            0,
            0,
            1,
            0,
            content.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        );
        self.bytes.extend(header.bytes());
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        let length = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(length, 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, b"");
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initramfs_is_a_valid_cpio_archive() {
        let mut archive = Archive::default();
        archive.add("a", 0o040_755, b"");
        archive.add("a/file", 0o100_644, b"12345");
        let bytes = archive.end();
        assert!(bytes.starts_with(b"070701"));
        assert_eq!(bytes.len() % 4, 0);
        // 110 bytes of header, the name with its NUL, padding; twice, with 5 bytes padded to 8.
        assert_eq!(&bytes[112..118], b"070701");
        assert_eq!(&bytes[112 + 110..112 + 116], b"a/file");
        assert_eq!(&bytes[112 + 120..112 + 125], b"12345");
    }

    #[test]
    fn output_is_forwarded_line_by_line() {
        let mut seen = Vec::new();
        lines(&b"one\ntwo"[..], |line| {
            seen.push(line.to_vec());
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [b"one\n".to_vec(), b"two".to_vec()]);
    }
}

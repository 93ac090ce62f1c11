//! Offsets of structure members, from the running kernel's BTF.

use anyhow::{Context, Result};
use tracer_recorder::bpf::btf::Btf;

/// Where the kernel shows its types.
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Offsets that the benchmark's programs need.
pub(crate) struct Offsets {
    pub(crate) task_cgroups: u32,
    pub(crate) css_set_dfl_cgrp: u32,
    pub(crate) cgroup_kn: u32,
    pub(crate) kernfs_id: u32,
    /// `pt_regs.cx`, `.ip`, `.r11`, `.flags`; zeros where the machine is not x86.
    pub(crate) registers: [u32; 4],
}

impl Offsets {
    pub(crate) fn of_this_kernel() -> Result<Self> {
        let bytes = std::fs::read(VMLINUX).with_context(|| format!("cannot read {VMLINUX}"))?;
        let types = Btf::parse(&bytes).with_context(|| format!("cannot read {VMLINUX}"))?;
        let offset = |path: &str| {
            types
                .offset(path)
                .with_context(|| format!("this kernel has no {path}"))
        };
        Ok(Self {
            task_cgroups: offset("task_struct.cgroups")?,
            css_set_dfl_cgrp: offset("css_set.dfl_cgrp")?,
            cgroup_kn: offset("cgroup.kn")?,
            kernfs_id: offset("kernfs_node.id")?,
            registers: ["cx", "ip", "r11", "flags"]
                .map(|name| types.offset(&format!("pt_regs.{name}")).unwrap_or(0)),
        })
    }
}

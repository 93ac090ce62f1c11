//! Where the fields lie that the kernel side reads, from the running kernel's BTF.
//!
//! rustc emits no CO-RE relocations, so the offsets are looked up here and handed to the programs
//! as constants. A field that is missing is a refusal, not a wrong read.

use std::{collections::HashMap, fs::File, io, os::fd::AsRawFd as _};

use btf_rs::{Backend, Btf, Member, Struct, Type};
use nix::sys::memfd::{MFdFlags, memfd_create};
use tracer_ebpf::{AbiTest, Config};

use super::{ProbeError, support::BTF_PATH};

/// The offsets of the running kernel; the choices in the [`Config`] are left at 0.
pub(super) fn of_running_kernel() -> Result<Config, ProbeError> {
    let btf = read().map_err(|source| ProbeError::BadBtf {
        path: BTF_PATH,
        source,
    })?;
    config(&mut Structs::new(&btf))
}

/// The kernel's BTF, looked at where it lies and not parsed whole: 20 ms of start-up instead of 100.
///
/// The file itself can be mapped only since Linux 6.16; a copy in memory can be always.
fn read() -> Result<Btf, btf_rs::Error> {
    let copy = memfd_create(c"btf", MFdFlags::MFD_CLOEXEC).map_err(io::Error::from)?;
    let mut copy = File::from(copy);
    io::copy(&mut File::open(BTF_PATH)?, &mut copy)?;
    Btf::from_file_with_backend(format!("/proc/self/fd/{}", copy.as_raw_fd()), Backend::Mmap)
}

fn config(structs: &mut Structs<'_>) -> Result<Config, ProbeError> {
    let mut at = |path: &str| structs.offset(path);
    let mut config = Config {
        task_stack: at("task_struct.stack")?,
        task_tgid: at("task_struct.tgid")?,
        task_signal: at("task_struct.signal")?,
        signal_live: at("signal_struct.live")?,
        binprm_filename: at("linux_binprm.filename")?,
        cgroup_kn: at("cgroup.kn")?,
        cgroup_root: at("cgroup.root")?,
        cgroup_parent: at("cgroup.self.parent")?,
        css_cgroup: at("cgroup_subsys_state.cgroup")?,
        root_hierarchy_id: at("cgroup_root.hierarchy_id")?,
        kernfs_id: at("kernfs_node.id")?,
        ..Config::EMPTY
    };
    if cfg!(target_arch = "x86_64") {
        config.abi_test = AbiTest::X86 as u32;
        config.task_status = at("task_struct.thread_info.status")?;
        config.regs_abi_a = at("pt_regs.cx")?;
        config.regs_abi_b = at("pt_regs.ip")?;
        config.regs_abi_c = at("pt_regs.r11")?;
        config.regs_abi_d = at("pt_regs.flags")?;
        // System V ABI, and the 32-bit entries' (arch/x86/entry/entry_64.S, entry_64_compat.S).
        config.native_args = registers(structs, ["di", "si", "dx", "r10", "r8", "r9"])?;
        config.compat_args = registers(structs, ["bx", "cx", "dx", "si", "di", "bp"])?;
    } else if cfg!(target_arch = "aarch64") {
        config.abi_test = AbiTest::Arm64 as u32;
        config.regs_abi_a = at("pt_regs.pstate")?;
        // x0 holds the return value by the time of a restart; the first argument is kept aside
        // (`orig_x0`, arch/arm64/include/asm/ptrace.h).
        let x = at("pt_regs.regs")?;
        let args = [
            at("pt_regs.orig_x0")?,
            x + 8,
            x + 16,
            x + 24,
            x + 32,
            x + 40,
        ];
        config.native_args = args;
        config.compat_args = args;
    }
    Ok(config)
}

fn registers(structs: &mut Structs<'_>, names: [&str; 6]) -> Result<[u32; 6], ProbeError> {
    let mut offsets = [0; 6];
    for (offset, name) in offsets.iter_mut().zip(names) {
        *offset = structs.offset(&format!("pt_regs.{name}"))?;
    }
    Ok(offsets)
}

/// The structures looked up so far: finding one by name goes through all types.
struct Structs<'a> {
    btf: &'a Btf,
    known: HashMap<String, Vec<Struct>>,
}

impl<'a> Structs<'a> {
    fn new(btf: &'a Btf) -> Self {
        Self {
            btf,
            known: HashMap::new(),
        }
    }

    /// Byte offset of `struct.field[.field…]`.
    fn offset(&mut self, path: &str) -> Result<u32, ProbeError> {
        let mut names = path.split('.');
        let root = names.next().unwrap_or_default();
        let fields: Vec<_> = names.collect();
        let btf = self.btf;
        // A name may belong to several types: a forward declaration, a typedef, another struct.
        self.known
            .entry(root.to_owned())
            .or_insert_with(|| {
                btf.resolve_types_by_name(root)
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|t| match t {
                        Type::Struct(s) => Some(s),
                        _ => None,
                    })
                    .collect()
            })
            .iter()
            .find_map(|s| follow(btf, s, &fields))
            .filter(|bits| bits % 8 == 0)
            .map(|bits| bits / 8)
            .ok_or_else(|| ProbeError::NoField {
                field: path.to_owned(),
            })
    }
}

/// Bit offset of a member path in `s`, looking through anonymous members.
fn follow(btf: &Btf, s: &Struct, path: &[&str]) -> Option<u32> {
    let (name, rest) = path.split_first()?;
    s.members.iter().find_map(|member| {
        let named = btf.resolve_name(member).ok()?;
        if named == *name && rest.is_empty() {
            return Some(member.bit_offset());
        }
        let inner = if named == *name {
            rest
        } else if named.is_empty() {
            path
        } else {
            return None;
        };
        Some(member.bit_offset() + follow(btf, &structure(btf, member)?, inner)?)
    })
}

/// The structure that a member holds by value, through typedefs and qualifiers.
fn structure(btf: &Btf, member: &Member) -> Option<Struct> {
    btf.chained_type_iter(member)
        .take_while(|t| !matches!(t, Type::Ptr(_) | Type::Array(_)))
        .find_map(|t| match t {
            Type::Struct(s) | Type::Union(s) => Some(s),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernels_offsets_are_found_and_differ() {
        if !std::path::Path::new(BTF_PATH).exists() {
            eprintln!("SKIPPED the_running_kernels_offsets: needs {BTF_PATH}");
            return;
        }
        let config = of_running_kernel().unwrap();
        assert_ne!(config.task_stack, config.task_tgid);
        assert_ne!(config.binprm_filename, 0);
        if cfg!(target_arch = "x86_64") {
            // uapi: struct pt_regs is ABI (arch/x86/include/uapi/asm/ptrace.h).
            assert_eq!(config.native_args, [112, 104, 96, 56, 72, 64]);
            assert_eq!(
                (
                    config.regs_abi_a,
                    config.regs_abi_b,
                    config.regs_abi_c,
                    config.regs_abi_d
                ),
                (88, 128, 48, 144)
            );
        }
    }

    #[test]
    fn a_missing_field_is_named() {
        if !std::path::Path::new(BTF_PATH).exists() {
            eprintln!("SKIPPED a_missing_field_is_named: needs {BTF_PATH}");
            return;
        }
        let btf = read().unwrap();
        let error = Structs::new(&btf)
            .offset("task_struct.no_such_field")
            .unwrap_err();
        assert!(error.to_string().contains("task_struct.no_such_field"));
    }
}

//! Offsets of structure members, from the running kernel's BTF.

use anyhow::{Context, Result, bail};
use btf_rs::{Btf, BtfType, Struct, Type};

/// The running kernel's types.
pub(crate) struct Types(Btf);

impl Types {
    pub(crate) fn of_this_kernel() -> Result<Self> {
        Btf::from_file("/sys/kernel/btf/vmlinux")
            .map(Self)
            .context("cannot read the kernel's BTF (/sys/kernel/btf/vmlinux)")
    }

    /// Bytes from the beginning of `structure` to `member`, anonymous structures and unions
    /// looked into.
    pub(crate) fn offset(&self, structure: &str, member: &str) -> Result<u32> {
        for candidate in self
            .0
            .resolve_types_by_name(structure)
            .with_context(|| format!("no type {structure} in the kernel's BTF"))?
        {
            if let Type::Struct(candidate) = candidate
                && let Some(bits) = self.find(&candidate, member)?
            {
                return Ok(bits / 8);
            }
        }
        bail!("this kernel's struct {structure} has no member {member}")
    }

    fn find(&self, structure: &Struct, name: &str) -> Result<Option<u32>> {
        for member in &structure.members {
            let own_name = match member.get_name_offset() {
                Some(0) | None => String::new(),
                Some(_) => self.0.resolve_name(member)?,
            };
            if own_name == name {
                return Ok(Some(member.bit_offset()));
            }
            if own_name.is_empty()
                && let Type::Struct(inner) | Type::Union(inner) =
                    self.0.resolve_chained_type(member)?
                && let Some(bits) = self.find(&inner, name)?
            {
                return Ok(Some(member.bit_offset() + bits));
            }
        }
        Ok(None)
    }
}

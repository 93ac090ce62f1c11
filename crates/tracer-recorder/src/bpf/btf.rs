//! Where the members of kernel structures lie, from BTF. Pure.
//!
//! BTF is a list of types, each with a size that depends on its kind (Documentation/bpf/btf.rst).
//! This reads as much of it as offsets need: names, structures and their members, and what stands
//! between a member and the structure it holds. Nothing is built in memory but the place of each
//! type, so the whole of a kernel's BTF takes a few milliseconds.
//!
//! Our own, because the crate that reads members is under the LGPL, which a static binary under
//! MIT or Apache-2.0 cannot carry without strings, and aya's reader keeps members to itself.

use std::collections::HashMap;

use thiserror::Error;

/// The bytes are no BTF that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BtfError {
    /// It does not begin as BTF of this machine's byte order does.
    #[error("it does not begin with a BTF header of version 1")]
    Header,
    /// It ends early, or a section lies outside of it.
    #[error("it is truncated")]
    Truncated,
    /// A type is of a kind that is not known, so the next one cannot be found.
    #[error("type {id} is of the unknown kind {kind}")]
    CgroupKind {
        /// The type.
        id: u32,
        /// Its kind.
        kind: u32,
    },
}

const MAGIC: u32 = 0xeb9f;

/// Bytes that all types have.
const TYPE_LEN: usize = 12;

/// Kinds (include/uapi/linux/btf.h), with the bytes that follow the twelve all types have.
mod kind {
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const FWD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC: u32 = 12;
    pub(super) const TYPE_TAG: u32 = 18;

    /// How many bytes follow, given the number of elements.
    pub(super) const fn trailer(kind: u32, elements: usize) -> Option<usize> {
        Some(match kind {
            // INT, VAR, DECL_TAG.
            1 | 14 | 17 => 4,
            // PTR, FWD, FUNC, FLOAT, and the modifiers.
            2 | FWD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNC | 16 | TYPE_TAG => 0,
            // ARRAY.
            3 => 12,
            STRUCT | UNION => 12 * elements,
            // ENUM, FUNC_PROTO.
            6 | 13 => 8 * elements,
            // DATASEC, ENUM64.
            15 | 19 => 12 * elements,
            _ => return None,
        })
    }
}

/// Structures by name.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins; the first one has id 1.
    places: Vec<usize>,
    /// The structures that have a name. Several may have the same.
    structs: HashMap<&'a [u8], Vec<usize>>,
}

impl<'a> Btf<'a> {
    /// Reads a whole BTF blob of this machine's byte order.
    ///
    /// # Errors
    /// [`BtfError`] when it is something else.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let header = |at| word(bytes, at).ok_or(BtfError::Truncated);
        // magic: u16, version: u8, flags: u8.
        let start = header(0)?;
        if start & 0xffff != MAGIC || start >> 16 & 0xff != 1 {
            return Err(BtfError::Header);
        }
        let body = header(4)? as usize;
        let section = |offset: u32, len: u32| {
            let from = body.checked_add(offset as usize)?;
            bytes.get(from..from.checked_add(len as usize)?)
        };
        let types = section(header(8)?, header(12)?).ok_or(BtfError::Truncated)?;
        let strings = section(header(16)?, header(20)?).ok_or(BtfError::Truncated)?;
        let mut this = Self {
            types,
            strings,
            places: Vec::new(),
            structs: HashMap::new(),
        };
        let mut at = 0;
        while at < types.len() {
            let info = word(types, at + 4).ok_or(BtfError::Truncated)?;
            let kind = kind_of(info);
            let id = u32::try_from(this.places.len() + 1).unwrap_or(u32::MAX);
            let trailer =
                kind::trailer(kind, elements(info)).ok_or(BtfError::CgroupKind { id, kind })?;
            if kind == kind::STRUCT
                && let Some(name) = word(types, at).and_then(|name| this.string(name))
                && !name.is_empty()
            {
                this.structs.entry(name).or_default().push(at);
            }
            this.places.push(at);
            at += 12 + trailer;
        }
        if at > types.len() {
            return Err(BtfError::Truncated);
        }
        Ok(this)
    }

    /// Byte offset of `struct.member[.member…]`, through anonymous members, typedefs and
    /// qualifiers; `None` when there is no such member, or it does not begin at a byte.
    pub fn offset(&self, path: &str) -> Option<u32> {
        let mut names = path.split('.');
        let root = names.next()?;
        let members: Vec<_> = names.collect();
        self.structs
            .get(root.as_bytes())?
            .iter()
            .find_map(|at| self.follow(*at, &members, 0))
            .filter(|bits| bits % 8 == 0)
            .map(|bits| bits / 8)
    }

    /// Whether the kernel has a function of that name.
    pub fn has_function(&self, name: &str) -> bool {
        self.places.iter().any(|at| {
            let is_function =
                word(self.types, at + 4).is_some_and(|info| kind_of(info) == kind::FUNC);
            is_function
                && word(self.types, *at).and_then(|name| self.string(name)) == Some(name.as_bytes())
        })
    }

    /// The same types by number, of which only tracepoints and the functions that programs are attached to have a
    /// name, and nothing has members: all that it takes to name them to the kernel. The whole of it takes
    /// readers that build something for each member 20 MB.
    pub fn attach_points(&self) -> Vec<u8> {
        let mut types = Vec::with_capacity(self.places.len() * TYPE_LEN);
        let mut strings = vec![0];
        for at in &self.places {
            let info = word(self.types, at + 4).unwrap_or(0);
            let name = word(self.types, *at).and_then(|name| self.string(name));
            let kept = name.filter(|name| is_attach_point(kind_of(info), name));
            let (name, info) = match kept {
                Some(name) => {
                    let place = u32::try_from(strings.len()).unwrap_or(0);
                    strings.extend_from_slice(name);
                    strings.push(0);
                    (place, info)
                }
                None => (0, kind::FWD << 24),
            };
            for word in [name, info, 0] {
                types.extend_from_slice(&word.to_ne_bytes());
            }
        }
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        // magic, version and flags; length of the header; offset and length of types, then of strings.
        let header = [
            MAGIC | 1 << 16,
            24,
            0,
            len(&types),
            len(&types),
            len(&strings),
        ];
        let header = header.iter().flat_map(|word| word.to_ne_bytes());
        header.chain(types).chain(strings).collect()
    }

    /// Bit offset of a member path in the structure at `at`.
    fn follow(&self, at: usize, path: &[&str], depth: u8) -> Option<u32> {
        // Deeper than any kernel structure: the bytes lead in a circle.
        if depth > 16 {
            return None;
        }
        let (name, rest) = path.split_first()?;
        let info = word(self.types, at + 4)?;
        (0..elements(info)).find_map(|index| {
            let member = at + 12 + 12 * index;
            let found = self.string(word(self.types, member)?)?;
            let offset = word(self.types, member + 8)?;
            // With the flag set the upper byte is the size of a bit field.
            let bits = if info >> 31 == 1 {
                offset & 0xff_ffff
            } else {
                offset
            };
            let inner = if found == name.as_bytes() {
                if rest.is_empty() {
                    return Some(bits);
                }
                rest
            } else if found.is_empty() {
                path
            } else {
                return None;
            };
            let holds = self.structure(word(self.types, member + 4)?)?;
            bits.checked_add(self.follow(holds, inner, depth + 1)?)
        })
    }

    /// Where the structure or union lies that the type `id` stands for.
    fn structure(&self, mut id: u32) -> Option<usize> {
        for _ in 0..16 {
            let at = *self.places.get((id as usize).checked_sub(1)?)?;
            match kind_of(word(self.types, at + 4)?) {
                kind::STRUCT | kind::UNION => return Some(at),
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = word(self.types, at + 8)?
                }
                _ => return None,
            }
        }
        None
    }

    fn string(&self, at: u32) -> Option<&'a [u8]> {
        let rest = self.strings.get(at as usize..)?;
        rest.split(|byte| *byte == 0).next()
    }
}

/// Whether the kernel is asked for a type of this kind and name when a program is loaded: tracepoints by
/// their typedef, hooks of the security modules and the functions that call them.
fn is_attach_point(kind: u32, name: &[u8]) -> bool {
    match kind {
        kind::TYPEDEF => name.starts_with(b"btf_trace_"),
        kind::FUNC => {
            name.starts_with(b"bpf_lsm_")
                || name.starts_with(b"security_")
                || name == b"cap_capable"
        }
        _ => false,
    }
}

/// info: elements in bits 0 to 15, kind in 24 to 28, a flag in 31.
fn kind_of(info: u32) -> u32 {
    info >> 24 & 0x1f
}

fn elements(info: u32) -> usize {
    (info & 0xffff) as usize
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at.checked_add(4)?)?
        .first_chunk()
        .map(|word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `struct outer { int a; struct { const inner_t b; }; }`, `inner_t` = `struct inner { int pad; int c; }`.
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0outer\0a\0inner\0pad\0c\0inner_t\0b\0";
        let at = |name: &str| {
            let needle = [b"\0", name.as_bytes(), b"\0"].concat();
            let found = strings.windows(needle.len()).position(|w| w == needle);
            u32::try_from(found.unwrap() + 1).unwrap()
        };
        let info = |kind: u32, elements: u32| kind << 24 | elements;
        let types = [
            // 1: int
            vec![at("int"), info(1, 0), 4, 32],
            // 2: struct inner
            vec![at("inner"), info(4, 2), 8, at("pad"), 1, 0, at("c"), 1, 32],
            // 3: typedef inner_t, 4: const inner_t
            vec![at("inner_t"), info(8, 0), 2],
            vec![0, info(10, 0), 3],
            // 5: the anonymous struct
            vec![0, info(4, 1), 8, at("b"), 4, 0],
            // 6: struct outer
            vec![at("outer"), info(4, 2), 12, at("a"), 1, 0, 0, 5, 32],
        ]
        .concat();
        let type_bytes: Vec<u8> = types.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let header = [
            MAGIC | 1 << 16,
            24,
            0,
            len(&type_bytes),
            len(&type_bytes),
            len(strings),
        ];
        let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bytes.extend(type_bytes);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn finds_anonymous_typedef_and_qualified_members() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.offset("outer.a"), Some(0));
        assert_eq!(btf.offset("outer.b"), Some(4));
        assert_eq!(btf.offset("outer.b.c"), Some(8));
        assert_eq!(btf.offset("inner.c"), Some(4));
        for missing in ["outer", "outer.c", "outer.a.c", "nothing.a", ""] {
            assert_eq!(btf.offset(missing), None, "{missing}");
        }
    }

    #[test]
    fn invalid_btf_is_rejected() {
        let bytes = sample();
        assert_eq!(Btf::parse(&[]).err(), Some(BtfError::Truncated));
        assert_eq!(Btf::parse(&[0; 24]).err(), Some(BtfError::Header));
        assert_eq!(
            Btf::parse(&bytes[..bytes.len() - 40]).err(),
            Some(BtfError::Truncated)
        );
    }

    /// What programs are attached to has the number that it has in the whole.
    #[test]
    fn attach_points_keep_their_numbers() {
        let path = "/sys/kernel/btf/vmlinux";
        let Ok(bytes) = std::fs::read(path) else {
            eprintln!("SKIPPED attach_points_keep_their_numbers: needs {path}");
            return;
        };
        use aya_obj::btf::{Btf as Whole, BtfKind};
        let read = |bytes: &[u8]| Whole::parse(bytes, Default::default()).unwrap();
        let short = Btf::parse(&bytes).unwrap().attach_points();
        assert!(short.len() < bytes.len());
        let (whole, short) = (read(&bytes), read(&short));
        let mut functions = vec!["security_file_open", "cap_capable", "no_such_function"];
        if whole
            .id_by_type_name_kind("bpf_lsm_file_open", BtfKind::Func)
            .is_ok()
        {
            functions.push("bpf_lsm_file_open");
        }
        let tracepoints = ["btf_trace_sys_enter", "btf_trace_sched_process_exec"];
        let all = functions.into_iter().map(|name| (name, BtfKind::Func));
        for (name, kind) in all.chain(tracepoints.map(|name| (name, BtfKind::Typedef))) {
            let id = |btf: &Whole| btf.id_by_type_name_kind(name, kind).ok();
            assert_eq!(id(&short), id(&whole), "{name}");
        }
    }

    proptest! {
        /// Whatever the bytes, reading ends, and does not panic.
        #[test]
        fn corrupt_btf_never_panics(at in 0usize..200, value: u8) {
            let mut bytes = sample();
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(btf) = Btf::parse(&bytes) {
                let _ = btf.offset("outer.b.c");
            }
        }
    }
}

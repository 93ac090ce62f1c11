//! The automaton in a compiled policy, and what it says of a path.
//!
//! The format: security/apparmor/include/match.h and match.c of Linux 6.1. Tables are big-endian;
//! a state's transitions are those of its default with its own over them.

use anyhow::{Context as _, Result, bail, ensure};

/// `YYTH_MAGIC`.
const MAGIC: [u8; 4] = 0x1B5E_783D_u32.to_be_bytes();

/// In the classic encoding the owner's permissions are the low 14 bits, everyone else's the next.
const OTHERS: u32 = 14;

/// Write, read and append in either.
pub(crate) mod bit {
    pub(crate) const WRITE: u32 = 2;
    pub(crate) const READ: u32 = 4;
    pub(crate) const LINK: u32 = 0x10;
    pub(crate) const LOCK: u32 = 0x20;
    pub(crate) const MAP: u32 = 0x40;
}

/// The automaton of a profile's file rules.
pub(crate) struct Files {
    accept: Vec<u32>,
    base: Vec<u32>,
    next: Vec<u32>,
    check: Vec<u32>,
    default: Vec<u32>,
    classes: Option<Vec<u32>>,
}

impl Files {
    /// Reads the last automaton of a binary policy, which is that of the files.
    pub(crate) fn read(policy: &[u8]) -> Result<Self> {
        let at = policy.windows(4).rposition(|window| window == MAGIC);
        let blob = policy
            .get(at.context("there is no automaton")?..)
            .context("cut off")?;
        let header = word(blob, 4)? as usize;
        let size = word(blob, 8)? as usize;
        let mut tables: [Option<Vec<u32>>; 9] = Default::default();
        let mut at = header;
        while at < size {
            let (id, width) = (half(blob, at)?, half(blob, at + 2)? & 0xF);
            let count = word(blob, at + 8)? as usize;
            let mut entries = Vec::with_capacity(count);
            for entry in 0..count {
                let place = at + 12 + entry * usize::from(width);
                entries.push(match width {
                    1 => (*blob.get(place).context("cut off")?).into(),
                    2 => half(blob, place)?.into(),
                    4 => word(blob, place)?,
                    _ => bail!("a table has entries of {width} bytes"),
                });
            }
            *tables
                .get_mut(usize::from(id))
                .context("an unknown table")? = Some(entries);
            at = (at + 12 + count * usize::from(width)).next_multiple_of(8);
        }
        let mut table = |id: usize| tables.get_mut(id).and_then(Option::take);
        ensure!(at == size, "the last table ends elsewhere");
        Ok(Self {
            accept: table(1).context("no accept table")?,
            base: table(2).context("no base table")?,
            check: table(3).context("no check table")?,
            default: table(4).context("no default table")?,
            classes: table(5),
            next: table(8).context("no next table")?,
        })
    }

    /// What the owner of the file may, and what anyone else.
    pub(crate) fn permissions(&self, path: &[u8]) -> (u32, u32) {
        let state = path.iter().fold(1, |state, byte| self.step(state, *byte));
        let accept = self.accept.get(state).copied().unwrap_or(0);
        let all = (1 << OTHERS) - 1;
        (accept & all, accept >> OTHERS & all)
    }

    fn step(&self, mut state: usize, byte: u8) -> usize {
        let class = self
            .classes
            .as_ref()
            .and_then(|classes| classes.get(usize::from(byte)));
        let class = class.copied().unwrap_or_else(|| byte.into()) as usize;
        loop {
            let base = self.base[state];
            let at = (base & 0xFF_FFFF) as usize + class;
            if self.check[at] as usize == state {
                return self.next[at] as usize;
            }
            state = self.default[state] as usize;
            // Without the flag of a difference, the default is where to go.
            if base >> 31 == 0 {
                return state;
            }
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let bytes = bytes.get(at..at + 4).context("cut off")?;
    Ok(u32::from_be_bytes(bytes.try_into()?))
}

fn half(bytes: &[u8], at: usize) -> Result<u16> {
    let bytes = bytes.get(at..at + 2).context("cut off")?;
    Ok(u16::from_be_bytes(bytes.try_into()?))
}

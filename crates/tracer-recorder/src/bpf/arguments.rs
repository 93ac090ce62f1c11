//! The values of arguments: which are asked for, and what was seen.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError, Queue},
};
use tracer_abi::{
    ABI_SLOTS, AbiClass, MAX_VALUES, MAX_WATCHES, SeenValues, ValueKey, WATCHED_ARGUMENTS, Watch,
    maps as names,
};

use super::{Probe, ProbeError, pod::Plain};
use syscalls::{
    Abi, Machine,
    arguments::{MAX_RECORDED, RECORDABLE_ARGUMENTS, RecordedArguments, recorded},
};

const _: () = assert!(MAX_RECORDED == MAX_WATCHES && RECORDABLE_ARGUMENTS == WATCHED_ARGUMENTS);

/// A call whose arguments are recorded, by where it is marked in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watched {
    /// Where it is marked.
    index: u32,
    watch: Watch,
}

/// What was seen of the arguments of the calls of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowValues {
    /// ABI and number of a call, and the first three arguments under their masks.
    pub seen: Vec<(AbiClass, u32, [u64; WATCHED_ARGUMENTS])>,
    /// The calls of which there was more than was kept.
    pub cut: Vec<(AbiClass, u32)>,
}

/// The combinations that are known, by number.
pub(super) struct Values {
    watched: Vec<Watched>,
    known: Vec<Option<ValueKey>>,
    /// Numbers that no row had when they were taken out of the map.
    removed: Vec<usize>,
    /// When that was.
    removed_at: Instant,
}

/// How many numbers must be in use before it is looked for those that no row has any more.
const RECYCLE_FROM: u64 = MAX_VALUES as u64 / 4;

/// How often it is looked for them at most: that reads all rows.
const RECYCLE_INTERVAL: Duration = Duration::from_secs(1);

impl Values {
    /// Tells the kernel side what to record, before it is attached.
    pub(super) fn ask(ebpf: &mut Ebpf, machine: Machine) -> Result<Self, ProbeError> {
        let watched = watched(machine);
        let mut watches: Array<&mut MapData, Plain<Watch>> = open(ebpf, names::WATCHES)?;
        for Watched { index, watch } in &watched {
            watches
                .set(*index, Plain(*watch), 0)
                .map_err(|error| ProbeError::map("fill", names::WATCHES)(error.into()))?;
        }
        let mut free: Queue<&mut MapData, u32> = open(ebpf, names::FREE_VALUES)?;
        for number in (0..).take(MAX_VALUES) {
            free.push(number, 0)
                .map_err(|error| ProbeError::map("fill", names::FREE_VALUES)(error.into()))?;
        }
        Ok(Self {
            watched,
            known: vec![None; MAX_VALUES],
            removed: Vec::new(),
            removed_at: Instant::now(),
        })
    }

    fn call(&self, number: usize) -> Option<(AbiClass, u32)> {
        let watched = self
            .watched
            .iter()
            .find(|watched| watched.watch.number as usize == number)?;
        Some(call_at(watched.index))
    }
}

/// The ABI that a class of the kernel programs means on a machine.
pub fn abi_of_class(machine: Machine, class: AbiClass) -> Abi {
    match (class, machine.compat) {
        (AbiClass::Native, _) | (AbiClass::Compat, None) => machine.native,
        (AbiClass::Compat, Some(compat)) => compat,
        (AbiClass::X32, _) => Abi::X32,
    }
}

/// Every call of a machine whose arguments are recorded.
fn watched(machine: Machine) -> Vec<Watched> {
    let classes = [
        (Some(machine.native), 0),
        (machine.compat, u32::try_from(ABI_SLOTS).unwrap_or(u32::MAX)),
    ];
    let calls = classes.into_iter().flat_map(|(abi, from)| {
        abi.into_iter().flat_map(move |abi| {
            abi.syscalls()
                .filter(|(nr, _)| (*nr as usize) < ABI_SLOTS)
                .filter_map(move |(nr, name)| Some((from + nr, recorded(abi, name)?)))
        })
    });
    (0..)
        .zip(calls)
        .take(MAX_WATCHES)
        .map(|(number, (index, recorded))| Watched {
            index,
            watch: watch_of(recorded, number),
        })
        .collect()
}

/// What the kernel programs are to do about a syscall's arguments; `number` tells it from others.
fn watch_of(recorded: &RecordedArguments, number: u32) -> Watch {
    let mut masks = [0; WATCHED_ARGUMENTS];
    for argument in recorded.arguments {
        if let Some(mask) = masks.get_mut(argument.index as usize) {
            *mask = argument.mask;
        }
    }
    if recorded.behind_pointer
        && let Some(size) = masks.get_mut(1)
    {
        *size = u64::MAX;
    }
    Watch {
        masks,
        watched: 1,
        number,
        behind_pointer: u32::from(recorded.behind_pointer),
        small: u32::from(recorded.is_small()),
    }
}

/// The call that is marked at a place in a row.
fn call_at(index: u32) -> (AbiClass, u32) {
    let slots = u32::try_from(ABI_SLOTS).unwrap_or(u32::MAX);
    if index < slots {
        (AbiClass::Native, index)
    } else {
        (AbiClass::Compat, index - slots)
    }
}

impl Probe {
    /// What was seen of the arguments of the calls of a row.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when a map cannot be read.
    pub fn values(&mut self, row: u32) -> Result<RowValues, ProbeError> {
        let rows: Array<_, Plain<SeenValues>> = self.map_mut(names::SEEN_VALUES)?;
        let Plain(values) = rows
            .get(&row, 0)
            .with_context(|| format!("row {row}"))
            .map_err(ProbeError::map("read", names::SEEN_VALUES))?;
        let numbers = |bytes: &[u8]| -> Vec<usize> {
            let set = bytes.iter().enumerate().filter(|(_, byte)| **byte != 0);
            set.map(|(number, _)| number).collect()
        };
        let seen = numbers(&values.seen);
        let known = &self.values.known;
        if seen
            .iter()
            .any(|number| known.get(*number).is_none_or(Option::is_none))
        {
            self.learn_values()?;
        }
        let keys = seen
            .iter()
            .filter_map(|number| *self.values.known.get(*number)?);
        Ok(RowValues {
            seen: keys
                .map(|key| {
                    let (class, nr) = call_at(key.call);
                    (class, nr, key.values)
                })
                .collect(),
            cut: numbers(&values.cut)
                .into_iter()
                .filter_map(|number| self.values.call(number))
                .collect(),
        })
    }

    /// A combination has its number in the map before any row has a mark for it, and keeps it as long as one
    /// has.
    fn learn_values(&mut self) -> Result<(), ProbeError> {
        let values: HashMap<_, Plain<ValueKey>, u32> = self.map_mut(names::VALUES)?;
        let all: Vec<(Plain<ValueKey>, u32)> = values
            .iter()
            .collect::<Result<_, _>>()
            .context("while it changed")
            .map_err(ProbeError::map("read", names::VALUES))?;
        for (Plain(key), number) in all {
            if let Some(known) = self.values.known.get_mut(number as usize) {
                *known = Some(key);
            }
        }
        Ok(())
    }

    /// Gives back the numbers that no row has any more, once a second at most. First they are taken out of
    /// the map; a second later, when no program can hold one, those that no row has got meanwhile are free.
    ///
    /// # Errors
    /// [`ProbeError::Map`] when a map cannot be read or changed.
    pub fn recycle_values(&mut self) -> Result<(), ProbeError> {
        let is_early = self.values.removed_at.elapsed() < RECYCLE_INTERVAL;
        let is_idle = self.values.removed.is_empty() && self.control.values_in_use() < RECYCLE_FROM;
        if is_early || is_idle {
            return Ok(());
        }
        self.values.removed_at = Instant::now();
        if self.values.removed.is_empty() {
            self.learn_values()?;
            let used = self.used_values()?;
            let is_unused = |(number, key): (usize, &Option<ValueKey>)| {
                let key = (*key)?;
                (!used.contains(&number)).then_some((number, key))
            };
            let known = self.values.known.iter().enumerate();
            let unused: Vec<_> = known.filter_map(is_unused).collect();
            let mut values: HashMap<_, Plain<ValueKey>, u32> = self.map_mut(names::VALUES)?;
            for (_, key) in &unused {
                let _ = values.remove(&Plain(*key));
            }
            self.values.removed = unused.into_iter().map(|(number, _)| number).collect();
            return Ok(());
        }
        let used = self.used_values()?;
        for number in std::mem::take(&mut self.values.removed) {
            self.give_back_value(number, used.contains(&number))?;
        }
        Ok(())
    }

    /// A number that was taken out of the map is free, or goes back there when a row has it.
    fn give_back_value(&mut self, number: usize, is_used: bool) -> Result<(), ProbeError> {
        const NO_OVERWRITE: u64 = 1; // BPF_NOEXIST
        let key = self.values.known.get(number).copied().flatten();
        let value = u32::try_from(number).unwrap_or(u32::MAX);
        if is_used {
            let mut values: HashMap<_, Plain<ValueKey>, u32> = self.map_mut(names::VALUES)?;
            if let Some(key) = key {
                // The same combination may have another number by now; then both stand for it.
                let _ = values.insert(Plain(key), value, NO_OVERWRITE);
            }
            return Ok(());
        }
        if let Some(place) = self.values.known.get_mut(number) {
            *place = None;
        }
        self.control.give_back_values(1);
        let mut free: Queue<_, u32> = self.map_mut(names::FREE_VALUES)?;
        free.push(value, 0)
            .map_err(|error| ProbeError::map("give back to", names::FREE_VALUES)(error.into()))
    }

    /// The numbers that a row has.
    fn used_values(&mut self) -> Result<BTreeSet<usize>, ProbeError> {
        let rows = self.rows()?;
        let seen: Array<_, Plain<SeenValues>> = self.map_mut(names::SEEN_VALUES)?;
        let mut used = BTreeSet::new();
        for row in rows {
            let Plain(values) = seen
                .get(&row.number, 0)
                .with_context(|| format!("row {}", row.number))
                .map_err(ProbeError::map("read", names::SEEN_VALUES))?;
            let set = values.seen.iter().enumerate();
            used.extend(
                set.filter(|(_, byte)| **byte != 0)
                    .map(|(number, _)| number),
            );
        }
        Ok(used)
    }

    /// Empties a row, before it is somebody else's.
    pub(super) fn empty_values(&mut self, row: u32) -> Result<(), ProbeError> {
        let mut rows: Array<_, Plain<SeenValues>> = self.map_mut(names::SEEN_VALUES)?;
        rows.set(row, Plain(SeenValues::EMPTY), 0)
            .map_err(|error| ProbeError::map("empty", names::SEEN_VALUES)(error.into()))
    }
}

fn open<'a, M>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<M, ProbeError>
where
    M: TryFrom<&'a mut aya::maps::Map, Error = MapError>,
{
    ebpf.map_mut(name)
        .context("it is not in the object")
        .and_then(|map| M::try_from(map).map_err(Into::into))
        .map_err(ProbeError::map("open", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_watched_call_has_a_unique_number() {
        for (native, compat) in [(Abi::X86_64, Abi::I386), (Abi::Aarch64, Abi::Arm)] {
            let machine = Machine {
                native,
                compat: Some(compat),
            };
            let watched = watched(machine);
            assert!(watched.len() < MAX_WATCHES, "{}", watched.len());
            for (number, it) in (0..).zip(&watched) {
                assert_eq!(it.watch.number, number);
                let (class, nr) = call_at(it.index);
                let abi = abi_of_class(machine, class);
                let name = abi.syscall_name(nr).unwrap();
                assert_eq!(watch_of(recorded(abi, name).unwrap(), number), it.watch);
            }
            let socket = native.syscall_number("socket").unwrap();
            assert!(watched.iter().any(|it| it.index == socket));
            let prctl = compat.syscall_number("prctl").unwrap() as usize + ABI_SLOTS;
            assert!(watched.iter().any(|it| it.index as usize == prctl));
        }
    }
}

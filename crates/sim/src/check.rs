//! Compares what the kernel side says with what happened.

use std::fmt;

use tracer_abi::{
    Counters, EXE_OVERFLOW, FIRST_ROW, RowKey, SeenValues, UnindexedKey, ValueKey, access::flag,
    outcome,
};
use tracer_ebpf::machine::user::Mark;

use crate::event::{CLONE3, IOCTL, SOCKET};
use crate::kernel::{World, file_name};
use crate::truth::{Deed, Values, What};

/// What the kernel side says is not what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// A row, with all that is kept under its number.
struct Row {
    key: RowKey,
    number: u32,
    marks: Vec<Mark>,
    values: SeenValues,
}

/// All that user space can read.
struct Seen<'a> {
    world: &'a World,
    rows: Vec<Row>,
    values: Vec<(ValueKey, u32)>,
    counters: Counters,
    /// Whether executables and phases may be others for want of room, which was counted.
    vague: bool,
}

/// Compares everything.
pub(crate) fn all(world: &World) -> Result<(), Failure> {
    if let Some(wrong) = world.wrong.first() {
        return Err(Failure(wrong.clone()));
    }
    let seen = Seen::read(world);
    seen.everything_is_there()?;
    for row in &seen.rows {
        seen.nothing_else_is_there(row)?;
    }
    seen.told_what_is_marked()?;
    seen.accesses_happened()?;
    seen.nothing_leaks()
}

/// Compares what an instance did before it is given back, and does not look for it again.
pub(crate) fn settle(world: &mut World, number: u64) {
    if let Err(failure) = all(world) {
        world.wrong.push(failure.0);
    }
    let seen = Seen::read(world);
    let mut settled = Vec::new();
    let mut missing = 0;
    for (index, deed) in world.deeds.iter().enumerate() {
        if deed.settled || !deed.who.may_be_in(number) {
            continue;
        }
        if seen.is_there(deed) {
            settled.push(index);
        } else if deed.who.instances == [Some(number)] {
            settled.push(index);
            missing += u64::from(seen.must_be_there(deed));
        }
    }
    drop(seen);
    world.missing += missing;
    for index in settled {
        world.deeds[index].settled = true;
    }
}

impl<'a> Seen<'a> {
    fn read(world: &'a World) -> Self {
        let counters = world.counters();
        let exotic = world.machine.unindexed();
        let rows = world.machine.rows().into_iter();
        Self {
            world,
            rows: rows.map(|row| Row::read(world, row, &exotic)).collect(),
            values: world.machine.values(),
            counters,
            vague: counters.processes_full > 0 || counters.cgroups_full > 0,
        }
    }

    /// Whether a row is right for who did something.
    fn is_of(&self, row: &Row, deed: &Deed) -> bool {
        let key = row.key;
        if key.exe == EXE_OVERFLOW {
            return self.counters.rows_full > 0 && deed.who.may_be_in(key.instance);
        }
        if self.vague {
            return deed.who.may_be_in(key.instance);
        }
        deed.who.is(key.instance, key.exe, key.phase)
    }

    fn is_there(&self, deed: &Deed) -> bool {
        if let What::Opened(file) = deed.what {
            return self.was_told_of(deed, file);
        }
        let mut rows = self.rows.iter().filter(|row| self.is_of(row, deed));
        rows.any(|row| {
            row.marks.iter().any(|mark| mark.is(row, deed))
                && match deed.what {
                    What::Made(Some(values)) => self.has_values(row, deed.number, values),
                    _ => true,
                }
        })
    }

    fn was_told_of(&self, deed: &Deed, file: usize) -> bool {
        self.world.accesses.iter().any(|(_, bytes, key)| {
            let is_of = key.is_some_and(|key| {
                if key.exe == EXE_OVERFLOW || self.vague {
                    deed.who.may_be_in(key.instance)
                } else {
                    deed.who.is(key.instance, key.exe, key.phase)
                }
            });
            is_of && is_file(bytes, file)
        })
    }

    /// Whether the values of a call are kept, or it is said that some are not.
    fn has_values(&self, row: &Row, number: u32, values: Values) -> bool {
        let watch = watch(number);
        if row.values.cut[watch] != 0 {
            return true;
        }
        let Values::Are(values) = values else {
            return false;
        };
        let mut kept = self.values.iter();
        kept.any(|(key, id)| {
            key.call == number && key.values == values && row.values.seen[*id as usize] != 0
        })
    }

    fn must_be_there(&self, deed: &Deed) -> bool {
        if !deed.certain || deed.settled || !deed.who.must_be_seen() {
            return false;
        }
        match deed.what {
            What::Made(_) => true,
            What::Blocked(_) => self.counters.threads_full == 0 && !self.is_blind(deed),
            What::Opened(_) => {
                self.counters.accesses_lost == 0 && self.counters.accesses_dropped == 0
            }
        }
    }

    /// Whether the kernel side says that it did not see what a filter stopped of an instance.
    fn is_blind(&self, deed: &Deed) -> bool {
        let cgroups = self.world.machine.cgroups();
        let mut roots = cgroups.iter().filter(|(id, _)| deed.who.may_be_in(*id));
        roots.any(|(_, entry)| entry.missed_filter != 0)
    }

    /// Each call is marked under who made it, or counted as lost.
    fn everything_is_there(&self) -> Result<(), Failure> {
        let deeds = self.world.deeds.iter();
        let missing: Vec<&Deed> = deeds
            .filter(|deed| self.must_be_there(deed) && !self.is_there(deed))
            .collect();
        let lost = self.counters.calls_lost + self.counters.exotic_full;
        if missing.len() as u64 + self.world.missing > lost {
            return Err(Failure(format!(
                "{} missing, {lost} counted as lost: {missing:?}; there is {}",
                missing.len() as u64 + self.world.missing,
                self.rows_said()
            )));
        }
        Ok(())
    }

    fn rows_said(&self) -> String {
        let rows = self.rows.iter().filter(|row| !row.marks.is_empty());
        let each = rows.map(|row| {
            let marks = row.marks.iter().map(|mark| (mark.number, mark.outcome));
            let marks: Vec<_> = marks.collect();
            format!("{:?}: {marks:?}", row.key)
        });
        each.collect::<Vec<_>>().join("; ")
    }

    /// Nothing is marked under who did not do it.
    fn nothing_else_is_there(&self, row: &Row) -> Result<(), Failure> {
        for mark in &row.marks {
            let mut deeds = self.world.deeds.iter();
            let did = |deed: &Deed| {
                mark.is(row, deed) && self.is_of(row, deed) && came_out(deed, mark.outcome)
            };
            if !deeds.any(did) {
                return Err(Failure(format!(
                    "{mark:?} is marked in row {} of {:?}, who did not do it",
                    row.number, row.key
                )));
            }
        }
        for (key, id) in &self.values {
            if row.values.seen[*id as usize] == 0 {
                continue;
            }
            let mut deeds = self.world.deeds.iter();
            let was_given = |deed: &Deed| {
                deed.number == key.call
                    && deed.what == What::Made(Some(Values::Are(key.values)))
                    && self.is_of(row, deed)
            };
            if !deeds.any(was_given) {
                return Err(Failure(format!(
                    "{key:?} is marked in row {} of {:?}, who did not give it",
                    row.number, row.key
                )));
            }
        }
        Ok(())
    }

    /// What was told of in the ring is marked; and what is marked was told of, if there was room.
    fn told_what_is_marked(&self) -> Result<(), Failure> {
        if let Some(told) = self.world.told.iter().find(|told| !told.marked) {
            return Err(Failure(format!("told of what is not marked: {told:?}")));
        }
        if self.counters.events_dropped > 0 {
            return Ok(());
        }
        for row in &self.rows {
            let told = |mark: &Mark| {
                self.world.told.iter().any(|told| {
                    told.key == Some(row.key)
                        && told.event.nr == mark.number
                        && told.event.abi == mark.abi as u32
                        && told.event.outcome & 0xff == u32::from(mark.outcome)
                })
            };
            if let Some(mark) = row.marks.iter().find(|mark| !told(mark)) {
                return Err(Failure(format!(
                    "{mark:?} of {:?} was never told of",
                    row.key
                )));
            }
        }
        Ok(())
    }

    /// Each access that was told of happened.
    fn accesses_happened(&self) -> Result<(), Failure> {
        for (access, bytes, key) in &self.world.accesses {
            let Some(key) = key else {
                continue;
            };
            let mut deeds = self.world.deeds.iter();
            let is_it = |deed: &Deed| {
                let What::Opened(file) = deed.what else {
                    return false;
                };
                is_file(bytes, file)
                    && (self.vague && deed.who.may_be_in(key.instance)
                        || key.exe == EXE_OVERFLOW && deed.who.may_be_in(key.instance)
                        || deed.who.is(key.instance, key.exe, key.phase))
            };
            if access.flags & flag::MORE == 0 && !deeds.any(is_it) {
                return Err(Failure(format!(
                    "{access:?} was told of {key:?}, who did not do it"
                )));
            }
        }
        Ok(())
    }

    /// Rows and numbers of values are in use or free.
    fn nothing_leaks(&self) -> Result<(), Failure> {
        let (settings, machine) = (&self.world.settings, self.world.machine);
        let rows = self.rows.len() + machine.free_rows();
        let values = self.values.len() + machine.free_values();
        if rows != (settings.rows - FIRST_ROW) as usize {
            return Err(Failure(format!(
                "{rows} of {} rows are left",
                settings.rows
            )));
        }
        if values != settings.values as usize {
            return Err(Failure(format!(
                "{values} of {} numbers of values are left",
                settings.values
            )));
        }
        Ok(())
    }
}

impl Row {
    fn read(world: &World, (key, number): (RowKey, u32), exotic: &[(UnindexedKey, u32)]) -> Self {
        let mut marks = world.machine.marks(number);
        for (exotic, outcome) in exotic {
            if exotic.row == number {
                marks.push(Mark {
                    abi: match exotic.abi {
                        0 => tracer_abi::AbiClass::Native,
                        1 => tracer_abi::AbiClass::Compat,
                        _ => tracer_abi::AbiClass::X32,
                    },
                    number: exotic.nr,
                    outcome: u8::try_from(*outcome).unwrap_or(u8::MAX),
                });
            }
        }
        Self {
            key,
            number,
            marks,
            values: world
                .machine
                .seen_values(number)
                .unwrap_or(SeenValues::EMPTY),
        }
    }
}

/// Whether a mark stands for something that was done.
trait Stands {
    fn is(&self, row: &Row, deed: &Deed) -> bool;
}

impl Stands for Mark {
    fn is(&self, row: &Row, deed: &Deed) -> bool {
        self.abi == deed.abi
            && self.number == deed.number
            && match deed.what {
                What::Made(_) => row.key.blocked == 0,
                // The first outcome is kept.
                What::Blocked(_) => row.key.blocked == 1,
                What::Opened(_) => false,
            }
    }
}

/// Whether a mark says how a call came out.
fn came_out(deed: &Deed, mark: u8) -> bool {
    match deed.what {
        What::Made(_) => mark == outcome::EXECUTED || mark == outcome::EXECUTED_CHECK_AGAIN,
        What::Blocked(outcome) => outcome.is_none_or(|outcome| outcome == mark),
        What::Opened(_) => false,
    }
}

/// Which of the watches a call is.
fn watch(number: u32) -> usize {
    match number {
        IOCTL => 0,
        SOCKET => 1,
        CLONE3 => 2,
        _ => 3,
    }
}

/// Whether the names of a path, the last one first, are those of a file.
fn is_file(bytes: &[u8], file: usize) -> bool {
    let mut name = file_name(file).into_bytes();
    name.push(0);
    bytes.starts_with(&name)
}

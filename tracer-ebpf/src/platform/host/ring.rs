//! Ring buffers.

use std::{
    any::Any, cell::RefCell, collections::VecDeque, marker::PhantomData, mem::MaybeUninit, rc::Rc,
};

use super::{cpu, maps::Id};

/// Bytes before each record (`BPF_RINGBUF_HDR_SZ`, include/uapi/linux/bpf.h).
const HEADER: usize = 8;

struct Record {
    words: Vec<u64>,
    len: usize,
    ready: bool,
    discarded: bool,
}

#[derive(Default)]
struct Records {
    records: VecDeque<Box<Record>>,
    used: usize,
    size: usize,
}

pub(crate) struct RingBuf {
    id: Id,
    size: u32,
}

impl RingBuf {
    pub(crate) const fn with_byte_size(size: u32, _flags: u32) -> Self {
        Self {
            id: Id::new(),
            size,
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Records) -> R) -> R {
        let store: Rc<RefCell<Records>> = self.id.store(|| {
            Rc::new(RefCell::new(Records {
                size: self.size as usize,
                ..Records::default()
            })) as Rc<dyn Any>
        });
        let mut records = store.borrow_mut();
        f(&mut records)
    }

    /// Empties it, and sets its size in bytes.
    pub(crate) fn reset(&self, size: u32) {
        self.with(|records| {
            *records = Records {
                size: size as usize,
                ..Records::default()
            };
        });
    }

    pub(crate) fn reserve<T: 'static>(&self, _flags: u64) -> Option<RingBufEntry<T>> {
        cpu::pause();
        let record = self.with(|records| records.reserve(size_of::<T>()));
        cpu::pause();
        Some(RingBufEntry {
            record: record?,
            of: PhantomData,
        })
    }

    pub(crate) fn output<T: Copy + 'static>(&self, data: &T, _flags: u64) -> Result<(), i32> {
        let mut entry = self.reserve::<T>(0).ok_or(-11)?;
        entry.write(*data);
        entry.submit(0);
        Ok(())
    }

    /// Bytes that wait to be read.
    pub(crate) fn query(&self, _flags: u64) -> u64 {
        self.with(|records| records.used as u64)
    }

    /// Takes the oldest record, when it is complete.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        cpu::pause();
        self.with(|records| {
            loop {
                if !records.records.front()?.ready {
                    return None;
                }
                let record = records.records.pop_front()?;
                records.used -= HEADER + record.len.next_multiple_of(8);
                if !record.discarded {
                    let bytes = record.words.iter().flat_map(|word| word.to_le_bytes());
                    return Some(bytes.take(record.len).collect());
                }
            }
        })
    }
}

impl Records {
    fn reserve(&mut self, len: usize) -> Option<*mut Record> {
        let bytes = HEADER + len.next_multiple_of(8);
        if self.used + bytes > self.size {
            return None;
        }
        self.used += bytes;
        self.records.push_back(Box::new(Record {
            words: vec![0; len.div_ceil(8)],
            len,
            ready: false,
            discarded: false,
        }));
        self.records.back_mut().map(|record| &raw mut **record)
    }
}

/// Room for a value, which nobody sees before it is handed over.
pub(crate) struct RingBufEntry<T> {
    record: *mut Record,
    of: PhantomData<T>,
}

impl<T> RingBufEntry<T> {
    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        // SAFETY: the record stays where it is until it was submitted and read.
        unsafe { (*self.record).words.as_mut_ptr().cast() }
    }

    pub(crate) fn write(&mut self, value: T) -> &mut MaybeUninit<T> {
        // SAFETY: there is room for a `T`, aligned to a word.
        unsafe {
            let room = &mut *self.as_mut_ptr().cast::<MaybeUninit<T>>();
            room.write(value);
            room
        }
    }

    /// Gives the room back unused. Readers skip it (`BPF_RINGBUF_DISCARD_BIT`).
    pub(crate) fn discard(self, _flags: u64) {
        // SAFETY: as in `as_mut_ptr`.
        unsafe {
            (*self.record).discarded = true;
            (*self.record).ready = true;
        }
    }

    pub(crate) fn submit(self, _flags: u64) {
        cpu::pause();
        // SAFETY: as in `as_mut_ptr`.
        unsafe { (*self.record).ready = true }
    }
}

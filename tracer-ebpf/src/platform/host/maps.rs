//! Maps, by aya's names. They belong to the machine of this thread, and behave as the kernel's do
//! when their memory is taken beforehand: an entry that was removed, or replaced, is soon somebody
//! else's, and who still has its address reads that (kernel/bpf/hashtab.c).

use std::{
    any::Any,
    borrow,
    cell::{RefCell, UnsafeCell},
    collections::VecDeque,
    marker::PhantomData,
    mem::MaybeUninit,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{bindings::BPF_NOEXIST, cpu};

pub(crate) use super::ring::{self as ring_buf, RingBuf};

/// `-ENOENT`, `-E2BIG`, `-EEXIST`.
const ENOENT: i32 = -2;
const E2BIG: i32 = -7;
const EEXIST: i32 = -17;

/// What was given by value or by reference.
fn given<T>(by: &impl borrow::Borrow<T>) -> &T {
    borrow::Borrow::borrow(by)
}

/// Which map of a machine a static stands for.
pub(crate) struct Id(AtomicUsize);

static NEXT: AtomicUsize = AtomicUsize::new(1);

thread_local! {
    static STORES: RefCell<Vec<Option<Rc<dyn Any>>>> = const { RefCell::new(Vec::new()) };
}

impl Id {
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn number(&self) -> usize {
        match self.0.load(Ordering::Relaxed) {
            0 => {
                let new = NEXT.fetch_add(1, Ordering::Relaxed);
                match self
                    .0
                    .compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed)
                {
                    Ok(_) => new,
                    Err(number) => number,
                }
            }
            number => number,
        }
    }

    /// What this thread keeps under it.
    pub(crate) fn store<S: 'static>(&self, make: impl FnOnce() -> Rc<dyn Any>) -> Rc<S> {
        let number = self.number();
        STORES.with_borrow_mut(|stores| {
            if stores.len() <= number {
                stores.resize_with(number + 1, || None);
            }
            let store = Rc::clone(stores[number].get_or_insert_with(make));
            match store.downcast() {
                Ok(store) => store,
                Err(_) => unreachable!("a map has one type"),
            }
        })
    }
}

/// Room for values, whose addresses stay.
struct Slab<V>(Box<[UnsafeCell<MaybeUninit<V>>]>);

impl<V> Slab<V> {
    fn new(len: usize) -> Self {
        Self(
            (0..len)
                .map(|_| UnsafeCell::new(MaybeUninit::zeroed()))
                .collect(),
        )
    }

    fn at(&self, index: usize) -> *mut V {
        self.0[index].get().cast()
    }

    fn clear(&self) {
        for cell in &self.0 {
            // SAFETY: room for a value; all maps begin with zeros.
            unsafe { cell.get().write_bytes(0, 1) };
        }
    }
}

struct Table<K, V> {
    capacity: usize,
    values: Slab<V>,
    keys: RefCell<Vec<(K, usize)>>,
    free: RefCell<Vec<usize>>,
    /// The element that the next update of an entry takes on each CPU, leaving its own (`extra_elems`).
    extra: RefCell<[usize; cpu::MAX_CPUS]>,
    /// How often it was used: what is oldest goes first when that is asked for.
    lru: bool,
}

impl<K: Copy + Eq, V: Copy> Table<K, V> {
    fn new(capacity: usize, lru: bool) -> Self {
        Self {
            capacity,
            values: Slab::new(capacity + cpu::MAX_CPUS),
            keys: RefCell::new(Vec::with_capacity(capacity)),
            free: RefCell::new((0..capacity).rev().collect()),
            extra: RefCell::new(core::array::from_fn(|cpu| capacity + cpu)),
            lru,
        }
    }

    fn find(&self, key: &K) -> Option<usize> {
        let keys = self.keys.borrow();
        let found = keys.iter().find(|(known, _)| known == key);
        found.map(|(_, index)| *index)
    }

    fn put(&self, key: K, value: V, flags: u64) -> Result<(), i32> {
        let mut keys = self.keys.borrow_mut();
        let index = if let Some(entry) = keys.iter_mut().find(|(known, _)| *known == key) {
            if flags == u64::from(BPF_NOEXIST) {
                return Err(EEXIST);
            }
            core::mem::swap(&mut entry.1, &mut self.extra.borrow_mut()[cpu::current()]);
            entry.1
        } else {
            let mut free = self.free.borrow_mut();
            if free.is_empty() && self.lru && !keys.is_empty() {
                free.push(keys.remove(0).1);
            }
            let index = free.pop().ok_or(E2BIG)?;
            keys.push((key, index));
            index
        };
        // SAFETY: room for a value.
        unsafe { self.values.at(index).write(value) };
        Ok(())
    }

    fn take(&self, key: &K) -> Result<(), i32> {
        let mut keys = self.keys.borrow_mut();
        let at = keys.iter().position(|(known, _)| known == key);
        let (_, index) = keys.remove(at.ok_or(ENOENT)?);
        self.free.borrow_mut().push(index);
        Ok(())
    }
}

/// A hash map.
pub(crate) struct HashMap<K, V, const LRU: bool = false> {
    id: Id,
    capacity: u32,
    of: PhantomData<fn(K, V)>,
}

/// One that drops its oldest entry for a new one.
pub(crate) type LruHashMap<K, V> = HashMap<K, V, true>;

impl<K, V, const LRU: bool> HashMap<K, V, LRU> {
    pub(crate) const fn with_max_entries(capacity: u32, _flags: u32) -> Self {
        Self {
            id: Id::new(),
            capacity,
            of: PhantomData,
        }
    }
}

impl<K: Copy + Eq + 'static, V: Copy + 'static, const LRU: bool> HashMap<K, V, LRU> {
    fn table(&self) -> Rc<RefCell<Rc<Table<K, V>>>> {
        self.id.store(|| {
            let table = Table::<K, V>::new(self.capacity as usize, LRU);
            Rc::new(RefCell::new(Rc::new(table)))
        })
    }

    fn now(&self) -> Rc<Table<K, V>> {
        Rc::clone(&self.table().borrow())
    }

    /// Empties it, and sets how many entries it may have.
    pub(crate) fn reset(&self, capacity: u32) {
        let table = self.table();
        let mut table = table.borrow_mut();
        if table.capacity == capacity as usize {
            let mut keys = table.keys.borrow_mut();
            let mut free = table.free.borrow_mut();
            keys.clear();
            free.clear();
            free.extend((0..table.capacity).rev());
            *table.extra.borrow_mut() = core::array::from_fn(|cpu| table.capacity + cpu);
            table.values.clear();
            return;
        }
        *table = Rc::new(Table::new(capacity as usize, LRU));
    }

    pub(crate) unsafe fn get(&self, key: impl borrow::Borrow<K>) -> Option<&V> {
        // SAFETY: the memory stays as long as the machine.
        self.get_ptr(key).map(|value| unsafe { &*value })
    }

    pub(crate) fn get_ptr(&self, key: impl borrow::Borrow<K>) -> Option<*const V> {
        self.get_ptr_mut(key).map(<*mut V>::cast_const)
    }

    pub(crate) fn get_ptr_mut(&self, key: impl borrow::Borrow<K>) -> Option<*mut V> {
        cpu::pause();
        let table = self.now();
        let value = table.find(given(&key)).map(|at| table.values.at(at));
        cpu::pause();
        value
    }

    pub(crate) fn insert(
        &self,
        key: impl borrow::Borrow<K>,
        value: impl borrow::Borrow<V>,
        flags: u64,
    ) -> Result<(), i32> {
        cpu::pause();
        let inserted = self.now().put(*given(&key), *given(&value), flags);
        cpu::pause();
        inserted
    }

    pub(crate) fn remove(&self, key: impl borrow::Borrow<K>) -> Result<(), i32> {
        cpu::pause();
        let removed = self.now().take(given(&key));
        cpu::pause();
        removed
    }

    /// All entries.
    pub(crate) fn entries(&self) -> Vec<(K, V)> {
        cpu::pause();
        let table = self.now();
        let keys = table.keys.borrow();
        keys.iter()
            // SAFETY: a value that was written.
            .map(|(key, at)| (*key, unsafe { table.values.at(*at).read() }))
            .collect()
    }
}

/// An array, all zeros at first.
pub(crate) struct Array<T> {
    id: Id,
    len: u32,
    of: PhantomData<fn(T)>,
}

impl<T> Array<T> {
    pub(crate) const fn with_max_entries(len: u32, _flags: u32) -> Self {
        Self {
            id: Id::new(),
            len,
            of: PhantomData,
        }
    }
}

impl<T: 'static> Array<T> {
    fn slab(&self) -> Rc<RefCell<Rc<Slab<T>>>> {
        self.id
            .store(|| Rc::new(RefCell::new(Rc::new(Slab::<T>::new(self.len as usize)))))
    }

    /// Empties it, and sets its length.
    pub(crate) fn reset(&self, len: u32) {
        let slab = self.slab();
        if slab.borrow().0.len() == len as usize {
            slab.borrow().clear();
        } else {
            *slab.borrow_mut() = Rc::new(Slab::new(len as usize));
        }
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        // SAFETY: the memory stays as long as the machine.
        self.get_ptr(index).map(|value| unsafe { &*value })
    }

    pub(crate) fn get_ptr(&self, index: u32) -> Option<*const T> {
        self.get_ptr_mut(index).map(<*mut T>::cast_const)
    }

    pub(crate) fn get_ptr_mut(&self, index: u32) -> Option<*mut T> {
        // Inlined by the kernel, and never refused: no other CPU can see the difference.
        let slab = Rc::clone(&self.slab().borrow());
        ((index as usize) < slab.0.len()).then(|| slab.at(index as usize))
    }
}

/// An array of which each CPU has its own.
pub(crate) struct PerCpuArray<T>(Array<[MaybeUninit<T>; cpu::MAX_CPUS]>);

impl<T> PerCpuArray<T> {
    pub(crate) const fn with_max_entries(len: u32, flags: u32) -> Self {
        Self(Array::with_max_entries(len, flags))
    }
}

impl<T: 'static> PerCpuArray<T> {
    /// Empties it.
    pub(crate) fn reset(&self) {
        self.0.reset(self.0.len);
    }

    pub(crate) fn get_ptr_mut(&self, index: u32) -> Option<*mut T> {
        let each = self.0.get_ptr_mut(index)?;
        // SAFETY: within the array; there are so many CPUs.
        Some(unsafe { each.cast::<T>().add(cpu::current()) })
    }

    /// Those of all CPUs.
    pub(crate) fn all(&self, index: u32) -> Vec<T>
    where
        T: Copy,
    {
        let Some(each) = self.0.get_ptr_mut(index) else {
            return Vec::new();
        };
        (0..cpu::MAX_CPUS)
            // SAFETY: within the array, zeros at least.
            .map(|cpu| unsafe { each.cast::<T>().add(cpu).read() })
            .collect()
    }
}

/// First in, first out.
pub(crate) struct Queue<T> {
    id: Id,
    capacity: u32,
    of: PhantomData<fn(T)>,
}

struct Queued<T> {
    capacity: usize,
    values: VecDeque<T>,
}

impl<T> Queue<T> {
    pub(crate) const fn with_max_entries(capacity: u32, _flags: u32) -> Self {
        Self {
            id: Id::new(),
            capacity,
            of: PhantomData,
        }
    }
}

impl<T: Copy + 'static> Queue<T> {
    fn queued(&self) -> Rc<RefCell<Queued<T>>> {
        self.id.store(|| {
            Rc::new(RefCell::new(Queued::<T> {
                capacity: self.capacity as usize,
                values: VecDeque::new(),
            }))
        })
    }

    /// Empties it, and sets how many values it may hold.
    pub(crate) fn reset(&self, capacity: u32) {
        let queued = self.queued();
        let mut queued = queued.borrow_mut();
        queued.values.clear();
        queued.capacity = capacity as usize;
    }

    pub(crate) fn push(&self, value: impl borrow::Borrow<T>, _flags: u64) -> Result<(), i32> {
        cpu::pause();
        let queued = self.queued();
        let mut queued = queued.borrow_mut();
        if queued.values.len() >= queued.capacity {
            return Err(E2BIG);
        }
        queued.values.push_back(*given(&value));
        Ok(())
    }

    pub(crate) fn pop(&self) -> Result<Option<T>, i32> {
        cpu::pause();
        let value = self.queued().borrow_mut().values.pop_front();
        cpu::pause();
        Ok(value)
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.queued().borrow().values.len()
    }
}

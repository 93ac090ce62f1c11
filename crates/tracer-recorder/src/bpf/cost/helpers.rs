//! What a program asks the kernel for: memory, maps and helpers, as far as the programs use them.

use std::collections::{BTreeMap, VecDeque};

use aya_obj::{Map, generated::bpf_map_type};

use super::interpreter::{CODE, Run};

/// A map. Its values lie in memory.
struct FakeMap {
    name: String,
    kind: u32,
    key: usize,
    value: usize,
    most: u64,
    /// Where the first element of an array lies.
    first: u64,
    entries: BTreeMap<Vec<u8>, u64>,
    queue: VecDeque<Vec<u8>>,
}

/// Memory, maps, and who is running.
pub(super) struct Kernel {
    /// Each at its number times 2^32; the first one is not there.
    regions: Vec<Vec<u8>>,
    maps: Vec<FakeMap>,
    stacks: Vec<u64>,
    pub(super) task: u64,
    pub(super) cgroup: u64,
    pub(super) pid_tgid: u64,
    /// Events that were sent to user space.
    pub(super) events: u32,
}

const STACK: usize = 512;

impl Kernel {
    pub(super) fn new() -> Self {
        let mut this = Self {
            regions: vec![Vec::new()],
            maps: Vec::new(),
            stacks: Vec::new(),
            task: 0,
            cgroup: 0,
            pid_tgid: 0,
            events: 0,
        };
        for _ in 0..8 {
            let stack = this.allocate(STACK) + STACK as u64;
            this.stacks.push(stack);
        }
        this
    }

    /// Memory that is all 0.
    pub(super) fn allocate(&mut self, bytes: usize) -> u64 {
        self.regions.push(vec![0; bytes]);
        (self.regions.len() as u64 - 1) << 32
    }

    pub(super) fn stack(&self, depth: usize) -> u64 {
        self.stacks[depth]
    }

    fn bytes(&mut self, address: u64, len: usize) -> Option<&mut [u8]> {
        let from = (address & 0xffff_ffff) as usize;
        self.regions
            .get_mut((address >> 32) as usize)?
            .get_mut(from..from + len)
    }

    pub(super) fn copy(&mut self, address: u64, len: usize) -> Option<Vec<u8>> {
        self.bytes(address, len).map(|bytes| bytes.to_vec())
    }

    pub(super) fn paste(&mut self, address: u64, bytes: &[u8]) {
        self.bytes(address, bytes.len())
            .unwrap_or_else(|| panic!("a write at {address:#x}"))
            .copy_from_slice(bytes);
    }

    pub(super) fn read(&mut self, address: u64, len: usize) -> u64 {
        let mut word = [0; 8];
        let bytes = self
            .copy(address, len)
            .unwrap_or_else(|| panic!("a read at {address:#x}"));
        word[..len].copy_from_slice(&bytes);
        u64::from_le_bytes(word)
    }

    pub(super) fn write(&mut self, address: u64, len: usize, value: u64) {
        self.paste(address, &value.to_le_bytes()[..len]);
    }

    /// Makes a map; programs know it by the number that is returned.
    pub(super) fn make(&mut self, name: &str, map: &Map) -> i32 {
        let value = map.value_size() as usize;
        let first = if is_array(map.map_type()) {
            let first = self.allocate(value.next_multiple_of(8) * map.max_entries() as usize);
            self.paste(first, map.data());
            first
        } else {
            0
        };
        self.maps.push(FakeMap {
            name: name.to_owned(),
            kind: map.map_type(),
            key: map.key_size() as usize,
            value,
            most: u64::from(map.max_entries()),
            first,
            entries: BTreeMap::new(),
            queue: VecDeque::new(),
        });
        i32::try_from(self.maps.len()).unwrap()
    }

    fn map(&mut self, number: u64) -> &mut FakeMap {
        &mut self.maps[number as usize - 1]
    }

    pub(super) fn number_of(&self, name: &str) -> u64 {
        self.maps.iter().position(|map| map.name == name).unwrap() as u64 + 1
    }

    pub(super) fn value_of_map(&mut self, number: u64) -> u64 {
        self.map(number).first
    }

    /// Sets an element, as user space does.
    pub(super) fn set(&mut self, map: &str, key: &[u8], value: &[u8]) {
        let number = self.number_of(map);
        self.update(number, key, value);
    }

    pub(super) fn push(&mut self, map: &str, value: &[u8]) {
        let number = self.number_of(map);
        self.map(number).queue.push_back(value.to_vec());
    }

    fn find(&mut self, number: u64, key: &[u8]) -> u64 {
        let map = self.map(number);
        if is_array(map.kind) {
            let index = u64::from(u32::from_le_bytes(key.try_into().unwrap()));
            let step = map.value.next_multiple_of(8) as u64;
            return if index < map.most {
                map.first + index * step
            } else {
                0
            };
        }
        map.entries.get(key).copied().unwrap_or(0)
    }

    fn update(&mut self, number: u64, key: &[u8], value: &[u8]) {
        let mut place = self.find(number, key);
        if place == 0 {
            place = self.allocate(value.len());
            self.map(number).entries.insert(key.to_vec(), place);
        }
        self.paste(place, value);
    }

    fn text(&mut self, into: u64, most: u64, from: u64) -> u64 {
        let mut len = 0;
        while len < most {
            let byte = self.read(from + len, 1);
            self.write(into + len, 1, byte);
            len += 1;
            if byte == 0 {
                break;
            }
        }
        len
    }
}

fn is_array(kind: u32) -> bool {
    kind == bpf_map_type::BPF_MAP_TYPE_ARRAY as u32
        || kind == bpf_map_type::BPF_MAP_TYPE_PERCPU_ARRAY as u32
}

impl Run<'_> {
    /// Calls a helper, by its number (include/uapi/linux/bpf.h, `___BPF_FUNC_MAPPER`).
    pub(super) fn helper(&mut self, number: i32, [a, b, c, d, _]: [u64; 5]) -> u64 {
        if number == 1 && is_array(self.kernel.map(a).kind) {
            self.cost.arrays += 1;
        } else {
            self.cost.helpers += 1;
        }
        let fault = 14_u64.wrapping_neg();
        match number {
            // map_lookup_elem, map_update_elem, map_delete_elem
            1 => {
                let key = self.key(a, b);
                self.kernel.find(a, &key)
            }
            2 => {
                let (key, len) = (self.key(a, b), self.kernel.map(a).value);
                let value = self.kernel.copy(c, len).unwrap();
                if d == 1 && self.kernel.find(a, &key) != 0 {
                    return 17_u64.wrapping_neg();
                }
                self.kernel.update(a, &key, &value);
                0
            }
            3 => {
                let key = self.key(a, b);
                let was = self.kernel.map(a).entries.remove(&key);
                was.map_or(2_u64.wrapping_neg(), |_| 0)
            }
            // ktime_get_ns, get_current_pid_tgid, get_current_comm, get_current_task,
            // get_current_cgroup_id
            5 => 1,
            14 => self.kernel.pid_tgid,
            16 => 0,
            35 => self.kernel.task,
            80 => self.kernel.cgroup,
            // map_push_elem, map_pop_elem
            87 => {
                let len = self.kernel.map(a).value;
                let value = self.kernel.copy(b, len).unwrap();
                self.kernel.map(a).queue.push_back(value);
                0
            }
            88 => match self.kernel.map(a).queue.pop_front() {
                Some(value) => {
                    self.kernel.paste(b, &value);
                    0
                }
                None => 2_u64.wrapping_neg(),
            },
            // probe_read_user, probe_read_kernel: what cannot be read is 0.
            112 | 113 => match self.kernel.copy(c, b as usize) {
                Some(bytes) => {
                    self.kernel.paste(a, &bytes);
                    0
                }
                None => {
                    self.kernel.paste(a, &vec![0; b as usize]);
                    fault
                }
            },
            // probe_read_user_str, probe_read_kernel_str
            114 | 115 => self.kernel.text(a, b, c),
            // ringbuf_output, ringbuf_reserve, ringbuf_submit, ringbuf_query
            130 | 132 => {
                self.kernel.events += 1;
                0
            }
            131 => self.kernel.allocate(b as usize),
            134 => 0,
            // bpf_loop
            181 => {
                let callback = usize::try_from(b - CODE).unwrap();
                (0..a)
                    .find(|turn| self.function(callback, [*turn, c, 0, 0, 0]) != 0)
                    .map_or(a, |turn| turn + 1)
            }
            other => panic!("helper {other} is not known here"),
        }
    }

    fn key(&mut self, map: u64, address: u64) -> Vec<u8> {
        let len = self.kernel.map(map).key;
        self.kernel.copy(address, len).unwrap()
    }
}

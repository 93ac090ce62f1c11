//! What is known of one container of a sandbox: its processes, and what each executable did. All of it is
//! bounded, since a sandbox that was taken over may send what it likes.

use std::collections::{HashMap, HashSet};

use super::{bundle::Bundle, room::Room};
use jiff::Timestamp;
use syscalls::{
    Abi,
    arguments::{self, RECORDABLE_ARGUMENTS},
};
use tracer_core::recording::{
    Executable, FirstSeen, Observation, Observations, ObservedArguments, Phase, SyscallId,
};

/// Most executables that are told apart; more are filed as unknown, and counted.
const MAX_EXECUTABLES: usize = 1024;

/// Most combinations of arguments of one call; a recording keeps no more.
const MAX_VALUES: usize = 64;

/// What a combination takes in memory, here and in the observations, in bytes.
const VALUES_BYTES: usize = 2 * size_of::<[u64; RECORDABLE_ARGUMENTS]>();

/// Longest path or command that is kept, in bytes: PATH_MAX (include/uapi/linux/limits.h).
const MAX_TEXT: usize = 4096;

/// Most words of a command that are kept.
const MAX_WORDS: usize = 256;

/// A system call, as its message says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) process: i32,
    pub(super) thread: i32,
    pub(super) number: u32,
    pub(super) args: [u64; 6],
    /// Since the recording began.
    pub(super) after_ns: u64,
}

/// A process of a container.
#[derive(Clone, Copy, Debug)]
struct Process {
    /// Index into `executables`.
    executable: usize,
    phase: Phase,
    /// Whether a message of its last exec came.
    is_exec_known: bool,
}

/// Who makes a call: executable and phase.
type Caller = (usize, Phase);

/// One container.
#[derive(Debug)]
pub(super) struct ContainerFacts {
    pub(super) id: String,
    /// What its files say.
    pub(super) bundle: Option<Bundle>,
    pub(super) began: Timestamp,
    pub(super) ended: Option<Timestamp>,
    /// Whether it was reported from its first call.
    pub(super) start_observed: bool,
    /// Whether its first process was seen to end.
    pub(super) has_exited: bool,
    /// Its command, as its start told it.
    pub(super) command: Vec<String>,
    pub(super) calls: u64,
    /// Executables that were not told apart.
    pub(super) lost_executables: u64,
    /// Calls that there was no room for.
    pub(super) lost_calls: u64,
    pub(super) observations: Observations,
    /// What may still be kept.
    room: Room,
    executables: Vec<Executable>,
    numbers: HashMap<Executable, usize>,
    processes: HashMap<i32, Process>,
    /// The first process.
    init: Option<i32>,
    seen: HashSet<(Caller, u32)>,
    /// `None` once there were too many.
    values: HashMap<(Caller, u32), Option<HashSet<[u64; RECORDABLE_ARGUMENTS]>>>,
}

impl ContainerFacts {
    pub(super) fn new(
        id: String,
        bundle: Option<Bundle>,
        began: Timestamp,
        start_observed: bool,
        room: Room,
    ) -> Self {
        Self {
            id,
            bundle,
            began,
            ended: None,
            start_observed,
            has_exited: false,
            command: Vec::new(),
            calls: 0,
            lost_executables: 0,
            lost_calls: 0,
            observations: Observations::default(),
            room,
            executables: vec![Executable::Unknown],
            numbers: HashMap::from([(Executable::Unknown, 0)]),
            processes: HashMap::new(),
            init: None,
            seen: HashSet::new(),
            values: HashMap::new(),
        }
    }

    /// It starts with this command, in this directory. Its program is filed as its file where that can be
    /// found, as it is called where not.
    pub(super) fn start(&mut self, process: i32, command: &[Vec<u8>], cwd: &[u8]) {
        let name = command.first();
        let found = || self.bundle.as_ref()?.program(name?, cwd);
        let executable = match (found(), name) {
            (Some(path), _) => path_of(&path),
            (None, Some(name)) => path_of(name),
            (None, None) => Executable::Unknown,
        };
        self.command = command
            .iter()
            .take(MAX_WORDS)
            .map(|word| text(word))
            .take_while(|word| self.room.take_bytes(word.len()))
            .collect();
        self.init = Some(process);
        let executable = self.number(executable);
        self.insert(process, executable, Phase::Run, true);
    }

    /// A process that ran before the recording began. The first one is the container's own.
    pub(super) fn know(&mut self, process: i32, executable: Executable) {
        self.init.get_or_insert(process);
        let executable = self.number(executable);
        self.insert(process, executable, Phase::Run, true);
    }

    /// A process made another one, or a thread of its own.
    pub(super) fn forked(&mut self, parent: i32, child: i32) {
        if parent != child {
            let Process {
                executable, phase, ..
            } = self.process(parent);
            self.insert(child, executable, phase, true);
        }
    }

    /// A process executes a program.
    pub(super) fn executed(&mut self, process: i32, path: &[u8]) {
        let executable = self.number(path_of(path));
        let phase = self.process(process).phase;
        self.insert(process, executable, phase, true);
    }

    /// An exec returned. Without a message of it, the program is not known.
    pub(super) fn exec_returned(&mut self, process: i32, succeeded: bool) {
        let Process {
            phase,
            is_exec_known,
            ..
        } = self.process(process);
        if succeeded && !is_exec_known {
            self.lost_executables += 1;
            self.insert(process, 0, phase, true);
        }
    }

    /// A process is gone, and its number may be another's later.
    pub(super) fn process_ended(&mut self, process: i32) {
        if self.processes.remove(&process).is_some() {
            self.room.give_process_back();
        }
        self.task_ended(process);
    }

    /// A task is gone.
    pub(super) fn task_ended(&mut self, thread: i32) {
        self.has_exited |= self.init == Some(thread);
    }

    /// A call. Returns whether it or its arguments are new.
    pub(super) fn called(&mut self, native: Abi, call: &Call, is_exec: bool) -> bool {
        self.calls += 1;
        let process = self.process(call.process);
        if is_exec {
            let changed = Process {
                is_exec_known: false,
                ..process
            };
            self.store(call.process, changed);
        }
        let caller = (process.executable, process.phase);
        let Some((caller, is_new)) = self.place(caller, call.number) else {
            self.lost_calls += 1;
            return false;
        };
        if is_new {
            self.observe(native, call, caller);
        }
        self.give_values(native, call, caller) || is_new
    }

    /// Under whom a call is filed, and whether it is new there: under an unknown program, when there is no room
    /// for it under its own, and nowhere when there is no room at all.
    fn place(&mut self, caller: Caller, number: u32) -> Option<(Caller, bool)> {
        if self.seen.contains(&(caller, number)) {
            return Some((caller, false));
        }
        let (executable, phase) = caller;
        let known = self.executables.get(executable);
        // The observations have it with the call, and again with the call's arguments.
        let bytes = 2 * known.map_or(0, length);
        if self.room.take_pair(bytes) {
            self.seen.insert((caller, number));
            return Some((caller, true));
        }
        let unknown = (0, phase);
        let is_new = !self.seen.contains(&(unknown, number));
        if is_new {
            if !self.room.take_pair(0) {
                return None;
            }
            self.seen.insert((unknown, number));
        }
        self.lost_executables += 1;
        Some((unknown, is_new))
    }

    fn observe(&mut self, native: Abi, call: &Call, (executable, phase): Caller) {
        let executable = self.executable(executable);
        let first = FirstSeen {
            after_ns: call.after_ns,
            pid: call.process.cast_unsigned(),
            tid: call.thread.cast_unsigned(),
            comm: comm(&executable),
            args: call.args,
        };
        self.observations.add(Observation {
            call: id(native, call.number),
            instance: 0,
            phase,
            executable,
            blocked: None,
            first: Some(first),
        });
    }

    /// Keeps what a call was given, where that is recorded. Returns whether it is new.
    fn give_values(&mut self, native: Abi, call: &Call, caller: Caller) -> bool {
        let name = native.syscall_name(call.number);
        let Some(recorded) = name.and_then(|name| arguments::recorded(native, name)) else {
            return false;
        };
        // What a pointer leads to is not told.
        let values = (!recorded.behind_pointer).then(|| {
            let mut values = [0; RECORDABLE_ARGUMENTS];
            for argument in recorded.arguments {
                let index = argument.index as usize;
                if let (Some(value), Some(given)) = (values.get_mut(index), call.args.get(index)) {
                    *value = given & argument.mask;
                }
            }
            values
        });
        let known = self
            .values
            .entry((caller, call.number))
            .or_insert_with(|| Some(HashSet::new()));
        let Some(set) = known else {
            return false;
        };
        let values = values.filter(|values| {
            let has_room = || set.len() < MAX_VALUES && self.room.take_bytes(VALUES_BYTES);
            set.contains(values) || has_room()
        });
        match values {
            Some(values) if !set.insert(values) => return false,
            Some(_) => {}
            None => *known = None,
        }
        let (executable, phase) = caller;
        let executable = self.executable(executable);
        self.observations.add_arguments(ObservedArguments {
            call: id(native, call.number),
            instance: 0,
            phase,
            executable,
            values,
        })
    }

    fn executable(&self, number: usize) -> Executable {
        let known = self.executables.get(number);
        known.cloned().unwrap_or(Executable::Unknown)
    }

    /// The number of an executable; that of the unknown one when there are too many.
    fn number(&mut self, executable: Executable) -> usize {
        if let Some(number) = self.numbers.get(&executable) {
            return *number;
        }
        // It is kept twice: by its number and to be looked up.
        let has_room = self.executables.len() < MAX_EXECUTABLES
            && self.room.take_bytes(2 * length(&executable));
        if !has_room {
            self.lost_executables += 1;
            return 0;
        }
        let number = self.executables.len();
        self.executables.push(executable.clone());
        self.numbers.insert(executable, number);
        number
    }

    /// A process. One that nothing told of came in from outside, by `runsc exec`, if all was told from the
    /// start; the first one of a container whose start was not told is the container's own.
    fn process(&mut self, number: i32) -> Process {
        if let Some(process) = self.processes.get(&number) {
            return *process;
        }
        // Of one that ran already, any process may speak first.
        let is_first = self.start_observed && self.init.is_none();
        if is_first {
            self.init = Some(number);
        }
        let phase = if self.start_observed && !is_first {
            Phase::Exec
        } else {
            Phase::Run
        };
        self.insert(number, 0, phase, true);
        Process {
            executable: 0,
            phase,
            is_exec_known: true,
        }
    }

    fn insert(&mut self, number: i32, executable: usize, phase: Phase, is_exec_known: bool) {
        let process = Process {
            executable,
            phase,
            is_exec_known,
        };
        self.store(number, process);
    }

    fn store(&mut self, number: i32, process: Process) {
        if self.processes.contains_key(&number) || self.room.take_process() {
            self.processes.insert(number, process);
        } else {
            self.lost_executables += 1;
        }
    }
}

const fn id(native: Abi, nr: u32) -> SyscallId {
    SyscallId { abi: native, nr }
}

/// Text of the guest's: bytes that are no UTF-8 are escaped, and it is cut.
pub(super) fn text(bytes: &[u8]) -> String {
    let kept = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    crate::record::escaped_text(kept)
}

/// A path of the guest's.
pub(super) fn path_of(bytes: &[u8]) -> Executable {
    match bytes.len() {
        0 => Executable::Unknown,
        length if length > MAX_TEXT => Executable::Truncated(text(bytes)),
        _ => Executable::Path(text(bytes)),
    }
}

/// How long the text of an executable is, in bytes.
const fn length(executable: &Executable) -> usize {
    match executable {
        Executable::Path(text) | Executable::Truncated(text) => text.len(),
        Executable::Launcher | Executable::Unknown => 0,
    }
}

/// What the kernel calls a thread that has not named itself: the file's name, cut to 15 bytes
/// (TASK_COMM_LEN, include/linux/sched.h). The name that a thread gives itself is not asked for.
fn comm(executable: &Executable) -> String {
    let Executable::Path(path) = executable else {
        return String::new();
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut end = name.len().min(15);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default().to_owned()
}

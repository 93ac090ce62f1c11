//! From packets to what is known of each container. It touches nothing: packets go in, recordings come out.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use syscalls::{Abi, Machine};
use tracer_core::recording::Losses;

use super::{
    bundle::Bundle,
    container::{Call, ContainerFacts, path_of},
    room::{Room, SharedRoom},
    session::{Points, exec_numbers},
    wire::{self, Context, Message},
};

/// Most containers, of all sandboxes, that are told apart.
const MAX_CONTAINERS: usize = 4096;

/// Names a connection: a sandbox.
pub(super) type SandboxNumber = u32;

/// How messages are taken.
pub(super) struct FactsSettings {
    /// The calling convention of guests.
    pub(super) native: Abi,
    /// The calls that are reported.
    pub(super) points: Points,
    /// Whether sandboxes report from their first call.
    pub(super) from_start: bool,
    /// The only container to record; `None` for all.
    pub(super) wanted: Option<String>,
    /// Finds a container's bundle when it starts: it is gone when the container is.
    pub(super) find_bundle: BundleFinder,
}

impl fmt::Debug for FactsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("FactsSettings");
        shown.field("native", &self.native);
        shown.field("wanted", &self.wanted).finish_non_exhaustive()
    }
}

/// Finds the bundle of the container with an id.
pub(super) type BundleFinder = Box<dyn Fn(&str) -> Option<Bundle> + Send + Sync>;

impl FactsSettings {
    /// For guests of this machine.
    pub(super) fn new(points: Points, find_bundle: BundleFinder) -> Self {
        Self {
            native: Machine::this().map_or(Abi::X86_64, |machine| machine.native),
            points,
            from_start: true,
            wanted: None,
            find_bundle,
        }
    }
}

/// What a sandbox says of its losses.
#[derive(Debug)]
struct Sandbox {
    /// The last count of dropped messages.
    last_dropped: u32,
    /// All that were dropped, and those that could not be read.
    lost: u64,
    is_connected: bool,
    /// What may be kept of it.
    room: Room,
}

impl Sandbox {
    fn new(shared: &SharedRoom) -> Self {
        Self {
            last_dropped: 0,
            lost: 0,
            is_connected: false,
            room: shared.of_sandbox(),
        }
    }

    /// Takes a running count, which wraps around. Threads send theirs in any order.
    fn count_dropped(&mut self, dropped: u32) {
        let more = dropped.wrapping_sub(self.last_dropped);
        if more < 1 << 31 {
            self.last_dropped = dropped;
            self.lost = self.lost.saturating_add(more.into());
        }
    }
}

/// What is known so far.
#[derive(Debug)]
pub(super) struct Facts {
    settings: FactsSettings,
    execs: Vec<u32>,
    began: Timestamp,
    sandboxes: BTreeMap<SandboxNumber, Sandbox>,
    containers: BTreeMap<(SandboxNumber, String), ContainerFacts>,
    /// The last sandbox that each container was filed under.
    owners: HashMap<String, SandboxNumber>,
    /// Messages that named a container of another sandbox.
    foreign: u64,
    room: SharedRoom,
    last_new: Option<Instant>,
    /// When calls came that were new, within the last minute.
    recent: VecDeque<Instant>,
}

impl Facts {
    pub(super) fn new(settings: FactsSettings) -> Self {
        Self {
            execs: exec_numbers(settings.native),
            settings,
            began: Timestamp::now(),
            sandboxes: BTreeMap::new(),
            containers: BTreeMap::new(),
            owners: HashMap::new(),
            foreign: 0,
            room: SharedRoom::default(),
            last_new: None,
            recent: VecDeque::new(),
        }
    }

    fn sandbox(&mut self, number: SandboxNumber) -> &mut Sandbox {
        let known = self.sandboxes.entry(number);
        known.or_insert_with(|| Sandbox::new(&self.room))
    }

    /// A sandbox has connected.
    pub(super) fn connected(&mut self, sandbox: SandboxNumber) {
        self.sandbox(sandbox).is_connected = true;
    }

    /// A sandbox is gone, with its containers.
    pub(super) fn disconnected(&mut self, sandbox: SandboxNumber) {
        self.sandbox(sandbox).is_connected = false;
        let now = Timestamp::now();
        let its = self.containers.range_mut((sandbox, String::new())..);
        for (_, container) in its.take_while(|((of, _), _)| *of == sandbox) {
            container.ended.get_or_insert(now);
        }
    }

    /// A packet was longer than there was room for.
    pub(super) fn lost(&mut self, sandbox: SandboxNumber) {
        let lost = &mut self.sandbox(sandbox).lost;
        *lost = lost.saturating_add(1);
    }

    /// A process that ran before the recording began.
    pub(super) fn know(&mut self, sandbox: SandboxNumber, id: &str, process: i32, path: &str) {
        if let Some(container) = self.container(sandbox, id.as_bytes()) {
            container.know(process, path_of(path.as_bytes()));
        }
    }

    /// Takes a packet in.
    pub(super) fn take(&mut self, sandbox: SandboxNumber, packet: &[u8]) {
        let Ok(packet) = wire::decode(packet) else {
            return self.lost(sandbox);
        };
        self.sandbox(sandbox).count_dropped(packet.dropped);
        if self.take_message(sandbox, packet.message).is_none() {
            self.lost(sandbox);
        }
    }

    /// `None` for a message that says too little to be filed.
    fn take_message(&mut self, sandbox: SandboxNumber, message: Message) -> Option<()> {
        match message {
            Message::ContainerStart(start) => {
                let process = start.context.as_ref()?.thread_group_id;
                if self.is_wanted(&start.id) {
                    self.container(sandbox, &start.id)?
                        .start(process, &start.args, &start.cwd);
                }
            }
            Message::Clone(clone) => {
                if let Some((container, context)) = self.context(sandbox, clone.context)? {
                    container.forked(context.thread_group_id, clone.created_thread_group_id);
                }
            }
            Message::Exec(exec) => {
                if let Some((container, context)) = self.context(sandbox, exec.context)? {
                    container.executed(context.thread_group_id, &exec.binary_path);
                }
            }
            Message::ProcessExit(exit) => {
                if let Some((container, context)) = self.context(sandbox, exit.context)? {
                    container.process_ended(context.thread_group_id);
                }
            }
            Message::TaskExit(exit) => {
                if let Some((container, context)) = self.context(sandbox, exit.context)? {
                    container.task_ended(context.thread_id);
                }
            }
            Message::Syscall(call) => return self.call(sandbox, call),
            Message::Other => {}
        }
        Some(())
    }

    fn call(&mut self, sandbox: SandboxNumber, call: wire::Syscall) -> Option<()> {
        let number = u32::try_from(call.number).ok()?;
        // Only these were asked for.
        if !self.settings.points.contains(number) {
            return None;
        }
        let args = call.args();
        let is_exec = self.execs.contains(&number);
        let (native, began) = (self.settings.native, self.began);
        let Some((container, context)) = self.context(sandbox, call.context)? else {
            return Some(());
        };
        if let Some(result) = call.exit {
            container.exec_returned(context.thread_group_id, is_exec && result.errno == 0);
            return Some(());
        }
        let since = i128::from(context.time_ns).saturating_sub(began.as_nanosecond());
        let call = Call {
            process: context.thread_group_id,
            thread: context.thread_id,
            number,
            args,
            after_ns: u64::try_from(since).unwrap_or_default(),
        };
        let before = container.observations.len();
        if container.called(native, &call, is_exec) {
            let is_new_call = container.observations.len() > before;
            let now = Instant::now();
            self.last_new = Some(now);
            if is_new_call {
                self.recent.push_back(now);
            }
        }
        Some(())
    }

    fn is_wanted(&self, id: &[u8]) -> bool {
        let wanted = self.settings.wanted.as_ref();
        wanted.is_none_or(|wanted| wanted.as_bytes() == id)
    }

    /// The container that a context names: `None` when there is no context or no room,
    /// `Some(None)` when it is not wanted.
    fn context(
        &mut self,
        sandbox: SandboxNumber,
        context: Option<Context>,
    ) -> Option<Option<(&mut ContainerFacts, Context)>> {
        let context = context?;
        // Tasks of the sandbox itself have no container.
        if context.container_id.is_empty() || !self.is_wanted(&context.container_id) {
            return Some(None);
        }
        let container = self.container(sandbox, &context.container_id)?;
        Some(Some((container, context)))
    }

    /// Whether another sandbox that is still connected reported this container first. One that was taken over
    /// must not speak for the containers of others.
    fn is_foreign(&self, sandbox: SandboxNumber, id: &str) -> bool {
        let owner = self.owners.get(id).filter(|owner| **owner != sandbox);
        owner
            .and_then(|owner| self.sandboxes.get(owner))
            .is_some_and(|owner| owner.is_connected)
    }

    fn container(&mut self, sandbox: SandboxNumber, id: &[u8]) -> Option<&mut ContainerFacts> {
        // What is no id is nobody's container.
        let id = std::str::from_utf8(id).ok()?;
        let id = crate::container::Id::new(id).ok()?.as_str().to_owned();
        if self.is_foreign(sandbox, &id) {
            self.foreign = self.foreign.saturating_add(1);
            return None;
        }
        let key = (sandbox, id);
        if !self.containers.contains_key(&key) {
            if self.containers.len() >= MAX_CONTAINERS {
                return None;
            }
            let id = key.1.clone();
            self.owners.insert(id.clone(), sandbox);
            let bundle = (self.settings.find_bundle)(&id);
            let room = self.sandbox(sandbox).room.clone();
            let from_start = self.settings.from_start;
            let new = ContainerFacts::new(id, bundle, Timestamp::now(), from_start, room);
            self.containers.insert(key.clone(), new);
        }
        self.containers.get_mut(&key)
    }

    /// The containers that were seen, each with what its sandbox lost and whether that is still connected.
    pub(super) fn containers(&self) -> impl Iterator<Item = (&ContainerFacts, Losses, bool)> {
        self.containers.iter().map(|((sandbox, _), container)| {
            let of = self.sandboxes.get(sandbox);
            let losses = Losses {
                messages: of.map_or(0, |it| it.lost),
                executables: container.lost_executables,
                calls: container.lost_calls,
                ..Losses::default()
            };
            (container, losses, of.is_some_and(|it| it.is_connected))
        })
    }

    /// What all sandboxes lost.
    pub(super) fn losses(&self) -> Losses {
        Losses {
            messages: self.sandboxes.values().map(|it| it.lost).sum(),
            ..Losses::default()
        }
    }

    /// How many messages named a container that another sandbox had reported first. They are among the lost
    /// ones of the sandbox that sent them.
    pub(super) const fn foreign(&self) -> u64 {
        self.foreign
    }

    /// When something new was last seen.
    pub(super) const fn last_new(&self) -> Option<Instant> {
        self.last_new
    }

    /// How many calls came in the last minute that were new to their container.
    pub(super) fn new_in_last_minute(&mut self) -> usize {
        let is_old = |at: &Instant| at.elapsed() >= Duration::from_secs(60);
        while self.recent.pop_front_if(|at| is_old(at)).is_some() {}
        self.recent.len()
    }

    pub(super) const fn settings(&self) -> &FactsSettings {
        &self.settings
    }
}

#[cfg(test)]
mod tests;

//! A deterministic simulation of the recorder: all of its user side runs as it is, against a model of the
//! kernel side, a machine and its runtimes, under random schedules. Every schedule comes of a seed.
//!
//! [`schedule`] makes what happens, [`world`] lets it happen, [`programs`] is the kernel side that sees it,
//! [`facts`] keeps what really happened, [`fake`] puts all this behind the recorder's traits, and
//! [`check`] holds the recordings against the facts.
//!
//! The kernel side is this model, or the programs' own source: [`source`] lets it see the same machine,
//! [`source_kernel`] answers the recorder from its maps, and [`source_tests`] holds what is recorded of it
//! against the same facts.

mod check;
mod check_accesses;
mod facts;
mod fake;
mod programs;
mod rows;
mod runtimes;
mod schedule;
mod source;
mod source_kernel;
mod source_tests;
mod supervised;
mod tests;
mod world;

use std::{cell::RefCell, ffi::OsStr, path::Path, rc::Rc, time::Instant};

use syscalls::{Abi, Machine};
use tracer_abi::EXE_LAUNCHER;

use self::{
    fake::{FakeKernel, FakeLookup, FakeSystem, Shared, found},
    runtimes::name_of,
    schedule::{Action, Limits, Mode, Op, Schedule, Use},
    source::SourceMachine,
    source_kernel::SourceKernel,
    world::World,
};
use super::{
    Ended, FinishedWorkload, InstanceInfo, Progress, ProgressListener, RecordError, Selection,
    WorkloadPart,
    container_tracker::ContainerTracker,
    kernel::Kernel,
    naming::Naming,
    recorder::{Recorder, Until},
    session::Session,
};
use crate::{bpf::CgroupKind, container::Selector};
use tracer_core::recording::{Recording, Source, Workload};

/// The machine whose calls are recorded.
pub(super) const MACHINE: Machine = Machine {
    native: Abi::X86_64,
    compat: Some(Abi::I386),
};

/// What is different about a run, and must make no difference to the recordings.
#[derive(Clone, Copy, Debug, Default)]
struct Variation {
    /// Events come in another order.
    shuffle: Option<u64>,
    /// The marks are read back at each look.
    checkpoints: bool,
    /// At each checkpoint, what has ended is handed over and forgotten. This is decided of what nobody named.
    supervised: Option<Selection>,
    /// The kernel side is the programs' own source.
    source: bool,
}

/// What a run gave.
struct Outcome {
    recordings: Vec<Recording>,
    notes: Vec<String>,
    world: World,
}

/// Keeps what a user would be told.
#[derive(Default)]
struct Notes(Vec<String>);

impl ProgressListener for Notes {
    fn began(&mut self, _: &str) {}
    fn note(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
    fn ends(&mut self, _: &str) {}
    fn progress(&mut self, _: &Progress) {}
}

type FakeRecorder<K> = Recorder<K, FakeSystem, FakeLookup>;

/// A recorder and the machine that it records.
struct Run<K: Kernel> {
    world: Shared,
    recorder: FakeRecorder<K>,
    notes: Notes,
    during: Vec<(u32, Action)>,
    checkpoints: bool,
    /// Whether so much time passes before what was recorded is handed over that no name is waited for any more.
    gives_up: bool,
    /// What was handed over for good.
    handed: Vec<Recording>,
    /// A recorder that was refused the first cgroup records nothing.
    is_refused: bool,
}

/// Runs a schedule.
fn run(schedule: &Schedule, variation: Variation) -> Outcome {
    if variation.source {
        run_on(schedule, variation, SourceKernel::new)
    } else {
        run_on(schedule, variation, FakeKernel::new)
    }
}

fn run_on<K: Kernel>(
    schedule: &Schedule,
    variation: Variation,
    kernel: impl FnOnce(Shared, Option<u64>) -> K,
) -> Outcome {
    let mut run = Run::begin(schedule, variation, kernel);
    for op in &schedule.ops {
        if run.is_refused || run.step(*op).unwrap() {
            break;
        }
    }
    run.finish(schedule.mode)
}

impl<K: Kernel> Run<K> {
    fn begin(
        schedule: &Schedule,
        variation: Variation,
        kernel: impl FnOnce(Shared, Option<u64>) -> K,
    ) -> Self {
        let (discover, wanted) = match schedule.mode {
            Mode::Command | Mode::Running => (false, None),
            Mode::All => (true, None),
            Mode::Named => (true, Some(name_of(0))),
        };
        let mut world = World::new(schedule.limits, discover, wanted.clone());
        world.source = variation.source.then(|| SourceMachine::new(discover));
        let world = Rc::new(RefCell::new(world));
        let kernel = kernel(world.clone(), variation.shuffle);
        let system = FakeSystem::new(world.clone(), Instant::now());
        let root = Path::new("/sys/fs/cgroup");
        let began_ns = world.borrow().now_ns;
        world.borrow_mut().kernel.began_ns = began_ns;
        let session = Session::with(kernel, system, MACHINE, root);
        let selectors = match (discover, wanted) {
            (false, _) => Vec::new(),
            (true, None) => vec![Selector::All],
            (true, Some(name)) => vec![Selector::container(&name).unwrap()],
        };
        let tracker = ContainerTracker::new(selectors, FakeLookup(world.clone()), session.now());
        let naming = Naming {
            given: None,
            clean: |text: &OsStr| text.to_str().unwrap().replace('/', "_"),
        };
        let mut recorder = Recorder::new(session, tracker, naming, Until::Asked);
        if let Some(unnamed) = variation.supervised {
            recorder = recorder.supervised(Box::new(supervised::All { unnamed }));
        }
        let mut run = Self {
            recorder,
            world,
            notes: Notes::default(),
            during: Vec::new(),
            checkpoints: variation.checkpoints,
            gives_up: variation.supervised == Some(Selection::Open),
            handed: Vec::new(),
            is_refused: false,
        };
        run.watch_first(schedule);
        run
    }

    /// Records the cgroup of a command, or one that runs already.
    fn watch_first(&mut self, schedule: &Schedule) {
        if matches!(schedule.mode, Mode::All | Mode::Named) {
            return;
        }
        let make = Action::Make(0, None, Use::Other);
        self.world.borrow_mut().act(make);
        let cgroup = found(&self.world.borrow().dirs[&0]);
        let watched = if schedule.mode == Mode::Command {
            let info = InstanceInfo {
                source: Source::Command,
                start_observed: true,
                container: None,
            };
            let session = &mut self.recorder.session;
            let watched = session.watch(&cgroup, info, EXE_LAUNCHER, CgroupKind::Plain);
            watched.map(|number| session.want(number, None))
        } else {
            // Somebody was there before.
            for action in [
                Action::Enter(900, 0),
                Action::Exec(900, 2, false),
                Action::Enter(901, 0),
            ] {
                self.world.borrow_mut().act(action);
            }
            self.recorder.watch(cgroup, None, &mut self.notes)
        };
        match watched {
            Err(RecordError::TooManyCgroups) => self.is_refused = true,
            watched => watched.unwrap(),
        }
    }

    /// Returns whether the recording is over.
    fn step(&mut self, op: Op) -> Result<bool, RecordError> {
        match op {
            Op::Do(action) => self.world.borrow_mut().act(action),
            Op::During(call, action) => self.during.push((call, action)),
            Op::Look(ms) => {
                self.world.borrow_mut().advance(ms);
                return self.look(self.checkpoints);
            }
            Op::Checkpoint => return self.look(true),
        }
        Ok(false)
    }

    /// What the recording loop does when it wakes.
    fn look(&mut self, is_checkpoint: bool) -> Result<bool, RecordError> {
        let during = std::mem::take(&mut self.during);
        self.world.borrow_mut().begin_look(during);
        if is_checkpoint {
            self.recorder.session.reconcile()?;
        }
        self.recorder.session.drain()?;
        if self.recorder.take_in(&mut self.notes)? {
            let found = self.world.borrow().running();
            match self.recorder.watch_unknown(found, &mut self.notes) {
                Ok(()) | Err(RecordError::TooManyCgroups) => {}
                Err(error) => return Err(error),
            }
        }
        if is_checkpoint {
            self.hand_over()?;
        }
        self.recorder.name_first(&mut self.notes);
        self.recorder.session.tell(&mut self.notes)?;
        let is_over = self.recorder.is_over();
        self.world.borrow_mut().end_look();
        Ok(is_over)
    }

    fn finish(mut self, mode: Mode) -> Outcome {
        let during = std::mem::take(&mut self.during);
        self.world.borrow_mut().begin_look(during);
        self.world.borrow_mut().kernel.ending = true;
        let mut notes = self.notes;
        let recordings = if mode == Mode::Command {
            let mut session = self.recorder.session;
            drop(self.recorder.tracker);
            session.drain().unwrap();
            let workload = FinishedWorkload {
                workload: Workload {
                    name: "command".to_owned(),
                    command: vec!["command".to_owned()],
                },
                instances: vec![0],
                reasons: Vec::new(),
                part: WorkloadPart::default(),
            };
            session.finish(vec![workload]).unwrap()
        } else {
            self.recorder.settle(&mut notes).unwrap();
            self.recorder.finish(&Ended::Asked, &mut notes).unwrap()
        };
        let world = Rc::into_inner(self.world);
        let recordings = self.handed.into_iter().chain(recordings).collect();
        Outcome {
            recordings,
            notes: notes.0,
            world: world.unwrap().into_inner(),
        }
    }
}

/// What is wrong with a schedule's recordings; `None` when nothing is.
fn failure(schedule: &Schedule) -> Option<String> {
    let outcome = run(schedule, Variation::default());
    check::check(schedule, &outcome).err()
}

/// A schedule without anything that happens during a look, without long waits, and without cgroups that
/// inherit nothing until they are found: then it may not matter when the recorder looks.
fn calm(seed: u64) -> Schedule {
    let mut schedule = Schedule::roomy(seed);
    assert_eq!(schedule.limits, Limits::ROOMY);
    for op in &mut schedule.ops {
        match op {
            Op::During(_, action) => *op = Op::Do(*action),
            Op::Look(ms) => *ms = (*ms).min(20),
            Op::Do(_) | Op::Checkpoint => {}
        }
    }
    schedule
        .ops
        .retain(|op| !matches!(op, Op::Do(Action::MakeLate(..))));
    schedule
}

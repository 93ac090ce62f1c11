//! Schedules from numbers.

use tracer_ebpf::machine::{Settings, mix};

use crate::event::{CALLS, CGROUPS, Event, FILES, Schedule, TASKS};

/// A stream of numbers.
struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.draw() % limit.max(1) as u64).unwrap_or(0)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

impl Schedule {
    /// The schedule of a number: always the same one.
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice { seed, drawn: 0 };
        let settings = settings(&mut dice);
        let count = 16 + dice.below(80);
        let mut events = beginning(&mut dice);
        let mut guess = Guess {
            tasks: core::array::from_fn(|place| place == 0),
            groups: core::array::from_fn(|place| place == 0),
        };
        events.iter().for_each(|event| guess.note(*event));
        let churns = dice.one_in(8);
        while events.len() < count {
            let event = if churns && !dice.one_in(3) {
                recorded_anew(&mut dice, &guess)
            } else {
                event(&mut dice, &guess)
            };
            guess.note(event);
            events.push(event);
        }
        Self {
            seed,
            cpus: 1 + dice.below(3),
            one_in: [3, 6, 12, 30][dice.below(4)],
            settings,
            events: (0..).zip(events).collect(),
        }
    }
}

fn settings(dice: &mut Dice) -> Settings {
    let mut settings = Settings {
        discover: dice.one_in(4),
        rows: [8, 14, 48][dice.below(3)],
        slot_cache: !dice.one_in(16),
        report_every_blocked: dice.one_in(8),
        ..Settings::default()
    };
    // One thing may run out.
    match dice.below(16) {
        0 => settings.rows = 5 + u32::try_from(dice.below(6)).unwrap_or(0),
        1 => settings.cgroups = 2,
        2 => settings.processes = 2,
        3 => settings.threads = 1,
        4 => settings.unindexed = 1,
        5 => settings.values = 3,
        6 => settings.ring_bytes = 256,
        7 => settings.told = 2,
        8 => settings.access_bytes = 700,
        9 => settings.executables = 1,
        10 => settings.unused_cgroups = 0,
        11 => settings.unused_cgroups = 1,
        _ => {}
    }
    settings
}

/// What there probably is, so that most events find somebody.
struct Guess {
    tasks: [bool; TASKS],
    groups: [bool; CGROUPS],
}

impl Guess {
    fn pick(dice: &mut Dice, there: &[bool], wanted: bool) -> usize {
        let places: Vec<usize> = (0..there.len())
            .filter(|place| there[*place] == wanted)
            .collect();
        match places.get(dice.below(places.len())) {
            Some(place) if !dice.one_in(12) => *place,
            _ => dice.below(there.len()),
        }
    }

    fn task(&self, dice: &mut Dice) -> usize {
        Self::pick(dice, &self.tasks, true)
    }

    fn group(&self, dice: &mut Dice) -> usize {
        Self::pick(dice, &self.groups, true)
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Fork { child, .. } => self.tasks[child] = true,
            Event::Exit { task } | Event::Killed { task, .. } => self.tasks[task] = task == 0,
            Event::Mkdir { cgroup, .. } => self.groups[cgroup] = true,
            Event::Rmdir { cgroup } => self.groups[cgroup] = cgroup == 0,
            _ => {}
        }
    }
}

/// Some cgroups with a process each, so that there is something to record.
fn beginning(dice: &mut Dice) -> Vec<Event> {
    let mut events = Vec::new();
    for place in 1..3 {
        events.push(Event::Mkdir {
            cgroup: place,
            parent: 0,
        });
        events.push(Event::Watch {
            cgroup: place,
            container: dice.one_in(3),
        });
        events.push(Event::Fork {
            task: 0,
            child: place,
            thread: false,
            into: None,
            silent: false,
            stack: 0,
        });
        if !dice.one_in(4) {
            events.push(Event::Move {
                task: place,
                cgroup: place,
            });
        }
    }
    if dice.one_in(2) {
        events.push(Event::WatchExits { on: true });
    }
    events
}

/// Instances come and go, and what they took up is given to others.
fn recorded_anew(dice: &mut Dice, guess: &Guess) -> Event {
    let (task, cgroup) = (guess.task(dice), guess.group(dice));
    match dice.below(8) {
        0 => Event::Watch {
            cgroup,
            container: false,
        },
        1 => Event::Unwatch { cgroup },
        2 | 3 => Event::Release { cgroup },
        4 => Event::Exec {
            task,
            program: dice.below(6),
        },
        5 => Event::Call {
            task,
            call: dice.below(CALLS.len()),
            value: dice.draw() % 6,
        },
        _ => Event::Open {
            task,
            file: dice.below(FILES),
        },
    }
}

fn event(dice: &mut Dice, guess: &Guess) -> Event {
    let task = guess.task(dice);
    let cgroup = guess.group(dice);
    let call = dice.below(CALLS.len());
    match dice.below(47) {
        0..=14 => Event::Call {
            task,
            call,
            value: dice.draw() % 6,
        },
        15..=20 => Event::Fork {
            task,
            child: Guess::pick(dice, &guess.tasks, false).max(1),
            thread: dice.one_in(2),
            into: dice.one_in(4).then_some(cgroup),
            silent: dice.one_in(6),
            stack: dice.below(2) * dice.below(3),
        },
        21..=24 => Event::Exec {
            task,
            program: dice.below(6),
        },
        25..=27 => Event::Exit { task },
        28..=31 => Event::Move { task, cgroup },
        32..=33 => Event::Filter {
            task,
            all: dice.one_in(2),
        },
        34..=36 => Event::Blocked {
            task,
            call,
            errno: (!dice.one_in(3)).then_some(1),
        },
        37 => Event::Killed { task, call },
        38..=40 => Event::Open {
            task,
            file: dice.below(FILES),
        },
        41 => Event::Mkdir {
            cgroup: Guess::pick(dice, &guess.groups, false),
            parent: cgroup,
        },
        42 => Event::Rmdir { cgroup },
        43 => Event::Watch {
            cgroup,
            container: dice.one_in(2),
        },
        44 if dice.one_in(3) => Event::Unwatch { cgroup },
        44 | 45 => Event::Release { cgroup },
        _ if dice.one_in(2) => Event::WatchExits {
            on: !dice.one_in(3),
        },
        _ => Event::Drain,
    }
}

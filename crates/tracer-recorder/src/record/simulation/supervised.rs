//! A recorder that hands over what has ended, and forgets it, gives what one gives that keeps all to its end.

use std::collections::BTreeMap;

use super::{Run, Schedule, Variation, calm, run, schedule::Mode};
use crate::{
    container::Container,
    record::{RecordError, RecorderStatus, Selection, Supervisor, WorkloadAge, kernel::Kernel},
};
use tracer_core::recording::{
    Coverage, Losses, ObservedAccess, Phase, Reason, Recording, json, merge::Merge,
};

/// Wants everything that has a name, for ever.
pub(super) struct All {
    /// What is decided of what has none.
    pub(super) unnamed: Selection,
}

impl Supervisor for All {
    fn select(&self, _: &str, container: Option<&Container>) -> Selection {
        container.map_or(self.unnamed, |_| Selection::Wanted)
    }

    fn goes_on(&mut self, _: &Container, _: WorkloadAge) -> bool {
        true
    }

    fn reload(&mut self) {}

    fn turn(&mut self) -> bool {
        false
    }

    fn checkpoint(&mut self, _: &RecorderStatus) {}
}

/// Longer than names are waited for.
const PATIENCE_MS: u32 = 120_000;

impl<K: Kernel> Run<K> {
    /// What the recording loop does at a checkpoint of a supervised recording.
    pub(super) fn hand_over(&mut self) -> Result<(), RecordError> {
        if self.recorder.supervisor().is_none() {
            return Ok(());
        }
        self.recorder.supervise()?;
        if self.gives_up {
            self.world.borrow_mut().advance(PATIENCE_MS);
        }
        self.recorder.hand_over();
        let workloads = self.recorder.finished_workloads();
        if let Some(snapshot) = self.recorder.session.snapshot(workloads, false)? {
            let parts = snapshot.into_parts().into_iter();
            let ended = parts.filter(|(_, part)| part.is_final);
            self.handed.extend(ended.map(|(recording, _)| recording));
        }
        self.recorder.forget_handed()
    }
}

/// Of what runtimes do to prepare several containers, one is kept: which one depends on who is there.
fn without_setup(recording: &mut Recording) {
    fn accesses<T>(of: &mut [ObservedAccess<T>]) {
        for access in of {
            access.evidence.retain(|it| it.phase != Phase::Setup);
        }
    }
    for syscall in &mut recording.syscalls {
        syscall.evidence.retain(|it| it.phase != Phase::Setup);
    }
    accesses(&mut recording.files);
    accesses(&mut recording.capabilities);
    accesses(&mut recording.sockets);
    accesses(&mut recording.signals);
    accesses(&mut recording.traces);
    accesses(&mut recording.mounts);
}

/// One recording of each workload, as text.
fn by_name(recordings: Vec<Recording>) -> BTreeMap<String, String> {
    let mut merges: BTreeMap<String, Merge> = BTreeMap::new();
    for mut recording in recordings {
        // Calls are not counted for one of several.
        recording
            .instances
            .iter_mut()
            .for_each(|it| it.calls = None);
        // What nobody knows the owner of is lost for those that are recorded at that time.
        let mut reasons = std::mem::take(&mut recording.coverage.reasons);
        reasons.retain(|reason| {
            !matches!(
                reason,
                Reason::ObservationsLost { .. }
                    | Reason::ProgramSkipped { .. }
                    | Reason::PhasesMixed { .. }
            )
        });
        recording.coverage = Coverage::new(reasons, Losses::default());
        let name = recording.workload.name.clone();
        merges.entry(name).or_default().add(recording);
    }
    let texts = merges.into_iter().map(|(name, merge)| {
        let mut recording = merge.finish().unwrap();
        without_setup(&mut recording);
        (name, json::to_json(&recording))
    });
    texts.collect()
}

fn recordings(schedule: &Schedule, supervised: bool) -> (Vec<Recording>, usize) {
    let variation = Variation {
        checkpoints: true,
        supervised: supervised.then_some(Selection::Wanted),
        ..Variation::default()
    };
    let recordings = run(schedule, variation).recordings;
    let count = recordings.len();
    (recordings, count)
}

#[test]
fn what_was_forgotten_is_in_what_was_handed_over() {
    let mut handed = 0;
    for seed in 0..2_500 {
        let schedule = calm(seed);
        if schedule.mode != Mode::All {
            continue;
        }
        let (plain, in_one) = recordings(&schedule, false);
        let (supervised, in_parts) = recordings(&schedule, true);
        handed += in_parts - in_one;
        let (plain, supervised) = (by_name(plain), by_name(supervised));
        assert_eq!(
            plain.keys().collect::<Vec<_>>(),
            supervised.keys().collect::<Vec<_>>(),
            "seed {seed}\n{schedule}"
        );
        for (name, text) in &plain {
            let lines = text.lines().zip(supervised[name].lines());
            let differs = lines.into_iter().find(|(one, other)| one != other);
            assert!(
                *text == supervised[name],
                "seed {seed}, {name}: {differs:?}\n{schedule}"
            );
        }
    }
    assert!(handed > 20, "only {handed} were handed over before the end");
}

#[test]
fn what_may_not_have_been_selected_is_never_handed_over() {
    let unnamed = |unnamed| {
        (0..500)
            .map(Schedule::roomy)
            .filter(|it| it.mode == Mode::All)
            .flat_map(move |schedule| {
                let variation = Variation {
                    checkpoints: true,
                    supervised: Some(unnamed),
                    ..Variation::default()
                };
                run(&schedule, variation).recordings
            })
            .flat_map(|recording| recording.instances)
            .filter(|it| it.container.is_none())
            .count()
    };
    assert!(unnamed(Selection::Wanted) > 20);
    assert_eq!(unnamed(Selection::Open), 0);
}

//! The thread that writes.

use std::panic::{self, AssertUnwindSafe};

use super::*;

/// What the thread has.
pub(super) struct Writer {
    pub(super) output: Arc<OutputDirectory>,
    pub(super) settings: Arc<Settings>,
    pub(super) previous: PreviousArgs,
    pub(super) is_busy: Arc<AtomicBool>,
    /// Made when there is something to keep.
    pub(super) checkpoints: Option<Checkpoints>,
    /// The number of each workload's checkpoint.
    pub(super) numbers: HashMap<String, usize>,
    /// Whether it was said that nothing can be kept.
    pub(super) is_warned: bool,
    /// Sees what is recorded as it grows.
    pub(super) observer: Option<Box<dyn Observer>>,
}

impl Writer {
    /// Does what it is told until the end of the recording.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            match job {
                Job::Keep(snapshot) => {
                    self.keep(*snapshot);
                    self.is_busy.store(false, Ordering::Release);
                }
                Job::End(end) => return self.end(&end),
            }
        }
    }

    /// Writes a checkpoint of each workload that changed.
    fn keep(&mut self, snapshot: Snapshot) {
        let names = snapshot.names.clone();
        let unattributed = snapshot.unattributed;
        let recordings = snapshot.into_recordings();
        if let Some(observer) = &mut self.observer {
            observer.observe(&recordings, &names, &unattributed);
        }
        let mut kept = Ok(());
        for recording in &recordings {
            kept = kept.and(self.checkpoint(recording));
        }
        // What has another name by now was kept under that.
        let is_old = |name: &String| !names.contains(name);
        let old: Vec<_> = self
            .numbers
            .keys()
            .filter(|it| is_old(it))
            .cloned()
            .collect();
        for name in old {
            kept = kept.and(self.forget(&name));
        }
        if let Err(error) = kept
            && !self.is_warned
        {
            self.is_warned = true;
            say!(
                "cannot write a checkpoint to {}: {error}; what is recorded is lost if tracer is killed",
                self.output.path().display()
            );
        }
    }

    fn checkpoint(&mut self, recording: &Recording) -> io::Result<()> {
        let next = self.numbers.values().max().map_or(0, |last| last + 1);
        let checkpoints = match &self.checkpoints {
            Some(checkpoints) => checkpoints,
            None => self.checkpoints.insert(self.output.checkpoints()?),
        };
        let name = recording.workload.name.clone();
        let number = *self.numbers.entry(name).or_insert(next);
        checkpoints.write(number, &json::to_compact_json(recording))
    }

    /// Removes the checkpoint of a workload.
    fn forget(&mut self, name: &str) -> io::Result<()> {
        match (self.numbers.remove(name), &self.checkpoints) {
            (Some(number), Some(checkpoints)) => checkpoints.remove(number),
            _ => Ok(()),
        }
    }

    /// Removes all checkpoints.
    fn discard(mut self) {
        if let Some(checkpoints) = self.checkpoints.take() {
            let path = checkpoints.path().to_owned();
            if let Err(error) = checkpoints.discard() {
                log::warn!("{} is left behind: {error}", path.display());
            }
        }
    }

    /// Writes the files of all workloads.
    fn end(mut self, end: &End) {
        if let Some(observer) = &mut self.observer {
            observer.observe_last(&end.recordings);
        }
        // What takes long to write may be killed meanwhile.
        let mut kept = Ok(());
        if end.recordings.len() > 1 || end.recordings.iter().any(is_large) {
            for recording in end.recordings.iter() {
                kept = kept.and(self.checkpoint(recording));
            }
        }
        if let Err(error) = kept {
            log::debug!("the recordings are not kept before they are written: {error}");
        }
        let (results, receiver) = mpsc::channel();
        let shared = Arc::new(Shared {
            next: AtomicUsize::new(0),
            states: end.recordings.iter().map(|_| AtomicU8::new(OPEN)).collect(),
            recordings: Arc::clone(&end.recordings),
            hurries: Arc::clone(&end.hurries),
            output: Arc::clone(&self.output),
            settings: Arc::clone(&self.settings),
            previous: self.previous,
        });
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(MAX_THREADS)
            .min(end.recordings.len());
        let started = (0..threads).filter_map(|_| {
            let (shared, results) = (Arc::clone(&shared), results.clone());
            let named = thread::Builder::new().name("tracer-render".to_owned());
            named.spawn(move || shared.work(&results)).ok()
        });
        let started: Vec<_> = started.collect();
        drop(results);
        let mut open = end.recordings.len();
        let mut unsaved = false;
        while open > 0 {
            let result = match receiver.recv_timeout(LOOK) {
                Ok(result) => Some(result),
                Err(RecvTimeoutError::Timeout) if end.hurries.load(Ordering::Acquire) => {
                    shared.write_alone()
                }
                Err(RecvTimeoutError::Timeout) => None,
                // No thread is left, whatever became of it.
                Err(RecvTimeoutError::Disconnected) => match shared.write_alone() {
                    None => break,
                    result => result,
                },
            };
            if let Some((number, result)) = result {
                open -= 1;
                unsaved |= self.conclude(end, number, result);
            }
        }
        drop(started);
        if unsaved {
            if let Some(checkpoints) = &self.checkpoints {
                say!(
                    "what could not be written is kept in {}: make room, then run tracer recover {}",
                    checkpoints.path().display(),
                    self.output.path().display()
                );
            }
        } else {
            self.discard();
        }
    }

    /// Reports how it went with a workload, whose checkpoint is not needed any more when its recording is saved.
    /// Returns whether it is only in a checkpoint.
    fn conclude(&mut self, end: &End, number: usize, result: anyhow::Result<Placed>) -> bool {
        let Some(recording) = end.recordings.get(number) else {
            return false;
        };
        let name = &recording.workload.name;
        let is_saved = match &result {
            Ok(_) => true,
            Err(error) => matches!(
                error.downcast_ref(),
                Some(
                    StoreError::NoRoom { .. }
                        | StoreError::Blocked { .. }
                        | StoreError::Partly { .. }
                )
            ),
        };
        let kept = if is_saved {
            self.forget(name)
        } else {
            self.checkpoint(recording)
        };
        let unsaved = !is_saved && kept.is_ok();
        if let Err(error) = kept {
            log::debug!("the checkpoint of {name}: {error}");
        }
        let result = match result {
            Ok(Placed { written, checked }) => checked.map(|()| written),
            Err(error) => Err(error),
        };
        // Nobody may want to know any more.
        let _ = end.done.send((number, result));
        unsaved
    }
}

fn is_large(recording: &Recording) -> bool {
    json::to_compact_json(recording).len() > LARGE
}

/// The states of a workload. Whoever makes it `TAKEN` writes it.
const OPEN: u8 = 0;
const RENDERING: u8 = 1;
const TAKEN: u8 = 2;

/// What became of a workload.
struct Placed {
    written: Written,
    /// What AppArmor's parser said.
    checked: anyhow::Result<()>,
}

/// What the threads share that render and write.
struct Shared {
    /// The next workload.
    next: AtomicUsize,
    states: Vec<AtomicU8>,
    recordings: Arc<Vec<Recording>>,
    hurries: Arc<AtomicBool>,
    output: Arc<OutputDirectory>,
    settings: Arc<Settings>,
    previous: PreviousArgs,
}

/// A workload by its number, and what became of it.
type Outcome = (usize, anyhow::Result<Placed>);

impl Shared {
    /// Takes a step, unless another thread was faster.
    fn takes(&self, number: usize, from: u8, to: u8) -> bool {
        self.states.get(number).is_some_and(|state| {
            let changed = state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
            changed.is_ok()
        })
    }

    /// Renders and writes one workload after the other.
    fn work(&self, results: &Sender<Outcome>) {
        while !self.hurries.load(Ordering::Acquire) {
            let number = self.next.fetch_add(1, Ordering::AcqRel);
            let Some(recording) = self.recordings.get(number) else {
                return;
            };
            if !self.takes(number, OPEN, RENDERING) {
                continue;
            }
            // A mistake of tracer's must not cost a recording: the writer keeps it then.
            let placed = panic::catch_unwind(AssertUnwindSafe(|| self.place(number, recording)));
            let placed = placed
                .unwrap_or_else(|_| Some(Err(anyhow::anyhow!("tracer made a mistake; report it"))));
            let Some(placed) = placed else { continue };
            if results.send((number, placed)).is_err() {
                return;
            }
        }
    }

    /// Renders and writes a workload; `None` when its recording was written alone meanwhile.
    fn place(&self, number: usize, recording: &Recording) -> Option<anyhow::Result<Placed>> {
        let name = &recording.workload.name;
        let directory = self.output.path().join(name);
        let to_write = self.previous.apply(&directory, recording.clone());
        let new = to_write.map(|it| (NewFiles::render(&it, &self.settings), it.recording));
        if !self.takes(number, RENDERING, TAKEN) {
            return None;
        }
        Some(new.and_then(|(new, recording)| {
            new.write(&self.output, name)?;
            let mut ends = || self.hurries.load(Ordering::Acquire);
            Ok(Placed {
                written: Written {
                    recording,
                    is_alone: false,
                },
                checked: new.check(&directory, &mut ends),
            })
        }))
    }

    /// Writes the recording of a workload that no thread writes; `None` when there is none.
    fn write_alone(&self) -> Option<Outcome> {
        let numbers = 0..self.states.len();
        let mut free = numbers.filter(|number| {
            self.takes(*number, OPEN, TAKEN) || self.takes(*number, RENDERING, TAKEN)
        });
        let number = free.next()?;
        let recording = self.recordings.get(number)?;
        let written = write_alone(&self.output, self.previous, recording);
        let placed = written.map(|written| Placed {
            written,
            checked: Ok(()),
        });
        Some((number, placed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::profile::seccomp::fixture::mixed;

    fn end(hurries: bool) -> (Vec<(usize, anyhow::Result<Written>)>, Vec<String>) {
        let scratch = tempfile::tempdir().unwrap();
        let output = Arc::new(OutputDirectory::open(scratch.path()).unwrap());
        let recordings: Vec<_> = (0..9)
            .map(|number| {
                let mut recording = mixed();
                recording.workload.name = format!("w{number}");
                recording
            })
            .collect();
        let (done, results) = mpsc::channel();
        let writer = Writer {
            output,
            settings: Arc::new(Settings::default()),
            previous: PreviousArgs::default(),
            is_busy: Arc::new(AtomicBool::new(false)),
            checkpoints: None,
            numbers: HashMap::new(),
            is_warned: false,
            observer: None,
        };
        writer.end(&End {
            recordings: Arc::new(recordings),
            hurries: Arc::new(AtomicBool::new(hurries)),
            done,
        });
        let names = std::fs::read_dir(scratch.path()).unwrap();
        let mut names: Vec<_> = names
            .map(|it| it.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        for name in &names {
            let directory = scratch.path().join(name);
            assert!(directory.join(RECORDING_FILE).is_file(), "{name}");
            assert_eq!(directory.join("REVIEW.md").is_file(), !hurries, "{name}");
        }
        (results.iter().collect(), names)
    }

    #[test]
    fn each_workload_is_written_once_and_no_checkpoint_is_left() {
        for hurries in [false, true] {
            let (mut results, names) = end(hurries);
            results.sort_by_key(|(number, _)| *number);
            for (expected, (number, result)) in results.iter().enumerate() {
                assert_eq!(*number, expected);
                assert_eq!(result.as_ref().unwrap().is_alone, hurries);
            }
            assert_eq!(results.len(), 9);
            assert!(
                names
                    .iter()
                    .eq((0..9).map(|it| format!("w{it}")).collect::<Vec<_>>().iter())
            );
        }
    }
}

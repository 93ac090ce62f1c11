//! A tracer that is killed at any moment leaves what it had recorded, and nothing else.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tracer_tests::{
    Outcome, cgroup, needs, process,
    requires::Need,
    scratch::Scratch,
    tracer::{Record, Recorded},
    wait,
};

use super::output_safety::temporary;
use crate::output::{files, tracer};

/// How many tracers are killed, when the environment does not say.
const KILLS: usize = 200;

/// Names another number.
const KILLS_VARIABLE: &str = "TRACER_KILLS";

/// How many run at a time.
const BATCH: usize = 25;

/// How long a workload runs, in seconds. It makes a file each second.
const SECONDS: u32 = 14;

/// What was seen this long before a kill is kept.
const KEPT: Duration = Duration::from_secs(10);

/// Half of the kills come at any moment, half in the last tenth, when files are written.
#[test]
fn killed_at_any_moment_nothing_of_ten_seconds_ago_is_lost() -> Outcome {
    needs!(Need::Root, Need::Cgroup2);
    let kills = env::var(KILLS_VARIABLE).map_or(Ok(KILLS), |it| it.parse())?;
    let scratch = Scratch::new()?;
    let seed = u64::from(std::process::id());
    println!("{kills} kills, seed {seed}");
    let mut random = Random(seed);
    let old = Record::new(&scratch.join("old"), "old")?
        .with_files()
        .of(["ls", "/"])
        .run()?
        .1;
    let mut kept = Kept::default();
    for batch in 0..kills.div_ceil(BATCH) {
        let out = scratch.dir(&format!("out-{batch}"))?;
        let count = BATCH.min(kills - batch * BATCH);
        let killed = kill_batch(&scratch, &out, count, &old, &mut random)?;
        // Each way to finish what was begun.
        if batch % 2 == 0 {
            tracer(&["recover", &out.to_string_lossy()])?.success()?;
        } else {
            let next = Record::new(&out, "next")?.of(["true"]).run()?;
            next.0.success()?;
        }
        ensure!(temporary(&out)?.is_empty(), "{:?}", temporary(&out)?);
        for one in &killed {
            kept.check(&scratch, &out, one, &old)
                .with_context(|| format!("{one:?}, seed {seed}"))?;
        }
        kept.commands
            .extend(killed.iter().flat_map(|it| it.left.iter().copied()));
        kept.tracers.extend(killed.iter().map(|it| it.pid));
    }
    println!("{kept:?}");
    ensure!(kept.unfinished > 0 && kept.whole > 0, "{kept:?}");
    kept.cgroups_are_removed(&scratch)
}

/// A stream of numbers from a seed (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A tracer that was killed.
#[derive(Debug)]
struct Killed {
    name: String,
    pid: u32,
    /// What it left running.
    left: Vec<u32>,
    /// When.
    at: SystemTime,
    /// The directory of the files that its workload made.
    marks: PathBuf,
    /// Whether an earlier recording was there.
    had_old: bool,
}

fn kill_batch(
    scratch: &Scratch,
    out: &Path,
    count: usize,
    old: &Recorded,
    random: &mut Random,
) -> Result<Vec<Killed>> {
    let mut moments = Vec::new();
    for number in 0..count {
        let whole = u64::from(SECONDS) * 1000;
        let moment = match number % 2 {
            0 => random.below(whole),
            // The workload's last steps, and a second for what comes after it.
            _ => whole * 9 / 10 + random.below(whole / 10 + 1000),
        };
        moments.push(Duration::from_millis(moment));
    }
    thread::scope(|scope| {
        let started: Vec<_> = (0..)
            .zip(moments)
            .map(|(number, moment)| {
                scope.spawn(move || kill_one(scratch, out, old, number, moment))
            })
            .collect();
        let ended = started.into_iter().map(|it| it.join());
        let killed = ended.map(|it| it.map_err(|_| anyhow::anyhow!("a thread failed"))?);
        killed.collect()
    })
}

/// Kills one tracer so long after its workload began.
fn kill_one(
    scratch: &Scratch,
    out: &Path,
    old: &Recorded,
    number: usize,
    moment: Duration,
) -> Result<Killed> {
    let name = format!("w{number}");
    let marks = scratch.dir(&format!(
        "marks-{}-{number}",
        out.file_name().unwrap_or_default().display()
    ))?;
    let had_old = number.is_multiple_of(3);
    if had_old {
        copy(&old.directory, &out.join(&name))?;
    }
    let script = format!(
        "cd {}; i=0; while [ $i -lt {SECONDS} ]; do : > mark-$i-; i=$((i+1)); sleep 1; done",
        marks.display()
    );
    let mut recorder = Record::new(out, &name)?
        .with_files()
        .option("--quiet")
        .of(["sh", "-c", &script])
        .start()?;
    let pid = recorder.running.pid();
    let begin = wait::until("the first mark or the end", || {
        let began = marks.join("mark-0-").exists() || recorder.running.ended()?.is_some();
        Ok(began.then(Instant::now))
    })?;
    thread::sleep(moment.saturating_sub(begin.elapsed()));
    let left = process::descendants(pid);
    // It may have ended by itself.
    let _ = process::send(pid, Signal::SIGKILL);
    let at = SystemTime::now();
    recorder.finish()?;
    Ok(Killed {
        name,
        pid,
        left,
        at,
        marks,
        had_old,
    })
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for (name, bytes) in files(from)? {
        let path = to.join(name);
        fs::create_dir_all(path.parent().context("no parent")?)?;
        fs::write(path, bytes)?;
    }
    Ok(())
}

/// What became of them.
#[derive(Debug, Default)]
struct Kept {
    /// Recordings of killed tracers.
    unfinished: usize,
    /// Recordings of tracers that had written theirs.
    whole: usize,
    /// Tracers that were killed before there was anything to keep.
    nothing: usize,
    /// Markers that had to be there.
    marks: usize,
    commands: Vec<u32>,
    tracers: Vec<u32>,
}

impl Kept {
    fn check(
        &mut self,
        scratch: &Scratch,
        out: &Path,
        killed: &Killed,
        old: &Recorded,
    ) -> Result<()> {
        let mut expected = Vec::new();
        for entry in fs::read_dir(&killed.marks)? {
            let entry = entry?;
            let made = entry.metadata()?.modified()?;
            if killed.at.duration_since(made).unwrap_or_default() >= KEPT {
                expected.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        let places = [killed.name.clone(), format!("{}.recovered-1", killed.name)];
        let mut found = None;
        for place in places {
            let directory = out.join(place);
            if !directory.exists() {
                continue;
            }
            let set = files(&directory)?;
            is_one_set(scratch, &directory, &set)
                .with_context(|| directory.display().to_string())?;
            let recording = String::from_utf8_lossy(&set["recording.json"]).into_owned();
            // The old one has another name in it.
            if recording.contains(&format!("\"name\":\"{}\"", killed.name)) {
                ensure!(found.is_none(), "it is there twice");
                found = Some(recording);
            } else {
                ensure!(
                    killed.had_old && set == files(&old.directory)?,
                    "the old one changed"
                );
            }
        }
        match &found {
            None => self.nothing += 1,
            Some(text) if text.contains("recorder-killed") => self.unfinished += 1,
            Some(_) => self.whole += 1,
        }
        let text = found.unwrap_or_default();
        for mark in &expected {
            self.marks += 1;
            ensure!(text.contains(mark), "{mark} of {expected:?} is lost");
        }
        Ok(())
    }

    /// When nothing runs in them, the next run removes the cgroups.
    fn cgroups_are_removed(&self, scratch: &Scratch) -> Outcome {
        for pid in &self.commands {
            let _ = process::send(*pid, Signal::SIGKILL);
        }
        wait::until("the removal of the cgroups", || {
            let out = scratch.dir("last")?;
            Record::new(&out, "w")?.of(["true"]).run()?.0.success()?;
            let left = cgroup::all()?.into_iter().filter(|path| {
                let path = path.to_string_lossy();
                let of = |pid: &u32| path.contains(&format!("/tracer-{pid}-"));
                self.tracers.iter().any(of)
            });
            Ok((left.count() == 0).then_some(()))
        })
    }
}

/// Whether all files are made of the recording that is with them.
fn is_one_set(scratch: &Scratch, directory: &Path, set: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let again = scratch.join("again");
    if again.exists() {
        fs::remove_dir_all(&again)?;
    }
    let recording = directory.join("recording.json");
    let (again_text, recording) = (again.to_string_lossy(), recording.to_string_lossy());
    tracer(&["generate", "--output", &again_text, &recording])?.success()?;
    let made: Vec<_> = files(&again)?.into_iter().collect();
    for (name, bytes) in &made {
        let name = name.split_once('/').map_or(name.as_str(), |it| it.1);
        ensure!(
            set.get(name) == Some(bytes),
            "{name} is of another recording"
        );
    }
    // The recordings that were there before stay beside the new one.
    let is_earlier = |name: &&String| name.starts_with("recording.") && *name != "recording.json";
    let others = set.keys().filter(|name| !is_earlier(name)).count();
    ensure!(others == made.len() + 1, "{:?}", set.keys());
    Ok(())
}

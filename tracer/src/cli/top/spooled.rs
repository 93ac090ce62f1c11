//! What an agent has recorded on this host, read from its spool as it grows. Nothing is recorded or saved here.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;

use super::{feed::Feed, no_screen, screen::Screen, state::Shared};
use crate::{
    cli::{
        Exit, Failure, progress_line::View as _, record::failed, saving::Observer as _,
        spool::SpoolArgs, stderr::say,
    },
    store::Spool,
};
use tracer_core::{agent::short_image, recording::Losses};
use tracer_recorder::record::signals::Signals;

/// How often the spool is looked at. The agent writes to it every few seconds at most.
const LOOK: Duration = Duration::from_secs(2);

/// How often a line is printed where there is no screen.
const PRINT_INTERVAL: Duration = Duration::from_secs(60);

pub(super) fn run(args: &SpoolArgs) -> Result<Exit, Failure> {
    let spool = args.open()?;
    // What cannot be read is said before the screen is there.
    super::super::spool::entries(&spool)?;
    let runtime = crate::cli::runtime::one_thread()?;
    runtime.block_on(async {
        let mut signals = Signals::catch_without_command()
            .context("cannot catch signals")
            .map_err(failed)?;
        let state = Shared::default();
        state.lock().is_of_agent = true;
        let mut screen = match no_screen() {
            None => Some(Screen::open(state.clone(), false).context("cannot use the terminal")?),
            Some(why) => {
                say!("{why}, so there is no screen: one line a minute is printed");
                None
            }
        };
        let mut reader = SpoolReader {
            spool,
            seen: BTreeMap::new(),
            feed: Feed::new(state.clone()),
        };
        let mut printed: Option<Instant> = None;
        let ended = loop {
            if let Err(error) = reader.read() {
                break Err(error.into());
            }
            if screen.is_none() && printed.is_none_or(|it| it.elapsed() >= PRINT_INTERVAL) {
                say!("{}", state.lock().line(Instant::now()));
                printed = Some(Instant::now());
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                arrived = signals.next() => match arrived.context("cannot read signals") {
                    Ok(signal) if signal.asks_to_end() => break Ok(Exit::Fine),
                    Ok(_) => {}
                    Err(error) => break Err(error.into()),
                },
            }
        };
        if let Some(screen) = &mut screen {
            screen.clear();
        }
        ended
    })
}

/// Reads what has changed in a spool.
struct SpoolReader {
    spool: Spool,
    /// When each workload's recording was written that was read last.
    seen: BTreeMap<String, SystemTime>,
    feed: Feed,
}

impl SpoolReader {
    fn read(&mut self) -> anyhow::Result<()> {
        let entries = super::super::spool::entries(&self.spool)?;
        let mut names = Vec::new();
        for entry in entries {
            let workload = entry.key.workload().to_string();
            // A workload may have been recorded with several images: each is a row.
            let image = short_image(&entry.key.image);
            let name = match image.is_empty() {
                true => workload,
                false => format!("{workload} {image}"),
            };
            names.push(name.clone());
            if self.seen.get(&name) == Some(&entry.written) {
                continue;
            }
            match self.spool.read(&entry.name) {
                Ok(mut recording) => {
                    recording.workload.name.clone_from(&name);
                    self.seen.insert(name, entry.written);
                    self.feed
                        .observe(&[recording], &names_of(&self.seen), &Losses::default());
                }
                // The agent has replaced it since: it is read the next time.
                Err(_) if !self.spool.has(&entry.name) => {}
                Err(error) => say!("{error}"),
            }
        }
        self.seen.retain(|name, _| names.contains(name));
        self.feed.observe(&[], &names, &Losses::default());
        Ok(())
    }
}

fn names_of(seen: &BTreeMap<String, SystemTime>) -> Vec<String> {
    seen.keys().cloned().collect()
}

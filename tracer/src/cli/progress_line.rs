//! The live line of a recording, on standard error: drawn over and over on a terminal, printed once a minute
//! elsewhere.

use std::{
    io::{self, IsTerminal as _},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::stderr::{self, say};
use tracer_recorder::record::{Progress, ProgressListener};
use tracer_report::words;

/// How often a line is printed where none can be drawn.
const PRINT_INTERVAL: Duration = Duration::from_secs(60);

/// What is told while a recording is made, until its end.
pub(super) trait View: ProgressListener {
    /// Takes away what is drawn: the recording is over.
    fn clear(&mut self);
}

/// The line, or nothing.
pub(super) struct ProgressLine {
    bar: ProgressBar,
    /// When a line was printed last, where none can be drawn.
    printed: Option<Instant>,
    quiet: bool,
}

impl ProgressLine {
    /// `shown` says whether there may be a line on a terminal at all.
    pub(super) fn new(quiet: bool, shown: bool) -> Self {
        let target = if quiet || !shown {
            ProgressDrawTarget::hidden()
        } else {
            // indicatif itself draws nothing when standard error is no terminal.
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        stderr::draw_below(Some(bar.clone()));
        let is_printed = !quiet && !io::stderr().is_terminal();
        Self {
            bar,
            printed: is_printed.then(Instant::now),
            quiet,
        }
    }
}

/// Whether a line is to be printed, which was last done at `printed`; notes that it is.
fn is_due(printed: &mut Option<Instant>, now: Instant) -> bool {
    match printed {
        Some(last) if now.duration_since(*last) >= PRINT_INTERVAL => {
            *last = now;
            true
        }
        _ => false,
    }
}

impl View for ProgressLine {
    fn clear(&mut self) {
        stderr::draw_below(None);
        self.bar.finish_and_clear();
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}

impl ProgressListener for ProgressLine {
    fn began(&mut self, what: &str) {
        if !self.quiet {
            say!("recording {what}");
        }
    }

    fn waits(&mut self) {
        if !self.quiet {
            say!(
                "waiting for it to start; recording begins with its first system call (Ctrl-C to stop)"
            );
        }
    }

    fn note(&mut self, text: &str) {
        say!("{text}");
    }

    fn ends(&mut self, why: &str) {
        if !self.quiet {
            say!("{why}");
        }
    }

    fn progress(&mut self, progress: &Progress) {
        self.bar.set_message(line(progress));
        if is_due(&mut self.printed, Instant::now()) {
            say!("{}", line(progress));
        }
    }
}

fn line(progress: &Progress) -> String {
    let last = progress
        .since_last_new
        .map_or_else(String::new, |since| format!(", last {} ago", short(since)));
    let mut line = format!(
        "{} system calls ({} new in the last minute{last}) · {} calls · {}",
        progress.distinct,
        progress.new_in_last_minute,
        progress.calls,
        words::losses(&progress.losses)
    );
    // Last: a narrow terminal cuts the end off, and a loss is the dearer news.
    if !progress.unseen.is_empty() {
        line.push_str(" · ");
        line.push_str(&progress.unseen);
    }
    line
}

/// A duration by its largest unit: exactness would only flicker, or pretend.
pub(super) fn short(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_core::recording::Losses;

    #[test]
    fn status_line_shows_calls_and_losses() {
        let progress = Progress {
            distinct: 41,
            calls: 1234,
            new_in_last_minute: 3,
            since_last_new: Some(Duration::from_secs(75)),
            losses: Losses::default(),
            unseen: String::new(),
        };
        let short = "41 system calls (3 new in the last minute, last 1 min ago) · 1234 calls · nothing lost";
        assert_eq!(line(&progress), short);
        let unseen = "2 in only one of 3 instances".to_owned();
        let with = line(&Progress { unseen, ..progress });
        assert_eq!(with, format!("{short} · 2 in only one of 3 instances"));
    }

    #[test]
    fn a_line_is_printed_once_a_minute_and_only_where_none_is_drawn() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut printed = Some(began);
        let due: Vec<_> = (1..=185)
            .filter(|second| is_due(&mut printed, at(*second)))
            .collect();
        assert_eq!(due, [60, 120, 180]);
        assert!(!is_due(&mut None, at(3600)));
    }

    #[test]
    fn the_line_says_what_was_lost() {
        let with = |losses| {
            let progress = Progress {
                distinct: 1,
                calls: 1,
                new_in_last_minute: 1,
                since_last_new: None,
                losses,
                unseen: String::new(),
            };
            let line = line(&progress);
            line.rsplit_once(" · ").unwrap().1.to_owned()
        };
        let calls = Losses {
            events: 2,
            calls: 1,
            ..Losses::default()
        };
        assert_eq!(
            with(calls),
            "1 call lost, 2 events without first-seen details"
        );
        let accesses = Losses {
            accesses: 2,
            ..Losses::default()
        };
        assert_eq!(with(accesses), "2 accesses lost");
    }
}

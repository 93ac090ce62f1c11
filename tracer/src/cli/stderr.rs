//! What tracer tells people, on standard error.

use std::{
    io::{self, Write},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use indicatif::ProgressBar;
use jiff::Timestamp;
use serde_json::json;

/// Prints a line of tracer's own. A standard error that is closed or full is no reason to fail:
/// `eprintln!` would panic, and take a recording with it.
///
/// The line may quote a file or a workload, so what a terminal would obey is escaped, and so are line breaks: nobody
/// can forge a line of tracer's.
macro_rules! say {
    ($($what:tt)*) => {
        $crate::cli::stderr::write("info", &format!($($what)*))
    };
}
pub(super) use say;

pub(super) use tracer_core::recording::plain_text::plain;

/// Whether each line is a JSON object.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// The progress line that is drawn below everything that is printed.
static BELOW: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// From now on `line` is drawn below what is printed, or nothing is.
pub(super) fn draw_below(line: Option<ProgressBar>) {
    *BELOW.lock().unwrap_or_else(PoisonError::into_inner) = line;
}

/// Standard error, with the progress line taken away while something is printed: a message never shares a
/// line with it.
pub(super) struct AboveLine;

impl Write for AboveLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = BELOW.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match line {
            Some(line) => line.suspend(|| io::stderr().write(bytes)),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// From now on each line is a JSON object, or a line for people.
pub(super) fn use_json(json: bool) {
    IS_JSON.store(json, Ordering::Relaxed);
}

/// Whether each line is a JSON object.
pub(super) fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// A line as a JSON object.
pub(super) fn json_line(level: &str, text: &str) -> String {
    let time = Timestamp::now().to_string();
    format!(
        "{}\n",
        json!({ "time": time, "level": level, "message": text })
    )
}

/// Writes one line.
pub(super) fn write(level: &str, text: &str) {
    let line = if is_json() {
        json_line(level, text)
    } else {
        format!("tracer: {}\n", plain(text))
    };
    let _ = AboveLine.write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_is_one_line_with_what_was_said() {
        let line = json_line("info", "a \"b\"\nc");
        assert_eq!(line.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], "a \"b\"\nc");
        assert!(value["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
    }
}

//! What tracer tells people, on standard error.

/// Prints a line of tracer's own. A standard error that is closed or full is no reason to fail:
/// `eprintln!` would panic, and take a recording with it.
///
/// The line may quote a file or a workload, so what a terminal would obey is escaped, and so are line breaks: nobody
/// can forge a line of tracer's.
macro_rules! say {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        let line = format!($($what)*);
        let line = format!("tracer: {}\n", $crate::cli::stderr::plain(&line));
        let _ = std::io::stderr().write_all(line.as_bytes());
    }};
}
pub(super) use say;

pub(super) use tracer_core::recording::plain_text::plain;

//! What gVisor is told to report: the trace session of `runsc --pod-init-config` and `runsc trace create`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use syscalls::Abi;

/// The only name that a session can have (gvisor, pkg/sentry/seccheck/config.go).
pub(super) const SESSION: &str = "Default";

/// The last number that runsc had a point for when this was written (20221219 to 20240729).
const LAST_NUMBER: u32 = 441;

/// What is reported besides system calls.
const EVENTS: [&str; 5] = [
    "container/start",
    "sentry/clone",
    "sentry/execve",
    "sentry/exit_notify_parent",
    "sentry/task_exit",
];

/// What is reported with each of them.
///
/// Not `process_name`, and no `env`: a guest chooses them, protobuf refuses strings that are not UTF-8, and
/// runsc then leaves out the whole message without counting it. Measured: after
/// `prctl(PR_SET_NAME, "\xff")` no call of the thread was reported.
const CONTEXT: [&str; 4] = ["time", "thread_id", "group_id", "container_id"];

/// The numbers of system calls that a runsc can report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Points {
    numbers: BTreeSet<u32>,
}

impl Default for Points {
    fn default() -> Self {
        Self {
            numbers: (0..=LAST_NUMBER).collect(),
        }
    }
}

impl Points {
    /// Those that `runsc trace metadata` lists; `None` when it lists none.
    ///
    /// ```
    /// use tracer_recorder::gvisor::Points;
    ///
    /// let text = "Name: syscall/sysno/0/enter, optional fields: []\n";
    /// assert_eq!(Points::parse(text).unwrap().first_unmonitored(), 1);
    /// assert!(Points::parse("POINTS (0)\n").is_none());
    /// ```
    pub fn parse(metadata: &str) -> Option<Self> {
        let number = |line: &str| {
            let rest = line.trim().strip_prefix("Name: syscall/sysno/")?;
            // More than any kernel has is no list to trust.
            let number = rest.split_once("/enter")?.0.parse().ok()?;
            (number < 4096).then_some(number)
        };
        let numbers: BTreeSet<u32> = metadata.lines().filter_map(number).collect();
        (!numbers.is_empty()).then_some(Self { numbers })
    }

    /// Whether calls of a number are reported.
    pub fn contains(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }

    /// The first number that is not reported.
    pub fn first_unmonitored(&self) -> u32 {
        let mut expected = 0;
        for number in &self.numbers {
            if *number != expected {
                break;
            }
            expected += 1;
        }
        expected
    }
}

/// What becomes of a sandbox that starts while nobody listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutListener {
    /// It does not start.
    Fails,
    /// It starts, and reports nothing.
    Starts,
}

/// The file for `--pod-init-config` and `trace create`: every call that `points` has, sent to `endpoint`.
pub fn init_config(
    endpoint: &Path,
    points: &Points,
    native: Abi,
    without_listener: WithoutListener,
) -> Value {
    let point = |name: String| json!({ "name": name, "context_fields": CONTEXT });
    let calls = points.numbers.iter();
    let mut all: Vec<_> = calls
        .map(|number| point(format!("syscall/sysno/{number}/enter")))
        .collect();
    // That a program was executed whose message is missing shows at the end of the call only.
    let execs = exec_numbers(native);
    let execs = execs.into_iter().filter(|number| points.contains(*number));
    all.extend(execs.map(|number| point(format!("syscall/sysno/{number}/exit"))));
    all.extend(EVENTS.map(|name| point(name.to_owned())));
    json!({
        "trace_session": {
            "name": SESSION,
            "points": all,
            "sinks": [{
                "name": "remote",
                "ignore_setup_error": without_listener == WithoutListener::Starts,
                // Without retries, a quarter and more of 100,000 calls were dropped.
                "config": {
                    "endpoint": endpoint,
                    "retries": 10,
                    "backoff": "25us",
                    "backoff_max": "10ms",
                },
            }],
        },
    })
}

/// The calls that execute a program.
pub(super) fn exec_numbers(native: Abi) -> Vec<u32> {
    let names = ["execve", "execveat"];
    let numbers = names.into_iter();
    numbers
        .filter_map(|name| native.syscall_number(name))
        .collect()
}

/// The lines for the `runsc.toml` of containerd's shim that let every sandbox read `config`.
pub fn containerd_lines(config: &Path) -> String {
    // A TOML string takes the escapes of JSON (toml.io, v1.0.0, "String").
    let path = Value::from(config.to_string_lossy());
    format!("[runsc_config]\n  pod-init-config = {path}\n")
}

/// Where tracer listens when nothing else is said.
pub fn default_socket() -> PathBuf {
    PathBuf::from("/run/tracer/gvisor.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_a_point_and_nothing_that_a_guest_names() {
        let config = init_config(
            Path::new("/run/x.sock"),
            &Points::default(),
            Abi::X86_64,
            WithoutListener::Starts,
        );
        let session = &config["trace_session"];
        let points = session["points"].as_array().unwrap();
        assert_eq!(points.len(), 442 + 2 + EVENTS.len());
        let named = |name: &str| points.iter().any(|point| point["name"] == name);
        for name in [
            "syscall/sysno/0/enter",
            "syscall/sysno/441/enter",
            "syscall/sysno/59/exit",
            "syscall/sysno/322/exit",
            "container/start",
        ] {
            assert!(named(name), "{name}");
        }
        let text = config.to_string();
        assert!(!text.contains("process_name") && !text.contains("env"));
        let sink = &session["sinks"][0]["config"];
        assert_eq!(session["sinks"][0]["ignore_setup_error"], true);
        assert_eq!(sink["endpoint"], "/run/x.sock");
        assert!(sink["retries"].as_u64().unwrap() > 0 && sink["backoff"].is_string());
    }

    #[test]
    fn metadata_lists_the_numbers() {
        let text = "POINTS (4)\n\
            Name: container/start, optional fields: [env], context fields: [time]\n\
            Name: syscall/sysno/1/enter, optional fields: [], context fields: [time]\n\
            Name: syscall/sysno/0/enter, optional fields: [], context fields: [time]\n\
            Name: syscall/sysno/3/enter, optional fields: [], context fields: [time]\n\
            Name: syscall/sysno/2/exit, optional fields: [], context fields: [time]\n\
            Name: syscall/sysno/99999/enter\nName: syscall/sysno/x/enter\n\nSINKS (1)\n";
        let points = Points::parse(text).unwrap();
        assert_eq!(points.first_unmonitored(), 2);
        assert!(points.contains(3) && !points.contains(2));
        assert_eq!(Points::default().first_unmonitored(), 442);
    }

    #[test]
    fn containerd_reads_the_lines() {
        assert_eq!(
            containerd_lines(Path::new("/etc/tracer/a \"b\".json")),
            "[runsc_config]\n  pod-init-config = \"/etc/tracer/a \\\"b\\\".json\"\n"
        );
    }
}

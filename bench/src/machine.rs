//! On what a benchmark ran.

use serde::Serialize;

/// What a reader must know before comparing figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// As the processor names itself.
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    /// Whether a hypervisor runs below the kernel; `None` where the processor does not tell.
    pub(crate) virtual_machine: Option<bool>,
    pub(crate) kernel: String,
    pub(crate) architecture: &'static str,
    /// When, in UTC (RFC 3339).
    pub(crate) date: String,
    /// Load average over a minute before the benchmark began.
    pub(crate) load_before: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let field = |name: &str| {
            cpuinfo
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(key, _)| key.trim() == name)
                .map(|(_, value)| value.trim().to_owned())
        };
        Self {
            cpu: field("model name").unwrap_or_else(|| "unknown".to_owned()),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            virtual_machine: field("flags")
                .map(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            kernel: read("/proc/sys/kernel/osrelease"),
            architecture: std::env::consts::ARCH,
            date: jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
            load_before: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    pub(crate) fn sentence(&self) -> String {
        let kind = match self.virtual_machine {
            Some(true) => "virtual machine",
            Some(false) => "no virtual machine",
            None => "virtual or not is unknown",
        };
        format!(
            "{}, {} CPUs ({kind}), Linux {} {}, {}, load {}",
            self.cpu, self.cpus, self.kernel, self.architecture, self.date, self.load_before
        )
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

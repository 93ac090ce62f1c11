//! The metrics of an agent: their names, their types and what they are of.

/// Every metric: name, type and what it is.
pub(super) const FAMILIES: [(&str, &str, &str); 28] = [
    ("tracer_agent_info", "gauge", "The version of the agent."),
    (
        "tracer_agent_start_time_seconds",
        "gauge",
        "When the agent was started.",
    ),
    (
        "tracer_agent_reloads_total",
        "counter",
        "Configurations that were read again, by result.",
    ),
    (
        "tracer_checkpoint_time_seconds",
        "gauge",
        "Time of the last checkpoint.",
    ),
    (
        "tracer_containers_recorded",
        "gauge",
        "Containers that are recorded now.",
    ),
    (
        "tracer_containers_unwritten",
        "gauge",
        "Containers that have ended and are not in the spool yet.",
    ),
    (
        "tracer_containers_unnamed_total",
        "counter",
        "Containers that were not kept because nothing told what they are selected by.",
    ),
    (
        "tracer_syscalls_total",
        "counter",
        "Calls that the kernel side counted.",
    ),
    (
        "tracer_losses_total",
        "counter",
        "What was lost and is of no single workload, by kind.",
    ),
    (
        "tracer_workload_instances",
        "gauge",
        "Instances of a workload in the spool.",
    ),
    (
        "tracer_workload_syscalls",
        "gauge",
        "Different calls of a workload in the spool.",
    ),
    (
        "tracer_workload_accesses",
        "gauge",
        "Different uses of files, capabilities, sockets, signals and the like.",
    ),
    (
        "tracer_workload_new_total",
        "counter",
        "Calls and accesses that were new to a workload since the agent was started.",
    ),
    (
        "tracer_workload_last_new_time_seconds",
        "gauge",
        "When something was new to a workload last, since the agent was started.",
    ),
    (
        "tracer_workload_losses",
        "gauge",
        "What was lost of a workload, by kind.",
    ),
    (
        "tracer_workload_incomplete",
        "gauge",
        "1 for each reason why a workload's recording is not complete.",
    ),
    (
        "tracer_workloads_without_metrics",
        "gauge",
        "Workloads beyond the number that have metrics of their own.",
    ),
    ("tracer_spool_bytes", "gauge", "Bytes that the spool takes."),
    (
        "tracer_spool_max_bytes",
        "gauge",
        "Bytes that the spool may take.",
    ),
    ("tracer_spool_files", "gauge", "Recordings in the spool."),
    (
        "tracer_spool_writes_total",
        "counter",
        "Writes to the spool, by result.",
    ),
    (
        "tracer_spool_removed_total",
        "counter",
        "Recordings that went, by reason.",
    ),
    (
        "tracer_ship_objects_total",
        "counter",
        "Objects that were shipped, by result.",
    ),
    (
        "tracer_ship_bytes_total",
        "counter",
        "Bytes of the objects that were written.",
    ),
    (
        "tracer_ship_failures_total",
        "counter",
        "Failures of shipping, by reason.",
    ),
    (
        "tracer_ship_backlog",
        "gauge",
        "Recordings that were changed and are not shipped yet.",
    ),
    (
        "tracer_ship_oldest_time_seconds",
        "gauge",
        "When the oldest of them was changed; 0 when there is none.",
    ),
    (
        "tracer_ship_last_time_seconds",
        "gauge",
        "When everything was shipped last.",
    ),
];

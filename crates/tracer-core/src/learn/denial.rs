//! What one line of an audit log says that a filter or a security module denied, or would have denied.

use std::time::Duration;

use syscalls::Abi;

use super::{
    abi, answer, apparmor,
    record::{Kind, Line, Record},
};
use crate::recording::{ObservationKind, plain_text};

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeniedBy {
    /// A seccomp filter.
    Seccomp,
    /// AppArmor.
    AppArmor,
    /// SELinux.
    Selinux,
}

/// A denial, or what a profile that only logs let pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedDenial {
    /// Who decided.
    pub by: DeniedBy,
    /// Whether it took place: the profile only logs.
    pub allowed: bool,
    /// When the kernel made the record, since 1970.
    pub time: Option<Duration>,
    /// The process, in the host's pid namespace.
    pub pid: Option<u32>,
    /// The name of its thread.
    pub comm: Option<String>,
    /// The program's path; seccomp's records have it.
    pub executable: Option<String>,
    /// The kind of thing.
    pub kind: ObservationKind,
    /// The thing: a call, a path, a capability.
    pub what: String,
    /// How: the ABI, the operation, the permissions.
    pub detail: String,
    /// AppArmor's profile, SELinux's context of the process.
    pub profile: Option<String>,
    /// What the program saw.
    pub result: String,
}

/// What a line of an audit log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogLine {
    /// A denial.
    Denial(Box<LoggedDenial>),
    /// The kernel says that so many records are missing.
    Lost(u64),
    /// The kernel says how many records it has lost since it booted.
    LostSinceBoot(u64),
    /// A denial of a form that is not understood.
    NotUnderstood,
    /// Something else.
    Other,
}

impl LogLine {
    /// Reads a line, whoever wrote it: auditd, the kernel's log, the journal, or the audit socket.
    ///
    /// ```
    /// use tracer_core::learn::LogLine;
    ///
    /// let line = r#"type=1326 audit(1.0:1): pid=7 comm="sh" exe="/bin/sh" arch=c000003e syscall=83 code=0x50001"#;
    /// let LogLine::Denial(denial) = LogLine::read(line) else { panic!("{line}") };
    /// assert_eq!((denial.what.as_str(), denial.result.as_str()), ("mkdir", "EPERM"));
    /// ```
    pub fn read(line: &str) -> Self {
        match Line::read(line) {
            Line::Lost(count) => Self::Lost(count),
            Line::LostSinceBoot(total) => Self::LostSinceBoot(total),
            Line::Other => Self::Other,
            Line::Record(record) => match record.kind {
                Kind::Seccomp => seccomp(&record).map_or(Self::NotUnderstood, Self::denial),
                Kind::Avc => match record.word("apparmor") {
                    Some("ALLOWED" | "DENIED") => {
                        of_apparmor(&record).map_or(Self::NotUnderstood, Self::denial)
                    }
                    // Loading a profile is reported as well.
                    Some(_) => Self::Other,
                    None => selinux(line, &record).map_or(Self::Other, Self::denial),
                },
            },
        }
    }

    fn denial(denial: LoggedDenial) -> Self {
        Self::Denial(Box::new(denial))
    }
}

fn text(record: &Record<'_>, name: &str) -> Option<String> {
    let bytes = record.text(name)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn seccomp(record: &Record<'_>) -> Option<LoggedDenial> {
    let nr = record.number("syscall")?;
    let abi: Abi = abi(record.hexadecimal("arch")?, nr)?;
    let saw = answer(record.hexadecimal("code")?)?;
    Some(LoggedDenial {
        by: DeniedBy::Seccomp,
        allowed: saw.is_none(),
        time: record.time,
        pid: record.number("pid"),
        comm: text(record, "comm"),
        executable: text(record, "exe"),
        kind: ObservationKind::Syscalls,
        what: abi
            .syscall_name(nr)
            .map_or_else(|| format!("number {nr}"), str::to_owned),
        detail: abi.to_string(),
        profile: None,
        result: saw.map_or_else(|| "let through".to_owned(), plain_text::blocked),
    })
}

fn of_apparmor(record: &Record<'_>) -> Option<LoggedDenial> {
    let operation = record.word("operation")?;
    let mask = record
        .word("denied_mask")
        .or_else(|| record.word("requested_mask"));
    let (kind, what) = if operation == "capable" {
        let name = record.word("capname")?;
        (
            ObservationKind::Capabilities,
            format!("CAP_{}", name.to_ascii_uppercase()),
        )
    } else if let (Some(family), Some(kind)) = (record.word("family"), record.word("sock_type")) {
        (ObservationKind::Sockets, format!("{family} {kind}"))
    } else {
        match operation {
            "signal" => (ObservationKind::Signals, record.word("signal")?.to_owned()),
            "ptrace" => (ObservationKind::Traces, "ptrace".to_owned()),
            "mount" | "umount" | "pivotroot" => (ObservationKind::Mounts, text(record, "name")?),
            _ => (ObservationKind::Files, text(record, "name")?),
        }
    };
    let allowed = apparmor::was_allowed(record);
    Some(LoggedDenial {
        by: DeniedBy::AppArmor,
        allowed,
        time: record.time,
        pid: record.number("pid"),
        comm: text(record, "comm"),
        executable: None,
        kind,
        what,
        detail: match mask {
            Some(mask) => format!("{operation}, {mask}"),
            None => operation.to_owned(),
        },
        profile: text(record, "profile"),
        result: if allowed { "let through" } else { "EACCES" }.to_owned(),
    })
}

/// `avc:  denied  { read write } for  pid=7 comm="x" name="y" scontext=… tclass=file permissive=0`
/// (security/selinux/avc.c).
fn selinux(line: &str, record: &Record<'_>) -> Option<LoggedDenial> {
    let (before, rest) = line.split_once("{ ")?;
    if !before.contains("avc:") || !before.trim_end().ends_with("denied") {
        return None;
    }
    let (permissions, _) = rest.split_once(" }")?;
    let class = record.word("tclass")?;
    let kind = match class {
        "capability" | "capability2" | "cap_userns" => ObservationKind::Capabilities,
        "process" if permissions.contains("ptrace") => ObservationKind::Traces,
        "process" if permissions.contains("sig") => ObservationKind::Signals,
        class if class.ends_with("socket") => ObservationKind::Sockets,
        _ => ObservationKind::Files,
    };
    let name = text(record, "path").or_else(|| text(record, "name"));
    let target = record.word("tcontext").map(str::to_owned);
    let allowed = record.word("permissive") == Some("1");
    Some(LoggedDenial {
        by: DeniedBy::Selinux,
        allowed,
        time: record.time,
        pid: record.number("pid"),
        comm: text(record, "comm"),
        executable: None,
        kind,
        what: name.or(target)?,
        detail: format!("{class}, {permissions}"),
        profile: record.word("scontext").map(str::to_owned),
        result: if allowed { "let through" } else { "EACCES" }.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who, whether it took place, kind, thing, how.
    fn read(line: &str) -> (DeniedBy, bool, ObservationKind, String, String) {
        match LogLine::read(line) {
            LogLine::Denial(it) => (it.by, it.allowed, it.kind, it.what, it.detail),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_kind_of_record_is_understood() {
        let cases = [
            (
                r#"audit: type=1326 audit(1.0:1): auid=1 uid=0 gid=0 ses=1 pid=7 comm="sh" exe="/bin/sh" sig=0 arch=c000003e syscall=83 compat=0 ip=0x1 code=0x7ffc0000"#,
                (
                    DeniedBy::Seccomp,
                    true,
                    ObservationKind::Syscalls,
                    "mkdir",
                    "x86_64",
                ),
            ),
            (
                r#"type=1400 audit(1.0:2): apparmor="DENIED" operation="open" class="file" profile="web" name="/etc/shadow" pid=7 comm="cat" requested_mask="r" denied_mask="r" fsuid=0 ouid=0"#,
                (
                    DeniedBy::AppArmor,
                    false,
                    ObservationKind::Files,
                    "/etc/shadow",
                    "open, r",
                ),
            ),
            (
                r#"type=1400 audit(1.0:2): apparmor="ALLOWED" operation="capable" profile="web" pid=7 comm="x" capability=21 capname="sys_admin""#,
                (
                    DeniedBy::AppArmor,
                    true,
                    ObservationKind::Capabilities,
                    "CAP_SYS_ADMIN",
                    "capable",
                ),
            ),
            (
                r#"type=AVC msg=audit(1.0:3): avc:  denied  { read write } for  pid=7 comm="nginx" name="shadow" dev="sda1" ino=5 scontext=system_u:system_r:container_t:s0 tcontext=system_u:object_r:shadow_t:s0 tclass=file permissive=0"#,
                (
                    DeniedBy::Selinux,
                    false,
                    ObservationKind::Files,
                    "shadow",
                    "file, read write",
                ),
            ),
            (
                r#"type=1400 audit(1.0:3): avc:  denied  { net_raw } for  pid=7 comm="ping" capability=13 scontext=a:b:c:s0 tcontext=a:b:c:s0 tclass=capability permissive=1"#,
                (
                    DeniedBy::Selinux,
                    true,
                    ObservationKind::Capabilities,
                    "a:b:c:s0",
                    "capability, net_raw",
                ),
            ),
        ];
        for (line, (by, allowed, kind, what, detail)) in cases {
            let expected = (by, allowed, kind, what.to_owned(), detail.to_owned());
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn other_lines_are_told_apart() {
        let load = r#"type=1400 audit(1.0:2): apparmor="STATUS" operation="profile_load" profile="unconfined" name="web" pid=7 comm="apparmor_parser""#;
        assert_eq!(LogLine::read(load), LogLine::Other);
        let granted =
            "type=1400 audit(1.0:2): avc:  granted  { load_policy } for  pid=7 tclass=security";
        assert_eq!(LogLine::read(granted), LogLine::Other);
        let unknown = "type=1326 audit(1.0:1): pid=7 arch=12345678 syscall=83 code=0x50001";
        assert_eq!(LogLine::read(unknown), LogLine::NotUnderstood);
        let lost = "audit: audit_lost=7 audit_rate_limit=0 audit_backlog_limit=64";
        assert_eq!(LogLine::read(lost), LogLine::LostSinceBoot(7));
    }
}

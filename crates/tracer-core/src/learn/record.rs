//! One record of the kernel's audit system, as daemons and logs write it.
//!
//! The same record has many coats: `type=SECCOMP msg=audit(…): …` in the file of auditd, `audit:
//! type=1326 audit(…): …` in the kernel's log, `audit[PID]: SECCOMP …` in the journal, and any of these
//! with a time and a host before it. The type is believed only at the start of the record: what comes later may
//! be the text of a process.
//! Numbers of types: include/uapi/linux/audit.h.

use std::{collections::BTreeMap, time::Duration};

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A seccomp filter answered a call (`AUDIT_SECCOMP`, 1326).
    Seccomp,
    /// A security module decided (`AUDIT_AVC`, 1400; AppArmor's own numbers are 1501 to 1507).
    Avc,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    /// Since 1970.
    pub(super) time: Option<Duration>,
    fields: BTreeMap<&'a str, Field<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field<'a> {
    Quoted(&'a str),
    Bare(&'a str),
}

/// What a line of a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A record.
    Record(Record<'a>),
    /// The kernel says that so many records are missing.
    Lost(u64),
    /// The kernel says how many records it has lost since it booted.
    LostSinceBoot(u64),
    /// Something else.
    Other,
}

impl<'a> Line<'a> {
    /// Reads a line.
    pub(super) fn read(line: &'a str) -> Self {
        let Some(line) = without_priority(line) else {
            return Self::Other;
        };
        if let Some(lost) = suppressed(line) {
            return Self::Lost(lost);
        }
        if let Some(total) = lost_since_boot(line) {
            return Self::LostSinceBoot(total);
        }
        match kind(line) {
            Some((kind, rest)) => Self::Record(Record {
                kind,
                time: time(rest),
                fields: fields(rest),
            }),
            None => Self::Other,
        }
    }
}

impl Record<'_> {
    /// A field that the kernel writes as it is: a number, a word of its own.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        match self.fields.get(name)? {
            Field::Quoted(text) | Field::Bare(text) => Some(text),
        }
    }

    /// A decimal number.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.word(name)?.parse().ok()
    }

    /// A hexadecimal number, with `0x` or without.
    pub(super) fn hexadecimal(&self, name: &str) -> Option<u32> {
        let text = self.word(name)?;
        u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
    }

    /// A field that a program chose: in quotes, or as hexadecimal digits when it has bytes that a log
    /// could not show (kernel/audit.c, `audit_log_n_untrustedstring`).
    pub(super) fn text(&self, name: &str) -> Option<Vec<u8>> {
        match self.fields.get(name)? {
            Field::Quoted(text) => Some(text.as_bytes().to_vec()),
            Field::Bare(digits) => bytes(digits),
        }
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// The record's kind, and what is behind its type.
///
/// The type is at the start of the record, directly before `audit(TIME:SERIAL)`. Text of a process can only come
/// later: a record of a daemon (`AUDIT_USER` and others) has it in `msg='…'`, as it is.
fn kind(line: &str) -> Option<(Kind, &str)> {
    of_journal(line).or_else(|| {
        let begins = [line.find("audit("), line.find("msg=")];
        let (head, rest) = line.split_at_checked(begins.into_iter().flatten().min()?)?;
        let head = head.strip_suffix(' ')?;
        let (prefix, name) = head.rsplit_once(' ').unwrap_or(("", head));
        let kind = kind_of_type(name.strip_prefix("type=")?)?;
        // The kernel's own form follows its `audit: `, or nothing: the audit socket has no prefix.
        let is_first = match rest.strip_prefix("msg=") {
            Some(stamp) => stamp.starts_with("audit("),
            None => prefix.is_empty() || prefix.ends_with("audit:"),
        };
        (is_first && is_prefix(prefix)).then_some((kind, rest))
    })
}

/// The kind of the journal's form: `audit[PID]: SECCOMP …`, behind a time and a host.
fn of_journal(line: &str) -> Option<(Kind, &str)> {
    let (before, record) = line.split_once("]: ")?;
    let (prefix, pid) = before.rsplit_once("audit[")?;
    let (name, fields) = record.split_once(' ')?;
    let is_tag = pid.bytes().all(|it| it.is_ascii_digit())
        && (prefix.is_empty() || prefix.ends_with(' '))
        && !prefix.contains(": ");
    let is_name = name.bytes().all(|it| it.is_ascii_uppercase() || it == b'_');
    let kind = kind_of_type(name).filter(|_| is_tag && is_name && is_prefix(prefix))?;
    Some((kind, fields))
}

/// The kind of a type, by its name or its number.
fn kind_of_type(name: &str) -> Option<Kind> {
    Some(match name {
        "SECCOMP" | "1326" => Kind::Seccomp,
        "AVC" | "1400" | "APPARMOR_ALLOWED" | "APPARMOR_DENIED" => Kind::Avc,
        "1501" | "1502" | "1503" | "1504" | "1505" | "1506" | "1507" => Kind::Avc,
        _ => return None,
    })
}

/// Whether the text before a record is a log's: a time, a host, `node=HOST`, and the name of the kernel or of a
/// daemon of the audit system. Another program's name means that the program wrote the line.
///
/// A program that may write to the log under any name can still use one of these.
fn is_prefix(prefix: &str) -> bool {
    const DAEMONS: [&str; 3] = ["auditd", "audispd", "audisp-syslog"];
    // `dmesg --decode`: `kern  :notice: [   12.5] audit:`.
    let is_decoded = prefix.split_ascii_whitespace().next() == Some("kern");
    let is_word = |word: &str| match word.strip_suffix(':') {
        Some(level) if level.is_empty() || level.starts_with(':') => is_decoded,
        Some("kernel" | "audit") => true,
        // With the pid: `audispd[812]:`.
        Some(writer) => DAEMONS.contains(&writer.split('[').next().unwrap_or_default()),
        None => !word.contains(['"', '\'']) && (!word.contains('=') || word.starts_with("node=")),
    };
    prefix.split_ascii_whitespace().all(is_word)
}

/// What is behind the priority of a line of /dev/kmsg (`5,812,99,-;`) or of `dmesg --raw` (`<5>`). `None` when its
/// facility is not the kernel's, 0: what processes write to /dev/kmsg has another (kernel/printk/printk.c,
/// `devkmsg_write`). Most logs have no priority.
fn without_priority(line: &str) -> Option<&str> {
    let parts = match line.strip_prefix('<') {
        Some(line) => line.split_once('>'),
        None => line
            .split_once(';')
            .and_then(|(head, rest)| Some((head.split_once(',')?.0, rest))),
    };
    let parts = parts.and_then(|(priority, rest)| Some((priority.parse::<u32>().ok()?, rest)));
    match parts {
        Some((priority, rest)) => (priority >> 3 == 0).then_some(rest),
        None => Some(line),
    }
}

/// `audit(1700000000.123:45)` at the start of a record → time since 1970.
fn time(record: &str) -> Option<Duration> {
    let record = record.strip_prefix("msg=").unwrap_or(record);
    let stamp = record.strip_prefix("audit(")?;
    let (stamp, _) = stamp.split_once([':', ')'])?;
    let (seconds, milliseconds) = stamp.split_once('.').unwrap_or((stamp, "0"));
    let seconds = Duration::from_secs(seconds.parse().ok()?);
    // Three digits (kernel/audit.c, `audit_log_start`).
    seconds.checked_add(Duration::from_millis(milliseconds.parse().ok()?))
}

/// `kauditd_printk_skb: N callbacks suppressed` of the kernel's log: the limit of printk (lib/ratelimit.c).
fn suppressed(line: &str) -> Option<u64> {
    let (before, _) = line.split_once(" callbacks suppressed")?;
    let (before, count) = before.rsplit_once(": ")?;
    let (prefix, function) = before.rsplit_once(' ').unwrap_or(("", before));
    let is_audit = matches!(function, "kauditd_printk_skb" | "audit_printk_skb");
    let count = count.parse().ok();
    count.filter(|_| is_audit && is_prefix(prefix))
}

/// `audit: audit_lost=N audit_rate_limit=…` (kernel/audit.c, `audit_log_lost`).
fn lost_since_boot(line: &str) -> Option<u64> {
    let (prefix, rest) = line.split_once("audit: audit_lost=")?;
    let is_word = prefix.is_empty() || prefix.ends_with(' ');
    let count = rest.split(|it: char| !it.is_ascii_digit()).next()?;
    let count = count.parse().ok();
    count.filter(|_| is_word && is_prefix(prefix))
}

/// What the kernel has lost since it booted, made into what was lost since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LostSinceBoot {
    last: Option<u64>,
}

impl LostSinceBoot {
    /// Takes in the next total; returns how many were lost since the one before, at least. The first one is the
    /// base, and so is one that is lower: the machine was booted in between. The kernel reports a total when it
    /// has lost a record, so a base is at least one record.
    pub(crate) fn take(&mut self, total: u64) -> u64 {
        let last = self.last.replace(total);
        match last.and_then(|last| total.checked_sub(last)) {
            Some(lost) => lost,
            None => total.min(1),
        }
    }
}

/// `name=value` pairs; a value is in quotes or ends with a space.
fn fields(text: &str) -> BTreeMap<&str, Field<'_>> {
    let mut fields = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.rsplit(' ').next().unwrap_or(name);
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                (Field::Quoted(value), after)
            }
            None => {
                let (value, after) = after.split_once(' ').unwrap_or((after, ""));
                (Field::Bare(value.trim_end()), after)
            }
        };
        // The first one counts: the kernel's own come before what a program chose.
        fields.entry(name).or_insert(value);
        rest = after;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: &str) -> Record<'_> {
        match Line::read(line) {
            Line::Record(record) => record,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_record_is_read_in_every_coat() {
        let body = r#"auid=1000 uid=0 pid=7 comm="sh" exe="/bin/sh" sig=0 arch=c000003e syscall=83 code=0x7ffc0000"#;
        for line in [
            format!("type=SECCOMP msg=audit(1700000000.123:45): {body}"),
            format!("audit: type=1326 audit(1700000000.123:45): {body}"),
            format!("[   12.5] audit: type=1326 audit(1700000000.123:45): {body}"),
            format!("5,812,99,-;audit: type=1326 audit(1700000000.123:45): {body}"),
            format!(
                "Nov 30 10:00:00 host kernel: audit: type=1326 audit(1700000000.123:45): {body}"
            ),
            format!("Nov 30 10:00:00 host audit[7]: SECCOMP {body}"),
        ] {
            let record = record(&line);
            assert_eq!(record.kind, Kind::Seccomp, "{line}");
            assert_eq!(record.number("syscall"), Some(83), "{line}");
            assert_eq!(record.hexadecimal("arch"), Some(0xc000_003e), "{line}");
            assert_eq!(record.hexadecimal("code"), Some(0x7ffc_0000), "{line}");
            assert_eq!(
                record.text("exe").as_deref(),
                Some(&b"/bin/sh"[..]),
                "{line}"
            );
            let has_time = line.contains("audit(");
            let time = Duration::from_millis(1_700_000_000_123);
            assert_eq!(record.time, has_time.then_some(time), "{line}");
        }
    }

    #[test]
    fn text_that_a_log_cannot_show_is_in_hexadecimal() {
        let line =
            r#"type=AVC msg=audit(1.0:1): apparmor="ALLOWED" name=2F746D702F6120620A comm=7368"#;
        let record = record(line);
        assert_eq!(record.text("name").as_deref(), Some(&b"/tmp/a b\n"[..]));
        assert_eq!(record.text("comm").as_deref(), Some(&b"sh"[..]));
        assert_eq!(record.word("apparmor"), Some("ALLOWED"));
    }

    #[test]
    fn a_path_cannot_pretend_to_be_a_record() {
        let line = r#"type=AVC msg=audit(1.0:1): apparmor="DENIED" name="/x/type=SECCOMP arch=c000003e syscall=1""#;
        let record = record(line);
        assert_eq!(record.kind, Kind::Avc);
        assert_eq!(record.number("syscall"), None);
    }

    /// `AUDIT_USER…` records have the sender's text as it is, in `msg='…'`; others write to the log by themselves.
    #[test]
    fn text_of_a_process_is_no_record() {
        let forged = r#"type=1326 audit(1700000000.123:45): pid=7 comm="sh" exe="/bin/sh" arch=c000003e syscall=83 code=0x7ffc0000"#;
        let named = forged.replace("type=1326 ", "type=SECCOMP msg=");
        for line in [
            format!("type=1107 audit(1.0:1): pid=9 uid=0 auid=1 ses=1 msg='{forged}'"),
            format!("type=1107 audit(1.0:1): pid=9 uid=0 auid=1 ses=1 msg='x' {forged}"),
            format!("type=USER msg=audit(1.0:1): pid=9 uid=0 msg='{named}'"),
            format!("type=USER msg=audit(1.0:1): pid=9 uid=0 msg='{forged}'"),
            format!("type=USER_AVC msg=audit(1.0:1): pid=9 uid=0 msg='type=AVC {named}'"),
            format!("audit: type=1107 audit(1.0:1): pid=9 msg='audit: {forged}'"),
            format!("Nov 30 10:00:00 host audit[9]: USER pid=9 msg='audit[7]: SECCOMP {forged}'"),
            format!("Nov 30 10:00:00 host audit[9]: USER pid=9 msg='{forged}'"),
            format!("Nov 30 10:00:00 host web[9]: audit: {forged}"),
            format!("Nov 30 10:00:00 host web: {named}"),
            format!("Nov 30 10:00:00 host web[9]: audit[7]: SECCOMP {forged}"),
            format!("5,812,99,-;web: audit: {forged}"),
            format!("web {forged}"),
            format!("msg='{forged}'"),
            format!("type=1326 msg='{forged}'"),
        ] {
            assert_eq!(Line::read(&line), Line::Other, "{line}");
        }
    }

    #[test]
    fn prefixes_of_logs_are_known() {
        let kernel = r#"audit: type=1503 audit(1.0:1): apparmor="DENIED" name="/x""#;
        let daemon = r#"type=AVC msg=audit(1.0:1): apparmor="DENIED" name="/x""#;
        for line in [
            format!("[Mon Nov 30 10:00:00 2026] {kernel}"),
            format!("kern  :notice: [   12.5] {kernel}"),
            format!("kern  :warn  : [   12.5] {kernel}"),
            format!("2026-11-30T10:00:00.1+00:00 host kernel: [   12.5] {kernel}"),
            format!("node=host {daemon}"),
            format!("Nov 30 10:00:00 host audisp-syslog[812]: node=host {daemon}"),
            r#"Nov 30 10:00:00 host audit[7]: AVC apparmor="DENIED" name="/x""#.to_owned(),
        ] {
            let record = record(&line);
            assert_eq!(record.kind, Kind::Avc, "{line}");
            assert_eq!(record.word("apparmor"), Some("DENIED"), "{line}");
        }
    }

    #[test]
    fn missing_records_are_counted() {
        let suppressed = "kauditd_printk_skb: 12 callbacks suppressed";
        assert_eq!(Line::read(suppressed), Line::Lost(12));
        for prefix in [
            "",
            "4,812,99,-;",
            "<4>",
            "[   12.5] ",
            "Nov 30 10:00:00 host kernel: ",
        ] {
            let line = format!("{prefix}{suppressed}");
            assert_eq!(Line::read(&line), Line::Lost(12), "{line}");
            let line = format!("{prefix}audit: audit_lost=7 audit_rate_limit=0");
            assert_eq!(Line::read(&line), Line::LostSinceBoot(7), "{line}");
        }
        for line in [
            "nothing",
            "net_ratelimit: 3 callbacks suppressed",
            // Facility 1: a process wrote it to /dev/kmsg.
            "12,812,99,-;audit: audit_lost=7 audit_rate_limit=0",
            "12,812,99,-;kauditd_printk_skb: 12 callbacks suppressed",
            r#"12,812,99,-;audit: type=1326 audit(1.0:1): arch=c000003e syscall=83 code=0x50001"#,
            r#"<13>audit: type=1326 audit(1.0:1): arch=c000003e syscall=83 code=0x50001"#,
            "Nov 30 10:00:00 host web: audit: audit_lost=7",
            "Nov 30 10:00:00 host web[7]: kauditd_printk_skb: 12 callbacks suppressed",
            r#"audit: type=1400 audit(1.0:1): x="audit: audit_lost=7""#,
            "type=1107 audit(1.0:1): msg='audit: audit_lost=7 audit_rate_limit=0'",
            "type=1107 audit(1.0:1): msg='kauditd_printk_skb: 12 callbacks suppressed'",
        ] {
            let is_lost = matches!(Line::read(line), Line::Lost(_) | Line::LostSinceBoot(_));
            assert!(!is_lost, "{line}");
        }
        let forged = "12,812,99,-;audit: type=1326 audit(1.0:1): arch=c000003e syscall=83";
        assert_eq!(Line::read(forged), Line::Other);
    }

    #[test]
    fn totals_are_counted_by_their_differences() {
        let mut lost = LostSinceBoot::default();
        // The base, more, the same line again, and a boot.
        let taken = [1_000, 1_004, 1_004, 3, 5].map(|total| lost.take(total));
        assert_eq!(taken, [1, 4, 0, 1, 2]);
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read(line in "(type=(SECCOMP|AVC|1326) )?\\PC{0,80}[=\" a-f0-9]{0,20}") {
            let _ = Line::read(&line);
        }
    }
}

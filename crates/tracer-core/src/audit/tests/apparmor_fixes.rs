//! The advice of findings about AppArmor, applied: the finding is gone, and nothing new is found.

use super::report;

/// A rule that is found, the finding's id, and the rule as the advice has it.
const FIXES: [(&str, &str, &str); 20] = [
    ("/run/docker.sock rw,", "apparmor-engine-socket", ""),
    ("/dev/sd* rw,", "apparmor-raw-device", "/dev/loop7 rw,"),
    (
        "/proc/sys/kernel/** w,",
        "apparmor-proc-sys",
        "/proc/sys/kernel/** r,",
    ),
    ("/etc/** rw,", "apparmor-host-files", "/etc/web/** rw,"),
    ("capability sys_admin,", "apparmor-capability", ""),
    (
        "change_profile,",
        "apparmor-change-profile",
        "change_profile -> web-worker,",
    ),
    (
        "mount options=bind,",
        "apparmor-mount",
        "mount options=(rw, bind) /srv/a/ -> /srv/b/,",
    ),
    (
        "ptrace (trace),",
        "apparmor-ptrace",
        "ptrace (trace) peer=@{profile_name},",
    ),
    (
        "dbus,",
        "apparmor-dbus",
        "dbus send bus=system peer=(name=org.example.Service),",
    ),
    (
        "/usr/bin/a Ux,",
        "apparmor-unconfined-exec",
        "/usr/bin/a ix,",
    ),
    (
        "/srv/** rwix,",
        "apparmor-write-exec",
        "/srv/bin/* ix,\n  /srv/data/** rw,",
    ),
    ("file,", "apparmor-allows-everything", "/srv/** rw,"),
    (
        "capability,",
        "apparmor-allows-everything",
        "capability chown,",
    ),
    (
        "network,",
        "apparmor-allows-everything",
        "network inet stream,",
    ),
    (
        "file,\n  mount,\n  deny /proc/kcore r,",
        "apparmor-deny-bypass",
        "file,\n  deny mount,\n  deny /proc/kcore r,",
    ),
    (
        "/** r,\n  deny owner /proc/1/environ r,",
        "apparmor-deny-bypass",
        "/** r,\n  deny /proc/1/environ r,",
    ),
    (
        "/** r,\n  link /tmp/* -> /srv/**,\n  deny /srv/key r,",
        "apparmor-deny-bypass",
        "/** r,\n  link subset /tmp/* -> /srv/**,\n  deny /srv/key r,",
    ),
    ("/a r,\n  deny /a r,", "apparmor-deny-overlap", "deny /a r,"),
    ("@{NO}/a r,", "apparmor-undefined-variable", "/no/a r,"),
    ("/a rx,", "apparmor-not-understood", "/a rix,"),
];

#[test]
fn advice_closes_the_finding_and_opens_none() {
    let ids = |rules: &str| -> Vec<&'static str> {
        let text =
            format!("abi <abi/3.0>,\ninclude <tunables/global>\nprofile web {{\n  {rules}\n}}\n");
        let report = report("a.profile", &text);
        assert_eq!(report.malformed, [], "{rules}");
        report.findings.iter().map(|finding| finding.id).collect()
    };
    for (rules, id, fixed) in FIXES {
        let before = ids(rules);
        assert!(before.contains(&id), "{rules}: {before:?}");
        let after = ids(fixed);
        assert!(!after.contains(&id), "{fixed}: {after:?}");
        let new = after.iter().find(|id| !before.contains(id));
        assert_eq!(new, None, "{fixed}");
    }
}

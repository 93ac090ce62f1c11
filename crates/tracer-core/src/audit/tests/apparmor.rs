//! AppArmor text.

use super::by_place;
use super::report;

fn apparmor(text: &str) -> Vec<(usize, &'static str)> {
    let findings = by_place(report("a.profile", text).findings);
    findings
        .iter()
        .map(|finding| (finding.place.line, finding.id))
        .collect()
}

#[test]
fn reports_each_apparmor_rule() {
    let text = "\
profile web flags=(attach_disconnected,complain) {
  file,
  capability,
  network,
  /usr/bin/helper ux,
  /usr/bin/other PUx,
  /tmp/** rw,
  /tmp/run ix,
  /proc/sys/kernel/core_pattern w,
  @{PROC}/@{pid}/attr/exec w,
  /etc/passwd r,
  deny /etc/passwd rw,
  deny /proc/sysrq-trigger w,
  capability chown,
  deny capability chown,
}
";
    let expected = [
        (1, "apparmor-complain"),
        (1, "apparmor-no-abi"),
        (2, "apparmor-allows-everything"),
        (3, "apparmor-allows-everything"),
        (4, "apparmor-allows-everything"),
        (5, "apparmor-unconfined-exec"),
        (6, "apparmor-unconfined-exec"),
        (7, "apparmor-write-exec"),
        (9, "apparmor-proc-sys"),
        (10, "apparmor-proc-sys"),
        (12, "apparmor-deny-overlap"),
        (15, "apparmor-deny-overlap"),
    ];
    assert_eq!(apparmor(text), expected);
    let good = "\
abi <abi/3.0>,
include <tunables/global>
profile web flags=(attach_disconnected,mediate_deleted) {
  include <abstractions/base>
  /usr/sbin/nginx mrix,
  /var/log/nginx/* w,
  capability net_bind_service,
  network inet stream,
  deny @{PROC}/* w,
}
";
    assert_eq!(apparmor(good), []);
}

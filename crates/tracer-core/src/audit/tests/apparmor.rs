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
        (10, "apparmor-undefined-variable"),
        // The directory around it can be renamed.
        (12, "apparmor-deny-bypass"),
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

fn error(text: &str) -> String {
    let report = report("f", text);
    assert_eq!(report.profiles, 0, "{text}");
    report.malformed[0].to_string()
}

#[test]
fn other_programs_files_are_not_apparmor() {
    for text in [
        "include x.local\ncaps.drop all\nnetfilter\n",
        "include other.profile\n",
        "include config.mk\nall: a\n\tcc a.c\n",
        "#include <stdio.h>\n\nint main(void) {\n  return 0;\n}\n",
        "#include \"a.h\"\nint a;\n",
        "profile\nx\n",
    ] {
        let error = error(text);
        assert!(error.contains("not an AppArmor profile"), "{text}: {error}");
    }
    assert_eq!(
        error("include x.local\nnet none\n"),
        "f:1:1: not an AppArmor profile: it contains none, and `include x.local` is not an AppArmor rule"
    );
    // Nor is a server's configuration in a ConfigMap.
    let map = "apiVersion: v1\nkind: ConfigMap\ndata:\n  nginx.conf: |\n    include mime.types;\n    events {\n      x 1;\n    }\n";
    assert!(error(map).contains("ConfigMap (v1) has no pod template"));
    // Parts that others include are AppArmor.
    for text in [
        "@{MY} = /a /b\nalias /a -> /b,\n",
        "include <abstractions/base> # why\n/a r,\n\"/b c\" rw,\n",
        "# ours\n/a r, # why\n",
        "  capability chown,\n",
        "^hat {\n  /a r,\n}\n",
    ] {
        assert_eq!(apparmor(text), [], "{text}");
    }
    let local = "#include \"local/a\"\n";
    assert_eq!(apparmor(local), [(1, "apparmor-not-included")]);
}

#[test]
fn missing_commas_and_braces_are_errors() {
    for (text, expected) in [
        (
            "profile a {\n  /a r\n  /b ix,\n}\n",
            "f:2:7: the comma at the end",
        ),
        (
            "profile a {\n  capability chown # x\n  deny /b w,\n}\n",
            "f:2:23: the comma at the end",
        ),
        (
            "profile a {\n  /a r,\n  /b w\n}\n",
            "f:3:7: the comma at the end",
        ),
        (
            "profile a {\n  network inet\n  /b w,\n}\n",
            "f:2:15: the comma at the end",
        ),
        (
            "profile a {\n  unix\n\n  capability chown,\n}\n",
            "f:2:7: the comma at the end",
        ),
        (
            "profile a {\n  /a r\n  profile b {\n  }\n}\n",
            "f:2:7: the comma at the end",
        ),
        (
            "profile a {\n  /a r,\n",
            "f:1:1: this profile is not closed",
        ),
        ("profile a {\n}\n}\n", "f:3:1: this closes no profile"),
    ] {
        let error = error(text);
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn rules_that_are_not_understood_are_reported() {
    let text =
        "abi <abi/4.0>,\nprofile a {\n  fence everything,\n  capability no_such,\n  /a q,\n}\n";
    assert_eq!(
        apparmor(text),
        [
            (3, "apparmor-not-understood"),
            (4, "apparmor-not-understood"),
            (5, "apparmor-not-understood"),
        ]
    );
    let good = "abi <abi/4.0>,\n@{x}=a\nprofile a {,/usr}/bin/a flags=(attach_disconnected) { # b\n  include if exists <local/a>\n  {,/usr}/bin/x r,\n  deny {,/usr}/bin/y w,\n  /z r,# c\n  owner link /a -> /b,\n  /c Px -> other,\n  dbus send\n    bus=system\n    path=/a,\n  set rlimit nofile <= 7,\n  mount options=(ro bind) /a -> /b,\n  change_profile /a -> b,\n  signal (send) peer=x,\n  audit {\n    /q r,\n  }\n}\n";
    assert_eq!(apparmor(good), []);
}

#[test]
fn profiles_of_other_sandboxes_are_named() {
    for (text, expected) in [
        ("# web\ncaps.drop all\nseccomp\n", "one of firejail"),
        (
            "include x.local\nnoblacklist ${HOME}/.x\n",
            "one of firejail",
        ),
        ("read: 1\nioctl: arg1 == 0x5401\n", "a policy of minijail"),
        (
            "@include /a\nopenat: return 1\nmmap: { arg2 in 1, allow }\n",
            "a policy of minijail",
        ),
    ] {
        assert!(error(text).contains(expected), "{text}: {}", error(text));
    }
}

/// Each of these took time that grew with the square of its length, in some version.
#[test]
fn long_statements_take_linear_time() {
    let lines = 50_000;
    for text in [
        format!("profile a {{\n  @{{{}", "\n".repeat(lines)),
        format!("profile a {{\n  fence{}", "\n  x".repeat(lines)),
        format!(
            "profile a {{\n  ${}{}",
            "a".repeat(lines),
            "\n".repeat(lines)
        ),
        format!("profile a {{\n{}", "{\n".repeat(lines)),
    ] {
        assert!(!error(&text).is_empty());
    }
}

#[test]
fn wide_exec_rule_covers_what_can_be_written() {
    let of = |rules: &str| apparmor(&format!("abi <abi/3.0>,\nprofile a {{\n{rules}}}\n"));
    assert_eq!(
        of("  /srv/** ix,\n  /srv/up/** rw,\n"),
        [(4, "apparmor-write-exec")]
    );
    assert_eq!(of("  /srv/** ix,\n  /data/** rw,\n"), []);
}

//! Files that profiles include, and what is known of those of the distribution where they are not at hand.

use crate::parse::Input;

/// What became of a file that a profile includes.
#[derive(Clone, Debug)]
pub enum Included {
    /// It is there; of a directory, its files.
    Files(Vec<Input>),
    /// It is not.
    Missing,
    /// It cannot be read; why.
    Unreadable(String),
}

/// What files of AppArmor's own packages say, as far as the audit asks: variables, and what may be written, executed
/// and reached. Tests hold each rule against the files of the machine, where it has them.
pub(super) fn known(name: &str) -> Option<&'static str> {
    let found = KNOWN.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text).or_else(|| {
        // Of all others here nothing is asked.
        NOTHING_ASKED.contains(&name).then_some("")
    })
}

/// Names, and rules and assignments in our words.
static KNOWN: [(&str, &str); 19] = [
    (
        "tunables/global",
        "include <tunables/home>\ninclude <tunables/multiarch>\ninclude <tunables/proc>\ninclude <tunables/kernelvars>\ninclude <tunables/xdg-user-dirs>\ninclude <tunables/etc>\ninclude <tunables/run>\n",
    ),
    (
        "tunables/home",
        "@{HOMEDIRS}=/home/\n@{HOME}=@{HOMEDIRS}/*/ /root/\n",
    ),
    ("tunables/multiarch", "@{multiarch}=*-linux-gnu*\n"),
    ("tunables/proc", "@{PROC}=/proc/\n"),
    ("tunables/sys", "@{sys}=/sys/\n"),
    (
        "tunables/securityfs",
        "@{sys}=/sys/\n@{securityfs}=/sys/kernel/security/\n",
    ),
    (
        "tunables/kernelvars",
        "@{pid}=[1-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]}}}}}}\n@{pids}=@{pid}\n@{tid}=@{pid}\n@{uid}=[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]{,[0-9]}}}}}}}}}\n@{uids}=@{uid}\n@{sys}=/sys/\n",
    ),
    (
        "tunables/xdg-user-dirs",
        "@{XDG_DESKTOP_DIR}=Desktop\n@{XDG_DOWNLOAD_DIR}=Downloads\n@{XDG_TEMPLATES_DIR}=Templates\n@{XDG_PUBLICSHARE_DIR}=Public\n@{XDG_DOCUMENTS_DIR}=Documents\n@{XDG_MUSIC_DIR}=Music\n@{XDG_PICTURES_DIR}=Pictures\n@{XDG_VIDEOS_DIR}=Videos\n",
    ),
    (
        "tunables/etc",
        "@{etc_ro}=/etc/ /usr/etc/\n@{etc_rw}=/etc/\n",
    ),
    ("tunables/run", "@{run}=/run/ /var/run/\n"),
    ("abstractions/bash", "/{usr/,}bin/bash rix,\n"),
    ("abstractions/dbus", "dbus bus=system,\n"),
    ("abstractions/dbus-session", "dbus bus=session,\n"),
    (
        "abstractions/dbus-strict",
        "dbus send bus=system path=/org/freedesktop/DBus peer=(name=org.freedesktop.DBus),\n",
    ),
    ("abstractions/perl", "/usr/bin/perl rmix,\n"),
    (
        "abstractions/private-files",
        "deny @{HOME}/.*history mrwkl,\n",
    ),
    (
        "abstractions/user-tmp",
        "owner /tmp/** rwkl,\nowner /var/tmp/** rwkl,\n",
    ),
    (
        "abstractions/user-write",
        "owner @{HOME}/[^.]* rwl,\nowner @{HOME}/Desktop/** rwl,\n",
    ),
    (
        "abstractions/user-mail",
        "owner @{HOME}/[mM]ail/** rwl,\nowner @{HOME}/Maildir/** rwl,\n",
    ),
];

/// Files that give nothing of what the audit asks about: they are for reading, for sockets of one service, or for the
/// program's own settings.
static NOTHING_ASKED: [&str; 29] = [
    "tunables/alias",
    "abstractions/X",
    "abstractions/aspell",
    "abstractions/audio",
    "abstractions/authentication",
    "abstractions/base",
    "abstractions/consoles",
    "abstractions/crypto",
    "abstractions/cups-client",
    "abstractions/dconf",
    "abstractions/enchant",
    "abstractions/fonts",
    "abstractions/freedesktop.org",
    "abstractions/gnome",
    "abstractions/ibus",
    "abstractions/kerberosclient",
    "abstractions/ldapclient",
    "abstractions/mdns",
    "abstractions/mysql",
    "abstractions/nameservice",
    "abstractions/nis",
    "abstractions/openssl",
    "abstractions/p11-kit",
    "abstractions/python",
    "abstractions/ruby",
    "abstractions/ssl_certs",
    "abstractions/ssl_keys",
    "abstractions/wutmp",
    "abstractions/xdg-desktop",
];

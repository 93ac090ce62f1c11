//! Learn on all runs but one; count what the last one misses, and what is granted in excess.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use tracer_core::{
    profile::apparmor::{AppArmorProfile, Options, Permissions, Policy},
    recording::{FileAccess, FilePath, FileUse, ObservedAccess},
};
use tracer_tests::Outcome;

use super::fixture::{recording, used};

/// Runs in each workload.
const RUNS: u32 = 4;

/// A workload's accesses in a run, and files beside them that it never uses.
struct Workload {
    name: &'static str,
    run: fn(u32) -> Vec<(String, FileAccess)>,
    foreign: &'static [&'static str],
    /// Which of them `safe` opens, as docs/apparmor.md says: no more, and no fewer without a word there.
    opened: &'static [&'static str],
}

/// Numbers that look random and are the same each time.
fn made_up(run: u32, salt: u32, count: usize, letters: &[u8]) -> String {
    let mut state = u64::from(run) << 32 | u64::from(salt) | 1;
    (0..count)
        .map(|_| {
            // The constants of Knuth's MMIX.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(letters[(state >> 33) as usize % letters.len()])
        })
        .collect()
}

const HEX: &[u8] = b"0123456789abcdef";
const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const PYTHON: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789_";

const WORKLOADS: &[Workload] = &[
    Workload {
        name: "web server",
        run: |run| {
            let read = FileAccess::Read;
            let mut all: Vec<_> = [
                "/etc/nginx/nginx.conf",
                "/etc/passwd",
                "/usr/lib/x86_64-linux-gnu/libc.so.6",
            ]
            .map(|path| (path.to_owned(), read))
            .to_vec();
            // Each run serves other pages of many.
            all.extend((0..30).map(|page| {
                (
                    format!("/srv/www/{}.html", made_up(run, page, 7, b"abcdefgh")),
                    read,
                )
            }));
            all.push((format!("/proc/{}/stat", 100 + run * 31), read));
            all
        },
        foreign: &[
            "/etc/shadow",
            "/srv/www/.htpasswd",
            "/proc/kcore",
            "/etc/nginx/key.pem",
            "/srv/www/a/b.html",
            "/srv/www/draft.html",
        ],
        opened: &["/srv/www/draft.html"],
    },
    Workload {
        name: "database",
        run: |run| {
            let temporary = format!("/data/temp-{}.rdb", 4000 + run * 17);
            vec![
                ("/data/dump.rdb".to_owned(), FileAccess::RenameTo),
                (temporary.clone(), FileAccess::Create),
                (temporary, FileAccess::RenameFrom),
                (
                    format!("/data/wal/{}", made_up(run, 1, 32, HEX)),
                    FileAccess::Write,
                ),
                ("/etc/redis/redis.conf".to_owned(), FileAccess::Read),
            ]
        },
        foreign: &[
            "/data/secret",
            "/data/temp-x.rdb",
            "/etc/redis/users.acl",
            "/data/wal/x",
            "/data/temp-1.key",
        ],
        opened: &[],
    },
    Workload {
        name: "Python with temporary files",
        run: |run| {
            let directory = format!("/tmp/tmp{}", made_up(run, 1, 8, PYTHON));
            vec![
                (format!("{directory}/"), FileAccess::MakeDirectory),
                (format!("{directory}/out.csv"), FileAccess::Write),
                (
                    format!("/tmp/build.{}", made_up(run, 2, 6, ALNUM)),
                    FileAccess::Create,
                ),
                (
                    format!("/dev/shm/sem.{}", made_up(run, 3, 6, ALNUM)),
                    FileAccess::Create,
                ),
                ("/usr/lib/python3.11/os.py".to_owned(), FileAccess::Read),
            ]
        },
        foreign: &[
            "/tmp/.X11-unix/X0",
            "/tmp/other",
            "/tmp/tmpx",
            "/usr/lib/python3.11/site.py",
            "/tmp/tmpof_oth/",
        ],
        opened: &[],
    },
    Workload {
        name: "replicas of a pod",
        run: |run| {
            let pod = format!(
                "web-6d4cf56db6-{}",
                made_up(run, 1, 5, b"bcdfghjklmnpqrstvwxz2456789")
            );
            vec![
                (format!("/var/log/app/{pod}.log"), FileAccess::Append),
                (format!("/var/lib/app/{pod}/state"), FileAccess::Write),
                (format!("/var/lib/app/shard-{run}/data"), FileAccess::Write),
                ("/etc/app.conf".to_owned(), FileAccess::Read),
            ]
        },
        foreign: &[
            "/var/log/app/audit",
            "/var/lib/app/master.key",
            "/var/lib/app/web-1/key",
            "/var/log/app/web-6d4cf56db6-x.log",
            "/etc/app.key",
            "/var/lib/app/shard-9/key",
        ],
        opened: &["/var/log/app/web-6d4cf56db6-x.log"],
    },
];

fn seen(workload: &Workload, runs: impl Iterator<Item = u32>) -> Vec<ObservedAccess<FileUse>> {
    runs.flat_map(|run| {
        let all: BTreeSet<_> = (workload.run)(run).into_iter().collect();
        all.into_iter()
            .map(move |(path, access)| used(path.as_bytes(), access, &[run]))
    })
    .collect()
}

#[test]
fn safe_generalisation_covers_the_next_run() -> Outcome {
    println!("| workload | policy | rules | missed by the last run | foreign files opened |");
    println!("| --- | --- | --- | --- | --- |");
    for workload in WORKLOADS {
        let mut before = None;
        for (name, generalise) in [
            ("none", Policy::None),
            ("safe", Policy::Safe),
            ("wide", Policy::Wide),
        ] {
            let learned = recording(RUNS - 1, seen(workload, 0..RUNS - 1));
            let options = Options {
                generalise,
                ..Options::default()
            };
            let profile =
                AppArmorProfile::from_recordings(&[learned], &options).context("a profile")?;
            let last = seen(workload, RUNS - 1..RUNS);
            let missed = last.iter().filter(|file| {
                let needed = Permissions::needed_by(file.what.access);
                !profile.allows(&file.what.path, needed, true)
            });
            let missed = missed.count();
            let opened = workload.foreign.iter().copied().filter(|path| {
                let path = FilePath::from(*path);
                [Permissions::READ, Permissions::WRITE, Permissions::APPEND]
                    .iter()
                    .any(|permission| profile.allows(&path, *permission, true))
            });
            let opened: Vec<_> = opened.collect();
            println!(
                "| {} | {name} | {} | {missed} of {} | {} of {} |",
                workload.name,
                profile.files().count(),
                last.len(),
                opened.len(),
                workload.foreign.len()
            );
            ensure!(
                before.is_none_or(|before| missed <= before),
                "{name} misses more"
            );
            ensure!(
                generalise != Policy::None || opened.is_empty(),
                "{name} opens {opened:?}"
            );
            ensure!(
                generalise != Policy::Safe || opened == workload.opened,
                "of {}, {name} opens {opened:?}",
                workload.name
            );
            ensure!(
                generalise != Policy::Safe || missed == 0,
                "{name} misses {missed}"
            );
            before = Some(missed);
        }
    }
    Ok(())
}

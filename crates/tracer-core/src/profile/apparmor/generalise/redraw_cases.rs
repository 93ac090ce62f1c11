//! What programs do with names that they draw at random, as their sources say.

use crate::{
    profile::apparmor::fixture,
    recording::{FileAccess, FileUse, Provenance},
};

const SMALL: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const PYTHON: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789_";
const BASE36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const ALNUM: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const PERL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
const URL: &[u8] = b"useandom-26T198340PX75pxJACKVERYMINDBUSHWOLF_GQZbfghjklqvwyzrict";
const HEX: &[u8] = b"0123456789abcdef";

/// Draws that are the same each time the test runs.
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn letters(&mut self, count: usize, of: &[u8]) -> String {
        (0..count)
            .map(|_| char::from(of[usize::try_from(self.below(of.len() as u64)).unwrap()]))
            .collect()
    }

    fn base36(&mut self, end: u64) -> String {
        let mut left = self.below(end);
        let mut digits = Vec::new();
        loop {
            digits.push(char::from(BASE36[usize::try_from(left % 36).unwrap()]));
            left /= 36;
            if left == 0 {
                return digits.into_iter().rev().collect();
            }
        }
    }

    fn pid(&mut self) -> u64 {
        2 + self.below(4_194_302)
    }
}

pub(super) type Run = Vec<FileUse>;

fn file(path: &str, access: FileAccess, provenance: Option<Provenance>) -> FileUse {
    FileUse {
        owned: true,
        provenance,
        ..fixture::file(path.as_bytes(), access)
    }
}

/// A file that is made with `O_EXCL`, written and removed.
fn exclusive(path: &str) -> Run {
    let created = Some(Provenance::MadeExclusively);
    vec![
        file(path, FileAccess::Create, Some(Provenance::Made)),
        file(path, FileAccess::Create, created),
        file(path, FileAccess::Write, None),
        file(path, FileAccess::Remove, None),
    ]
}

/// One that stays.
fn kept(path: &str) -> Run {
    exclusive(path).into_iter().take(3).collect()
}

/// A file that is made without `O_EXCL`, and removed.
fn plain(path: &str) -> Run {
    vec![
        file(path, FileAccess::Create, Some(Provenance::Made)),
        file(path, FileAccess::Write, None),
        file(path, FileAccess::Remove, None),
    ]
}

/// A directory that is made, and removed.
fn directory(path: &str) -> Run {
    vec![
        file(path, FileAccess::MakeDirectory, None),
        file(path, FileAccess::RemoveDirectory, None),
    ]
}

fn renamed(from: &str, to: &str) -> Run {
    vec![
        file(from, FileAccess::RenameFrom, None),
        file(to, FileAccess::RenameTo, Some(Provenance::Made)),
    ]
}

fn read(path: &str) -> Run {
    vec![file(path, FileAccess::Read, None)]
}

/// A program: what it does with names in a run, the rules that it may take for that, and what lies beside.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) command: &'static [&'static str],
    pub(super) run: fn(&mut Draw) -> Run,
    pub(super) rules: usize,
    pub(super) beside: &'static [&'static str],
}

const IN_TMP: &[&str] = &[
    "/tmp/other",
    "/tmp/.X11-unix/X0",
    "/tmp/tmpx",
    "/tmp/work-notes",
    "/tmp/important-file.txt",
    "/tmp/x",
    "/var/tmp/other",
    "/data/secret",
    "/data/config.json",
    "/dev/shm/other",
];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "tempfile (Python)",
        command: &["python3", "t.py"],
        run: |draw| {
            let tree = format!("/var/tmp/tmp{}", draw.letters(8, PYTHON));
            let settled = format!("/tmp/tmp{}", draw.letters(8, PYTHON));
            [
                exclusive(&format!("/tmp/work-{}", draw.letters(8, PYTHON))),
                exclusive(&format!("/tmp/zebra-{}", draw.letters(8, PYTHON))),
                exclusive(&format!("/data/tmp{}.csv", draw.letters(8, PYTHON))),
                directory(&format!("{tree}/")),
                plain(&format!("{tree}/part.{}", draw.pid())),
                kept(&settled),
                renamed(&settled, "/tmp/settled"),
                vec![file("/tmp/settled", FileAccess::Remove, None)],
            ]
            .concat()
        },
        rules: 7,
        beside: IN_TMP,
    },
    Case {
        name: "tempfile (Python) with a glued prefix, a suffix and underscores",
        command: &["python3", "t.py"],
        run: |draw| {
            [
                exclusive(&format!("/tmp/zebra{}", draw.letters(8, PYTHON))),
                exclusive(&format!("/tmp/pre_{}", draw.letters(8, PYTHON))),
                exclusive(&format!("/tmp/{}-zebra", draw.letters(8, PYTHON))),
                exclusive(&format!("/tmp/{}.okapi", draw.letters(8, PYTHON))),
                exclusive(&format!("/tmp/tmp{}_report.txt", draw.letters(8, PYTHON))),
            ]
            .concat()
        },
        rules: 5,
        beside: &["/tmp/other", "/tmp/tmpx", "/tmp/x", "/tmp/.X11-unix/X0"],
    },
    Case {
        name: "multiprocessing (Python)",
        command: &["python3", "t.py"],
        run: |draw| {
            let tree = format!("/tmp/pymp-{}", draw.letters(8, PYTHON));
            let socket = format!("{tree}/listener-{}", draw.letters(8, PYTHON));
            [
                directory(&format!("{tree}/")),
                vec![
                    file(&socket, FileAccess::Create, Some(Provenance::Made)),
                    file(&socket, FileAccess::Remove, None),
                ],
                exclusive(&format!("/dev/shm/psm_{}", draw.letters(8, HEX))),
                exclusive(&format!("/dev/shm/sem.mp-{}", draw.letters(8, PYTHON))),
            ]
            .concat()
        },
        rules: 4,
        beside: IN_TMP,
    },
    Case {
        name: "gunicorn",
        command: &["gunicorn", "app:app"],
        run: |draw| exclusive(&format!("/tmp/wgunicorn-{}", draw.letters(8, PYTHON))),
        rules: 1,
        beside: IN_TMP,
    },
    Case {
        name: "mkstemp (C), and programs that call it",
        command: &["sort", "input"],
        run: |draw| {
            [
                exclusive(&format!("/tmp/quagga.{}", draw.letters(6, ALNUM))),
                exclusive(&format!("/tmp/sort{}", draw.letters(6, ALNUM))),
                exclusive(&format!("/tmp/cc{}.s", draw.letters(6, ALNUM))),
                exclusive(&format!("/data/.input.{}", draw.letters(6, ALNUM))),
                exclusive(&format!("/data/{}", draw.letters(6, ALNUM))),
            ]
            .concat()
        },
        rules: 5,
        // Of six letters is what lies in the same directory, and no name tells it from one that was drawn.
        beside: &[
            "/tmp/other",
            "/tmp/tmpx",
            "/data/config.json",
            "/data/.input.old",
        ],
    },
    Case {
        name: "mktemp (1)",
        command: &["bash", "t.sh"],
        run: |draw| {
            let tree = format!("/tmp/tmp.{}", draw.letters(10, ALNUM));
            [
                exclusive(&format!("/tmp/tmp.{}", draw.letters(10, ALNUM))),
                exclusive(&format!("/tmp/okapi.{}", draw.letters(4, ALNUM))),
                exclusive(&format!("/tmp/t-{}.txt", draw.letters(6, ALNUM))),
                directory(&format!("{tree}/")),
                plain(&format!("{tree}/a/b.txt")),
                plain(&format!("/tmp/t.{}", draw.pid())),
            ]
            .concat()
        },
        rules: 6,
        beside: IN_TMP,
    },
    Case {
        name: "File::Temp (Perl)",
        command: &["perl", "t.pl"],
        run: |draw| exclusive(&format!("/tmp/{}", draw.letters(10, PERL))),
        rules: 1,
        // Of ten letters is `work-notes`: a glob cannot tell it from one that was drawn.
        beside: &["/tmp/other", "/tmp/tmpx"],
    },
    Case {
        name: "os.CreateTemp and MkdirTemp (Go)",
        command: &["./server"],
        run: |draw| {
            let tree = format!("/tmp/go-build{}", draw.below(1 << 32));
            [
                exclusive(&format!("/tmp/zebra-{}.txt", draw.below(1 << 32))),
                exclusive(&format!("/tmp/zebra{}", draw.below(1 << 32))),
                exclusive(&format!("/data/{}", draw.below(1 << 32))),
                directory(&format!("{tree}/")),
                plain(&format!("{tree}/b001/importcfg")),
            ]
            .concat()
        },
        rules: 5,
        beside: &["/tmp/other", "/tmp/tmpx", "/data/secret", "/tmp/zebra.c"],
    },
    Case {
        name: "Node",
        command: &["node", "t.js"],
        run: |draw| {
            let tree = format!("/tmp/zebra-{}", draw.letters(6, ALNUM));
            [
                directory(&format!("{tree}/")),
                plain(&format!("{tree}/a.txt")),
                plain(&format!("/data/{}", draw.base36(1 << 53))),
                plain(&format!("/data/{}.json", draw.letters(21, URL))),
            ]
            .concat()
        },
        rules: 4,
        beside: IN_TMP,
    },
    Case {
        name: "Java",
        command: &["java", "T"],
        run: |draw| {
            [
                exclusive(&format!("/tmp/zebra{}.tmp", draw.next())),
                plain(&format!("/tmp/hsperfdata_root/{}", draw.pid())),
                plain(&format!("/tmp/.java_pid{}", draw.pid())),
                directory(&format!("/tmp/okapi{}/", draw.next())),
            ]
            .concat()
        },
        rules: 4,
        beside: IN_TMP,
    },
    Case {
        name: "Tempfile (Ruby)",
        command: &["ruby", "t.rb"],
        run: |draw| {
            let day = format!("202601{:02}", 1 + draw.below(28));
            let (pid, random) = (draw.pid(), draw.base36(36_u64.pow(6)));
            [
                exclusive(&format!("/tmp/zebra{day}-{pid}-{random}")),
                exclusive(&format!("/tmp/zebra{day}-{pid}-{random}.txt")),
                directory(&format!("/tmp/d{day}-{pid}-{random}/")),
            ]
            .concat()
        },
        rules: 3,
        beside: IN_TMP,
    },
    Case {
        name: "git",
        command: &["git", "commit", "-m", "one"],
        run: |draw| {
            let above = format!("/data/.git/objects/{}", draw.letters(2, HEX));
            let object = format!("{above}/{}", draw.letters(38, HEX));
            let temporary = format!("{above}/tmp_obj_{}", draw.letters(6, ALNUM));
            [
                read("/data/.git/HEAD"),
                read("/data/.git/refs/heads/main"),
                vec![file(&format!("{above}/"), FileAccess::MakeDirectory, None)],
                kept(&temporary),
                renamed(&temporary, &object),
                kept("/data/.git/index.lock"),
                renamed("/data/.git/index.lock", "/data/.git/index"),
                kept("/data/.git/refs/heads/main.lock"),
            ]
            .concat()
        },
        rules: 7,
        beside: &[
            "/data/.git/config",
            "/data/.git/hooks/pre-commit",
            "/data/.git/refs/heads/other",
        ],
    },
    Case {
        name: "PostgreSQL",
        command: &["postgres", "-D", "/var/lib/postgresql/15/main"],
        run: |draw| {
            let data = "/var/lib/postgresql/15/main";
            let pid = draw.pid();
            let init = format!("{data}/base/5/pg_internal.init.{pid}");
            let log = format!("{data}/pg_wal/xlogtemp.{pid}");
            let set = format!("{data}/base/pgsql_tmp/pgsql_tmp{pid}.0.sharedfileset");
            [
                read(&format!("{data}/PG_VERSION")),
                read(&format!("{data}/base/5/1259")),
                plain(&format!(
                    "{data}/base/pgsql_tmp/pgsql_tmp{pid}.{}",
                    draw.below(9)
                )),
                directory(&format!("{set}/")),
                plain(&format!("{set}/i1of2.p0.0")),
                plain(&init),
                renamed(&init, &format!("{data}/base/5/pg_internal.init")),
                plain(&log),
                renamed(
                    &log,
                    &format!(
                        "{data}/pg_wal/0000000100000000000000{:02X}",
                        draw.below(256)
                    ),
                ),
                exclusive(&format!("/dev/shm/PostgreSQL.{}", draw.below(1 << 32))),
                exclusive("/tmp/.s.PGSQL.5432.lock"),
                vec![file(
                    &format!("{data}/base/5/{}", 16_384 + draw.below(100_000)),
                    FileAccess::Create,
                    Some(Provenance::Made),
                )],
                vec![file(
                    &format!("{data}/pg_tblspc/{}", 16_384 + draw.below(100_000)),
                    FileAccess::Symlink,
                    None,
                )],
            ]
            .concat()
        },
        rules: 13,
        beside: &[
            "/var/lib/postgresql/15/main/postgresql.auto.conf",
            "/var/lib/postgresql/15/main/pg_hba.conf",
            "/dev/shm/other",
        ],
    },
    Case {
        name: "letters alone",
        command: &["x"],
        run: |draw| {
            [
                exclusive(&format!("/data/{}", draw.letters(6, SMALL))),
                directory(&format!("/srv/app/{}/", draw.letters(8, SMALL))),
                plain(&format!("/srv/app/{}", draw.letters(7, SMALL))),
            ]
            .concat()
        },
        rules: 3,
        beside: &[
            "/data/config.json",
            "/srv/app/a.txt",
            "/srv/app/secrets.txt",
        ],
    },
    Case {
        name: "a database in a directory of its own",
        command: &["redis-server", "--dir", "/srv/redis"],
        run: |draw| {
            let temporary = format!("/srv/redis/temp-{}.rdb", draw.pid());
            let log = format!("/srv/redis/temp-rewriteaof-{}.aof", draw.pid());
            [
                plain(&temporary),
                renamed(&temporary, "/srv/redis/dump.rdb"),
                plain(&format!("/srv/redis/temp-rewriteaof-bg-{}.aof", draw.pid())),
                plain(&log),
                vec![file(
                    "/srv/redis/appendonlydir/",
                    FileAccess::MakeDirectory,
                    None,
                )],
                renamed(&log, "/srv/redis/appendonlydir/appendonly.aof.1.base.rdb"),
            ]
            .concat()
        },
        rules: 1,
        beside: &["/srv/secret", "/srv/redis2/dump.rdb"],
    },
    Case {
        name: "more files of a drawn directory than a recording keeps",
        command: &["x"],
        run: |draw| {
            let tree = format!("/tmp/tmp{}/", draw.letters(8, PYTHON));
            let more = FileUse {
                more: true,
                ..file(&tree, FileAccess::Write, None)
            };
            [directory(&tree), vec![more]].concat()
        },
        rules: 2,
        beside: IN_TMP,
    },
    Case {
        name: "files without a name",
        command: &["x"],
        run: |draw| {
            let path = format!("/data/#{}", draw.next() >> 32);
            [FileAccess::Read, FileAccess::Write]
                .map(|access| file(&path, access, Some(Provenance::Unnamed)))
                .to_vec()
        },
        rules: 1,
        beside: &["/data/secret"],
    },
];

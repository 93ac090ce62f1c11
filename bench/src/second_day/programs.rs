//! The programs: data, and nothing else.
//!
//! `DIR` is a fresh directory, in which every script starts; `PORT` is a free port; `PID` is the server.
//! A server's script runs beside it and not under the profile; a tool's command is all there is.

/// A program with a first day, which is recorded, and a second, which is not.
pub(super) struct Program {
    pub(super) name: &'static str,
    /// What has to be in PATH.
    pub(super) needs: &'static [&'static str],
    /// Prepares the directory, under no profile.
    pub(super) setup: &'static str,
    /// The server's command; of a tool none.
    pub(super) server: Option<&'static str>,
    /// What is recorded: for a server what is asked of it, for a tool its command.
    pub(super) base: &'static str,
    /// What comes later.
    pub(super) operations: &'static [Operation],
}

/// Something that the program does on its second day.
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// A shell script that ends with 0 when it worked.
    pub(super) script: &'static str,
}

pub(super) const fn op(name: &'static str, script: &'static str) -> Operation {
    Operation { name, script }
}

const fn tool(
    name: &'static str,
    needs: &'static [&'static str],
    setup: &'static str,
    base: &'static str,
    operations: &'static [Operation],
) -> Program {
    Program {
        name,
        needs,
        setup,
        server: None,
        base,
        operations,
    }
}

pub(super) const PROGRAMS: &[&Program] = &[
    &super::servers::NGINX,
    &super::servers::REDIS,
    &super::servers::PYTHON_HTTP,
    &super::servers::NODE_HTTP,
    &super::servers::BUSYBOX_HTTPD,
    &super::servers::POSTGRESQL,
    &BASH,
    &BUSYBOX_SH,
    &PYTHON,
    &NODE,
    &PERL,
    &GIT,
    &SQLITE,
    &TAR,
    &MAKE,
    &COREUTILS,
    &JAVA,
];

const BASH: Program = tool(
    "bash",
    &["bash"],
    "echo one > in",
    "bash -c 'x=$(cat in); echo $x | cat > out; ls'",
    &[
        op("sleep", "bash -c 'sleep 0.01'"),
        op(
            "read with a time-out",
            "bash -c 'read -t 0.01 x < <(sleep 0.1); true'",
        ),
        op(
            "trap and signal itself",
            "bash -c 'trap \"exit 0\" USR1; kill -USR1 $$; sleep 1; exit 1'",
        ),
        op(
            "limits",
            "bash -c 'ulimit -a > out; test $(ulimit -n) -gt 0'",
        ),
        op("times", "bash -c 'times; time true'"),
        op("umask", "bash -c 'test $(umask) != 0000'"),
        op(
            "own ids",
            "bash -c 'test $UID -eq $(id -u); test $EUID -eq 0'",
        ),
        op(
            "redirections",
            "bash -c 'exec 3<in 4>out; read x <&3; echo $x >&4; exec 3<&- 4>&-'",
        ),
        op("job control", "bash -c 'sleep 0.01 & wait $!; exit $?'"),
        op(
            "here document",
            "bash -c 'cat <<< hello; cat <<X\nhello\nX'",
        ),
        op(
            "arithmetic and arrays",
            "bash -c 'a=(3 1 2); echo $((a[0]+a[1])); printf %s ${a[@]}'",
        ),
        op(
            "missing command",
            "bash -c 'nosuchcommand; test $? -eq 127'",
        ),
        op(
            "glob and test",
            "bash -c 'for f in *; do test -r $f && test -w $f; done'",
        ),
    ],
);

const BUSYBOX_SH: Program = tool(
    "busybox sh",
    &["busybox"],
    "echo one > in; ln -s $(command -v busybox) id; ln -s $(command -v busybox) sleep",
    "busybox sh -c 'busybox cat in | busybox wc -l'",
    &[
        op("sleep", "busybox sh -c 'busybox sleep 0.01'"),
        op(
            "id",
            "busybox sh -c 'test \"$(busybox id -u)\" = 0; test \"$(busybox id -g)\" = 0'",
        ),
        op("uptime", "busybox sh -c 'busybox uptime'"),
        op("sort", "busybox sh -c 'busybox sort in'"),
        op("timeout", "busybox sh -c 'busybox timeout 1 busybox true'"),
        op("usleep", "busybox usleep 1000"),
        op("dd and fsync", "busybox dd if=in of=out conv=fsync"),
        op("uname", "busybox uname -a"),
        op("date", "busybox date"),
        op("nproc", "busybox nproc"),
        op("free", "busybox free"),
        op("umask", "busybox sh -c 'umask 077; umask'"),
        op(
            "vi-less loop",
            "busybox sh -c 'i=0; while [ $i -lt 3 ]; do i=$((i+1)); busybox sleep 0; done'",
        ),
    ],
);

const PYTHON: Program = tool(
    "python",
    &["/usr/bin/python3"],
    "echo '{\"a\": 1}' > in.json",
    "/usr/bin/python3 -c 'import json; json.dump(json.load(open(\"in.json\")), open(\"out.json\", \"w\"))'",
    &[
        op(
            "sleep",
            "/usr/bin/python3 -c 'import time; time.sleep(0.01)'",
        ),
        op(
            "select",
            "/usr/bin/python3 -c 'import select; select.select([], [], [], 0.01)'",
        ),
        op(
            "fsync",
            "/usr/bin/python3 -c 'import os; f = open(\"o\", \"w\"); f.write(\"x\"); f.flush(); os.fsync(f.fileno())'",
        ),
        op(
            "truncate",
            "/usr/bin/python3 -c 'f = open(\"o\", \"w\"); f.write(\"xyz\"); f.truncate(1)'",
        ),
        op(
            "limits",
            "/usr/bin/python3 -c 'import resource; resource.getrlimit(resource.RLIMIT_NOFILE); resource.getrusage(resource.RUSAGE_SELF)'",
        ),
        op(
            "ids",
            "/usr/bin/python3 -c 'import os; assert os.getuid() == 0 and os.getppid() > 0 and os.getpgrp() > 0 and os.getgroups() is not None'",
        ),
        op(
            "alarm",
            "/usr/bin/python3 -c 'import signal; signal.signal(signal.SIGALRM, lambda *a: None); signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()'",
        ),
        op(
            "processors",
            "/usr/bin/python3 -c 'import os; assert len(os.sched_getaffinity(0)) > 0 and os.cpu_count()'",
        ),
        op(
            "dup",
            "/usr/bin/python3 -c 'import os; os.close(os.dup(1)); os.dup2(1, 9)'",
        ),
        op(
            "times",
            "/usr/bin/python3 -c 'import os, time; os.times(); time.process_time(); os.uname(); os.getloadavg()'",
        ),
        op(
            "threads",
            "/usr/bin/python3 -c 'import threading; t = threading.Thread(target=print); t.start(); t.join()'",
        ),
        op(
            "traceback",
            "/usr/bin/python3 -c 'raise SystemExit(0 if 1 else 1)'",
        ),
        op(
            "sub-process",
            "/usr/bin/python3 -c 'import subprocess; subprocess.run([\"/bin/true\"], check=True)'",
        ),
        op(
            "temporary file",
            "/usr/bin/python3 -c 'import tempfile; tempfile.TemporaryFile(dir=\".\").write(b\"x\")'",
        ),
    ],
);

const NODE: Program = tool(
    "node",
    &["node"],
    "echo '{\"a\": 1}' > in.json",
    "node -e 'const fs = require(\"fs\"); fs.writeFileSync(\"out.json\", fs.readFileSync(\"in.json\"))'",
    &[
        op("timer", "node -e 'setTimeout(() => {}, 10)'"),
        op(
            "blocking sleep",
            "node -e 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)'",
        ),
        op(
            "fsync",
            "node -e 'const fs = require(\"fs\"); const f = fs.openSync(\"o\", \"w\"); fs.writeSync(f, \"x\"); fs.fsyncSync(f); fs.fdatasyncSync(f)'",
        ),
        op(
            "truncate",
            "node -e 'const fs = require(\"fs\"); fs.writeFileSync(\"o\", \"xyz\"); const f = fs.openSync(\"o\", \"r+\"); fs.ftruncateSync(f, 1)'",
        ),
        op(
            "ids",
            "node -e 'if (process.getuid() !== 0 || process.getgid() !== 0) process.exit(1)'",
        ),
        op("groups", "node -e 'process.getgroups(); process.umask()'"),
        op(
            "usage",
            "node -e 'process.resourceUsage(); process.cpuUsage(); require(\"os\").cpus(); require(\"os\").totalmem()'",
        ),
        op(
            "system",
            "node -e 'const os = require(\"os\"); os.release(); os.uptime(); os.loadavg(); os.hostname()'",
        ),
        op("priority", "node -e 'require(\"os\").getPriority()'"),
        op(
            "positional read",
            "node -e 'const fs = require(\"fs\"); fs.readSync(fs.openSync(\"in.json\"), Buffer.alloc(4), 0, 4, 2)'",
        ),
        op(
            "uncaught error",
            "node -e 'process.on(\"uncaughtException\", () => process.exit(0)); throw 1'",
        ),
        op(
            "signal handler",
            "node -e 'process.on(\"SIGHUP\", () => process.exit(0)); process.kill(process.pid, \"SIGHUP\"); setTimeout(() => process.exit(1), 2000)'",
        ),
    ],
);

const PERL: Program = tool(
    "perl",
    &["perl"],
    "echo one > in",
    "perl -ne 'print uc' in",
    &[
        op(
            "sleep",
            "perl -e 'sleep 0; select undef, undef, undef, 0.01'",
        ),
        op(
            "alarm",
            "perl -e '$SIG{ALRM} = sub { exit 0 }; alarm 1; sleep 5; exit 1'",
        ),
        op("ids", "perl -e 'exit($< == 0 && $> == 0 ? 0 : 1)'"),
        op(
            "groups",
            "perl -e 'my @g = split / /, $(; exit(@g ? 0 : 1)'",
        ),
        op("times", "perl -e 'my @t = times; exit(@t == 4 ? 0 : 1)'"),
        op("umask", "perl -e 'exit(umask() > 0 ? 0 : 1)'"),
        op("getppid", "perl -e 'exit(getppid() > 0 ? 0 : 1)'"),
        op("process group", "perl -e 'exit(getpgrp(0) > 0 ? 0 : 1)'"),
        op(
            "dup",
            "perl -e 'open my $o, \">&\", STDOUT or die; print $o 1'",
        ),
        op(
            "truncate",
            "perl -e 'open my $o, \">\", \"o\" or die; print $o 12; $o->flush; truncate $o, 1 or die'",
        ),
        op(
            "seek",
            "perl -e 'open my $f, \"<\", \"in\" or die; seek $f, 1, 0 or die'",
        ),
        op("in place", "perl -pi -e 's/o/u/' in"),
        op(
            "poll",
            "perl -MIO::Poll -e 'IO::Poll->new->poll(0.01); exit 0'",
        ),
    ],
);

const GIT: Program = tool(
    "git",
    &["git"],
    "git init -q r && cd r && git config user.email a@b && git config user.name a && echo 1 > f && git add f && git commit -qm one",
    "cd r && git status --short && git log --oneline",
    &[
        op("commit", "cd r && echo 2 > f && git commit -qam two"),
        op("branch", "cd r && git checkout -qb other"),
        op("diff", "cd r && echo 3 >> f && git diff --stat"),
        op(
            "stash",
            "cd r && echo 3 >> f && git stash -q && git stash pop -q",
        ),
        op("tag", "cd r && git tag v1"),
        op("clone", "git clone -q r copy"),
        op("gc", "cd r && git gc -q"),
        op("fsck", "cd r && git fsck"),
        op("archive", "cd r && git archive HEAD > ../a.tar"),
        op("blame", "cd r && git blame f"),
        op("grep", "cd r && git grep 1"),
        op(
            "merge",
            "cd r && git checkout -qb b && echo 4 > g && git add g && git commit -qm g && git checkout -q - && git merge -q b",
        ),
    ],
);

const SQLITE: Program = tool(
    "sqlite3",
    &["sqlite3"],
    "sqlite3 d 'create table t(a); insert into t values (1)'",
    "sqlite3 d 'select * from t'",
    &[
        op("insert", "sqlite3 d 'insert into t values (2)'"),
        op("update", "sqlite3 d 'update t set a = 3'"),
        op("index", "sqlite3 d 'create index i on t(a)'"),
        op("vacuum", "sqlite3 d vacuum"),
        op(
            "write-ahead log",
            "sqlite3 d 'pragma journal_mode = wal; insert into t values (4)'",
        ),
        op(
            "memory map",
            "sqlite3 d 'pragma mmap_size = 1000000; select * from t'",
        ),
        op("backup", "sqlite3 d '.backup b'"),
        op("dump", "sqlite3 d .dump"),
        op("integrity", "sqlite3 d 'pragma integrity_check'"),
        op(
            "big transaction",
            "sqlite3 d 'with recursive n(x) as (select 1 union all select x+1 from n limit 20000) insert into t select x from n'",
        ),
        op("sort", "sqlite3 d 'select a from t order by a desc'"),
        op("timer", "sqlite3 d '.timer on' 'select 1'"),
        op("error", "! sqlite3 d 'select * from nothing'"),
    ],
);

const TAR: Program = tool(
    "tar",
    &["tar", "gzip"],
    "mkdir t && echo 1 > t/a && echo 2 > t/b && tar cf x.tar t",
    "tar cf y.tar t",
    &[
        op("list", "tar tf x.tar"),
        op("extract", "mkdir o && tar xf x.tar -C o"),
        op("compress", "tar czf y.tgz t"),
        op("append", "tar rf x.tar t/a"),
        op("update", "tar uf x.tar t/b"),
        op("sparse", "truncate -s 1M t/s && tar cSf y.tar t"),
        op("exclude", "tar cf y.tar --exclude=b t"),
        op("delete", "tar --delete -f x.tar t/b"),
        op("to stdout", "tar xOf x.tar t/a"),
        op("verify", "tar cWf y.tar t"),
        op("missing file", "! tar cf y.tar nothing"),
        op(
            "many files",
            "for i in 1 2 3 4 5 6 7 8 9; do echo $i > t/$i; done; tar cf y.tar t",
        ),
    ],
);

const MAKE: Program = tool(
    "make",
    &["make"],
    "printf 'all: a\\n\\na:\\n\\techo a > a\\n\\nslow:\\n\\tsleep 0.01\\n\\nfail:\\n\\tfalse\\n\\nclean:\\n\\trm -f a\\n' > Makefile",
    "make",
    &[
        op("nothing to do", "make && make"),
        op("clean", "make clean"),
        op("parallel", "make -j4 all slow"),
        op("sleep", "make slow"),
        op("failure", "! make fail"),
        op("keep going", "! make -k fail all"),
        op("dry run", "make -n"),
        op("load limit", "make -j2 -l 100 slow all"),
        op("database", "make -p > out"),
        op("output sync", "make -j2 -Oline slow all"),
        op("missing target", "! make nothing"),
        op("question", "make -q clean; test $? -eq 1"),
    ],
);

const COREUTILS: Program = tool(
    "coreutils",
    &["sort"],
    "printf 'b\\na\\n' > in",
    "cat in; ls -l; cp in copy",
    &[
        op("sort", "sort in"),
        op("id", "test $(id -u) -eq 0 && id"),
        op("nproc", "nproc"),
        op("sleep", "sleep 0.01"),
        op("timeout", "timeout 1 true"),
        op("uname", "uname -a"),
        op("dd", "dd if=in of=o conv=fsync status=none"),
        op("sync a file", "sync in"),
        op("truncate", "truncate -s 10 in"),
        op("tail", "tail -n 1 in"),
        op("head from the end", "head -n -1 in"),
        op("tee", "echo x | tee o"),
        op("date", "date"),
        op("shuf", "shuf in"),
        op("nice", "nice"),
        op("pwd", "/bin/pwd"),
    ],
);

const JAVA: Program = tool(
    "java",
    &["java"],
    "printf 'public class H { public static void main(String[] a) throws Exception { Runtime r = Runtime.getRuntime(); switch (a.length > 0 ? a[0] : \"\") { case \"sleep\": Thread.sleep(10); break; case \"gc\": byte[][] b = new byte[64][]; for (int i = 0; i < 640; i++) b[i %% 64] = new byte[1 << 20]; System.gc(); break; case \"fsync\": try (java.io.FileOutputStream o = new java.io.FileOutputStream(\"o\")) { o.write(1); o.getFD().sync(); } break; case \"map\": try (java.io.RandomAccessFile f = new java.io.RandomAccessFile(\"o\", \"rw\")) { java.nio.MappedByteBuffer m = f.getChannel().map(java.nio.channels.FileChannel.MapMode.READ_WRITE, 0, 4096); m.put(0, (byte) 1); m.force(); } break; case \"cpus\": System.out.println(r.availableProcessors() + r.totalMemory()); break; case \"threads\": Thread[] t = new Thread[9]; for (int i = 0; i < 9; i++) { t[i] = new Thread(() -> { }); t[i].start(); } for (Thread x : t) x.join(); break; case \"error\": try { Object o = null; o.hashCode(); } catch (NullPointerException e) { } break; case \"list\": System.out.println(new java.io.File(\".\").list().length); break; case \"seek\": try (java.io.RandomAccessFile f = new java.io.RandomAccessFile(\"o\", \"rw\")) { f.setLength(10); f.seek(5); } break; case \"hook\": r.addShutdownHook(new Thread(() -> { })); break; } System.out.println(1); } }' > H.java && javac H.java",
    "java -Xshare:auto -cp . H",
    &[
        op("sleep", "java -cp . H sleep"),
        op("garbage collection", "java -Xmx96m -cp . H gc"),
        op("fsync", "java -cp . H fsync"),
        op("memory map", "java -cp . H map"),
        op("processors", "java -cp . H cpus"),
        op("threads", "java -cp . H threads"),
        op("null pointer", "java -cp . H error"),
        op("list a directory", "java -cp . H list"),
        op("seek", "java -cp . H seek"),
        op("shutdown hook", "java -cp . H hook"),
        op("serial collector", "java -XX:+UseSerialGC -cp . H gc"),
    ],
);

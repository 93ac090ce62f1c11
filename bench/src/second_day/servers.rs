//! The servers: data, and nothing else.

use super::programs::{Program, op};

pub(super) const NGINX: Program = Program {
    name: "nginx",
    needs: &["nginx", "curl"],
    setup: "mkdir -p www logs tmp && echo hello > www/index.html && head -c 300000 /dev/zero > www/big && printf 'daemon off; master_process on; worker_processes 1; user root; pid %s/pid; error_log %s/logs/e;\\nevents {}\\nhttp { access_log %s/logs/a; client_body_temp_path %s/tmp/b; proxy_temp_path %s/tmp/p; fastcgi_temp_path %s/tmp/f; uwsgi_temp_path %s/tmp/u; scgi_temp_path %s/tmp/s; client_max_body_size 1m; server { listen 127.0.0.1:%s; root %s/www; location /off/ { autoindex on; } location /post { proxy_pass http://127.0.0.1:1; } } }\\n' $DIR $DIR $DIR $DIR $DIR $DIR $DIR $DIR $PORT $DIR > nginx.conf && mkdir www/off",
    server: Some("nginx -c $DIR/nginx.conf -e $DIR/logs/e"),
    base: "ready \"curl -sf http://127.0.0.1:$PORT/\"",
    operations: &[
        op(
            "reload",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; kill -HUP $PID; sleep 0.3; ready \"curl -sf http://127.0.0.1:$PORT/\"",
        ),
        op(
            "reopen logs",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; mv logs/a logs/old; kill -USR1 $PID; ready 'test -s logs/a || curl -sf http://127.0.0.1:$PORT/ -o o && test -e logs/a'",
        ),
        op(
            "crash of a worker",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; pkill -KILL -P $PID; sleep 0.2; ready \"curl -sf http://127.0.0.1:$PORT/\"",
        ),
        op(
            "graceful end",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; kill -QUIT $PID; ready '! kill -0 $PID 2>/dev/null || grep -q Z /proc/$PID/stat'",
        ),
        op(
            "missing page",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; test $(curl -s -o o -w '%{http_code}' http://127.0.0.1:$PORT/none) = 404",
        ),
        op(
            "big file",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; test $(curl -sf http://127.0.0.1:$PORT/big | wc -c) = 300000",
        ),
        op(
            "range",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; test $(curl -sf -r 5-9 http://127.0.0.1:$PORT/big | wc -c) = 5",
        ),
        op(
            "directory listing",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; curl -sf http://127.0.0.1:$PORT/off/",
        ),
        op(
            "upstream that is down",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; test $(curl -s -o o -w '%{http_code}' http://127.0.0.1:$PORT/post) = 502",
        ),
        op(
            "large body",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; test $(curl -s -o o -w '%{http_code}' --data-binary @www/big http://127.0.0.1:$PORT/post) = 502",
        ),
        op(
            "many clients",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; for i in 1 2 3 4 5 6 7 8; do curl -sf http://127.0.0.1:$PORT/big -o o$i & done; wait",
        ),
        op(
            "bad configuration at reload",
            "ready \"curl -sf http://127.0.0.1:$PORT/\"; echo nonsense >> nginx.conf; kill -HUP $PID; sleep 0.2; curl -sf http://127.0.0.1:$PORT/",
        ),
    ],
};

pub(super) const REDIS: Program = Program {
    name: "redis",
    needs: &["redis-server", "redis-cli"],
    setup: "true",
    server: Some("redis-server --port $PORT --dir $DIR --save ''"),
    base: "ready 'redis-cli -p $PORT ping'; redis-cli -p $PORT set a 1; redis-cli -p $PORT get a",
    operations: &[
        op(
            "snapshot",
            "ready 'redis-cli -p $PORT ping'; test \"$(redis-cli -p $PORT save)\" = OK",
        ),
        op(
            "snapshot in the background",
            "ready 'redis-cli -p $PORT ping'; redis-cli -p $PORT bgsave; ready 'test -s dump.rdb'",
        ),
        op(
            "append-only file",
            "ready 'redis-cli -p $PORT ping'; test \"$(redis-cli -p $PORT config set appendonly yes)\" = OK; redis-cli -p $PORT set b 1; sleep 1.2; ready 'ls appendonlydir 2>/dev/null || ls appendonly.aof'",
        ),
        op(
            "sync on each write",
            "ready 'redis-cli -p $PORT ping'; redis-cli -p $PORT config set appendonly yes; redis-cli -p $PORT config set appendfsync always; test \"$(redis-cli -p $PORT set b 1)\" = OK",
        ),
        op(
            "information",
            "ready 'redis-cli -p $PORT ping'; redis-cli -p $PORT info all | grep -q used_cpu",
        ),
        op(
            "script",
            "ready 'redis-cli -p $PORT ping'; test \"$(redis-cli -p $PORT eval 'return 7' 0)\" = 7",
        ),
        op(
            "blocking pop",
            "ready 'redis-cli -p $PORT ping'; redis-cli -p $PORT blpop q 1",
        ),
        op(
            "subscriber",
            "ready 'redis-cli -p $PORT ping'; (timeout 0.5 redis-cli -p $PORT subscribe c; true); redis-cli -p $PORT publish c 1",
        ),
        op(
            "many keys",
            "ready 'redis-cli -p $PORT ping'; redis-cli -p $PORT eval 'for i=1,50000 do redis.call(\"set\",i,i) end return 1' 0; test $(redis-cli -p $PORT dbsize) -ge 50000",
        ),
        op(
            "expiry",
            "ready 'redis-cli -p $PORT ping'; redis-cli -p $PORT set t 1 px 10; sleep 0.3; test -z \"$(redis-cli -p $PORT get t)\"",
        ),
        op(
            "lazy delete",
            "ready 'redis-cli -p $PORT ping'; redis-cli -p $PORT set u 1; redis-cli -p $PORT unlink u; redis-cli -p $PORT flushall async",
        ),
        op(
            "wrong command",
            "ready 'redis-cli -p $PORT ping'; redis-cli -p $PORT nonsense | grep -q ERR",
        ),
        op(
            "shutdown with a snapshot",
            "ready 'redis-cli -p $PORT ping'; redis-cli -p $PORT set a 1; redis-cli -p $PORT shutdown save; ready 'test -s dump.rdb'",
        ),
    ],
};

pub(super) const PYTHON_HTTP: Program = Program {
    name: "python http.server",
    needs: &["/usr/bin/python3", "curl"],
    setup: "echo hello > index.html; mkdir d; head -c 300000 /dev/zero > big; mkdir cgi-bin; printf '#!/bin/sh\\necho; echo hi; sleep 0.01\\n' > cgi-bin/x; chmod 755 cgi-bin/x",
    server: Some("/usr/bin/python3 -m http.server --cgi --bind 127.0.0.1 $PORT"),
    base: "ready 'curl -sf http://127.0.0.1:$PORT/'",
    operations: &[
        op(
            "missing page",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; test $(curl -s -o o -w '%{http_code}' http://127.0.0.1:$PORT/none) = 404",
        ),
        op(
            "directory listing",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/d/",
        ),
        op(
            "big file",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; test $(curl -sf http://127.0.0.1:$PORT/big | wc -c) = 300000",
        ),
        op(
            "client that goes away",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -s --max-time 0.001 http://127.0.0.1:$PORT/big; curl -sf http://127.0.0.1:$PORT/",
        ),
        op(
            "many clients",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; for i in 1 2 3 4 5 6 7 8; do curl -sf http://127.0.0.1:$PORT/ -o o$i & done; wait",
        ),
        op(
            "head",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sfI http://127.0.0.1:$PORT/",
        ),
        op(
            "not modified",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; test $(curl -s -o o -w '%{http_code}' -z tomorrow http://127.0.0.1:$PORT/) = 304",
        ),
        op(
            "unsupported method",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; test $(curl -s -o o -w '%{http_code}' -X DELETE http://127.0.0.1:$PORT/) = 501",
        ),
        op(
            "bad request",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; printf 'x\\r\\n\\r\\n' | timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/'$PORT'; cat >&3; cat <&3' | grep -q 400",
        ),
        op(
            "redirect",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; test $(curl -s -o o -w '%{http_code}' http://127.0.0.1:$PORT/d) = 301",
        ),
        op(
            "program (CGI)",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/cgi-bin/x | grep -q hi",
        ),
        op(
            "interrupt",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; kill -INT $PID; ready '! kill -0 $PID 2>/dev/null || grep -q Z /proc/$PID/stat'",
        ),
    ],
};

pub(super) const NODE_HTTP: Program = Program {
    name: "node http",
    needs: &["node", "curl"],
    setup: "printf 'const http = require(\"http\"), fs = require(\"fs\"), os = require(\"os\"), cp = require(\"child_process\");\\nhttp.createServer((q, s) => { const u = q.url; const ok = (x) => s.end(String(x)); try { if (u === \"/sync\") { const f = fs.openSync(\"o\", \"w\"); fs.writeSync(f, \"x\"); fs.fsyncSync(f); ok(1); } else if (u === \"/wait\") setTimeout(() => ok(1), 10); else if (u === \"/usage\") ok(JSON.stringify(process.resourceUsage()) + os.loadavg() + os.uptime()); else if (u === \"/ids\") ok(process.getuid() + process.getgid() + process.getgroups()); else if (u === \"/cpus\") ok(os.cpus().length + os.getPriority()); else if (u === \"/error\") { s.statusCode = 500; ok(\"e\"); } else if (u === \"/list\") ok(fs.readdirSync(\".\")); else if (u === \"/cut\") { fs.writeFileSync(\"c\", \"xyz\"); fs.ftruncateSync(fs.openSync(\"c\", \"r+\"), 1); ok(1); } else if (u === \"/stop\") { ok(1); setTimeout(() => process.exit(0), 50); } else ok(\"hello\"); } catch (e) { s.statusCode = 500; ok(e); } }).listen(+process.argv[2], \"127.0.0.1\");\\n' > s.js",
    server: Some("node s.js $PORT"),
    base: "ready 'curl -sf http://127.0.0.1:$PORT/'",
    operations: &[
        op(
            "flush a file",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/sync",
        ),
        op(
            "timer",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/wait",
        ),
        op(
            "usage",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/usage",
        ),
        op(
            "ids",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/ids",
        ),
        op(
            "processors",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/cpus",
        ),
        op(
            "error page",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; test $(curl -s -o o -w '%{http_code}' http://127.0.0.1:$PORT/error) = 500",
        ),
        op(
            "list a directory",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/list",
        ),
        op(
            "truncate",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/cut",
        ),
        op(
            "many clients",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; for i in 1 2 3 4 5 6 7 8; do curl -sf http://127.0.0.1:$PORT/ -o o$i & done; wait",
        ),
        op(
            "large body",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; head -c 300000 /dev/zero > b; curl -sf --data-binary @b http://127.0.0.1:$PORT/",
        ),
        op(
            "debugger signal",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; kill -USR1 $PID; sleep 0.2; curl -sf http://127.0.0.1:$PORT/",
        ),
        op(
            "end by request",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/stop; ready '! kill -0 $PID 2>/dev/null || grep -q Z /proc/$PID/stat'",
        ),
    ],
};

pub(super) const BUSYBOX_HTTPD: Program = Program {
    name: "busybox httpd",
    needs: &["busybox", "curl"],
    setup: "mkdir -p www/cgi-bin && echo hello > www/index.html && head -c 300000 /dev/zero > www/big && for c in 'id:busybox id -g' 'sleep:busybox usleep 1000' 'date:busybox date' 'uname:busybox uname -a' 'up:busybox uptime' 'nproc:busybox nproc'; do printf '#!/bin/sh\\necho; %s && echo ok\\n' \"${c#*:}\" > www/cgi-bin/${c%%:*}; chmod 755 www/cgi-bin/${c%%:*}; done; printf '#!/bin/sh\\necho; echo hi\\n' > www/cgi-bin/hi; chmod 755 www/cgi-bin/hi",
    server: Some("busybox httpd -f -p 127.0.0.1:$PORT -h www"),
    base: "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/cgi-bin/hi",
    operations: &[
        op(
            "missing page",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; test $(curl -s -o o -w '%{http_code}' http://127.0.0.1:$PORT/none) = 404",
        ),
        op(
            "big file",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; test $(curl -sf http://127.0.0.1:$PORT/big | wc -c) = 300000",
        ),
        op(
            "range",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; test $(curl -sf -r 5-9 http://127.0.0.1:$PORT/big | wc -c) = 5",
        ),
        op(
            "id",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; test \"$(curl -sf http://127.0.0.1:$PORT/cgi-bin/id | head -1)\" = 0",
        ),
        op(
            "script that sleeps",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/cgi-bin/sleep | grep -q ok",
        ),
        op(
            "date",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/cgi-bin/date | grep -q ok",
        ),
        op(
            "uname",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/cgi-bin/uname | grep -q ok",
        ),
        op(
            "uptime",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/cgi-bin/up | grep -q ok",
        ),
        op(
            "processors",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf http://127.0.0.1:$PORT/cgi-bin/nproc | grep -q ok",
        ),
        op(
            "post",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sf -d a=1 http://127.0.0.1:$PORT/cgi-bin/hi",
        ),
        op(
            "many clients",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; for i in 1 2 3 4 5 6 7 8; do curl -sf http://127.0.0.1:$PORT/ -o o$i & done; wait",
        ),
        op(
            "head",
            "ready 'curl -sf http://127.0.0.1:$PORT/'; curl -sI http://127.0.0.1:$PORT/ | grep -q HTTP",
        ),
    ],
};

/// It does not run as root.
pub(super) const POSTGRESQL: Program = Program {
    name: "postgresql",
    needs: &["postgres", "initdb", "psql", "pg_dump", "setpriv"],
    setup: "chmod 755 .. .; mkdir pg space; chown 65534:65534 . pg space; as='setpriv --reuid=65534 --regid=65534 --clear-groups'; $as initdb -D pg -U postgres -A trust -N --no-locale -E UTF8; echo \"unix_socket_directories = '$DIR'\" >> pg/postgresql.conf",
    server: Some("setpriv --reuid=65534 --regid=65534 --clear-groups postgres -D $DIR/pg -p $PORT"),
    base: "q() { psql -h $DIR -p $PORT -U postgres -qAt -v ON_ERROR_STOP=1 -c \"$1\" postgres; }; ready \"psql -h $DIR -p $PORT -U postgres -c 'select 1' postgres\"; q 'create table t(a int)'; q 'insert into t select generate_series(1, 1000)'; q 'select count(*) from t'; kill -INT $PID; ready '! kill -0 $PID 2>/dev/null || grep -q Z /proc/$PID/stat'",
    operations: &[
        op(
            "sleep",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -c 'select pg_sleep(0.01)'",
        ),
        op(
            "tablespace",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -v ON_ERROR_STOP=1 -c \"create tablespace s location '$DIR/space'\" -c 'create table u(a int) tablespace s'",
        ),
        op(
            "database and drop",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -v ON_ERROR_STOP=1 -c 'create database d' -c 'drop database d'",
        ),
        op(
            "reload",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; echo 'work_mem = 1MB' >> pg/postgresql.conf; kill -HUP $PID; ready 'test $(psql -Atc \"show work_mem\") = 1MB'",
        ),
        op(
            "checkpoint and new log segment",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -v ON_ERROR_STOP=1 -c 'create table c(a int)' -c checkpoint -c 'select pg_switch_wal()' -c checkpoint",
        ),
        op(
            "index and vacuum",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -v ON_ERROR_STOP=1 -c 'create table v as select generate_series(1, 20000) a' -c 'create index i on v(a)' -c 'delete from v' -c 'vacuum full v'",
        ),
        op(
            "sort on disk",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -v ON_ERROR_STOP=1 -c 'set work_mem = 64' -c 'select max(a) from (select a from generate_series(1, 200000) a order by -a offset 10) x'",
        ),
        op(
            "parallel query",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -v ON_ERROR_STOP=1 -c 'create table p as select generate_series(1, 50000) a' -c 'set force_parallel_mode = on' -c 'set parallel_setup_cost = 0' -c 'set min_parallel_table_scan_size = 0' -c 'select sum(a) from p'",
        ),
        op(
            "copy to a file",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -v ON_ERROR_STOP=1 -c \"copy (select 1) to '$DIR/space/out'\"",
        ),
        op(
            "program",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -v ON_ERROR_STOP=1 -c \"copy (select 1) to program 'cat > $DIR/space/out'\"",
        ),
        op(
            "dump",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; pg_dump postgres > out",
        ),
        op(
            "cancel",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; (psql -c 'select pg_sleep(9)' || true) & ready 'test $(psql -Atc \"select count(pg_cancel_backend(pid)) from pg_stat_activity where query like $$select pg_sleep%$$\") = 1'; wait",
        ),
        op(
            "crash of a backend",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -c 'create table x(a int)'; (psql -c 'select pg_sleep(9)' || true) & ready 'pkill -KILL -P $PID -f pg_sleep\\|SELECT\\|postgres.postgres'; wait; ready 'psql -c \"select * from x\"'",
        ),
        op(
            "error",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; ! psql -v ON_ERROR_STOP=1 -c 'select 1/0'",
        ),
        op(
            "notify and lock",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; psql -v ON_ERROR_STOP=1 -c 'listen a' -c 'notify a' -c 'select pg_advisory_lock(1)'",
        ),
        op(
            "fast end",
            "export PGHOST=$DIR PGPORT=$PORT PGUSER=postgres; ready 'psql -c \"select 1\"'; kill -INT $PID; ready '! kill -0 $PID 2>/dev/null || grep -q Z /proc/$PID/stat'",
        ),
    ],
};

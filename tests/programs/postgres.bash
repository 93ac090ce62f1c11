# A database of its own: made, started, asked, copied, ended. PostgreSQL refuses root.
set -euo pipefail
directory=$1
programs=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -n 1)
user=(setpriv --reuid=65534 --regid=65534 --clear-groups)

chmod 755 "$directory/.."
chown 65534:65534 "$directory"
cd "$directory"
"${user[@]}" "$programs/initdb" -D "$directory/data" -U postgres -A trust -N --no-locale -E UTF8 > initdb.log
"${user[@]}" "$programs/pg_ctl" -D "$directory/data" -l "$directory/data/log" -w -t 120 \
	-o "-k '$directory' -c listen_addresses=''" start > /dev/null
export PGHOST=$directory PGUSER=postgres
"${user[@]}" psql -qAtv ON_ERROR_STOP=1 postgres <<'SQL'
create table t as select generate_series(1, 20000) a;
create index on t (a);
set work_mem = 64;
select count(*) from (select a from t order by -a offset 10) x;
create temporary table s as select * from t;
drop table s;
checkpoint;
select pg_switch_wal() is not null;
vacuum full t;
SQL
"${user[@]}" pg_dump postgres | grep -c 'CREATE'
"${user[@]}" "$programs/pg_ctl" -D "$directory/data" -w -t 120 stop > /dev/null

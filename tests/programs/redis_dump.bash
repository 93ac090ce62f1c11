# A redis that keeps what it is given: a snapshot and a log of commands, written, read again, rewritten.
set -euo pipefail
directory=$1
for turn in 1 2; do
    redis-server --port 0 --unixsocket "$directory/socket" --dir "$directory" --appendonly yes \
        --logfile "$directory/redis.log" --daemonize no --save 60 1 >/dev/null &
    server=$!
    until redis-cli -s "$directory/socket" ping >/dev/null 2>&1; do sleep 0.1; done
    redis-cli -s "$directory/socket" set "key$turn" value >/dev/null
    redis-cli -s "$directory/socket" save >/dev/null
    redis-cli -s "$directory/socket" bgrewriteaof >/dev/null
    until redis-cli -s "$directory/socket" info persistence | grep -q aof_rewrite_in_progress:0; do sleep 0.1; done
    redis-cli -s "$directory/socket" get key1
    redis-cli -s "$directory/socket" shutdown
    wait $server
done

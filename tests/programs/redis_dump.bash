# A redis that keeps what it is given: a snapshot and a log of commands, written, read again, rewritten.
set -euo pipefail
folder=$1
for turn in 1 2; do
    redis-server --port 0 --unixsocket "$folder/socket" --dir "$folder" --appendonly yes \
        --logfile "$folder/redis.log" --daemonize no --save 60 1 >/dev/null &
    server=$!
    until redis-cli -s "$folder/socket" ping >/dev/null 2>&1; do sleep 0.1; done
    redis-cli -s "$folder/socket" set "key$turn" value >/dev/null
    redis-cli -s "$folder/socket" save >/dev/null
    redis-cli -s "$folder/socket" bgrewriteaof >/dev/null
    until redis-cli -s "$folder/socket" info persistence | grep -q aof_rewrite_in_progress:0; do sleep 0.1; done
    redis-cli -s "$folder/socket" get key1
    redis-cli -s "$folder/socket" shutdown
    wait $server
done

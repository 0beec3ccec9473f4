#!/usr/bin/env bash
# Starts (or, as `restart`, kills and starts) the server under test. Everything is in the folder $1:
# server.conf, and afterwards pid and log. The server's binary is $2.
set -euo pipefail
folder=$1 binary=$2
if [ -f "$folder/pid" ]; then
    pid=$(cat "$folder/pid")
    kill -KILL "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
fi
cd "$folder"
nohup "$binary" -c server.conf >>log 2>&1 </dev/null &
echo $! >pid
port=$(sed -n 's/^port: //p' server.conf)
for _ in $(seq 200); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then exit 0; fi
    sleep 0.05
done
echo "the server did not start:" >&2
tail -5 log >&2
exit 1

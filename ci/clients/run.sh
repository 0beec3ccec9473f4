#!/usr/bin/env bash
# Runs unmodified NATS clients against a server and sums up their checks: the last line about a server is
# `N passed, M failed`, as ci/run.sh wants it.
#
#   ci/clients/run.sh --server nats|beale|both [--only python|go|accounts|schemas|js|rust|natscli|natstop|nsc|walkthroughs|memphis-python|memphis-js|memphis-rest|mixed]
#
# NATS_SERVER names the real nats-server (default: the one on PATH), BEALE our broker (default: built by
# cargo). Clients are installed in pinned versions into ci/.cache. With `both`, checks that pass on the real
# server and fail on ours are listed, and make the run fail.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/ci/.cache
which=beale only=''
while [ $# -gt 0 ]; do
    case $1 in
    --server) which=$2; shift 2 ;;
    --only) only=$2; shift 2 ;;
    *) echo "unknown argument $1" >&2; exit 2 ;;
    esac
done
wanted() { [ -z "$only" ] || [ "$only" = "$1" ]; }

install() {
    mkdir -p "$cache/bin"
    if [ ! -x "$cache/python/bin/python" ]; then python3 -m venv "$cache/python"; fi
    "$cache/python/bin/pip" install --quiet -r "$here/python/requirements.txt"
    if wanted go; then (cd "$here/go" && go build -o "$cache/bin/go-checks" .); fi
    if wanted accounts; then (cd "$here/accounts" && go build -o "$cache/bin/account-checks" .); fi
    if wanted schemas; then (cd "$here/schemas" && go build -o "$cache/bin/schema-checks" .); fi
    if wanted natscli || wanted walkthroughs || wanted nsc; then
        (cd "$here/natscli" && go build -o "$cache/bin/nats" github.com/nats-io/natscli/nats)
    fi
    if wanted natstop; then (cd "$here/natstop" && go build -o "$cache/bin/nats-top" github.com/nats-io/nats-top); fi
    if wanted nsc; then (cd "$here/nsc" && go build -o "$cache/bin/nsc" github.com/nats-io/nsc/v2); fi
    if wanted js; then (cd "$here/js" && npm ci --silent --no-fund --no-audit); fi
    if wanted mixed; then (cd "$here/mixed" && go build -o "$cache/bin/mixed-go" .); fi
    if wanted memphis-python || wanted mixed; then
        # Of its own, since Memphis' SDK wants an old protobuf.
        if [ ! -x "$cache/memphis-python/bin/python" ]; then python3 -m venv "$cache/memphis-python"; fi
        "$cache/memphis-python/bin/pip" install --quiet -r "$here/memphis-python/requirements.txt"
    fi
    if wanted memphis-js; then (cd "$here/memphis-js" && npm ci --silent --no-fund --no-audit); fi
    if wanted rust; then
        (cd "$here/rust" && CARGO_TARGET_DIR="$cache/rust" cargo build --quiet --locked)
    fi
}

free_port() {
    "$cache/python/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

folders=()
stop_all() {
    for folder in "${folders[@]}"; do
        if [ -f "$folder/pid" ]; then kill -KILL "$(cat "$folder/pid")" 2>/dev/null || true; fi
        rm -rf "$folder"
    done
    folders=()
}
trap stop_all EXIT

# Starts a server with the given configuration; sets $url, $folder and RESTART.
serve() {
    folder=$(mktemp -d)
    folders+=("$folder")
    local port
    port=$(free_port)
    { printf 'port: %s\nhost: 127.0.0.1\nserver_name: test\njetstream { store_dir: "store" }\n' "$port"; echo "$1"; } \
        >"$folder/server.conf"
    printf '#!/bin/sh\nexec "%s" "%s" "%s"\n' "$here/start-server.sh" "$folder" "$binary" >"$folder/restart"
    chmod +x "$folder/restart"
    export RESTART=$folder/restart
    url=nats://127.0.0.1:$port
    "$RESTART"
}

# Runs one client; a client that can not start or hangs is a failed check of its own.
client() {
    local name=$1 status=0
    shift
    timeout 300 "$@" >"$folder/client.out" 2>"$folder/client.err" || status=$?
    cat "$folder/client.out"
    if [ "$status" -ne 0 ] && ! grep -q '^FAIL' "$folder/client.out"; then
        echo "FAIL $name/program: status $status $(tail -n 1 "$folder/client.err")"
    fi
}

each() {
    if serve ''; then client "$@" "$url"; else echo "FAIL $1/program: the server did not start"; fi
    stop_all
}

clients() {
    if wanted python; then each python "$cache/python/bin/python" "$here/python/checks.py"; fi
    if wanted go; then each go "$cache/bin/go-checks"; fi
    if wanted accounts; then accounts; fi
    if wanted schemas; then schemas; fi
    if wanted js; then each js node "$here/js/checks.mjs"; fi
    if wanted rust; then each rust "$cache/rust/debug/rust-checks"; fi
    if wanted natscli; then
        each natscli python3 "$here/natscli/checks.py" "$cache/bin/nats"
        operator
        own_program natscli-auth python3 "$here/natscli/auth.py" "$cache/bin/nats"
    fi
    if wanted natstop; then own_program natstop python3 "$here/natstop/checks.py" "$cache/bin/nats-top"; fi
    if wanted nsc; then signed; fi
    if wanted walkthroughs; then walkthroughs; fi
    if [ "$server" = beale ]; then
        if wanted memphis-python; then
            memphis memphis-python "$cache/memphis-python/bin/python" "$here/memphis-python/checks.py"
        fi
        if wanted memphis-js; then memphis memphis-js node "$here/memphis-js/checks.mjs"; fi
        if wanted memphis-rest; then memphis_rest; fi
        if wanted mixed; then mixed; fi
    fi
}

# What says its type: the program needs a system account, and accounts that share a service.
schemas() {
    if serve 'accounts {
        SYS { users = [ {user: sys, password: p} ] }
        A {
            jetstream: enabled, users = [ {user: a, password: p} ]
            exports = [ {service: help, latency: {sampling: 100, subject: latency}} ]
        }
        B { users = [ {user: b, password: p} ], imports = [ {service: {account: A, subject: help}} ] }
        C { jetstream: enabled, users = [ {user: c, password: p} ] }
    }
    system_account: SYS
    no_auth_user: a'; then
        client schemas "$cache/bin/schema-checks" "$url"
    else
        echo "FAIL schemas/program: the server did not start"
    fi
    stop_all
}

# Who may connect: each check starts a server of its own.
accounts() {
    folder=$(mktemp -d)
    folders+=("$folder")
    client accounts "$cache/bin/account-checks" "$binary"
    stop_all
}

# A program that starts the server with a configuration of its own.
own_program() {
    folder=$(mktemp -d)
    folders+=("$folder")
    client "$@" "$binary"
    stop_all
}

# What nsc makes: the program starts a server with the configuration that nsc writes.
signed() {
    folder=$(mktemp -d)
    folders+=("$folder")
    client nsc python3 "$here/nsc/checks.py" "$cache/bin/nsc" "$cache/bin/nats" "$binary"
    stop_all
}

# The CLI in the system account, and between accounts that share something.
operator() {
    # shellcheck disable=SC2016 # `$SYS` and `$JS` are names
    if serve 'accounts {
        $SYS { users = [ {user: sys, password: p} ] }
        A {
            jetstream: enabled, users = [ {user: a, password: p} ]
            exports = [ {service: help}, {stream: "news.>"}, {service: "$JS.API.>", response: stream}, {service: "shared.>"} ]
        }
        B {
            users = [ {user: b, password: p} ]
            imports = [
                {service: {account: A, subject: help}, to: please}
                {stream: {account: A, subject: "news.>"}, prefix: from}
                {service: {account: A, subject: "$JS.API.>"}, to: "js.a.>"}
                {service: {account: A, subject: "shared.>"}}
            ]
        }
    }'; then
        client operator python3 "$here/natscli/system.py" "$cache/bin/nats" "${url/nats:\/\//nats://sys:p@}"
    else
        echo "FAIL operator/program: the server did not start"
    fi
    stop_all
}

# A Memphis SDK gets both ways in, where nats-server has only one, and what goes with them.
memphis() {
    local port management pages
    port=$(free_port) management=$(free_port) pages=$(free_port)
    if serve "memphis { listen: \"127.0.0.1:$port\", ui_port: $management, ws_port: $pages
        tiered_storage_upload_interval_seconds: 2 }"; then
        client "$@" "$port" "$url" "$management" "$pages"
    else
        echo "FAIL $1/program: the server did not start"
    fi
    stop_all
}

# Memphis over HTTP.
memphis_rest() {
    local port management gateway slack
    port=$(free_port) management=$(free_port) gateway=$(free_port) slack=$(free_port)
    if serve "memphis { listen: \"127.0.0.1:$port\", ui_port: $management, rest_gw_port: $gateway
        slack_url: \"http://127.0.0.1:$slack/api\" }"; then
        client memphis-rest "$cache/python/bin/python" "$here/memphis-rest/checks.py" \
            "$management" "$gateway" "$port" "$slack"
    else
        echo "FAIL memphis-rest/program: the server did not start"
    fi
    stop_all
}

# A Memphis SDK and NATS clients on the same stations, watched over HTTP.
mixed() {
    local port management
    port=$(free_port) management=$(free_port)
    if serve "memphis { listen: \"127.0.0.1:$port\", ui_port: $management }"; then
        client mixed "$cache/memphis-python/bin/python" "$here/mixed/checks.py" "$port" "$management" "$cache/bin/mixed-go"
    else
        echo "FAIL mixed/program: the server did not start"
    fi
    stop_all
}

# The migration guides of Memphis and those of README. nats-server needs a server for each form of credentials.
walkthroughs() {
    local add=("$here/walkthroughs/stream_add.py" guide "$cache/bin/nats")
    if [ "$server" = beale ]; then
        local memphis
        memphis=$(free_port)
        if serve "memphis { listen: \"127.0.0.1:$memphis\" }"; then
            url=nats://127.0.0.1:$memphis
            guides
            # It starts servers of its own.
            client readme "$cache/python/bin/python" "$here/walkthroughs/readme.py" "$binary" "$cache/bin/nats"
        else
            echo "FAIL guide/program: the server did not start"
        fi
    else
        # shellcheck disable=SC2016 # `root$1` is a user's name
        serve 'authorization { users = [ {user: root, password: memphis}, {user: "root$1", password: memphis} ] }'
        guides password
        stop_all
        serve 'authorization { token: "root::memphis" }'
        guides token
    fi
    stop_all
}

guides() {
    local forms=${1:-password token}
    case " $forms " in *" password "*)
        client guide "$cache/python/bin/python" "$here/walkthroughs/migrated.py" "$url"
        add[1]=guide-password
        client guide-password python3 "${add[@]}" "$url" --user=root --password=memphis
        add[1]=guide-account
        # shellcheck disable=SC2016 # `root$1` is a user's name
        client guide-account python3 "${add[@]}" "$url" '--user=root$1' --password=memphis ;;
    esac
    case " $forms " in *" token "*)
        add[1]=guide-token
        client guide-token python3 "${add[@]}" "$url" --user=root::memphis ;;
    esac
}

# Tells failures that are known (pending.txt) from others, and finds those that have gone.
judge() {
    if [ "$server" = nats ]; then cat; return; fi
    awk 'NR == FNR { if ($1 != "" && $1 != "#") pending[$1]; next }
        { name = $2; sub(/:$/, "", name) }
        $1 == "FAIL" && name in pending { sub(/^FAIL/, "pending") }
        $1 == "ok" && name in pending { $0 = "FAIL " name ": it passes, take it off pending.txt" }
        { print; fflush() }' "$here/pending.txt" -
}

run() {
    server=$1
    if [ "$server" = nats ]; then
        binary=${NATS_SERVER:-$(command -v nats-server)}
    else
        binary=${BEALE:-}
        if [ -z "$binary" ]; then
            (cd "$root" && cargo build --quiet -p server --bin beale)
            binary=${CARGO_TARGET_DIR:-$root/target}/debug/beale
        fi
    fi
    clients | judge | tee "$cache/results-$server.txt"
    echo "$server:"
    echo "$(grep -c '^ok ' "$cache/results-$server.txt" || true) passed," \
        "$(grep -c '^FAIL ' "$cache/results-$server.txt" || true) failed"
}

install
case $which in
nats | beale)
    run "$which"
    ! grep -q '^FAIL ' "$cache/results-$which.txt"
    ;;
both)
    run nats
    run beale
    passed() { grep '^ok ' "$cache/results-$1.txt" | sort; }
    missing=$(comm -23 <(passed nats) <(passed beale))
    echo "passing on nats-server only: $(echo -n "$missing" | grep -c '' || true)"
    echo "$missing"
    [ -z "$missing" ]
    ;;
*)
    echo "--server nats, beale or both" >&2
    exit 2
    ;;
esac
